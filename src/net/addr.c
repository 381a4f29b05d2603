#include "net/addr.h"

#include <arpa/inet.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/text.h"

#define UNIX_PREFIX SLICE("unix:")

/* inet_pton wants a terminated string; nothing longer than this is an address. */
static bool parse_bytes(int family, struct slice text, void *to)
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof(z) || memchr(text.p, '\0', text.n))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    return inet_pton(family, z, to) == 1;
}

static enum err parse_unix(struct addr *out, struct slice path)
{
    if (path.n == 0 || memchr(path.p, '\0', path.n))
        return ERR_SYNTAX;
    if (path.n >= sizeof(out->un.sun_path))
        return ERR_LIMIT;
    *out = (struct addr){.un.sun_family = AF_UNIX};
    memcpy(out->un.sun_path, path.p, path.n);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return OK;
}

enum err addr_parse_ip(struct addr *out, struct slice ip, uint16_t port)
{
    struct in_addr in4;
    struct in6_addr in6;
    if (parse_bytes(AF_INET, ip, &in4)) {
        *out = (struct addr){.in4 = {.sin_family = AF_INET, .sin_addr = in4}};
        out->len = sizeof(out->in4);
    } else if (parse_bytes(AF_INET6, ip, &in6)) {
        *out = (struct addr){.in6 = {.sin6_family = AF_INET6, .sin6_addr = in6}};
        out->len = sizeof(out->in6);
    } else {
        return ERR_SYNTAX;
    }
    addr_set_port(out, port);
    return OK;
}

enum err addr_split(struct slice text, struct slice *host, uint16_t *port)
{
    uint64_t n;
    size_t colon = text.n;
    while (colon && text.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || !slice_u64(slice_from(text, colon), &n) || n > UINT16_MAX)
        return ERR_SYNTAX;
    struct slice h = slice_upto(text, colon - 1);
    bool bracketed = h.n > 2 && h.p[0] == '[' && h.p[h.n - 1] == ']';
    if (bracketed)
        h = slice_of(h.p + 1, h.n - 2);
    /* Without brackets, `::1:80` could be read in two ways. */
    if (bracketed != (slice_find(h, ':', 0) < h.n))
        return ERR_SYNTAX;
    *host = h;
    *port = (uint16_t)n;
    return OK;
}

enum err addr_parse(struct addr *out, struct slice text)
{
    struct slice host;
    uint16_t port;
    if (slice_starts(text, UNIX_PREFIX))
        return parse_unix(out, slice_from(text, UNIX_PREFIX.n));
    if (addr_split(text, &host, &port))
        return ERR_SYNTAX;
    return addr_parse_ip(out, host, port);
}

