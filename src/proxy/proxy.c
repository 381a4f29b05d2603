#include "proxy/proxy.h"

#include <stdlib.h>

#include "net/socket.h"
#include "proxy/back_h2.h"
#include "proxy/end_raw.h"
#include "proxy/front_h1.h"
#include "proxy/front_h2.h"
#include "proxy/front_tls.h"

/* ---- pins ---- */

static void maybe_released(struct proxy *p, struct snapshot *s)
{
    struct snapshot_local *mine = &s->local[p->worker];
    if (mine->pins || mine->released || s == p->snapshot)
        return;
    mine->released = true;
    p->released(p, s);
}

void proxy_pin(struct proxy *p, struct snapshot *s)
{
    s->local[p->worker].pins++;
    counter_add(&p->counters->snapshot_pins, 1);
}

void proxy_unpin(struct proxy *p, struct snapshot *s)
{
    CHECK(s->local[p->worker].pins > 0);
    s->local[p->worker].pins--;
    counter_sub(&p->counters->snapshot_pins, 1);
    maybe_released(p, s);
}

/* ---- life ---- */

/* Sessions of removed listeners have had their time. */
static void cut_removed(struct task *t)
{
    struct proxy *p = container_of(t, struct proxy, cut_task);
    uint64_t now = p->loop->clock.now_ms, next = 0;
    (void)timer_take(&p->cut_timer);
    list_each(n, tmp, &p->session_list)
    {
        struct session *s = list_entry(n, struct session, node);
        if (s->cut_ms && s->cut_ms <= now)
            session_cut(s);
        else if (s->cut_ms && (!next || s->cut_ms < next))
            next = s->cut_ms;
    }
    loop_timer_at(p->loop, &p->cut_timer, next);
}

/* One pool: a session that begins with HTTP/1 may go on with HTTP/2. */
static size_t session_bytes(void)
{
    return front_h1_bytes() > front_h2_bytes() ? front_h1_bytes() : front_h2_bytes();
}

void proxy_init(struct proxy *p, struct loop *loop, unsigned worker, unsigned max_sessions)
{
    *p = (struct proxy){.loop = loop, .worker = worker};
    upstream_init(&p->upstream, loop, worker, UINT32_MAX);
    pool_init(&p->exchanges, "exchanges", sizeof(struct exchange), UINT32_MAX);
    pool_init(&p->sessions, "sessions", session_bytes(), max_sessions);
    pool_init(&p->streams, "streams", front_h2_stream_bytes(), UINT32_MAX);
    heap_init(&p->h2_memory);
    pool_init(&p->back_sessions, "back sessions", back_h2_bytes(), UINT32_MAX);
    pool_init(&p->back_streams, "back streams", back_h2_stream_bytes(), UINT32_MAX);
    list_init(&p->session_list);
    task_init(&p->cut_task, cut_removed);
    timer_init(&p->cut_timer, &p->cut_task);
}

void proxy_fini(struct proxy *p)
{
    timer_del(&p->loop->wheel, &p->cut_timer);
    task_cancel(&p->cut_task);
    pool_fini(&p->exchanges);
    pool_fini(&p->sessions);
    pool_fini(&p->streams);
    heap_fini(&p->h2_memory);
    pool_fini(&p->back_sessions);
    pool_fini(&p->back_streams);
    upstream_fini(&p->upstream);
    stickiness_fini(&p->stickiness);
    free(p->fields);
    p->fields = NULL;
}

/* ---- snapshots ---- */

static void take_limits(struct proxy *p, const struct config_limits *c)
{
    p->limits = (struct limits){
        .request_line = c->request_line_bytes,
        .header = c->header_bytes,
        .request_head = c->request_head_bytes,
        .response_head = c->response_head_bytes,
        .headers = c->headers,
        .trailers = c->trailers_bytes,
        .chunk_line = c->chunk_line_bytes,
    };
    free(p->fields);
    p->fields = malloc(sizeof(struct field) * c->headers);
    CHECK(p->fields);
    p->loop->chunks.budget_bytes = c->buffer_memory_bytes;
}

