#include "support/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/load.h"
#include "net/socket.h"

static void on_released(struct proxy *p, struct snapshot *s)
{
    struct world *w = p->owner;
    w->released++;
    snapshot_free(s, &w->registry);
}

static char *with_port(const char *yaml, unsigned port)
{
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    for (const char *p = yaml; *p; p++)
        if (p[0] == '%' && p[1] == 'u') {
            fprintf(f, "%u", port);
            p++;
        } else {
            fputc(*p, f);
        }
    fclose(f);
    return out;
}

static struct snapshot *compile(struct world *w, const char *yaml)
{
    char *text = with_port(yaml, w->origin_port);
    struct load_options o = {.root = ""};
    struct report r;
    report_init(&r);
    struct config *c = load_bytes(slice_str(text), "world.yaml", &o, &r);
    if (!c && r.first)
        fail_msg("%s", r.first->message);
    report_fini(&r);
    free(text);
    struct snapshot *s = snapshot_compile(c, 1);
    assert_int_equal(snapshot_bind(s, &w->registry, &w->slots, ++w->generation), OK);
    return s;
}

static void open_origin(struct world *w)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, SLICE("127.0.0.1:0")), OK);
    assert_int_equal(socket_bind(&a, false, 0, &w->origin_fd), OK);
    assert_int_equal(socket_listen(w->origin_fd, 512), OK);
    a = socket_local(w->origin_fd);
    w->origin_port = addr_port(&a);
}

void world_init(struct world *w, const char *yaml)
{
    *w = (struct world){0};
    open_origin(w);
    registry_init(&w->registry, 1);
    assert_int_equal(loop_init(&w->loop, 64u << 20), OK);
    conn_pool_init(&w->loop, 10000);
    proxy_init(&w->proxy, &w->loop, 0, 10000);
    counters_init(&w->counters);
    w->proxy.counters = &w->counters;
    w->proxy.released = on_released;
    w->proxy.owner = w;
    world_reload(w, yaml);
}

void world_reload(struct world *w, const char *yaml)
{
    w->snapshot = compile(w, yaml);
    proxy_adopt(&w->proxy, w->snapshot);
}

void world_assert_quiet(const struct world *w)
{
    assert_int_equal(counter_get(&w->counters.exchanges_active), 0);
    assert_int_equal(counter_get(&w->counters.sessions_active), 0);
    assert_int_equal(counter_get(&w->counters.snapshot_pins), 0);
    assert_int_equal(w->proxy.exchanges.live, 0);
    assert_int_equal(w->proxy.sessions.live, 0);
    assert_int_equal(w->loop.chunks.used_bytes, 0);
    for (size_t i = 0; i < w->snapshot->groups_n; i++)
        for (size_t j = 0; j < w->snapshot->groups[i].members_n; j++)
            assert_int_equal(target_in_flight(w->snapshot->groups[i].members[j].target), 0);
}

void world_fini(struct world *w)
{
    proxy_cut(&w->proxy);
    world_turn(w, 3);
    world_assert_quiet(w);
    assert_int_equal(w->proxy.upstream.links.live, 0);
    assert_int_equal(w->loop.conns.live, 0);
    assert_int_equal(w->released, w->generation - 1);
    proxy_fini(&w->proxy);
    snapshot_free(w->snapshot, &w->registry);
    registry_sweep(&w->registry);
    registry_fini(&w->registry);
    slot_table_fini(&w->slots);
    counters_fini(&w->counters);
    loop_fini(&w->loop);
    close(w->origin_fd);
}

int world_client(struct world *w, unsigned slot)
{
    int fd[2];
    struct addr peer, local;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(addr_parse(&peer, SLICE("192.0.2.7:4711")), OK);
    assert_int_equal(addr_parse(&local, SLICE("192.0.2.1:80")), OK);
    proxy_accept(&w->proxy, slot, fd[1], &peer, &local);
    return fd[0];
}

int world_origin(struct world *w)
{
    int fd;
    return socket_accept(w->origin_fd, &fd, NULL) == OK ? fd : -1;
}

void world_turn(struct world *w, int turns)
{
    while (turns-- > 0)
        loop_turn(&w->loop);
}
