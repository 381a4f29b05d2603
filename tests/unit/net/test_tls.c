/* TLS on conns: both ends are conns of one loop. The bytes between them go through the test, which
 * passes them on in pieces of any size, or they are joined by one socketpair.
 *
 * All of it twice: as always, and with servers that ask for kTLS. Where the kernel has no module
 * "tls" the latter shows that nothing comes of asking; bench/ktls_vm.sh runs it where it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/tls_ktls.h"
#include "support/certs.h"

#define NAME      "a.test"
#define TLS12     "ELBSecurityPolicy-FS-1-2-Res-2020-10"
#define GOT_BYTES (4u << 20)
#define PATIENCE  20000 /* turns; nothing passes with fewer because of it */

static struct loop loop;
static bool ktls; /* servers ask for it, and the sockets are such that they can have it */
static bool kernel_can;
static struct tls_ctx_pair pair;
static char names[2][128];

static int setup(void **state)
{
    certs_setup(state);
    struct cert c = certs_make(&(struct cert_spec){.cn = NAME, .san = "DNS:" NAME});
    strcpy(names[0], certs_write(&certs_dir, "a.pem", (const struct cert *const[]){&c, NULL}));
    strcpy(names[1], certs_write_key(&certs_dir, "a.key", &c, NULL));
    pair = (struct tls_ctx_pair){names[0], names[1], NULL};
    certs_free(&c);
    return 0;
}

static int setup_ktls(void **state)
{
    ktls = true;
    kernel_can = tls_ktls_probe() == TLS_KTLS_POSSIBLE;
    return setup(state);
}

static int each_setup(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&loop, 64u << 20), OK);
    conn_pool_init(&loop, 100);
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    loop_turn(&loop);
    assert_int_equal(loop.conns.live, 0);
    assert_int_equal(loop.chunks.used_bytes, 0);
    loop_fini(&loop);
    return 0;
}

/* ---- contexts ---- */

static void say(void *to, enum tls_ctx_about about, size_t which, bool error, const char *text)
{
    (void)to, (void)about, (void)which, (void)error;
    fail_msg("%s", text);
}

static const struct tls_ctx_complaints complaints = {say, NULL};

static struct tls_ctx *server_ctx(const char *policy, struct crypto_ring *tickets)
{
    const char *why;
    struct tls_ctx_server o = {.pairs = &pair,
                               .pairs_n = 1,
                               .alpn = SLICE("\x08http/1.1"),
                               .id = SLICE("web"),
                               .tickets = tickets,
                               .ktls = ktls};
    o.policy = tls_policy_find(slice_str(policy), &why);
    assert_non_null(o.policy);
    struct tls_ctx *x = tls_ctx_server(&o, time(NULL), &complaints);
    assert_non_null(x);
    return x;
}

static struct tls_ctx *client_ctx(bool verify, const char *ca)
{
    struct tls_ctx_client o = {.verify = verify, .ca = ca, .alpn = SLICE("\x02h2\x08http/1.1")};
    struct tls_ctx *x = tls_ctx_client(&o, &complaints);
    assert_non_null(x);
    return x;
}

/* ---- one end ---- */

enum end_state { SHAKING, READY, ENDED };

struct end {
    struct conn *c;
    struct task task;
    enum end_state state;
    enum err how; /* ENDED: how it ended */
    size_t room;  /* of one conn_read */
    bool deaf;    /* does not read */
    char *got;
    size_t got_n;
};

static void end_over(struct end *e, enum err how)
{
    e->state = ENDED;
    e->how = how;
}

static void end_read(struct end *e)
{
    struct slice in;
    enum err r = conn_read(e->c, e->room, &in);
    if (r == OK) {
        assert_true(in.n <= e->room && e->got_n + in.n <= GOT_BYTES);
        memcpy(e->got + e->got_n, in.p, in.n);
        e->got_n += in.n;
        conn_keep(e->c, slice_from(in, in.n), false);
    } else if (r != ERR_AGAIN) {
        end_over(e, r);
    }
}

static void end_run(struct task *t)
{
    struct end *e = container_of(t, struct end, task);
    if (e->state == ENDED)
        return;
    if (conn_flush(e->c) != OK) {
        end_over(e, ERR_RESET);
        return;
    }
    if (e->state == SHAKING) {
        enum err r = tls_handshake(e->c);
        if (r == OK)
            e->state = READY;
        else if (r != ERR_AGAIN)
            end_over(e, r);
    }
    if (e->state == READY && !e->deaf)
        end_read(e);
    if (e->state != ENDED)
        conn_settle(e->c, !e->deaf);
}

