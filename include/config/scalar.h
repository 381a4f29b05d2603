/* Scalars of the configuration language: durations, sizes, numbers, switches, and back to text
 * for messages. Pure. */
#ifndef CONFIG_SCALAR_H
#define CONFIG_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Longest text that scalar_show_* writes, with its terminator. */
#define SCALAR_TEXT_MAX 32

/* `500ms`, `30s`, `5m`, `12h`, `1d`; a bare 0 is fine, any other number needs its unit. No
 * fractions, no sums, no sign. False also when it does not fit. */
bool scalar_duration(struct slice text, uint64_t *ms);
/* `256B`, `64KiB`, `1MiB`, `2GiB`, `1TiB`: binary units only; a bare number is not a size. */
bool scalar_size(struct slice text, uint64_t *bytes);
/* `true`, `false`, `on`, `off`. */
bool scalar_bool(struct slice text, bool *out);

/* In the largest unit that needs no fraction. */
void scalar_show_duration(char to[SCALAR_TEXT_MAX], uint64_t ms);
void scalar_show_size(char to[SCALAR_TEXT_MAX], uint64_t bytes);

/* Names of listeners, groups, rules and zones: 1-64 letters, digits, `.`, `_`, `-`. They go into
 * logs, metrics and commands as they are. */
bool scalar_is_name(struct slice text);
/* RFC 1123, and underscores; what looks like a mistyped IPv4 address is none. */
bool scalar_is_host(struct slice text);
/* No byte below 0x20 and no DEL: fit for a header or a path. */
bool scalar_is_line(struct slice text);

#endif
