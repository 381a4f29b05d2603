/* peak_ewma: two targets are drawn by weight, and the one is taken where a request is likely to be
 * answered sooner: its recent latency (upstream/latency.h) times the requests it has to do.
 *
 * Both are this worker's own: no line is shared between workers, and each measures the way from
 * here. A target that was never measured is asked once; until its answer is there it counts as
 * slow, so that it is not flooded. */
#include <stdlib.h>

#include "upstream/crowd.h"

struct ewma {
    struct balancer base;
    struct crowd crowd;
    const struct target_local **locals; /* of the places, this worker's */
};

static struct balancer *build(const struct balance_set *set, const struct balancer *before,
                              struct rng *rng)
{
    (void)before, (void)rng;
    struct ewma *e = balance_alloc(sizeof(*e));
    e->base.ops = &balance_ewma;
    crowd_init(&e->crowd, set);
    e->locals = balance_alloc(e->crowd.n * sizeof(*e->locals));
    for (uint32_t i = 0; i < e->crowd.n; i++)
        e->locals[i] = &e->crowd.places[i].target->local[set->worker];
    return &e->base;
}

static uint64_t cost(const struct ewma *e, const struct crowd_place *place, uint64_t now_us)
{
    const struct target_local *l = e->locals[place - e->crowd.places];
    uint64_t in_flight = counter_get(&l->in_flight);
    if (l->latency.at_us == 0)
        return in_flight * LATENCY_FAILED_US;
    return (latency_now(&l->latency, now_us) + 1) * (in_flight + 1);
}

static const struct crowd_place *better(const struct ewma *e, const struct crowd_place *a,
                                        const struct crowd_place *b, uint64_t now_us)
{
    return cost(e, b, now_us) < cost(e, a, now_us) ? b : a;
}

/* The second draw is another one, if there is one. */
static const struct crowd_place *draw_other(const struct ewma *e, const struct crowd_place *than,
                                            struct rng *rng)
{
    const struct crowd_place *place = crowd_draw(&e->crowd, rng);
    if (place != than)
        return place;
    size_t at = (size_t)(than - e->crowd.places) + 1;
    return &e->crowd.places[at < e->crowd.n ? at : 0];
}

static const struct member *pick(struct balancer *b, const struct pick *p, struct rng *rng)
{
    const struct ewma *e = (const struct ewma *)b;
    if (pick_allows_all(p)) {
        const struct crowd_place *a = crowd_draw(&e->crowd, rng);
        return better(e, a, draw_other(e, a, rng), p->now_us)->member;
    }
    const struct crowd_place *a = crowd_draw_allowed(&e->crowd, p, rng);
    const struct crowd_place *c = a ? crowd_draw_allowed(&e->crowd, p, rng) : NULL;
    if (a && c) /* the limit of the only one left may be reached meanwhile */
        a = better(e, a, c, p->now_us);
    return a ? a->member : NULL;
}

static void destroy(struct balancer *b)
{
    struct ewma *e = (struct ewma *)b;
    crowd_fini(&e->crowd);
    free(e->locals);
    free(e);
}

const struct balance_ops balance_ewma = {build, pick, destroy};
