#include "config/model.h"

void model_free(struct config *c)
{
    if (!c)
        return;
    /* The struct lives in its own arena: take the arena out before it goes. */
    struct arena arena = c->arena;
    arena_fini(&arena);
}
