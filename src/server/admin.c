#include "server/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "net/conn.h"
#include "net/socket.h"

#define PLAIN         "text/plain; charset=utf-8"
#define BACKLOG       1024
#define FIELDS_MAX    64
#define DISCARD_BYTES (256u * 1024) /* of what a client still sends after its answer */

static const struct limits limits = {
    .request_line = 8192,
    .header = 8192,
    .request_head = 16384,
    .headers = FIELDS_MAX,
};

struct admin_session {
    struct admin *admin;
    struct conn *conn;
    struct task task;
    struct timer timer;
    struct list node;
    struct h1_finder finder;
    size_t head_skip, head_n;  /* where the head is, once it is there; else n is 0 */
    bool continued;            /* 100 was sent */
    struct admin_later *later; /* the answer is due */
    bool answered;             /* only the client's end is waited for */
    bool closed;
    size_t discarded;
    struct reapable reapable;
};

static void watch(struct admin *a);

/* ---- life of a session ---- */

static void session_reap(struct reapable *r)
{
    free(container_of(r, struct admin_session, reapable));
}

static void leave_later(struct admin_session *s)
{
    if (!s->later)
        return;
    s->later->session = NULL;
    s->later = NULL;
    s->admin->later_n--;
}

static void session_close(struct admin_session *s)
{
    if (s->closed)
        return;
    s->closed = true;
    struct admin *a = s->admin;
    leave_later(s);
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

static void send_reply(struct admin_session *s, const struct h1_reply *reply)
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

static void answer(struct admin_session *s, const struct admin_answer *a)
{
    const struct field extra[] = {
        {.name = SLICE("Cache-Control"), .value = SLICE("no-store")},
        {.name = SLICE("Allow"), .value = slice_str(a->allow ? a->allow : "")},
        {.name = SLICE("WWW-Authenticate"),
         .value = a->status == 401 ? SLICE("Bearer") : slice_of("", 0)},
    };
    struct h1_reply reply = {
        .status = a->status,
        .content_type = slice_str(a->content_type),
        .body = strbuf_get(&a->body),
        .date = clock_http_date(&s->admin->loop->clock),
        .fields = extra,
        .field_count = ARRAY_LEN(extra),
        .client = HTTP_1_1,
    };
    send_reply(s, &reply);
}

static void refuse(struct admin_session *s, enum reason why)
{
    char body[H1_ERROR_BODY_MAX];
    struct admin_answer a = {.status = status_of(why),
                             .content_type = PLAIN,
                             .allow = why == REASON_METHOD_NOT_ALLOWED ? "GET, POST" : NULL};
    strbuf_init(&a.body);
    strbuf_add(&a.body, body, h1_writer_error_body(body, a.status, why));
    answer(s, &a);
    strbuf_fini(&a.body);
}

/* `Bearer TOKEN`, the scheme in any case; the token empty when it is anything else. */
static struct slice bearer(const struct request_head *h)
{
    const struct field *f = fields_get(&h->fields, FIELD_AUTHORIZATION);
    const struct slice scheme = SLICE("bearer ");
    if (!f || fields_next(&h->fields, f) || !slice_ieq(slice_upto(f->value, scheme.n), scheme))
        return slice_of("", 0);
    return slice_trim(slice_from(f->value, scheme.n));
}

static struct slice who(const struct admin_session *s, char *to, size_t cap)
{
    struct ucred c;
    socklen_t n = sizeof(c);
    if (addr_family(&s->admin->addr) != AF_UNIX)
        return slice_of(to, addr_format(&s->conn->peer, to));
    if (getsockopt(s->conn->fd, SOL_SOCKET, SO_PEERCRED, &c, &n) != 0)
        return SLICE("somebody");
    return slice_of(to, (size_t)snprintf(to, cap, "uid %u pid %d", c.uid, c.pid));
}

static void wait_for_owner(struct admin_session *s, struct admin_later *later)
{
    later->session = s;
    s->later = later;
    s->admin->later_n++;
    loop_timer(s->admin->loop, &s->timer, 0);
}

static void serve(struct admin_session *s, const struct request_head *h, struct slice body)
{
    char text[ADDR_TEXT_MAX];
    struct admin_request r = {
        .post = h->method_id == METHOD_POST,
        .path = h->path,
        .query = h->query,
        .body = body,
        .token = bearer(h),
        .unix_socket = addr_family(&s->admin->addr) == AF_UNIX,
        .who = who(s, text, sizeof(text)),
    };
    struct admin_answer a = {.status = 404, .content_type = PLAIN};
    strbuf_init(&a.body);
    s->admin->handler(s->admin->ctx, &r, &a);
    if (a.later)
        wait_for_owner(s, a.later);
    else
        answer(s, &a);
    strbuf_fini(&a.body);
}

static void say_continue(struct admin_session *s)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec iov = {.iov_base = text, .iov_len = sizeof(text) - 1};
    s->continued = true;
    if (conn_write(s->conn, &iov, 1) != OK)
        session_close(s);
}

