#include "net/conn.h"

#include "net/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONN_MAGIC     0x434f4e4e
#define IOV_MAX_OUT    16
#define IOV_MAX_SEALED 64
#define SEAL_BYTES     16384u /* of one record of the kernel's */

/* ---- watcher ---- */

static void on_event(struct ev_loop *ev, struct ev_io *w, int revents)
{
    (void)ev;
    struct conn *c = w->data;
    if (revents & EV_READ)
        c->readable = true;
    if (revents & EV_WRITE)
        c->writable = true;
    if (c->task)
        runq_push_polled(&c->loop->runq, c->task);
}

/* Stop and start in one turn reach the kernel as at most one epoll_ctl, none if nothing changed. */
static void watch(struct conn *c, int events)
{
    if (ev_is_active(&c->io) && (c->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(c->loop->ev, &c->io);
    ev_io_modify(&c->io, events);
    if (events)
        ev_io_start(c->loop->ev, &c->io);
}

static int watched(const struct conn *c)
{
    return ev_is_active(&c->io) ? c->io.events & (EV_READ | EV_WRITE) : 0;
}

static void arm(struct conn *c, int events)
{
    watch(c, watched(c) | events);
}

static void disarm(struct conn *c, int events)
{
    watch(c, watched(c) & ~events);
}

/* ---- life ---- */

void conn_pool_init(struct loop *l, unsigned limit)
{
    pool_init(&l->conns, "conns", sizeof(struct conn), limit);
}

struct conn *conn_new(struct loop *l, int fd, const struct addr *peer)
{
    struct conn *c = pool_get(&l->conns);
    if (!c) {
        close(fd);
        return NULL;
    }
    *c = (struct conn){.magic = CONN_MAGIC, .fd = fd, .loop = l};
    if (peer)
        c->peer = *peer;
    ev_io_init(&c->io, on_event, fd, EV_READ);
    c->io.data = c;
    ev_io_start(l->ev, &c->io);
    return c;
}

static void conn_reap(struct reapable *r)
{
    struct conn *c = container_of(r, struct conn, reapable);
    c->magic = 0;
    pool_put(&c->loop->conns, c);
}

/* The running task may have lent some of it to a flow. */
static void drop_residue(struct conn *c)
{
    if (c->residue)
        loop_spend(c->loop, c->residue);
    c->residue = NULL;
}

void conn_close(struct conn *c)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    if (c->fd < 0)
        return;
    if (c->transport)
        c->transport->close(c);
    ev_io_stop(c->loop->ev, &c->io);
    close(c->fd);
    c->fd = -1;
    c->task = NULL;
    chunkq_clear(&c->out, &c->loop->chunks);
    drop_residue(c);
    c->reapable.reap = conn_reap;
    loop_reap(c->loop, &c->reapable);
}

void conn_reset(struct conn *c)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    if (c->fd < 0)
        return;
    socket_reset_on_close(c->fd);
    c->broken = true; /* a transport must not end what we break off in an orderly way */
    conn_close(c);
}

void conn_own(struct conn *c, struct task *task)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    c->task = task;
    if (task && conn_has_input(c))
        loop_push(c->loop, task);
}

void conn_connecting(struct conn *c)
{
    watch(c, EV_WRITE);
}

void conn_connected(struct conn *c)
{
    c->writable = false;
    watch(c, EV_READ);
}

/* ---- reading ---- */

bool conn_has_input(const struct conn *c)
{
    if (c->residue && !c->want_more)
        return true;
    return c->readable || (c->broken && !c->eof) || (c->transport && c->transport->pending(c));
}

