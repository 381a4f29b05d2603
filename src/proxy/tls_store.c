#include "proxy/tls_store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "config/nearest.h"
#include "net/tls_ctx.h"
#include "net/tls_ktls.h"
#include "proxy/tls_lint.h"

#define ALPN_H1      "\x08http/1.1"
#define ALPN_ONLY_H2 "\x02h2"
#define ALPN_H2      ALPN_ONLY_H2 ALPN_H1

/* A cookie may come back after seven days. */
#define COOKIES_PERIOD_MS 86400000u
#define COOKIES_SLOTS     8

struct tls_store_options tls_store_options_default(struct crypto_ring *tickets,
                                                   struct crypto_ring *cookies)
{
    struct clock now = {0};
    clock_update(&now);
    return (struct tls_store_options){tickets, cookies, now.now_ms, now.wall_us / 1000000, NULL};
}

static int64_t wall_us(const struct tls_store_options *o)
{
    return o->wall_s * 1000000;
}

/* What the report said before something was loaded. */
struct before {
    const struct report_entry *last;
    size_t errors;
};

static struct before before(const struct report *r)
{
    return (struct before){r->last, r->errors};
}

static void soften(struct report *r, struct before b)
{
    report_soften(r, b.last, b.errors, "what was read before stays in use");
}

/* ---- keys ---- */

static bool load_ring(struct crypto_ring **ring, const struct config_file *f, struct report *r)
{
    unsigned line;
    enum err e = crypto_ring_load(f->path.p, ring, &line);
    if (e == OK)
        return true;
    if (e == ERR_SYSTEM)
        report_error(r, f->pos, "%s: %s", f->path.p, strerror(errno));
    else if (e == ERR_LIMIT)
        report_error(r, f->pos, "%s: line %u: more than %d keys", f->path.p, line,
                     CRYPTO_RING_LOAD_MAX);
    else
        report_error(r, f->pos, "%s: line %u: a key is 64 hex digits, one a line", f->path.p, line);
    return false;
}

/* Random keys that the present snapshot has go on. */
static bool keep_ring(struct crypto_ring **ring, struct crypto_ring *running)
{
    if (!running || !crypto_ring_rotates(running))
        return false;
    *ring = crypto_ring_ref(running);
    return true;
}

/* A file: its state now, and when the running keys were read. */
struct ring_file {
    const struct config_file *config;
    struct tls_files *now;
    const struct tls_files *then;
};

static bool load_or_keep_ring(struct crypto_ring **ring, struct crypto_ring *running,
                              const struct ring_file *f, const struct tls_store_options *o,
                              struct report *r)
{
    struct before b = before(r);
    bool keep = o->old && tls_files_same(f->now, f->then);
    if (!keep && load_ring(ring, f->config, r))
        return true;
    if (!o->old)
        return false;
    soften(r, b);
    *ring = crypto_ring_ref(running);
    return true;
}

static bool set_tickets(struct snapshot *s, const struct tls_store_options *o, struct report *r)
{
    const struct config_file *f = &s->config->keys.tickets;
    s->ticket_files = tls_files_of(&s->arena, f, wall_us(o));
    struct ring_file file = {f, &s->ticket_files, o->old ? &o->old->ticket_files : NULL};
    if (f->path.n)
        return load_or_keep_ring(&s->tickets, o->tickets, &file, o, r);
    return keep_ring(&s->tickets, o->tickets) || crypto_ring_new(o->now_ms, &s->tickets) == OK;
}

/* Also when no group is sticky: a reload may take stickiness away and bring it back. */
static bool set_cookies(struct snapshot *s, const struct tls_store_options *o, struct report *r)
{
    const struct config_file *f = &s->config->keys.cookies;
    s->cookie_files = tls_files_of(&s->arena, f, wall_us(o));
    struct ring_file file = {f, &s->cookie_files, o->old ? &o->old->cookie_files : NULL};
    if (f->path.n)
        return load_or_keep_ring(&s->cookies, o->cookies, &file, o, r);
    return keep_ring(&s->cookies, o->cookies) ||
           crypto_ring_every(COOKIES_PERIOD_MS, COOKIES_SLOTS, o->now_ms, &s->cookies) == OK;
}

/* ---- listeners ---- */

struct about {
    const struct config_listener *listener;
    const struct config_group *group;
    struct report *report;
};

static struct config_pos place(const struct about *a, enum tls_ctx_about about, size_t pair)
{
    if (a->group)
        return a->group->target_tls.ca.path.n ? a->group->target_tls.ca.pos : a->group->pos;
    if (about == TLS_CTX_ABOUT_CERTIFICATE)
        return a->listener->certificates[pair].certificate.pos;
    if (about == TLS_CTX_ABOUT_KEY)
        return a->listener->certificates[pair].key.pos;
    if (about == TLS_CTX_ABOUT_OCSP)
        return pair < a->listener->certificates_n ? a->listener->certificates[pair].ocsp.pos
                                                  : a->listener->ocsp.pos;
    if (about == TLS_CTX_ABOUT_TRUST_STORE)
        return a->listener->mutual.trust_store.pos;
    if (about == TLS_CTX_ABOUT_REVOCATIONS)
        return a->listener->mutual.revocations[pair].pos;
    return a->listener->pos;
}

