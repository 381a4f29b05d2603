#include "net/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/flow.h"
#include "tls_internal.h"

#define RECORD_BYTES 16384u               /* the most plaintext that fits into one */
#define RECORD_SLACK (RECORD_BYTES + 512) /* one whole record more than was asked for */
#define IN_BYTES     (LOOP_RECV_BYTES + RECORD_SLACK)
#define OUT_BYTES    (FLOW_CAP_BYTES + 32u * 1024) /* a full flow as ciphertext, and a head */
#define WARM_MAX     128 /* conns of a loop that keep OpenSSL's buffers, 34 KiB each */

struct tls_space {
    BIO_METHOD *method, *ktls_method;
    struct list warm; /* most recently used first */
    unsigned warm_n;
    size_t out_n;
    char in[IN_BYTES];
    char out[OUT_BYTES];
    char record[RECORD_BYTES]; /* small pieces on their way into one record */
};

static struct tls *tls_of(const struct conn *c)
{
    return c->transport_state;
}

static struct tls_space *space_of(const struct tls *t)
{
    return t->conn->loop->tls;
}

/* ---- between OpenSSL and the scratches ---- */

static int bio_read(BIO *b, char *to, int n)
{
    struct tls *t = BIO_get_data(b);
    size_t take = t->in.n < (size_t)n ? t->in.n : (size_t)n;
    BIO_clear_retry_flags(b);
    if (take == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(to, t->in.p, take);
    t->in = slice_from(t->in, take);
    return (int)take;
}

void tls_flush(struct tls *t)
{
    struct tls_space *s = space_of(t);
    size_t n = s->out_n;
    s->out_n = 0;
    if (n)
        conn_wire(t->conn, slice_of(s->out, n));
}

/* Never refuses: what the socket does not take waits in the conn's queue. */
void tls_put(struct tls *t, const char *p, size_t n)
{
    struct tls_space *s = space_of(t);
    CHECK(n <= OUT_BYTES);
    if (n > OUT_BYTES - s->out_n)
        tls_flush(t);
    memcpy(s->out + s->out_n, p, n);
    s->out_n += n;
}

bool tls_unsent(const struct tls *t)
{
    return space_of(t)->out_n || t->conn->out.bytes;
}

static int bio_write(BIO *b, const char *p, int n)
{
    CHECK(n >= 0);
    tls_put(BIO_get_data(b), p, (size_t)n);
    return n;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return what == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static struct tls_space *space_new(void)
{
    struct tls_space *s = malloc(sizeof(*s));
    CHECK(s);
    s->out_n = s->warm_n = 0;
    list_init(&s->warm);
    s->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tenbin");
    CHECK(s->method);
    BIO_meth_set_read(s->method, bio_read);
    BIO_meth_set_write(s->method, bio_write);
    BIO_meth_set_ctrl(s->method, bio_ctrl);
    BIO_meth_set_create(s->method, bio_create);
    s->ktls_method = tls_ktls_method();
    return s;
}

void tls_space_free(struct tls_space *s)
{
    if (!s)
        return;
    CHECK(list_empty(&s->warm));
    BIO_meth_free(s->method);
    BIO_meth_free(s->ktls_method);
    free(s);
}

/* ---- OpenSSL's own buffers ---- */

static void cool(struct tls_space *s, struct tls *t)
{
    if (list_empty(&t->warm))
        return;
    list_del(&t->warm);
    s->warm_n--;
}

/* Those that were used last keep their buffers: an idle connection holds none, a busy one does
 * not allocate for each request. */
static void warm_up(struct tls *t)
{
    struct tls_space *s = space_of(t);
    if (s->warm.next == &t->warm)
        return;
    cool(s, t);
    list_push_front(&s->warm, &t->warm);
    if (++s->warm_n <= WARM_MAX)
        return;
    struct tls *last = list_entry(s->warm.prev, struct tls, warm);
    cool(s, last);
    (void)SSL_free_buffers(last->ssl); /* refused while a record is there in part */
}

/* ---- receiving ---- */

/* Key updates and renegotiations cost us more than the peer, and OpenSSL has no limit for them. */
static void on_message(int writing, int version, int type, const void *p, size_t n, SSL *ssl,
                       void *arg)
{
    struct tls *t = arg;
    (void)version, (void)ssl;
    if (writing || type != SSL3_RT_HANDSHAKE || !t->ready)
        return;
    if (++t->messages <= TLS_MESSAGES_MAX + (t->conn->received_bytes >> 20) &&
        !tls_ktls_outdated(t, p, n))
        return;
    t->fault = EPROTO;
    t->in = slice_of(NULL, 0);
}

/* Before calls of OpenSSL that may read. */
static void begin(struct tls *t)
{
    warm_up(t);
    t->in = t->rest ? slice_of(t->rest->data + t->rest->off, t->rest->end - t->rest->off)
                    : slice_of(NULL, 0);
}

static void drop_rest(struct tls *t)
{
    if (t->rest)
        chunkpool_put(&t->conn->loop->chunks, t->rest);
    t->rest = NULL;
}

static void keep_rest(struct tls *t)
{
    if (t->rest && t->in.n) {
        t->rest->off = t->rest->end - (uint32_t)t->in.n;
        return;
    }
    drop_rest(t);
    if (t->in.n == 0)
        return;
    t->rest = chunkpool_get(&t->conn->loop->chunks, t->in.n);
    memcpy(t->rest->data, t->in.p, t->in.n);
    t->rest->end = (uint32_t)t->in.n;
}

/* After them: nothing of the scratches is left. */
static void finish(struct tls *t)
{
    keep_rest(t);
    t->in = slice_of(NULL, 0);
    tls_flush(t);
}

/* One recv for room bytes of plaintext. False: nothing came; t->ended and t->fault tell why. */
static bool receive(struct tls *t, size_t room)
{
    struct conn *c = t->conn;
    size_t ask = room < LOOP_RECV_BYTES ? room + RECORD_SLACK : IN_BYTES;
    ssize_t got;
    if (!c->readable || t->ended || t->fault)
        return false;
    do
        got = recv(c->fd, space_of(t)->in, ask, 0);
    while (got < 0 && errno == EINTR);
    c->readable = got == (ssize_t)ask;
    if (got > 0) {
        drop_rest(t);
        t->in = slice_of(space_of(t)->in, (size_t)got);
    } else if (got == 0) {
        t->ended = true;
        c->truncated = !(SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        t->fault = errno;
    }
    return got > 0;
}

static void note_failure(struct tls *t)
{
    t->verdict = SSL_get_verify_result(t->ssl);
    t->reason = ERR_GET_REASON(ERR_peek_last_error());
    t->dead = true;
    t->fault = EPROTO;
    t->why = tls_pem_reason();
    if (t->verdict != X509_V_OK)
        t->why = X509_verify_cert_error_string(t->verdict);
}

/* What a call said that did not succeed. True: it is to be called again, because room bytes of
 * plaintext were asked for (0: no more than was received already is wanted) and something came. */
static bool again(struct tls *t, int result, size_t room)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return room && receive(t, room);
    case SSL_ERROR_ZERO_RETURN:
        t->ended = true;
        return false;
    default:
        note_failure(t);
        return false;
    }
}

static ssize_t answer(struct tls *t)
{
    if (t->fault) {
        errno = t->fault;
        t->fault = 0;
        t->dead = true;
        return -1;
    }
    if (t->ended) {
        t->ended = false;
        return 0;
    }
    errno = EAGAIN;
    return -1;
}

/* Stops when the room is full or OpenSSL wants more than one recv brought; goes on only as long as
 * nothing came of it. */
static ssize_t transport_recv(struct conn *c, void *to, size_t n)
{
    struct tls *t = tls_of(c);
    size_t got = 0;
    bool received = false;
    if (t->dead || t->ended || t->fault)
        return answer(t);
    begin(t);
    while (got < n) {
        int r = SSL_read(t->ssl, (char *)to + got, (int)(n - got));
        if (r > 0) {
            got += (size_t)r;
            continue;
        }
        if (!again(t, r, got && received ? 0 : n - got))
            break;
        received = true;
    }
    finish(t);
    return got ? (ssize_t)got : answer(t);
}

/* What no event will announce. */
static bool transport_pending(const struct conn *c)
{
    const struct tls *t = tls_of(c);
    return t->ended || t->fault || (!t->dead && (t->rest || SSL_pending(t->ssl) > 0));
}

/* ---- sending ---- */

static bool encrypt(struct tls *t, const char *p, size_t n)
{
    int r = SSL_write(t->ssl, p, (int)n);
    if (r == (int)n)
        return true;
    note_failure(t);
    return false;
}

static bool encrypt_held(struct tls *t, size_t *held)
{
    size_t n = *held;
    *held = 0;
    return n == 0 || encrypt(t, space_of(t)->record, n);
}

/* What fills records goes straight into them; smaller pieces are gathered. */
static bool encrypt_piece(struct tls *t, struct slice p, bool last, size_t *held)
{
    while (p.n) {
        if (*held == 0 && (last || p.n >= RECORD_BYTES)) {
            size_t n = last ? p.n : p.n - p.n % RECORD_BYTES;
            if (!encrypt(t, p.p, n))
                return false;
            p = slice_from(p, n);
            continue;
        }
        struct slice part = slice_upto(p, RECORD_BYTES - *held);
        memcpy(space_of(t)->record + *held, part.p, part.n);
        *held += part.n;
        p = slice_from(p, part.n);
        if (*held == RECORD_BYTES && !encrypt_held(t, held))
            return false;
    }
    return true;
}

static bool encrypt_pieces(struct tls *t, const struct iovec *iov, int n)
{
    size_t held = 0;
    for (int i = 0; i < n; i++)
        if (!encrypt_piece(t, slice_of(iov[i].iov_base, iov[i].iov_len), i == n - 1, &held))
            return false;
    return encrypt_held(t, &held);
}

static enum err transport_send(struct conn *c, const struct iovec *iov, int n)
{
    struct tls *t = tls_of(c);
    if (t->dead)
        return ERR_RESET;
    warm_up(t);
    bool good = encrypt_pieces(t, iov, n);
    tls_flush(t);
    return good && !c->broken ? OK : ERR_RESET;
}

/* ---- ending ---- */

static bool transport_shutdown(struct conn *c)
{
    struct tls *t = tls_of(c);
    if (t->dead || !t->ready)
        return true;
    t->ending = true;
    int r = SSL_shutdown(t->ssl);
    t->ending = false;
    bool waits = r < 0 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    tls_flush(t);
    return !waits;
}

static void free_tls(struct tls *t)
{
    cool(space_of(t), t);
    drop_rest(t);
    /* Else OpenSSL would take the session for one that broke off, and refuse to resume it. */
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    X509_free(t->refused);
    ERR_clear_error();
    tls_ctx_unref(t->ctx);
    free(t);
}

static void transport_close(struct conn *c)
{
    struct tls *t = tls_of(c);
    if (!c->broken && !c->shut_wanted)
        (void)transport_shutdown(c);
    free_tls(t);
    c->transport = NULL;
    c->transport_state = NULL;
}

static const struct transport transport = {
    transport_recv, transport_send, transport_pending, transport_shutdown, transport_close,
};

/* ---- beginning ---- */

static bool set_bios(struct tls *t, struct tls_space *s)
{
    BIO *in = BIO_new(s->method);
    BIO *out = in && t->ctx->ktls ? tls_ktls_bio(t, s->ktls_method) : in;
    if (!out) {
        BIO_free(in);
        return false;
    }
    BIO_set_data(in, t);
    SSL_set_bio(t->ssl, in, out);
    return true;
}

static struct tls *tls_new(struct conn *c, struct tls_ctx *ctx)
{
    struct tls *t = malloc(sizeof(*t));
    SSL *ssl = SSL_new(ctx->ssl);
    if (!c->loop->tls)
        c->loop->tls = space_new();
    if (t)
        *t = (struct tls){.ssl = ssl, .conn = c, .ctx = ctx, .why = ""};
    if (!t || !ssl || !set_bios(t, c->loop->tls)) {
        free(t);
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    tls_ctx_ref(ctx);
    list_init(&t->warm);
    SSL_set_app_data(ssl, t);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, t);
    c->transport_state = t;
    c->transport = &transport;
    return t;
}

enum err tls_accept(struct conn *c, struct tls_ctx *ctx)
{
    CHECK(!c->transport && ctx->server);
    struct tls *t = tls_new(c, ctx);
    if (!t)
        return ERR_NOMEM;
    SSL_set_accept_state(t->ssl);
    return OK;
}

static bool is_ip(struct slice name)
{
    struct addr a;
    return addr_parse_ip(&a, name, 0) == OK;
}

/* The name goes into the hello and is what the certificate must be for; an address is only the
 * latter (RFC 6066 3). */
static bool set_name(struct tls *t, struct slice name)
{
    char text[256], ip[ADDR_TEXT_MAX];
    if (name.n == 0)
        name = slice_of(ip, addr_format_ip(&t->conn->peer, ip));
    if (name.n >= sizeof(text))
        return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    if (is_ip(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, text) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, text, name.n) == 1 &&
           SSL_set_tlsext_host_name(t->ssl, text) == 1;
}

enum err tls_connect(struct conn *c, const struct tls_dial *d)
{
    CHECK(!c->transport && !d->ctx->server);
    struct tls *t = tls_new(c, d->ctx);
    if (!t)
        return ERR_NOMEM;
    if ((d->server_name.n || t->ctx->verify) && !set_name(t, d->server_name)) {
        ERR_clear_error();
        transport_close(c);
        return ERR_SYNTAX;
    }
    t->resume = d->resume;
    t->resume_key = hash_bytes(d->server_name, t->ctx->fingerprint);
    SSL_set_connect_state(t->ssl);
    tls_resume_offer(t);
    return OK;
}

/* ---- the handshake ---- */

/* Methods are upper-case letters; the first byte of TLS is 22. */
static bool looks_like_http(const struct tls *t)
{
    return t->in.n && t->in.p[0] >= 'A' && t->in.p[0] <= 'Z';
}

static enum err first_bytes(struct tls *t)
{
    if (t->started || !t->ctx->server)
        return OK;
    if (!receive(t, RECORD_BYTES))
        return ERR_AGAIN;
    t->started = true;
    return looks_like_http(t) ? ERR_UNSUPPORTED : OK;
}

static enum err verdict(const struct tls *t)
{
    if (t->dead)
        return ERR_TLS;
    if (t->fault)
        return ERR_RESET;
    return t->ended ? ERR_EOF : ERR_AGAIN;
}

static enum err handshake(struct tls *t)
{
    enum err e = first_bytes(t);
    if (e != OK)
        return e == ERR_AGAIN ? verdict(t) : e;
    for (;;) {
        int r = SSL_do_handshake(t->ssl);
        if (r == 1) {
            t->ready = true;
            if (t->ctx->ktls)
                tls_ktls_decide(t);
            tls_resume_renew(t);
            return OK;
        }
        if (!again(t, r, RECORD_BYTES))
            return verdict(t);
    }
}

enum err tls_handshake(struct conn *c)
{
    struct tls *t = tls_of(c);
    CHECK(t && !t->ready);
    begin(t);
    enum err e = handshake(t);
    finish(t);
    return e;
}

const char *tls_why(const struct conn *c)
{
    const struct tls *t = tls_of(c);
    return t ? t->why : "";
}

void tls_drop(struct conn *c)
{
    struct tls *t = tls_of(c);
    CHECK(t && !t->ready);
    free_tls(t);
    c->transport = NULL;
    c->transport_state = NULL;
}

struct tls_info tls_info(const struct conn *c)
{
    const struct tls *t = c->transport == &transport ? tls_of(c) : NULL;
    const unsigned char *alpn;
    unsigned alpn_n;
    if (!t)
        return (struct tls_info){0};
    SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_n);
    const char *group = NULL; /* without a session OpenSSL would follow a null pointer */
    if (t->ready)
        group = SSL_group_to_name(t->ssl, (int)SSL_get_negotiated_group(t->ssl));
    return (struct tls_info){
        .protocol = slice_str(SSL_get_version(t->ssl)),
        .cipher = slice_str(SSL_get_cipher_name(t->ssl)),
        .alpn = slice_of((const char *)alpn, alpn_n),
        .server_name = slice_str(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name)),
        .group = slice_str(group ? group : ""),
        .resumed = SSL_session_reused(t->ssl),
        .offloaded = c->kernel_seals,
    };
}
