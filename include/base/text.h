/* Numbers, times and strings into bytes, without locale, allocation or terminator. Pure; hot
 * enough for access logs. Each returns how many bytes it wrote. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define TEXT_U64_MAX 20 /* digits of 2^64-1 */

size_t text_u64(char *to, uint64_t v);
void text_digits6(char *to, uint32_t v); /* always six: "000042"; v is below a million */
size_t text_hex(char *to, uint64_t v); /* lower case, no leading zeros, "0" for 0 */

/* A JSON string with its quotes. cap must be at least 2; a string that does not fit is cut at a
 * whole character. Control characters are escaped; bytes that are not well-formed UTF-8 become
 * \u00XX, so the result is valid JSON whatever came in. At most 6 * s.n + 2 bytes. */
size_t text_json(char *to, size_t cap, struct slice s);

/* Base64 with `-` and `_`, without padding (RFC 4648 5). Decoding takes only what encoding writes,
 * so that each value has one text: false for any other letter, length or left-over bit; at most
 * 3 * text.n / 4 bytes are written. */
#define TEXT_BASE64_BYTES(n) (((n) * 4 + 2) / 3)
size_t text_base64(char *to, const uint8_t *p, size_t n);
bool text_from_base64(uint8_t *to, size_t *n, struct slice text);

#endif
