#include "upstream/lease.h"

#include "upstream/registry.h"

void lease_init(struct lease *l, struct upstream *up, struct group *g, struct task *notify)
{
    *l = (struct lease){
        .up = up, .group = g, .notify = notify, .rule = ejector_rule_of(g), .queue = g->queue};
    list_init(&l->waiting);
}

static struct target_local *local_of(const struct lease *l)
{
    return &l->target->local[l->up->worker];
}

/* NULL: nobody counts. */
static struct group_local *group_local(const struct lease *l)
{
    const struct group_news *news = l->group->news;
    return news && news->local ? &news->local[l->up->worker] : NULL;
}

static unsigned tries_max(const struct lease *l)
{
    unsigned max = 1 + l->group->retries;
    return max < LEASE_TRIES_MAX ? max : LEASE_TRIES_MAX;
}

bool lease_can_retry(const struct lease *l)
{
    return l->tries < tries_max(l);
}

bool lease_may_replay(struct lease *l)
{
    struct group_local *g = group_local(l);
    if (!g || budget_replay(&g->budget, l->group->budget, l->up->loop->clock.now_ms))
        return true;
    counter_add(&g->replays_refused, 1);
    return false;
}

/* One that is not checked to an end may still be well: its links are kept. */
static bool is_out(const struct lease *l, const struct member *m)
{
    const struct target *t = m->target;
    bool suspect = target_state(t) == HEALTH_UNHEALTHY || target_flags(t);
    return (suspect && !group_lets_in(l->group, l->up->worker, t)) ||
           group_zone_out(l->group, l->up->worker, m);
}

/* A connection to a target that serves no more is not worth keeping. This comes with the worker's
 * next pick from the group; until then its keep-alive time bounds it. */
static void close_links_of_those_out(const struct lease *l)
{
    for (size_t i = 0; i < l->group->members_n; i++) {
        const struct member *m = &l->group->members[i];
        if (is_out(l, m))
            link_close_idle(m->target, l->up->worker);
    }
}

static const struct member *find_untried(struct lease *l)
{
    if (group_refresh(l->group, l->up->worker, &l->up->loop->rng))
        close_links_of_those_out(l);
    l->pick.skip = l->tried;
    l->pick.skip_n = l->tries;
    l->pick.now_us = l->up->loop->clock.now_us;
    l->pick.limit = l->group->max_outstanding;
    return group_pick(l->group, l->up->worker, &l->up->loop->rng, &l->pick);
}

/* Only a try that has somewhere else to go after it is cut short. */
static uint32_t connect_timeout(struct lease *l)
{
    uint32_t full = l->group->connect_timeout_ms;
    if (full <= LEASE_TRY_MS || !lease_can_retry(l))
        return full;
    l->pick.skip_n = l->tries;
    if (group_has_other(l->group, l->up->worker, &l->pick))
        return LEASE_TRY_MS;
    return full;
}

/* ---- places at a target ---- */

/* False: other workers have taken the last one. */
static bool take_place(const struct lease *l, struct target *t)
{
    uint32_t n = target_outstanding(t), max = l->group->max_outstanding;
    if (!max && l->group->counts_outstanding)
        atomic_fetch_add_explicit(&t->outstanding, 1, memory_order_relaxed);
    if (!max)
        return true;
    do {
        if (n >= max)
            return false;
    } while (!atomic_compare_exchange_weak(&t->outstanding, &n, n + 1));
    return true;
}

static void give_place(struct lease *l)
{
    atomic_fetch_sub(&l->target->outstanding, 1);
    if (l->queue)
        queue_wake(l->queue, l->up);
}

/* Its place is taken already. */
static void count_in(struct lease *l)
{
    l->counted = l->group->counts_outstanding;
    l->counted_all = l->group->counts_all;
    if (l->counted_all)
        atomic_fetch_add_explicit(&l->target->news->outstanding, 1, memory_order_relaxed);
}

