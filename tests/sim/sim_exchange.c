/* Random clients and random targets over the real data path, for thousands of exchanges a seed.
 *
 * A client makes up a plan (body sizes, framings, where either side breaks off) and sends it with
 * the request; the target follows it. Bodies are made of a formula, so both ends know every byte.
 * What is asserted: a body that looks whole is whole and right, in both directions; a broken one
 * can be seen to be broken; nothing crashes, and at the end nothing is left.
 * A failure prints the seed: SIM_SEED=<n> runs it again alone; SIM_SEEDS=<n> runs the first n. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/socket.h"
#include "support/world.h"

#define CLIENTS   24
#define ORIGINS   64
#define EXCHANGES 400
#define BUF       (512 * 1024)

static const char *const yaml =
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app}}\n"
    "target_groups:\n"
    "  - name: app\n"
    "    targets: [\"127.0.0.1:%u\"]\n";

enum framing_plan { BY_LENGTH, BY_CHUNKS, BY_CLOSE };

struct plan {
    unsigned id;
    unsigned up, down;          /* body sizes */
    enum framing_plan up_framing, down_framing;
    unsigned die_at;            /* the target breaks off after that many octets of answer; 0: not */
    bool early;                 /* the target answers without waiting for the body */
    bool interim;               /* a 103 first */
    unsigned quit_at;           /* the client breaks off after that many octets sent; 0: not */
};

struct client {
    int fd;
    struct plan plan;
    char *out, *in;
    size_t out_n, out_at, in_n;
    bool sent_all;
};

struct origin {
    int fd;
    char *in, *out;
    size_t in_n, out_n, out_at;
    struct plan plan;
    bool has_plan, answering;
};

struct sim {
    struct world w;
    struct rng rng;
    struct client clients[CLIENTS];
    struct origin origins[ORIGINS];
    unsigned begun, whole, broken;
};

static unsigned pick(struct sim *s, unsigned n)
{
    return rng_below(&s->rng, n);
}

static char octet(unsigned id, size_t i)
{
    return (char)('a' + (id * 7 + i * 13 + i / 251) % 26);
}

/* ---- making messages ---- */

static size_t put_body(struct sim *s, char *to, unsigned id, unsigned n, enum framing_plan how)
{
    char *at = to;
    for (unsigned i = 0; i < n;) {
        unsigned piece = how == BY_CHUNKS ? 1 + pick(s, pick(s, 2) ? 20 : 40000) : n;
        if (piece > n - i)
            piece = n - i;
        if (how == BY_CHUNKS)
            at += sprintf(at, pick(s, 4) ? "%x\r\n" : "%X;x=y\r\n", piece);
        for (unsigned k = 0; k < piece; k++)
            *at++ = octet(id, i + k);
        i += piece;
        if (how == BY_CHUNKS)
            at += sprintf(at, "\r\n");
    }
    if (how == BY_CHUNKS)
        at += sprintf(at, "0\r\n%s\r\n", pick(s, 3) ? "" : "X-Trailer: t\r\n");
    return (size_t)(at - to);
}

static size_t put_framing(char *to, unsigned n, enum framing_plan how)
{
    if (how == BY_LENGTH)
        return (size_t)sprintf(to, "Content-Length: %u\r\n", n);
    if (how == BY_CHUNKS)
        return (size_t)sprintf(to, "Transfer-Encoding: chunked\r\n");
    return (size_t)sprintf(to, "Connection: close\r\n");
}

static unsigned some_size(struct sim *s)
{
    switch (pick(s, 4)) {
    case 0:
        return 0;
    case 1:
        return pick(s, 100);
    case 2:
        return pick(s, 10000);
    default:
        return pick(s, 150000);
    }
}

