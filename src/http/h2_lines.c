#include "h2_private.h"

#define PSEUDO_FIELDS 4
#define VERSION       SLICE(" HTTP/1.1")

/* One line without its end; *rest goes on behind it. */
static struct slice next_line(struct slice *rest)
{
    const char *end = memmem(rest->p, rest->n, "\r\n", 2);
    CHECK(end);
    struct slice line = slice_of(rest->p, (size_t)(end - rest->p));
    *rest = slice_from(*rest, line.n + 2);
    return line;
}

static struct slice before(struct slice s, char c, struct slice *rest)
{
    size_t at = slice_find(s, c, 0);
    *rest = slice_from(s, at + 1);
    return slice_upto(s, at);
}

/* What HTTP/2 says otherwise, or not at all (RFC 9113 8.2.2, 8.3.1). */
static bool has_no_place(enum field_id id)
{
    switch (id) {
    case FIELD_HOST:
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

static size_t count_lines(struct slice text)
{
    size_t n = 0;
    for (const char *p = text.p; (p = memchr(p, '\n', (size_t)(text.p + text.n - p))); p++)
        n++;
    return n;
}

struct chunk *h2_lines_read(struct chunkpool *pool, struct slice head, bool https, nghttp2_nv **nv,
                            size_t *n)
{
    size_t most = PSEUDO_FIELDS + count_lines(head);
    struct chunk *store = chunkpool_get(pool, most * sizeof(**nv));
    struct slice rest = head, path = next_line(&rest), host = slice_of("", 0);
    nghttp2_nv *at = (nghttp2_nv *)(void *)store->data;
    struct slice method = before(path, ' ', &path);
    size_t k = PSEUDO_FIELDS;
    CHECK(slice_ends(path, VERSION));
    for (struct slice line; (line = next_line(&rest)).n;) {
        struct slice value, name = before(line, ':', &value);
        value = slice_trim(value);
        enum field_id id = fields_id(name);
        if (id == FIELD_HOST)
            host = value;
        if (!has_no_place(id))
            at[k++] = h2_private_field_nv(id, name, value);
    }
    size_t without = host.n == 0;
    at[without] = h2_private_own_nv(SLICE(":method"), method);
    at[without + 1] = h2_private_own_nv(SLICE(":scheme"), https ? SLICE("https") : SLICE("http"));
    at[without + 2] = h2_private_own_nv(SLICE(":path"), slice_upto(path, path.n - VERSION.n));
    if (host.n)
        at[3] = h2_private_own_nv(SLICE(":authority"), host);
    *nv = at + without;
    *n = k - without;
    return store;
}
