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
    k->reapable.reap = link_reap;
    loop_reap(l, &k->reapable);
    if (k->session)
        k->ops->close(k);
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

static const struct lease *first_waiting(const struct link *k)
{
    CHECK(!list_empty(&k->waiting));
    return list_first(&k->waiting, struct lease, waiting);
}

/* In the order in which they came, as far as there are slots. */
static void tell_waiting(struct link *k, struct list *waiting, enum err e)
{
    while (!list_empty(waiting)) {
        struct lease *l = list_first(waiting, struct lease, waiting);
        bool gets = e == OK && k->slots_used < k->slots_max;
        list_del(&l->waiting);
        k->slots_used += gets;
        k->uses += gets;
        lease_link_done(l, k, e == OK && !gets ? ERR_AGAIN : e);
    }
}

/* Those that get no slot may join the next link to the target, but not this one. */
static void decide(struct link *k, enum err e)
{
    struct list waiting;
    list_init(&waiting);
    list_splice_back(&waiting, &k->waiting);
    list_del(&k->node);
    timer_clear(&k->timer);
    if (e == OK)
        k->state = LINK_LEASED;
    else
        link_close(k);
    tell_waiting(k, &waiting, e);
    if (e == OK && k->slots_used < k->slots_max)
        list_push_front(&local_of(k)->idle, &k->node);
}

static struct upstream *upstream_of(const struct link *k)
{
    return container_of(k->pool, struct upstream, links);
}

/* An operator must learn why; once a second is often enough. */
static void say_why(struct link *k)
{
    struct upstream *up = upstream_of(k);
    uint64_t now_ms = up->loop->clock.now_ms;
    if (up->said_ms && now_ms - up->said_ms < 1000)
        return;
    up->said_ms = now_ms;
    log_warning("target %s of %s: TLS handshake failed: %s", k->target->text.p,
                k->target->group.p, tls_why(k->conn));
}

/* Connected, and secured if it is to be: the wire has its say, or the first lease its link. */
static void start(struct link *k)
{
    if (!k->ops) {
        decide(k, OK);
        return;
    }
    k->state = LINK_STARTING;
    loop_timer(loop_of(k), &k->timer, first_waiting(k)->group->connect_timeout_ms);
    enum err e = k->ops->start(k, upstream_of(k));
    if (e != ERR_AGAIN)
        decide(k, e);
}

static void starting(struct link *k)
{
    if (timer_take(&k->timer))
        decide(k, ERR_TIMEOUT);
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
    if (e == OK)
        start(k);
    else
        decide(k, ERR_TLS);
}

static void secure(struct link *k)
{
    const struct lease *l = first_waiting(k);
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
    if (first_waiting(k)->group->tls)
        secure(k);
    else
        start(k);
}

/* Nothing may come on an idle link of one slot: not a byte, not a FIN. */
static void idle(struct link *k)
{
    if (timer_take(&k->timer) || (!k->ops && !conn_quiet(k->conn)))
        link_close(k);
}

static void link_run(struct task *t)
{
    struct link *k = container_of(t, struct link, task);
    if (k->state == LINK_CONNECTING)
        connecting(k);
    else if (k->state == LINK_SECURING)
        securing(k);
    else if (k->state == LINK_STARTING)
        starting(k);
    else if (k->state == LINK_IDLE)
        idle(k);
}

/* ---- dialing ---- */

static void wait_for(struct link *k, struct lease *lease)
{
    list_push_back(&k->waiting, &lease->waiting);
    k->waiting_n++;
}

/* A link on its way that will likely have a slot for one more. */
static struct link *find_dialing(struct upstream *up, struct target *t, uint64_t key)
{
    struct target_local *mine = &t->local[up->worker];
    uint32_t slots = mine->slots_seen ? mine->slots_seen : LINK_SLOTS_GUESS;
    list_each(n, tmp, &mine->dialing) {
        struct link *k = list_entry(n, struct link, node);
        if (k->key == key && k->waiting_n < slots)
            return k;
    }
    return NULL;
}

