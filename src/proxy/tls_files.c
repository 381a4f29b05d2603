#include "proxy/tls_files.h"

static void add(struct tls_files *to, const struct config_file *f, int64_t wall_us)
{
    if (f->path.n)
        to->at[to->n++] = (struct tls_file){f->path.p, stamp_of(f->path.p, wall_us)};
}

struct tls_files tls_files_of_listener(struct arena *a, const struct config_listener *l,
                                       int64_t wall_us)
{
    size_t most = 3 * l->certificates_n + 2 + l->mutual.revocations_n;
    struct tls_files f = {ARENA_ARRAY(a, struct tls_file, most), 0};
    for (size_t i = 0; i < l->certificates_n; i++) {
        add(&f, &l->certificates[i].certificate, wall_us);
        add(&f, &l->certificates[i].key, wall_us);
        add(&f, &l->certificates[i].ocsp, wall_us);
    }
    add(&f, &l->ocsp, wall_us);
    add(&f, &l->mutual.trust_store, wall_us);
    for (size_t i = 0; i < l->mutual.revocations_n; i++)
        add(&f, &l->mutual.revocations[i], wall_us);
    return f;
}

struct tls_files tls_files_of_group(struct arena *a, const struct config_group *g, int64_t wall_us)
{
    return tls_files_of(a, &g->target_tls.ca, wall_us);
}

struct tls_files tls_files_of(struct arena *a, const struct config_file *f, int64_t wall_us)
{
    struct tls_files one = {ARENA_ARRAY(a, struct tls_file, 1), 0};
    add(&one, f, wall_us);
    return one;
}

bool tls_files_same(const struct tls_files *now, const struct tls_files *then)
{
    for (size_t i = 0; i < now->n; i++)
        if (i >= then->n || !stamp_same(now->at[i].stamp, then->at[i].stamp) ||
            !then->at[i].stamp.settled)
            return false;
    return now->n == then->n;
}
