#include "upstream/balance.h"

#include <stdlib.h>

#include "base/check.h"

#define LINE 64

void *balance_alloc(size_t bytes)
{
    size_t lines = (bytes + LINE - 1) / LINE;
    void *p = aligned_alloc(LINE, lines * LINE);
    CHECK(p);
    return memset(p, 0, lines * LINE);
}

void balance_free(struct balancer *b)
{
    if (b)
        b->ops->free(b);
}