static struct end *end_new(int fd)
{
    struct end *e = calloc(1, sizeof(*e));
    e->got = malloc(GOT_BYTES);
    e->room = LOOP_RECV_BYTES;
    struct addr peer;
    assert_int_equal(addr_parse(&peer, SLICE("127.0.0.1:1")), OK);
    e->c = conn_new(&loop, fd, &peer);
    task_init(&e->task, end_run);
    conn_own(e->c, &e->task);
    loop_push(&loop, &e->task);
    return e;
}

static void end_free(struct end *e)
{
    task_cancel(&e->task);
    if (e->c)
        conn_close(e->c);
    free(e->got);
    free(e);
}

static void end_drop(struct end *e, bool reset)
{
    reset ? conn_reset(e->c) : conn_close(e->c);
    e->c = NULL;
    e->state = ENDED;
}

static struct end *server_end(int fd, struct tls_ctx *ctx)
{
    struct end *e = end_new(fd);
    assert_int_equal(tls_accept(e->c, ctx), OK);
    return e;
}

static struct end *client_end(int fd, struct tls_ctx *ctx, const char *name,
                              struct tls_resume *resume)
{
    struct end *e = end_new(fd);
    struct tls_dial d = {ctx, slice_str(name), resume};
    assert_int_equal(tls_connect(e->c, &d), OK);
    return e;
}

/* ---- the wire ---- */

/* A turn of the loop. Between sockets of TCP bytes may take their time: whoever waits for long
 * sleeps, i is how often it has. */
static void turn(int i)
{
    if (ktls && i > 200)
        usleep(100);
    loop_turn(&loop);
}

static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
}

static void small_buffers(int fd)
{
    int bytes = 128 * 1024;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

static void tcp_pair(int fds[2])
{
    struct addr a;
    int listener = -1;
    fds[0] = fds[1] = -1;
    assert_int_equal(addr_parse(&a, SLICE("127.0.0.1:0")), OK);
    assert_int_equal(socket_bind(&a, false, 0, &listener), OK);
    assert_int_equal(socket_listen(listener, 1), OK);
    a = socket_local(listener);
    assert_int_equal(socket_connect(&a, &fds[1]), OK);
    await(listener);
    assert_int_equal(socket_accept(listener, &fds[0], NULL), OK);
    close(listener);
    small_buffers(fds[0]);
    small_buffers(fds[1]);
}

static void unix_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void socket_pair(int fds[2])
{
    ktls ? tcp_pair(fds) : unix_pair(fds);
}

/* fds[0] and fds[3] are for server and client; what goes in between passes through pass(). */
static void wire_pair(int fds[4])
{
    socket_pair(fds);
    unix_pair(fds + 2);
}

static size_t pass(int from, int to, size_t most)
{
    char buffer[65536];
    ssize_t n = recv(from, buffer, most < sizeof(buffer) ? most : sizeof(buffer), 0);
    if (n > 0)
        assert_int_equal(send(to, buffer, (size_t)n, MSG_NOSIGNAL), n);
    return n > 0 ? (size_t)n : 0;
}

static void turn_until(const struct end *e, enum end_state state)
{
    for (int i = 0; i < PATIENCE && e->state != state; i++)
        turn(i);
    assert_int_equal(e->state, state);
}

static void turn_until_got(const struct end *e, size_t n)
{
    for (int i = 0; i < PATIENCE && e->got_n < n; i++)
        turn(i);
    assert_int_equal(e->got_n, n);
}

static void write_all(struct end *e, const char *p, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    assert_int_equal(conn_write(e->c, &iov, 1), OK);
}

static char *pattern(size_t n, uint64_t seed)
{
    struct rng r = {seed};
    char *p = malloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)rng_next(&r);
    return p;
}

/* ---- pieces ---- */

#define PIECES_BYTES 40000

