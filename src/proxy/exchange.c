#include "proxy/exchange.h"

#include "http/path.h"
#include "proxy/back_h1.h"
#include "proxy/back_h2.h"
#include "proxy/end_raw.h"
#include "proxy/exchange_log.h"
#include "proxy/exchange_reason.h"
#include "proxy/failover.h"
#include "proxy/grpc.h"
#include "proxy/hash_key.h"
#include "proxy/reply.h"
#include "proxy/retry.h"

#define EXCHANGE_MAGIC 0x45584348

/* Under pressure an exchange still holds a piece of body on either side of its slow peer. */
#define PROMISED_BYTES (2u * 4096)

static void lease_decided(struct exchange *x);
static bool may_retry(struct exchange *x, bool written, bool received);
static void reply(struct exchange *x, enum reason why);
static void finish(struct exchange *x, enum end end);

/* ---- state ---- */

static const uint8_t edges[] = {
#define TO(s) (1u << EXCHANGE_##s)
    [EXCHANGE_ROUTE] = TO(LEASE) | TO(REPLY) | TO(DONE),
    [EXCHANGE_LEASE] = TO(SEND) | TO(REPLY) | TO(DONE),
    [EXCHANGE_SEND] = TO(LEASE) | TO(STREAM) | TO(REPLY) | TO(DONE),
    [EXCHANGE_STREAM] = TO(DONE),
    [EXCHANGE_REPLY] = TO(DONE),
    [EXCHANGE_DONE] = 0,
#undef TO
};

static void become(struct exchange *x, enum exchange_state to)
{
    CHECK_MAGIC(x, EXCHANGE_MAGIC);
    CHECK(edges[x->state] & (1u << to));
    x->state = to;
}

/* ---- life ---- */

/* The lease was decided later than in the front's task, so nobody else brings the first bytes. */
static void on_lease(struct task *t)
{
    struct exchange *x = container_of(t, struct exchange, task);
    lease_decided(x);
    exchange_up(x);
    if (!exchange_done(x))
        x->front->ops->wake(x->front, WAKE_ROOM);
}

struct exchange *exchange_new(struct proxy *p, unsigned slot, struct snapshot *s,
                              const struct listener *l, struct endpoint *front,
                              const struct exchange_client *client)
{
    if (chunkpool_pressure(&p->loop->chunks) == CHUNK_PRESSURE_FULL)
        return NULL;
    struct exchange *x = pool_get(&p->exchanges);
    if (!x)
        return NULL;
    memset(x, 0, offsetof(struct exchange, back_mem));
    x->magic = EXCHANGE_MAGIC;
    x->proxy = p;
    x->snapshot = s;
    x->listener = l;
    x->slot = slot;
    x->client = *client;
    x->front = front;
    x->idle_ms = l->config->attributes.idle_timeout_ms;
    x->half_close_ms = l->root->timeouts.half_close_ms;
    x->start_us = p->loop->clock.now_us;
    x->start_wall_us = p->loop->clock.wall_us;
    x->listener_name = l->name;
    x->node_zone = l->root->node.zone;
    x->generation = s->generation;
    task_init(&x->task, on_lease);
    p->loop->chunks.promised_bytes += PROMISED_BYTES;
    proxy_pin(p, s);
    counter_add(&p->counters->exchanges_active, 1);
    front->x = x;
    return x;
}

static void exchange_reap(struct reapable *r)
{
    struct exchange *x = container_of(r, struct exchange, reapable);
    x->magic = 0;
    pool_put(&x->proxy->exchanges, x);
}

static void put_chunk(struct exchange *x, struct chunk **c)
{
    if (*c)
        chunkpool_put(&x->proxy->loop->chunks, *c);
    *c = NULL;
}

