#include "server/operations.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "config/nearest.h"
#include "server/admin_routes.h"
#include "server/server.h"
#include "server/stats.h"

enum step { STEP_APPLYING, STEP_SAVING, STEP_WAITING };

struct operation {
    struct list node;
    struct operations *all;
    enum operation_what what;
    enum step step;
    struct arena arena; /* holds the texts below */
    struct slice group, zone, who;
    struct addr addr;
    struct admin_later later;
    struct reload_waiter reload;
    struct worker_command *commands; /* [workers], of those that need them */
    struct target *target;           /* of the commands, held meanwhile */
    unsigned waiting;                /* answers that are due */
    struct state_waiter save;
    uint64_t wait_until_ms;
    bool again;         /* it was so already: a client that waits on asks again and again */
    const char *failed; /* it was not applied: why */
    struct timer timer;
    struct task task;
};

/* ---- one operation: its answer ---- */

static const struct group *group_of(const struct operations *o, struct slice name, bool *used)
{
    const struct snapshot *s = o->server->snapshots.current;
    for (size_t i = 0; i < s->groups_n; i++)
        if (slice_eq(s->groups[i].name, name)) {
            *used = s->config->groups[i].used;
            return &s->groups[i];
        }
    return NULL;
}

static bool is_named(const struct snapshots *s, const struct target *t)
{
    return t &&
           atomic_load_explicit(&t->generation, memory_order_relaxed) >= s->current->generation;
}

/* NULL: it is not named any more, and nothing is in flight to it. A snapshot that somebody still
 * pins may know it nevertheless. */
static struct target *find_target(const struct operations *o, struct slice group,
                                  const struct addr *addr)
{
    const struct snapshots *s = &o->server->snapshots;
    struct target *t = registry_find(&s->registry, group, addr);
    bool named =
        t && atomic_load_explicit(&t->generation, memory_order_relaxed) >= s->current->generation;
    return named || (t && t->departure) ? t : NULL;
}

static struct target *target_of(const struct operation *p)
{
    return find_target(p->all, p->group, &p->addr);
}

static struct stats_health health_of(const struct operation *p, const struct target *t)
{
    bool used = false;
    const struct group *g = group_of(p->all, p->group, &used);
    if (!t || !g)
        return (struct stats_health){SLICE("unused"), SLICE("Target.NotRegistered")};
    return stats_health(t, g, used);
}

/* Is what a client waits for true? */
static bool is_done(const struct operation *p)
{
    bool used = false;
    const struct target *t = target_of(p);
    const struct group *g = group_of(p->all, p->group, &used);
    if (p->what == OPERATION_DRAIN || p->what == OPERATION_DEREGISTER)
        return !t || target_in_flight(t) == 0;
    return !t || !g || !g->check || target_state(t) == HEALTH_HEALTHY;
}

static void write_saved(const struct operation *p, struct strbuf *b)
{
    bool kept = p->all->server->snapshots.current->config->state_dir.n;
    strbuf_printf(b, ",\"saved\":%s", !kept ? "null" : p->save.error ? "false" : "true");
    if (kept && p->save.error) {
        strbuf_str(b, ",\"warning\":");
        strbuf_json(b, slice_str(strerror(p->save.error)));
    }
}

static void write_target(const struct operation *p, struct strbuf *b)
{
    char text[ADDR_TEXT_MAX];
    const struct target *t = target_of(p);
    struct stats_health h = health_of(p, t);
    strbuf_str(b, "{\"ok\":true,\"group\":");
    strbuf_json(b, p->group);
    strbuf_str(b, ",\"address\":");
    strbuf_json(b, slice_of(text, addr_format(&p->addr, text)));
    strbuf_str(b, ",\"state\":");
    strbuf_json(b, h.state);
    strbuf_str(b, ",\"reason\":");
    if (h.reason.n)
        strbuf_json(b, h.reason);
    else
        strbuf_str(b, "null");
    strbuf_printf(b, ",\"in_flight\":%llu,\"done\":%s",
                  (unsigned long long)(t ? target_in_flight(t) : 0), is_done(p) ? "true" : "false");
}

