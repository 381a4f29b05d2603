#include "support/peer.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/socket.h"
#include "support/pass.h"

#define WAIT_TURNS 2000
#define SOME_TURNS 8
#define DELAYED_ACK_MS 60 /* the kernel takes up to 40 */

/* A turn, and a millisecond for the kernel if it has work left. */
static void turn(struct world *w)
{
    world_turn(w, 1);
    (void)poll(NULL, 0, 1);
}

static struct peer *make(struct world *w, int fd)
{
    struct peer *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->w = w;
    p->fd = fd;
    return p;
}

struct peer *peer_accept(struct world *w, int listen_fd)
{
    int fd;
    for (int i = 0; i < WAIT_TURNS; i++) {
        if (socket_accept(listen_fd, &fd, NULL) == OK)
            return make(w, fd);
        turn(w);
    }
    fail_msg("no connection came");
    return NULL;
}

struct peer *peer_origin(struct world *w)
{
    return peer_accept(w, w->origin_fd);
}

static int listen_on(const char *text, int backlog)
{
    struct addr a;
    int fd;
    assert_int_equal(addr_parse(&a, slice_str(text)), OK);
    assert_int_equal(socket_bind(&a, false, 0, &fd), OK);
    assert_int_equal(socket_listen(fd, backlog), OK);
    return fd;
}

struct peer *peer_client(struct world *w, unsigned slot)
{
    int listener = listen_on("127.0.0.1:0", 4), client, accepted = -1;
    struct addr to = socket_local(listener), from;
    assert_int_equal(socket_connect(&to, &client), OK);
    for (int i = 0; i < WAIT_TURNS && accepted < 0; i++)
        if (socket_accept(listener, &accepted, &from) != OK)
            turn(w);
    assert_true(accepted >= 0);
    close(listener);
    proxy_accept(&w->proxy, slot, accepted, &from, &to);
    return make(w, client);
}

void peer_free(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

/* ---- sending ---- */

static bool send_some(struct peer *p, const char *bytes, size_t *at, size_t n)
{
    ssize_t sent = send(p->fd, bytes + *at, n - *at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        fail_msg("send: %s", strerror(errno));
    *at += sent > 0 ? (size_t)sent : 0;
    return sent > 0;
}

static void send_all(struct peer *p, const char *bytes, size_t n)
{
    size_t at = 0;
    for (int i = 0; i < WAIT_TURNS && at < n; i++)
        if (!send_some(p, bytes, &at, n))
            turn(p->w);
    assert_int_equal(at, n);
    world_turn(p->w, SOME_TURNS);
}

void peer_send(struct peer *p, const char *text)
{
    send_all(p, text, strlen(text));
}

static char *filled(char byte, size_t n)
{
    char *bytes = malloc(n);
    assert_non_null(bytes);
    memset(bytes, byte, n);
    return bytes;
}

void peer_send_bytes(struct peer *p, char byte, size_t n)
{
    char *bytes = filled(byte, n);
    send_all(p, bytes, n);
    free(bytes);
}

size_t peer_fill(struct peer *p, char byte, size_t n)
{
    char *bytes = filled(byte, n);
    size_t at = 0;
    for (int idle = 0; idle < 20 && at < n;) {
        idle = send_some(p, bytes, &at, n) ? 0 : idle + 1;
        turn(p->w);
    }
    free(bytes);
    return at;
}

void peer_shutdown(struct peer *p)
{
    assert_int_equal(shutdown(p->fd, SHUT_WR), 0);
    world_turn(p->w, SOME_TURNS);
}

void peer_close(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
    world_turn(p->w, SOME_TURNS);
}

void peer_reset(struct peer *p)
{
    socket_reset(p->fd);
    p->fd = -1;
    world_turn(p->w, SOME_TURNS);
}

/* ---- receiving ---- */

static void receive(struct peer *p)
{
    if (p->end != PEER_OPEN)
        return;
    assert_true(p->n < PEER_BYTES);
    ssize_t got = recv(p->fd, p->in + p->n, PEER_BYTES - p->n, 0);
    if (got > 0)
        p->n += (size_t)got;
    else if (got == 0)
        p->end = PEER_FIN;
    else if (errno != EAGAIN)
        p->end = PEER_RST;
    p->in[p->n] = '\0';
}

void peer_expect(struct peer *p, const char *text)
{
    size_t text_n = strlen(text);
    for (int i = 0; i < WAIT_TURNS; i++) {
        receive(p);
        char *at = memmem(p->in, p->n, text, text_n);
        if (at) {
            p->n -= (size_t)(at + text_n - p->in);
            memmove(p->in, at + text_n, p->n + 1);
            return;
        }
        if (p->end != PEER_OPEN)
            break;
        turn(p->w);
    }
    fail_msg("`%s` did not come, but (end %d) `%s`", text, (int)p->end, p->in);
}

void peer_expect_end(struct peer *p, enum peer_end end)
{
    for (int i = 0; i < WAIT_TURNS && p->end == PEER_OPEN; i++) {
        receive(p);
        turn(p->w);
    }
    assert_int_equal(p->end, end);
}

void peer_assert_silent(struct peer *p)
{
    for (int i = 0; i < SOME_TURNS; i++)
        turn(p->w);
    receive(p);
    assert_string_equal(p->in, "");
    assert_int_equal(p->end, PEER_OPEN);
}

/* ---- other origins ---- */

static void name(struct world *w, const char *ip, char *to, size_t n)
{
    assert_true(snprintf(to, n, "%s:%u", ip, w->origin_port) < (int)n);
}

int peer_listen(struct world *w, const char *ip)
{
    char text[64];
    name(w, ip, text, sizeof(text));
    return listen_on(text, 64);
}

/* A full queue of connections drops what else comes, as an address without a machine does. */
struct black_hole peer_black_hole(struct world *w, const char *ip)
{
    struct black_hole b;
    char text[64];
    name(w, ip, text, sizeof(text));
    b.fd = listen_on(text, 0);
    struct addr to = socket_local(b.fd);
    for (size_t i = 0; i < ARRAY_LEN(b.filler); i++)
        assert_int_equal(socket_connect(&to, &b.filler[i]), OK);
    (void)poll(NULL, 0, 20);
    return b;
}

void peer_black_hole_close(struct black_hole *b)
{
    for (size_t i = 0; i < ARRAY_LEN(b->filler); i++)
        close(b->filler[i]);
    close(b->fd);
}

/* ---- time ---- */

void peer_pass_ms(struct world *w, uint64_t ms)
{
    for (int i = 0; i < DELAYED_ACK_MS; i++)
        turn(w);
    pass_ms(&w->loop, ms);
}

/* ---- the end ---- */

void peer_wait_done(struct world *w)
{
    for (int i = 0; i < WAIT_TURNS && counter_get(&w->counters.exchanges_active); i++)
        turn(w);
    world_turn(w, 2);
    assert_int_equal(counter_get(&w->counters.exchanges_active), 0);
    assert_int_equal(counter_get(&w->counters.snapshot_pins), 0);
    assert_int_equal(w->proxy.exchanges.live, 0);
    assert_int_equal(w->loop.chunks.promised_bytes, 0);
    for (size_t i = 0; i < w->snapshot->groups_n; i++)
        for (size_t j = 0; j < w->snapshot->groups[i].members_n; j++)
            assert_int_equal(target_in_flight(w->snapshot->groups[i].members[j].target), 0);
}