static void release(struct exchange *x)
{
    struct loop *l = x->proxy->loop;
    l->chunks.promised_bytes -= PROMISED_BYTES;
    task_cancel(&x->task);
    timer_clear(x->client.timer);
    flow_clear(&x->up, &l->chunks);
    flow_clear(&x->down, &l->chunks);
    put_chunk(x, &x->head_store);
    put_chunk(x, &x->reply_store);
    put_chunk(x, &x->name_store);
    put_chunk(x, &x->up_trailer_store);
    put_chunk(x, &x->down_trailer_store);
    if (x->snapshot)
        proxy_unpin(x->proxy, x->snapshot);
    counter_sub(&x->proxy->counters->exchanges_active, 1);
    x->reapable.reap = exchange_reap;
    loop_reap(l, &x->reapable);
}

/* The target's side is over, however it went; the answer may still be on its way to the client. */
static void drop_back(struct exchange *x, bool reusable)
{
    struct endpoint *back = x->back;
    x->back = NULL;
    if (back)
        back->x = NULL;
    lease_end(&x->lease, reusable);
}

static void close_back(struct exchange *x, enum end end)
{
    struct endpoint *back = x->back;
    if (back)
        back->ops->close(back, end);
    x->back = NULL;
    lease_end(&x->lease, false);
}

/* The one way out: counted, logged, everything given back. */
static void finish(struct exchange *x, enum end end)
{
    struct endpoint *front = x->front;
    become(x, EXCHANGE_DONE);
    exchange_log_end(x);
    if (x->raw && x->back && end == END_OK)
        lease_worked(&x->lease);
    close_back(x, end == END_OK ? END_OK : END_ABORT);
    release(x);
    front->x = NULL;
    front->ops->close(front, end);
}

/* ---- log data ---- */

static void note_group(struct exchange *x, const struct rule *rule, struct group *g)
{
    x->group = g;
    if (rule)
        x->rule_name = rule->name;
    if (g)
        x->group_name = g->name;
}

static void note_target(struct exchange *x)
{
    x->target_text = x->lease.target->text;
    x->target_zone = x->lease.member->zone;
}

/* A tunnel may stay for days: it keeps copies of a few names, and no configuration. */
static void let_go_of_snapshot(struct exchange *x)
{
    struct slice *names[] = {&x->listener_name, &x->group_name,  &x->rule_name,
                             &x->node_zone,     &x->target_zone, &x->target_text};
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        bytes += names[i]->n;
    x->name_store = chunkpool_get(&x->proxy->loop->chunks, bytes);
    char *to = x->name_store->data;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i]->n)
            memcpy(to, names[i]->p, names[i]->n);
        names[i]->p = to;
        to += names[i]->n;
    }
    x->lease.group = x->group = NULL;
    x->lease.member = NULL;
    x->listener = NULL;
    proxy_unpin(x->proxy, x->snapshot);
    x->snapshot = NULL;
}

/* ---- timers ---- */

static uint64_t soonest(const struct exchange *x, uint64_t due)
{
    return x->deadline_ms && x->deadline_ms < due ? x->deadline_ms : due;
}

static void start_clock(struct exchange *x)
{
    exchange_progress(x);
    loop_timer_at(x->proxy->loop, x->client.timer, soonest(x, x->progress_ms + x->idle_ms));
}

/* Of a target that has the whole request; 0: the idle timeout alone. */
static uint32_t try_ms(const struct exchange *x)
{
    return x->state == EXCHANGE_SEND && !x->raw ? x->group->try_timeout_ms : 0;
}

static uint32_t patience_ms(const struct exchange *x)
{
    uint32_t try = flow_finished(&x->up) ? try_ms(x) : 0;
    if (try && try < x->idle_ms)
        return try;
    bool half = x->raw && (x->up.ended || x->down.ended);
    return half && x->half_close_ms < x->idle_ms ? x->half_close_ms : x->idle_ms;
}

/* The first half-close brings the deadline forward. */
static void note_half_close(struct exchange *x)
{
    if (x->raw && (x->up.ended || x->down.ended))
        loop_timer_at(x->proxy->loop, x->client.timer, x->progress_ms + patience_ms(x));
}

