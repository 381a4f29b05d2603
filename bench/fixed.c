/* fixed: an exact amount of HTTP/1.1 work over a fixed set of connections.
 *
 * C keep-alive connections, one request outstanding on each, N requests in total, each answered
 * and counted; the first error or status outside 2xx ends the run with status 1. Because nothing
 * about it depends on time, what a proxy spends on it (instructions, syscalls) can be divided by N.
 *
 *   fixed --connections 8 --requests 10000 [--warmup 2000] [--paths FILE] [--host-header H]
 *         [--marks] [--seconds S] http://127.0.0.1:8080/128
 *
 * --paths    one path (or absolute-form target, to choose the host) a line, taken in turn instead
 *            of the URL's
 * --seconds  go on for so long instead of for N requests; each one begun is still finished
 * --marks    for measuring from outside: prints "warm" when connections and warm-up are done and
 *            waits for a line on stdin, does the requests, prints "done" and waits again, so that
 *            between the marks there are exactly N requests and no connection is opened or closed
 *
 * The last line on stdout is JSON: requests, seconds, bytes. */
#include "reply.h"
#include "tool.h"

#include <getopt.h>

enum { BUFFER_BYTES = 256 * 1024, EVENTS_PER_WAIT = 256, STALL_MS = 30000 };

struct request {
    char *bytes;
    size_t count;
};

struct conn {
    int fd;
    bool busy;
    struct reply reply;
};

struct client {
    int epoll;
    struct sockaddr_in address;
    struct conn *conns;
    size_t conn_count;
    struct request *requests;
    size_t request_count;
    uint64_t next_request;
    /* One phase, warm-up or run: how much may still begin, and what came back. */
    uint64_t to_begin;
    uint64_t end_ns;
    uint64_t outstanding;
    uint64_t done;
    uint64_t bytes;
    char buffer[BUFFER_BYTES];
};

struct options {
    const char *url;
    const char *paths;
    const char *host_header;
    uint64_t connections;
    uint64_t requests;
    uint64_t warmup;
    double seconds;
    bool marks;
};

static void open_conn(struct client *client, struct conn *conn)
{
    conn->fd = tool_dial(&client->address);
    if (conn->fd < 0)
        tool_die("connect: %s", strerror(errno));
    tool_watch(client->epoll, EPOLL_CTL_ADD, conn->fd, EPOLLIN, conn);
}

static bool may_begin(const struct client *client)
{
    return client->to_begin && (!client->end_ns || tool_now_ns() < client->end_ns);
}

static void begin(struct client *client, struct conn *conn)
{
    const struct request *request =
        &client->requests[client->next_request++ % client->request_count];
    reply_start(&conn->reply);
    ssize_t sent = send(conn->fd, request->bytes, request->count, MSG_NOSIGNAL);
    if (sent != (ssize_t)request->count)
        tool_die("request %llu: send: %s", (unsigned long long)client->next_request,
                 sent < 0 ? strerror(errno) : "the socket took only a part");
    client->to_begin--;
    client->outstanding++;
    conn->busy = true;
}

static void finish(struct client *client, struct conn *conn)
{
    if (conn->reply.status < 200 || conn->reply.status > 299)
        tool_die("status %d", conn->reply.status);
    client->outstanding--;
    client->done++;
    conn->busy = false;
    if (conn->reply.closes) {
        close(conn->fd);
        open_conn(client, conn);
    }
    if (may_begin(client))
        begin(client, conn);
}

static void receive(struct client *client, struct conn *conn)
{
    ssize_t got = recv(conn->fd, client->buffer, sizeof client->buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        tool_die("after %llu responses: %s", (unsigned long long)client->done,
                 got ? strerror(errno) : "the connection ended");
    client->bytes += (uint64_t)got;
    if (!conn->busy)
        tool_die("bytes that nobody asked for");
    switch (reply_feed(&conn->reply, client->buffer, (size_t)got)) {
    case REPLY_MORE:
        break;
    case REPLY_DONE:
        finish(client, conn);
        break;
    case REPLY_BAD:
        tool_die("after %llu responses: not a response that we can read",
                 (unsigned long long)client->done);
    }
}

/* Does count requests, or goes on for some seconds when count is 0. */
static void run_phase(struct client *client, uint64_t count, double seconds)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    client->done = client->bytes = 0;
    client->to_begin = count ? count : UINT64_MAX;
    client->end_ns = count ? 0 : tool_now_ns() + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < client->conn_count && may_begin(client); i++)
        begin(client, &client->conns[i]);
    while (client->outstanding) {
        int ready = epoll_wait(client->epoll, events, EVENTS_PER_WAIT, STALL_MS);
        if (ready == 0)
            tool_die("no response for %d s, %llu outstanding", STALL_MS / 1000,
                     (unsigned long long)client->outstanding);
        for (int i = 0; i < ready; i++)
            receive(client, events[i].data.ptr);
    }
}