static void write_zone(const struct operation *p, struct strbuf *b)
{
    strbuf_str(b, "{\"ok\":true,\"zone\":");
    strbuf_json(b, p->zone);
    strbuf_str(b, ",\"shifts\":");
    shift_json(&p->all->server->shifts, b);
}

static bool is_of_zone(const struct operation *p)
{
    return p->what == OPERATION_SHIFT || p->what == OPERATION_CANCEL;
}

static const char *const names[] = {
    [OPERATION_DRAIN] = "target drain",       [OPERATION_READY] = "target ready",
    [OPERATION_REGISTER] = "target register", [OPERATION_DEREGISTER] = "target deregister",
    [OPERATION_SHIFT] = "zone shift",         [OPERATION_CANCEL] = "zone cancel",
};

static void audit(const struct operation *p)
{
    char text[ADDR_TEXT_MAX];
    struct slice object = p->zone;
    if (!is_of_zone(p))
        object = slice_of(text, addr_format(&p->addr, text));
    log_write(p->again ? LOG_DEBUG : LOG_INFO, "audit: %s%s%.*s %.*s by %.*s: %s%s", names[p->what],
              p->group.n ? " " : "", (int)p->group.n, p->group.p, (int)object.n, object.p,
              (int)p->who.n, p->who.p, p->failed ? p->failed : "ok",
              p->save.error ? ", but it could not be saved" : "");
}

/* ---- one operation: its steps ---- */

static void operation_free(struct operation *p)
{
    struct operations *o = p->all;
    reload_forget(&p->reload);
    state_file_forget(&p->save);
    task_cancel(&p->task);
    timer_del(&o->server->loop.wheel, &p->timer);
    if (p->target)
        registry_release(&o->server->snapshots.registry, p->target);
    list_del(&p->node);
    o->running_n--;
    arena_fini(&p->arena);
    free(p->commands);
    free(p);
}

static void finish(struct operation *p)
{
    struct admin_answer a = {.status = 200, .content_type = "application/json"};
    audit(p);
    strbuf_init(&a.body);
    if (p->failed) {
        admin_routes_error(&a, 503, "%s", p->failed);
    } else {
        is_of_zone(p) ? write_zone(p, &a.body) : write_target(p, &a.body);
        write_saved(p, &a.body);
        strbuf_str(&a.body, "}\n");
    }
    admin_answer_later(&p->later, &a);
    strbuf_fini(&a.body);
    operation_free(p);
}

static void wait_on(struct operation *p)
{
    struct loop *l = &p->all->server->loop;
    bool over = l->clock.now_ms >= p->wait_until_ms || !p->later.session;
    if (is_of_zone(p) || p->failed || over || is_done(p))
        finish(p);
    else
        loop_timer(l, &p->timer, OPERATIONS_LOOK_MS);
}

static void go_on_saving(struct operation *p)
{
    p->step = STEP_SAVING;
    if (!changes_save(&p->all->changes, &p->save)) {
        p->step = STEP_WAITING;
        wait_on(p);
    }
}

static void on_step(struct task *t)
{
    struct operation *p = container_of(t, struct operation, task);
    (void)timer_take(&p->timer);
    if (p->step == STEP_APPLYING && !p->commands && !is_of_zone(p) && !p->reload.ok)
        p->failed = "it is noted, but the snapshot that runs could not be made anew (see the log): "
                    "the next one that can will have it";
    if (p->step == STEP_APPLYING) {
        go_on_saving(p);
        return;
    }
    p->step = STEP_WAITING;
    wait_on(p);
}

static void on_worker_done(struct worker_command *c)
{
    struct operation *p = c->owner;
    if (--p->waiting == 0)
        loop_push(&p->all->server->loop, &p->task);
}

