/* origin: what stands behind the proxies while they are measured.
 *
 *   --mode http     GET /N, /Nk, /Nm answers N bytes (k = 1024, m = 1024 * 1024); / is empty
 *   --mode discard  reads until the client ends, then ends
 *   --mode echo     sends back what it receives
 *   --mode source   sends until the client goes away
 *
 * One thread, level-triggered epoll, about as cheap as an HTTP server can be, because it shares a
 * core with the load client: a response is one send of a head and a body that lie side by side in
 * one static buffer. Byte number i of every body is the same, so bodies can be compared by hash.
 * Keep-alive, pipelining and request bodies (Content-Length and chunked, read and discarded) work
 * as HTTP/1.1 wants; anything odder closes the connection. It is no server for strangers. */
#include "tool.h"

#include <ctype.h>
#include <getopt.h>
#include <stdbool.h>
#include <strings.h>

enum {
    HEAD_MAX = 256,
    PAGE_BYTES = 1 << 20,
    INPUT_BYTES = 64 * 1024,
    EVENTS_PER_WAIT = 256,
};

enum mode { MODE_HTTP, MODE_DISCARD, MODE_ECHO, MODE_SOURCE };

enum conn_state {
    CONN_STATE_HEAD,
    CONN_STATE_BODY,       /* skip bytes of Content-Length are to come */
    CONN_STATE_CHUNK_SIZE, /* a chunk's size line */
    CONN_STATE_CHUNK_DATA, /* skip bytes of a chunk and its line end are to come */
    CONN_STATE_TRAILERS,   /* lines up to an empty one */
};

struct conn {
    int fd;
    enum conn_state state;
    uint32_t watched;
    bool close_after;
    bool without_body;
    bool closed;
    uint64_t skip;
    uint64_t response_bytes;
    /* The unsent rest: of a head that the socket cut, then of the body from body_at on. */
    unsigned head_at;
    unsigned head_bytes;
    uint64_t body_at;
    uint64_t body_bytes;
    char head[HEAD_MAX];
    struct conn *next_closed;
    /* Bytes of input not consumed yet. */
    size_t have;
    char input[INPUT_BYTES];
};

struct origin {
    enum mode mode;
    int epoll;
    int listener;
    struct conn *closed;
    /* The head in the page stands right before the body; it is written anew only when it changes.
     */
    unsigned head_bytes;
    uint64_t head_length;
    bool head_closes;
    time_t head_second;
    char page[HEAD_MAX + PAGE_BYTES];
};

static char *body_of(struct origin *origin)
{
    return origin->page + HEAD_MAX;
}

static void close_conn(struct origin *origin, struct conn *conn)
{
    if (conn->closed)
        return;
    conn->closed = true;
    close(conn->fd);
    conn->next_closed = origin->closed;
    origin->closed = conn;
}

static void reap(struct origin *origin)
{
    while (origin->closed) {
        struct conn *conn = origin->closed;
        origin->closed = conn->next_closed;
        free(conn);
    }
}

static void watch(struct origin *origin, struct conn *conn, uint32_t events)
{
    if (conn->watched == events)
        return;
    conn->watched = events;
    tool_watch(origin->epoll, EPOLL_CTL_MOD, conn->fd, events, conn);
}

static bool has_output(const struct conn *conn)
{
    return conn->head_bytes || conn->body_bytes;
}

/* ---- output ---- */

static void write_head(struct origin *origin, uint64_t length, bool closes)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (origin->head_bytes && origin->head_length == length && origin->head_closes == closes &&
        origin->head_second == now.tv_sec)
        return;
    char head[HEAD_MAX], date[64];
    struct tm parts;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now.tv_sec, &parts));
    int count = snprintf(head, sizeof head,
                         "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: %s\r\n"
                         "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n%s\r\n",
                         date, (unsigned long long)length, closes ? "Connection: close\r\n" : "");
    origin->head_bytes = (unsigned)count;
    origin->head_length = length;
    origin->head_closes = closes;
    origin->head_second = now.tv_sec;
    memcpy(body_of(origin) - count, head, (size_t)count);
}

/* Accounts for what a send of head and body took. */
static void advance(struct conn *conn, size_t sent)
{
    size_t of_head = sent < conn->head_bytes ? sent : conn->head_bytes;
    conn->head_at += (unsigned)of_head;
    conn->head_bytes -= (unsigned)of_head;
    conn->body_at += sent - of_head;
    conn->body_bytes -= sent - of_head;
}

/* Sends the next piece of a response; false, and the conn closed, when the client is gone.
 * full: the socket took less than the piece. */
static bool send_piece(struct origin *origin, struct conn *conn, const char *piece, size_t count,
                       bool *full)
{
    ssize_t sent = send(conn->fd, piece, count, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        close_conn(origin, conn);
        return false;
    }
    *full = sent < (ssize_t)count;
    advance(conn, sent > 0 ? (size_t)sent : 0);
    return true;
}

static size_t body_piece(const struct conn *conn)
{
    uint64_t in_page = PAGE_BYTES - conn->body_at % PAGE_BYTES;
    return conn->body_bytes < in_page ? (size_t)conn->body_bytes : (size_t)in_page;
}

