#include "proxy/hash_key.h"

#include "http/cookie.h"

/* The value of the first pair with that key, as sent. */
static struct slice query_value(struct slice query, struct slice key)
{
    while (query.n) {
        size_t end = slice_find(query, '&', 0);
        struct slice pair = slice_upto(query, end);
        size_t eq = slice_find(pair, '=', 0);
        if (slice_eq(slice_upto(pair, eq), key))
            return slice_from(pair, eq + 1);
        query = slice_from(query, end + 1);
    }
    return slice_of(NULL, 0);
}

static struct slice header_value(const struct fields *f, struct slice name)
{
    const struct field *found = fields_find(f, name);
    return found ? found->value : slice_of(NULL, 0);
}

static struct slice cookie_value(const struct fields *f, struct slice name)
{
    struct slice value;
    return cookie_get(f, name, &value) ? value : slice_of(NULL, 0);
}

static struct slice value_of(const struct exchange *x, const struct config_hash_on *on)
{
    switch (on->type) {
    case CONFIG_HASH_ON_HEADER:
        return header_value(&x->req.fields, on->name);
    case CONFIG_HASH_ON_COOKIE:
        return cookie_value(&x->req.fields, on->name);
    case CONFIG_HASH_ON_QUERY:
        return query_value(x->req.query, on->name);
    case CONFIG_HASH_ON_PATH:
        return x->req.path;
    case CONFIG_HASH_ON_SOURCE_IP:
    case CONFIG_HASH_ON_NOTHING:
        break;
    }
    return x->client.peer_ip;
}

uint64_t hash_key(const struct exchange *x, const struct config_hash_on *on)
{
    struct slice value = value_of(x, on);
    return value.n ? hash_bytes(value, 0) : rng_next(&x->proxy->loop->rng);
}