/* ---- what to ask for ---- */

static void add_request(struct client *client, const char *path, const char *host)
{
    struct request *request;
    client->requests =
        realloc(client->requests, (client->request_count + 1) * sizeof *client->requests);
    if (!client->requests)
        tool_die("out of memory");
    request = &client->requests[client->request_count++];
    request->count = tool_get(&request->bytes, path, host);
}

static void add_paths(struct client *client, const char *file, const char *host)
{
    char line[4096];
    FILE *stream = fopen(file, "r");
    if (!stream)
        tool_die("%s: %s", file, strerror(errno));
    while (fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0] != '/' && strncmp(line, "http://", 7) != 0)
            tool_die("%s: \"%s\" is no request target", file, line);
        add_request(client, line, host);
    }
    fclose(stream);
    if (!client->request_count)
        tool_die("%s: no path in it", file);
}

static void aim(struct client *client, const struct options *options)
{
    struct tool_url url = tool_url(options->url);
    const char *host = options->host_header ? options->host_header : url.authority;
    client->address = url.address;
    if (options->paths)
        add_paths(client, options->paths, host);
    else
        add_request(client, url.path, host);
}

static void mark(const struct options *options, const char *name)
{
    char line[16];
    if (!options->marks)
        return;
    printf("%s\n", name);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        tool_die("stdin ended at mark \"%s\"", name);
}

static void usage(void)
{
    tool_die("usage: fixed [--connections C] [--requests N | --seconds S] [--warmup N]"
             " [--paths FILE] [--host-header H] [--marks] http://ip:port/path");
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"connections", required_argument, NULL, 'c'},
        {"requests", required_argument, NULL, 'n'},
        {"warmup", required_argument, NULL, 'w'},
        {"seconds", required_argument, NULL, 's'},
        {"paths", required_argument, NULL, 'p'},
        {"host-header", required_argument, NULL, 'h'},
        {"marks", no_argument, NULL, 'm'},
        {0},
    };
    struct options options = {.connections = 8, .requests = 10000};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options.connections = tool_number(optarg, "--connections");
            break;
        case 'n':
            options.requests = tool_number(optarg, "--requests");
            break;
        case 'w':
            options.warmup = tool_number(optarg, "--warmup");
            break;
        case 's':
            options.seconds = tool_seconds(optarg, "--seconds");
            options.requests = 0;
            break;
        case 'p':
            options.paths = optarg;
            break;
        case 'h':
            options.host_header = optarg;
            break;
        case 'm':
            options.marks = true;
            break;
        default:
            usage();
        }
    }
    if (optind + 1 != argc)
        usage();
    options.url = argv[optind];
    return options;
}

int main(int argc, char **argv)
{
    static struct client client;
    struct options options = parse_options(argc, argv);
    tool_raise_files();
    aim(&client, &options);
    client.epoll = tool_epoll();
    client.conn_count = options.connections;
    client.conns = tool_alloc(client.conn_count, sizeof *client.conns);
    for (size_t i = 0; i < client.conn_count; i++)
        open_conn(&client, &client.conns[i]);
    if (options.warmup)
        run_phase(&client, options.warmup, 0);
    mark(&options, "warm");
    uint64_t start_ns = tool_now_ns();
    run_phase(&client, options.requests, options.seconds);
    double seconds = (double)(tool_now_ns() - start_ns) / 1e9;
    mark(&options, "done");
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"bytes\": %llu}\n",
           (unsigned long long)client.done, seconds, (unsigned long long)client.bytes);
    return 0;
}