/* False: the rest of the body is waited for. */
static bool take_request(struct admin_session *s, const struct request_head *h, struct slice rest)
{
    if (h->method_id != METHOD_GET && h->method_id != METHOD_POST) {
        refuse(s, REASON_METHOD_NOT_ALLOWED);
    } else if (h->method_id == METHOD_GET) {
        serve(s, h, slice_of("", 0));
    } else if (h->framing == FRAMING_CHUNKED) {
        refuse(s, REASON_UNKNOWN_TRANSFER_CODING);
    } else if (h->framing == FRAMING_LENGTH && h->content_length > ADMIN_BODY_MAX) {
        refuse(s, REASON_BODY_TOO_LARGE);
    } else if (h->framing == FRAMING_LENGTH && rest.n < h->content_length) {
        if (h->expect_continue && !s->continued)
            say_continue(s);
        return false;
    } else {
        serve(s, h, slice_upto(rest, h->framing == FRAMING_LENGTH ? h->content_length : 0));
    }
    return true;
}

static bool parse(struct admin_session *s, struct slice in)
{
    struct field fields[FIELDS_MAX];
    char host_space[HEAD_HOST_MAX];
    struct request_head h;
    struct slice raw = slice_of(in.p + s->head_skip, s->head_n);
    head_request_init(&h, fields, FIELDS_MAX, host_space);
    enum reason why = h1_parser_request(raw, &limits, DESYNC_MODE_DEFENSIVE, &h);
    if (why == REASON_NONE)
        return take_request(s, &h, slice_from(in, s->head_skip + s->head_n));
    refuse(s, why);
    return true;
}

bool admin_may_wait(const struct admin *a)
{
    return a->later_n < ADMIN_LATER_MAX;
}

void admin_answer_later(struct admin_later *l, const struct admin_answer *a)
{
    struct admin_session *s = l->session;
    if (!s)
        return;
    leave_later(s);
    answer(s, a);
    loop_push(s->admin->loop, &s->task); /* settles the conn */
}

void admin_forget(struct admin_later *l)
{
    if (l->session)
        session_close(l->session);
}

/* ---- the task ---- */

static bool find_head(struct admin_session *s, struct slice in)
{
    struct h1_find_result f = h1_parser_find_request(&s->finder, in, &limits);
    if (f.found == H1_FOUND_BAD)
        refuse(s, f.reason);
    if (f.found == H1_FOUND_HEAD) {
        s->head_skip = f.skip;
        s->head_n = f.length;
    }
    return f.found != H1_FOUND_MORE;
}

/* All that came so far, every time: a request is small. */
static void read_request(struct admin_session *s, struct slice in)
{
    bool whole = s->head_n || find_head(s, in);
    if (whole && s->head_n)
        whole = parse(s, in);
    if (!s->closed)
        conn_keep(s->conn, whole ? slice_from(in, in.n) : in, !whole);
}

static void discard(struct admin_session *s, struct slice in)
{
    s->discarded += in.n;
    conn_keep(s->conn, slice_from(in, in.n), false);
    if (s->discarded > DISCARD_BYTES)
        session_close(s);
}

/* Closed at once after the answer, a connection that still holds input would end in an RST, which
 * can take the answer with it. So the client's end is waited for. */
static void on_input(struct admin_session *s)
{
    struct slice in;
    switch (conn_read(s->conn, LOOP_RECV_BYTES, &in)) {
    case OK:
        s->answered || s->later ? discard(s, in) : read_request(s, in);
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

static void on_timer(struct admin_session *s)
{
    if (s->answered || s->finder.at == 0)
        session_close(s);
    else
        refuse(s, REASON_REQUEST_TIMEOUT);
}

static void on_session(struct task *t)
{
    struct admin_session *s = container_of(t, struct admin_session, task);
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
    struct admin_session *s = calloc(1, sizeof(*s));
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
        session_close(list_entry(n, struct admin_session, node));
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