static struct addr from_in6(const struct sockaddr_in6 *in6)
{
    struct addr a = {.in6 = *in6};
    a.len = sizeof(a.in6);
    if (!IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return a;
    a = (struct addr){.in4 = {.sin_family = AF_INET, .sin_port = in6->sin6_port}};
    memcpy(&a.in4.sin_addr, in6->sin6_addr.s6_addr + 12, 4);
    a.len = sizeof(a.in4);
    return a;
}

static struct addr from_un(const struct sockaddr *sa, socklen_t len)
{
    struct addr a = {0};
    /* The kernel counts a terminator that it had no room to write. */
    a.len = len < sizeof(a.un) ? len : sizeof(a.un);
    memcpy(&a.un, sa, a.len);
    return a;
}

struct addr addr_from_sockaddr(const struct sockaddr *sa, socklen_t len)
{
    struct addr a = {0};
    if (len < sizeof(sa_family_t))
        return a;
    if (sa->sa_family == AF_INET && len >= sizeof(a.in4)) {
        memcpy(&a.in4, sa, sizeof(a.in4));
        a.len = sizeof(a.in4);
        return a;
    }
    if (sa->sa_family == AF_INET6 && len >= sizeof(a.in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        return from_in6(&in6);
    }
    return sa->sa_family == AF_UNIX ? from_un(sa, len) : a;
}

uint16_t addr_port(const struct addr *a)
{
    if (addr_family(a) == AF_INET)
        return ntohs(a->in4.sin_port);
    return addr_family(a) == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (addr_family(a) == AF_INET)
        a->in4.sin_port = htons(port);
    else if (addr_family(a) == AF_INET6)
        a->in6.sin6_port = htons(port);
}

bool addr_is_wildcard(const struct addr *a)
{
    if (addr_family(a) == AF_INET)
        return a->in4.sin_addr.s_addr == INADDR_ANY;
    return addr_family(a) == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool addr_is_loopback(const struct addr *a)
{
    if (addr_family(a) == AF_INET)
        return ntohl(a->in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (addr_family(a) == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
    return addr_family(a) == AF_UNIX;
}

bool addr_overlaps(const struct addr *a, const struct addr *b)
{
    if (addr_family(a) != addr_family(b) || addr_family(a) == AF_UNIX)
        return addr_eq(a, b);
    return addr_port(a) == addr_port(b) &&
           (addr_is_wildcard(a) || addr_is_wildcard(b) || addr_eq(a, b));
}

/* The bytes that make the identity: without padding, flow labels or the terminator of a path. */
static struct slice identity(const struct addr *a)
{
    switch (addr_family(a)) {
    case AF_INET:
        return slice_of((const char *)&a->in4.sin_addr, 4);
    case AF_INET6:
        return slice_of((const char *)&a->in6.sin6_addr, 16);
    case AF_UNIX:
        return slice_of(a->un.sun_path, strnlen(a->un.sun_path, sizeof(a->un.sun_path)));
    default:
        return (struct slice){0};
    }
}

static uint32_t scope(const struct addr *a)
{
    return addr_family(a) == AF_INET6 ? a->in6.sin6_scope_id : 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return addr_family(a) == addr_family(b) && addr_port(a) == addr_port(b) &&
           scope(a) == scope(b) && slice_eq(identity(a), identity(b));
}

uint64_t addr_hash(const struct addr *a, uint64_t seed)
{
    return hash_bytes(identity(a), seed ^ hash_mix(addr_port(a) + 1u));
}

size_t addr_format_ip(const struct addr *a, char *to)
{
    char text[INET6_ADDRSTRLEN] = "-";
    if (addr_family(a) == AF_UNIX) {
        struct slice path = identity(a);
        memcpy(to, UNIX_PREFIX.p, UNIX_PREFIX.n);
        memcpy(to + UNIX_PREFIX.n, path.p, path.n);
        return UNIX_PREFIX.n + path.n;
    }
    if (addr_family(a) == AF_INET || addr_family(a) == AF_INET6)
        inet_ntop(addr_family(a), identity(a).p, text, sizeof(text));
    size_t n = strlen(text);
    memcpy(to, text, n);
    return n;
}

size_t addr_format(const struct addr *a, char *to)
{
    bool brackets = addr_family(a) == AF_INET6;
    size_t n = 0;
    if (brackets)
        to[n++] = '[';
    n += addr_format_ip(a, to + n);
    if (brackets)
        to[n++] = ']';
    if (brackets || addr_family(a) == AF_INET) {
        to[n++] = ':';
        n += text_u64(to + n, addr_port(a));
    }
    return n;
}

static bool prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) & (uint8_t)(0xff00 >> rest)) == 0;
}

/* Are all bits behind the prefix zero? */
static bool prefix_clean(const uint8_t *bytes, unsigned bits, unsigned all)
{
    for (unsigned i = bits; i < all; i++)
        if (bytes[i / 8] & (0x80 >> i % 8))
            return false;
    return true;
}

enum err addr_cidr_parse(struct addr_cidr *out, struct slice text)
{
    struct addr_cidr c = {.family = AF_INET};
    size_t slash = slice_find(text, '/', 0);
    struct slice ip = slice_upto(text, slash);
    if (!parse_bytes(AF_INET, ip, c.bytes)) {
        c.family = AF_INET6;
        if (!parse_bytes(AF_INET6, ip, c.bytes))
            return ERR_SYNTAX;
    }
    unsigned all = c.family == AF_INET ? 32 : 128;
    uint64_t bits = all;
    if (slash < text.n && (!slice_u64(slice_from(text, slash + 1), &bits) || bits > all))
        return ERR_SYNTAX;
    if (!prefix_clean(c.bytes, (unsigned)bits, all))
        return ERR_SYNTAX;
    c.bits = (uint8_t)bits;
    *out = c;
    return OK;
}

bool addr_cidr_match(const struct addr_cidr *c, const struct addr *a)
{
    return addr_family(a) == c->family &&
           prefix_eq(c->bytes, (const uint8_t *)identity(a).p, c->bits);
}
