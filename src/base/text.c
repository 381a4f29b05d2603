#include "base/text.h"

#include "base/check.h"

size_t text_u64(char *to, uint64_t v)
{
    char tmp[TEXT_U64_MAX];
    size_t n = 0;
    do
        tmp[sizeof(tmp) - ++n] = (char)('0' + v % 10);
    while (v /= 10);
    memcpy(to, tmp + sizeof(tmp) - n, n);
    return n;
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

size_t text_json(char *to, size_t cap, struct slice s)
{
    CHECK(cap >= 2);
    size_t w = 0;
    to[w++] = '"';
    for (size_t i = 0; i < s.n;) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        if (needs_no_escape(*p)) {
            if (w + 2 > cap)
                break;
            to[w++] = (char)*p;
            i++;
            continue;
        }
        char out[6];
        size_t in = *p >= 0x80 ? utf8_len(p, s.n - i) : 0, n = in;
        if (in)
            memcpy(out, p, in);
        else
            n = escape(out, *p), in = 1;
        if (w + n + 1 > cap)
            break;
        memcpy(to + w, out, n);
        w += n;
        i += in;
    }
    to[w++] = '"';
    return w;
}
