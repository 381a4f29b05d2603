#include "proxy/front_tls.h"

#include "net/tls.h"
#include "proxy/connection.h"
#include "proxy/end_raw.h"
#include "proxy/front_h1.h"
#include "proxy/front_h2.h"
#include "proxy/tls_store.h"
#include "proxy/vouched.h"

static bool is_http(const struct session *s)
{
    return session_listener(s)->config->protocol == CONFIG_PROTOCOL_HTTP;
}

/* ALPN chooses who speaks with the client. */
static void choose_front(struct session *s, struct slice alpn)
{
    if (!is_http(s))
        end_raw_start(s);
    else if (slice_eq(alpn, SLICE("h2")))
        front_h2_begin(s);
    else
        front_h1_start(s);
}

static void secured(struct session *s)
{
    struct tls_info info = tls_info(s->conn);
    s->tls_protocol = info.protocol;
    s->tls_cipher = info.cipher;
    counter_add(&counters_of(s->proxy->counters, s->slot)->tls[info.offloaded], 1);
    connection_decided(s, true);
    if (is_http(s))
        s->vouched = vouched_new(s->conn);
    loop_timer(s->conn->loop, &s->timer, 0);
    choose_front(s, info.alpn);
    if (!s->closed)
        loop_push(s->conn->loop, &s->task);
}

static void failed(struct session *s, enum reason why)
{
    counter_add(&counters_of(s->proxy->counters, s->slot)->reasons[why], 1);
    session_close(s, false);
}

/* Only on https do we know a language in which to say it. */
static void plain_http(struct session *s)
{
    if (!is_http(s)) {
        failed(s, REASON_HTTP_ON_TLS_PORT);
        return;
    }
    tls_drop(s->conn);
    front_h1_turn_away(s, REASON_HTTP_ON_TLS_PORT);
}

static void run(struct task *t)
{
    struct session *s = container_of(t, struct session, task);
    if (s->closed)
        return;
    if (timer_take(&s->timer) && !s->conn->readable) {
        failed(s, REASON_CLIENT_TLS_TIMEOUT);
        return;
    }
    enum err e = conn_flush(s->conn) == OK ? tls_handshake(s->conn) : ERR_RESET;
    switch (e) {
    case OK:
        secured(s);
        return;
    case ERR_AGAIN:
        conn_settle(s->conn, true);
        return;
    case ERR_UNSUPPORTED:
        plain_http(s);
        return;
    case ERR_TLS:
        failed(s, REASON_CLIENT_TLS_ERROR);
        return;
    default: /* it left without a word: a port scan, a TCP health check */
        session_close(s, false);
        return;
    }
}

void front_tls_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                      const struct addr *local)
{
    struct session *s = session_new(p, slot, fd, peer, local, NULL, run);
    if (!s)
        return;
    const struct listener *l = session_listener(s);
    if (tls_accept(s->conn, tls_store_of(l, p->loop)) == OK)
        loop_timer(p->loop, &s->timer, l->root->timeouts.tls_handshake_ms);
    else
        session_close(s, true);
}
