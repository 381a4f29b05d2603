#include "http/host.h"

#include <arpa/inet.h>

#include "http/head.h"
#include "scan.h"

/* ":" and digits, or nothing. An empty port is legal (RFC 3986 3.2.3) and means none. */
static enum err parse_port(struct slice s, uint16_t *port)
{
    uint64_t v = 0;
    *port = 0;
    if (s.n == 0 || (s.n == 1 && s.p[0] == ':'))
        return OK;
    if (s.p[0] != ':' || !slice_u64(slice_from(s, 1), &v) || v == 0 || v > UINT16_MAX)
        return ERR_SYNTAX;
    *port = (uint16_t)v;
    return OK;
}

/* Length of the host in front of a port. *lower: no capital letter seen. */
static size_t name_length(struct slice s, bool *lower)
{
    const char *p = s.p, *end = s.p + s.n;
    unsigned capitals = 0;
    for (; p < end && scan_is(*p, SCAN_UNRESERVED); p++)
        capitals |= (unsigned char)(*p - 'A') < 26;
    *lower = !capitals;
    return (size_t)(p - s.p);
}

static size_t bracketed_length(struct slice s)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    size_t close = slice_find(s, ']', 1), n = close - 1;
    if (close == s.n || n >= sizeof(text))
        return 0;
    memcpy(text, s.p + 1, n);
    text[n] = '\0';
    return strlen(text) == n && inet_pton(AF_INET6, text, address) == 1 ? close + 1 : 0;
}

static struct slice to_lower(struct slice s, char *space)
{
    for (size_t i = 0; i < s.n; i++)
        space[i] = slice_lower(s.p[i]);
    return slice_of(space, s.n);
}

enum err host_parse(struct slice value, char *space, struct host *out)
{
    if (value.n == 0 || value.n > HEAD_HOST_MAX + strlen(":65535"))
        return ERR_SYNTAX;
    bool bracketed = value.p[0] == '[', lower = false;
    size_t n = bracketed ? bracketed_length(value) : name_length(value, &lower);
    if (n == 0 || n > HEAD_HOST_MAX || parse_port(slice_from(value, n), &out->port))
        return ERR_SYNTAX;
    out->name = out->norm = slice_upto(value, n);
    if (out->norm.p[n - 1] == '.')
        out->norm.n--;
    if (out->norm.n == 0)
        return ERR_SYNTAX;
    if (!lower)
        out->norm = to_lower(out->norm, space);
    return OK;
}
