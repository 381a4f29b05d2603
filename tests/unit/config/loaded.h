/* A configuration loaded from a text of the test, with a table for an environment. */
#ifndef TESTS_CONFIG_LOADED_H
#define TESTS_CONFIG_LOADED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "config/load.h"

/* One listener, one group, and the least that is a configuration. */
#define WEB                                                                                        \
    "listeners:\n"                                                                                 \
    "  - name: web\n"                                                                              \
    "    listen: \"127.0.0.1:8080\"\n"                                                             \
    "    protocol: http\n"                                                                         \
    "    default_action: {forward: app}\n"
#define APP                                                                                        \
    "target_groups:\n"                                                                             \
    "  - name: app\n"                                                                              \
    "    targets: [\"127.0.0.1:3000\"]\n"
#define MINIMAL WEB APP

struct loaded {
    struct config *config;
    struct report report;
};

static inline const char *loaded_env(void *ctx, const char *name)
{
    (void)ctx;
    static const struct {
        const char *name, *value;
    } table[] = {{"PORT", "8080"}, {"EMPTY", ""}, {"TENBIN_ZONE", "b"}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].value;
    return NULL;
}

static const struct load_options loaded_options = {.env = {.lookup = loaded_env},
                                                   .root = "/nonexistent"};

static inline struct loaded load(const char *text)
{
    struct loaded l;
    report_init(&l.report);
    l.config = load_bytes(slice_str(text), "t.yaml", &loaded_options, &l.report);
    assert_int_equal(l.config == NULL, l.report.errors > 0);
    return l;
}

static inline void unload(struct loaded *l)
{
    model_free(l->config);
    report_fini(&l->report);
}

static inline void print_report(const struct report *r)
{
    struct strbuf out;
    strbuf_init(&out);
    report_text(r, &out);
    print_error("%s", out.p ? out.p : "");
    strbuf_fini(&out);
}

static inline struct loaded load_good(const char *text)
{
    struct loaded l = load(text);
    if (!l.config) {
        print_report(&l.report);
        fail_msg("refused:\n%s", text);
    }
    return l;
}

/* An entry at line:column ("12:5") whose one-line form holds the words; NULL: none. */
static inline const struct report_entry *find_entry(const struct report *r, enum report_level level,
                                                    const char *place, const char *words)
{
    for (const struct report_entry *e = r->first; e; e = e->next) {
        char at[32];
        struct strbuf line;
        snprintf(at, sizeof(at), "%u:%u", e->pos.line, e->pos.column);
        strbuf_init(&line);
        report_line(e, &line);
        bool found = e->level == level && strcmp(at, place) == 0 && strstr(line.p, words);
        strbuf_fini(&line);
        if (found)
            return e;
    }
    return NULL;
}

/* Takes the mark `@` out of the text and says where it was. */
static inline void take_mark(char *text, char place[32])
{
    char *mark = strchr(text, '@'), *line = text;
    unsigned number = 1;
    assert_non_null(mark);
    for (char *c = text; c < mark; c++)
        if (*c == '\n') {
            number++;
            line = c + 1;
        }
    snprintf(place, 32, "%u:%u", number, (unsigned)(mark - line) + 1);
    memmove(mark, mark + 1, strlen(mark));
}

static inline void assert_one_entry(const char *marked, enum report_level level, const char *words)
{
    char place[32], *text = strdup(marked);
    take_mark(text, place);
    struct loaded l = load(text);
    bool only = l.report.errors + l.report.warnings == 1;
    if (!only || !find_entry(&l.report, level, place, words)) {
        print_report(&l.report);
        fail_msg("expected one entry at %s with \"%s\":\n%s", place, words, text);
    }
    unload(&l);
    free(text);
}

/* Exactly one error and no warning: where the text has its mark `@`, with these words. */
static inline void assert_one_error(const char *marked, const char *words)
{
    assert_one_entry(marked, REPORT_ERROR, words);
}

/* The same for a warning, in a good file. */
static inline void assert_one_warning(const char *marked, const char *words)
{
    assert_one_entry(marked, REPORT_WARNING, words);
}

static inline const char *loaded_text(const struct addr *a)
{
    static char text[ADDR_TEXT_MAX + 1];
    text[addr_format(a, text)] = '\0';
    return text;
}

#define assert_slice(s, text)                                                                      \
    do {                                                                                           \
        assert_non_null((s).p);                                                                    \
        assert_string_equal((s).p, text);                                                          \
        assert_int_equal((s).n, strlen(text));                                                     \
    } while (0)

#endif