static void make_request(struct sim *s, struct client *c)
{
    struct plan *p = &c->plan;
    *p = (struct plan){.id = ++s->begun, .down = some_size(s)};
    p->up = pick(s, 2) ? some_size(s) : 0;
    p->up_framing = p->up && pick(s, 2) ? BY_CHUNKS : BY_LENGTH;
    p->down_framing = (enum framing_plan)pick(s, 3);
    p->die_at = pick(s, 12) ? 0 : 1 + pick(s, p->down + 50);
    p->early = pick(s, 8) == 0;
    p->interim = pick(s, 8) == 0;
    char *at = c->out;
    at += sprintf(at, "%s /%u HTTP/1.1\r\nHost: sim.test\r\n", p->up ? "POST" : "GET", p->id);
    at += sprintf(at, "X-Plan: %u %u %u %u %u %u %u\r\n", p->id, p->up, p->down, p->down_framing,
                  p->die_at, p->early, p->interim);
    if (p->up)
        at += put_framing(at, p->up, p->up_framing);
    at += sprintf(at, "\r\n");
    if (p->up)
        at += put_body(s, at, p->id, p->up, p->up_framing);
    c->out_n = (size_t)(at - c->out);
    c->out_at = c->in_n = 0;
    p->quit_at = pick(s, 20) ? 0 : 1 + pick(s, (unsigned)c->out_n);
}

