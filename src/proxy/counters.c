#include "proxy/counters.h"

#include <stdlib.h>

#include "base/check.h"
#include "proxy/snapshot.h"

void counters_init(struct counters *c)
{
    *c = (struct counters){.listeners = calloc(SLOTS_MAX, sizeof(*c->listeners))};
    CHECK(c->listeners);
}

void counters_fini(struct counters *c)
{
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        free(atomic_load_explicit(&c->listeners[i], memory_order_relaxed));
    free(c->listeners);
    c->listeners = NULL;
}

static struct listener_counters *first_use(struct counters *c, unsigned slot)
{
    struct listener_counters *k = calloc(1, sizeof(*k));
    CHECK(k);
    /* Pairs with counters_peek(): a reader that sees the block sees its zeros. */
    atomic_store_explicit(&c->listeners[slot], k, memory_order_release);
    return k;
}

struct listener_counters *counters_of(struct counters *c, unsigned slot)
{
    CHECK(slot < SLOTS_MAX);
    struct listener_counters *k = atomic_load_explicit(&c->listeners[slot], memory_order_relaxed);
    return k ? k : first_use(c, slot);
}

const struct listener_counters *counters_peek(const struct counters *c, unsigned slot)
{
    CHECK(slot < SLOTS_MAX);
    return atomic_load_explicit(&c->listeners[slot], memory_order_acquire);
}
