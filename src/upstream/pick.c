#include "upstream/pick.h"

#include "upstream/group.h"

static const struct slice names[] = {
    [ZONE_CROSS] = SLICE_INIT("cross"), [ZONE_LOCAL] = SLICE_INIT("local"),
    [ZONE_SPILL] = SLICE_INIT("spill"), [ZONE_FAILOPEN] = SLICE_INIT("failopen"),
    [ZONE_SHIFT] = SLICE_INIT("shift"), [ZONE_STICKY] = SLICE_INIT("sticky"),
};

struct slice pick_decision_name(enum zone_decision d)
{
    return names[d];
}

bool pick_allows(const struct pick *p, const struct member *m)
{
    for (unsigned i = 0; i < p->skip_n; i++)
        if (p->skip[i] == m->target)
            return false;
    if (p->limit && target_outstanding(m->target) >= p->limit)
        return false;
    return p->avoid_zone.n == 0 || !slice_eq(p->avoid_zone, m->zone);
}
