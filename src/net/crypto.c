/* A slot is read without a lock while another thread may be writing it: its words are atomics
 * between two readings of `version`, which is odd while it is being written. A reader that meets
 * a writer finds no key, which costs one full handshake an hour at most. */
#include "net/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define SECRET_BYTES   32
#define KEY_WORDS      (sizeof(struct crypto_key) / sizeof(uint64_t))
#define LINE_MAX_BYTES 256

_Static_assert(sizeof(struct crypto_key) % sizeof(uint64_t) == 0, "a key is copied in words");

struct slot {
    _Atomic uint32_t version; /* 0: never filled */
    _Atomic uint64_t born_ms;
    _Atomic uint64_t words[KEY_WORDS];
};

struct crypto_ring {
    atomic_uint refs;
    bool rotates;
    uint64_t period_ms;
    unsigned slots_n;
    atomic_uint sealing; /* index of the slot */
    atomic_flag rotating;
    struct slot slots[];
};

void crypto_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}

/* Digests are compared, so that not even the lengths are told apart. */
bool crypto_same(const void *a, size_t a_n, const void *b, size_t b_n)
{
    uint8_t da[EVP_MAX_MD_SIZE], db[EVP_MAX_MD_SIZE];
    unsigned n = 0, m = 0;
    bool good = EVP_Digest(a, a_n, da, &n, EVP_sha256(), NULL) == 1 &&
                EVP_Digest(b, b_n, db, &m, EVP_sha256(), NULL) == 1;
    return good && n == m && CRYPTO_memcmp(da, db, n) == 0;
}

/* ---- slots ---- */

static void write_slot(struct slot *s, const struct crypto_key *key, uint64_t now_ms)
{
    uint64_t words[KEY_WORDS];
    uint32_t version = atomic_load_explicit(&s->version, memory_order_relaxed);
    memcpy(words, key, sizeof(words));
    atomic_store_explicit(&s->version, version + 1, memory_order_relaxed);
    atomic_store_explicit(&s->born_ms, now_ms, memory_order_release);
    for (size_t i = 0; i < KEY_WORDS; i++)
        atomic_store_explicit(&s->words[i], words[i], memory_order_release);
    atomic_store_explicit(&s->version, version + 2, memory_order_release);
    crypto_wipe(words, sizeof(words));
}

static bool read_slot(struct slot *s, struct crypto_key *key, uint64_t *born_ms)
{
    uint64_t words[KEY_WORDS];
    uint32_t before = atomic_load_explicit(&s->version, memory_order_acquire);
    if (before == 0 || before & 1)
        return false;
    *born_ms = atomic_load_explicit(&s->born_ms, memory_order_acquire);
    for (size_t i = 0; i < KEY_WORDS; i++)
        words[i] = atomic_load_explicit(&s->words[i], memory_order_acquire);
    memcpy(key, words, sizeof(words));
    return atomic_load_explicit(&s->version, memory_order_relaxed) == before;
}

/* ---- keys ---- */

