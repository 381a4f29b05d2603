#include "server/admin.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "net/conn.h"
#include "net/socket.h"

#define BACKLOG       1024
#define FIELDS_MAX    64
#define DISCARD_BYTES (256u * 1024) /* of what a client still sends after its answer */

static const struct limits limits = {
    .request_line = 8192,
    .header = 8192,
    .request_head = 16384,
    .headers = FIELDS_MAX,
};

struct session {
    struct admin *admin;
    struct conn *conn;
    struct task task;
    struct timer timer;
    struct list node;
    struct h1_finder finder;
    bool answered; /* only the client's end is waited for */
    bool closed;
    size_t discarded;
    struct reapable reapable;
};

static void watch(struct admin *a);

/* ---- life of a session ---- */

static void session_reap(struct reapable *r)
{
    free(container_of(r, struct session, reapable));
}

static void session_close(struct session *s)
{
    if (s->closed)
        return;
    s->closed = true;
    struct admin *a = s->admin;
    conn_close(s->conn);
    task_cancel(&s->task);
    timer_del(&a->loop->wheel, &s->timer);
    list_del(&s->node);
    a->sessions_n--;
    watch(a);
    s->reapable.reap = session_reap;
    loop_reap(a->loop, &s->reapable);
}

/* ---- answering ---- */

static void send_reply(struct session *s, const struct h1_reply *reply)
{
    size_t cap = reply->body.n + 1024;
    struct iovec iov = {.iov_base = malloc(cap)};
    CHECK(iov.iov_base);
    CHECK(h1_writer_reply(iov.iov_base, cap, reply, &iov.iov_len) == OK);
    s->answered = true;
    enum err e = conn_write(s->conn, &iov, 1);
    free(iov.iov_base);
    if (e != OK) {
        session_close(s);
        return;
    }
    conn_shutdown(s->conn);
    loop_timer(s->admin->loop, &s->timer, ADMIN_REQUEST_MS);
}

static const struct field extra[] = {
    {.name = SLICE_INIT("Cache-Control"), .value = SLICE_INIT("no-store")},
    {.name = SLICE_INIT("Allow"), .value = SLICE_INIT("GET")}, /* with 405 only */
};

static struct h1_reply reply_of(const struct session *s, unsigned status, struct slice body)
{
    return (struct h1_reply){
        .status = status,
        .body = body,
        .date = clock_http_date(&s->admin->loop->clock),
        .fields = extra,
        .field_count = status == 405 ? 2 : 1,
        .client = HTTP_1_1,
    };
}

static void refuse(struct session *s, enum reason why)
{
    char body[H1_ERROR_BODY_MAX];
    size_t n = h1_writer_error_body(body, status_of(why), why);
    struct h1_reply reply = reply_of(s, status_of(why), slice_of(body, n));
    send_reply(s, &reply);
}

static void serve(struct session *s, const struct request_head *h)
{
    struct admin_answer a = {.status = 404, .content_type = "text/plain; charset=utf-8"};
    if (h->method_id != METHOD_GET) {
        refuse(s, REASON_METHOD_NOT_ALLOWED);
        return;
    }
    strbuf_init(&a.body);
    s->admin->handler(s->admin->ctx, h->path, &a);
    struct h1_reply reply = reply_of(s, a.status, strbuf_get(&a.body));
    reply.content_type = slice_str(a.content_type);
    send_reply(s, &reply);
    strbuf_fini(&a.body);
}

static void parse(struct session *s, struct slice raw)
{
    struct field fields[FIELDS_MAX];
    char host_space[HEAD_HOST_MAX];
    struct request_head h;
    head_request_init(&h, fields, FIELDS_MAX, host_space);
    enum reason why = h1_parser_request(raw, &limits, DESYNC_MODE_DEFENSIVE, &h);
    if (why == REASON_NONE)
        serve(s, &h);
    else
        refuse(s, why);
}

/* ---- the task ---- */

static void read_head(struct session *s, struct slice in)
{
    struct h1_find_result f = h1_parser_find_request(&s->finder, in, &limits);
    switch (f.found) {
    case H1_FOUND_MORE:
        conn_keep(s->conn, in, true);
        return;
    case H1_FOUND_BAD:
        refuse(s, f.reason);
        break;
    case H1_FOUND_HEAD:
        parse(s, slice_of(in.p + f.skip, f.length));
        break;
    }
    if (!s->closed)
        conn_keep(s->conn, slice_from(in, in.n), false);
}

