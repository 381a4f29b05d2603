/* Zones at work: seeded cases of zones, targets, failures and policies over real views and picks.
 *
 * One node stands in each zone and has the same work as every other, as many picks as its zone has
 * targets, times PICKS. What each target gets is counted over all nodes and compared with what is
 * ideal: all work, divided by the healthy targets. `SIM_SEED=N` repeats one case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "support/zone_world.h"

#define CASES 2500
#define ZONES 4
#define EACH  8   /* targets of a zone, at most */
#define PICKS 200 /* for each target of the node's zone */

struct sim {
    uint64_t seed;
    struct rng rng;
    unsigned zones, each; /* every zone has as many targets */
    char layout[ZONES * EACH + 1], states[ZONES * EACH + 1];
    struct config_group_attributes config;
    unsigned load[ZONES * EACH];
    struct zone_world world; /* of the node that is looked at */
};

static void check(const struct sim *s, bool good, const char *what)
{
    if (!good)
        fail_msg("SIM_SEED=%llu: %s (policy %d, %s, %s)", (unsigned long long)s->seed, what,
                 s->config.zone_policy.policy, s->layout, s->states);
}

static void lay_out(struct sim *s)
{
    s->zones = 2 + rng_below(&s->rng, ZONES - 1);
    s->each = 2 + rng_below(&s->rng, EACH - 1);
    unsigned n = s->zones * s->each;
    for (unsigned i = 0; i < n; i++)
        s->layout[i] = (char)('a' + i / s->each);
    memset(s->states, '1', n);
}

/* Any k of n, but not all. */
static void fail_some(struct sim *s)
{
    unsigned n = s->zones * s->each, k = rng_below(&s->rng, n);
    memset(s->states, '1', n);
    for (unsigned i = 0; i < k; i++)
        s->states[rng_below(&s->rng, n)] = '0';
    if (!strchr(s->states, '1'))
        s->states[0] = '1';
}

static unsigned healthy_in(const struct sim *s, unsigned zone)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->each; i++)
        n += s->states[zone * s->each + i] == '1';
    return n;
}

static unsigned healthy(const struct sim *s)
{
    unsigned n = 0;
    for (unsigned z = 0; z < s->zones; z++)
        n += healthy_in(s, z);
    return n;
}

static void begin_node(struct sim *s, unsigned zone)
{
    char name[] = {(char)('a' + zone), '\0'};
    zone_world_init(&s->world, s->layout, s->config, name);
    s->world.rng = s->rng;
}

/* Until shares stand still; then what the node's work comes to. Returns what left its zone. */
static unsigned work(struct sim *s, unsigned zone, char shifted)
{
    unsigned left = 0;
    zone_world_pass(&s->world, 40000);
    for (unsigned i = 0; i < s->each * PICKS; i++) {
        struct pick p = {0};
        int at = zone_world_pick(&s->world, &p);
        check(s, at >= 0, "nobody was picked");
        check(s, s->states[at] == '1', "an unhealthy target was picked");
        check(s, s->layout[at] != shifted, "a target of a shifted zone was picked");
        s->load[at]++;
        left += s->layout[at] != (char)('a' + zone);
    }
    return left;
}

static double heaviest(const struct sim *s)
{
    double most = 0;
    for (unsigned i = 0; i < s->zones * s->each; i++)
        most = s->load[i] > most ? s->load[i] : most;
    return most;
}

/* ---- load after failures ---- */

/* How much more than the ideal a target may get under this policy. */
static double most_of_ideal(const struct sim *s)
{
    double over = s->config.zones.overprovision_permille / 1000.0;
    if (s->config.zone_policy.policy != CONFIG_ZONES_PREFER_LOCAL || over < 1.2)
        return 1.2;
    return over;
}

/* Of the node's work, what should leave its zone: computed apart from zone_plan. */
static double optimum(const struct sim *s, unsigned zone)
{
    double all = s->zones * s->each, well = healthy(s), here = healthy_in(s, zone);
    double over = s->config.zones.overprovision_permille / 1000.0;
    if (s->config.zone_policy.policy == CONFIG_ZONES_CROSS)
        return 1 - here / well;
    if (s->config.zone_policy.policy == CONFIG_ZONES_BALANCED)
        over = 0;
    over = all / well > over ? all / well : over;
    double stays = over * here / s->each;
    return stays < 1 ? 1 - stays : 0;
}

