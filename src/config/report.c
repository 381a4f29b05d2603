#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define EXCERPT_MAX  120 /* characters of a line that are shown */
#define EXCERPT_LEAD 80  /* at most so many of them before the caret */

struct report_source {
    struct report_source *older;
    const char *file;
    struct slice bytes;
    unsigned index;
    /* Where the last quoted line begins: errors come mostly in order. */
    uint32_t line;
    size_t offset;
};

void report_init(struct report *r)
{
    *r = (struct report){0};
    arena_init(&r->arena);
}

void report_fini(struct report *r)
{
    arena_fini(&r->arena);
    report_init(r);
}

void report_source(struct report *r, const char *file, struct slice bytes)
{
    struct report_source *s = ARENA_NEW(&r->arena, struct report_source);
    s->file = arena_strdup(&r->arena, slice_str(file));
    s->bytes = bytes;
    s->line = 1;
    s->index = r->sources ? r->sources->index + 1 : 0;
    s->older = r->sources;
    r->sources = s;
}

void report_forget(struct report *r)
{
    for (struct report_source *s = r->sources; s; s = s->older)
        s->bytes = (struct slice){0};
}

static struct report_source *find_source(const struct report *r, const char *file)
{
    struct report_source *s = r->sources;
    while (s && (!file || strcmp(s->file, file) != 0))
        s = s->older;
    return s;
}

