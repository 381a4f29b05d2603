#include "config/scalar.h"

#include <stdio.h>

#include "base/check.h"

struct unit {
    struct slice name;
    uint64_t worth;
};

static const struct unit durations[] = {
    {SLICE_INIT("d"), 86400000}, {SLICE_INIT("h"), 3600000}, {SLICE_INIT("m"), 60000},
    {SLICE_INIT("s"), 1000},     {SLICE_INIT("ms"), 1},
};

static const struct unit sizes[] = {
    {SLICE_INIT("TiB"), 1ull << 40},
    {SLICE_INIT("GiB"), 1ull << 30},
    {SLICE_INIT("MiB"), 1 << 20},
    {SLICE_INIT("KiB"), 1 << 10},
    {SLICE_INIT("B"), 1},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return slice_lower(c) >= 'a' && slice_lower(c) <= 'z';
}

static bool with_unit(struct slice text, const struct unit *units, size_t n, uint64_t *out)
{
    size_t digits = 0;
    uint64_t v;
    while (digits < text.n && is_digit(text.p[digits]))
        digits++;
    if (!slice_u64(slice_upto(text, digits), &v))
        return false;
    for (size_t i = 0; i < n; i++)
        if (slice_eq(slice_from(text, digits), units[i].name))
            return !__builtin_mul_overflow(v, units[i].worth, out);
    return false;
}

bool scalar_duration(struct slice text, uint64_t *ms)
{
    if (slice_eq(text, SLICE("0"))) {
        *ms = 0;
        return true;
    }
    return with_unit(text, durations, ARRAY_LEN(durations), ms);
}

bool scalar_size(struct slice text, uint64_t *bytes)
{
    return with_unit(text, sizes, ARRAY_LEN(sizes), bytes);
}

bool scalar_bool(struct slice text, bool *out)
{
    *out = slice_eq(text, SLICE("true")) || slice_eq(text, SLICE("on"));
    return *out || slice_eq(text, SLICE("false")) || slice_eq(text, SLICE("off"));
}

static void show(char *to, uint64_t v, const struct unit *units, size_t smallest, const char *zero)
{
    if (v == 0) {
        snprintf(to, SCALAR_TEXT_MAX, "%s", zero);
        return;
    }
    const struct unit *u = units;
    while (u < units + smallest && v % u->worth != 0)
        u++;
    snprintf(to, SCALAR_TEXT_MAX, "%llu%s", (unsigned long long)(v / u->worth), u->name.p);
}

void scalar_show_duration(char to[SCALAR_TEXT_MAX], uint64_t ms)
{
    show(to, ms, durations, ARRAY_LEN(durations) - 1, "0s");
}

void scalar_show_size(char to[SCALAR_TEXT_MAX], uint64_t bytes)
{
    show(to, bytes, sizes, ARRAY_LEN(sizes) - 1, "0B");
}

bool scalar_is_name(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!is_letter(c) && !is_digit(c) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return text.n > 0 && text.n <= 64;
}

static bool is_label(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool inner = c == '-' && i > 0 && i + 1 < s.n;
        if (!is_letter(c) && !is_digit(c) && c != '_' && !inner)
            return false;
    }
    return s.n > 0 && s.n <= 63;
}

bool scalar_is_host(struct slice text)
{
    uint64_t number;
    struct slice label = {0};
    if (text.n == 0 || text.n > 253)
        return false;
    for (size_t at = 0; at < text.n; at += label.n + 1) {
        label = slice_of(text.p + at, slice_find(text, '.', at) - at);
        if (!is_label(label))
            return false;
    }
    return text.p[text.n - 1] != '.' && !slice_u64(label, &number);
}

bool scalar_is_line(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return true;
}
