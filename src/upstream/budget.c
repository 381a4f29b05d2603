#include "upstream/budget.h"

#include <string.h>

void budget_turn(struct budget *b, uint64_t now_ms)
{
    uint64_t slots = (now_ms - b->until_ms) / BUDGET_SLOT_MS + 1;
    if (slots >= BUDGET_SLOTS) {
        *b = (struct budget){.until_ms = now_ms + BUDGET_SLOT_MS};
        return;
    }
    b->until_ms += slots * BUDGET_SLOT_MS;
    for (; slots > 0; slots--) {
        b->at = (b->at + 1) % BUDGET_SLOTS;
        b->requests[b->at] = b->replays[b->at] = 0;
    }
}

static uint64_t sum(const uint32_t slots[BUDGET_SLOTS])
{
    uint64_t n = 0;
    for (unsigned i = 0; i < BUDGET_SLOTS; i++)
        n += slots[i];
    return n;
}

bool budget_replay(struct budget *b, struct budget_rule rule, uint64_t now_ms)
{
    if (now_ms >= b->until_ms)
        budget_turn(b, now_ms);
    uint64_t allowed = sum(b->requests) * rule.percent / 100;
    if (allowed < rule.minimum)
        allowed = rule.minimum;
    if (sum(b->replays) >= allowed)
        return false;
    b->replays[b->at]++;
    return true;
}
