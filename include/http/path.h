/* Paths and queries for rule matching. What the target gets is never changed by this. Pure. */
#ifndef HTTP_PATH_H
#define HTTP_PATH_H

#include "base/err.h"
#include "base/slice.h"

/* RFC 3986 6.2.2: escapes in upper case, escaped unreserved characters decoded, dot segments
 * removed. A `%` without two hex digits stays as it is; slashes are not merged; "*" stays.
 * `to` needs room for path.n octets. ERR_SYNTAX: it climbs above the root. */
MUST_USE enum err path_normalise(struct slice path, char *to, struct slice *out);

/* path_normalise() would return the same bytes: the usual case, found by a glance. May say false
 * for a path that is normal after all. */
bool path_plain(struct slice path);

/* Its dot segments climb above the root: what path_normalise() refuses, without a copy. */
bool path_climbs(struct slice path);

/* The next `key=value` of a query, as sent (`&` separates; no `=`: an empty value). False at the
 * end; *rest moves on. */
bool path_query_next(struct slice *rest, struct slice *key, struct slice *value);

#endif