/* in_flight goes last: it keeps the target alive. */
static void count_out(struct lease *l)
{
    if (l->counted)
        give_place(l);
    if (l->counted_all)
        atomic_fetch_sub_explicit(&l->target->news->outstanding, 1, memory_order_relaxed);
    counter_sub(&local_of(l)->in_flight, 1);
}

static const struct member *take_untried(struct lease *l)
{
    const struct member *m;
    do
        m = find_untried(l);
    while (m && !take_place(l, m->target));
    return m;
}

static bool is_queued(const struct lease *l)
{
    return l->state == LEASE_WAIT && !l->link;
}

/* From here on the target counts this lease as in flight. */
static void choose(struct lease *l, const struct member *m)
{
    l->member = m;
    l->target = m->target;
    l->reused = false;
    l->tried[l->tries++] = m->target;
    counter_add(&local_of(l)->in_flight, 1);
    count_in(l);
}

static void drop_target(struct lease *l)
{
    if (l->state == LEASE_READY || l->state == LEASE_WAIT)
        count_out(l);
    l->link = NULL;
    l->state = LEASE_NONE;
}

/* A shortage of ours is not its fault. */
static void count_failure(struct lease *l, enum err e)
{
    if (e == ERR_NOMEM)
        return;
    counter_add(&local_of(l)->connect_errors, 1);
    lease_failed(l);
}

/* The next try had better be elsewhere, and other requests too, unless the shortage was ours or an
 * idle connection was at its end. */
static void blame(struct lease *l, enum err why)
{
    l->why = why;
    l->pick.avoid_zone = l->member->zone;
    if (l->group->measures_latency && why != ERR_NOMEM && !l->reused)
        latency_note(&local_of(l)->latency, LATENCY_FAILED_US, l->up->loop->clock.now_us);
}

static enum lease_state refuse(struct lease *l, enum err why)
{
    l->why = why;
    return l->state = LEASE_REFUSED;
}

static enum lease_state ready(struct lease *l, struct link *k, bool reused)
{
    l->link = k;
    l->reused = reused;
    return l->state = LEASE_READY;
}

/* To the member that was chosen: a warm link if it may be one, else a new connection. */
static enum lease_state reach(struct lease *l, bool warm)
{
    const struct member *m = l->member;
    l->state = LEASE_WAIT;
    struct link *k = warm ? link_take_idle(l->up, m->target, m->link_key) : NULL;
    if (k)
        return ready(l, k, true);
    enum err e = link_dial(l->up, m->target, connect_timeout(l), l, &l->link);
    if (e == OK)
        return LEASE_WAIT;
    count_failure(l, e);
    drop_target(l);
    blame(l, e);
    return LEASE_NONE;
}

static enum lease_state try_member(struct lease *l, const struct member *m, bool warm)
{
    choose(l, m);
    return reach(l, warm);
}

/* Are there untried targets that may serve, all at their limit? */
static bool all_are_full(struct lease *l)
{
    return l->queue && group_has_other(l->group, l->up->worker, &l->pick);
}

static enum lease_state enqueue(struct lease *l)
{
    if (!queue_join(l->queue, l->up, l, l->group->queue_max))
        return refuse(l, ERR_LIMIT);
    l->queued_until_ms = l->up->loop->clock.now_ms + l->group->queue_timeout_ms;
    l->target = NULL;
    l->link = NULL;
    return l->state = LEASE_WAIT;
}

static void dequeue(struct lease *l)
{
    queue_leave(l->queue, l->up, l);
    l->state = LEASE_NONE;
}

/* Member after member until one is ready or connecting, or nobody is left. */
static enum lease_state next_target(struct lease *l)
{
    while (lease_can_retry(l)) {
        const struct member *m = take_untried(l);
        if (!m && all_are_full(l))
            return enqueue(l);
        if (!m)
            break;
        enum lease_state s = try_member(l, m, true);
        if (s != LEASE_NONE)
            return s;
        if (l->why == ERR_NOMEM)
            break; /* the shortage is ours: another target would not help */
    }
    return refuse(l, l->tries ? l->why : ERR_NOT_FOUND);
}

