/* source_hash and consistent_hash: the same hash goes to the same target, while it serves.
 *
 * A try after a failed one goes on along the table, whose places are strewn: the clients of a
 * target that has failed are spread over all others, and each comes to the same one every time.
 *
 * consistent_hash has bounded loads (V. Mirrokni et al. 2016): a target that has, for its weight,
 * more than LOAD of the average in flight is passed over in the same way, so a popular key does not
 * drown one target. With few requests in flight an average says little: FEW are always allowed. */
#include <stdlib.h>

#include "upstream/maglev.h"
#include "upstream/registry.h"

#define LOAD_QUARTERS 5  /* 1.25 of the average */
#define FEW           8  /* in flight */
#define WALK          64 /* places; then it goes where it belongs, full or not */

struct hasher {
    struct balancer base;
    const struct member *members;
    uint32_t *table; /* indices of members */
    uint32_t size;
    uint32_t *weights; /* [members], for bounded loads */
    const struct target **targets; /* the same: a step less to them */
    uint64_t weights_sum;
};

static struct hasher *build(const struct balance_set *set, const struct balance_ops *ops)
{
    struct hasher *h = balance_alloc(sizeof(*h));
    h->base.ops = ops;
    h->members = set->members;
    h->size = maglev_size(set->members_n);
    h->table = maglev_build(set);
    return h;
}

static const struct member *at(const struct hasher *h, uint32_t place)
{
    return &h->members[h->table[place]];
}

static uint32_t after(const struct hasher *h, uint32_t place)
{
    return place + 1 < h->size ? place + 1 : 0;
}

static const struct member *pick(struct balancer *b, const struct pick *p, struct rng *rng)
{
    (void)rng;
    const struct hasher *h = (const struct hasher *)b;
    uint32_t place = maglev_place(p->hash, h->size);
    for (uint32_t i = 0; i < h->size; i++, place = after(h, place))
        if (pick_allows(p, at(h, place)))
            return at(h, place);
    return NULL;
}

static void destroy(struct balancer *b)
{
    struct hasher *h = (struct hasher *)b;
    free(h->table);
    free(h->weights);
    free(h->targets);
    free(h);
}

/* ---- source_hash ---- */

static struct balancer *build_source(const struct balance_set *set, const struct balancer *before,
                                     struct rng *rng)
{
    (void)before, (void)rng;
    return &build(set, &balance_hash_source)->base;
}

const struct balance_ops balance_hash_source = {build_source, pick, destroy};

/* ---- consistent_hash ---- */

static struct balancer *build_consistent(const struct balance_set *set,
                                         const struct balancer *before, struct rng *rng)
{
    (void)before, (void)rng;
    struct hasher *h = build(set, &balance_hash_consistent);
    h->weights = balance_alloc(set->members_n * sizeof(*h->weights));
    memcpy(h->weights, set->weights, set->members_n * sizeof(*h->weights));
    for (size_t i = 0; i < set->members_n; i++)
        h->weights_sum += h->weights[i];
    h->targets = balance_alloc(set->members_n * sizeof(*h->targets));
    for (size_t i = 0; i < set->members_n; i++)
        h->targets[i] = set->members[i].target;
    return &h->base;
}

/* Would one more be more than its part of LOAD, rounded up? The whole is the group's. */
static bool is_full(const struct hasher *h, uint32_t member)
{
    const struct target *t = h->targets[member];
    uint64_t one_more = (uint64_t)target_outstanding(t) + 1;
    if (one_more <= FEW)
        return false;
    uint64_t whole = (uint64_t)registry_outstanding(t->news) + 1;
    return 4 * (one_more - 1) * h->weights_sum >= LOAD_QUARTERS * whole * h->weights[member];
}

static const struct member *pick_bounded(struct balancer *b, const struct pick *p, struct rng *rng)
{
    const struct hasher *h = (const struct hasher *)b;
    uint32_t place = maglev_place(p->hash, h->size);
    for (uint32_t i = 0; i < WALK; i++, place = after(h, place))
        if (!is_full(h, h->table[place]) && pick_allows(p, at(h, place)))
            return at(h, place);
    return pick(b, p, rng);
}

const struct balance_ops balance_hash_consistent = {build_consistent, pick_bounded, destroy};
