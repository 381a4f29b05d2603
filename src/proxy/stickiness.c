#include "proxy/stickiness.h"

#include <stdlib.h>

#include "http/cookie.h"
#include "net/crypto_seal.h"
#include "proxy/exchange.h"
#include "upstream/registry.h"

#define WEEK_S      (7 * 86400)
#define SEED        0x7465676e6f6b6f21u /* the same everywhere: a fleet must agree on hashes */
#define GROUP_KIND  SLICE("group")
#define TARGET_KIND SLICE("target")

/* What a cookie holds. */
struct content {
    uint64_t id;
    int64_t expires_s; /* since the epoch */
};

_Static_assert(sizeof(struct content) <= CRYPTO_SEAL_MAX, "a cookie can be sealed");
#define VALUE_BYTES CRYPTO_SEAL_TEXT(sizeof(struct content))

struct names {
    struct slice plain, cors; /* cors: empty: there is none */
};

static const struct names ours[] = {
    [CONFIG_STICKINESS_OFF] = {SLICE_INIT("TENBINTG"), {0}},
    [CONFIG_STICKINESS_LB_COOKIE] = {SLICE_INIT("TENBIN"), {0}},
    [CONFIG_STICKINESS_APP_COOKIE] = {SLICE_INIT("TENBINAPP"), {0}},
};

static const struct names those_of_aws[] = {
    [CONFIG_STICKINESS_OFF] = {SLICE_INIT("AWSALBTG"), SLICE_INIT("AWSALBTGCORS")},
    [CONFIG_STICKINESS_LB_COOKIE] = {SLICE_INIT("AWSALB"), SLICE_INIT("AWSALBCORS")},
    [CONFIG_STICKINESS_APP_COOKIE] = {SLICE_INIT("AWSALBAPP-0"), {0}},
};

/* Of a target, or OFF: of a group. */
static const struct names *names_of(enum config_stickiness_type type, bool aws)
{
    return aws ? &those_of_aws[type] : &ours[type];
}

/* ---- what is compiled ---- */

struct place {
    uint64_t id;
    const struct member *member;
};

struct stickiness {
    const struct config_stickiness *config;
    const struct names *names;
    size_t places_n;
    struct place *places; /* by id */
};

static uint64_t group_id(const struct group *g)
{
    return hash_bytes(g->name, SEED);
}

static uint64_t target_id(const struct group *g, const struct member *m)
{
    return addr_hash(m->addr, group_id(g));
}