static void go_in_pieces(const char *policy, size_t piece, size_t room)
{
    int fds[4];
    wire_pair(fds);
    struct tls_ctx *sx = server_ctx(policy, NULL), *cx = client_ctx(true, names[0]);
    struct end *s = server_end(fds[0], sx), *c = client_end(fds[3], cx, NAME, NULL);
    char *up = pattern(PIECES_BYTES, 1), *down = pattern(PIECES_BYTES, 2);
    bool sent = false;
    int idle = 0;
    s->room = c->room = room;
    while ((s->got_n < PIECES_BYTES || c->got_n < PIECES_BYTES) && idle < PATIENCE) {
        turn(idle);
        if (!sent && s->state == READY && c->state == READY) {
            write_all(s, down, PIECES_BYTES);
            write_all(c, up, PIECES_BYTES);
            sent = true;
        }
        size_t moved = pass(fds[1], fds[2], piece) + pass(fds[2], fds[1], piece);
        idle = moved ? 0 : idle + 1;
    }
    assert_int_equal(s->got_n, PIECES_BYTES);
    assert_int_equal(c->got_n, PIECES_BYTES);
    assert_memory_equal(s->got, up, PIECES_BYTES);
    assert_memory_equal(c->got, down, PIECES_BYTES);
    assert_int_equal(s->c->received_bytes, PIECES_BYTES);
    assert_int_equal(s->c->sent_bytes, PIECES_BYTES);
    free(up);
    free(down);
    end_free(s);
    end_free(c);
    close(fds[1]);
    close(fds[2]);
    tls_ctx_unref(sx);
    tls_ctx_unref(cx);
}

static void test_bytes_come_through_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 5, 7, 64, 1000, 4096, 16384, 16407, 65536};
    for (size_t i = ktls ? 5 : 0 /* segments of a few bytes take long */; i < ARRAY_LEN(pieces); i++) {
        go_in_pieces("modern", pieces[i], LOOP_RECV_BYTES);
        go_in_pieces(TLS12, pieces[i], LOOP_RECV_BYTES);
    }
}

static void test_what_is_left_of_a_record_comes_without_an_event(void **state)
{
    (void)state;
    static const size_t rooms[] = {7, 100, 16383, 16384, 16385};
    for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
        go_in_pieces("modern", 65536, rooms[i]);
}

/* ---- a joined pair ---- */

struct joined {
    struct tls_ctx *sx, *cx;
    struct end *s, *c;
};

static struct joined join(const char *policy)
{
    int fds[2];
    socket_pair(fds);
    struct joined j = {.sx = server_ctx(policy, NULL), .cx = client_ctx(false, NULL)};
    j.s = server_end(fds[0], j.sx);
    j.c = client_end(fds[1], j.cx, NAME, NULL);
    turn_until(j.s, READY);
    turn_until(j.c, READY);
    return j;
}

static void part(struct joined *j)
{
    end_free(j->s);
    end_free(j->c);
    tls_ctx_unref(j->sx);
    tls_ctx_unref(j->cx);
}

static void test_both_ends_learn_what_was_agreed(void **state)
{
    (void)state;
    struct joined j = join("modern");
    struct tls_info s = tls_info(j.s->c), c = tls_info(j.c->c);
    assert_true(slice_eq(s.protocol, SLICE("TLSv1.3")));
    assert_true(slice_eq(s.cipher, SLICE("TLS_AES_128_GCM_SHA256")));
    assert_true(slice_eq(s.alpn, SLICE("http/1.1")));
    assert_true(slice_eq(s.server_name, SLICE(NAME)));
    assert_true(slice_eq(c.alpn, SLICE("http/1.1")));
    assert_false(s.resumed || c.resumed);
    part(&j);
}

static void hear_again(struct end *e)
{
    e->deaf = false;
    conn_unblock(e->c);
    conn_settle(e->c, true);
}

static void test_a_slow_reader_gets_everything_in_order(void **state)
{
    (void)state;
    struct joined j = join("modern");
    const size_t n = 2u << 20;
    char *p = pattern(n, 3);
    j.c->deaf = true;
    for (size_t at = 0; at < n; at += n / 64)
        write_all(j.s, p + at, n / 64);
    for (int i = 0; i < 20; i++)
        loop_turn(&loop);
    assert_true(conn_unsent(j.s->c) > n / 2);
    size_t some;
    struct iovec iov = {p, 10};
    assert_int_equal(conn_write_some(j.s->c, &iov, 1, &some), OK);
    assert_int_equal(some, 0); /* no new plaintext while ciphertext is unsent */
    hear_again(j.c);
    turn_until_got(j.c, n);
    assert_memory_equal(j.c->got, p, n);
    assert_int_equal(conn_unsent(j.s->c), 0);
    free(p);
    part(&j);
}

