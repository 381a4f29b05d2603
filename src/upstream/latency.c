#include "upstream/latency.h"

void latency_note(struct latency *l, uint64_t us, uint64_t now_us)
{
    uint64_t age_us = now_us - l->at_us;
    if (us > (1ull << 40))
        us = 1ull << 40;
    if (l->us > us && latency_faded(l->us, age_us) > us)
        l->us = us + latency_faded(l->us - us, age_us);
    else
        l->us = us;
    l->at_us = now_us;
}
