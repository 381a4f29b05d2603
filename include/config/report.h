/* What is wrong with a configuration file, collected while it is read, so that a user sees all of
 * it at once:
 *
 *   site.yaml:12:5: error: unknown key "conect" in timeouts; did you mean "connect"?
 *      12 |     conect: 10s
 *         |     ^
 *         = expected a map with the keys shutdown, drain, request_head, connect, ...
 *
 * Owner: the caller of load; the report has its own arena and outlives what it speaks of. Single
 * thread at a time. At most REPORT_MAX entries are kept, the rest is only counted. */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "config/model.h"

#define REPORT_MAX 200

enum report_level { REPORT_ERROR, REPORT_WARNING };

struct report_entry {
    struct report_entry *next;
    enum report_level level;
    struct config_pos pos; /* file NULL: about no file; line 0: about the file as a whole */
    const char *message;
    const char *expected;   /* type, range, default; or NULL */
    const char *suggestion; /* the nearest known word, or NULL */
    const char *hint;       /* more to say, or NULL */
    const char *excerpt;    /* the line, cut to a screen's width; or NULL */
    uint32_t caret;         /* where in the excerpt, from 0, in characters */
};

struct report_source;

struct report {
    struct arena arena;
    struct report_source *sources; /* newest first */
    struct report_entry *first, *last;
    size_t errors, warnings; /* all of them, kept or not */
    size_t kept;
    struct report_entry spare; /* takes what is said about entries beyond REPORT_MAX */
};

void report_init(struct report *r);
void report_fini(struct report *r);

/* The bytes of a file, so that its lines can be quoted. They must stay until report_forget(). */
void report_source(struct report *r, const char *file, struct slice bytes);
void report_forget(struct report *r);

/* Both return the entry, never NULL, for the functions below. */
struct report_entry *report_error(struct report *r, struct config_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct report_entry *report_warning(struct report *r, struct config_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void report_expected(struct report *r, struct report_entry *e, struct slice text);
void report_suggest(struct report *r, struct report_entry *e, const char *word); /* NULL: nothing */
void report_hint(struct report *r, struct report_entry *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What is there to go back to instead: all errors behind `last` (NULL: all) become warnings that end
 * in these words. errors: how many there were then. */
void report_soften(struct report *r, const struct report_entry *last, size_t errors,
                   const char *words);

/* In the order of files and lines. What is added later stands behind them. */
void report_sort(struct report *r);

/* The entries as the text above, or as {"ok":bool,"errors":[...],"warnings":[...]} and a newline.
 * Control characters of the input are not passed on to a terminal. */
void report_text(const struct report *r, struct strbuf *out);
void report_json(const struct report *r, struct strbuf *out);
/* One line without excerpt or newline, for logs. */
void report_line(const struct report_entry *e, struct strbuf *out);

#endif
