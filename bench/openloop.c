/* openloop: latency of an HTTP/1.1 server at a rate that does not wait for it.
 *
 * Request i is due at t0 + i / rate, whether or not the ones before were answered, and its latency
 * counts from then. A client that sends the next request only after the last response stops asking
 * whenever the server stalls, and so never sees the stall; this one does. A due request takes an
 * idle keep-alive connection; when none is idle it waits, on the clock, for the next that is.
 *
 *   openloop --rate 20000 [--connections 64] [--seconds 5] [--warmup 1] [--poisson] URL
 *
 * Requests due during the warm-up are made but not counted. A failed connection, a bad or broken
 * response, a status outside 2xx and a request not answered within GRACE_NS of the end are errors.
 * Prints one JSON object: times in microseconds. Ends with status 1 when it could not connect. */
#include "hist.h"
#include "reply.h"
#include "tool.h"

#include <getopt.h>
#include <math.h>
#include <sys/prctl.h>

enum { BUFFER_BYTES = 256 * 1024, EVENTS_PER_WAIT = 256 };

static const uint64_t GRACE_NS = 2 * TOOL_SECOND_NS;

struct conn {
    int fd; /* -1: lost and not replaced */
    bool busy;
    uint64_t due_ns;
    struct reply reply;
};

struct client {
    int epoll;
    struct sockaddr_in address;
    struct conn *conns;
    size_t conn_count;
    size_t live;
    /* Idle ones, the longest idle at the front: a ring, so that all of them are used in turn. */
    struct conn **idle;
    size_t idle_at;
    size_t idle_count;
    char *request;
    size_t request_bytes;
    /* The schedule. */
    double gap_ns;
    bool poisson;
    uint64_t random;
    double next_due_ns;
    uint64_t count_from_ns;
    uint64_t end_ns;
    /* What came of it. */
    uint64_t scheduled;
    uint64_t outstanding;
    uint64_t errors;
    struct hist latency;
    char buffer[BUFFER_BYTES];
};

struct options {
    const char *url;
    uint64_t rate;
    uint64_t connections;
    uint64_t seed;
    double seconds;
    double warmup;
    bool poisson;
};

/* ---- schedule ---- */

/* xorshift64*: uniform in (0, 1]. */
static double uniform(struct client *client)
{
    client->random ^= client->random >> 12;
    client->random ^= client->random << 25;
    client->random ^= client->random >> 27;
    return (double)((client->random * UINT64_C(2685821657736338717) >> 11) + 1) * 0x1p-53;
}

static void schedule_next(struct client *client)
{
    client->next_due_ns +=
        client->poisson ? -log(uniform(client)) * client->gap_ns : client->gap_ns;
}

static uint64_t next_due(const struct client *client)
{
    return (uint64_t)client->next_due_ns;
}

static bool counts(const struct client *client, uint64_t due_ns)
{
    return due_ns >= client->count_from_ns;
}

/* ---- connections ---- */

static void put_idle(struct client *client, struct conn *conn)
{
    conn->busy = false;
    client->idle[(client->idle_at + client->idle_count++) % client->conn_count] = conn;
}

static struct conn *take_idle(struct client *client)
{
    struct conn *conn = client->idle[client->idle_at];
    client->idle_at = (client->idle_at + 1) % client->conn_count;
    client->idle_count--;
    return conn;
}

static bool open_conn(struct client *client, struct conn *conn)
{
    conn->fd = tool_dial(&client->address);
    if (conn->fd < 0)
        return false;
    tool_watch(client->epoll, EPOLL_CTL_ADD, conn->fd, EPOLLIN, conn);
    client->live++;
    return true;
}

static void reopen(struct client *client, struct conn *conn)
{
    close(conn->fd);
    client->live--;
    if (open_conn(client, conn))
        put_idle(client, conn);
    else
        conn->fd = -1;
}

static void fail(struct client *client, struct conn *conn)
{
    client->errors++;
    client->outstanding--;
    reopen(client, conn);
}

static void begin(struct client *client, struct conn *conn, uint64_t due_ns)
{
    conn->busy = true;
    conn->due_ns = due_ns;
    reply_start(&conn->reply);
    client->outstanding++;
    ssize_t sent = send(conn->fd, client->request, client->request_bytes, MSG_NOSIGNAL);
    if (sent != (ssize_t)client->request_bytes)
        fail(client, conn);
}

static void finish(struct client *client, struct conn *conn)
{
    bool good = conn->reply.status >= 200 && conn->reply.status <= 299;
    if (!good)
        client->errors++;
    else if (counts(client, conn->due_ns))
        hist_add(&client->latency, tool_now_ns() - conn->due_ns);
    client->outstanding--;
    if (conn->reply.closes)
        reopen(client, conn);
    else
        put_idle(client, conn);
}

static void forget_idle(struct client *client, struct conn *gone)
{
    for (size_t left = client->idle_count; left; left--) {
        struct conn *conn = take_idle(client);
        if (conn != gone)
            put_idle(client, conn);
    }
}

/* An idle connection that ends is the server's right: it is replaced and no error. */
static void lose(struct client *client, struct conn *conn)
{
    if (conn->busy) {
        fail(client, conn);
        return;
    }
    forget_idle(client, conn);
    reopen(client, conn);
}