/* ---- replies of our own ---- */

static void give_head(struct exchange *x)
{
    x->head_given = true;
    x->status = x->resp.status;
    x->answered_us = x->proxy->loop->clock.now_us;
    x->front->ops->send_head(x->front);
}

static void wake_front(struct exchange *x)
{
    x->front->ops->wake(x->front, WAKE_TAKE);
    bool over = flow_finished(&x->down) && x->head_given;
    if (over && (!x->raw || flow_finished(&x->up)))
        finish(x, END_OK);
}

static void send_reply(struct exchange *x, struct slice body)
{
    struct chunkpool *pool = &x->proxy->loop->chunks;
    if (x->state != EXCHANGE_REPLY)
        become(x, EXCHANGE_REPLY);
    x->replied = true;
    x->up_closed = true;
    flow_clear(&x->up, pool);
    give_head(x);
    if (body.n)
        flow_lend(&x->down, pool, body);
    flow_end(&x->down);
    start_clock(x);
    wake_front(x);
    if (!exchange_done(x))
        flow_settle(&x->down, pool);
}

static void reply(struct exchange *x, enum reason why)
{
    struct slice body;
    x->reason = why;
    x->deadline_ms = 0; /* it is met */
    x->grpc ? reply_grpc(x, why, &body) : reply_error(x, why, &body);
    send_reply(x, body);
}

/* ---- routing ---- */

static void move_head(struct exchange *x)
{
    struct request_head *h = &x->req;
    size_t fields = h->fields.count * sizeof(struct field);
    x->head_store = chunkpool_get(&x->proxy->loop->chunks, fields + h->raw.n + HEAD_HOST_MAX);
    char *at = x->head_store->data;
    x->received_head_bytes = (uint32_t)h->raw.n;
    head_request_move(h, at + fields, (struct field *)(void *)at, at + fields + h->raw.n);
    grpc_note(x);
}

static const struct rule *match(struct exchange *x)
{
    struct slice path = x->req.path;
    if (!x->req.path_plain && path_normalise(path, x->proxy->loop->head, &path) != OK)
        return NULL;
    return router_match(x->listener->router, x->req.host_norm, path);
}

static void take_lease(struct exchange *x)
{
    become(x, EXCHANGE_LEASE);
    lease_init(&x->lease, &x->proxy->upstream, x->group, &x->task);
    if (x->group->hash_on)
        x->lease.pick.hash = hash_key(x, x->group->hash_on);
    stickiness_wish(x);
    start_clock(x);
    if (lease_begin(&x->lease) != LEASE_WAIT)
        lease_decided(x);
}

static void forward(struct exchange *x, const struct rule *rule, const struct action *a)
{
    struct group *g = stickiness_group(x, a);
    if (g && a->config->forward.failover)
        g = failover(a, g, x->proxy->worker, &x->proxy->loop->rng);
    note_group(x, rule, g);
    if (!g) {
        x->raw ? exchange_cut(x, REASON_NO_TARGET) : reply(x, REASON_NO_TARGET);
        return;
    }
    if (grpc_mismatch(x, g))
        reply(x, REASON_PROTOCOL_MISMATCH);
    else
        take_lease(x);
}

static void act(struct exchange *x, const struct rule *rule)
{
    struct slice body;
    const struct config_action *c = rule->action->config;
    switch (rule->action->type) {
    case ACTION_FORWARD:
        forward(x, rule, rule->action);
        return;
    case ACTION_FIXED_RESPONSE:
        note_group(x, rule, NULL);
        reply_fixed(x, &c->fixed_response, &body);
        break;
    case ACTION_REDIRECT:
        note_group(x, rule, NULL);
        enum reason why = reply_redirect(x, &c->redirect, &body);
        if (why != REASON_NONE) {
            reply(x, why);
            return;
        }
        break;
    }
    send_reply(x, body);
}

