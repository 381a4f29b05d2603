#include "name_server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void name_server_init(struct name_server *s)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(in);
    *s = (struct name_server){0};
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&in, &n), 0);
    s->addr = addr_from_sockaddr((struct sockaddr *)&in, n);
}

void name_server_fini(struct name_server *s)
{
    close(s->fd);
}

static struct name_server_record *add(struct name_server *s, const char *name, uint16_t type,
                                      uint32_t ttl)
{
    assert_true(s->records_n < 32);
    struct name_server_record *r = &s->records[s->records_n++];
    *r = (struct name_server_record){.name = name, .type = type, .ttl = ttl};
    return r;
}

void name_server_a(struct name_server *s, const char *name, const char *ip, uint32_t ttl)
{
    bool six = strchr(ip, ':') != NULL;
    struct name_server_record *r = add(s, name, six ? 28 : 1, ttl);
    r->n = six ? 16 : 4;
    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, ip, r->data), 1);
}

static size_t put_name(uint8_t *to, const char *name)
{
    size_t n = 0;
    while (*name) {
        size_t label = strcspn(name, ".");
        to[n++] = (uint8_t)label;
        memcpy(to + n, name, label);
        n += label;
        name += label + (name[label] == '.');
    }
    to[n++] = 0;
    return n;
}

static size_t put16(uint8_t *to, uint16_t v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
    return 2;
}

void name_server_srv(struct name_server *s, const char *name, const char *host, uint16_t port,
                     uint16_t priority, uint16_t weight, uint32_t ttl)
{
    struct name_server_record *r = add(s, name, 33, ttl);
    r->n = put16(r->data, priority);
    r->n += put16(r->data + r->n, weight);
    r->n += put16(r->data + r->n, port);
    r->n += put_name(r->data + r->n, strcmp(host, ".") == 0 ? "" : host);
}

static size_t put_record(uint8_t *to, const struct name_server_record *r)
{
    size_t n = put16(to, 0xc00c);
    n += put16(to + n, r->type);
    n += put16(to + n, 1);
    n += put16(to + n, (uint16_t)(r->ttl >> 16));
    n += put16(to + n, (uint16_t)r->ttl);
    n += put16(to + n, (uint16_t)r->n);
    memcpy(to + n, r->data, r->n);
    return n + r->n;
}

static size_t answer(struct name_server *s, const uint8_t *q, uint8_t *to)
{
    uint8_t encoded[256];
    size_t name = 12, n, count = 0;
    bool known = false;
    while (q[name])
        name += 1u + q[name];
    n = name + 1 + 4;
    uint16_t type = (uint16_t)(q[name + 1] << 8 | q[name + 2]);
    memcpy(to, q, n);
    for (size_t i = 0; i < s->records_n; i++) {
        size_t length = put_name(encoded, s->records[i].name);
        if (length != name + 1 - 12 || memcmp(encoded, q + 12, length) != 0)
            continue;
        known = true;
        if (s->records[i].type != type)
            continue;
        n += put_record(to + n, &s->records[i]);
        count++;
    }
    to[2] = 0x85;
    to[3] = (uint8_t)(0x80 | (s->code ? s->code : known ? 0 : 3));
    put16(to + 4, 1);
    put16(to + 6, (uint16_t)(s->code ? 0 : count));
    put16(to + 8, 0);
    put16(to + 10, 0);
    return n;
}

void name_server_turn(struct name_server *s)
{
    uint8_t q[1500], to[4096];
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    unsigned waiting = 0;
    ssize_t n;
    while ((n = recvfrom(s->fd, q, sizeof(q), 0, (struct sockaddr *)&peer, &size)) > 12) {
        s->asked++;
        waiting++;
        if (s->silent)
            continue;
        (void)sendto(s->fd, to, answer(s, q, to), 0, (struct sockaddr *)&peer, size);
    }
    s->most_waiting = waiting > s->most_waiting ? waiting : s->most_waiting;
}
