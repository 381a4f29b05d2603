/* Octet classes of RFC 9110 and 9112, and the three scans of the hot path: how far a token, a
 * field value or a request target goes. 16 octets at a time with SSE2, which every x86-64 has; one
 * at a time elsewhere and at the end of the bytes. No scan reads at or beyond `end` if not told. */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include "base/slice.h"

enum scan_class {
    SCAN_TOKEN = 1,      /* tchar (RFC 9110 5.6.2) */
    SCAN_PLAIN = 2,      /* letters, digits, `-` */
    SCAN_UNRESERVED = 4, /* RFC 3986 2.3 */
    SCAN_HEX = 8,
    SCAN_SPACE = 16, /* OWS: space and tab */
};

extern const uint8_t scan_classes[256];

static inline bool scan_is(char c, unsigned classes)
{
    return scan_classes[(unsigned char)c] & classes;
}

enum scan_seen {
    SCAN_SEEN_CONTROL = 1, /* 01-1f without tab, 7f; in a target also tab */
    SCAN_SEEN_HIGH = 2,    /* 80-ff */
    SCAN_SEEN_SPACE = 4,   /* targets only, like all below */
    SCAN_SEEN_HASH = 8,
    SCAN_SEEN_PERCENT = 16,
    SCAN_SEEN_DOT = 32, /* a dot behind a slash */
};

#ifdef __SSE2__

#include <emmintrin.h>

typedef __m128i scan_block;

static inline scan_block scan_load(const char *p)
{
    return _mm_loadu_si128((const scan_block *)(const void *)p);
}

/* 8 octets, and 8 zeros. */
static inline scan_block scan_load_half(const char *p)
{
    return _mm_loadl_epi64((const scan_block *)(const void *)p);
}

static inline scan_block scan_equal(scan_block v, char c)
{
    return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

/* One bit for each octet whose comparison held. */
static inline unsigned scan_bits(scan_block v)
{
    return (unsigned)_mm_movemask_epi8(v);
}

/* Octets in lo .. lo+span. */
static inline scan_block scan_in_range(scan_block v, char lo, char span)
{
    scan_block off = _mm_sub_epi8(v, _mm_set1_epi8(lo));
    return _mm_cmpeq_epi8(_mm_min_epu8(off, _mm_set1_epi8(span)), off);
}

/* Octets that are no letter, digit or `-`. */
static inline unsigned scan_not_plain(scan_block v)
{
    scan_block letters = scan_in_range(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 25);
    scan_block digits = scan_in_range(v, '0', 9);
    return scan_bits(_mm_or_si128(_mm_or_si128(letters, digits), scan_equal(v, '-'))) ^ 0xffff;
}

/* Octets below `least`, 7f, and above. The comparison is signed: 80-ff are less than all. */
static inline unsigned scan_not_printable(scan_block v, char least)
{
    scan_block low = _mm_cmplt_epi8(v, _mm_set1_epi8(least));
    return scan_bits(_mm_or_si128(low, scan_equal(v, 0x7f)));
}

/* One bit for each octet of a block that is none of these. */
typedef unsigned (*scan_outsiders)(scan_block v);

static inline unsigned scan_not_text(scan_block v) /* printable ASCII */
{
    return scan_not_printable(v, ' ');
}

static inline unsigned scan_not_visible(scan_block v) /* the same without the space */
{
    return scan_not_printable(v, '!');
}

/* Small letters, digits and `-`. */
static inline unsigned scan_not_lower(scan_block v)
{
    return scan_not_plain(v) | scan_bits(scan_in_range(v, 'A', 25));
}

/* The same of 1 to 15 octets, without a look at others: read twice where they fill no block. */
__attribute__((always_inline)) static inline unsigned scan_short(const char *p, size_t n,
                                                                 scan_outsiders of)
{
    uint32_t s, t;
    unsigned bits;
    if (n >= 8) {
        bits = of(_mm_unpacklo_epi64(scan_load_half(p), scan_load_half(p + n - 8)));
        return (bits & 0xff) | bits >> 8 << (n - 8);
    }
    if (n >= 4) {
        memcpy(&s, p, 4);
        memcpy(&t, p + n - 4, 4);
        bits = of(_mm_set1_epi64x((long long)((uint64_t)t << 32 | s)));
        return (bits & 15) | (bits >> 4 & 15) << (n - 4);
    }
    bits = of(_mm_set1_epi32((uint8_t)p[0] | (uint8_t)p[n / 2] << 8 | (uint8_t)p[n - 1] << 16));
    return (bits & 1) | (bits >> 1 & 1) << n / 2 | (bits >> 2 & 1) << (n - 1);
}

/* False also when it would be dear to tell. The last two blocks may overlap. */
__attribute__((always_inline)) static inline bool scan_all(struct slice s, scan_outsiders of)
{
    if (s.n < 16)
        return s.n == 0 || !scan_short(s.p, s.n, of);
    for (size_t i = 0; i + 16 < s.n; i += 16)
        if (of(scan_load(s.p + i)))
            return false;
    return !of(scan_load(s.p + s.n - 16));
}

#else
#define scan_all(s, of) false
#endif

const char *scan_token_slowly(const char *p, const char *end, bool *odd);
const char *scan_text_slowly(const char *p, const char *end, unsigned *seen);

/* The first octet that is not of a token. *odd is set when the token has more than SCAN_PLAIN. */
static inline const char *scan_token(const char *p, const char *end, bool *odd)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned stop = scan_not_plain(scan_load(p));
        const char *at = p + __builtin_ctz(stop | 0x10000);
        if (stop && !scan_is(*at, SCAN_TOKEN))
            return at;
        if (stop)
            break;
    }
