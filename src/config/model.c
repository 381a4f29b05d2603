#include "config/model.h"

#include "base/check.h"

struct config *model_hold(struct config *c)
{
    atomic_fetch_add_explicit(&c->holds, 1, memory_order_relaxed);
    return c;
}

void model_free(struct config *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->holds, 1, memory_order_acq_rel) > 0)
        return;
    /* The struct lives in its own arena: take the arena out before it goes. */
    struct arena arena = c->arena;
    arena_fini(&arena);
}

void model_matcher_add(struct config_matcher *m, unsigned code)
{
    CHECK(code <= CONFIG_CODE_MAX);
    m->bits[code / 8] |= (uint8_t)(1u << code % 8);
}

bool model_matcher_has(const struct config_matcher *m, unsigned code)
{
    return code <= CONFIG_CODE_MAX && (m->bits[code / 8] >> code % 8 & 1);
}
