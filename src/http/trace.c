#include "http/trace.h"

#include <endian.h>

#include "scan.h"

static char *put(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    return to + n;
}

/* Four octets, the first one in the highest bits, as eight digits, all at once: those above 9 need
 * the way from '9' to 'a' in addition. */
static char *put_hex4(char *to, uint32_t v)
{
    char digits[16];
#ifdef __SSE2__
    scan_block octets = _mm_cvtsi32_si128((int)htobe32(v)), low = _mm_set1_epi8(15);
    scan_block x = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(octets, 4), low),
                                     _mm_and_si128(octets, low));
    scan_block letters = _mm_cmpgt_epi8(x, _mm_set1_epi8(9));
    x = _mm_add_epi8(x, _mm_and_si128(letters, _mm_set1_epi8('a' - '9' - 1)));
    _mm_storeu_si128((scan_block *)(void *)digits, _mm_add_epi8(x, _mm_set1_epi8('0')));
#else
    for (int i = 7; i >= 0; i--, v >>= 4)
        digits[i] = "0123456789abcdef"[v & 15];
#endif
    return put(to, digits, 8);
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* n: a multiple of 4. */
static char *put_hex(char *to, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i += 4)
        to = put_hex4(to, big_endian(bytes + i));
    return to;
}

/* "Root=1-5759e988-bd862e3fe1be46a994272793" */
static char *put_id(char *to, const char *name, const struct trace_seed *seed)
{
    to = put(to, name, 4);
    to = put(to, "=1-", 3);
    to = put_hex4(to, seed->epoch_s);
    *to++ = '-';
    return put_hex(to, seed->random, 12);
}

/* The next `name=value` of a trace header, which `;` separates; false at the end. */
static bool next_part(struct slice *rest, struct slice *part)
{
    while (rest->n) {
        size_t end = slice_find(*rest, ';', 0);
        *part = slice_trim(slice_upto(*rest, end));
        *rest = slice_from(*rest, end + 1);
        if (part->n)
            return true;
    }
    return false;
}

static bool has_root(struct slice in)
{
    struct slice part;
    while (next_part(&in, &part))
        if (slice_istarts(part, SLICE("Root=")))
            return true;
    return false;
}

size_t trace_amzn(char *to, struct slice in, const struct trace_seed *seed)
{
    struct slice part;
    char *at = put_id(to, has_root(in) ? "Self" : "Root", seed);
    while (next_part(&in, &part)) {
        if (slice_istarts(part, SLICE("Self=")))
            continue;
        *at++ = ';';
        at = put(at, part.p, part.n);
    }
    return (size_t)(at - to);
}

static bool is_lower_hex(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (scan_hex(s.p[i]) > 15 || slice_lower(s.p[i]) != s.p[i])
            return false;
    return true;
}

static bool is_zero(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '0')
            return false;
    return true;
}

/* "00-<32>-<16>-<2>": a later version may append to it (W3C Trace Context 4), version ff is none.
 */
static bool is_parent(struct slice s)
{
    if (s.n < TRACE_PARENT_LEN || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-')
        return false;
    struct slice version = slice_upto(s, 2), trace = slice_of(s.p + 3, 32);
    struct slice parent = slice_of(s.p + 36, 16), flags = slice_of(s.p + 53, 2);
    if (!is_lower_hex(version) || !is_lower_hex(trace) || !is_lower_hex(parent) ||
        !is_lower_hex(flags) || is_zero(trace) || is_zero(parent))
        return false;
    if (is_zero(version))
        return s.n == TRACE_PARENT_LEN;
    return !slice_eq(version, SLICE("ff")) && (s.n == TRACE_PARENT_LEN || s.p[55] == '-');
}

void trace_parent(char *to, struct slice in, const struct trace_seed *seed, bool *continued)
{
    /* An id of zeros alone is not valid. */
    uint8_t span[8];
    memcpy(span, seed->random + 12, sizeof(span));
    span[7] |= 1;
    *continued = is_parent(in);
    to = put(to, "00-", 3);
    if (*continued) {
        to = put(to, in.p + 3, 32);
    } else {
        to = put_hex4(to, seed->epoch_s);
        to = put_hex(to, seed->random, 12);
    }
    *to++ = '-';
    to = put_hex(to, span, sizeof(span));
    *to++ = '-';
    put(to, *continued ? in.p + 53 : "01", 2);
}