bool conn_at_end(const struct conn *c)
{
    char byte;
    if (c->eof || c->broken || !c->readable)
        return c->eof || c->broken;
    ssize_t got = recv(c->fd, &byte, 1, MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void conn_unblock(struct conn *c)
{
    if (c->task && conn_has_input(c))
        loop_push(c->loop, c->task);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

static ssize_t receive(struct conn *c, void *to, size_t n)
{
    ssize_t got;
    if (c->transport)
        return c->transport->recv(c, to, n);
    do
        got = recv(c->fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    c->readable = got == (ssize_t)n;
    return got;
}

bool conn_quiet(struct conn *c)
{
    char byte;
    if (c->residue || c->broken)
        return false;
    if (!c->transport || !conn_has_input(c))
        return !conn_has_input(c);
    return receive(c, &byte, 1) < 0 && would_block();
}

/* What is received beyond what can be passed on has to be kept. */
static size_t recv_max(const struct conn *c)
{
    return chunkpool_pressure(&c->loop->chunks) == CHUNK_PRESSURE_NONE ? LOOP_RECV_BYTES
                                                                       : CHUNK_SMALL_BYTES;
}

/* One recv behind the `kept` bytes that stand at the start of the scratch. */
static enum err read_scratch(struct conn *c, size_t kept, size_t max, struct slice *in)
{
    if (c->eof)
        return ERR_EOF;
    if (!c->readable && !c->broken && !(c->transport && c->transport->pending(c)))
        return ERR_AGAIN;
    size_t most = recv_max(c);
    if (max > most)
        max = most;
    ssize_t got = receive(c, c->loop->scratch + kept, max);
    if (got > 0) {
        c->received_bytes += (size_t)got;
        *in = slice_of(c->loop->scratch, kept + (size_t)got);
        return OK;
    }
    c->readable = false;
    if (got == 0) {
        c->eof = true;
        return ERR_EOF;
    }
    if (would_block() && !c->broken)
        return ERR_AGAIN;
    c->broken = true;
    return ERR_RESET;
}

static enum err read_more(struct conn *c, size_t max, struct slice *in)
{
    struct chunk *r = c->residue;
    size_t kept = r->end - r->off;
    if (kept >= LOOP_RESIDUE_BYTES)
        return ERR_LIMIT;
    memcpy(c->loop->scratch, r->data + r->off, kept);
    enum err e = read_scratch(c, kept, max, in);
    if (e == OK)
        drop_residue(c);
    return e;
}

enum err conn_read(struct conn *c, size_t max, struct slice *in)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->fd >= 0 && max > 0);
    struct chunk *r = c->residue;
    if (!r)
        return read_scratch(c, 0, max, in);
    if (c->want_more)
        return read_more(c, max, in);
    size_t n = r->end - r->off;
    *in = slice_of(r->data + r->off, n < max ? n : max);
    return OK;
}

static bool inside(const struct chunk *r, const char *p)
{
    return r && p >= r->data && p <= r->data + r->cap;
}

void conn_keep(struct conn *c, struct slice rest, bool more)
{
    struct chunk *r = c->residue;
    c->want_more = more;
    if (inside(r, rest.p)) {
        r->off = (uint32_t)(rest.p - r->data);
        if (r->off == r->end)
            drop_residue(c);
        return;
    }
    CHECK(!r);
    if (rest.n == 0)
        return;
    r = chunkpool_get(&c->loop->chunks, rest.n);
    memcpy(r->data, rest.p, rest.n);
    r->end = (uint32_t)rest.n;
    c->residue = r;
}

void conn_settle(struct conn *c, bool may_read)
{
    if (c->fd < 0)
        return;
    if (c->eof || c->broken || (c->readable && !may_read))
        disarm(c, EV_READ);
    else
        arm(c, EV_READ);
    if (may_read)
        conn_unblock(c);
}

void conn_rest(struct conn *c)
{
    c->readable = false;
    arm(c, EV_READ);
}

/* ---- writing ---- */

static ssize_t send_pieces(struct conn *c, const struct iovec *iov, int n)
{
    ssize_t sent;
    do {
        if (n == 1) {
            sent = send(c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
        } else {
            struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
            sent = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        }
    } while (sent < 0 && errno == EINTR);
    return sent;
}

/* The first bytes of iov, at most IOV_MAX_SEALED pieces of it. */
static int first_pieces(struct iovec *to, const struct iovec *iov, int n, size_t bytes)
{
    int k = 0;
    for (; k < n && k < IOV_MAX_SEALED && bytes; k++) {
        to[k] = iov[k];
        if (to[k].iov_len > bytes)
            to[k].iov_len = bytes;
        bytes -= to[k].iov_len;
    }
    return k;
}

/* What of a record the socket's queue does not take, the kernel keeps beside it and sends later,
 * unless a FIN or a close comes first: then it is lost, and no call tells of it. So no more is
 * written than the queue has room for, with as much again for what it is packed in. */
static ssize_t transmit_sealed(struct conn *c, const struct iovec *iov, int n)
{
    struct iovec some[IOV_MAX_SEALED];
    size_t room = socket_send_room(c->fd) / 2;
    if (room >= SEAL_BYTES)
        room -= room % SEAL_BYTES;
    int k = first_pieces(some, iov, n, room);
    if (k)
        return send_pieces(c, some, k);
    errno = EAGAIN;
    return -1;
}

static ssize_t transmit(struct conn *c, const struct iovec *iov, int n)
{
    return c->kernel_seals ? transmit_sealed(c, iov, n) : send_pieces(c, iov, n);
}

static enum err broken(struct conn *c)
{
    c->broken = true;
    chunkq_clear(&c->out, &c->loop->chunks);
    disarm(c, EV_WRITE);
    return ERR_RESET;
}

/* Does the transport make what goes to the socket of what the owner writes? */
static bool seals(const struct conn *c)
{
    return c->transport && !c->kernel_seals;
}

static bool owes_end(const struct conn *c)
{
    return c->shut_wanted && !c->shut_said && c->transport && !c->broken;
}

static bool say_end(struct conn *c)
{
    c->shut_said = c->transport->shutdown(c);
    if (!c->shut_said)
        arm(c, EV_WRITE);
    return c->shut_said;
}

static void finish_shutdown(struct conn *c)
{
    if (!c->shut_wanted || c->shut_done || c->out.bytes)
        return;
    if (owes_end(c) && !say_end(c))
        return;
    if (c->out.bytes)
        return;
    c->shut_done = true;
    (void)shutdown(c->fd, SHUT_WR);
}

enum err conn_flush(struct conn *c)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    if (c->broken)
        return ERR_RESET;
    if (!c->writable)
        return OK;
    c->writable = false;
    while (c->out.bytes) {
        struct iovec iov[IOV_MAX_OUT];
        int n = chunkq_peek(&c->out, iov, IOV_MAX_OUT);
        ssize_t sent = transmit(c, iov, n);
        if (sent < 0)
            return would_block() ? OK : broken(c);
        if (!seals(c))
            c->sent_bytes += (size_t)sent;
        chunkq_consume(&c->out, &c->loop->chunks, (size_t)sent);
    }
    disarm(c, EV_WRITE);
    finish_shutdown(c);
    return OK;
}

static void queue_rest(struct conn *c, const struct iovec *iov, int n, size_t skip)
{
    for (int i = 0; i < n; i++) {
        struct slice s = slice_of(iov[i].iov_base, iov[i].iov_len);
        size_t sent = skip < s.n ? skip : s.n;
        skip -= sent;
        chunkq_add(&c->out, &c->loop->chunks, slice_from(s, sent));
    }
}

static size_t iov_bytes(const struct iovec *iov, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

static enum err write_plain(struct conn *c, const struct iovec *iov, int n, size_t total,
                            size_t *sent)
{
    if (c->out.bytes || total == 0)
        return OK;
    ssize_t got = transmit(c, iov, n);
    if (got < 0 && !would_block())
        return broken(c);
    *sent = got < 0 ? 0 : (size_t)got;
    c->sent_bytes += *sent;
    if (*sent < total)
        arm(c, EV_WRITE);
    return OK;
}

static enum err write_through(struct conn *c, const struct iovec *iov, int n, size_t total)
{
    if (total && c->transport->send(c, iov, n) != OK)
        return broken(c);
    c->sent_bytes += total;
    return OK;
}

enum err conn_write_some(struct conn *c, const struct iovec *iov, int n, size_t *sent)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->fd >= 0 && !c->shut_wanted);
    *sent = 0;
    if (c->broken)
        return ERR_RESET;
    size_t total = iov_bytes(iov, n);
    if (!seals(c))
        return write_plain(c, iov, n, total, sent);
    if (c->out.bytes)
        return OK;
    *sent = total;
    return write_through(c, iov, n, total);
}

enum err conn_write(struct conn *c, const struct iovec *iov, int n)
{
    size_t sent = 0;
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->fd >= 0 && !c->shut_wanted);
    if (c->broken)
        return ERR_RESET;
    size_t total = iov_bytes(iov, n);
    if (seals(c))
        return write_through(c, iov, n, total);
    enum err e = write_plain(c, iov, n, total, &sent);
    if (e == OK)
        queue_rest(c, iov, n, sent);
    return e;
}

