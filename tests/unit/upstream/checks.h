/* A checker on a loop of its own; the test plays the target, on loopback. */
#ifndef UNIT_UPSTREAM_CHECKS_H
#define UNIT_UPSTREAM_CHECKS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/world.h"
#include "upstream/checker.h"

#define TARGETS "\"127.0.0.1:%u\""

struct fixture {
    struct world world;
    struct news news;
    struct checker checker;
};

/* version, check: the group's protocol_version and health_check. */
static inline const char *yaml(const char *version, const char *check, const char *targets)
{
    static char text[2000];
    snprintf(
        text, sizeof(text),
        "limits: {response_head: 1KiB}\n"
        "listeners:\n"
        "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: g}}\n"
        "target_groups:\n"
        "  - name: g\n"
        "    protocol_version: %s\n"
        "    health_check: %s\n"
        "    targets: [%s]\n",
        version, check, targets);
    return text;
}

static inline void adopt(struct fixture *f)
{
    checker_adopt(&f->checker, f->world.snapshot->groups, f->world.snapshot->groups_n,
                  &f->world.snapshot->config->limits);
}

static inline void begin_version(struct fixture *f, const char *version, const char *check,
                                 const char *targets)
{
    world_init(&f->world, yaml(version, check, targets));
    news_init(&f->news, &f->world.loop);
    checker_init(&f->checker, &f->world.loop, &f->news);
    adopt(f);
}

static inline void begin(struct fixture *f, const char *check, const char *targets)
{
    begin_version(f, "http1", check, targets);
}

static inline void reload_version(struct fixture *f, const char *version, const char *check,
                                  const char *targets)
{
    struct snapshot *old = f->world.snapshot;
    char *text = strdup(yaml(version, check, targets));
    /* As the supervisor does: the checker first, while the old one is there. */
    proxy_pin(&f->world.proxy, old);
    world_reload(&f->world, text);
    adopt(f);
    proxy_unpin(&f->world.proxy, old);
    free(text);
}

static inline void reload(struct fixture *f, const char *check, const char *targets)
{
    reload_version(f, "http1", check, targets);
}

static inline void end(struct fixture *f)
{
    checker_fini(&f->checker);
    news_fini(&f->news);
    world_turn(&f->world, 2);
    world_fini(&f->world);
}

static inline struct target *target(struct fixture *f, size_t i)
{
    return f->world.snapshot->groups[0].members[i].target;
}

static inline uint32_t epoch(struct fixture *f)
{
    return atomic_load(&f->world.snapshot->groups[0].news->epoch);
}

static inline void pass_time(struct fixture *f)
{
    usleep(500);
    world_turn(&f->world, 2);
}

/* The next check's connection. */
static inline int await(struct fixture *f)
{
    for (int i = 0; i < 6000; i++) {
        int fd = world_origin(&f->world);
        if (fd >= 0)
            return fd;
        pass_time(f);
    }
    fail_msg("no check came");
    return -1;
}

static inline void turn_for(struct fixture *f, unsigned ms)
{
    uint64_t until = f->world.loop.clock.now_ms + ms;
    while (f->world.loop.clock.now_ms < until)
        pass_time(f);
}

/* Until the check that has fd is over: its end of the connection is closed. */
static inline void await_end(struct fixture *f, int fd)
{
    char byte[4096];
    for (int i = 0; i < 6000; i++) {
        ssize_t n = recv(fd, byte, sizeof(byte), 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return;
        pass_time(f);
    }
    fail_msg("the check does not end");
}

static inline void say(int fd, struct slice s)
{
    assert_int_equal(send(fd, s.p, s.n, MSG_NOSIGNAL), s.n);
}

static inline void assert_health(struct fixture *f, enum health_state state, const char *reason)
{
    struct slice got = health_reason(&target(f, 0)->health);
    if (target_state(target(f, 0)) != state || !slice_eq(got, slice_str(reason)))
        fail_msg("%s %s, wanted state %d %s", health_state_name(target(f, 0)->health.state).p,
                 got.p, state, reason);
}

#endif