static struct slice find_line(struct report_source *s, uint32_t line)
{
    if (line < s->line)
        s->line = 1, s->offset = 0;
    while (s->line < line && s->offset < s->bytes.n) {
        s->offset = slice_find(s->bytes, '\n', s->offset) + 1;
        s->line++;
    }
    size_t end = slice_find(s->bytes, '\n', s->offset);
    return s->offset < s->bytes.n ? slice_of(s->bytes.p + s->offset, end - s->offset) : SLICE("");
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* The byte where character number `chars` begins. */
static size_t character_offset(struct slice s, size_t chars)
{
    for (size_t i = 0; i < s.n; i++)
        if (starts_character(s.p[i]) && chars-- == 0)
            return i;
    return s.n;
}

/* C0, DEL, and C1 as UTF-8 writes it (C2 80 to C2 9F). */
static bool is_control(const char *p, size_t left)
{
    unsigned char c = (unsigned char)p[0], next = left > 1 ? (unsigned char)p[1] : 0;
    return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

/* What a terminal could take for a command is shown as blanks. */
static char *printable(struct arena *a, struct slice s)
{
    char *to = arena_strdup(a, s);
    for (size_t i = 0; i < s.n; i++) {
        bool two = (unsigned char)s.p[i] == 0xc2;
        if (!is_control(s.p + i, s.n - i))
            continue;
        to[i] = ' ';
        if (two)
            to[++i] = ' ';
    }
    return to;
}

static void quote_line(struct report *r, struct report_entry *e)
{
    struct report_source *s = find_source(r, e->pos.file);
    if (!s || e->pos.line == 0 || s->bytes.n == 0)
        return;
    struct slice line = find_line(s, e->pos.line);
    uint32_t before = e->pos.column ? e->pos.column - 1 : 0;
    uint32_t skip = before > EXCERPT_LEAD ? before - EXCERPT_LEAD : 0;
    line = slice_from(line, character_offset(line, skip));
    line = slice_upto(line, character_offset(line, EXCERPT_MAX));
    e->excerpt = printable(&r->arena, line);
    e->caret = before - skip;
}

static char *format(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    CHECK(n >= 0);
    char *to = arena_alloc(a, (size_t)n + 1);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    return to;
}

static void append(struct report *r, struct report_entry *e)
{
    if (r->last)
        r->last->next = e;
    else
        r->first = e;
    r->last = e;
    e->next = NULL;
}

static struct report_entry *add(struct report *r, enum report_level level, struct config_pos pos,
                                const char *fmt, va_list ap)
{
    (*(level == REPORT_ERROR ? &r->errors : &r->warnings))++;
    if (r->kept == REPORT_MAX)
        return &r->spare;
    struct report_entry *e = ARENA_NEW(&r->arena, struct report_entry);
    e->level = level;
    e->pos = pos;
    if (pos.file)
        e->pos.file = arena_strdup(&r->arena, slice_str(pos.file));
    char *message = format(&r->arena, fmt, ap);
    e->message = printable(&r->arena, slice_str(message));
    quote_line(r, e);
    append(r, e);
    r->kept++;
    return e;
}

struct report_entry *report_error(struct report *r, struct config_pos pos, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct report_entry *e = add(r, REPORT_ERROR, pos, fmt, ap);
    va_end(ap);
    return e;
}

struct report_entry *report_warning(struct report *r, struct config_pos pos, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct report_entry *e = add(r, REPORT_WARNING, pos, fmt, ap);
    va_end(ap);
    return e;
}

void report_expected(struct report *r, struct report_entry *e, struct slice text)
{
    if (e != &r->spare)
        e->expected = arena_strdup(&r->arena, text);
}

void report_suggest(struct report *r, struct report_entry *e, const char *word)
{
    if (e != &r->spare && word)
        e->suggestion = printable(&r->arena, slice_str(word));
}

void report_hint(struct report *r, struct report_entry *e, const char *fmt, ...)
{
    if (e == &r->spare)
        return;
    va_list ap;
    va_start(ap, fmt);
    e->hint = format(&r->arena, fmt, ap);
    va_end(ap);
}

/* --- order --- */

struct ordered {
    struct report_entry *entry;
    unsigned file, number;
};

static int compare_u32(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    int c = compare_u32(x->file, y->file);
    if (!c)
        c = compare_u32(x->entry->pos.line, y->entry->pos.line);
    if (!c)
        c = compare_u32(x->entry->pos.column, y->entry->pos.column);
    return c ? c : compare_u32(x->number, y->number);
}

void report_soften(struct report *r, const struct report_entry *last, size_t errors,
                   const char *words)
{
    struct report_entry *e = last ? last->next : r->first;
    for (; e; e = e->next) {
        if (e->level != REPORT_ERROR)
            continue;
        e->level = REPORT_WARNING;
        struct strbuf text;
        strbuf_init(&text);
        strbuf_printf(&text, "%s; %s", e->message, words);
        e->message = arena_strdup(&r->arena, strbuf_get(&text));
        strbuf_fini(&text);
    }
    r->warnings += r->errors - errors;
    r->errors = errors;
}

void report_sort(struct report *r)
{
    struct ordered all[REPORT_MAX];
    unsigned n = 0;
    for (struct report_entry *e = r->first; e; e = e->next) {
        struct report_source *s = find_source(r, e->pos.file);
        all[n] = (struct ordered){e, s ? s->index : 0, n};
        n++;
    }
    qsort(all, n, sizeof(*all), compare);
    r->first = r->last = NULL;
    for (unsigned i = 0; i < n; i++)
        append(r, all[i].entry);
}

/* --- output --- */

static const char *level_text(enum report_level level)
{
    return level == REPORT_ERROR ? "error" : "warning";
}

static void put_place(const struct report_entry *e, struct strbuf *out)
{
    if (e->pos.file && e->pos.line)
        strbuf_printf(out, "%s:%u:%u: ", e->pos.file, e->pos.line, e->pos.column);
    else if (e->pos.file)
        strbuf_printf(out, "%s: ", e->pos.file);
}

static void put_message(const struct report_entry *e, struct strbuf *out)
{
    put_place(e, out);
    strbuf_printf(out, "%s: %s", level_text(e->level), e->message);
    if (e->suggestion)
        strbuf_printf(out, "; did you mean \"%s\"?", e->suggestion);
}

void report_line(const struct report_entry *e, struct strbuf *out)
{
    put_message(e, out);
    if (e->expected)
        strbuf_printf(out, "; expected %s", e->expected);
    if (e->hint)
        strbuf_printf(out, "; %s", e->hint);
}

static void put_text(const struct report_entry *e, struct strbuf *out)
{
    put_message(e, out);
    strbuf_str(out, "\n");
    if (e->excerpt) {
        strbuf_printf(out, "%6u | %s\n", e->pos.line, e->excerpt);
        strbuf_printf(out, "       | %*s^\n", (int)e->caret, "");
    }
    if (e->expected)
        strbuf_printf(out, "       = expected %s\n", e->expected);
    if (e->hint)
        strbuf_printf(out, "       = %s\n", e->hint);
}

void report_text(const struct report *r, struct strbuf *out)
{
    for (const struct report_entry *e = r->first; e; e = e->next)
        put_text(e, out);
    if (r->errors + r->warnings > r->kept)
        strbuf_printf(out, "and %zu more\n", r->errors + r->warnings - r->kept);
}

static void put_member(struct strbuf *out, const char *name, const char *value)
{
    strbuf_printf(out, ",\"%s\":", name);
    if (value)
        strbuf_json(out, slice_str(value));
    else
        strbuf_str(out, "null");
}

static void put_json(const struct report_entry *e, struct strbuf *out)
{
    strbuf_str(out, "{\"file\":");
    strbuf_json(out, slice_str(e->pos.file ? e->pos.file : ""));
    strbuf_printf(out, ",\"line\":%u,\"column\":%u", e->pos.line, e->pos.column);
    put_member(out, "message", e->message);
    put_member(out, "expected", e->expected);
    put_member(out, "suggestion", e->suggestion);
    put_member(out, "hint", e->hint);
    put_member(out, "source", e->excerpt);
    strbuf_str(out, "}");
}

static void put_json_list(const struct report *r, enum report_level level, struct strbuf *out)
{
    const char *comma = "";
    for (const struct report_entry *e = r->first; e; e = e->next) {
        if (e->level != level)
            continue;
        strbuf_str(out, comma);
        put_json(e, out);
        comma = ",";
    }
}

void report_json(const struct report *r, struct strbuf *out)
{
    strbuf_printf(out, "{\"ok\":%s,\"errors\":[", r->errors ? "false" : "true");
    put_json_list(r, REPORT_ERROR, out);
    strbuf_str(out, "],\"warnings\":[");
    put_json_list(r, REPORT_WARNING, out);
    strbuf_printf(out, "],\"omitted\":%zu}\n", r->errors + r->warnings - r->kept);
}
