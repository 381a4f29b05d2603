#include "scan.h"

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

const char *scan_token_slowly(const char *p, const char *end, bool *odd)
{
    for (; p < end && scan_is(*p, SCAN_TOKEN); p++)
        *odd |= !scan_is(*p, SCAN_PLAIN);
    return p;
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

const char *scan_text_slowly(const char *p, const char *end, unsigned *seen)
{
    for (; p < end && !ends_text(*p); p++)
        *seen |= kind_of(*p);
    return p;
}

static unsigned target_kind(char c, bool behind_slash)
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
        return behind_slash ? SCAN_SEEN_DOT : 0;
    default:
        return kind_of(c);
    }
}

unsigned scan_target(const char *p, const char *end, const char *readable)
{
    unsigned seen = 0;
    bool slash = false; /* the octet before p */
#ifdef __SSE2__
    for (; p < end && readable - p >= 16; p += 16) {
        scan_block v = scan_load(p), marks = _mm_or_si128(scan_equal(v, '#'), scan_equal(v, '%'));
        unsigned slashes = scan_bits(scan_equal(v, '/')), dots = scan_bits(scan_equal(v, '.'));
        unsigned notable =
            scan_not_printable(v, 0x21) | scan_bits(marks) | (dots & (slashes << 1 | slash));
        if (end - p < 16)
            notable &= (1u << (end - p)) - 1;
        for (; notable; notable &= notable - 1)
            seen |= target_kind(p[__builtin_ctz(notable)], true);
        slash = slashes >> 15;
    }
#endif
    for (; p < end; slash = *p++ == '/')
        seen |= target_kind(*p, slash);
    return seen;
}
