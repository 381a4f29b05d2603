#include "net/crypto_seal.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define SEALED_MAX   (CRYPTO_SEAL_MAX + CRYPTO_SEAL_EXTRA)
#define PREFIX_BYTES (CRYPTO_SEAL_NONCE_BYTES - sizeof(uint32_t))

/* A cipher that has the key of that name. */
struct keyed {
    EVP_CIPHER_CTX *ctx;
    bool set;
    uint8_t name[CRYPTO_NAME_BYTES];
};

struct crypto_seal {
    EVP_CIPHER *cipher;
    struct keyed sealing, opening;
    uint8_t prefix[PREFIX_BYTES]; /* of nonces: anew with each key and each lap of the count */
    uint32_t count;
};

/* The parts of a sealed message. */
struct parts {
    uint8_t *name, *nonce, *body, *tag;
};

static struct parts parts_of(uint8_t *sealed, size_t message)
{
    uint8_t *nonce = sealed + CRYPTO_NAME_BYTES, *body = nonce + CRYPTO_SEAL_NONCE_BYTES;
    return (struct parts){sealed, nonce, body, body + message};
}

struct crypto_seal *crypto_seal_new(void)
{
    struct crypto_seal *s = calloc(1, sizeof(*s));
    CHECK(s);
    s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->sealing.ctx = EVP_CIPHER_CTX_new();
    s->opening.ctx = EVP_CIPHER_CTX_new();
    CHECK(s->cipher && s->sealing.ctx && s->opening.ctx);
    return s;
}

void crypto_seal_free(struct crypto_seal *s)
{
    if (!s)
        return;
    EVP_CIPHER_CTX_free(s->sealing.ctx);
    EVP_CIPHER_CTX_free(s->opening.ctx);
    EVP_CIPHER_free(s->cipher);
    crypto_wipe(s, sizeof(*s));
    free(s);
}

/* ---- keys ---- */

/* Not the ring's cipher key itself: a file may be used for tickets too, which have another cipher. */
static bool derive(const struct crypto_key *key, uint8_t to[EVP_MAX_MD_SIZE])
{
    static const char what[] = "tenbin sealed message";
    return HMAC(EVP_sha256(), key->cipher, sizeof(key->cipher), (const uint8_t *)what,
                sizeof(what) - 1, to, NULL) != NULL;
}

static bool set_key(struct crypto_seal *s, struct keyed *k, const struct crypto_key *key,
                    bool sealing)
{
    uint8_t secret[EVP_MAX_MD_SIZE];
    k->set = derive(key, secret) &&
             EVP_CipherInit_ex2(k->ctx, s->cipher, secret, NULL, sealing, NULL) == 1;
    crypto_wipe(secret, sizeof(secret));
    memcpy(k->name, key->name, sizeof(k->name));
    return k->set;
}

static bool has_key(const struct keyed *k, const uint8_t *name)
{
    return k->set && memcmp(k->name, name, CRYPTO_NAME_BYTES) == 0;
}

/* ---- close ---- */

static bool renew_prefix(struct crypto_seal *s)
{
    s->count = 0;
    return RAND_bytes(s->prefix, sizeof(s->prefix)) == 1;
}

static bool ready_to_seal(struct crypto_seal *s, const struct crypto_key *key)
{
    if (has_key(&s->sealing, key->name))
        return s->count != UINT32_MAX || renew_prefix(s);
    return renew_prefix(s) && set_key(s, &s->sealing, key, true);
}

static void put_nonce(struct crypto_seal *s, uint8_t *to)
{
    s->count++;
    memcpy(to, s->prefix, sizeof(s->prefix));
    memcpy(to + sizeof(s->prefix), &s->count, sizeof(s->count));
}

static bool encipher(EVP_CIPHER_CTX *c, struct slice about, struct slice message,
                     const struct parts *to)
{
    int n;
    return EVP_EncryptInit_ex2(c, NULL, NULL, to->nonce, NULL) == 1 &&
           EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)about.p, (int)about.n) == 1 &&
           EVP_EncryptUpdate(c, to->body, &n, (const uint8_t *)message.p, (int)message.n) == 1 &&
           EVP_EncryptFinal_ex(c, to->tag, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CRYPTO_SEAL_TAG_BYTES, to->tag) == 1;
}

enum err crypto_seal_close(struct crypto_seal *s, struct crypto_ring *ring, uint64_t now_ms,
                           struct slice about, struct slice message, char *to)
{
    uint8_t sealed[SEALED_MAX];
    struct crypto_key key;
    CHECK(message.n <= CRYPTO_SEAL_MAX);
    struct parts p = parts_of(sealed, message.n);
    enum err e = crypto_ring_seal(ring, now_ms, &key);
    if (e == OK && !ready_to_seal(s, &key))
        e = ERR_SYSTEM;
    crypto_wipe(key.cipher, sizeof(key.cipher));
    if (e != OK)
        return e;
    memcpy(p.name, key.name, CRYPTO_NAME_BYTES);
    put_nonce(s, p.nonce);
    if (!encipher(s->sealing.ctx, about, message, &p))
        return ERR_SYSTEM;
    (void)text_base64(to, sealed, message.n + CRYPTO_SEAL_EXTRA);
    return OK;
}

/* ---- open ---- */

static bool ready_to_open(struct crypto_seal *s, struct crypto_ring *ring, uint64_t now_ms,
                          const uint8_t *name)
{
    struct crypto_key key;
    if (crypto_ring_open(ring, now_ms, name, &key) == CRYPTO_FOUND_NONE)
        return false;
    bool good = has_key(&s->opening, name) || set_key(s, &s->opening, &key, false);
    crypto_wipe(&key, sizeof(key));
    return good;
}

static bool decipher(EVP_CIPHER_CTX *c, struct slice about, const struct parts *from, uint8_t *to,
                     size_t n)
{
    int got;
    return EVP_DecryptInit_ex2(c, NULL, NULL, from->nonce, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CRYPTO_SEAL_TAG_BYTES, from->tag) == 1 &&
           EVP_DecryptUpdate(c, NULL, &got, (const uint8_t *)about.p, (int)about.n) == 1 &&
           EVP_DecryptUpdate(c, to, &got, from->body, (int)n) == 1 &&
           EVP_DecryptFinal_ex(c, to + got, &got) == 1;
}

bool crypto_seal_open(struct crypto_seal *s, struct crypto_ring *ring, uint64_t now_ms,
                      struct slice about, struct slice text, uint8_t *to, size_t n)
{
    uint8_t sealed[SEALED_MAX];
    size_t bytes;
    CHECK(n <= CRYPTO_SEAL_MAX);
    struct parts p = parts_of(sealed, n);
    if (text.n != CRYPTO_SEAL_TEXT(n) || !text_from_base64(sealed, &bytes, text) ||
        !ready_to_open(s, ring, now_ms, p.name))
        return false;
    bool good = decipher(s->opening.ctx, about, &p, to, n);
    if (!good)
        ERR_clear_error(); /* of a wrong tag: TLS would take it for its own */
    return good;
}
