#include "base/text.h"

#include "base/check.h"

/* "00" to "99": two digits a division. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static size_t digits_of(uint64_t v)
{
    for (size_t n = 0;; n += 4, v /= 10000) {
        if (v < 100)
            return n + (v < 10 ? 1 : 2);
        if (v < 10000)
            return n + (v < 1000 ? 3 : 4);
    }
}

size_t text_u64(char *to, uint64_t v)
{
    size_t n = digits_of(v);
    char *p = to + n;
    for (; v >= 100; v /= 100)
        memcpy(p -= 2, pairs + 2 * (v % 100), 2);
    if (v >= 10)
        memcpy(p - 2, pairs + 2 * v, 2);
    else
        p[-1] = (char)('0' + v);
    return n;
}

void text_digits6(char *to, uint32_t v)
{
    for (int i = 4; i >= 0; i -= 2, v /= 100)
        memcpy(to + i, pairs + (size_t)2 * (v % 100), 2);
}

size_t text_hex(char *to, uint64_t v)
{
    char tmp[16];
    size_t n = 0;
    do
        tmp[sizeof(tmp) - ++n] = "0123456789abcdef"[v & 15];
    while (v >>= 4);
    memcpy(to, tmp + sizeof(tmp) - n, n);
    return n;
}

/* Length of the well-formed UTF-8 sequence at p, 0 when there is none (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

static size_t escape(char *to, unsigned char c)
{
    const char *plain = "\"\\\b\f\n\r\t", *name = "\"\\bfnrt";
    const char *hit = c ? strchr(plain, c) : NULL;
    to[0] = '\\';
    if (hit) {
        to[1] = name[hit - plain];
        return 2;
    }
    memcpy(to + 1, "u00", 3);
    to[4] = "0123456789abcdef"[c >> 4];
    to[5] = "0123456789abcdef"[c & 15];
    return 6;
}

/* Most strings of a log line are plain ASCII: they are copied in one go. */
static bool needs_no_escape(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#define EACH_BYTE(b) (~0ull / 255 * (b))

/* Eight at a time: a byte's top bit is set in the result when it is a control character, a quote,
 * a backslash or not below 0x7f. A byte above one that needs an escape may be reported too, which
 * costs nothing but the slow path. */
static uint64_t escapes_in(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    return (word | (word + EACH_BYTE(1)) | (word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) |
            (backslash - EACH_BYTE(1))) &
           EACH_BYTE(0x80);
}

/* The last 4 to 7 octets of n, or any last ones behind 8: two words that overlap. */
static bool copy_plain_end(char *to, const char *p, size_t n)
{
    uint64_t word;
    uint32_t first, last;
    if (n >= 8) {
        memcpy(&word, p + n - 8, 8);
        if (escapes_in(word))
            return false;
        memcpy(to + n - 8, &word, 8);
        return true;
    }
    memcpy(&first, p, 4);
    memcpy(&last, p + n - 4, 4);
    if (escapes_in((uint64_t)first << 32 | last))
        return false;
    memcpy(to, &first, 4);
    memcpy(to + n - 4, &last, 4);
    return true;
}

/* The bytes at the start of s that need no escape, as far as they fit; returns how many. */
static size_t copy_plain(char *to, size_t room, struct slice s)
{
    size_t i = 0, n = s.n < room ? s.n : room;
    for (uint64_t word; i + 8 <= n; i += 8) {
        memcpy(&word, s.p + i, 8);
        if (escapes_in(word))
            break;
        memcpy(to + i, &word, 8);
    }
    if (n >= 4 && i + 8 > n && copy_plain_end(to, s.p, n))
        return n;
    for (; i < n && needs_no_escape((unsigned char)s.p[i]); i++)
        to[i] = s.p[i];
    return i;
}

/* One character that copy_plain left: how many bytes of s it takes, and in *n of `out`. */
static size_t encode(char out[6], size_t *n, struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t in = *p >= 0x80 ? utf8_len(p, s.n) : 0;
    if (!in) {
        *n = escape(out, *p);
        return 1;
    }
    memcpy(out, p, in);
    *n = in;
    return in;
}

size_t text_json(char *to, size_t cap, struct slice s)
{
    CHECK(cap >= 2);
    size_t w = 0;
    to[w++] = '"';
    for (;;) {
        size_t n = copy_plain(to + w, cap - w - 1, s);
        w += n;
        s = slice_from(s, n);
        if (s.n == 0 || w + 1 == cap)
            break;
        char out[6];
        size_t in = encode(out, &n, s);
        if (w + n + 1 > cap)
            break;
        memcpy(to + w, out, n);
        w += n;
        s = slice_from(s, in);
    }
    to[w++] = '"';
    return w;
}

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t text_base64(char *to, const uint8_t *p, size_t n)
{
    uint32_t held = 0;
    unsigned bits = 0;
    size_t w = 0;
    for (size_t i = 0; i < n; i++) {
        held = held << 8 | p[i];
        for (bits += 8; bits >= 6; bits -= 6)
            to[w++] = digits64[held >> (bits - 6) & 63];
    }
    if (bits)
        to[w++] = digits64[held << (6 - bits) & 63];
    return w;
}

static int value64(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool text_from_base64(uint8_t *to, size_t *n, struct slice text)
{
    uint32_t held = 0;
    unsigned bits = 0;
    *n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int v = value64(text.p[i]);
        if (v < 0)
            return false;
        held = held << 6 | (uint32_t)v;
        bits += 6;
        if (bits >= 8)
            to[(*n)++] = (uint8_t)(held >> (bits -= 8));
    }
    return bits < 6 && (held & ((1u << bits) - 1)) == 0;
}
