#include "upstream/discover.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void discover_init(struct discover *d)
{
    *d = (struct discover){0};
}

static void forget(struct discover_target *t)
{
    free((char *)t->host);
}

void discover_fini(struct discover *d)
{
    for (size_t i = 0; i < d->known_n; i++)
        forget(&d->known[i]);
    free(d->known);
    discover_init(d);
}

/* ---- what is known, by address ---- */

/* Open addressing; holds index + 1. */
struct index {
    uint32_t *slots;
    size_t slots_n; /* a power of two, at least twice what is put in */
};

static struct index new_index(size_t n)
{
    struct index ix = {.slots_n = 16};
    while (ix.slots_n < 2 * n)
        ix.slots_n *= 2;
    ix.slots = calloc(ix.slots_n, sizeof(*ix.slots));
    CHECK(ix.slots);
    return ix;
}

/* The slot of the address, or the free one where it belongs. */
static uint32_t *slot_of(const struct index *ix, const struct discover *d, const struct addr *a)
{
    size_t at = addr_hash(a, 0) & (ix->slots_n - 1);
    while (ix->slots[at] && !addr_eq(&d->known[ix->slots[at] - 1].addr, a))
        at = (at + 1) & (ix->slots_n - 1);
    return &ix->slots[at];
}

static struct index index_known(const struct discover *d, size_t more)
{
    struct index ix = new_index(d->known_n + more);
    for (size_t i = 0; i < d->known_n; i++)
        *slot_of(&ix, d, &d->known[i].addr) = (uint32_t)i + 1;
    return ix;
}

void discover_add(struct discover *d, const struct discover_target *t)
{
    if (d->known_n == d->known_cap) {
        d->known_cap = d->known_cap ? d->known_cap * 2 : 8;
        d->known = realloc(d->known, d->known_cap * sizeof(*d->known));
        CHECK(d->known);
    }
    struct discover_target *to = &d->known[d->known_n++];
    *to = *t;
    to->host = strdup(t->host);
    CHECK(to->host);
    to->missed = 0;
}

/* ---- an answer ---- */

static bool is_usable(const struct addr *a)
{
    if (addr_is_wildcard(a))
        return false;
    if (addr_family(a) == AF_INET)
        return !IN_MULTICAST(ntohl(a->in4.sin_addr.s_addr)) &&
               a->in4.sin_addr.s_addr != INADDR_BROADCAST;
    return addr_family(a) == AF_INET6 && !IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr);
}

static bool update(struct discover_target *k, const struct discover_target *t)
{
    bool changed = k->priority != t->priority || k->weight != t->weight ||
                   strcmp(k->host, t->host) != 0;
    k->priority = t->priority;
    k->weight = t->weight;
    if (strcmp(k->host, t->host) != 0) {
        free((char *)k->host);
        k->host = strdup(t->host);
        CHECK(k->host);
    }
    return changed;
}

/* Who is in the answer: seen[i] for known[i]. */
static bool take_targets(struct discover *d, const struct discover_answer *a, bool *seen)
{
    struct index ix = index_known(d, a->targets_n);
    bool changed = false;
    for (size_t i = 0; i < a->targets_n; i++) {
        const struct discover_target *t = &a->targets[i];
        if (!is_usable(&t->addr))
            continue;
        uint32_t *slot = slot_of(&ix, d, &t->addr);
        if (!*slot) {
            discover_add(d, t);
            *slot = (uint32_t)d->known_n;
            changed = true;
        } else if (!seen[*slot - 1]) {
            changed |= update(&d->known[*slot - 1], t);
        }
        seen[*slot - 1] = true;
    }
    free(ix.slots);
    return changed;
}

static bool in_gap(const struct discover_answer *a, const struct discover_target *k)
{
    for (size_t i = 0; i < a->gaps_n; i++)
        if (a->gaps[i].family == addr_family(&k->addr) && strcmp(a->gaps[i].host, k->host) == 0)
            return true;
    return false;
}

/* False: it is not held any longer. */
static bool miss(struct discover_target *k, uint64_t now_ms, uint64_t hold_ms)
{
    if (k->missed++ == 0)
        k->missed_ms = now_ms;
    return k->missed < DISCOVER_MISSES || now_ms - k->missed_ms < hold_ms;
}

static bool drop_missing(struct discover *d, const struct discover_answer *a, const bool *seen,
                         uint64_t now_ms, uint64_t hold_ms)
{
    size_t kept = 0, before = d->known_n;
    for (size_t i = 0; i < before; i++) {
        struct discover_target k = d->known[i];
        if (seen[i])
            k.missed = 0;
        if (seen[i] || in_gap(a, &k) || miss(&k, now_ms, hold_ms))
            d->known[kept++] = k;
        else
            forget(&k);
    }
    d->known_n = kept;
    return kept < before;
}

static bool any_usable(const struct discover_answer *a)
{
    for (size_t i = 0; i < a->targets_n; i++)
        if (is_usable(&a->targets[i].addr))
            return true;
    return false;
}

bool discover_take(struct discover *d, const struct discover_answer *a, uint64_t now_ms,
                   uint64_t hold_ms)
{
    if (!any_usable(a)) {
        d->failures++;
        return false;
    }
    bool *seen = calloc(d->known_n + a->targets_n, sizeof(*seen));
    CHECK(seen);
    d->failures = 0;
    bool changed = take_targets(d, a, seen);
    changed |= drop_missing(d, a, seen, now_ms, hold_ms);
    free(seen);
    return changed;
}

uint32_t discover_wait_ms(const struct discover *d, uint32_t ttl_s, struct rng *rng)
{
    uint64_t ms = ttl_s * 1000ull, most = DISCOVER_MAX_MS;
    if (d->failures) {
        most = DISCOVER_RETRY_MAX_MS;
        ms = DISCOVER_MIN_MS << (d->failures < 10 ? d->failures - 1 : 9);
    }
    if (ms > most)
        ms = most;
    ms += rng_below(rng, (uint32_t)(ms / 20 + 1));
    return (uint32_t)(ms < DISCOVER_MIN_MS ? DISCOVER_MIN_MS : ms);
}
