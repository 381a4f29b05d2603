#include "upstream/link.h"

#include "base/log.h"
#include "net/socket.h"
#include "upstream/lease.h"

#define LINK_MAGIC 0x4c494e4b

void upstream_init(struct upstream *up, struct loop *loop, unsigned worker, unsigned limit)
{
    *up = (struct upstream){.loop = loop, .worker = worker};
    pool_init(&up->links, "links", sizeof(struct link), limit);
}

void upstream_fini(struct upstream *up)
{
    pool_fini(&up->links);
}

static struct loop *loop_of(const struct link *k)
{
    return k->conn->loop;
}

static struct target_local *local_of(const struct link *k)
{
    return &k->target->local[k->worker];
}

static void link_reap(struct reapable *r)
{
    struct link *k = container_of(r, struct link, reapable);
    k->magic = 0;
    pool_put(k->pool, k);
}

static void leave(struct link *k)
{
    struct loop *l = loop_of(k);
    list_del(&k->node);
    if (k->state == LINK_IDLE)
        counter_sub(&local_of(k)->idle_links, 1); /* the target may go from here on */
    task_cancel(&k->task);
    timer_del(&l->wheel, &k->timer);
    k->state = LINK_CLOSED;
    k->lease = NULL;
    k->reapable.reap = link_reap;
    loop_reap(l, &k->reapable);
}

void link_close(struct link *k)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    if (k->state == LINK_CLOSED)
        return;
    leave(k);
    conn_close(k->conn);
}

void link_reset(struct link *k)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    if (k->state == LINK_CLOSED)
        return;
    leave(k);
    conn_reset(k->conn);
}

/* ---- connecting ---- */

static void decide(struct link *k, enum err e)
{
    struct lease *lease = k->lease;
    k->lease = NULL;
    timer_clear(&k->timer);
    if (e == OK)
        k->state = LINK_LEASED;
    else
        link_close(k);
    lease_link_done(lease, k, e);
}

/* An operator must learn why; once a second is often enough. */
static void say_why(struct link *k)
{
    struct upstream *up = k->lease->up;
    uint64_t now_ms = up->loop->clock.now_ms;
    if (up->said_ms && now_ms - up->said_ms < 1000)
        return;
    up->said_ms = now_ms;
    log_warning("target %s of %s: TLS handshake failed: %s", k->target->text.p,
                k->target->group.p, tls_why(k->conn));
}

static void securing(struct link *k)
{
    struct conn *c = k->conn;
    if (timer_take(&k->timer) && !c->readable) {
        decide(k, ERR_TLS_TIMEOUT);
        return;
    }
    enum err e = conn_flush(c) == OK ? tls_handshake(c) : ERR_RESET;
    if (e == ERR_AGAIN) {
        conn_settle(c, true);
        return;
    }
    if (e == ERR_TLS)
        say_why(k);
    decide(k, e == OK ? OK : ERR_TLS);
}

static void secure(struct link *k)
{
    const struct lease *l = k->lease;
    struct tls_dial d = {l->group->tls, l->member->server_name, &local_of(k)->resume};
    enum err e = tls_connect(k->conn, &d);
    if (e != OK) {
        decide(k, e == ERR_NOMEM ? e : ERR_TLS);
        return;
    }
    k->state = LINK_SECURING;
    loop_timer(loop_of(k), &k->timer, l->group->tls_timeout_ms);
    securing(k);
}

static void connecting(struct link *k)
{
    struct conn *c = k->conn;
    if (timer_take(&k->timer) && !c->writable && !c->readable) {
        decide(k, ERR_TIMEOUT);
        return;
    }
    if (!c->writable && !c->readable)
        return;
    if (socket_error(c->fd) != 0) {
        decide(k, ERR_REFUSED);
        return;
    }
    if (!c->writable)
        return;
    conn_connected(c);
    if (k->lease->group->tls)
        secure(k);
    else
        decide(k, OK);
}

/* Nothing may come on an idle link: not a byte, not a FIN. */
static void idle(struct link *k)
{
    if (timer_take(&k->timer) || !conn_quiet(k->conn))
        link_close(k);
}

static void link_run(struct task *t)
{
    struct link *k = container_of(t, struct link, task);
    if (k->state == LINK_CONNECTING)
        connecting(k);
    else if (k->state == LINK_SECURING)
        securing(k);
    else if (k->state == LINK_IDLE)
        idle(k);
}

enum err link_dial(struct upstream *up, struct target *t, uint32_t timeout_ms, struct lease *lease,
                   struct link **out)
{
    int fd;
    enum err e = socket_connect(&t->addr, &fd);
    if (e != OK)
        return e;
    struct link *k = pool_get(&up->links);
    struct conn *c = conn_new(up->loop, fd, &t->addr);
    if (!k || !c) {
        if (k)
            pool_put(&up->links, k);
        if (c)
            conn_close(c);
        return ERR_NOMEM;
    }
    *k = (struct link){.magic = LINK_MAGIC, .state = LINK_CONNECTING, .conn = c, .target = t,
                       .lease = lease, .key = lease->member->link_key, .uses = 1, .pool = &up->links, .worker = up->worker};
    list_init(&k->node);
    task_init(&k->task, link_run);
    timer_init(&k->timer, &k->task);
    conn_own(c, &k->task);
    conn_connecting(c);
    loop_timer(up->loop, &k->timer, timeout_ms);
    *out = k;
    return OK;
}

/* ---- idle list ---- */

struct link *link_take_idle(struct upstream *up, struct target *t, uint64_t key)
{
    struct target_local *mine = &t->local[up->worker];
    while (!list_empty(&mine->idle)) {
        struct link *k = list_first(&mine->idle, struct link, node);
        CHECK_MAGIC(k, LINK_MAGIC);
        if (k->key != key || !conn_quiet(k->conn)) {
            link_close(k);
            continue;
        }
        list_del(&k->node);
        counter_sub(&mine->idle_links, 1);
        timer_clear(&k->timer);
        k->state = LINK_LEASED;
        k->uses++;
        return k;
    }
    return NULL;
}

void link_put_idle(struct link *k, uint32_t keep_alive_ms)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    CHECK(k->state == LINK_LEASED);
    CHECK(!k->conn->residue && conn_unsent(k->conn) == 0);
    k->state = LINK_IDLE;
    list_push_front(&local_of(k)->idle, &k->node);
    counter_add(&local_of(k)->idle_links, 1);
    conn_rest(k->conn);
    conn_own(k->conn, &k->task);
    conn_settle(k->conn, true); /* a slow client may have left it unwatched */
    loop_timer(loop_of(k), &k->timer, keep_alive_ms);
}

void link_close_idle(struct target *t, unsigned worker)
{
    struct list *idle_links = &t->local[worker].idle;
    while (!list_empty(idle_links))
        link_close(list_first(idle_links, struct link, node));
}
