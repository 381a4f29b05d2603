#include "net/socket.h"
#include "proxy/exchange.h"

#define DEFAULT_PORT 80 /* of http */

uint16_t exchange_local_port(const struct exchange *x)
{
    uint16_t port = addr_port(x->client.local);
    return port ? port : DEFAULT_PORT;
}

/* A wildcard is not what anybody connects to: only here is the kernel asked for more. */
static struct addr local_addr(const struct exchange *x)
{
    const struct addr *a = x->client.local;
    return addr_is_wildcard(a) ? socket_local(x->client.conn->fd) : *a;
}

size_t exchange_local_host(const struct exchange *x, char *to)
{
    struct addr a = local_addr(x);
    bool v6 = addr_family(&a) == AF_INET6;
    if (addr_family(&a) == AF_UNIX) {
        memcpy(to, "localhost", 9);
        return 9;
    }
    to[0] = '[';
    size_t n = addr_format_ip(&a, to + v6);
    to[n + v6] = ']';
    return n + 2 * v6;
}
