/* TLS on a conn, as a transport: once the handshake is done the owner reads and writes plaintext
 * through net/conn.h as on any other conn.
 *
 *   socket ──one recv──▶ cipher-in scratch ──▶ SSL_read … ──▶ the loop's scratch ──▶ owner
 *                              └ what is left: t->rest
 *   socket ◀──one send── cipher-out scratch ◀── SSL_write … ◀── conn_write(iov)
 *       └ what it refuses: the conn's queue
 *
 * Both ciphertext scratches belong to the loop and are shared by its conns; an idle conn holds no
 * buffer, neither here nor in OpenSSL. Reading may write (tickets, key updates, alerts): that
 * leaves by the same path. Records are filled: pieces of one write share them.
 *
 *   front:  tls_accept  ─▶ tls_handshake (at each event) ─▶ OK: front_h1, front_h2, end_raw
 *   link:   tls_connect ─▶ tls_handshake                 ─▶ OK: ready
 *
 * Where the context has ktls and the kernel takes the keys, it encrypts what is sent (tls_ktls.h);
 * all else is the same, except that a peer that asks for new keys is broken off.
 *
 * The conn owns the TLS state and ends it in conn_close(). Thread: the loop's. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/conn.h"
#include "net/tls_ctx.h"

/* The last session of one server with one worker. Owner: whoever embeds it; it must outlive the
 * conns that were given it. Zeroed is none. */
struct tls_resume {
    void *session;
    uint64_t key; /* settings that it was made with */
};

void tls_resume_fini(struct tls_resume *r);

/* Handshake messages that a peer may send after the handshake (key updates, renegotiation, which is
 * refused), and one more for each MiB of plaintext; beyond, the connection is broken off. */
#define TLS_MESSAGES_MAX 32

struct tls_dial {
    struct tls_ctx *ctx;
    struct slice server_name; /* what the certificate must be for; empty: the peer's address */
    struct tls_resume *resume;
};

/* On a connected conn nothing was read from or written to. Both take a reference of the context.
 * ERR_NOMEM: the conn is as it was. ERR_SYNTAX: server_name cannot be one. */
MUST_USE enum err tls_accept(struct conn *c, struct tls_ctx *ctx);
MUST_USE enum err tls_connect(struct conn *c, const struct tls_dial *d);

/* Goes on with the handshake: at the start and at each of the owner's tasks until it is decided,
 * with conn_flush() before and conn_settle() after it.
 *   OK               done; conn_read() and conn_write() may be used
 *   ERR_AGAIN        an event will tell
 *   ERR_EOF, _RESET  the peer has left
 *   ERR_TLS          it failed, tls_why() says why; the alert was sent
 *   ERR_UNSUPPORTED  tls_accept() only: the client began with what looks like plain HTTP. Nothing
 *                    was sent; tls_drop() makes the conn a plain one that can be answered */
MUST_USE enum err tls_handshake(struct conn *c);
/* In words of OpenSSL, static; "" when nothing failed. */
const char *tls_why(const struct conn *c);
/* Takes TLS off again, together with what was received. Only after ERR_UNSUPPORTED. */
void tls_drop(struct conn *c);

/* What was agreed. The texts are static, but server_name and alpn live as long as the conn. */
struct tls_info {
    struct slice protocol; /* "TLSv1.3" */
    struct slice cipher;   /* "TLS_AES_128_GCM_SHA256" */
    struct slice alpn;     /* "http/1.1"; empty: none was agreed */
    struct slice server_name;
    struct slice group; /* of the key exchange: "x25519" */
    bool resumed;
    bool offloaded; /* the kernel encrypts what is sent */
};

/* All empty on a plain conn. */
struct tls_info tls_info(const struct conn *c);

/* Scratches of a loop, made when its first TLS conn is: for loop.c. */
struct tls_space;
void tls_space_free(struct tls_space *s); /* NULL is fine */

#endif