static bool derive(const uint8_t secret[SECRET_BYTES], const char *what, uint8_t *to, size_t n)
{
    uint8_t out[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool good =
        HMAC(EVP_sha256(), secret, SECRET_BYTES, (const uint8_t *)what, strlen(what), out, &len) &&
        len >= n;
    if (good)
        memcpy(to, out, n);
    crypto_wipe(out, sizeof(out));
    return good;
}

static enum err make_key(const uint8_t secret[SECRET_BYTES], struct crypto_key *key)
{
    bool good = derive(secret, "tenbin key name", key->name, sizeof(key->name)) &&
                derive(secret, "tenbin cipher key", key->cipher, sizeof(key->cipher)) &&
                derive(secret, "tenbin mac key", key->mac, sizeof(key->mac));
    return good ? OK : ERR_SYSTEM;
}

static enum err random_key(struct crypto_key *key)
{
    uint8_t secret[SECRET_BYTES];
    enum err e = RAND_priv_bytes(secret, sizeof(secret)) == 1 ? make_key(secret, key) : ERR_SYSTEM;
    crypto_wipe(secret, sizeof(secret));
    return e;
}

/* ---- life ---- */

static struct crypto_ring *new_ring(unsigned slots, bool rotates)
{
    struct crypto_ring *r = calloc(1, sizeof(*r) + slots * sizeof(struct slot));
    CHECK(r);
    atomic_init(&r->refs, 1);
    atomic_flag_clear(&r->rotating);
    r->rotates = rotates;
    r->slots_n = slots;
    return r;
}

enum err crypto_ring_every(uint64_t period_ms, unsigned slots, uint64_t now_ms,
                           struct crypto_ring **out)
{
    struct crypto_key key;
    CHECK(period_ms && slots);
    enum err e = random_key(&key);
    if (e != OK)
        return e;
    *out = new_ring(slots, true);
    (*out)->period_ms = period_ms;
    write_slot(&(*out)->slots[0], &key, now_ms);
    crypto_wipe(&key, sizeof(key));
    return OK;
}

enum err crypto_ring_new(uint64_t now_ms, struct crypto_ring **out)
{
    return crypto_ring_every(CRYPTO_RING_PERIOD_MS, CRYPTO_RING_SLOTS, now_ms, out);
}

bool crypto_ring_rotates(const struct crypto_ring *r)
{
    return r->rotates;
}

struct crypto_ring *crypto_ring_ref(struct crypto_ring *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void crypto_ring_unref(struct crypto_ring *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    crypto_wipe(r->slots, r->slots_n * sizeof(struct slot));
    free(r);
}

/* ---- files ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_secret(const char *p, uint8_t to[SECRET_BYTES])
{
    for (size_t i = 0; i < SECRET_BYTES; i++, p += 2) {
        int high = hex_digit(p[0]), low = high < 0 ? -1 : hex_digit(p[1]);
        if (low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return p[strspn(p, " \t\r\n")] == '\0';
}

static enum err add_line(struct crypto_ring *r, const char *line)
{
    uint8_t secret[SECRET_BYTES];
    struct crypto_key key;
    line += strspn(line, " \t\r\n");
    if (*line == '\0' || *line == '#')
        return OK;
    if (r->slots_n == CRYPTO_RING_LOAD_MAX)
        return ERR_LIMIT;
    enum err e = parse_secret(line, secret) ? make_key(secret, &key) : ERR_SYNTAX;
    if (e == OK)
        write_slot(&r->slots[r->slots_n++], &key, 0);
    crypto_wipe(secret, sizeof(secret));
    crypto_wipe(&key, sizeof(key));
    return e;
}

static enum err read_keys(struct crypto_ring *r, FILE *f, unsigned *line)
{
    char text[LINE_MAX_BYTES];
    enum err e = OK;
    for (*line = 1; e == OK && fgets(text, sizeof(text), f); *line += e == OK)
        e = add_line(r, text);
    crypto_wipe(text, sizeof(text));
    if (e == OK && ferror(f))
        e = ERR_SYSTEM;
    if (e == OK && r->slots_n == 0)
        e = ERR_SYNTAX;
    return e;
}

enum err crypto_ring_load(const char *path, struct crypto_ring **out, unsigned *line)
{
    *line = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return ERR_SYSTEM;
    setbuf(f, NULL); /* no copy of the keys stays in a buffer of stdio's */
    struct crypto_ring *r = new_ring(CRYPTO_RING_LOAD_MAX, false);
    r->slots_n = 0;
    enum err e = read_keys(r, f, line);
    int saved = errno;
    fclose(f);
    errno = saved;
    if (e == OK)
        *out = r;
    else
        crypto_ring_unref(r);
    return e;
}

/* ---- use ---- */

/* The clocks of two workers may be a turn apart. */
static bool older_than(const struct crypto_ring *r, uint64_t born_ms, uint64_t now_ms, uint64_t ms)
{
    return r->rotates && now_ms >= born_ms && now_ms - born_ms >= ms;
}

static void rotate(struct crypto_ring *r, uint64_t now_ms)
{
    struct crypto_key key;
    if (atomic_flag_test_and_set_explicit(&r->rotating, memory_order_acquire))
        return; /* another worker is at it */
    unsigned at = atomic_load_explicit(&r->sealing, memory_order_relaxed);
    uint64_t born_ms = atomic_load_explicit(&r->slots[at].born_ms, memory_order_relaxed);
    if (older_than(r, born_ms, now_ms, r->period_ms) && random_key(&key) == OK) {
        at = (at + 1) % r->slots_n;
        write_slot(&r->slots[at], &key, now_ms);
        atomic_store_explicit(&r->sealing, at, memory_order_release);
        crypto_wipe(&key, sizeof(key));
    }
    atomic_flag_clear_explicit(&r->rotating, memory_order_release);
}

enum err crypto_ring_seal(struct crypto_ring *r, uint64_t now_ms, struct crypto_key *out)
{
    for (int i = 0; i < 2; i++) {
        uint64_t born_ms;
        unsigned at = atomic_load_explicit(&r->sealing, memory_order_acquire);
        if (!read_slot(&r->slots[at], out, &born_ms))
            continue; /* a whole lap was missed: look again */
        if (i || !older_than(r, born_ms, now_ms, r->period_ms))
            return OK;
        rotate(r, now_ms);
    }
    return ERR_AGAIN;
}

enum crypto_found crypto_ring_open(struct crypto_ring *r, uint64_t now_ms,
                                   const uint8_t name[CRYPTO_NAME_BYTES], struct crypto_key *out)
{
    unsigned sealing = atomic_load_explicit(&r->sealing, memory_order_acquire);
    for (unsigned i = 0; i < r->slots_n; i++) {
        uint64_t born_ms;
        if (!read_slot(&r->slots[i], out, &born_ms) ||
            memcmp(out->name, name, CRYPTO_NAME_BYTES) != 0 ||
            older_than(r, born_ms, now_ms, r->slots_n * r->period_ms))
            continue;
        bool fresh = !older_than(r, born_ms, now_ms, r->period_ms);
        return i == sealing && fresh ? CRYPTO_FOUND_SEALING : CRYPTO_FOUND_OLDER;
    }
    crypto_wipe(out, sizeof(*out));
    return CRYPTO_FOUND_NONE;
}

void crypto_websocket_accept(struct slice key, char accept[CRYPTO_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[CRYPTO_ACCEPT_KEY_MAX + sizeof(guid)];
    uint8_t digest[EVP_MAX_MD_SIZE], base64[CRYPTO_ACCEPT_BYTES + 1];
    unsigned n;
    CHECK(key.n <= CRYPTO_ACCEPT_KEY_MAX);
    memcpy(text, key.p, key.n);
    memcpy(text + key.n, guid, strlen(guid));
    CHECK(EVP_Digest(text, key.n + strlen(guid), digest, &n, EVP_sha1(), NULL) == 1);
    CHECK(EVP_EncodeBlock(base64, digest, (int)n) == CRYPTO_ACCEPT_BYTES);
    memcpy(accept, base64, CRYPTO_ACCEPT_BYTES);
}
