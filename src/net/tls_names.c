/* Names of certificates, sorted by hash. `*.example.com` stands in the table as it is and is asked
 * for with the first label of the client's name replaced. Names that are not host names are left
 * out: they can never be asked for. */
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/hash.h"
#include "tls_internal.h"

#define NAME_MAX_BYTES 253

/* ---- building ---- */

static void add(struct tls_names *t, const char *text, size_t n, size_t rank)
{
    bool wild = n > 2 && text[0] == '*' && text[1] == '.';
    if (n == 0 || n > NAME_MAX_BYTES || memchr(text + wild, '*', n - wild) || memchr(text, 0, n))
        return;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->all = realloc(t->all, t->cap * sizeof(*t->all));
        CHECK(t->all);
    }
    struct tls_name *e = &t->all[t->n++];
    *e = (struct tls_name){.text = malloc(n), .n = n, .rank = rank};
    CHECK(e->text);
    for (size_t i = 0; i < n; i++)
        e->text[i] = slice_lower(text[i]);
    e->hash = hash_bytes(slice_of(e->text, n), 0);
}

static void add_string(struct tls_names *t, const ASN1_STRING *s, size_t rank)
{
    add(t, (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s), rank);
}

/* The common name speaks only when there is no alternative DNS name (RFC 6125 6.4.4). */
static void add_common_name(struct tls_names *t, X509 *leaf, size_t rank)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0)
        add_string(t, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), rank);
}

void tls_names_add(struct tls_names *t, X509 *leaf, size_t rank)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool any = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type != GEN_DNS)
            continue;
        add_string(t, g->d.dNSName, rank);
        any = true;
    }
    GENERAL_NAMES_free(names);
    if (!any)
        add_common_name(t, leaf, rank);
}

static int compare(const void *x, const void *y)
{
    const struct tls_name *a = x, *b = y;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

void tls_names_ready(struct tls_names *t)
{
    if (t->n)
        qsort(t->all, t->n, sizeof(*t->all), compare);
}

void tls_names_fini(struct tls_names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->all[i].text);
    free(t->all);
    *t = (struct tls_names){0};
}

/* ---- asking ---- */

static const struct tls_name *first_of(const struct tls_names *t, struct slice name)
{
    uint64_t hash = hash_bytes(name, 0);
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->all[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->n && t->all[low].hash == hash ? &t->all[low] : NULL;
}

/* From *at on, the first entry that is really this name; NULL when the run of its hash is over. */
static const struct tls_name *same_name(const struct tls_names *t, const struct tls_name *at,
                                        struct slice name)
{
    if (!at)
        return NULL;
    uint64_t hash = at->hash;
    for (; at < t->all + t->n && at->hash == hash; at++)
        if (slice_eq(slice_of(at->text, at->n), name))
            return at;
    return NULL;
}

static const struct tls_name *after(const struct tls_names *t, const struct tls_name *at,
                                    struct slice name)
{
    uint64_t hash = at->hash;
    at++;
    return at < t->all + t->n && at->hash == hash ? same_name(t, at, name) : NULL;
}

void tls_names_find(const struct tls_names *t, struct slice name, struct tls_names_walk *w)
{
    *w = (struct tls_names_walk){0};
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > NAME_MAX_BYTES)
        return;
    for (size_t i = 0; i < name.n; i++)
        w->space[0][i] = slice_lower(name.p[i]);
    w->exact = slice_of(w->space[0], name.n);
    w->at[0] = same_name(t, first_of(t, w->exact), w->exact);
    struct slice rest = slice_from(w->exact, slice_find(w->exact, '.', 0));
    if (rest.n < 2)
        return;
    w->space[1][0] = '*';
    memcpy(w->space[1] + 1, rest.p, rest.n);
    w->wild = slice_of(w->space[1], rest.n + 1);
    w->at[1] = same_name(t, first_of(t, w->wild), w->wild);
}

bool tls_names_next(const struct tls_names *t, struct tls_names_walk *w, size_t *rank)
{
    if (!w->at[0] && !w->at[1])
        return false;
    bool wild = !w->at[0] || (w->at[1] && w->at[1]->rank < w->at[0]->rank);
    *rank = w->at[wild]->rank;
    w->at[wild] = after(t, w->at[wild], wild ? w->wild : w->exact);
    return true;
}
