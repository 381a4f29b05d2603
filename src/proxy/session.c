#include "proxy/session.h"

#include "proxy/connection.h"
#include "proxy/vouched.h"

#define SESSION_MAGIC 0x53455353

static void format_peer(struct session *s)
{
    char text[ADDR_TEXT_MAX];
    struct slice all = slice_of(text, addr_format(&s->conn->peer, text));
    struct slice kept = slice_upto(all, sizeof(s->peer));
    memcpy(s->peer, kept.p, kept.n);
    s->peer_n = (uint8_t)kept.n;
}

/* "10.1.2.3:4567" to "10.1.2.3", "[::1]:4567" to "::1", "unix:" to nothing. */
static struct slice without_port(struct slice peer)
{
    if (slice_starts(peer, SLICE("unix:")))
        return slice_of(peer.p, 0);
    if (slice_starts(peer, SLICE("[")))
        return slice_of(peer.p + 1, slice_find(peer, ']', 0) - 1);
    return slice_upto(peer, slice_find(peer, ':', 0));
}

struct session *session_new(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                            const struct addr *local, const struct endpoint_ops *ops,
                            void (*run)(struct task *))
{
    struct session *s = pool_get(&p->sessions);
    struct conn *c = conn_new(p->loop, fd, peer);
    if (!s || !c) {
        if (s)
            pool_put(&p->sessions, s);
        if (c)
            conn_close(c);
        return NULL;
    }
    memset(s, 0, p->sessions.size);
    s->magic = SESSION_MAGIC;
    s->slot = slot;
    s->proxy = p;
    s->conn = c;
    s->front.ops = ops;
    s->ending = p->stopping;
    s->opened_ms = p->loop->clock.now_ms;
    s->local = *local;
    task_init(&s->task, run);
    timer_init(&s->timer, &s->task);
    list_push_back(&p->session_list, &s->node);
    format_peer(s);
    struct listener_counters *k = counters_of(p->counters, slot);
    counter_add(&k->connections_total, 1);
    counter_add(&k->connections_active, 1);
    counter_add(&p->counters->sessions_active, 1);
    conn_own(c, &s->task);
    connection_begin(s);
    if (!session_listener(s)->tls)
        connection_decided(s, false);
    return s;
}

static void session_reap(struct reapable *r)
{
    struct session *s = container_of(r, struct session, reapable);
    s->magic = 0;
    vouched_free(s->vouched);
    pool_put(&s->proxy->sessions, s);
}

void session_close(struct session *s, bool reset)
{
    CHECK_MAGIC(s, SESSION_MAGIC);
    if (s->closed)
        return;
    CHECK(!s->front.x);
    struct proxy *p = s->proxy;
    connection_decided(s, false);
    s->closed = true;
    session_count_bytes(s);
    reset ? conn_reset(s->conn) : conn_close(s->conn);
    task_cancel(&s->task);
    timer_del(&p->loop->wheel, &s->timer);
    list_del(&s->node);
    counter_sub(&counters_of(p->counters, s->slot)->connections_active, 1);
    counter_sub(&p->counters->sessions_active, 1);
    if (s->held)
        proxy_unpin(p, s->held);
    s->reapable.reap = session_reap;
    loop_reap(p->loop, &s->reapable);
}

void session_begin_linger(struct session *s, uint64_t *budget)
{
    uint32_t linger_ms = session_listener(s)->root->timeouts.linger_ms;
    *budget = linger_ms ? SESSION_LINGER_BYTES : 0;
    conn_shutdown(s->conn);
    loop_timer(s->conn->loop, &s->timer, linger_ms ? linger_ms : 1);
    loop_push(s->conn->loop, &s->task);
}

bool session_linger(struct session *s, uint64_t *budget)
{
    struct slice in;
    enum err e = timer_take(&s->timer) ? ERR_TIMEOUT : OK;
    if (e == OK)
        e = conn_read(s->conn, LOOP_RECV_BYTES, &in);
    if (e == OK) {
        *budget -= in.n < *budget ? in.n : *budget;
        conn_keep(s->conn, slice_from(in, in.n), false);
    }
    if (conn_unsent(s->conn))
        return e == ERR_TIMEOUT || e == ERR_RESET;
    return (e != OK && e != ERR_AGAIN) || !*budget;
}

void session_cut(struct session *s)
{
    if (s->cut)
        s->cut(s);
    else if (s->front.x)
        exchange_cut(s->front.x, REASON_DRAIN_TIMEOUT);
    else
        session_close(s, false);
}

void session_visit(struct session *s, session_visitor *visitor, void *ctx)
{
    if (s->visit)
        s->visit(s, visitor, ctx);
    else if (s->front.x)
        visitor(s->front.x, ctx);
}

struct snapshot *session_snapshot(const struct session *s)
{
    return s->held ? s->held : s->proxy->snapshot;
}

bool session_too_old(const struct session *s)
{
    const _Atomic bool *leaving = s->proxy->leaving;
    uint64_t age = s->proxy->loop->clock.now_ms - s->opened_ms;
    return age >= session_listener(s)->config->attributes.client_keep_alive_ms ||
           (leaving && atomic_load_explicit(leaving, memory_order_relaxed));
}

const struct listener *session_listener(const struct session *s)
{
    const struct snapshot *snap = session_snapshot(s);
    CHECK(s->slot < snap->slots_n && snap->by_slot[s->slot]);
    return snap->by_slot[s->slot];
}

struct exchange_client session_client(struct session *s)
{
    struct slice peer = slice_of(s->peer, s->peer_n);
    return (struct exchange_client){
        .peer = peer,
        .peer_ip = without_port(peer),
        .peer_port = addr_port(&s->conn->peer),
        .local = &s->local,
        .conn = s->conn,
        .tls_protocol = s->tls_protocol,
        .tls_cipher = s->tls_cipher,
        .vouched = s->vouched,
        .trace = slice_of(s->trace, sizeof(s->trace)),
        .timer = &s->timer,
    };
}

void session_count_bytes(struct session *s)
{
    struct conn *c = s->conn;
    struct listener_counters *k = counters_of(s->proxy->counters, s->slot);
    if (c->received_bytes != s->received_seen)
        counter_add(&k->received_bytes, c->received_bytes - s->received_seen);
    if (c->sent_bytes != s->sent_seen)
        counter_add(&k->sent_bytes, c->sent_bytes - s->sent_seen);
    s->received_seen = c->received_bytes;
    s->sent_seen = c->sent_bytes;
}