#endif
    return scan_token_slowly(p, end, odd);
}

/* The first CR, LF or NUL, or end. Adds to *seen what lies before it. */
static inline const char *scan_text(const char *p, const char *end, unsigned *seen)
{
#ifdef __SSE2__
    unsigned stop = 0;
    while (end - p >= 16 && (stop = scan_not_text(scan_load(p))) == 0)
        p += 16;
    if (stop == 0 && p < end)
        stop = scan_short(p, (size_t)(end - p), scan_not_text);
    if (stop == 0)
        return end;
    p += __builtin_ctz(stop);
    if (*p == '\r')
        return p;
#endif
    return scan_text_slowly(p, end, seen);
}

/* The first LF at or behind p, or end. */
static inline const char *scan_lf(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned hits = scan_bits(scan_equal(scan_load(p), '\n'));
        if (hits)
            return p + __builtin_ctz(hits);
    }
#endif
    while (p < end && *p != '\n')
        p++;
    return p;
}

/* a and `lower` are the same but for capital letters. `lower` has letters, digits and `-` only, and
 * a no controls when it has digits: the bit that makes letters small turns nothing else into one of
 * these. Nothing outside of either is read: the last block overlaps the one before. */
static inline bool scan_same(struct slice a, struct slice lower)
{
    const uint64_t small = 0x2020202020202020u;
    uint64_t x, y, differs = 0;
    uint32_t s, t;
    if (a.n != lower.n)
        return false;
    if (a.n < 4)
        return slice_ieq(a, lower);
    if (a.n < 8) {
        memcpy(&s, a.p, 4);
        memcpy(&t, lower.p, 4);
        differs = (s | (uint32_t)small) ^ t;
        memcpy(&s, a.p + a.n - 4, 4);
        memcpy(&t, lower.p + a.n - 4, 4);
        return (differs | ((s | (uint32_t)small) ^ t)) == 0;
    }
    for (size_t i = 0; i + 8 < a.n; i += 8) {
        memcpy(&x, a.p + i, 8);
        memcpy(&y, lower.p + i, 8);
        differs |= (x | small) ^ y;
    }
    memcpy(&x, a.p + a.n - 8, 8);
    memcpy(&y, lower.p + a.n - 8, 8);
    return (differs | ((x | small) ^ y)) == 0;
}

/* What the octets of a (part of a) target contain. None of them is CR, LF or NUL. The octets from
 * `end` to `readable` may be looked at, but do not count. */
unsigned scan_target(const char *p, const char *end, const char *readable);

/* 0..15, or 16 for no hex digit. */
static inline unsigned scan_hex(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    unsigned v = (unsigned)(slice_lower(c) - 'a');
    return v < 6 ? v + 10 : 16;
}

#endif