static bool has_slot(const struct snapshot *s, unsigned slot)
{
    return slot < s->slots_n && s->by_slot[slot];
}

static void end_removed_sessions(struct proxy *p, struct snapshot *old, struct snapshot *next)
{
    list_each(n, tmp, &p->session_list)
    {
        struct session *s = list_entry(n, struct session, node);
        if (s->held || has_slot(next, s->slot))
            continue;
        s->held = old;
        proxy_pin(p, old);
        s->ending = true;
        s->cut_ms = p->loop->clock.now_ms + old->config->timeouts.drain_ms;
        loop_push(p->loop, &s->task);
        loop_push(p->loop, &p->cut_task); /* finds the next deadline */
    }
}

static void close_links_of_removed(struct proxy *p, struct snapshot *old, uint64_t generation)
{
    for (size_t i = 0; i < old->groups_n; i++)
        for (size_t j = 0; j < old->groups[i].members_n; j++) {
            struct target *t = old->groups[i].members[j].target;
            if (atomic_load_explicit(&t->generation, memory_order_relaxed) < generation)
                link_close_idle(t, p->worker);
        }
}

void proxy_adopt(struct proxy *p, struct snapshot *s)
{
    struct snapshot *old = p->snapshot;
    if (old) {
        end_removed_sessions(p, old, s);
        close_links_of_removed(p, old, s->generation);
    }
    take_limits(p, &s->config->limits);
    p->snapshot = s;
    p->upstream.generation = s->generation;
    if (old)
        maybe_released(p, old);
}

/* ---- a target that has left ---- */

static void cut_if_there(struct exchange *x, void *target)
{
    if (lease_holds(&x->lease, target))
        exchange_deregistered(x);
}

void proxy_deregister(struct proxy *p, struct target *t)
{
    if (atomic_load_explicit(&t->generation, memory_order_relaxed) >= p->snapshot->generation)
        return;
    list_each(n, tmp, &p->session_list)
    {
        session_visit(list_entry(n, struct session, node), cut_if_there, t);
    }
    link_close_idle(t, p->worker);
}

/* ---- connections ---- */

static bool is_http(const struct proxy *p, unsigned slot)
{
    return p->snapshot->by_slot[slot]->config->protocol == CONFIG_PROTOCOL_HTTP;
}

void proxy_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                  const struct addr *local)
{
    if (!has_slot(p->snapshot, slot))
        socket_reset(fd); /* it came through a socket that is just being closed */
    else if (p->snapshot->by_slot[slot]->tls)
        front_tls_accept(p, slot, fd, peer, local);
    else if (is_http(p, slot))
        front_h1_accept(p, slot, fd, peer, local);
    else
        end_raw_accept(p, slot, fd, peer, local);
}

void proxy_refuse(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                  const struct addr *local, enum reason why)
{
    bool known = has_slot(p->snapshot, slot);
    if (known && is_http(p, slot) && !p->snapshot->by_slot[slot]->tls) {
        front_h1_refuse(p, slot, fd, peer, local, why);
        return;
    }
    counter_add(&counters_of(p->counters, slot)->reasons[why], 1);
    socket_reset(fd);
}

void proxy_stop(struct proxy *p)
{
    p->stopping = true;
    list_each(n, tmp, &p->session_list)
    {
        struct session *s = list_entry(n, struct session, node);
        s->ending = true;
        loop_push(p->loop, &s->task);
    }
}

static void close_all_idle_links(struct proxy *p)
{
    const struct snapshot *s = p->snapshot;
    for (size_t i = 0; s && i < s->groups_n; i++)
        for (size_t j = 0; j < s->groups[i].members_n; j++)
            link_close_idle(s->groups[i].members[j].target, p->worker);
}

void proxy_cut(struct proxy *p)
{
    list_each(n, tmp, &p->session_list)
        session_cut(list_entry(n, struct session, node));
    close_all_idle_links(p);
}