void exchange_request(struct exchange *x)
{
    CHECK(x->state == EXCHANGE_ROUTE);
    move_head(x);
    if (x->req.isolate)
        x->close_client = true;
    const struct rule *rule = match(x);
    if (rule)
        act(x, rule);
    else
        exchange_reject(x, REASON_PATH_ABOVE_ROOT);
}

void exchange_connect(struct exchange *x)
{
    CHECK(x->state == EXCHANGE_ROUTE);
    x->raw = true;
    forward(x, NULL, x->listener->tcp_action);
}

void exchange_reject(struct exchange *x, enum reason why)
{
    if (!x->head_store && x->req.raw.n)
        move_head(x);
    x->close_client = true;
    reply(x, why);
}

/* ---- the lease and the back ---- */

static void say_continue(struct exchange *x)
{
    if (x->raw || !x->req.expect_continue || x->up.total_bytes || x->up.ended)
        return;
    x->req.expect_continue = false; /* once, also when the lease is taken again */
    head_response_init(&x->resp, NULL, 0);
    x->resp.status = 100;
    x->resp.interim = true;
    x->front->ops->send_head(x->front);
}

static void start_raw(struct exchange *x)
{
    lease_count_request(&x->lease);
    become(x, EXCHANGE_STREAM);
    x->head_given = true;
    x->answered_us = x->sent_us;
    let_go_of_snapshot(x);
}

/* The head is only prepared here: it leaves together with what exchange_up() brings. */
static void start_back(struct exchange *x)
{
    note_target(x);
    become(x, EXCHANGE_SEND);
    exchange_progress(x);
    x->sent_us = x->proxy->loop->clock.now_us;
    if (x->raw) {
        x->back = end_raw_back(x);
        start_raw(x);
        return;
    }
    say_continue(x);
    x->back = x->group->wire == GROUP_WIRE_H2 ? back_h2_start(x) : back_h1_start(x);
    x->back->ops->send_head(x->back);
    if (try_ms(x))
        loop_timer_at(x->proxy->loop, x->client.timer, soonest(x, x->progress_ms + try_ms(x)));
}

static void refused(struct exchange *x)
{
    if (x->lease.target)
        note_target(x);
    if (x->raw)
        exchange_cut(x, exchange_reason_of(&x->lease));
    else
        reply(x, exchange_reason_of(&x->lease));
}

/* The caller sees to it that exchange_up() follows in the same task. */
static void lease_decided(struct exchange *x)
{
    if (x->lease.state == LEASE_REFUSED)
        refused(x);
    else
        start_back(x);
}

/* ---- from the front ---- */

void exchange_up(struct exchange *x)
{
    if (exchange_done(x))
        return;
    note_half_close(x);
    if (x->back)
        x->back->ops->wake(x->back, WAKE_TAKE);
}

void exchange_down_taken(struct exchange *x)
{
    bool over = flow_finished(&x->down) && x->head_given;
    exchange_progress(x);
    if (over && (!x->raw || flow_finished(&x->up)))
        finish(x, END_OK);
    else if (x->back && flow_room(&x->down, &x->proxy->loop->chunks))
        x->back->ops->wake(x->back, WAKE_ROOM);
}

static void abort_with(struct exchange *x, enum reason why, enum end end)
{
    if (x->reason == REASON_NONE)
        x->reason = why;
    if (!x->head_given && !x->raw)
        x->status = status_of(why);
    finish(x, end);
}

/* An answer of our own, if there is still time for one. */
static void fail(struct exchange *x, enum reason why)
{
    if (x->head_given) {
        abort_with(x, why, END_ABORT);
        return;
    }
    close_back(x, END_ABORT);
    reply(x, why);
}

void exchange_up_failed(struct exchange *x, enum reason why)
{
    x->close_client = true;
    x->up_closed = true;
    fail(x, why);
}

/* What had come of the answer was as it should be. */
void exchange_gone(struct exchange *x)
{
    if (x->back && x->target_status)
        lease_answered(&x->lease, x->target_status);
    abort_with(x, REASON_CLIENT_GONE, END_ABORT);
}

