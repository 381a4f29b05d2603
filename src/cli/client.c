#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "config/load.h"
#include "http/h1_parser.h"
#include "net/addr.h"

#define TOKEN_MAX   256
#define ANSWER_MAX  (256u << 20)
#define ANSWER_NAME "the answer"
#define FIELDS_MAX  64
#define CONNECT_MS  5000

/* ---- options ---- */

enum client_option client_value(const struct client *c, int argc, char **argv, int *i,
                                const char **to)
{
    if (*i + 1 == argc) {
        fprintf(stderr, "tenbin %s: a value is missing after %s\n", c->command, argv[*i]);
        return CLIENT_OPTION_BAD;
    }
    *to = argv[++*i];
    return CLIENT_OPTION_TAKEN;
}

enum client_option client_option(struct client *c, int argc, char **argv, int *i)
{
    if (strcmp(argv[*i], "-c") == 0)
        return client_value(c, argc, argv, i, &c->config_path);
    if (strcmp(argv[*i], "--admin") == 0)
        return client_value(c, argc, argv, i, &c->admin);
    if (strcmp(argv[*i], "--token-file") == 0)
        return client_value(c, argc, argv, i, &c->token_file);
    return CLIENT_OPTION_NONE;
}

int client_options(struct client *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        enum client_option found = client_option(c, argc, argv, &i);
        if (found == CLIENT_OPTION_NONE)
            fprintf(stderr, "tenbin %s: unknown argument %s\n", c->command, argv[i]);
        if (found != CLIENT_OPTION_TAKEN) {
            fprintf(stderr, "usage: tenbin %s " CLIENT_OPTIONS_HELP "\n", c->command);
            return COMMANDS_USAGE;
        }
    }
    return COMMANDS_OK;
}

/* ---- where it is, and who we are ---- */

static int unreachable(const struct client *c, const char *what, const char *why)
{
    fprintf(stderr, "tenbin %s: %s: %s\n", c->command, what, why);
    return COMMANDS_UNREACHABLE;
}

static int address_of_config(const struct client *c, struct addr *to)
{
    const char *path = c->config_path ? c->config_path : COMMANDS_CONFIG_PATH;
    struct load_options o = load_options_default();
    struct report r;
    report_init(&r);
    struct config *config = load_path(path, &o, &r);
    int rc = COMMANDS_OK;
    if (!config)
        rc = unreachable(c, path,
                         "cannot be used to find the process (tenbin check says why): use --admin");
    else if (addr_family(&config->admin.listen) == AF_UNSPEC)
        rc = unreachable(c, path, "admin.listen is off, so nobody can be asked");
    else
        *to = config->admin.listen;
    model_free(config);
    report_fini(&r);
    return rc;
}

static int find(const struct client *c, struct addr *to)
{
    if (!c->admin)
        return address_of_config(c, to);
    if (addr_parse(to, slice_str(c->admin)) == OK)
        return COMMANDS_OK;
    fprintf(stderr, "tenbin %s: --admin %s: expected IP:PORT, [IPv6]:PORT or unix:PATH\n",
            c->command, c->admin);
    return COMMANDS_USAGE;
}

static struct slice trimmed(struct slice s)
{
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0 && s.n <= TOKEN_MAX;
}

static int bad_token(const struct client *c, const char *where, const char *why)
{
    fprintf(stderr, "tenbin %s: %s: %s\n", c->command, where, why);
    return COMMANDS_USAGE;
}

/* An empty token: none. */
static int find_token(const struct client *c, char to[TOKEN_MAX + 2], struct slice *token)
{
    const char *env = getenv("TENBIN_TOKEN"), *where = "$TENBIN_TOKEN";
    *token = slice_str(env ? env : "");
    if (c->token_file) {
        where = c->token_file;
        int fd = open(where, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, to, TOKEN_MAX + 2);
        if (n < 0)
            return bad_token(c, where, strerror(errno));
        close(fd);
        *token = slice_of(to, (size_t)n);
    }
    *token = trimmed(*token);
    if ((c->token_file || token->n) && !is_token(*token))
        return bad_token(c, where, "holds no token: 1 to 256 visible ASCII characters");
    return COMMANDS_OK;
}

/* ---- the wire ---- */

static int64_t now_ms(void)
{
    struct clock k = {0};
    clock_update(&k);
    return (int64_t)k.now_ms;
}

/* 0, or errno. */
static int ready(int fd, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = until_ms - now_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return ETIMEDOUT;
        if (errno != EINTR)
            return errno;
    }
}

