#include "config/lint.h"

#include "base/strbuf.h"
#include "config/zones.h"

/* Rules of one listener that are compared with each other: the work grows with the square. */
#define RULES_MAX 2000
/* Values of two conditions that are compared, likewise. */
#define VALUE_PAIRS_MAX 4096
/* Zones that are told apart. */
#define ZONES_MAX 32

/* --- rules --- */

bool lint_covers(struct slice wide, struct slice narrow)
{
    size_t w = 0, n = 0, star = SIZE_MAX, mark = 0;
    while (n < narrow.n) {
        bool one =
            w < wide.n && (wide.p[w] == narrow.p[n] || (wide.p[w] == '?' && narrow.p[n] != '*'));
        if (w < wide.n && wide.p[w] == '*') {
            star = w++;
            mark = n;
        } else if (one) {
            w++;
            n++;
        } else if (star != SIZE_MAX) {
            w = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (w < wide.n && wide.p[w] == '*')
        w++;
    return w == wide.n;
}

static bool value_covers(enum config_condition_type type, struct slice wide, struct slice narrow)
{
    char a[256], b[256];
    if (type != CONFIG_CONDITION_HOST_HEADER)
        return lint_covers(wide, narrow);
    return lint_covers(slice_fold(a, sizeof(a), wide), slice_fold(b, sizeof(b), narrow));
}

static bool condition_covers(const struct config_condition *wide,
                             const struct config_condition *narrow)
{
    if (wide->values_n > VALUE_PAIRS_MAX / narrow->values_n)
        return false;
    for (size_t n = 0; n < narrow->values_n; n++) {
        size_t w = 0;
        while (w < wide->values_n && !value_covers(wide->type, wide->values[w], narrow->values[n]))
            w++;
        if (w == wide->values_n)
            return false;
    }
    return true;
}

static bool matches_all(const struct config_condition *k)
{
    for (size_t i = 0; i < k->values_n; i++)
        if (slice_eq(k->values[i], SLICE("*")) ||
            (k->type == CONFIG_CONDITION_PATH_PATTERN && slice_eq(k->values[i], SLICE("/*"))))
            return true;
    return false;
}

static const struct config_condition *find_condition(const struct config_rule *r,
                                                     enum config_condition_type type)
{
    for (size_t i = 0; i < r->conditions_n; i++)
        if (r->conditions[i].type == type)
            return &r->conditions[i];
    return NULL;
}

static bool rule_covers(const struct config_rule *wide, const struct config_rule *narrow)
{
    for (size_t i = 0; i < wide->conditions_n; i++) {
        const struct config_condition *w = &wide->conditions[i];
        const struct config_condition *n = find_condition(narrow, w->type);
        if (!matches_all(w) && (!n || !condition_covers(w, n)))
            return false;
    }
    return true;
}

static void lint_unreachable(const struct config_listener *l, struct report *r)
{
    size_t n = l->rules_n < RULES_MAX ? l->rules_n : RULES_MAX;
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (rule_covers(&l->rules[j], &l->rules[i])) {
                report_warning(r, l->rules[i].pos,
                               "rule \"%s\" is never reached: \"%s\" in line %u comes first and "
                               "matches all of it",
                               l->rules[i].name.p, l->rules[j].name.p, l->rules[j].pos.line);
                break;
            }
}

static bool is_lower_hex(char c)
{
    return c >= 'a' && c <= 'f';
}

/* Paths are compared in their normal form, in which these do not occur. NULL, or why not. */
static const char *never_in_path(struct slice p)
{
    for (size_t i = 0; i + 2 < p.n; i++)
        if (p.p[i] == '%' && (is_lower_hex(p.p[i + 1]) || is_lower_hex(p.p[i + 2])))
            return "escapes are in upper case when paths are compared";
    if (memmem(p.p, p.n, "/./", 3) || memmem(p.p, p.n, "/../", 4))
        return "dot segments are gone when paths are compared";
    return memchr(p.p, '#', p.n) ? "a path holds no fragment" : NULL;
}

static const char *never_matches(enum config_condition_type type, struct slice value)
{
    if (type == CONFIG_CONDITION_PATH_PATTERN)
        return never_in_path(value);
    return slice_ends(value, SLICE(".")) ? "hosts are compared without a dot at the end" : NULL;
}

static void lint_values(const struct config_rule *rule, struct report *r)
{
    for (size_t i = 0; i < rule->conditions_n; i++) {
        const struct config_condition *k = &rule->conditions[i];
        for (size_t j = 0; j < k->values_n; j++) {
            const char *why = never_matches(k->type, k->values[j]);
            if (why)
                report_warning(r, k->pos, "\"%s\" matches nothing: %s", k->values[j].p, why);
        }
    }
}

/* --- groups --- */

struct zones {
    struct slice names[ZONES_MAX];
    size_t n;
};

static bool has_zone(const struct zones *z, struct slice name)
{
    for (size_t i = 0; i < z->n; i++)
        if (slice_eq(z->names[i], name))
            return true;
    return false;
}

static void add_zone(struct zones *z, struct slice name)
{
    if (name.n && z->n < ZONES_MAX && !has_zone(z, name))
        z->names[z->n++] = name;
}

static struct zones zones_of(const struct config_group *g)
{
    struct zones z = {0};
    for (size_t i = 0; i < g->targets_n; i++)
        add_zone(&z, g->targets[i].zone);
    return z;
}

static struct zones all_zones(const struct config *c)
{
    struct zones z = {0};
    add_zone(&z, c->node.zone);
    for (size_t i = 0; i < c->groups_n; i++)
        for (size_t j = 0; j < c->groups[i].targets_n; j++)
            add_zone(&z, c->groups[i].targets[j].zone);
    return z;
}

static void lint_covered_zones(const struct config_group *g, const struct zones *all,
                               struct report *r)
{
    struct zones own = zones_of(g);
    struct strbuf missing;
    if (own.n == 0 || own.n == ZONES_MAX || g->discovery.source)
        return;
    strbuf_init(&missing);
    for (size_t i = 0; i < all->n; i++)
        if (!has_zone(&own, all->names[i]))
            strbuf_printf(&missing, "%s%s", missing.n ? ", " : "", all->names[i].p);
    if (missing.n)
        report_warning(r, g->pos, "target group \"%s\" has no target in zone %s", g->name.p,
                       missing.p);
    strbuf_fini(&missing);
}

static void lint_weights(const struct config_group *g, struct report *r)
{
    for (size_t i = 0; i < g->targets_n; i++)
        if (g->targets[i].weight)
            return;
    if (g->targets_n)
        report_warning(r, g->pos, "all targets of \"%s\" have weight 0: it answers 503", g->name.p);
}

/* --- health checks --- */

static void lint_check(const struct config_group *g, struct report *r)
{
    const struct config_health_check *c = &g->health_check;
    if (c->on && c->timeout_ms >= c->interval_ms)
        report_warning(r, c->pos,
                       "checks of \"%s\" may take as long as their interval: some will be left out",
                       g->name.p);
}

/* --- versions --- */

static bool speaks_http2(const struct config_listener *l)
{
    return l->tls ? l->attributes.http2 : l->attributes.h2c;
}

static void lint_versions(const struct config *c, const struct config_listener *l,
                          const struct config_action *a, struct report *r)
{
    if (a->type != CONFIG_ACTION_FORWARD || l->protocol != CONFIG_PROTOCOL_HTTP || speaks_http2(l))
        return;
    for (size_t i = 0; i < a->forward.groups_n; i++) {
        const struct config_group *g = &c->groups[a->forward.groups[i].group];
        if (g->version != CONFIG_VERSION_HTTP1)
            report_warning(r, a->forward.groups[i].pos,
                           "\"%s\" is for HTTP/2 clients, which \"%s\" does not serve: all get 464",
                           g->name.p, l->name.p);
    }
}

/* --- loops --- */

static bool listens_on(const struct config *c, const struct addr *a)
{
    for (size_t i = 0; i < c->listeners_n; i++)
        for (size_t j = 0; j < c->listeners[i].listen_n; j++) {
            const struct addr *l = &c->listeners[i].listen[j].addr;
            bool own = addr_is_wildcard(l) && addr_is_loopback(a) && addr_overlaps(l, a);
            if (own || addr_eq(l, a))
                return true;
        }
    return false;
}

static void lint_loops(const struct config *c, const struct config_group *g, struct report *r)
{
    for (size_t i = 0; i < g->targets_n; i++)
        for (size_t j = 0; j < g->targets[i].addrs_n; j++)
            if (listens_on(c, &g->targets[i].addrs[j]))
                report_warning(r, g->targets[i].pos,
                               "the target %s is a listener of this same tenbin",
                               g->targets[i].text.p);
}

void lint_config(const struct config *c, struct report *r)
{
    struct zones all = all_zones(c);
    for (size_t i = 0; i < c->listeners_n; i++) {
        lint_unreachable(&c->listeners[i], r);
        lint_versions(c, &c->listeners[i], &c->listeners[i].default_action, r);
        for (size_t j = 0; j < c->listeners[i].rules_n; j++) {
            lint_versions(c, &c->listeners[i], &c->listeners[i].rules[j].action, r);
            lint_values(&c->listeners[i].rules[j], r);
        }
    }
    for (size_t i = 0; i < c->groups_n; i++) {
        const struct config_group *g = &c->groups[i];
        lint_weights(g, r);
        zones_lint(c, g, r);
        lint_loops(c, g, r);
        lint_check(g, r);
        if (g->used)
            lint_covered_zones(g, &all, r);
        else
            report_warning(r, g->pos, "target group \"%s\" is not used", g->name.p);
    }
}
