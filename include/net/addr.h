/* Socket addresses: IPv4, IPv6 and unix, as one value that is copied freely and owns nothing.
 * Text forms are those of the configuration: `10.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock`.
 * Also CIDR blocks to match peers with. All functions are pure: no name is looked up here. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/slice.h"

/* Zeroed is "no address": family AF_UNSPEC, equal only to itself, formatted as "-". */
struct addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t len; /* what bind() and connect() take */
};

/* Enough for addr_format() of any address. */
#define ADDR_TEXT_MAX (sizeof("unix:") + sizeof(((struct sockaddr_un *)0)->sun_path))

/* ERR_SYNTAX: not one of the three forms (a host name is not one of them); ERR_LIMIT: a unix path
 * longer than the kernel takes. Port 0 is allowed here: who may have it is the caller's business.
 * IPv6 scope names (`fe80::1%eth0`) are ERR_SYNTAX. *out is untouched after an error. */
MUST_USE enum err addr_parse(struct addr *out, struct slice text);
/* An IPv4 or IPv6 address alone, without port or brackets. */
MUST_USE enum err addr_parse_ip(struct addr *out, struct slice ip, uint16_t port);
/* `HOST:PORT` cut in two, the brackets of an IPv6 host removed; nothing about HOST is judged
 * except that it is not empty. ERR_SYNTAX without a port of 0-65535. */
MUST_USE enum err addr_split(struct slice text, struct slice *host, uint16_t *port);

/* From what the kernel returned (accept, getpeername, getaddrinfo). An IPv4 peer of an IPv6
 * socket (::ffff:a.b.c.d) becomes plain IPv4, so that logs and CIDRs see one form. An unknown
 * family gives "no address". */
struct addr addr_from_sockaddr(const struct sockaddr *sa, socklen_t len);

static inline int addr_family(const struct addr *a)
{
    return a->sa.sa_family;
}

uint16_t addr_port(const struct addr *a); /* 0 for unix */
void addr_set_port(struct addr *a, uint16_t port);
bool addr_is_wildcard(const struct addr *a); /* 0.0.0.0 or [::] */
bool addr_is_loopback(const struct addr *a); /* 127.0.0.0/8, ::1, and any unix address */

/* Would two listening sockets want the same packets? Equal addresses, or one is a wildcard of the
 * same family and port. (IPv6 sockets of ours are V6ONLY: [::]:80 and 0.0.0.0:80 live together.) */
bool addr_overlaps(const struct addr *a, const struct addr *b);

bool addr_eq(const struct addr *a, const struct addr *b);
uint64_t addr_hash(const struct addr *a, uint64_t seed);

/* Both write at most ADDR_TEXT_MAX bytes without a terminator and return how many. The second is
 * the address alone: no port, no brackets ("unix:" and the path for unix). */
size_t addr_format(const struct addr *a, char *to);
size_t addr_format_ip(const struct addr *a, char *to);

/* A block of IPv4 or IPv6 addresses. */
struct addr_cidr {
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t bits;   /* length of the prefix */
    uint8_t bytes[16];
};

/* `10.0.0.0/8`, `2001:db8::/32`, or a single address. ERR_SYNTAX also when bits behind the prefix
 * are set: `10.0.0.1/8` is a slip of the pen more often than a wish. */
MUST_USE enum err addr_cidr_parse(struct addr_cidr *out, struct slice text);
bool addr_cidr_match(const struct addr_cidr *c, const struct addr *a);

#endif