static void run_failures(struct sim *s)
{
    memset(s->load, 0, sizeof(s->load));
    fail_some(s);
    for (unsigned z = 0; z < s->zones; z++) {
        begin_node(s, z);
        zone_world_pass(&s->world, 1000);
        zone_world_states(&s->world, s->states);
        double share = work(s, z, 0) / (double)(s->each * PICKS), want = optimum(s, z);
        zone_world_fini(&s->world);
        check(s, share < want + 0.02 && share > want - 0.02, "the cross-zone share is off");
    }
    double ideal = (double)s->zones * s->each * PICKS / healthy(s);
    check(s, heaviest(s) <= most_of_ideal(s) * ideal + s->zones, "a target has too much");
}

static struct sim *new_case(uint64_t seed)
{
    static const enum config_zone_policy policies[] = {
        CONFIG_ZONES_CROSS, CONFIG_ZONES_PREFER_LOCAL, CONFIG_ZONES_BALANCED};
    static const uint32_t overs[] = {1000, 1200, 1400};
    struct sim *s = calloc(1, sizeof(*s));
    s->seed = seed;
    s->rng.state = seed;
    s->config.fail_open = true;
    s->config.zone_policy.policy = policies[rng_below(&s->rng, 3)];
    s->config.zones.overprovision_permille = overs[rng_below(&s->rng, 3)];
    s->config.zones.smoothing_ms = rng_below(&s->rng, 2) ? 5000 : 0;
    lay_out(s);
    return s;
}

static void test_after_any_failures_load_is_near_the_ideal(void **state)
{
    (void)state;
    const char *only = getenv("SIM_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : CASES;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct sim *s = new_case(seed);
        run_failures(s);
        free(s);
    }
}

/* ---- shifts ---- */

static void test_a_shifted_zone_gets_nothing_and_comes_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= CASES / 5; seed++) {
        struct sim *s = new_case(seed);
        char shifted = (char)('a' + rng_below(&s->rng, s->zones));
        for (unsigned z = 0; z < s->zones; z++) {
            unsigned counts[26];
            begin_node(s, z);
            zone_world_pass(&s->world, 1000);
            zone_world_shift(&s->world, shifted);
            (void)work(s, z, shifted);
            zone_world_shift(&s->world, 0);
            zone_world_pass(&s->world, 60000);
            zone_world_count(&s->world, 400, counts, NULL);
            bool should =
                s->config.zone_policy.policy == CONFIG_ZONES_CROSS || shifted == 'a' + (char)z;
            check(s, !should || counts[shifted - 'a'] > 0, "the zone did not come back");
            zone_world_fini(&s->world);
        }
        free(s);
    }
}

/* ---- noise ---- */

/* Targets' weights are noisy by 5 percent, ten times a second: the local share neither goes up and
 * down, nor is it far from where it should be. */
static void run_noise(struct sim *s)
{
    double was = 1, low = 1, high = 0;
    unsigned rises = 0;
    s->config.zone_policy.policy = CONFIG_ZONES_PREFER_LOCAL;
    s->config.zones.smoothing_ms = 5000;
    fail_some(s);
    begin_node(s, 0);
    zone_world_states(&s->world, s->states);
    zone_world_pass(&s->world, 40000);
    for (unsigned t = 0; t < 600; t++) {
        unsigned counts[26];
        for (size_t i = 0; i < s->world.group.members_n; i++)
            atomic_store(&s->world.members[i].target->share,
                         (uint16_t)(950 + rng_below(&s->rng, 51)));
        zone_world_states(&s->world, s->states);
        zone_world_pass(&s->world, 100);
        if (t < 100)
            continue; /* weights that are 2.5 % lower are a change, not noise */
        zone_world_count(&s->world, 1000, counts, NULL);
        double now = counts[0] / 1000.0;
        rises += now > was + 0.002;
        low = now < low ? now : low;
        high = now > high ? now : high;
        was = now;
    }
    zone_world_fini(&s->world);
    check(s, rises <= 2 && high - low <= 0.03, "noise moves the share");
}

static void test_noise_moves_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct sim *s = new_case(seed);
        run_noise(s);
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_any_failures_load_is_near_the_ideal),
        cmocka_unit_test(test_a_shifted_zone_gets_nothing_and_comes_back),
        cmocka_unit_test(test_noise_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