/* Sends what is left of a response until it is gone or the socket is full. */
static void drain(struct origin *origin, struct conn *conn)
{
    bool full = false;
    while (has_output(conn) && !full) {
        const char *piece = conn->head + conn->head_at;
        size_t count = conn->head_bytes;
        if (!count) {
            piece = body_of(origin) + conn->body_at % PAGE_BYTES;
            count = body_piece(conn);
        }
        if (!send_piece(origin, conn, piece, count, &full))
            return;
    }
    watch(origin, conn, has_output(conn) ? EPOLLOUT : EPOLLIN);
}

static void respond(struct origin *origin, struct conn *conn)
{
    bool full;
    write_head(origin, conn->response_bytes, conn->close_after);
    conn->head_at = 0;
    conn->head_bytes = origin->head_bytes;
    conn->body_at = 0;
    conn->body_bytes = conn->without_body ? 0 : conn->response_bytes;
    const char *start = body_of(origin) - origin->head_bytes;
    if (!send_piece(origin, conn, start, conn->head_bytes + body_piece(conn), &full))
        return;
    /* The page's head may change before this conn can go on: keep the cut one. */
    if (conn->head_bytes)
        memcpy(conn->head, start, origin->head_bytes);
    if (has_output(conn))
        drain(origin, conn);
}

/* ---- requests ---- */

/* "/128", "/10k", "/1m" and nothing else. */
static bool parse_path(const char *path, uint64_t *bytes)
{
    char *end;
    if (path[0] != '/')
        return false;
    if (path[1] == ' ') {
        *bytes = 0;
        return true;
    }
    *bytes = strtoull(path + 1, &end, 10);
    if (!isdigit((unsigned char)path[1]) || *bytes > (UINT64_C(1) << 40))
        return false;
    if (*end == 'k')
        *bytes <<= 10;
    else if (*end == 'm')
        *bytes <<= 20;
    else
        end--;
    return end[1] == ' ' || end[1] == '?';
}

/* The value of a header line if its name is this one, else NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    for (line += length + 1; *line == ' '; line++)
        ;
    return line;
}

static void take_header(struct conn *conn, const char *line)
{
    const char *value;
    if ((value = value_of(line, "Content-Length"))) {
        conn->skip = strtoull(value, NULL, 10);
        conn->state = CONN_STATE_BODY;
    } else if ((value = value_of(line, "Transfer-Encoding"))) {
        conn->state = CONN_STATE_CHUNK_SIZE;
    } else if ((value = value_of(line, "Connection")) && strncasecmp(value, "close", 5) == 0) {
        conn->close_after = true;
    }
}

/* The head is a string that ends in CRLF; false when it is no request that we know. */
static bool take_head(struct conn *conn, char *head, size_t length)
{
    if (strlen(head) != length)
        return false;
    char *path = strchr(head, ' ');
    char *line_end = strstr(head, "\r\n");
    if (!path || path > line_end || line_end - head < 9 ||
        !parse_path(path + 1, &conn->response_bytes))
        return false;
    conn->without_body = strncmp(head, "HEAD ", 5) == 0;
    conn->close_after = memcmp(line_end - 8, "HTTP/1.1", 8) != 0;
    for (char *line = line_end + 2; *line; line = strstr(line, "\r\n") + 2)
        take_header(conn, line);
    return true;
}

static void consume(struct conn *conn, size_t count)
{
    conn->have -= count;
    memmove(conn->input, conn->input + count, conn->have);
}

/* A line of a chunked body. Returns its length with the line end; 0 when it is not all here. */
static size_t line_length(const struct conn *conn)
{
    const char *end = memchr(conn->input, '\n', conn->have);
    return end ? (size_t)(end + 1 - conn->input) : 0;
}

static bool step_head(struct origin *origin, struct conn *conn)
{
    char *end = memmem(conn->input, conn->have, "\r\n\r\n", 4);
    if (!end) {
        if (conn->have == sizeof conn->input)
            close_conn(origin, conn);
        return false;
    }
    end[2] = 0;
    if (!take_head(conn, conn->input, (size_t)(end + 2 - conn->input))) {
        close_conn(origin, conn);
        return false;
    }
    consume(conn, (size_t)(end + 4 - conn->input));
    if (conn->state == CONN_STATE_HEAD)
        respond(origin, conn);
    return true;
}

/* The end of a request's body. */
static void finish_body(struct origin *origin, struct conn *conn)
{
    conn->state = CONN_STATE_HEAD;
    respond(origin, conn);
}

static bool step_skip(struct origin *origin, struct conn *conn)
{
    size_t count = conn->skip < conn->have ? (size_t)conn->skip : conn->have;
    conn->skip -= count;
    consume(conn, count);
    if (conn->skip)
        return false;
    if (conn->state == CONN_STATE_BODY)
        finish_body(origin, conn);
    else
        conn->state = CONN_STATE_CHUNK_SIZE;
    return true;
}

