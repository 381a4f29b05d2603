#include "support/fleet.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/socket.h"

static void on_notify(struct task *t)
{
    container_of(t, struct fleet, notify)->notified++;
}

static struct addr address(struct fleet *f, size_t i)
{
    char text[64];
    struct addr a = socket_local(f->reserve);
    snprintf(text, sizeof(text), "127.0.0.%u:%u", (unsigned)i + 1, addr_port(&a));
    assert_int_equal(addr_parse(&a, slice_str(text)), OK);
    return a;
}

/* Bound to all addresses without listening: connects are refused where nobody else listens. */
static void reserve_port(struct fleet *f)
{
    struct addr a;
    int yes = 1;
    assert_int_equal(addr_parse(&a, SLICE("0.0.0.0:0")), OK);
    f->reserve = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(f->reserve, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    assert_int_equal(bind(f->reserve, &a.sa, a.len), 0);
}

static void open_target(struct fleet *f, size_t i, enum fleet_kind kind)
{
    struct addr a = address(f, i);
    f->members[i] = (struct member){.target = registry_get(&f->registry, SLICE("app"), &a),
                                    .weight = 1};
    f->fd[i] = -1;
    if (kind == FLEET_REFUSES)
        return;
    assert_int_equal(socket_bind(&a, false, 0, &f->fd[i]), OK);
    assert_int_equal(socket_listen(f->fd[i], kind == FLEET_IS_SILENT ? 0 : 16), OK);
    for (size_t k = 0; k < ARRAY_LEN(f->filler[i]); k++) {
        f->filler[i][k] = -1;
        if (kind == FLEET_IS_SILENT)
            assert_int_equal(socket_connect(&a, &f->filler[i][k]), OK);
    }
}

void fleet_init(struct fleet *f, const enum fleet_kind *kinds, size_t n)
{
    *f = (struct fleet){0};
    assert_true(n <= FLEET_MAX);
    assert_int_equal(loop_init(&f->loop, 64u << 20), OK);
    conn_pool_init(&f->loop, 100);
    upstream_init(&f->up, &f->loop, 0, 100);
    registry_init(&f->registry, 1);
    task_init(&f->notify, on_notify);
    reserve_port(f);
    for (size_t i = 0; i < n; i++)
        open_target(f, i, kinds[i]);
    group_init(&f->group, 1);
    f->group.members = f->members;
    f->group.members_n = n;
    f->group.connect_timeout_ms = 10000;
    f->group.keep_alive_ms = 60000;
    f->group.retries = 2;
    (void)poll(NULL, 0, 20);
}

void fleet_fini(struct fleet *f)
{
    loop_turn(&f->loop);
    for (size_t i = 0; i < f->group.members_n; i++) {
        assert_int_equal(counter_get(&fleet_local(f, i)->in_flight), 0);
        link_close_idle(f->members[i].target, 0);
        assert_int_equal(counter_get(&fleet_local(f, i)->idle_links), 0);
        assert_false(target_busy(f->members[i].target));
    }
    loop_turn(&f->loop);
    assert_int_equal(f->up.links.live, 0);
    assert_int_equal(f->loop.conns.live, 0);
    assert_int_equal(f->loop.chunks.used_bytes, 0);
    for (size_t i = 0; i < f->group.members_n; i++) {
        registry_release(&f->registry, f->members[i].target);
        if (f->fd[i] < 0)
            continue;
        close(f->fd[i]);
        for (size_t k = 0; k < ARRAY_LEN(f->filler[i]); k++)
            if (f->filler[i][k] >= 0)
                close(f->filler[i][k]);
    }
    group_fini(&f->group);
    registry_sweep(&f->registry);
    registry_fini(&f->registry);
    upstream_fini(&f->up);
    loop_fini(&f->loop);
    close(f->reserve);
}

void fleet_turn(struct fleet *f)
{
    loop_turn(&f->loop);
    (void)poll(NULL, 0, 1);
    loop_turn(&f->loop);
}

enum lease_state fleet_decide(struct fleet *f, struct lease *l)
{
    for (int i = 0; i < 1000 && l->state == LEASE_WAIT; i++)
        fleet_turn(f);
    return l->state;
}

enum lease_state fleet_lease(struct fleet *f, struct lease *l)
{
    lease_init(l, &f->up, &f->group, &f->notify);
    enum lease_state s = lease_begin(l);
    return s == LEASE_WAIT ? fleet_decide(f, l) : s;
}

int fleet_accept(struct fleet *f, size_t i)
{
    int fd = -1;
    for (int k = 0; k < 1000 && fd < 0; k++)
        if (socket_accept(f->fd[i], &fd, NULL) != OK)
            fleet_turn(f);
    assert_true(fd >= 0);
    return fd;
}

struct target_local *fleet_local(struct fleet *f, size_t i)
{
    return &f->members[i].target->local[0];
}
