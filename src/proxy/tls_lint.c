#include "proxy/tls_lint.h"

#include "net/tls_ctx.h"
#include "proxy/pattern.h"

#define HOST_MAX    253 /* of a pattern, as the configuration has it */
#define NAMES_SHOWN 3

struct names {
    struct slice *all;
    size_t n;
};

/* Of one listener. */
struct lint {
    const struct listener *listener;
    struct arena arena;
    struct names first; /* of the default certificate */
    size_t left;        /* comparisons */
    struct report *report;
};

static struct names names_of(struct lint *x, size_t pair)
{
    struct names names;
    names.n = tls_ctx_names(x->listener->tls, pair, &x->arena, &names.all);
    return names;
}

/* ---- rules ---- */

static const struct config_condition *host_of(const struct config_rule *r)
{
    for (size_t i = 0; i < r->conditions_n; i++)
        if (r->conditions[i].type == CONFIG_CONDITION_HOST_HEADER)
            return &r->conditions[i];
    return NULL;
}

static bool turns_away(const struct config_action *a)
{
    return a->type == CONFIG_ACTION_FIXED_RESPONSE && a->fixed_response.status_code >= 400 &&
           a->fixed_response.status_code != 410;
}

/* Only hosts that rules name are served. */
static bool goes_by_host(const struct config_listener *l)
{
    if (l->protocol != CONFIG_PROTOCOL_HTTP || l->rules_n == 0 || !turns_away(&l->default_action))
        return false;
    for (size_t i = 0; i < l->rules_n; i++)
        if (!host_of(&l->rules[i]))
            return false;
    return true;
}

static bool pattern_meets(struct lint *x, struct slice pattern, const struct names *names)
{
    char space[HOST_MAX];
    pattern = slice_fold(space, sizeof(space), pattern);
    for (size_t i = 0; i < names->n; i++) {
        if (x->left == 0 || pattern_meets_name(pattern, names->all[i]))
            return true;
        x->left--;
    }
    return false;
}

static bool rules_meet(struct lint *x, const struct config_listener *l, const struct names *names)
{
    for (size_t i = 0; i < l->rules_n; i++) {
        const struct config_condition *k = host_of(&l->rules[i]);
        for (size_t j = 0; j < k->values_n; j++)
            if (pattern_meets(x, k->values[j], names))
                return true;
    }
    return false;
}

/* ---- certificates ---- */

static bool has_name(const struct names *names, struct slice name)
{
    for (size_t i = 0; i < names->n; i++)
        if (slice_eq(names->all[i], name))
            return true;
    return false;
}

/* The same names with another kind of key, for clients that cannot use the default one. */
static bool is_like_default(const struct lint *x, const struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (has_name(&x->first, names->all[i]))
            return true;
    return false;
}

static bool listener_needs(struct lint *x, const struct config_listener *l, size_t pair,
                           const struct names *names)
{
    if (pair == 0)
        return true;
    return names->n && (!goes_by_host(l) || rules_meet(x, l, names));
}

static bool any_listener_needs(struct lint *x, struct slice path, const struct names *names)
{
    const struct config *c = x->listener->root;
    for (size_t i = 0; i < c->listeners_n; i++)
        for (size_t j = 0; j < c->listeners[i].certificates_n; j++)
            if (slice_eq(c->listeners[i].certificates[j].certificate.path, path) &&
                listener_needs(x, &c->listeners[i], j, names))
                return true;
    return false;
}

/* ---- saying ---- */

static void put_names(struct strbuf *to, const struct names *names)
{
    for (size_t i = 0; i < names->n && i < NAMES_SHOWN; i++) {
        strbuf_str(to, i ? ", " : "");
        strbuf_slice(to, names->all[i]);
    }
    if (names->n > NAMES_SHOWN)
        strbuf_printf(to, " and %zu more", names->n - NAMES_SHOWN);
}

static void warn(struct lint *x, const struct config_file *f, const struct names *names)
{
    if (names->n == 0) {
        report_warning(x->report, f->pos,
                       "\"%s\" is for no host name, and not the first: no client is given it",
                       f->path.p);
        return;
    }
    struct strbuf list;
    strbuf_init(&list);
    put_names(&list, names);
    report_warning(x->report, f->pos,
                   "no rule of listener \"%s\" has a host that \"%s\" is for (%s)",
                   x->listener->name.p, f->path.p, list.p);
    strbuf_fini(&list);
}

void tls_lint_listener(const struct listener *l, struct report *r)
{
    struct lint x = {.listener = l, .left = TLS_LINT_COMPARISONS_MAX, .report = r};
    arena_init(&x.arena);
    x.first = names_of(&x, 0);
    for (size_t i = 1; i < l->config->certificates_n; i++) {
        const struct config_file *f = &l->config->certificates[i].certificate;
        struct names names = names_of(&x, i);
        if (!is_like_default(&x, &names) && !any_listener_needs(&x, f->path, &names))
            warn(&x, f, &names);
    }
    arena_fini(&x.arena);
}
