#include "proxy/connection.h"

#include "base/text.h"
#include "net/tls.h"
#include "net/tls_peer.h"

#define PREFIX "TID_"

static char *put_hex16(char *p, uint64_t v)
{
    for (unsigned shift = 64; shift;)
        *p++ = "0123456789abcdef"[v >> (shift -= 4) & 15];
    return p;
}

_Static_assert(SESSION_TRACE_BYTES == sizeof(PREFIX) - 1 + 32, "two words in hex");

void connection_begin(struct session *s)
{
    struct rng *rng = &s->conn->loop->rng;
    memcpy(s->trace, PREFIX, sizeof(PREFIX) - 1);
    char *p = put_hex16(s->trace + sizeof(PREFIX) - 1, rng_next(rng));
    put_hex16(p, rng_next(rng));
}

static struct slice peer_text(const struct session *s, enum tls_peer_item what, struct strbuf *all)
{
    strbuf_init(all);
    tls_peer_put(s->conn, what, all);
    return strbuf_get(all);
}

static void report(struct session *s, struct connection_report *r)
{
    struct strbuf text[3] = {{0}};
    if (tls_peer_shown(s->conn)) {
        r->subject = peer_text(s, TLS_PEER_SUBJECT, &text[0]);
        r->validity = peer_text(s, TLS_PEER_VALIDITY, &text[1]);
        r->serial = peer_text(s, TLS_PEER_SERIAL, &text[2]);
    }
    s->proxy->on_connection(s->proxy, r);
    for (size_t i = 0; i < ARRAY_LEN(text); i++)
        strbuf_fini(&text[i]);
}

void connection_decided(struct session *s, bool secured)
{
    bool wanted = s->proxy->on_connection && !s->reported;
    s->reported = true;
    if (!wanted)
        return;
    struct exchange_client client = session_client(s);
    struct tls_info tls = tls_info(s->conn);
    bool spoke_tls = session_listener(s)->tls != NULL;
    struct connection_report r = {
        .client_ip = client.peer_ip,
        .client_port = client.peer_port,
        .listener_port = addr_port(&s->local),
        .handshake_ms = secured ? (int64_t)(s->conn->loop->clock.now_ms - s->opened_ms) : -1,
        .tls = spoke_tls,
        .trace = client.trace,
    };
    if (secured) {
        r.tls_protocol = tls.protocol;
        r.tls_cipher = tls.cipher;
        r.tls_group = tls.group;
    } else if (spoke_tls) {
        r.failure = slice_str(tls_peer_failure(s->conn));
    }
    report(s, &r);
}