static bool step_line(struct origin *origin, struct conn *conn)
{
    size_t length = line_length(conn);
    if (!length) {
        if (conn->have == sizeof conn->input)
            close_conn(origin, conn);
        return false;
    }
    if (conn->state == CONN_STATE_CHUNK_SIZE) {
        uint64_t size = strtoull(conn->input, NULL, 16);
        conn->skip = size + 2;
        conn->state = size ? CONN_STATE_CHUNK_DATA : CONN_STATE_TRAILERS;
        consume(conn, length);
        return true;
    }
    consume(conn, length);
    if (length <= 2)
        finish_body(origin, conn);
    return true;
}

/* One step through the input; false when it needs more bytes. */
static bool step(struct origin *origin, struct conn *conn)
{
    switch (conn->state) {
    case CONN_STATE_HEAD:
        return step_head(origin, conn);
    case CONN_STATE_BODY:
    case CONN_STATE_CHUNK_DATA:
        return step_skip(origin, conn);
    case CONN_STATE_CHUNK_SIZE:
    case CONN_STATE_TRAILERS:
        return step_line(origin, conn);
    }
    return false;
}

/* Goes through the requests at hand, one response at a time. */
static void serve_http(struct origin *origin, struct conn *conn)
{
    bool going = true;
    while (going && !conn->closed && !has_output(conn)) {
        if (conn->close_after && conn->state == CONN_STATE_HEAD) {
            close_conn(origin, conn);
            return;
        }
        going = conn->have > 0 && step(origin, conn);
    }
}

/* ---- TCP modes ---- */

static void serve_echo(struct origin *origin, struct conn *conn)
{
    ssize_t sent = send(conn->fd, conn->input, conn->have, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        close_conn(origin, conn);
        return;
    }
    if (sent > 0)
        consume(conn, (size_t)sent);
    watch(origin, conn, conn->have ? EPOLLOUT : EPOLLIN);
}

static void serve_source(struct origin *origin, struct conn *conn)
{
    bool full = false;
    for (int burst = 0; burst < 4 && !full; burst++) {
        conn->body_bytes = UINT64_MAX;
        if (!send_piece(origin, conn, body_of(origin) + conn->body_at % PAGE_BYTES,
                        body_piece(conn), &full))
            return;
    }
}

static void serve(struct origin *origin, struct conn *conn)
{
    switch (origin->mode) {
    case MODE_HTTP:
        serve_http(origin, conn);
        break;
    case MODE_DISCARD:
        conn->have = 0;
        break;
    case MODE_ECHO:
        serve_echo(origin, conn);
        break;
    case MODE_SOURCE:
        serve_source(origin, conn);
        break;
    }
}

/* ---- events ---- */

static void receive(struct origin *origin, struct conn *conn)
{
    ssize_t got = recv(conn->fd, conn->input + conn->have, sizeof conn->input - conn->have, 0);
    if (got > 0) {
        conn->have += (size_t)got;
        serve(origin, conn);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_conn(origin, conn);
    }
}

static void on_event(struct origin *origin, struct conn *conn, uint32_t events)
{
    if (conn->closed)
        return;
    if (events & EPOLLERR) {
        close_conn(origin, conn);
        return;
    }
    if (events & (EPOLLOUT | EPOLLHUP)) {
        if (origin->mode == MODE_HTTP && has_output(conn))
            drain(origin, conn);
        if (!conn->closed)
            serve(origin, conn);
    }
    if (!conn->closed && events & EPOLLIN)
        receive(origin, conn);
}

static void accept_all(struct origin *origin)
{
    int fd;
    while ((fd = tool_accept(origin->listener)) >= 0) {
        struct conn *conn = tool_alloc(1, sizeof *conn);
        conn->fd = fd;
        conn->watched = origin->mode == MODE_SOURCE ? EPOLLOUT : EPOLLIN;
        tool_watch(origin->epoll, EPOLL_CTL_ADD, fd, conn->watched, conn);
    }
}

static void run(struct origin *origin)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(origin->epoll, events, EVENTS_PER_WAIT, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_event(origin, events[i].data.ptr, events[i].events);
            else
                accept_all(origin);
        }
        reap(origin);
    }
}

static void fill_page(struct origin *origin)
{
    for (size_t i = 0; i < PAGE_BYTES; i++)
        body_of(origin)[i] = (char)('a' + (i * 7 + i / 251) % 26);
}

static enum mode parse_mode(const char *text)
{
    static const char *const names[] = {"http", "discard", "echo", "source"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum mode)i;
    tool_die("--mode: expected http, discard, echo or source");
}

static void usage(void)
{
    tool_die("usage: origin --listen ip:port [--mode http|discard|echo|source]");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"mode", required_argument, NULL, 'm'}, {0}};
    static struct origin origin;
    const char *listen_on = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l')
            listen_on = optarg;
        else if (option == 'm')
            origin.mode = parse_mode(optarg);
        else
            usage();
    }
    if (!listen_on || optind != argc)
        usage();
    tool_raise_files();
    fill_page(&origin);
    origin.epoll = tool_epoll();
    origin.listener = tool_listen(listen_on);
    tool_watch(origin.epoll, EPOLL_CTL_ADD, origin.listener, EPOLLIN, NULL);
    run(&origin);
}