void conn_wire(struct conn *c, struct slice s)
{
    struct iovec iov = {(void *)(uintptr_t)s.p, s.n};
    ssize_t sent = 0;
    if (c->broken || s.n == 0)
        return;
    if (c->out.bytes == 0)
        sent = transmit(c, &iov, 1);
    if (sent < 0 && !would_block()) {
        (void)broken(c);
        return;
    }
    struct slice rest = slice_from(s, sent < 0 ? 0 : (size_t)sent);
    if (rest.n == 0)
        return;
    chunkq_add(&c->out, &c->loop->chunks, rest);
    arm(c, EV_WRITE);
}

size_t conn_unsent(const struct conn *c)
{
    return c->out.bytes + owes_end(c);
}

bool conn_peer_took(struct conn *c)
{
    int queued = 0;
    if (c->fd < 0 || ioctl(c->fd, SIOCOUTQ, &queued) < 0 || (queued == 0 && c->out.bytes == 0))
        return false;
    uint64_t acked = c->sent_bytes - (uint64_t)queued;
    if (seals(c))
        acked -= c->out.bytes; /* was counted when the transport took it */
    bool moved = acked != c->acked_bytes;
    c->acked_bytes = acked;
    return moved;
}

void conn_shutdown(struct conn *c)
{
    c->shut_wanted = true;
    if (!c->broken)
        finish_shutdown(c);
}
