/* Certificates, keys, CAs, revocation lists, OCSP responses and key files are watched: when one changes
 * on disk, a refresh reads it. What cannot be used is not: the log says why, and what was read before
 * stays in use (proxy/tls_store.h).
 * Owner: the server. Thread: control. */
#ifndef SERVER_CERTIFICATES_H
#define SERVER_CERTIFICATES_H

#include "server/watch.h"

struct server;
struct snapshot;

struct certificates {
    struct server *server;
    struct watch watch;
    struct task changed;
};

void certificates_init(struct certificates *c, struct server *s);
void certificates_fini(struct certificates *c);
/* The files of this snapshot from now on. */
void certificates_adopt(struct certificates *c, const struct snapshot *next);

#endif