void exchange_cut(struct exchange *x, enum reason why)
{
    abort_with(x, why, END_ABORT);
}

void exchange_deregistered(struct exchange *x)
{
    if (x->raw)
        exchange_cut(x, REASON_TARGET_DEREGISTERED);
    else
        fail(x, REASON_TARGET_DEREGISTERED);
}

/* Who kept us waiting? */
static enum reason guilty(const struct exchange *x)
{
    if (x->raw)
        return patience_ms(x) < x->idle_ms ? REASON_HALF_CLOSE_TIMEOUT : REASON_IDLE_TIMEOUT;
    if (flow_bytes(&x->down) || x->state == EXCHANGE_REPLY)
        return REASON_CLIENT_TIMEOUT;
    if (!x->up.ended && flow_bytes(&x->up) == 0)
        return REASON_BODY_TIMEOUT;
    return x->head_given ? REASON_TARGET_BODY_TIMEOUT : REASON_TARGET_TIMEOUT;
}

/* Bytes that were handed to the kernel long ago may still be on their way to a slow reader. */
static bool peers_took(const struct exchange *x)
{
    bool client = conn_peer_took(x->client.conn);
    bool own = x->lease.link && !x->lease.link->ops;
    bool target = own && conn_peer_took(x->lease.link->conn);
    return client || target;
}

static uint64_t due_ms(const struct exchange *x)
{
    uint64_t now = x->proxy->loop->clock.now_ms;
    uint64_t due = x->progress_ms + patience_ms(x);
    if (x->state == EXCHANGE_LEASE)
        return now + x->idle_ms; /* links have deadlines of their own */
    if (try_ms(x) && due > now + try_ms(x))
        return now + try_ms(x); /* the request may be whole by then */
    return due;
}

/* A target that has been silent for try_timeout is left, if the request may be sent twice. */
static bool try_elsewhere(struct exchange *x)
{
    if (patience_ms(x) >= x->idle_ms || !lease_has_other(&x->lease) || !may_retry(x, true, false))
        return false;
    close_back(x, END_TIMEOUT);
    become(x, EXCHANGE_LEASE);
    start_clock(x);
    if (lease_elsewhere(&x->lease, ERR_TIMEOUT) != LEASE_WAIT) {
        lease_decided(x);
        exchange_up(x);
    }
    return true;
}

void exchange_timeout(struct exchange *x)
{
    struct loop *l = x->proxy->loop;
    if (peers_took(x))
        exchange_progress(x);
    uint64_t due = due_ms(x);
    bool late = x->deadline_ms && x->deadline_ms <= l->clock.now_ms;
    if (due > l->clock.now_ms && !late) {
        loop_timer_at(l, x->client.timer, soonest(x, due));
        return;
    }
    enum reason why = late ? REASON_DEADLINE_EXCEEDED : guilty(x);
    if (x->back && (why == REASON_TARGET_TIMEOUT || why == REASON_TARGET_BODY_TIMEOUT))
        lease_failed(&x->lease);
    if (x->back && why == REASON_TARGET_TIMEOUT)
        counter_add(&x->lease.target->local[x->proxy->worker].silent, 1);
    if (x->head_given || x->raw) {
        abort_with(x, why, END_TIMEOUT);
        return;
    }
    if (why == REASON_TARGET_TIMEOUT && try_elsewhere(x))
        return;
    close_back(x, late ? END_ABORT : END_TIMEOUT);
    if (why == REASON_BODY_TIMEOUT)
        x->close_client = true;
    reply(x, why);
}

/* ---- from the back ---- */

/* What the client sent behind its request has waited for this. */
static void become_tunnel(struct exchange *x)
{
    x->raw = true;
    flow_reopen(&x->up);
    let_go_of_snapshot(x);
    x->front->ops->wake(x->front, WAKE_ROOM);
}