static enum err dial(struct upstream *up, struct target *t, uint32_t timeout_ms,
                     const struct lease *lease, struct link **out)
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
    *k = (struct link){.magic = LINK_MAGIC,
                       .state = LINK_CONNECTING,
                       .conn = c,
                       .target = t,
                       .key = lease->member->link_key,
                       .ops = lease->group->link_ops,
                       .slots_max = 1,
                       .pool = &up->links,
                       .worker = up->worker};
    list_init(&k->node);
    list_init(&k->waiting);
    task_init(&k->task, link_run);
    timer_init(&k->timer, &k->task);
    conn_own(c, &k->task);
    conn_connecting(c);
    loop_timer(up->loop, &k->timer, timeout_ms);
    if (k->ops)
        list_push_front(&local_of(k)->dialing, &k->node);
    *out = k;
    return OK;
}

enum err link_dial(struct upstream *up, struct target *t, uint32_t timeout_ms, struct lease *lease,
                   struct link **out)
{
    enum err e = OK;
    *out = lease->group->link_ops ? find_dialing(up, t, lease->member->link_key) : NULL;
    if (!*out)
        e = dial(up, t, timeout_ms, lease, out);
    if (e == OK)
        wait_for(*out, lease);
    return e;
}

/* Nobody is left who wants it: it would only be one more idle link. */
void link_leave(struct link *k, struct lease *lease)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    list_del(&lease->waiting);
    k->waiting_n--;
    if (list_empty(&k->waiting))
        link_close(k);
}

void link_started(struct link *k, enum err e)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    CHECK(k->state == LINK_STARTING);
    decide(k, e);
}

/* ---- the list of those with a free slot ---- */

static void take_slot(struct link *k)
{
    if (k->state == LINK_IDLE) {
        counter_sub(&local_of(k)->idle_links, 1);
        timer_clear(&k->timer);
        k->state = LINK_LEASED;
    }
    k->uses++;
    if (++k->slots_used == k->slots_max)
        list_del(&k->node);
}

/* A shared link may have input for its own task: that is read before a request is written. */
static bool may_serve(struct link *k, uint64_t key)
{
    return k->key == key && (k->ops ? !conn_at_end(k->conn) : conn_quiet(k->conn));
}

struct link *link_take_idle(struct upstream *up, struct target *t, uint64_t key)
{
    list_each(n, tmp, &t->local[up->worker].idle) {
        struct link *k = list_entry(n, struct link, node);
        CHECK_MAGIC(k, LINK_MAGIC);
        if (may_serve(k, key)) {
            take_slot(k);
            return k;
        }
        link_drain(k);
    }
    return NULL;
}

static void become_idle(struct link *k, uint32_t keep_alive_ms)
{
    k->state = LINK_IDLE;
    counter_add(&local_of(k)->idle_links, 1);
    loop_timer(loop_of(k), &k->timer, keep_alive_ms);
}

void link_put_idle(struct link *k, uint32_t keep_alive_ms)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    CHECK(k->state == LINK_LEASED);
    CHECK(!k->conn->residue && conn_unsent(k->conn) == 0);
    k->slots_used = 0;
    list_push_front(&local_of(k)->idle, &k->node);
    become_idle(k, keep_alive_ms);
    conn_rest(k->conn);
    conn_own(k->conn, &k->task);
    conn_settle(k->conn, true); /* a slow client may have left it unwatched */
}

void link_give_back(struct link *k, uint32_t keep_alive_ms, bool keep)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    CHECK(k->state == LINK_LEASED && k->slots_used > 0);
    k->slots_used--;
    if (!keep || k->draining) {
        link_drain(k);
        return;
    }
    if (list_empty(&k->node) && k->slots_used < k->slots_max)
        list_push_front(&local_of(k)->idle, &k->node);
    if (k->slots_used == 0)
        become_idle(k, keep_alive_ms);
}

void link_drain(struct link *k)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    k->draining = true;
    list_del(&k->node);
    if (k->slots_used == 0 && (k->state == LINK_LEASED || k->state == LINK_IDLE))
        link_close(k);
}

void link_set_slots(struct link *k, uint32_t n)
{
    CHECK_MAGIC(k, LINK_MAGIC);
    bool listed = k->state == LINK_LEASED || k->state == LINK_IDLE;
    k->slots_max = n;
    local_of(k)->slots_seen = n;
    if (!listed || k->draining)
        return;
    list_del(&k->node);
    if (k->slots_used < n)
        list_push_front(&local_of(k)->idle, &k->node);
}

void link_close_idle(struct target *t, unsigned worker)
{
    struct list *idle_links = &t->local[worker].idle;
    while (!list_empty(idle_links))
        link_drain(list_first(idle_links, struct link, node));
}