static ssize_t peek(int fd, char *to, size_t n)
{
    await(fd);
    return recv(fd, to, n, MSG_PEEK);
}

static void test_pieces_of_one_write_share_records(void **state)
{
    (void)state;
    struct joined j = join("modern");
    struct end *s = j.s, *c = j.c;
    char body[40000], wire[65536];
    memset(body, 'b', sizeof(body));
    struct iovec iov[] = {{"head", 4}, {body, 100}, {body, 39896}};
    assert_int_equal(conn_write(s->c, iov, 3), OK);
    ssize_t n = 0;
    size_t records = 0;
    for (int i = 0; i < PATIENCE && n < (ssize_t)sizeof(body); i++)
        n = peek(c->c->fd, wire, sizeof(wire));
    for (ssize_t at = 0; at + 5 <= n; records++)
        at += 5 + ((uint8_t)wire[at + 3] << 8 | (uint8_t)wire[at + 4]);
    assert_int_equal(records, 3); /* 40,000 bytes do not fit into two */
    turn_until_got(c, 40000);
    assert_memory_equal(c->got, "headbbbb", 8);
    part(&j);
}

/* ---- ends ---- */

static void test_a_shutdown_is_an_orderly_end_behind_all_bytes(void **state)
{
    (void)state;
    struct joined j = join("modern");
    char *p = pattern(1u << 20, 4);
    write_all(j.s, p, 1u << 20);
    conn_shutdown(j.s->c);
    turn_until(j.c, ENDED);
    assert_int_equal(j.c->got_n, 1u << 20);
    assert_memory_equal(j.c->got, p, 1u << 20);
    assert_int_equal(j.c->how, ERR_EOF);
    assert_false(j.c->c->truncated);
    write_all(j.c, "late", 4); /* the other half is still open */
    turn_until_got(j.s, 4);
    free(p);
    part(&j);
}

/* What the socket does not take of the last words waits like bytes. */
static void test_the_end_waits_for_a_reader_that_is_slow(void **state)
{
    (void)state;
    struct joined j = join("modern");
    const size_t n = 2u << 20;
    char *p = pattern(n, 5);
    j.c->deaf = true;
    write_all(j.s, p, n);
    conn_shutdown(j.s->c);
    for (int i = 0; i < 20; i++)
        loop_turn(&loop);
    assert_true(conn_unsent(j.s->c) > n / 2);
    hear_again(j.c);
    turn_until(j.c, ENDED);
    assert_int_equal(j.c->got_n, n);
    assert_memory_equal(j.c->got, p, n);
    assert_int_equal(j.c->how, ERR_EOF);
    assert_false(j.c->c->truncated);
    assert_int_equal(conn_unsent(j.s->c), 0);
    free(p);
    part(&j);
}

static void test_an_end_in_the_same_segment_as_bytes_is_not_missed(void **state)
{
    (void)state;
    struct joined j = join("modern");
    write_all(j.s, "last", 4);
    assert_true(j.s->c->transport->shutdown(j.s->c)); /* without a FIN: no event but that of the bytes */
    turn_until(j.c, ENDED);
    assert_int_equal(j.c->got_n, 4);
    assert_int_equal(j.c->how, ERR_EOF);
    part(&j);
}

static void test_a_close_says_close_notify(void **state)
{
    (void)state;
    struct joined j = join(TLS12);
    end_drop(j.s, false);
    turn_until(j.c, ENDED);
    assert_int_equal(j.c->how, ERR_EOF);
    assert_false(j.c->c->truncated);
    part(&j);
}

static void test_a_bare_fin_is_seen_as_truncation(void **state)
{
    (void)state;
    struct joined j = join("modern");
    shutdown(j.s->c->fd, SHUT_WR);
    turn_until(j.c, ENDED);
    assert_int_equal(j.c->how, ERR_EOF);
    assert_true(j.c->c->truncated);
    part(&j);
}

static void test_a_reset_says_no_close_notify(void **state)
{
    (void)state;
    struct joined j = join("modern");
    end_drop(j.s, true);
    turn_until(j.c, ENDED);
    assert_true(j.c->how == ERR_RESET || j.c->c->truncated);
    part(&j);
}