static void receive(struct client *client, struct conn *conn)
{
    ssize_t got = recv(conn->fd, client->buffer, sizeof client->buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    enum reply_result result = REPLY_BAD;
    if (got > 0 && conn->busy)
        result = reply_feed(&conn->reply, client->buffer, (size_t)got);
    else if (got > 0)
        client->errors++;
    if (result == REPLY_DONE)
        finish(client, conn);
    else if (result == REPLY_BAD)
        lose(client, conn);
}

/* ---- the run ---- */

static void begin_due(struct client *client)
{
    uint64_t now_ns = tool_now_ns();
    while (next_due(client) <= now_ns && next_due(client) < client->end_ns && client->idle_count) {
        uint64_t due_ns = next_due(client);
        if (counts(client, due_ns))
            client->scheduled++;
        schedule_next(client);
        begin(client, take_idle(client), due_ns);
    }
}

/* Due but never begun, because no connection came free. */
static void count_unbegun(struct client *client)
{
    for (; next_due(client) < client->end_ns; schedule_next(client)) {
        client->scheduled++;
        client->errors++;
    }
}

static int wait_events(struct client *client, struct epoll_event *events, uint64_t until_ns)
{
    uint64_t now_ns = tool_now_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / TOOL_SECOND_NS),
                            .tv_nsec = (long)(wait_ns % TOOL_SECOND_NS)};
    return epoll_pwait2(client->epoll, events, EVENTS_PER_WAIT, &wait, NULL);
}

static void run(struct client *client)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    uint64_t stop_ns = client->end_ns + GRACE_NS;
    for (;;) {
        begin_due(client);
        bool more = next_due(client) < client->end_ns;
        if (!client->live || (!more && !client->outstanding) || tool_now_ns() >= stop_ns)
            break;
        uint64_t until_ns = more && client->idle_count ? next_due(client) : stop_ns;
        int ready = wait_events(client, events, until_ns);
        for (int i = 0; i < ready; i++)
            receive(client, events[i].data.ptr);
    }
    client->errors += client->outstanding;
    count_unbegun(client);
}

static void report(const struct client *client, const struct options *options)
{
    const struct hist *latency = &client->latency;
    printf("{\"rate\": %llu, \"connections\": %zu, \"seconds\": %g, \"scheduled\": %llu, "
           "\"done\": %llu, \"errors\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, "
           "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)options->rate, client->conn_count, options->seconds,
           (unsigned long long)client->scheduled, (unsigned long long)latency->count,
           (unsigned long long)client->errors, (double)hist_quantile(latency, 0.5) / 1e3,
           (double)hist_quantile(latency, 0.9) / 1e3, (double)hist_quantile(latency, 0.99) / 1e3,
           (double)hist_quantile(latency, 0.999) / 1e3, (double)latency->max / 1e3);
}

/* ---- set-up ---- */

static void aim(struct client *client, const char *text)
{
    struct tool_url url = tool_url(text);
    client->address = url.address;
    client->request_bytes = tool_get(&client->request, url.path, url.authority);
}

static void connect_all(struct client *client, size_t count)
{
    client->conn_count = count;
    client->conns = tool_alloc(count, sizeof *client->conns);
    client->idle = tool_alloc(count, sizeof *client->idle);
    for (size_t i = 0; i < count; i++) {
        if (!open_conn(client, &client->conns[i]))
            tool_die("connect: %s", strerror(errno));
        put_idle(client, &client->conns[i]);
    }
}

static void usage(void)
{
    tool_die("usage: openloop --rate R [--connections C] [--seconds S] [--warmup S] [--poisson]"
             " [--seed N] http://ip:port/path");
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"rate", required_argument, NULL, 'r'},
        {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},
        {"seed", required_argument, NULL, 'i'},
        {"poisson", no_argument, NULL, 'p'},
        {0},
    };
    struct options options = {.connections = 64, .seconds = 5, .warmup = 1, .seed = 1};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'r':
            options.rate = tool_number(optarg, "--rate");
            break;
        case 'c':
            options.connections = tool_number(optarg, "--connections");
            break;
        case 's':
            options.seconds = tool_seconds(optarg, "--seconds");
            break;
        case 'w':
            options.warmup = tool_seconds(optarg, "--warmup");
            break;
        case 'i':
            options.seed = tool_number(optarg, "--seed");
            break;
        case 'p':
            options.poisson = true;
            break;
        default:
            usage();
        }
    }
    if (optind + 1 != argc || !options.rate)
        usage();
    options.url = argv[optind];
    return options;
}

int main(int argc, char **argv)
{
    static struct client client;
    struct options options = parse_options(argc, argv);
    tool_raise_files();
    /* Timers are late by 50 us unless one asks for better. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    aim(&client, options.url);
    client.epoll = tool_epoll();
    connect_all(&client, options.connections);
    client.gap_ns = 1e9 / (double)options.rate;
    client.poisson = options.poisson;
    client.random = options.seed;
    uint64_t start_ns = tool_now_ns();
    client.next_due_ns = (double)start_ns;
    client.count_from_ns = start_ns + (uint64_t)(options.warmup * 1e9);
    client.end_ns = client.count_from_ns + (uint64_t)(options.seconds * 1e9);
    run(&client);
    report(&client, &options);
    return client.live ? 0 : 1;
}