static void discard(struct session *s, struct slice in)
{
    s->discarded += in.n;
    conn_keep(s->conn, slice_from(in, in.n), false);
    if (s->discarded > DISCARD_BYTES)
        session_close(s);
}

/* Closed at once after the answer, a connection that still holds input would end in an RST, which
 * can take the answer with it. So the client's end is waited for. */
static void on_input(struct session *s)
{
    struct slice in;
    switch (conn_read(s->conn, LOOP_RECV_BYTES, &in)) {
    case OK:
        s->answered ? discard(s, in) : read_head(s, in);
        break;
    case ERR_AGAIN:
        break;
    case ERR_EOF:
        if (s->answered && conn_unsent(s->conn))
            break;
        session_close(s);
        break;
    default:
        session_close(s);
    }
}

static void on_timer(struct session *s)
{
    if (s->answered || s->finder.at == 0)
        session_close(s);
    else
        refuse(s, REASON_REQUEST_TIMEOUT);
}

static void on_session(struct task *t)
{
    struct session *s = container_of(t, struct session, task);
    if (conn_flush(s->conn) != OK)
        session_close(s);
    else if (timer_take(&s->timer))
        on_timer(s);
    else
        on_input(s);
    if (!s->closed)
        conn_settle(s->conn, true);
}

/* ---- accepting ---- */

static void add_session(struct admin *a, int fd, const struct addr *peer)
{
    struct conn *c = conn_new(a->loop, fd, peer);
    if (!c)
        return;
    struct session *s = calloc(1, sizeof(*s));
    CHECK(s);
    s->admin = a;
    s->conn = c;
    task_init(&s->task, on_session);
    timer_init(&s->timer, &s->task);
    list_push_back(&a->sessions, &s->node);
    a->sessions_n++;
    loop_timer(a->loop, &s->timer, ADMIN_REQUEST_MS);
    conn_own(c, &s->task);
}

static bool may_accept(const struct admin *a)
{
    return a->open && !a->resting && a->sessions_n < ADMIN_CONNECTIONS;
}

/* At the limit the rest waits in the kernel's queue. */
static void watch(struct admin *a)
{
    if (may_accept(a))
        ev_io_start(a->loop->ev, &a->io);
    else
        ev_io_stop(a->loop->ev, &a->io);
}

/* No descriptor is free: a socket that is ready all the time must not keep the loop busy. */
static void rest(struct admin *a)
{
    a->resting = true;
    loop_timer(a->loop, &a->timer, ADMIN_REST_MS);
}

static void on_acceptable(struct task *t)
{
    struct admin *a = container_of(t, struct admin, task);
    if (timer_take(&a->timer))
        a->resting = false;
    while (may_accept(a)) {
        int fd;
        struct addr peer;
        enum err e = socket_accept(a->fd, &fd, &peer);
        if (e == OK)
            add_session(a, fd, &peer);
        else if (e == ERR_AGAIN)
            break;
        else
            rest(a);
    }
    watch(a);
}

static void on_event(struct ev_loop *ev, struct ev_io *w, int revents)
{
    (void)ev;
    (void)revents;
    struct admin *a = w->data;
    runq_push_polled(&a->loop->runq, &a->task);
}

/* ---- life ---- */

void admin_init(struct admin *a, struct loop *loop, admin_handler *handler, void *ctx)
{
    *a = (struct admin){.loop = loop, .fd = -1, .handler = handler, .ctx = ctx};
    list_init(&a->sessions);
    task_init(&a->task, on_acceptable);
    timer_init(&a->timer, &a->task);
}

enum err admin_bind(struct admin *a, const struct addr *addr)
{
    CHECK(a->fd < 0);
    enum err e = socket_bind(addr, false, ADMIN_UNIX_MODE, &a->fd);
    if (e != OK)
        return e;
    a->addr = *addr;
    ev_io_init(&a->io, on_event, a->fd, EV_READ);
    a->io.data = a;
    return OK;
}

enum err admin_listen(struct admin *a)
{
    if (a->fd < 0)
        return OK;
    enum err e = socket_listen(a->fd, BACKLOG);
    a->open = e == OK;
    watch(a);
    return e;
}

void admin_fini(struct admin *a)
{
    a->open = false;
    list_each(n, next, &a->sessions)
        session_close(list_entry(n, struct session, node));
    task_cancel(&a->task);
    timer_del(&a->loop->wheel, &a->timer);
    if (a->fd < 0)
        return;
    ev_io_stop(a->loop->ev, &a->io);
    close(a->fd);
    if (addr_family(&a->addr) == AF_UNIX)
        (void)unlink(a->addr.un.sun_path);
    a->fd = -1;
}
