/* What a pick costs: pick ALGORITHM TARGETS PICKS makes a group of that size, picks that often and
 * prints nanoseconds a pick. Under callgrind, --toggle-collect=picks counts the picks alone. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "upstream/balance.h"
#include "upstream/registry.h"

static const struct {
    const char *name;
    enum config_algorithm algorithm;
} algorithms[] = {
    {"round_robin", CONFIG_ALGORITHM_ROUND_ROBIN},
    {"least_outstanding_requests", CONFIG_ALGORITHM_LEAST_OUTSTANDING},
    {"weighted_random", CONFIG_ALGORITHM_WEIGHTED_RANDOM},
    {"peak_ewma", CONFIG_ALGORITHM_PEAK_EWMA},
    {"source_hash", CONFIG_ALGORITHM_SOURCE_HASH},
    {"consistent_hash", CONFIG_ALGORITHM_CONSISTENT_HASH},
};

static struct group group;
static struct rng rng = {1};
static volatile size_t last;

void picks(uint64_t n);

/* The toggle of callgrind: to be found by name. */
__attribute__((noinline)) void picks(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct pick p = {.hash = hash_mix(i), .now_us = 1000000 + i};
        last = (size_t)(group_pick(&group, 0, &rng, &p) - group.members);
    }
}

/* Some have work and all were measured. */
static void add_targets(struct registry *r, size_t n)
{
    group.members = calloc(n, sizeof(*group.members));
    CHECK(group.members);
    group.members_n = n;
    for (size_t i = 0; i < n; i++) {
        char ip[32];
        struct addr a;
        snprintf(ip, sizeof(ip), "10.%u.%u.%u", (unsigned)(i >> 16) & 255, (unsigned)(i >> 8) & 255,
                 (unsigned)i & 255);
        CHECK(addr_parse_ip(&a, slice_str(ip), 80) == OK);
        struct target *t = registry_get(r, SLICE("app"), &a);
        t->outstanding = rng_below(&rng, 4);
        t->news->outstanding += t->outstanding;
        latency_note(&t->local[0].latency, 1000 + rng_below(&rng, 1000), 900000);
        group.members[i] = (struct member){.target = t, .addr = &t->addr, .weight = 1};
    }
}

static bool choose(const char *name)
{
    static struct config_group_attributes attributes;
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (strcmp(name, algorithms[i].name) == 0) {
            attributes.algorithm = algorithms[i].algorithm;
            balance_choose(&group, &attributes);
            return true;
        }
    return false;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    struct registry registry;
    registry_init(&registry, 1);
    group_init(&group, 1);
    if (argc != 4 || !choose(argv[1])) {
        fprintf(stderr, "usage: pick ALGORITHM TARGETS PICKS\n");
        return 2;
    }
    uint64_t n = strtoull(argv[3], NULL, 10);
    add_targets(&registry, strtoull(argv[2], NULL, 10));
    double begun = now_ns();
    (void)group_refresh(&group, 0, &rng);
    double built = now_ns();
    picks(n);
    printf("%.1f ns a pick, %.2f ms for the view\n", (now_ns() - built) / (double)n,
           (built - begun) / 1e6);
    return 0;
}
