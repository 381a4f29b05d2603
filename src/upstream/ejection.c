#include "upstream/ejection.h"

#include "base/check.h"

uint64_t ejection_length_ms(const struct config_ejection *c, uint32_t steps)
{
    CHECK(steps > 0);
    uint64_t ms = c->base_time_ms;
    while (--steps > 0 && ms < c->max_time_ms)
        ms *= 2;
    return ms < c->max_time_ms ? ms : c->max_time_ms;
}

bool ejection_fits(const struct config_ejection *c, size_t out_n, size_t all_n)
{
    return (out_n + 1) * 100 <= all_n * c->max_percent;
}

/* One step back for each length of good behaviour. */
static void forgive(struct ejection *e, const struct config_ejection *c, uint64_t now_ms)
{
    uint64_t good_ms = now_ms > e->until_ms ? now_ms - e->until_ms : 0;
    while (e->steps > 0 && good_ms >= ejection_length_ms(c, e->steps))
        good_ms -= ejection_length_ms(c, e->steps--);
}

void ejection_begin(struct ejection *e, const struct config_ejection *c, uint64_t now_ms)
{
    CHECK(!e->out);
    forgive(e, c, now_ms);
    e->out = true;
    if (e->steps < UINT32_MAX)
        e->steps++;
    e->total++;
    e->until_ms = now_ms + ejection_length_ms(c, e->steps);
}

bool ejection_end(struct ejection *e, uint64_t now_ms)
{
    if (!e->out || now_ms < e->until_ms)
        return false;
    e->out = false;
    return true;
}