static void say(void *to, enum tls_ctx_about about, size_t pair, bool error, const char *text)
{
    const struct about *a = to;
    struct config_pos pos = place(a, about, pair);
    if (error)
        report_error(a->report, pos, "%s", text);
    else
        report_warning(a->report, pos, "%s", text);
}

static const struct tls_policy *find_policy(const struct config_listener *c, struct report *r)
{
    const char *why;
    const struct tls_policy *p = tls_policy_find(c->tls_policy, &why);
    if (p)
        return p;
    struct config_pos pos = c->tls_policy_pos;
    struct report_entry *e =
        why ? report_error(r, pos, "tls_policy: \"%s\" %s", c->tls_policy.p, why)
            : report_error(r, pos, "tls_policy: \"%s\" is no policy", c->tls_policy.p);
    struct nearest near = nearest_to(c->tls_policy);
    const char *name;
    for (unsigned i = 0; (name = tls_policy_name(i)); i++)
        nearest_try(&near, name);
    report_suggest(r, e, nearest_best(&near));
    return NULL;
}

static struct slice alpn_of(const struct config_listener *c)
{
    if (c->protocol != CONFIG_PROTOCOL_HTTP)
        return slice_of(NULL, 0);
    return c->attributes.http2 ? SLICE(ALPN_H2) : SLICE(ALPN_H1);
}

static struct tls_ctx_mutual mutual_of(struct arena *a, const struct config_mutual *c)
{
    static const enum tls_mutual_mode modes[] = {
        [CONFIG_MUTUAL_OFF] = TLS_MUTUAL_OFF,
        [CONFIG_MUTUAL_PASSTHROUGH] = TLS_MUTUAL_ANY,
        [CONFIG_MUTUAL_VERIFY] = TLS_MUTUAL_VERIFY,
    };
    const char **revocations = ARENA_ARRAY(a, const char *, c->revocations_n + 1);
    for (size_t i = 0; i < c->revocations_n; i++)
        revocations[i] = c->revocations[i].path.p;
    return (struct tls_ctx_mutual){
        .mode = modes[c->mode],
        .trust_store = c->trust_store.path.p,
        .revocations = revocations,
        .revocations_n = c->revocations_n,
        .ignore_expiry = c->ignore_expiry,
        .advertise_names = c->advertise_names,
    };
}

static void load_listener(struct snapshot *s, struct listener *l, const struct tls_store_options *o,
                          struct report *r)
{
    const struct config_listener *c = l->config;
    struct about about = {.listener = c, .report = r};
    struct tls_ctx_complaints complaints = {say, &about};
    struct tls_ctx_server server = {
        .pairs_n = c->certificates_n,
        .ocsp = c->ocsp.path.p,
        .policy = find_policy(c, r),
        .alpn = alpn_of(c),
        .id = l->name,
        .tickets = s->tickets,
        .mutual = mutual_of(&s->arena, &c->mutual),
        .ktls = s->ktls,
    };
    if (!server.policy)
        return;
    struct tls_ctx_pair *pairs = ARENA_ARRAY(&s->arena, struct tls_ctx_pair, c->certificates_n);
    for (size_t i = 0; i < c->certificates_n; i++)
        pairs[i] =
            (struct tls_ctx_pair){c->certificates[i].certificate.path.p,
                                  c->certificates[i].key.path.p, c->certificates[i].ocsp.path.p};
    server.pairs = pairs;
    l->tls = tls_ctx_server(&server, o->wall_s, &complaints);
    if (l->tls)
        tls_lint_listener(l, r);
}

/* Contexts hold the ticket keys, so they are as old as those. */
static void load_or_keep_listener(struct snapshot *s, size_t i, const struct tls_store_options *o,
                                  struct report *r)
{
    struct listener *l = &s->listeners[i];
    const struct listener *old = o->old ? &o->old->listeners[i] : NULL;
    struct before b = before(r);
    l->tls_files = tls_files_of_listener(&s->arena, l->config, wall_us(o));
    bool keep =
        old && s->tickets == o->old->tickets && tls_files_same(&l->tls_files, &old->tls_files);
    if (!keep)
        load_listener(s, l, o, r);
    if (l->tls || !old)
        return;
    soften(r, b);
    l->tls = tls_ctx_ref(old->tls);
}

/* ---- groups ---- */

static void warn_unverified(const struct config_group *c, struct report *r)
{
    if (!c->target_tls.verify)
        report_warning(r, c->pos,
                       "the certificates of the targets of \"%s\" are not verified: whoever is "
                       "on the way can read and change what is sent",
                       c->name.p);
}

static struct tls_ctx *load_client(const struct config_group *c, struct slice alpn, int64_t wall_s,
                                   struct report *r)
{
    struct about about = {.group = c, .report = r};
    struct tls_ctx_complaints complaints = {say, &about};
    struct tls_ctx_client client = {
        .verify = c->target_tls.verify,
        .ca = c->target_tls.ca.path.n ? c->target_tls.ca.path.p : NULL,
        .wall_s = wall_s,
        .alpn = alpn,
    };
    return tls_ctx_client(&client, &complaints);
}

