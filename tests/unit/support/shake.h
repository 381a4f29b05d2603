/* A handshake of a conn that accepts TLS with a client that is OpenSSL itself, on one thread. */
#ifndef SUPPORT_SHAKE_H
#define SUPPORT_SHAKE_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct shake {
    struct conn *c;
    struct task task;
    enum err e; /* how it ended; ERR_AGAIN: it did not */
    SSL *client;
};

/* SSL_new() of the client is the caller's, so that it may set things before. */
void shake_begin(struct shake *s, struct loop *loop, struct tls_ctx *x, SSL *client);
void shake_end(struct shake *s); /* frees both ends */

#endif
