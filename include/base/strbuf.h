/* Growing text buffer for everything off the hot path that is written piece by piece: status
 * JSON, metrics, error messages. Always NUL-terminated once something was added. Owner: the
 * caller; strbuf_fini frees. Running out of memory aborts. Single thread. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct strbuf {
    char *p;
    size_t n, cap;
};

void strbuf_init(struct strbuf *b);
void strbuf_fini(struct strbuf *b);
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_str(struct strbuf *b, const char *s);
void strbuf_slice(struct strbuf *b, struct slice s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As a JSON string with quotes; bytes that are not UTF-8 are written as \u00XX, so the output is
 * valid JSON whatever the input. */
void strbuf_json(struct strbuf *b, struct slice s);
struct slice strbuf_get(const struct strbuf *b);

#endif
