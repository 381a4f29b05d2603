/* Small messages for clients to carry: sealed with a key of a ring (net/crypto.h), so that nobody
 * else reads, changes or makes one. AES-256-GCM; as text it is
 *
 *   base64( name of the key, 16 | nonce, 12 | the message, enciphered | tag, 16 )
 *
 * `about` is authenticated too but not sent: it says what the message is good for, so that one
 * made for one purpose does not open for another.
 * A sealer is one thread's: it keeps the ciphers of the last keys ready, so that a message costs
 * no key schedule. Nonces are a random number and a count, never the same twice with one key. */
#ifndef NET_CRYPTO_SEAL_H
#define NET_CRYPTO_SEAL_H

#include "base/text.h"
#include "net/crypto.h"

#define CRYPTO_SEAL_NONCE_BYTES 12
#define CRYPTO_SEAL_TAG_BYTES   16
#define CRYPTO_SEAL_EXTRA (CRYPTO_NAME_BYTES + CRYPTO_SEAL_NONCE_BYTES + CRYPTO_SEAL_TAG_BYTES)
#define CRYPTO_SEAL_MAX   64 /* octets of a message */
/* Length of the text of a message of n octets. */
#define CRYPTO_SEAL_TEXT(n) TEXT_BASE64_BYTES((n) + CRYPTO_SEAL_EXTRA)

struct crypto_seal;

struct crypto_seal *crypto_seal_new(void);
void crypto_seal_free(struct crypto_seal *s); /* NULL is fine */

/* Writes CRYPTO_SEAL_TEXT(message.n) octets. now_ms: of the monotonic clock. ERR_SYSTEM,
 * ERR_AGAIN: no key or no randomness; nothing was written. */
MUST_USE enum err crypto_seal_close(struct crypto_seal *s, struct crypto_ring *ring,
                                    uint64_t now_ms, struct slice about, struct slice message,
                                    char *to);
/* n: length of the message that is expected. False: not made by a key of the ring, not for this
 * purpose, of another length, or changed on the way; `to` is then to be ignored. */
MUST_USE bool crypto_seal_open(struct crypto_seal *s, struct crypto_ring *ring, uint64_t now_ms,
                               struct slice about, struct slice text, uint8_t *to, size_t n);

#endif