static void send_bad_record(struct end *from, struct end *to)
{
    static const char bad[] = "\x17\x03\x03\x00\x20"
                              "12345678901234567890123456789012";
    assert_int_equal(send(from->c->fd, bad, sizeof(bad) - 1, 0), (ssize_t)sizeof(bad) - 1);
    turn_until(to, ENDED);
    assert_int_equal(to->how, ERR_RESET);
    turn_until(from, ENDED); /* the alert */
}

static void test_a_record_that_was_changed_breaks_the_connection(void **state)
{
    (void)state;
    struct joined j = join("modern");
    send_bad_record(j.c, j.s);
    part(&j);
    j = join("modern");
    if (!tls_info(j.s->c).offloaded) /* else it would be sealed like all bytes */
        send_bad_record(j.s, j.c);
    part(&j);
}

static void test_an_idle_conn_is_quiet_until_something_comes(void **state)
{
    (void)state;
    struct joined j = join("modern");
    assert_true(conn_quiet(j.c->c));
    write_all(j.s, "x", 1);
    j.c->deaf = true;
    await(j.c->c->fd);
    for (int i = 0; i < 5; i++)
        loop_turn(&loop);
    assert_false(conn_quiet(j.c->c));
    part(&j);
}

/* ---- bad beginnings ---- */

static struct end *begin_with(const char *bytes, size_t n, struct tls_ctx **sx, int *peer)
{
    int fds[2];
    socket_pair(fds);
    *sx = server_ctx("intermediate", NULL);
    *peer = fds[1];
    assert_int_equal(send(fds[1], bytes, n, 0), (ssize_t)n);
    struct end *s = server_end(fds[0], *sx);
    return s;
}

static void test_plain_http_is_told_from_tls_and_can_be_answered(void **state)
{
    (void)state;
    struct tls_ctx *sx;
    char got[16] = "";
    int peer;
    struct end *s = begin_with("GET / HTTP/1.1\r\n", 16, &sx, &peer);
    turn_until(s, ENDED);
    assert_int_equal(s->how, ERR_UNSUPPORTED);
    tls_drop(s->c);
    write_all(s, "plain", 5);
    await(peer);
    assert_int_equal(recv(peer, got, sizeof(got), 0), 5);
    assert_string_equal(got, "plain");
    end_free(s);
    close(peer);
    tls_ctx_unref(sx);
}