static void tell_workers(struct operation *p)
{
    struct server *s = p->all->server;
    p->commands = calloc(s->workers_n, sizeof(*p->commands));
    CHECK(p->commands);
    p->waiting = s->workers_n;
    p->target = registry_get(&s->snapshots.registry, p->group, &p->addr);
    for (unsigned w = 0; w < s->workers_n; w++) {
        p->commands[w] = (struct worker_command){
            .order = WORKER_CLOSE_IDLE, .target = p->target, .done = on_worker_done, .owner = p};
        worker_send(s->workers[w], &p->commands[w]);
    }
}

/* ---- what each changes ---- */

static void begin_drain(struct operation *p, const struct group *g)
{
    struct operations *o = p->all;
    struct target *t = target_of(p);
    bool drained = p->what == OPERATION_DRAIN;
    p->again = drained == changes_is_drained(&o->changes, p->group, &p->addr);
    changes_set_drained(&o->changes, p->group, &p->addr, drained);
    bool returns = t->drained && !drained;
    t->drained = drained;
    target_settle_draining(t);
    if (returns)
        slow_start_return(&o->server->checker.slow_start, g, t);
    news_raise_now(&o->server->news, g->news);
    tell_workers(p);
}

static void add_to_roster(struct operation *p, enum roster_source source, uint16_t weight)
{
    char text[ADDR_TEXT_MAX];
    struct config_target t = {
        .text = slice_of(text, addr_format(&p->addr, text)),
        .zone = p->zone,
        .weight = weight,
        .addrs = &p->addr,
        .addrs_n = 1,
    };
    roster_add(&p->all->server->roster, p->group, source, &t);
}

/* What is not given stays as it was. False: nothing changes. */
static bool put_registered(struct operation *p, const struct operation_wish *w, bool named)
{
    struct roster *r = &p->all->server->roster;
    const struct config_target *old = roster_get(r, p->group, ROSTER_OPERATOR, &p->addr);
    bool back = roster_remove(r, p->group, ROSTER_REMOVED, &p->addr);
    uint16_t weight = w->weight != CONFIG_NONE ? (uint16_t)w->weight : old ? old->weight : 1;
    if (named)
        return back;
    if (old && p->zone.n == 0)
        p->zone = arena_slice(&p->arena, old->zone);
    if (old && old->weight == weight && slice_eq(old->zone, p->zone))
        return back;
    add_to_roster(p, ROSTER_OPERATOR, weight);
    return true;
}

static bool put_removed(struct operation *p, bool named)
{
    struct roster *r = &p->all->server->roster;
    bool changed = roster_remove(r, p->group, ROSTER_OPERATOR, &p->addr);
    changes_set_drained(&p->all->changes, p->group, &p->addr, false);
    if (!named || roster_get(r, p->group, ROSTER_REMOVED, &p->addr))
        return changed;
    add_to_roster(p, ROSTER_REMOVED, 0);
    return true;
}

/* Do all workers serve it as it is to be? */
static bool is_served(const struct operation *p)
{
    const struct snapshots *s = &p->all->server->snapshots;
    bool named = is_named(s, target_of(p));
    return s->serving == s->current->generation && named == (p->what == OPERATION_REGISTER);
}

static void begin_roster(struct operation *p, const struct operation_wish *w, bool named)
{
    struct server *s = p->all->server;
    bool changed =
        w->what == OPERATION_REGISTER ? put_registered(p, w, named) : put_removed(p, named);
    p->reload = (struct reload_waiter){.notify = &p->task};
    p->again = !changed && is_served(p);
    if (p->again) {
        list_init(&p->reload.node);
        p->reload.ok = true;
        loop_push(&s->loop, &p->task);
    } else {
        reload_refresh(&s->reload, &p->reload);
    }
}

static struct operation *operation_new(struct operations *o, const struct operation_wish *w)
{
    struct operation *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->all = o;
    p->what = w->what;
    arena_init(&p->arena);
    p->group = arena_slice(&p->arena, w->group);
    p->zone = arena_slice(&p->arena, w->zone);
    p->who = arena_slice(&p->arena, w->who);
    p->addr = w->addr;
    p->wait_until_ms = o->server->loop.clock.now_ms + w->wait_ms;
    list_init(&p->reload.node);
    list_init(&p->save.node);
    p->save.notify = &p->task;
    task_init(&p->task, on_step);
    timer_init(&p->timer, &p->task);
    list_push_back(&o->running, &p->node);
    o->running_n++;
    return p;
}

