/* The files that something of TLS is made from, each with the state it was in before it was read. So a
 * refresh can tell whether it must be read again, and the control thread knows what to watch.
 * Owner: the snapshot, in its arena. Immutable once made. */
#ifndef PROXY_TLS_FILES_H
#define PROXY_TLS_FILES_H

#include "base/stamp.h"
#include "config/model.h"

struct tls_file {
    const char *path;
    struct stamp stamp;
};

struct tls_files {
    struct tls_file *at;
    size_t n;
};

/* Of a listener: certificates, keys, OCSP responses, CAs, revocation lists. wall_us: now. */
struct tls_files tls_files_of_listener(struct arena *a, const struct config_listener *l,
                                       int64_t wall_us);
/* Of a target group: its CAs. */
struct tls_files tls_files_of_group(struct arena *a, const struct config_group *g, int64_t wall_us);
/* One, or none. */
struct tls_files tls_files_of(struct arena *a, const struct config_file *f, int64_t wall_us);

/* None has changed since `then`, and none is so fresh that it could have changed unseen. */
bool tls_files_same(const struct tls_files *now, const struct tls_files *then);

#endif