static int dial(const struct addr *to, int *out)
{
    int fd = socket(addr_family(to), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t n = sizeof(error);
    *out = fd;
    if (fd < 0)
        return errno;
    if (connect(fd, &to->sa, to->len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    error = ready(fd, POLLOUT, now_ms() + CONNECT_MS);
    if (error)
        return error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 ? error : errno;
}

static int send_all(int fd, struct slice s, int64_t until_ms)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            int error = ready(fd, POLLOUT, until_ms);
            if (error)
                return error;
        } else if (n < 0 && errno != EINTR) {
            return errno;
        }
        s = slice_from(s, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

/* False: it is not whole, or no answer at all. */
static bool parse_whole(struct slice all, unsigned *status, struct slice *body)
{
    static const struct limits limits = {
        .header = 8192, .response_head = 16384, .headers = FIELDS_MAX};
    struct field fields[FIELDS_MAX];
    struct h1_finder finder = {0};
    struct response_head h;
    struct h1_find_result f = h1_parser_find_response(&finder, all, &limits);
    if (f.found != H1_FOUND_HEAD)
        return false;
    head_response_init(&h, fields, FIELDS_MAX);
    if (h1_parser_response(slice_of(all.p, f.length), &limits, METHOD_POST, false, &h) !=
        REASON_NONE)
        return false;
    *status = h.status;
    *body = slice_from(all, f.length);
    return h.framing == FRAMING_LENGTH && h.content_length == body->n;
}

/* Until it is whole or over. */
static int receive_all(int fd, struct strbuf *to, int64_t until_ms)
{
    char some[65536];
    unsigned status;
    struct slice body;
    for (;;) {
        ssize_t n = recv(fd, some, sizeof(some), 0);
        if (n > 0)
            strbuf_add(to, some, (size_t)n);
        if (n == 0 || parse_whole(strbuf_get(to), &status, &body))
            return 0;
        if (to->n > ANSWER_MAX)
            return EFBIG;
        int error = n < 0 && errno == EAGAIN ? ready(fd, POLLIN, until_ms) : n < 0 ? errno : 0;
        if (error && error != EINTR)
            return error;
    }
}

static void write_request(struct strbuf *to, const char *path, struct slice token,
                          struct slice body)
{
    strbuf_printf(to, "%s %s HTTP/1.1\r\nHost: tenbin\r\nConnection: close\r\n",
                  body.n ? "POST" : "GET", path);
    if (token.n)
        strbuf_printf(to, "Authorization: Bearer %.*s\r\n", (int)token.n, token.p);
    if (body.n)
        strbuf_printf(to, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.n);
    strbuf_str(to, "\r\n");
    strbuf_slice(to, body);
}

static int talk(const struct addr *to, struct slice request, unsigned wait_ms,
                struct strbuf *answer)
{
    int fd;
    int64_t until_ms = now_ms() + wait_ms + CLIENT_PATIENCE_MS;
    int error = dial(to, &fd);
    if (!error)
        error = send_all(fd, request, until_ms);
    /* An answer may have come although not all was taken. */
    if (!error || error == EPIPE || error == ECONNRESET)
        error = receive_all(fd, answer, until_ms);
    if (fd >= 0)
        close(fd);
    return error;
}

/* ---- the answer ---- */

static void parse_json(struct client_answer *a)
{
    struct report r;
    report_init(&r);
    a->json = yaml_tree_parse(&a->arena, &r, ANSWER_NAME, a->body, NULL);
    if (r.errors || (a->json && a->json->kind != YAML_TREE_MAP))
        a->json = NULL;
    report_fini(&r);
}

static bool parse(struct client_answer *a, struct slice all)
{
    struct slice body;
    arena_fini(&a->arena);
    if (!parse_whole(all, &a->status, &body))
        return false;
    a->body = arena_slice(&a->arena, body);
    parse_json(a);
    return true;
}

int client_ask(const struct client *c, const char *path, struct slice body, unsigned wait_ms,
               struct client_answer *a)
{
    char text[TOKEN_MAX + 2], where[ADDR_TEXT_MAX + 1];
    struct addr to;
    struct slice token;
    struct strbuf request, answer;
    int rc = find(c, &to);
    if (rc == COMMANDS_OK)
        rc = find_token(c, text, &token);
    if (rc != COMMANDS_OK)
        return rc;
    where[addr_format(&to, where)] = '\0';
    strbuf_init(&request);
    strbuf_init(&answer);
    write_request(&request, path, token, body);
    int error = talk(&to, strbuf_get(&request), wait_ms, &answer);
    if (error)
        rc = unreachable(c, where, strerror(error));
    else if (!parse(a, strbuf_get(&answer)))
        rc = unreachable(c, where, "that was no whole answer of tenbin's");
    strbuf_fini(&request);
    strbuf_fini(&answer);
    return rc;
}

int client_ask_well(const struct client *c, const char *path, struct slice body, unsigned wait_ms,
                    struct client_answer *a)
{
    int rc = client_ask(c, path, body, wait_ms, a);
    return rc == COMMANDS_OK ? client_check(c, path, a) : rc;
}

int client_check(const struct client *c, const char *path, struct client_answer *a)
{
    if (a->status == 200 && a->json)
        return COMMANDS_OK;
    const char *why = a->json ? client_text(a, a->json, "error") : "";
    if (*why)
        fprintf(stderr, "tenbin %s: %s\n", c->command, why);
    else
        fprintf(stderr, "tenbin %s: the process answered %u to %s\n", c->command, a->status, path);
    return COMMANDS_BAD;
}

void client_answer_init(struct client_answer *a)
{
    *a = (struct client_answer){0};
    arena_init(&a->arena);
}

void client_answer_fini(struct client_answer *a)
{
    arena_fini(&a->arena);
}

/* ---- what is in it ---- */

const char *client_text(struct client_answer *a, const struct yaml_tree_node *map, const char *key)
{
    const struct yaml_tree_node *n = map ? yaml_tree_get(map, key) : NULL;
    if (!n || n->kind != YAML_TREE_SCALAR || n->null)
        return "";
    char *text = arena_strdup(&a->arena, n->text);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
}

uint64_t client_number(const struct yaml_tree_node *map, const char *key)
{
    uint64_t v = 0;
    const struct yaml_tree_node *n = map ? yaml_tree_get(map, key) : NULL;
    if (n && n->kind == YAML_TREE_SCALAR)
        (void)slice_u64(n->text, &v);
    return v;
}

size_t client_items(const struct yaml_tree_node *map, const char *key,
                    struct yaml_tree_node *const **to)
{
    const struct yaml_tree_node *n = map ? yaml_tree_get(map, key) : NULL;
    if (!n || n->kind != YAML_TREE_LIST)
        return 0;
    *to = n->items;
    return n->items_n;
}

const char *client_or_dash(const char *text)
{
    return *text ? text : "-";
}