/* ---- what may be ---- */

static void no_group(const struct operations *o, struct slice name, struct admin_answer *a)
{
    const struct snapshot *s = o->server->snapshots.current;
    struct nearest n = nearest_to(name);
    for (size_t i = 0; i < s->groups_n; i++)
        nearest_try(&n, s->groups[i].name.p);
    const char *best = nearest_best(&n);
    admin_routes_error(a, 404, "there is no target group %.*s%s%s%s", (int)name.n, name.p,
                       best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
}

static const struct config_group *config_of(const struct operations *o, const struct group *g)
{
    const struct snapshot *s = o->server->snapshots.current;
    return &s->config->groups[g - s->groups];
}

bool operations_may_begin(const struct operations *o, struct admin_answer *a)
{
    if (o->server->stopping)
        admin_routes_error(a, 503, "tenbin is stopping");
    else if (o->running_n >= OPERATIONS_MAX || !admin_may_wait(&o->server->admin))
        admin_routes_error(a, 503, "too many commands at the same time");
    else
        return true;
    return false;
}

/* Weight and zone of a target that somebody else names are theirs to say. */
static bool refuse_register(const struct operation_wish *w, const struct group *g, bool named,
                            struct admin_answer *a)
{
    if (!named || (w->weight == CONFIG_NONE && w->zone.n == 0))
        return false;
    admin_routes_error(a, 409,
                       "the target is in the configuration of %.*s or was discovered: its zone and "
                       "weight are changed there",
                       (int)g->name.n, g->name.p);
    return true;
}

static bool refuse_unknown(const struct operations *o, const struct operation_wish *w,
                           const struct group *g, bool named, struct admin_answer *a)
{
    char text[ADDR_TEXT_MAX];
    const struct server *s = o->server;
    const struct target *t = find_target(o, w->group, &w->addr);
    bool is_there = t && !t->departure;
    if (w->what == OPERATION_DEREGISTER)
        is_there = t || named || roster_get(&s->roster, w->group, ROSTER_OPERATOR, &w->addr);
    if (is_there)
        return false;
    admin_routes_error(a, 404, "%.*s is not registered in %.*s", (int)addr_format(&w->addr, text),
                       text, (int)g->name.n, g->name.p);
    return true;
}

static void begin_target(struct operations *o, const struct operation_wish *w,
                         struct admin_answer *a)
{
    bool used;
    const struct group *g = group_of(o, w->group, &used);
    if (!g) {
        no_group(o, w->group, a);
        return;
    }
    bool named = roster_names(&o->server->roster, config_of(o, g), &w->addr);
    if (w->what == OPERATION_REGISTER ? refuse_register(w, g, named, a)
                                      : refuse_unknown(o, w, g, named, a))
        return;
    struct operation *p = operation_new(o, w);
    a->later = &p->later;
    if (w->what == OPERATION_DRAIN || w->what == OPERATION_READY)
        begin_drain(p, g);
    else
        begin_roster(p, w, named);
}

void operations_begin(struct operations *o, const struct operation_wish *w, struct admin_answer *a)
{
    if (!operations_may_begin(o, a))
        return;
    if (w->what != OPERATION_SHIFT && w->what != OPERATION_CANCEL) {
        begin_target(o, w, a);
        return;
    }
    struct operation *p = operation_new(o, w);
    a->later = &p->later;
    loop_push(&o->server->loop, &p->task);
}

/* ---- life ---- */

void operations_init(struct operations *o, struct server *s)
{
    *o = (struct operations){.server = s};
    list_init(&o->running);
    changes_init(&o->changes, s);
}

/* What is still being written ends first: it tells those who wait for it. */
void operations_fini(struct operations *o)
{
    changes_fini(&o->changes);
    list_each(n, next, &o->running)
        operation_free(list_entry(n, struct operation, node));
}
