/* A conn: one connected stream socket, over TCP or a unix socket, plain or through a transport.
 *
 * Owner: exactly one of session, link, probe or dial, moved by conn_own(). The owner's task is
 * queued when something can be done; the conn itself never calls up and parses nothing.
 *
 *   socket ──event──▶ c->ready ──▶ owner's task ──conn_read──▶ scratch (or residue) ──▶ owner
 *                                                                      │ conn_keep: the rest
 *   socket ◀── one sendmsg ◀── conn_write(iov) ◀── owner               ▼
 *                    └─ what it refused ─▶ c->out (chunks), sent when writable   residue
 *
 * Reading. conn_read() receives once into the loop's scratch. A short recv is the end: no second
 * recv until the next event. The read watcher stays armed in steady state; only when an event
 * came and the owner does not read is it stopped, by conn_settle(false), so that no
 * level-triggered descriptor is left armed and unread. conn_unblock() queues the owner's task
 * again once it can take bytes.
 * Writing. There is one write path, so order holds by construction. Every conn_write() is
 * accepted whole; owners look at conn_unsent() before producing more.
 * Closing. conn_close() is idempotent, gives the descriptor back at once and the memory at the
 * end of the turn.
 * All functions: the thread of c->loop. Errors: ERR_AGAIN nothing now, ERR_EOF orderly end,
 * ERR_RESET broken (both directions are dead).
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <sys/uio.h>

#include "net/addr.h"
#include "net/loop.h"

struct conn;

/* What stands between the owner's plaintext and the bytes of the socket. NULL: nothing does. */
struct transport {
    /* As recv(2), from at most one recv of the socket; sets c->readable: may the socket hold more? */
    ssize_t (*recv)(struct conn *c, void *to, size_t n);
    /* Takes all of it; what comes of it goes to conn_wire(). ERR_RESET: it cannot go on. */
    enum err (*send)(struct conn *c, const struct iovec *iov, int n);
    bool (*pending)(const struct conn *c); /* input that no event will announce */
    /* Its own word for the end, once there is no output left. False: the socket does not take it
     * yet, to be called again when it is writable. */
    bool (*shutdown)(struct conn *c);
    void (*close)(struct conn *c); /* the same if it was not said, then frees its state */
};

struct conn {
    uint32_t magic;
    int fd; /* -1 once closed */
    struct loop *loop;
    struct task *task; /* the owner's; NULL: events are kept until somebody owns it */
    const struct transport *transport;
    void *transport_state;
    struct ev_io io;
    bool readable;     /* an event or a full recv said so; a short one took it back */
    bool writable;     /* a write event came while output was waiting */
    bool eof;          /* the peer's FIN was read */
    bool truncated;    /* eof came without the transport's own word for it */
    bool broken;       /* RST, or a write failed for good; what had come before can still be read */
    bool want_more;    /* what was kept is not enough: the next read appends to it */
    bool kernel_seals; /* the transport is for input only: what is written goes to the socket as it
                          is, and the kernel makes of it what the peer expects */
    /* Once all output is sent: the transport's word for the end, then FIN. */
    bool shut_wanted, shut_said, shut_done;
    struct chunkq out;                   /* as it goes to the socket */
    struct chunk *residue;               /* input that the owner left, NULL in steady state */
    uint64_t received_bytes, sent_bytes; /* of the owner's: through a transport, plaintext */
    uint64_t acked_bytes;                /* as conn_peer_took() last saw it */
    struct addr peer;
    struct reapable reapable;
};

/* limit: connections of this loop, both sides together. To be called once per loop. */
void conn_pool_init(struct loop *l, unsigned limit);

/* Takes fd (non-blocking, connected or connecting), also on failure, when it is closed and NULL
 * is returned: the loop's connection limit. peer may be NULL. Reading is armed. */
struct conn *conn_new(struct loop *l, int fd, const struct addr *peer);
void conn_close(struct conn *c);
/* The peer sees an RST instead of a FIN; unsent output is dropped. */
void conn_reset(struct conn *c);
/* Hands the conn to another owner; events already in hand queue its task. */
void conn_own(struct conn *c, struct task *task);

/* While fd is still connecting: only writability is of interest, and tells that it is decided;
 * conn_connected() goes back to reading. */
void conn_connecting(struct conn *c);
void conn_connected(struct conn *c);

/* At the start of the owner's task: output that was waiting is sent if it can be. */
MUST_USE enum err conn_flush(struct conn *c);
/* At the end of each of the owner's tasks. may_read: the owner would take more bytes now; if some
 * are there already its task is queued again, else the next event does that. Not may_read: input
 * waits until conn_unblock() or a task that settles with true. */
void conn_settle(struct conn *c, bool may_read);

/* The owner waits for nothing in particular: what a full recv left in the socket is announced by
 * an event like all that comes later. */
void conn_rest(struct conn *c);

/* Input, at most max bytes beyond what was kept. Valid until the task returns or the next
 * conn_read. Kept bytes are handed out first, without a syscall unless want_more.
 * ERR_LIMIT: more was asked for although LOOP_RESIDUE_BYTES are kept already. */
MUST_USE enum err conn_read(struct conn *c, size_t max, struct slice *in);
/* `rest`, the tail of what conn_read gave, was not consumed; it may be empty. more: it is useless
 * without bytes that follow it. To be called exactly once for every successful read. */
void conn_keep(struct conn *c, struct slice rest, bool more);
/* conn_read() would bring something that no event will announce (again): bytes, or the news that
 * the connection is broken. */
bool conn_has_input(const struct conn *c);
/* Did nothing come for an owner, and is the conn whole? What is for the transport alone is taken
 * by it. For conns that wait for nobody: idle ones. Does not touch the scratch. */
bool conn_quiet(struct conn *c);
/* Is the peer's end the next thing to be read? At most one syscall, none when no event came. */
bool conn_at_end(const struct conn *c);
/* Queues the owner's task when there is input: called by whoever made room. */
void conn_unblock(struct conn *c);

/* All of iov is taken: sent at once, or queued. ERR_RESET: the peer is gone, nothing of this call
 * was sent. */
MUST_USE enum err conn_write(struct conn *c, const struct iovec *iov, int n);
/* Only as much as the socket takes now; the rest stays with the caller, who is told by an event
 * when to go on. *sent is 0 while earlier output waits. A transport takes all or nothing. */
MUST_USE enum err conn_write_some(struct conn *c, const struct iovec *iov, int n, size_t *sent);
/* With what a transport has yet to say after conn_shutdown(). */
size_t conn_unsent(const struct conn *c);
/* For transports: bytes for the socket as they are, behind those that wait. A failure shows as
 * c->broken. */
void conn_wire(struct conn *c, struct slice s);
/* While output waits, here or in the socket's buffer: has the peer acknowledged any of it since
 * the last call? A reader may be slow for minutes before the socket is writable again. One ioctl:
 * for expired deadlines, not for the hot path. */
bool conn_peer_took(struct conn *c);
/* FIN once all output is sent; idempotent. */
void conn_shutdown(struct conn *c);

#endif