static int by_id(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static void add_places(struct arena *a, struct stickiness *s, const struct group *g)
{
    s->places_n = g->members_n;
    s->places = ARENA_ARRAY(a, struct place, g->members_n + 1);
    for (size_t i = 0; i < g->members_n; i++)
        s->places[i] = (struct place){target_id(g, &g->members[i]), &g->members[i]};
    qsort(s->places, s->places_n, sizeof(*s->places), by_id);
}

struct stickiness *stickiness_compile(struct arena *a, const struct group *g,
                                      const struct config_group *c)
{
    const struct config_stickiness *config = &c->attributes.stickiness;
    if (config->type == CONFIG_STICKINESS_OFF || config->type == CONFIG_STICKINESS_SOURCE_IP)
        return NULL;
    struct stickiness *s = ARENA_NEW(a, struct stickiness);
    s->config = config;
    s->names = names_of(config->type, c->attributes.aws_names);
    add_places(a, s, g);
    return s;
}

static const struct member *find_member(const struct stickiness *s, uint64_t id)
{
    size_t low = 0, high = s->places_n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->places[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < s->places_n && s->places[low].id == id ? s->places[low].member : NULL;
}

/* ---- sealing ---- */

static struct crypto_seal *seal_of(struct proxy *p)
{
    if (!p->stickiness.seal)
        p->stickiness.seal = crypto_seal_new();
    return p->stickiness.seal;
}

void stickiness_fini(struct stickiness_worker *w)
{
    crypto_seal_free(w->seal);
    w->seal = NULL;
}

static int64_t now_s(const struct proxy *p)
{
    return p->loop->clock.wall_us / 1000000;
}

/* The cookie for use across origins counts, if both come. */
static bool find_cookie(const struct exchange *x, const struct names *n, struct slice *value)
{
    return cookie_get(&x->req.fields, n->cors, value) ||
           cookie_get(&x->req.fields, n->plain, value);
}

/* GROUP_STICKY_KEPT: *id is what the cookie says. */
static enum group_sticky read_cookie(struct exchange *x, const struct names *n, struct slice kind,
                                     uint64_t *id)
{
    struct proxy *p = x->proxy;
    struct content c;
    struct slice value;
    if (!find_cookie(x, n, &value))
        return GROUP_STICKY_NEW;
    if (!x->snapshot->cookies ||
        !crypto_seal_open(seal_of(p), x->snapshot->cookies, p->loop->clock.now_ms, kind, value,
                          (uint8_t *)&c, sizeof(c)))
        return GROUP_STICKY_INVALID;
    *id = c.id;
    return c.expires_s > now_s(p) ? GROUP_STICKY_KEPT : GROUP_STICKY_EXPIRED;
}

/* ---- requests ---- */

static void count(struct exchange *x, bool group, enum group_sticky result)
{
    struct group_news *news = x->group ? x->group->news : NULL;
    if (!news)
        return;
    struct group_local *l = &news->local[x->proxy->worker];
    counter_add(group ? &l->sticky_groups[result] : &l->sticky_targets[result], 1);
}

static struct group *group_of_id(const struct action *a, uint64_t id)
{
    for (size_t i = 0; i < a->groups_n; i++)
        if (group_id(a->groups[i].group) == id)
            return a->groups[i].group;
    return NULL;
}

static uint32_t random_of(struct exchange *x)
{
    return (uint32_t)rng_next(&x->proxy->loop->rng);
}

/* A connection's client is told by its address, whatever port it comes from. */
static uint32_t address_of(const struct exchange *x)
{
    struct addr a = x->client.conn->peer;
    addr_set_port(&a, 0);
    return (uint32_t)addr_hash(&a, SEED);
}

struct group *stickiness_group(struct exchange *x, const struct action *a)
{
    uint64_t id = 0;
    x->action = a;
    if (!a->config->forward.stickiness_ms)
        return router_pick_group(a, random_of(x));
    if (x->raw)
        return router_pick_group(a, address_of(x));
    const struct names *n = names_of(CONFIG_STICKINESS_OFF, a->aws_names);
    enum group_sticky result = read_cookie(x, n, GROUP_KIND, &id);
    struct group *g = result == GROUP_STICKY_KEPT ? group_of_id(a, id) : NULL;
    if (result == GROUP_STICKY_KEPT && !g)
        result = GROUP_STICKY_GONE;
    x->group = g ? g : router_pick_group(a, random_of(x));
    count(x, true, result);
    return x->group;
}

static bool brings_its_cookie(const struct exchange *x, const struct stickiness *s)
{
    struct slice value;
    return s->config->type != CONFIG_STICKINESS_APP_COOKIE ||
           cookie_get(&x->req.fields, s->config->cookie_name, &value);
}

void stickiness_wish(struct exchange *x)
{
    const struct stickiness *s = x->group->stickiness;
    uint64_t id = 0;
    if (!s || x->raw)
        return;
    enum group_sticky result = GROUP_STICKY_NEW;
    if (brings_its_cookie(x, s))
        result = read_cookie(x, s->names, TARGET_KIND, &id);
    x->sticky.both = result != GROUP_STICKY_NEW;
    if (result == GROUP_STICKY_KEPT)
        x->lease.pick.preferred = find_member(s, id);
    if (result == GROUP_STICKY_KEPT && !x->lease.pick.preferred)
        result = GROUP_STICKY_GONE;
    x->sticky.target = (uint8_t)result;
}

/* ---- answers ---- */

static struct slice expires_text(struct proxy *p)
{
    struct stickiness_worker *w = &p->stickiness;
    int64_t at = now_s(p) + WEEK_S;
    if (w->expires_at != at)
        clock_format_http(w->expires, at);
    w->expires_at = at;
    return slice_of(w->expires, CLOCK_HTTP_DATE_BYTES);
}

static char *put(char *to, struct slice s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

static void add_line(struct stickiness_lines *to, struct slice name, struct slice value,
                     struct slice expires, struct slice rest)
{
    CHECK(to->n < STICKINESS_LINES);
    char *text = to->text[to->n], *p = put(text, name);
    CHECK(name.n + value.n + expires.n + rest.n + 32 <= STICKINESS_LINE_BYTES);
    *p++ = '=';
    p = put(p, value);
    p = put(p, SLICE("; Expires="));
    p = put(p, expires);
    p = put(p, SLICE("; Path=/"));
    p = put(p, rest);
    to->at[to->n++] = (struct field){.name = SLICE("Set-Cookie"),
                                     .value = slice_of(text, (size_t)(p - text)),
                                     .id = FIELD_SET_COOKIE};
}

static void add_cookie(struct exchange *x, struct stickiness_lines *to, const struct names *n,
                       struct slice kind, uint64_t id, uint32_t duration_ms)
{
    struct proxy *p = x->proxy;
    struct content c = {id, now_s(p) + duration_ms / 1000};
    struct slice message = slice_of((const char *)&c, sizeof(c));
    char value[VALUE_BYTES];
    if (!x->snapshot->cookies ||
        crypto_seal_close(seal_of(p), x->snapshot->cookies, p->loop->clock.now_ms, kind, message,
                          value) != OK)
        return; /* the next answer may bring one */
    struct slice v = slice_of(value, sizeof(value)), expires = expires_text(p);
    add_line(to, n->plain, v, expires, SLICE(""));
    if (n->cors.n)
        add_line(to, n->cors, v, expires, SLICE("; SameSite=None; Secure"));
}

static bool sets_its_cookie(const struct exchange *x, const struct stickiness *s)
{
    const struct field *l = fields_get(&x->resp.fields, FIELD_SET_COOKIE);
    for (; l; l = fields_next(&x->resp.fields, l))
        if (slice_eq(cookie_set_name(l->value), s->config->cookie_name))
            return true;
    return false;
}

static bool wants_cookie(const struct exchange *x, const struct stickiness *s)
{
    return s->config->type == CONFIG_STICKINESS_LB_COOKIE || x->sticky.both ||
           sets_its_cookie(x, s);
}

static void answer_target(struct exchange *x, struct stickiness_lines *to)
{
    const struct stickiness *s = x->group->stickiness;
    const struct member *m = x->lease.member;
    enum group_sticky result = x->sticky.target;
    if (result == GROUP_STICKY_KEPT && m != x->lease.pick.preferred)
        result = GROUP_STICKY_GONE;
    count(x, false, result);
    if (wants_cookie(x, s))
        add_cookie(x, to, s->names, TARGET_KIND, target_id(x->group, m), s->config->duration_ms);
}

bool stickiness_wanted(const struct exchange *x)
{
    return x->group->stickiness || x->action->config->forward.stickiness_ms;
}

void stickiness_answer(struct exchange *x, struct stickiness_lines *to)
{
    uint32_t duration_ms = x->action->config->forward.stickiness_ms;
    to->n = 0;
    if (duration_ms)
        add_cookie(x, to, names_of(CONFIG_STICKINESS_OFF, x->action->aws_names), GROUP_KIND,
                   group_id(x->group), duration_ms);
    if (x->group->stickiness)
        answer_target(x, to);
}
