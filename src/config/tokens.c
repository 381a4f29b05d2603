#include "config/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* As far as it matters: a token and as much white space around it. */
#define FILE_MAX_BYTES (4 * TOKENS_MAX)

static ssize_t read_file(const char *path, char *to, size_t cap)
{
    size_t n = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    while (n < cap && (got = read(fd, to + n, cap - n)) > 0)
        n += (size_t)got;
    int error = errno;
    close(fd);
    errno = error;
    return got < 0 ? -1 : (ssize_t)n;
}

static bool is_visible(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice without_space(struct slice s)
{
    while (s.n && is_space(s.p[0]))
        s = slice_from(s, 1);
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool read_token(struct arena *a, struct config_token *t, struct report *r)
{
    char text[FILE_MAX_BYTES];
    ssize_t n = read_file(t->file.path.p, text, sizeof(text));
    if (n < 0) {
        report_error(r, t->file.pos, "cannot read the token %s: %s", t->file.path.p,
                     strerror(errno));
        return false;
    }
    struct slice token = without_space(slice_of(text, (size_t)n));
    if (token.n < TOKENS_MIN || token.n > TOKENS_MAX || !is_visible(token)) {
        report_error(r, t->file.pos, "%s: a token has %d to %d visible ASCII characters",
                     t->file.path.p, TOKENS_MIN, TOKENS_MAX);
        return false;
    }
    t->secret = arena_slice(a, token);
    explicit_bzero(text, sizeof(text));
    return true;
}

bool tokens_read(struct config *c, struct report *r)
{
    bool good = true;
    for (size_t i = 0; i < c->admin.tokens_n; i++)
        good &= read_token(&c->arena, &c->admin.tokens[i], r);
    return good;
}