static void test_garbage_fails_with_an_alert(void **state)
{
    (void)state;
    static const struct slice rows[] = {
        SLICE_INIT("\x16\x03\x01\x00\x05\x0b\x00\x00\x01\x00"),
        SLICE_INIT("\x00\x00\x00\x00\x00\x00\x00\x00"),
        SLICE_INIT("\x16\x09\x09\x00\x01\x01"),
        SLICE_INIT("\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00"),
        SLICE_INIT("\x17\x03\x03\x00\x01x\x17\x03\x03\x00\x01x"),
        SLICE_INIT("get / HTTP/1.1\r\n\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_ctx *sx;
        int peer;
        struct end *s = begin_with(rows[i].p, rows[i].n, &sx, &peer);
        for (int k = 0; k < PATIENCE && s->state != ENDED; k++)
            turn(k);
        if (s->state != ENDED || s->how != ERR_TLS)
            fail_msg("row %zu: state %d, %s", i, s->state, err_text(s->how));
        assert_true(strlen(tls_why(s->c)) > 0);
        end_free(s);
        close(peer);
        tls_ctx_unref(sx);
    }
}

static void test_a_client_that_leaves_in_the_handshake_is_no_failure(void **state)
{
    (void)state;
    struct tls_ctx *sx;
    int peer;
    struct end *s = begin_with("\x16\x03\x01", 3, &sx, &peer);
    close(peer);
    turn_until(s, ENDED);
    assert_int_equal(s->how, ERR_EOF);
    end_free(s);
    tls_ctx_unref(sx);
}

/* ---- verification ---- */

static const char *shake(struct tls_ctx *cx, const char *name, enum err want)
{
    int fds[2];
    static char why[128];
    socket_pair(fds);
    struct tls_ctx *sx = server_ctx("intermediate", NULL);
    struct end *s = server_end(fds[0], sx), *c = client_end(fds[1], cx, name, NULL);
    turn_until(c, want == OK ? READY : ENDED);
    if (want != OK)
        assert_int_equal(c->how, want);
    snprintf(why, sizeof(why), "%s", tls_why(c->c));
    end_free(s);
    end_free(c);
    tls_ctx_unref(sx);
    return why;
}

static void test_a_target_must_be_who_it_should_be(void **state)
{
    (void)state;
    struct cert other = certs_make(&(struct cert_spec){.cn = "ca", .ca = true});
    const char *ca = certs_write(&certs_dir, "ca.pem", (const struct cert *const[]){&other, NULL});
    struct tls_ctx *good = client_ctx(true, names[0]), *strange = client_ctx(true, ca);
    struct tls_ctx *careless = client_ctx(false, NULL);
    assert_string_equal(shake(good, NAME, OK), "");
    assert_string_equal(shake(good, "b.test", ERR_TLS), "hostname mismatch");
    assert_string_equal(shake(good, "", ERR_TLS), "IP address mismatch"); /* the peer's address */
    assert_string_equal(shake(good, "10.0.0.1", ERR_TLS), "IP address mismatch");
    assert_string_equal(shake(strange, NAME, ERR_TLS), "self-signed certificate");
    assert_string_equal(shake(careless, "b.test", OK), "");
    assert_string_equal(shake(careless, "", OK), "");
    tls_ctx_unref(good);
    tls_ctx_unref(strange);
    tls_ctx_unref(careless);
    certs_free(&other);
}

/* ---- resumption ---- */

static bool resumes(const char *policy, struct crypto_ring *ring, struct tls_ctx *cx,
                    struct tls_resume *resume)
{
    int fds[2];
    socket_pair(fds);
    struct tls_ctx *sx = server_ctx(policy, ring);
    struct end *s = server_end(fds[0], sx), *c = client_end(fds[1], cx, NAME, resume);
    turn_until(s, READY);
    turn_until(c, READY);
    write_all(s, "x", 1);
    turn_until_got(c, 1);
    bool resumed = tls_info(s->c).resumed;
    assert_int_equal(resumed, tls_info(c->c).resumed);
    end_free(s);
    end_free(c);
    tls_ctx_unref(sx);
    return resumed;
}

static void check_tickets(const char *policy)
{
    struct crypto_ring *ring = NULL, *other = NULL;
    struct crypto_key k;
    struct tls_resume resume = {0};
    struct tls_ctx *cx = client_ctx(true, names[0]);
    uint64_t now = loop.clock.now_ms;
    assert_int_equal(crypto_ring_new(now, &ring), OK);
    assert_int_equal(crypto_ring_new(now, &other), OK);
    assert_false(resumes(policy, ring, cx, &resume));
    assert_true(resumes(policy, ring, cx, &resume)); /* another context with the same ring */
    assert_false(resumes(policy, other, cx, &resume));
    assert_true(resumes(policy, other, cx, &resume));
    assert_int_equal(crypto_ring_seal(other, now + CRYPTO_RING_PERIOD_MS, &k), OK);
    assert_true(resumes(policy, other, cx, &resume)); /* after a rotation */
    assert_true(resumes(policy, other, cx, &resume));
    assert_false(resumes(policy, NULL, cx, &resume)); /* no tickets at all */
    tls_resume_fini(&resume);
    crypto_ring_unref(ring);
    crypto_ring_unref(other);
    tls_ctx_unref(cx);
}

static void test_tickets_are_good_for_all_contexts_with_the_ring(void **state)
{
    (void)state;
    check_tickets("modern");
    check_tickets(TLS12);
}

static void test_a_session_made_with_other_settings_is_not_offered(void **state)
{
    (void)state;
    struct crypto_ring *ring = NULL;
    struct tls_resume resume = {0};
    struct tls_ctx *a = client_ctx(false, NULL), *b = client_ctx(true, names[0]);
    assert_int_equal(crypto_ring_new(loop.clock.now_ms, &ring), OK);
    assert_false(resumes("modern", ring, a, &resume));
    assert_false(resumes("modern", ring, b, &resume));
    assert_true(resumes("modern", ring, b, &resume));
    tls_resume_fini(&resume);
    crypto_ring_unref(ring);
    tls_ctx_unref(a);
    tls_ctx_unref(b);
}

/* ---- renegotiation ---- */

static int step(SSL *ssl, int r, int i)
{
    int e = r > 0 ? 0 : SSL_get_error(ssl, r);
    turn(i);
    return e;
}

/* OpenSSL's own client, to do what ours never does. */
struct foreign {
    struct tls_ctx *sx;
    struct end *s;
    SSL_CTX *cx;
    SSL *ssl;
    int fd;
};

static struct foreign foreign_join(const char *policy)
{
    int fds[2], e = SSL_ERROR_WANT_READ;
    socket_pair(fds);
    struct foreign f = {.sx = server_ctx(policy, NULL), .fd = fds[1]};
    f.s = server_end(fds[0], f.sx);
    f.cx = SSL_CTX_new(TLS_client_method());
    f.ssl = SSL_new(f.cx);
    SSL_set_fd(f.ssl, f.fd);
    SSL_set_connect_state(f.ssl);
    for (int i = 0; i < PATIENCE && e == SSL_ERROR_WANT_READ; i++)
        e = step(f.ssl, SSL_do_handshake(f.ssl), i);
    assert_int_equal(e, 0);
    turn_until(f.s, READY);
    return f;
}

static void foreign_part(struct foreign *f)
{
    SSL_free(f->ssl);
    SSL_CTX_free(f->cx);
    close(f->fd);
    end_free(f->s);
    tls_ctx_unref(f->sx);
}

static void test_renegotiation_is_refused(void **state)
{
    (void)state;
    struct foreign f = foreign_join(TLS12);
    int e = SSL_ERROR_WANT_READ;
    char byte;
    assert_int_equal(SSL_renegotiate(f.ssl), 1);
    for (int i = 0; i < PATIENCE && e == SSL_ERROR_WANT_READ; i++)
        e = step(f.ssl, SSL_do_handshake(f.ssl), i);
    if (e == 0) /* the hello is out, the answer comes with a read */
        e = SSL_ERROR_WANT_READ;
    for (int i = 0; i < PATIENCE && e == SSL_ERROR_WANT_READ; i++)
        e = step(f.ssl, SSL_read(f.ssl, &byte, 1), i);
    assert_int_equal(e, SSL_ERROR_SSL);
    assert_int_equal(f.s->got_n, 0);
    foreign_part(&f);
}

/* ---- key updates ---- */

static void update_keys(SSL *ssl, int kind)
{
    assert_int_equal(SSL_key_update(ssl, kind), 1);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    loop_turn(&loop);
}

static void test_32_key_updates_are_served_and_one_more_is_not(void **state)
{
    (void)state;
    struct foreign f = foreign_join("modern");
    for (int i = 0; i < TLS_MESSAGES_MAX; i++)
        update_keys(f.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(SSL_write(f.ssl, "still", 5), 5);
    turn_until_got(f.s, 5);
    assert_int_equal(f.s->state, READY);
    update_keys(f.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    turn_until(f.s, ENDED);
    assert_int_equal(f.s->how, ERR_RESET);
    foreign_part(&f);
}

static void foreign_reads(const struct foreign *f, const char *text)
{
    int e = SSL_ERROR_WANT_READ;
    char got[64] = "";
    for (int i = 0; i < PATIENCE && e == SSL_ERROR_WANT_READ; i++)
        e = step(f->ssl, SSL_read(f->ssl, got, sizeof(got) - 1), i);
    assert_int_equal(e, 0);
    assert_string_equal(got, text);
}

/* The kernel cannot be given new keys: with the old ones nothing more may be sent (RFC 8446 4.6.3). */
static void test_a_peer_that_asks_for_new_keys_gets_them_or_is_broken_off(void **state)
{
    (void)state;
    struct foreign f = foreign_join("modern");
    update_keys(f.ssl, SSL_KEY_UPDATE_REQUESTED);
    if (kernel_can) {
        turn_until(f.s, ENDED);
        assert_int_equal(f.s->how, ERR_RESET);
    } else {
        assert_int_equal(SSL_write(f.ssl, "up", 2), 2);
        turn_until_got(f.s, 2);
        write_all(f.s, "down", 4);
        foreign_reads(&f, "down");
    }
    foreign_part(&f);
}

/* ---- the kernel ---- */

static void test_who_encrypts_is_told(void **state)
{
    (void)state;
    static const char *const policies[] = {"modern", TLS12};
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        struct joined j = join(policies[i]);
        assert_int_equal(tls_info(j.s->c).offloaded, kernel_can);
        assert_false(tls_info(j.c->c).offloaded); /* never of what targets are sent */
        part(&j);
    }
}

/* A flight that the socket does not take at once leaves the keys with us: bytes that were sealed
 * already must not be sealed again. */
static void test_a_flight_that_has_to_wait_stays_whole(void **state)
{
    (void)state;
    static char san[60000];
    struct tls_ctx_pair small = pair;
    int fds[4], one = 1;
    size_t n = 0;
    while (n < sizeof(san) - 100)
        n += (size_t)snprintf(san + n, 100, "%sDNS:host-%zu.a-rather-long-domain.test", n ? "," : "", n);
    struct cert c = certs_make(&(struct cert_spec){.cn = NAME, .san = san});
    char name[2][128];
    strcpy(name[0], certs_write(&certs_dir, "big.pem", (const struct cert *const[]){&c, NULL}));
    strcpy(name[1], certs_write_key(&certs_dir, "big.key", &c, NULL));
    pair = (struct tls_ctx_pair){name[0], name[1], NULL};
    struct tls_ctx *sx = server_ctx("modern", NULL), *cx = client_ctx(false, NULL);
    pair = small;
    wire_pair(fds);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &one, sizeof(one)), 0);
    struct end *s = server_end(fds[0], sx), *e = client_end(fds[3], cx, NAME, NULL);
    bool waited = false;
    for (int i = 0; i < PATIENCE && (s->state != READY || e->state != READY); i++) {
        turn(i);
        waited = waited || conn_unsent(s->c);
        pass(fds[1], fds[2], 500);
        pass(fds[2], fds[1], 65536);
    }
    assert_true(waited);
    assert_int_equal(s->state, READY);
    assert_false(tls_info(s->c).offloaded);
    write_all(s, "after", 5);
    for (int i = 0; i < PATIENCE && e->got_n < 5; i++) {
        turn(i);
        pass(fds[1], fds[2], 65536);
    }
    assert_int_equal(e->got_n, 5);
    end_free(s);
    end_free(e);
    close(fds[1]);
    close(fds[2]);
    tls_ctx_unref(sx);
    tls_ctx_unref(cx);
    certs_free(&c);
}

