#include "server/first_answers.h"

#include <stdlib.h>

#include "base/check.h"
#include "server/found.h"
#include "upstream/finder.h"

#define LOOK_MS 100 /* how often the deadline and a cancel are looked at */

struct search {
    struct found_about about;
    const struct config_group *group;
    struct dns *dns;
    struct finder finder;
    struct task found;
    struct searches *all;
};

/* All of one load, on a loop of their own. */
struct searches {
    struct loop loop;
    struct search *list;
    size_t n, open;
    uint64_t deadline_ms;
    const atomic_bool *cancelled;
    struct timer look;
    struct task looking;
};

/* ---- waiting ---- */

static void on_found(struct task *t)
{
    struct search *s = container_of(t, struct search, found);
    if (--s->all->open == 0)
        loop_stop(&s->all->loop);
}

static bool is_cancelled(const struct searches *s)
{
    return s->cancelled && atomic_load(s->cancelled);
}

static void on_look(struct task *t)
{
    struct searches *s = container_of(t, struct searches, looking);
    if (is_cancelled(s) || s->loop.clock.now_ms >= s->deadline_ms)
        loop_stop(&s->loop);
    else
        loop_timer(&s->loop, &s->look, LOOK_MS);
}

static void wait_for_answers(struct searches *s)
{
    if (s->open == 0)
        return;
    s->deadline_ms = s->loop.clock.now_ms + FIRST_ANSWERS_MS;
    task_init(&s->looking, on_look);
    timer_init(&s->look, &s->looking);
    loop_timer(&s->loop, &s->look, LOOK_MS);
    loop_run(&s->loop);
    timer_del(&s->loop.wheel, &s->look);
    task_cancel(&s->looking);
}

/* ---- asking ---- */

static bool is_new(const struct found_about *a, const struct roster *roster)
{
    const struct roster_list *l = roster_find(roster, a->group, a->source, a->origin);
    return !l || l->key != found_key(a);
}

static void add(struct searches *s, const struct config *c, const struct config_group *g,
                const struct roster *roster)
{
    if (g->discovery.source != CONFIG_DISCOVERY_DNS && g->discovery.source != CONFIG_DISCOVERY_SRV)
        return;
    struct found_about about = found_about_group(c, g);
    if (is_new(&about, roster))
        s->list[s->n++] = (struct search){.about = about, .group = g, .all = s};
}

static void start(struct searches *s, struct search *e)
{
    task_init(&e->found, on_found);
    finder_init(&e->finder, &e->found);
    e->dns = dns_new(&s->loop, e->about.resolvers, e->about.resolvers_n);
    if (!e->dns)
        return;
    s->open++;
    finder_start(&e->finder, e->dns, e->about.name.p, e->about.port);
}

/* ---- answers ---- */

static void say_missing(const struct search *e, const struct roster_list *l, struct report *r)
{
    struct config_pos pos = e->group->discovery.pos;
    const char *name = e->about.name.p, *group = e->about.group.p;
    if (l->targets_n)
        report_warning(r, pos, "%s: %s: \"%s\" keeps its %zu targets", name, l->trouble, group,
                       l->targets_n);
    else
        report_warning(r, pos, "%s: %s: \"%s\" has no targets from it until there is an answer",
                       name, l->trouble, group);
}

static void take(struct search *e, struct roster *roster, const struct loop *loop,
                 struct report *r)
{
    const struct roster_list *old =
        roster_find(roster, e->about.group, e->about.source, e->about.origin);
    const struct discover_answer *a = &e->finder.answer;
    struct discover known;
    discover_init(&known);
    (void)discover_take(&known, a, loop->clock.now_ms, 0);
    bool good = known.known_n > 0;
    if (!good && old)
        found_take_list(&known, old);
    struct roster_list *l = found_list(&e->about, &known);
    l->ttl_s = good ? a->ttl_s : 0;
    l->good_s = good ? loop->clock.wall_us / 1000000 : 0;
    if (!good) {
        l->trouble = e->finder.why ? e->finder.why : "no answer in time";
        say_missing(e, l, r);
    }
    roster_put(roster, l);
    discover_fini(&known);
}

/* ---- all ---- */

static void finish(struct searches *s, struct roster *roster, struct report *r)
{
    bool use = !is_cancelled(s);
    for (size_t i = 0; i < s->n; i++) {
        struct search *e = &s->list[i];
        if (use)
            take(e, roster, &s->loop, r);
        finder_fini(&e->finder);
        dns_free(e->dns);
    }
}

static enum err search(struct searches *s, struct roster *roster, struct report *r)
{
    enum err e = loop_init(&s->loop, 0);
    if (e != OK)
        return e;
    for (size_t i = 0; i < s->n; i++)
        start(s, &s->list[i]);
    wait_for_answers(s);
    finish(s, roster, r);
    loop_fini(&s->loop);
    return is_cancelled(s) ? ERR_RESET : OK;
}

enum err first_answers_find(const struct config *c, struct roster *roster,
                            const atomic_bool *cancelled, struct report *r)
{
    struct searches *s = calloc(1, sizeof(*s));
    enum err e = OK;
    CHECK(s);
    s->cancelled = cancelled;
    s->list = calloc(c->groups_n + 1, sizeof(*s->list));
    CHECK(s->list);
    for (size_t i = 0; i < c->groups_n; i++)
        add(s, c, &c->groups[i], roster);
    if (s->n)
        e = search(s, roster, r);
    free(s->list);
    free(s);
    return e;
}

void first_answers_reuse(struct config *c, const struct roster *roster)
{
    for (size_t i = 0; i < c->groups_n; i++)
        for (size_t j = 0; j < c->groups[i].targets_n; j++) {
            struct config_target *t = &c->groups[i].targets[j];
            const struct roster_list *l =
                t->host.n ? roster_find(roster, c->groups[i].name, ROSTER_NAME, t->text) : NULL;
            if (!l)
                continue;
            t->addrs_n = l->targets->addrs_n;
            t->addrs = arena_copy(&c->arena, l->targets->addrs, t->addrs_n * sizeof(*t->addrs));
        }
}