static void count_answer(struct exchange *x)
{
    struct target_local *t = &x->lease.target->local[x->proxy->worker];
    unsigned class = x->resp.status / 100;
    lease_count_request(&x->lease);
    counter_add(&t->codes[class < ARRAY_LEN(t->codes) ? class : 0], 1);
    uint64_t now_us = x->proxy->loop->clock.now_us;
    target_count_response(t, now_us - x->sent_us);
    if (x->group->measures_latency)
        latency_note(&t->latency, now_us - x->sent_us, now_us);
}

/* Interim heads pass by the flow, so its cap is kept here: a target may send any number of them
 * to a client that reads none. */
static bool wants_interim(const struct exchange *x)
{
    return x->resp.status != 100 && x->req.version == HTTP_1_1 &&
           conn_unsent(x->client.conn) < FLOW_CAP_BYTES;
}

static void give_targets_head(struct exchange *x)
{
    struct stickiness_lines lines;
    if (!stickiness_wanted(x)) {
        give_head(x);
        return;
    }
    stickiness_answer(x, &lines);
    x->added = lines.at;
    x->added_n = lines.n;
    give_head(x);
    x->added_n = 0;
}

void exchange_response(struct exchange *x)
{
    exchange_progress(x);
    if (x->resp.interim) {
        if (wants_interim(x))
            x->front->ops->send_head(x->front);
        return;
    }
    x->target_status = x->resp.status;
    count_answer(x);
    become(x, EXCHANGE_STREAM);
    if (x->req.isolate)
        x->close_client = true;
    give_targets_head(x);
    if (x->resp.upgrade_websocket)
        become_tunnel(x);
}

void exchange_down(struct exchange *x)
{
    exchange_progress(x);
    if (x->raw)
        lease_worked(&x->lease);
    note_half_close(x);
    wake_front(x);
}

void exchange_up_taken(struct exchange *x)
{
    exchange_progress(x);
    if (x->raw && flow_finished(&x->up) && flow_finished(&x->down))
        finish(x, END_OK);
    else if (flow_room(&x->up, &x->proxy->loop->chunks))
        x->front->ops->wake(x->front, WAKE_ROOM);
}

void exchange_back_done(struct exchange *x, bool reusable)
{
    lease_answered(&x->lease, x->target_status);
    drop_back(x, reusable && !x->req.isolate);
    x->up_closed = true;
    flow_clear(&x->up, &x->proxy->loop->chunks);
}

static bool may_retry(struct exchange *x, bool written, bool received)
{
    struct retry_facts f = {
        .any_byte_written = written,
        .any_byte_received = received,
        .idempotent = head_idempotent(x->req.method_id),
        .has_body = x->req.framing != FRAMING_NONE,
        .raw = x->raw,
    };
    return x->state == EXCHANGE_SEND && lease_can_retry(&x->lease) && retry_allowed(&f) &&
           (!written || lease_may_replay(&x->lease));
}

static void try_again(struct exchange *x)
{
    x->back->x = NULL;
    x->back = NULL;
    become(x, EXCHANGE_LEASE);
    if (lease_again(&x->lease) == LEASE_WAIT)
        return;
    lease_decided(x);
    exchange_up(x);
}

/* A connection that was warm may end at any time, and a TCP session by an RST. */
static bool is_its_fault(const struct exchange *x, bool any_byte_received)
{
    return x->raw ? x->down.total_bytes == 0 : any_byte_received || !x->lease.reused;
}

static void blame(struct exchange *x, bool any_byte_written)
{
    lease_failed(&x->lease);
    if (any_byte_written && !x->raw && !x->target_status)
        counter_add(&x->lease.target->local[x->proxy->worker].broken, 1);
}

void exchange_back_failed(struct exchange *x, enum reason why, bool any_byte_written,
                          bool any_byte_received)
{
    if (is_its_fault(x, any_byte_received))
        blame(x, any_byte_written);
    if (may_retry(x, any_byte_written, any_byte_received)) {
        try_again(x);
        return;
    }
    fail(x, why);
}