static struct slice target_alpn(const struct config_group *c)
{
    if (c->protocol != CONFIG_PROTOCOL_HTTP)
        return slice_of(NULL, 0);
    return c->version == CONFIG_VERSION_HTTP1 ? SLICE(ALPN_H1) : SLICE(ALPN_ONLY_H2);
}

static void use_context(struct snapshot *s, struct group *g)
{
    g->tls_timeout_ms = s->config->timeouts.tls_handshake_ms;
    for (size_t i = 0; g->tls && i < g->members_n; i++) {
        struct member *m = &g->members[i];
        m->link_key = hash_bytes(m->server_name, tls_ctx_fingerprint(g->tls)) | 1;
    }
}

static struct slice check_alpn(const struct config_health_check *k)
{
    if (k->http2)
        return SLICE(ALPN_ONLY_H2);
    return k->protocol == CONFIG_CHECK_HTTPS ? SLICE(ALPN_H1) : slice_of(NULL, 0);
}

/* Where the traffic speaks TLS in the same way the context is the same one. */
static void load_check(struct group *g, const struct config_group *c, int64_t wall_s,
                       struct report *r)
{
    struct slice alpn = check_alpn(&c->health_check);
    if (g->tls && slice_eq(alpn, target_alpn(c)))
        g->check_tls = tls_ctx_ref(g->tls);
    else if (!c->tls || g->tls) /* what is wrong with it was said already */
        g->check_tls = load_client(c, alpn, wall_s, r);
}

static bool load_group(struct group *g, const struct config_group *c, int64_t wall_s,
                       struct report *r)
{
    bool checked = g->check && g->check->tls;
    if (c->tls || checked)
        warn_unverified(c, r);
    if (c->tls)
        g->tls = load_client(c, target_alpn(c), wall_s, r);
    if (checked)
        load_check(g, c, wall_s, r);
    return (!c->tls || g->tls) && (!checked || g->check_tls);
}

static struct tls_ctx *again(struct tls_ctx *made, struct tls_ctx *old)
{
    tls_ctx_unref(made);
    return old ? tls_ctx_ref(old) : NULL;
}

static void load_or_keep_group(struct snapshot *s, size_t i, const struct tls_store_options *o,
                               struct report *r)
{
    struct group *g = &s->groups[i];
    const struct group *old = o->old ? &o->old->groups[i] : NULL;
    struct before b = before(r);
    s->group_files[i] = tls_files_of_group(&s->arena, &s->config->groups[i], wall_us(o));
    bool keep = old && tls_files_same(&s->group_files[i], &o->old->group_files[i]);
    if (!keep)
        keep = !load_group(g, &s->config->groups[i], o->wall_s, r) && old;
    if (keep) {
        soften(r, b);
        g->tls = again(g->tls, old->tls);
        g->check_tls = again(g->check_tls, old->check_tls);
    }
    if (g->tls)
        use_context(s, g);
}

/* ---- all ---- */

static bool any_tls(const struct snapshot *s)
{
    for (size_t i = 0; i < s->listeners_n; i++)
        if (s->listeners[i].config->tls)
            return true;
    return false;
}

/* Nothing depends on it, so without it there is no error. */
static bool ask_ktls(const struct config *c, struct report *r)
{
    struct config_pos pos = {.file = c->path};
    if (!c->tls.ktls)
        return false;
    enum tls_ktls found = tls_ktls_probe();
    if (found != TLS_KTLS_POSSIBLE)
        report_warning(r, pos, "tls.ktls is not available: %s; TLS stays in user space",
                       tls_ktls_why(found));
    return found == TLS_KTLS_POSSIBLE;
}

bool tls_store_load(struct snapshot *s, const struct tls_store_options *o, struct report *r)
{
    size_t errors = r->errors;
    s->ktls = o->old ? o->old->ktls : ask_ktls(s->config, r);
    if (any_tls(s) && !set_tickets(s, o, r) && r->errors == errors)
        report_error(r, s->listeners[0].config->pos, "no randomness for ticket keys");
    if (!set_cookies(s, o, r) && r->errors == errors)
        report_error(r, s->listeners[0].config->pos, "no randomness for cookie keys");
    for (size_t i = 0; i < s->listeners_n; i++)
        if (s->listeners[i].config->tls)
            load_or_keep_listener(s, i, o, r);
    for (size_t i = 0; i < s->groups_n; i++)
        load_or_keep_group(s, i, o, r);
    return r->errors == errors;
}

void tls_store_free(struct snapshot *s)
{
    for (size_t i = 0; i < s->listeners_n; i++)
        tls_ctx_unref(s->listeners[i].tls);
    for (size_t i = 0; i < s->groups_n; i++) {
        tls_ctx_unref(s->groups[i].check_tls);
        tls_ctx_unref(s->groups[i].tls);
    }
    crypto_ring_unref(s->tickets);
    crypto_ring_unref(s->cookies);
}
