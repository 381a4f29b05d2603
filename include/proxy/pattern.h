/* Patterns of rule conditions, as ALB has them: `*` stands for any bytes or none, `?` for exactly
 * one; both cross every separator. There is no escape. Bytes are compared as they are: who wants
 * to ignore case folds both sides first. All functions are pure. */
#ifndef PROXY_PATTERN_H
#define PROXY_PATTERN_H

#include "base/slice.h"

/* The whole of text. Time: text times the longest piece with a `?` in it, else linear in both;
 * never exponential. */
bool pattern_match(struct slice pattern, struct slice text);

/* What stands before the first wildcard, and behind the last one: all of it when there is none. */
struct slice pattern_head(struct slice pattern);
struct slice pattern_tail(struct slice pattern);

/* Does the pattern match a host that a certificate with this name is for? The name is one host, or
 * `*.` and the rest of it, where the star is one label that is not empty. Exact. */
bool pattern_meets_name(struct slice pattern, struct slice name);

static inline bool pattern_is_literal(struct slice pattern)
{
    return pattern_head(pattern).n == pattern.n;
}

#endif
