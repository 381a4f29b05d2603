/* Bytes as a Cookie line: what is found lies within it, and nothing opens that was not sealed with
 * the key. The corpus holds cookies that are: their value may only come in whole. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "http/cookie.h"
#include "net/crypto_seal.h"

#define KEY "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n"

static struct crypto_ring *ring;
static struct crypto_seal *seal;

static void make_keys(void)
{
    char path[] = "/tmp/fuzz_cookie.XXXXXX";
    unsigned line;
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, KEY, sizeof(KEY) - 1) == sizeof(KEY) - 1);
    close(fd);
    CHECK(crypto_ring_load(path, &ring, &line) == OK);
    (void)unlink(path);
    seal = crypto_seal_new();
}

static void is_within(struct slice part, struct slice whole)
{
    CHECK(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

/* One that opens is one that we would have sealed: any other letter in it would be noticed. */
static void open_value(struct slice value)
{
    uint8_t content[16];
    char changed[CRYPTO_SEAL_TEXT(sizeof(content))];
    struct slice about = SLICE("target");
    if (!crypto_seal_open(seal, ring, 0, about, value, content, sizeof(content)))
        return;
    CHECK(value.n == sizeof(changed));
    for (size_t i = 0; i < value.n; i++) {
        memcpy(changed, value.p, value.n);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        CHECK(!crypto_seal_open(seal, ring, 0, about, slice_of(changed, value.n), content,
                                sizeof(content)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"TENBIN", "AWSALB", "AWSALBCORS", "AWSALBAPP-0", "a", ""};
    struct slice line = slice_of((const char *)data, n), value;
    struct field at = {SLICE("cookie"), line, FIELD_COOKIE, false};
    struct fields f = {&at, 1, 1, FIELD_BIT(FIELD_COOKIE)};
    if (!ring)
        make_keys();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (cookie_get(&f, slice_str(names[i]), &value)) {
            is_within(value, line);
            open_value(value);
        }
    is_within(cookie_set_name(line), line);
    return 0;
}
