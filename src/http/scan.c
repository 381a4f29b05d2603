#include "scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define T SCAN_TOKEN
#define A (SCAN_TOKEN | SCAN_PLAIN | SCAN_UNRESERVED)
#define X (A | SCAN_HEX)
#define M (SCAN_TOKEN | SCAN_UNRESERVED)

const uint8_t scan_classes[256] = {
    ['0' ... '9'] = X,  ['a' ... 'f'] = X,   ['A' ... 'F'] = X, ['g' ... 'z'] = A,
    ['G' ... 'Z'] = A,  ['-'] = A,           ['.'] = M,         ['_'] = M,
    ['~'] = M,          ['!'] = T,           ['#'] = T,         ['$'] = T,
    ['%'] = T,          ['&'] = T,           ['\''] = T,        ['*'] = T,
    ['+'] = T,          ['^'] = T,           ['`'] = T,         ['|'] = T,
    [' '] = SCAN_SPACE, ['\t'] = SCAN_SPACE,
};

#undef T
#undef A
#undef X
#undef M

#ifdef __SSE2__

static __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Octets in lo .. lo+span. */
static __m128i in_range(__m128i v, char lo, char span)
{
    __m128i off = _mm_sub_epi8(v, _mm_set1_epi8(lo));
    return _mm_cmpeq_epi8(_mm_min_epu8(off, _mm_set1_epi8(span)), off);
}

static __m128i equal(__m128i v, char c)
{
    return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

/* One bit for each octet that is no letter, digit or `-`. */
static unsigned not_plain(__m128i v)
{
    __m128i letters = in_range(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 25);
    __m128i plain = _mm_or_si128(_mm_or_si128(letters, in_range(v, '0', 9)), equal(v, '-'));
    return (unsigned)_mm_movemask_epi8(plain) ^ 0xffff;
}

/* One bit for each octet below `least`, above 7f, or 7f. The comparison is signed: 80-ff are less.
 */
static unsigned not_printable(__m128i v, char least)
{
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(least));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, equal(v, 0x7f)));
}

#endif

const char *scan_token(const char *p, const char *end, bool *odd)
{
    for (;;) {
#ifdef __SSE2__
        while (end - p >= 16) {
            unsigned stop = not_plain(load(p));
            p += stop ? __builtin_ctz(stop) : 16;
            if (stop)
                break;
        }
#endif
        while (p < end && scan_is(*p, SCAN_PLAIN))
            p++;
        if (p == end || !scan_is(*p, SCAN_TOKEN))
            return p;
        *odd = true;
        p++;
    }
}

static bool ends_text(char c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

static unsigned kind_of(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 0x80                              ? SCAN_SEEN_HIGH
           : (u < 0x20 && u != '\t') || u == 0x7f ? SCAN_SEEN_CONTROL
                                                  : 0;
}

const char *scan_text(const char *p, const char *end, unsigned *seen)
{
    for (;;) {
#ifdef __SSE2__
        while (end - p >= 16) {
            unsigned stop = not_printable(load(p), 0x20);
            p += stop ? __builtin_ctz(stop) : 16;
            if (stop)
                break;
        }
#endif
        while (p < end && (unsigned char)(*p - 0x20) < 0x5f)
            p++;
        if (p == end || ends_text(*p))
            return p;
        *seen |= kind_of(*p++);
    }
}

static unsigned target_kind(char c, char before)
{
    switch (c) {
    case ' ':
        return SCAN_SEEN_SPACE;
    case '\t':
        return SCAN_SEEN_CONTROL;
    case '#':
        return SCAN_SEEN_HASH;
    case '%':
        return SCAN_SEEN_PERCENT;
    case '.':
        return before == '/' ? SCAN_SEEN_DOT : 0;
    default:
        return kind_of(c);
    }
}

#ifdef __SSE2__
/* Anything in the block that target_kind() may have something to say about. */
static bool is_notable(__m128i v)
{
    __m128i marks = _mm_or_si128(equal(v, '#'), equal(v, '%'));
    return not_printable(v, 0x21) | (unsigned)_mm_movemask_epi8(_mm_or_si128(marks, equal(v, '.')));
}
#endif

unsigned scan_target(const char *p, const char *end)
{
    unsigned seen = 0;
    char before = 0;
    while (p < end) {
        const char *stop = end;
#ifdef __SSE2__
        if (end - p >= 16) {
            stop = p + 16;
            if (!is_notable(load(p))) {
                before = stop[-1];
                p = stop;
                continue;
            }
        }
#endif
        for (; p < stop; before = *p++)
            seen |= target_kind(*p, before);
    }
    return seen;
}