/* ---- many ---- */

static void test_more_conns_than_keep_buffers_all_work(void **state)
{
    (void)state;
    struct joined all[50], more[100];
    conn_pool_init(&loop, 1000);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = join("modern");
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        more[i] = join(TLS12);
    for (int round = 1; round <= 3; round++)
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            write_all(all[i].s, "ping", 4);
            turn_until_got(all[i].c, (size_t)round * 4);
        }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        part(&all[i]);
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        part(&more[i]);
}

#define EACH(t) cmocka_unit_test_setup_teardown(t, each_setup, each_teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the program: OpenSSL sends without MSG_NOSIGNAL */
    const struct CMUnitTest tests[] = {
        EACH(test_bytes_come_through_in_pieces_of_any_size),
        EACH(test_what_is_left_of_a_record_comes_without_an_event),
        EACH(test_both_ends_learn_what_was_agreed),
        EACH(test_a_slow_reader_gets_everything_in_order),
        EACH(test_pieces_of_one_write_share_records),
        EACH(test_a_shutdown_is_an_orderly_end_behind_all_bytes),
        EACH(test_the_end_waits_for_a_reader_that_is_slow),
        EACH(test_an_end_in_the_same_segment_as_bytes_is_not_missed),
        EACH(test_a_close_says_close_notify),
        EACH(test_a_bare_fin_is_seen_as_truncation),
        EACH(test_a_reset_says_no_close_notify),
        EACH(test_a_record_that_was_changed_breaks_the_connection),
        EACH(test_an_idle_conn_is_quiet_until_something_comes),
        EACH(test_plain_http_is_told_from_tls_and_can_be_answered),
        EACH(test_garbage_fails_with_an_alert),
        EACH(test_a_client_that_leaves_in_the_handshake_is_no_failure),
        EACH(test_a_target_must_be_who_it_should_be),
        EACH(test_tickets_are_good_for_all_contexts_with_the_ring),
        EACH(test_a_session_made_with_other_settings_is_not_offered),
        EACH(test_renegotiation_is_refused),
        EACH(test_32_key_updates_are_served_and_one_more_is_not),
        EACH(test_a_peer_that_asks_for_new_keys_gets_them_or_is_broken_off),
        EACH(test_who_encrypts_is_told),
        EACH(test_a_flight_that_has_to_wait_stays_whole),
        EACH(test_more_conns_than_keep_buffers_all_work),
    };
    int failed = cmocka_run_group_tests(tests, setup, certs_teardown);
    return failed + cmocka_run_group_tests_name("ktls", tests, setup_ktls, certs_teardown);
}
