#include "proxy/redirect.h"

#include "base/check.h"
#include "base/text.h"

struct output {
    char *to;
    size_t n;
    char before; /* to be written ahead of the next byte; 0: nothing */
    bool full;
};

struct keyword {
    struct slice text;
    struct slice value;
};

enum { KEYWORDS = 5 };

static void put(struct output *o, char c)
{
    if (o->before) {
        char before = o->before;
        o->before = '\0';
        put(o, before);
    }
    if (o->n == REDIRECT_LOCATION_MAX)
        o->full = true;
    else
        o->to[o->n++] = c;
}

static void put_text(struct output *o, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        put(o, s.p[i]);
}

static bool may_stand(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '#';
}

/* From the client. */
static void put_value(struct output *o, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (may_stand(c)) {
            put(o, (char)c);
            continue;
        }
        put(o, '%');
        put(o, "0123456789ABCDEF"[c >> 4]);
        put(o, "0123456789ABCDEF"[c & 15]);
    }
}

static const struct keyword *keyword_at(struct slice text, const struct keyword *words)
{
    for (int i = 0; i < KEYWORDS; i++)
        if (slice_starts(text, words[i].text))
            return &words[i];
    return NULL;
}

static void expand(struct output *o, struct slice text, const struct keyword *words)
{
    while (text.n) {
        const struct keyword *k = keyword_at(text, words);
        if (k)
            put_value(o, k->value);
        else
            put(o, text.p[0]);
        text = slice_from(text, k ? k->text.n : 1);
    }
}

static struct slice without_slash(struct slice path)
{
    return slice_starts(path, SLICE("/")) ? slice_from(path, 1) : path;
}

static bool is_own_port(struct slice protocol, struct slice port)
{
    return slice_eq(port, slice_eq(protocol, SLICE("https")) ? SLICE("443") : SLICE("80"));
}

static void put_port(struct output *o, const struct config_redirect *r, struct slice protocol,
                     const struct keyword *port)
{
    struct slice p = slice_eq(r->port, port->text) ? port->value : r->port;
    if (is_own_port(protocol, p))
        return;
    put(o, ':');
    put_text(o, p);
}

enum err redirect_location(const struct config_redirect *r, const struct redirect_from *from,
                           char *to, struct slice *location)
{
    char digits[TEXT_U64_MAX];
    struct output o = {.to = to};
    const struct keyword protocol = {SLICE("#{protocol}"), from->protocol};
    const struct keyword port = {SLICE("#{port}"), {digits, text_u64(digits, from->port)}};
    const struct keyword words[KEYWORDS] = {protocol,
                                            port,
                                            {SLICE("#{host}"), from->host},
                                            {SLICE("#{path}"), without_slash(from->path)},
                                            {SLICE("#{query}"), from->query}};
    struct slice scheme = slice_eq(r->protocol, protocol.text) ? from->protocol : r->protocol;
    put_text(&o, scheme);
    put_text(&o, SLICE("://"));
    size_t host_at = o.n;
    expand(&o, r->host, words);
    if (o.n == host_at)
        return ERR_NOT_FOUND;
    put_port(&o, r, scheme, &port);
    expand(&o, r->path, words);
    o.before = '?';
    expand(&o, r->query, words);
    *location = slice_of(to, o.n);
    return o.full ? ERR_LIMIT : OK;
}
