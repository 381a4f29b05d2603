/* Secret keys that seal what tenbin gives to clients and wants to recognise later (TLS tickets),
 * in a ring: one key seals, all of them open.
 *
 *   crypto_ring_new   random keys of this process. A new one comes in every CRYPTO_RING_PERIOD_MS,
 *                     the oldest of CRYPTO_RING_SLOTS goes out
 *   crypto_ring_every the same with a period and a number of slots of one's own
 *   crypto_ring_load  from a file, so that a fleet opens what any of its members sealed: one key a
 *                     line, 64 hex digits; `#` begins a comment. The first seals. Never rotated
 *
 * Owner: counted references, because TLS contexts outlive the snapshot that made them. Any thread:
 * keys are read without a lock, and whoever is the first to find the sealing key too old puts in
 * the next one (so an unused ring costs nothing, and needs no thread of its own). */
#ifndef NET_CRYPTO_H
#define NET_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define CRYPTO_RING_SLOTS     4
#define CRYPTO_RING_PERIOD_MS (3600u * 1000)
#define CRYPTO_RING_LOAD_MAX  16 /* keys of a file */
#define CRYPTO_NAME_BYTES     16
#define CRYPTO_ACCEPT_BYTES   28
#define CRYPTO_ACCEPT_KEY_MAX 64 /* there should be 24 */

/* What one key is used as: its public name, a cipher key and a MAC key, all derived from it. */
struct crypto_key {
    uint8_t name[CRYPTO_NAME_BYTES];
    uint8_t cipher[32];
    uint8_t mac[32];
};

enum crypto_found {
    CRYPTO_FOUND_NONE,
    CRYPTO_FOUND_SEALING, /* it is the key that seals now */
    CRYPTO_FOUND_OLDER,   /* good, but what it sealed should be sealed again */
};

struct crypto_ring;

/* now_ms: of the monotonic clock, here and below. ERR_SYSTEM: no randomness. */
MUST_USE enum err crypto_ring_new(uint64_t now_ms, struct crypto_ring **out);
MUST_USE enum err crypto_ring_every(uint64_t period_ms, unsigned slots, uint64_t now_ms,
                                    struct crypto_ring **out);
/* ERR_SYSTEM with errno: unreadable; ERR_SYNTAX, ERR_LIMIT: *line says where. */
MUST_USE enum err crypto_ring_load(const char *path, struct crypto_ring **out, unsigned *line);
bool crypto_ring_rotates(const struct crypto_ring *r); /* it is not from a file */
struct crypto_ring *crypto_ring_ref(struct crypto_ring *r);
void crypto_ring_unref(struct crypto_ring *r); /* NULL is fine; the last one wipes the keys */

/* The key to seal with. */
MUST_USE enum err crypto_ring_seal(struct crypto_ring *r, uint64_t now_ms, struct crypto_key *out);
enum crypto_found crypto_ring_open(struct crypto_ring *r, uint64_t now_ms,
                                   const uint8_t name[CRYPTO_NAME_BYTES], struct crypto_key *out);
/* Are two secrets the same? Takes as long for any text of the same length. */
bool crypto_same(const void *a, size_t a_n, const void *b, size_t b_n);
void crypto_wipe(void *p, size_t n);

/* Sec-WebSocket-Accept for a key: base64 of SHA-1 of it and a constant (RFC 6455 4.2.2). */
void crypto_websocket_accept(struct slice key, char accept[CRYPTO_ACCEPT_BYTES]);

#endif
