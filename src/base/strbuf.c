#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"

void strbuf_init(struct strbuf *b)
{
    *b = (struct strbuf){0};
}

void strbuf_fini(struct strbuf *b)
{
    free(b->p);
    strbuf_init(b);
}

static void reserve(struct strbuf *b, size_t more)
{
    if (b->cap - b->n > more)
        return;
    size_t cap = b->cap ? b->cap : 256;
    while (cap - b->n <= more)
        cap *= 2;
    b->p = realloc(b->p, cap);
    CHECK(b->p);
    b->cap = cap;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void strbuf_str(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_slice(struct strbuf *b, struct slice s)
{
    strbuf_add(b, s.p, s.n);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    reserve(b, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void strbuf_json(struct strbuf *b, struct slice s)
{
    reserve(b, s.n * 6 + 2);
    b->n += text_json(b->p + b->n, s.n * 6 + 2, s);
    b->p[b->n] = '\0';
}

struct slice strbuf_get(const struct strbuf *b)
{
    return slice_of(b->p, b->n);
}
