/* A piece of somebody else's bytes: pointer and length, not terminated, owning nothing.
 * Valid as long as the memory it points into. All functions are pure. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *p;
    size_t n;
};

#define SLICE(lit)      ((struct slice){(lit), sizeof(lit) - 1})
#define SLICE_INIT(lit) {(lit), sizeof(lit) - 1}

static inline struct slice slice_of(const char *p, size_t n)
{
    return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII letters only; the locale has no say. */
static inline char slice_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* The first `cap` bytes of s, folded, in `to`. */
struct slice slice_fold(char *to, size_t cap, struct slice s);
bool slice_ieq(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);

/* Offset of the first c at or after `from`, or s.n when there is none. */
static inline size_t slice_find(struct slice s, char c, size_t from)
{
    const char *hit = from < s.n ? memchr(s.p + from, c, s.n - from) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

static inline struct slice slice_from(struct slice s, size_t off)
{
    return off >= s.n ? (struct slice){s.p + s.n, 0} : (struct slice){s.p + off, s.n - off};
}

static inline struct slice slice_upto(struct slice s, size_t n)
{
    return (struct slice){s.p, n < s.n ? n : s.n};
}

/* Without spaces and tabs at both ends (RFC 9110 OWS). */
struct slice slice_trim(struct slice s);

/* The next item of a comma-separated list, trimmed, empty items skipped (RFC 9110 5.6.1);
 * *rest moves on. False at the end. */
bool slice_next_item(struct slice *rest, struct slice *item);

/* All of s is one decimal number without sign: false otherwise, also beyond 2^64-1. */
bool slice_u64(struct slice s, uint64_t *out);

#endif