static void make_answer(struct sim *s, struct origin *o)
{
    struct plan *p = &o->plan;
    char *at = o->out;
    if (p->interim)
        at += sprintf(at, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    at += sprintf(at, "HTTP/1.1 200 OK\r\n");
    at += put_framing(at, p->down, p->down_framing);
    if (p->early && p->down_framing != BY_CLOSE)
        at += sprintf(at, "Connection: close\r\n");
    at += sprintf(at, "\r\n");
    at += put_body(s, at, p->id, p->down, p->down_framing);
    o->out_n = (size_t)(at - o->out);
    if (p->die_at >= o->out_n)
        p->die_at = 0; /* a target that closes without a word makes others fail, and rightly */
    if (p->die_at)
        o->out_n = p->die_at;
    o->out_at = 0;
    o->answering = true;
}

/* ---- reading messages, strictly ---- */

enum seen { SEEN_PART, SEEN_WHOLE, SEEN_CUT };

static const char *find(const char *p, size_t n, const char *what)
{
    return memmem(p, n, what, strlen(what));
}

/* Chunks must be whole and in form; *body counts octets, each of which must be right. */
static enum seen read_chunks(const char *p, size_t n, unsigned id, unsigned *body, size_t *used)
{
    const char *at = p, *end = p + n;
    for (;;) {
        const char *eol = find(at, (size_t)(end - at), "\r\n");
        if (!eol)
            return SEEN_PART;
        unsigned long size = strtoul(at, NULL, 16);
        at = eol + 2;
        if (size == 0)
            break;
        if ((size_t)(end - at) < size + 2)
            return SEEN_PART;
        for (unsigned long i = 0; i < size; i++)
            assert_int_equal(at[i], octet(id, (*body)++));
        assert_memory_equal(at + size, "\r\n", 2);
        at += size + 2;
    }
    /* Trailers, then the empty line. */
    for (;;) {
        const char *eol = find(at, (size_t)(end - at), "\r\n");
        if (!eol)
            return SEEN_PART;
        bool empty = eol == at;
        at = eol + 2;
        if (empty)
            break;
    }
    *used = (size_t)(at - p);
    return SEEN_WHOLE;
}

static enum seen read_body(const char *head, size_t head_n, const char *p, size_t n, unsigned id,
                           unsigned want, bool eof, size_t *used)
{
    unsigned body = 0;
    char line[64];
    *used = 0;
    if (find(head, head_n, "chunked\r\n")) {
        enum seen s = read_chunks(p, n, id, &body, used);
        assert_true(s != SEEN_WHOLE || body == want);
        return s;
    }
    sprintf(line, "Content-Length: %u\r\n", want);
    bool length = find(head, head_n, line) != NULL;
    assert_true(length || !find(head, head_n, "Content-Length"));
    if (length && n < want)
        return SEEN_PART;
    if (!length && !eof)
        return SEEN_PART;
    for (size_t i = 0; i < (length ? want : n); i++)
        assert_int_equal(p[i], octet(id, i));
    assert_true(length || n == want);
    *used = length ? want : n;
    return SEEN_WHOLE;
}

/* ---- the client ---- */

static void client_close(struct client *c, bool reset)
{
    if (reset)
        socket_reset_on_close(c->fd);
    close(c->fd);
    c->fd = -1;
}

static void client_send(struct sim *s, struct client *c)
{
    size_t left = c->out_n - c->out_at, n = 1 + pick(s, pick(s, 2) ? 50 : 60000);
    ssize_t sent = send(c->fd, c->out + c->out_at, n < left ? n : left, MSG_NOSIGNAL);
    if (sent > 0)
        c->out_at += (size_t)sent;
    if (c->plan.quit_at && c->out_at >= c->plan.quit_at) {
        s->broken++;
        client_close(c, pick(s, 2));
    }
}

/* Takes the whole answer off the front of what was read; SEEN_PART when it is not there yet. */
static enum seen client_answer(struct sim *s, struct client *c, bool eof)
{
    const char *p = c->in, *end = c->in + c->in_n;
    for (;;) {
        const char *eoh = find(p, (size_t)(end - p), "\r\n\r\n");
        if (!eoh)
            return eof ? SEEN_CUT : SEEN_PART;
        size_t head_n = (size_t)(eoh + 4 - p), used;
        unsigned status = (unsigned)atoi(p + 9);
        if (status == 103 || status == 100) {
            p = eoh + 4;
            continue;
        }
        if (status != 200) {
            assert_true(status == 502 || status == 400);
            assert_true(c->plan.die_at || c->plan.early || c->plan.quit_at);
            s->broken++;
            client_close(c, false);
            return SEEN_CUT;
        }
        enum seen seen = read_body(p, head_n, eoh + 4, (size_t)(end - eoh - 4), c->plan.id,
                                   c->plan.down, eof, &used);
        if (seen != SEEN_WHOLE)
            return eof ? SEEN_CUT : SEEN_PART;
        s->whole++;
        bool close_said = find(p, head_n, "Connection: close") != NULL;
        if (close_said || c->out_at < c->out_n || pick(s, 10) == 0)
            client_close(c, false);
        return SEEN_WHOLE;
    }
}

static void client_recv(struct sim *s, struct client *c)
{
    size_t n = 1 + pick(s, pick(s, 3) ? 60000 : 100);
    ssize_t got = recv(c->fd, c->in + c->in_n, n < BUF - c->in_n ? n : BUF - c->in_n, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    bool reset = got < 0;
    c->in_n += got > 0 ? (size_t)got : 0;
    enum seen seen = reset ? SEEN_CUT : client_answer(s, c, got == 0);
    if (seen == SEEN_WHOLE && c->fd >= 0)
        make_request(s, c);
    if (seen == SEEN_CUT && c->fd >= 0) {
        s->broken++;
        client_close(c, false);
    }
}

static void client_step(struct sim *s, struct client *c)
{
    if (c->fd < 0) {
        if (s->begun >= EXCHANGES)
            return;
        c->fd = world_client(&s->w, 0);
        make_request(s, c);
    }
    if (c->out_at < c->out_n && pick(s, 3))
        client_send(s, c);
    else
        client_recv(s, c);
}

/* ---- the target ---- */

static void origin_close(struct origin *o, bool reset)
{
    if (reset)
        socket_reset_on_close(o->fd);
    close(o->fd);
    o->fd = -1;
    o->in_n = 0;
    o->has_plan = o->answering = false;
}

static void origin_read(struct sim *s, struct origin *o)
{
    ssize_t got = recv(o->fd, o->in + o->in_n, BUF - o->in_n, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        origin_close(o, false);
        return;
    }
    o->in_n += got > 0 ? (size_t)got : 0;
    const char *eoh = find(o->in, o->in_n, "\r\n\r\n");
    if (!eoh)
        return;
    size_t head_n = (size_t)(eoh + 4 - o->in), used = 0;
    if (!o->has_plan) {
        unsigned early, interim, framing;
        const char *plan = find(o->in, head_n, "X-Plan: ");
        assert_non_null(plan);
        assert_int_equal(sscanf(plan, "X-Plan: %u %u %u %u %u %u %u", &o->plan.id, &o->plan.up,
                                &o->plan.down, &framing, &o->plan.die_at, &early, &interim),
                         7);
        o->plan.down_framing = (enum framing_plan)framing;
        o->plan.early = early;
        o->plan.interim = interim;
        o->has_plan = true;
    }
    enum seen seen = SEEN_WHOLE;
    if (o->plan.up)
        seen = read_body(o->in, head_n, eoh + 4, o->in_n - head_n, o->plan.id, o->plan.up, false,
                         &used);
    if (!o->answering && (seen == SEEN_WHOLE || o->plan.early))
        make_answer(s, o);
    if (seen == SEEN_WHOLE)
        assert_int_equal(o->in_n, head_n + used); /* not a byte of another request behind it */
}

static void origin_answered(struct origin *o)
{
    bool keep = o->plan.down_framing != BY_CLOSE && !o->plan.die_at && !o->plan.early;
    /* Where the body ends with the connection, a FIN would be its proper end. */
    if (!keep)
        origin_close(o, o->plan.die_at && (o->plan.down_framing == BY_CLOSE || o->plan.die_at % 2));
    o->in_n = 0;
    o->has_plan = o->answering = false;
}

static void origin_step(struct sim *s, struct origin *o)
{
    if (o->fd < 0) {
        o->fd = world_origin(&s->w);
        return;
    }
    if (!o->answering || (o->plan.early && pick(s, 2))) {
        origin_read(s, o);
        return;
    }
    size_t left = o->out_n - o->out_at, n = 1 + pick(s, pick(s, 2) ? 60000 : 200);
    ssize_t sent = send(o->fd, o->out + o->out_at, n < left ? n : left, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        origin_close(o, false);
        return;
    }
    o->out_at += sent > 0 ? (size_t)sent : 0;
    if (o->out_at == o->out_n)
        origin_answered(o);
}

/* ---- a run ---- */

static bool over(const struct sim *s)
{
    bool idle = s->begun >= EXCHANGES;
    for (unsigned i = 0; i < CLIENTS; i++)
        idle = idle && s->clients[i].fd < 0;
    return idle;
}

static void print_stuck(const struct client *c)
{
    const struct plan *p = &c->plan;
    printf("# stuck: exchange %u, up %u/%d, down %u/%d, die %u, early %d, interim %d; sent %zu of "
           "%zu, received %zu\n",
           p->id, p->up, p->up_framing, p->down, p->down_framing, p->die_at, p->early, p->interim,
           c->out_at, c->out_n, c->in_n);
}

static void sim_init(struct sim *s, uint64_t seed)
{
    s->rng.state = seed;
    world_init(&s->w, yaml);
    for (unsigned i = 0; i < CLIENTS; i++)
        s->clients[i] = (struct client){.fd = -1, .in = malloc(BUF), .out = malloc(BUF)};
    for (unsigned i = 0; i < ORIGINS; i++)
        s->origins[i] = (struct origin){.fd = -1, .in = malloc(BUF), .out = malloc(BUF)};
}

static void sim_fini(struct sim *s)
{
    for (unsigned i = 0; i < ORIGINS; i++) {
        if (s->origins[i].fd >= 0)
            close(s->origins[i].fd);
        free(s->origins[i].in);
        free(s->origins[i].out);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        free(s->clients[i].in);
        free(s->clients[i].out);
    }
    world_turn(&s->w, 5);
    world_fini(&s->w);
}

static void run(uint64_t seed)
{
    struct sim *s = calloc(1, sizeof(*s));
    printf("# seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    sim_init(s, seed);
    unsigned steps = 0;
    while (!over(s) && ++steps < 2000000) {
        if (pick(s, 2))
            client_step(s, &s->clients[pick(s, CLIENTS)]);
        else
            origin_step(s, &s->origins[pick(s, ORIGINS)]);
        if (pick(s, 3) == 0)
            world_turn(&s->w, 1);
        if (steps % 5000 == 0)
            world_reload(&s->w, yaml);
        /* The last clients would wait for each other's end if they only went on making requests. */
        if (s->begun >= EXCHANGES)
            for (unsigned i = 0; i < CLIENTS; i++)
                if (s->clients[i].fd >= 0 && s->clients[i].plan.id > EXCHANGES)
                    client_close(&s->clients[i], false);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        if (s->clients[i].fd >= 0)
            print_stuck(&s->clients[i]);
    assert_true(over(s));
    assert_true(s->whole > EXCHANGES / 2);
    assert_true(s->broken > 0);
    sim_fini(s);
    free(s);
}

static void test_random_exchanges_are_whole_or_visibly_broken(void **state)
{
    (void)state;
    const char *one = getenv("SIM_SEED"), *many = getenv("SIM_SEEDS");
    if (one) {
        run(strtoull(one, NULL, 10));
        return;
    }
    uint64_t last = many ? strtoull(many, NULL, 10) : 24;
    for (uint64_t seed = 1; seed <= last; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_exchanges_are_whole_or_visibly_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