enum lease_state lease_begin(struct lease *l)
{
    CHECK(l->state == LEASE_NONE && l->tries == 0);
    struct group_local *g = group_local(l);
    if (g)
        budget_request(&g->budget, l->up->loop->clock.now_ms);
    if (l->queue && queue_waits(l->queue, l->up->worker))
        return enqueue(l); /* behind those that came before */
    return next_target(l);
}

static void tell(struct lease *l)
{
    if (l->state != LEASE_WAIT)
        loop_push(l->up->loop, l->notify);
}

bool lease_serve(struct lease *l)
{
    CHECK(is_queued(l));
    const struct member *m = take_untried(l);
    if (!m && all_are_full(l))
        return false;
    dequeue(l);
    if (!m)
        (void)refuse(l, l->tries ? l->why : ERR_NOT_FOUND);
    else if (try_member(l, m, true) == LEASE_NONE)
        (void)next_target(l);
    tell(l);
    return true;
}

void lease_expire(struct lease *l)
{
    CHECK(is_queued(l));
    dequeue(l);
    (void)refuse(l, ERR_AGAIN);
    tell(l);
}

void lease_count_request(const struct lease *l)
{
    counter_add(&local_of(l)->requests, 1);
    if (l->member->tally)
        counter_add(&l->member->tally->local[l->up->worker].requests[l->pick.decision], 1);
}

/* Links of a target that left the configuration, or that does not serve, are not kept. */
static bool still_wanted(const struct lease *l)
{
    uint64_t newest = atomic_load_explicit(&l->target->generation, memory_order_relaxed);
    return newest >= l->up->generation && group_lets_in(l->group, l->up->worker, l->target) &&
           !group_zone_out(l->group, l->up->worker, l->member);
}

/* Whatever became of this lease, others may have slots of the same link. */
static void drop_link(struct lease *l, bool reusable)
{
    if (l->state == LEASE_WAIT)
        link_leave(l->link, l);
    else if (l->link->ops)
        link_give_back(l->link, l->group->keep_alive_ms, still_wanted(l));
    else if (reusable && still_wanted(l))
        link_put_idle(l->link, l->group->keep_alive_ms);
    else
        link_close(l->link);
}

enum lease_state lease_again(struct lease *l)
{
    CHECK(l->state == LEASE_READY);
    const struct member *last = l->member;
    bool again = l->reused || l->link->ops;
    drop_link(l, false);
    drop_target(l);
    blame(l, ERR_RESET);
    if (lease_can_retry(l) && again && !find_untried(l) && take_place(l, last->target)) {
        enum lease_state s = try_member(l, last, false);
        return s == LEASE_NONE ? refuse(l, l->why) : s;
    }
    return next_target(l);
}

bool lease_has_other(struct lease *l)
{
    l->pick.skip_n = l->tries;
    return lease_can_retry(l) && group_has_other(l->group, l->up->worker, &l->pick);
}

enum lease_state lease_elsewhere(struct lease *l, enum err why)
{
    CHECK(l->state == LEASE_NONE && l->tries > 0);
    blame(l, why);
    return next_target(l);
}

void lease_link_done(struct lease *l, struct link *k, enum err e)
{
    CHECK(l->state == LEASE_WAIT && l->link == k);
    if (e == OK) {
        (void)ready(l, k, false);
    } else if (e == ERR_AGAIN) {
        if (reach(l, true) == LEASE_NONE)
            (void)next_target(l);
    } else {
        count_failure(l, e);
        drop_target(l);
        blame(l, e);
        (void)next_target(l);
    }
    tell(l);
}

void lease_end(struct lease *l, bool reusable)
{
    if (is_queued(l))
        dequeue(l);
    if (l->state != LEASE_READY && l->state != LEASE_WAIT)
        return;
    drop_link(l, reusable);
    drop_target(l);
}

void lease_abort(struct lease *l)
{
    if (is_queued(l))
        dequeue(l);
    if (l->state != LEASE_READY && l->state != LEASE_WAIT)
        return;
    list_del(&l->waiting);
    link_reset(l->link);
    drop_target(l);
}
