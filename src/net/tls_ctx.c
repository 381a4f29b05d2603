#include "tls_internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"

#define GROUPS_SERVER "X25519:P-256"
#define GROUPS_CLIENT "X25519:P-256:P-384"
#define TICKET_LIFE_S (2 * 3600) /* shorter than keys are kept, see crypto.h */
#define ALPN_MAX      64

static bool complain(const struct tls_ctx_complaints *to, const char *what, const char *why)
{
    return tls_pem_complain(to, TLS_CTX_ABOUT_REST, 0, true, "%s: %s", what, why);
}

/* ---- life ---- */

static struct tls_ctx *new_ctx(const SSL_METHOD *method, bool server)
{
    struct tls_ctx *x = calloc(1, sizeof(*x));
    CHECK(x);
    atomic_init(&x->refs, 1);
    x->server = server;
    x->ssl = SSL_CTX_new(method);
    CHECK(x->ssl);
    return x;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *x)
{
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void tls_ctx_unref(struct tls_ctx *x)
{
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(x->ssl);
    for (size_t i = 0; i < x->certificates_n; i++)
        tls_certificate_fini(&x->certificates[i]);
    free(x->certificates);
    tls_names_fini(&x->names);
    crypto_ring_unref(x->tickets);
    EVP_CIPHER_free(x->ticket_cipher);
    free(x->alpn);
    free(x);
}

uint64_t tls_ctx_fingerprint(const struct tls_ctx *x)
{
    return x->fingerprint;
}

static void copy_alpn(struct tls_ctx *x, struct slice alpn)
{
    CHECK(alpn.n <= ALPN_MAX);
    if (alpn.n == 0)
        return;
    x->alpn = malloc(alpn.n);
    CHECK(x->alpn);
    memcpy(x->alpn, alpn.p, alpn.n);
    x->alpn_n = (unsigned)alpn.n;
}

/* ---- what both sides share ---- */

static void set_common(SSL_CTX *c)
{
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_security_level(c, 2);
    SSL_CTX_set_max_early_data(c, 0);
}

static bool set_policy(SSL_CTX *c, const struct tls_policy *p)
{
    return SSL_CTX_set_min_proto_version(c, p->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) &&
           SSL_CTX_set_max_proto_version(c, p->tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
           (!p->ciphers || SSL_CTX_set_cipher_list(c, p->ciphers)) &&
           SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                       "TLS_CHACHA20_POLY1305_SHA256");
}

/* ---- tickets ---- */

static int init_mac(EVP_MAC_CTX *mac, const struct crypto_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof(key->mac)),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (void *)(uintptr_t) "SHA256", 6),
        OSSL_PARAM_END,
    };
    return EVP_MAC_CTX_set_params(mac, params);
}

static int seal_ticket(struct tls *t, const EVP_CIPHER *cipher, unsigned char *name,
                       unsigned char *iv, EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
    struct crypto_key key;
    int iv_bytes = EVP_CIPHER_get_iv_length(cipher);
    if (crypto_ring_seal(t->ctx->tickets, t->conn->loop->clock.now_ms, &key) != OK)
        return 0; /* no ticket this time */
    memcpy(name, key.name, sizeof(key.name));
    int good = RAND_bytes(iv, iv_bytes) == 1 &&
               EVP_EncryptInit_ex2(c, cipher, key.cipher, iv, NULL) == 1 && init_mac(mac, &key);
    crypto_wipe(&key, sizeof(key));
    return good ? 1 : -1;
}

/* In TLS 1.3 a ticket serves once (RFC 8446 C.4), so whoever comes with one gets another. */
static int open_ticket(struct tls *t, const EVP_CIPHER *cipher, const unsigned char *name,
                       const unsigned char *iv, EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
    struct crypto_key key;
    enum crypto_found found =
        crypto_ring_open(t->ctx->tickets, t->conn->loop->clock.now_ms, name, &key);
    if (found == CRYPTO_FOUND_NONE)
        return 0;
    int good = EVP_DecryptInit_ex2(c, cipher, key.cipher, iv, NULL) == 1 && init_mac(mac, &key);
    crypto_wipe(&key, sizeof(key));
    if (!good)
        return -1;
    bool fresh = found == CRYPTO_FOUND_SEALING && SSL_version(t->ssl) < TLS1_3_VERSION;
    return fresh ? 1 : 2;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
                     EVP_MAC_CTX *mac, int seal)
{
    struct tls *t = tls_of_ssl(ssl);
    const EVP_CIPHER *cipher = t->ctx->ticket_cipher;
    return seal ? seal_ticket(t, cipher, name, iv, c, mac)
                : open_ticket(t, cipher, name, iv, c, mac);
}

/* Tickets hold all there is to know: no session is kept here. */
static bool set_tickets(struct tls_ctx *x, const struct tls_ctx_server *o)
{
    unsigned char id[SSL_MAX_SID_CTX_LENGTH];
    uint64_t hash = hash_bytes(o->id, 0);
    SSL_CTX_set_session_cache_mode(x->ssl, SSL_SESS_CACHE_OFF);
    memcpy(id, &hash, sizeof(hash));
    if (SSL_CTX_set_session_id_context(x->ssl, id, sizeof(hash)) != 1)
        return false;
    if (!o->tickets || o->mutual.mode != TLS_MUTUAL_OFF) {
        SSL_CTX_set_options(x->ssl, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(x->ssl, 0) == 1;
    }
    x->tickets = crypto_ring_ref(o->tickets);
    x->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    SSL_CTX_set_timeout(x->ssl, TICKET_LIFE_S);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(x->ssl, on_ticket);
    return x->ticket_cipher && SSL_CTX_set_num_tickets(x->ssl, 1) == 1;
}

/* ---- certificates by name ---- */

/* TLS 1.2 names the kind of key in the cipher suite; in 1.3 the signature algorithms say it all,
 * and SSL_check_chain() looks at those. */
static bool offers_ecdsa_cipher(SSL *ssl)
{
    STACK_OF(SSL_CIPHER) *offered = SSL_get_client_ciphers(ssl);
    if (SSL_version(ssl) > TLS1_2_VERSION)
        return true;
    for (int i = 0; i < sk_SSL_CIPHER_num(offered); i++)
        if (SSL_CIPHER_get_auth_nid(sk_SSL_CIPHER_value(offered, i)) == NID_auth_ecdsa)
            return true;
    return false;
}

static bool usable(SSL *ssl, const struct tls_certificate *c)
{
    if (c->ecdsa && !offers_ecdsa_cipher(ssl))
        return false;
    return SSL_check_chain(ssl, c->leaf, c->key, c->chain) & CERT_PKEY_VALID;
}

/* Without a connection only the kind of key decides. */
static bool fits(SSL *ssl, bool ecdsa, const struct tls_certificate *c)
{
    return ssl ? usable(ssl, c) : ecdsa || !c->ecdsa;
}

/* The best one that fits; if none does, the best one; without a match, the default. */
static size_t choose(const struct tls_ctx *x, struct slice name, SSL *ssl, bool ecdsa)
{
    struct tls_names_walk w;
    size_t rank, best = x->first;
    bool any = false;
    tls_names_find(&x->names, name, &w);
    while (tls_names_next(&x->names, &w, &rank)) {
        bool more = w.at[0] || w.at[1];
        if (!any)
            best = rank;
        if ((!any && !more) || fits(ssl, ecdsa, &x->certificates[rank]))
            return rank;
        any = true;
    }
    return best;
}

static int on_certificate(SSL *ssl, void *arg)
{
    const struct tls_ctx *x = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    size_t best = name ? choose(x, slice_str(name), ssl, true) : x->first;
    if (best == x->first)
        return 1;
    const struct tls_certificate *c = &x->certificates[best];
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1);
}

/* SSL_get_servername() answers only once somebody has looked at the name. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl, (void)alert, (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

size_t tls_ctx_pick(const struct tls_ctx *x, struct slice name, bool ecdsa)
{
    return x->certificates[choose(x, name, NULL, ecdsa)].pair;
}

static const struct tls_certificate *of_pair(const struct tls_ctx *x, size_t pair)
{
    for (size_t i = 0; i < x->certificates_n; i++)
        if (x->certificates[i].pair == pair)
            return &x->certificates[i];
    return NULL;
}

int64_t tls_ctx_expiry(const struct tls_ctx *x, size_t pair)
{
    const struct tls_certificate *c = of_pair(x, pair);
    return c ? tls_pem_seconds(X509_get0_notAfter(c->leaf)) : INT64_MAX;
}

size_t tls_ctx_names(const struct tls_ctx *x, size_t pair, struct arena *a, struct slice **names)
{
    const struct tls_certificate *c = of_pair(x, pair);
    struct tls_names found = {0};
    CHECK(c);
    tls_names_add(&found, c->leaf, 0);
    *names = ARENA_ARRAY(a, struct slice, found.n);
    for (size_t i = 0; i < found.n; i++)
        (*names)[i] = arena_slice(a, slice_of(found.all[i].text, found.all[i].n));
    size_t n = found.n;
    tls_names_fini(&found);
    return n;
}

static int compare(const void *a, const void *b)
{
    return tls_certificate_compare(a, b);
}

static bool load_staples(struct tls_ctx *x, const struct tls_ctx_server *o, int64_t wall_s,
                         const struct tls_ctx_complaints *to)
{
    bool good = true;
    for (size_t i = 0; i < o->pairs_n; i++)
        if (o->pairs[i].ocsp)
            good = tls_ocsp_load(o->pairs[i].ocsp, i, &x->certificates[i], 1, wall_s, to) && good;
    if (o->ocsp)
        good = tls_ocsp_load(o->ocsp, o->pairs_n, x->certificates, o->pairs_n, wall_s, to) && good;
    return good;
}

static bool load_certificates(struct tls_ctx *x, const struct tls_ctx_server *o, int64_t wall_s,
                              const struct tls_ctx_complaints *to)
{
    bool good = true;
    x->certificates = calloc(o->pairs_n, sizeof(*x->certificates));
    CHECK(x->certificates && o->pairs_n);
    x->certificates_n = o->pairs_n;
    for (size_t i = 0; i < o->pairs_n; i++) {
        x->certificates[i].pair = i;
        good = tls_certificate_load(&x->certificates[i], &o->pairs[i], wall_s, to) && good;
    }
    if (!good || !load_staples(x, o, wall_s, to))
        return false;
    qsort(x->certificates, o->pairs_n, sizeof(*x->certificates), compare);
    for (size_t i = 0; i < o->pairs_n; i++) {
        tls_names_add(&x->names, x->certificates[i].leaf, i);
        if (x->certificates[i].pair == 0)
            x->first = i;
    }
    tls_names_ready(&x->names);
    tls_ocsp_set(x);
    return true;
}

static bool set_certificates(struct tls_ctx *x)
{
    const struct tls_certificate *c = &x->certificates[x->first];
    SSL_CTX_set_tlsext_servername_callback(x->ssl, on_name);
    if (x->certificates_n > 1)
        SSL_CTX_set_cert_cb(x->ssl, on_certificate, x);
    return SSL_CTX_use_cert_and_key(x->ssl, c->leaf, c->key, c->chain, 1) == 1;
}

/* ---- ALPN ---- */

/* A client that offers nothing we know is served as if it had not asked. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *arg)
{
    const struct tls_ctx *x = arg;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_n, x->alpn, x->alpn_n, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- servers ---- */

static void set_ktls(struct tls_ctx *x, bool ktls)
{
    x->ktls = ktls;
    if (ktls)
        SSL_CTX_set_options(x->ssl, SSL_OP_ENABLE_KTLS);
}

struct tls_ctx *tls_ctx_server(const struct tls_ctx_server *o, int64_t wall_s,
                               const struct tls_ctx_complaints *complaints)
{
    struct tls_ctx *x = new_ctx(TLS_server_method(), true);
    set_common(x->ssl);
    set_ktls(x, o->ktls);
    copy_alpn(x, o->alpn);
    if (x->alpn_n)
        SSL_CTX_set_alpn_select_cb(x->ssl, on_alpn, x);
    if (!load_certificates(x, o, wall_s, complaints) ||
        !tls_mutual_set(x, &o->mutual, wall_s, complaints))
        goto fail;
    if (!set_policy(x->ssl, o->policy) || !SSL_CTX_set1_groups_list(x->ssl, GROUPS_SERVER) ||
        !set_tickets(x, o) || !set_certificates(x)) {
        complain(complaints, o->policy->name, tls_pem_reason());
        goto fail;
    }
    return x;
fail:
    tls_ctx_unref(x);
    return NULL;
}

/* ---- clients ---- */

/* The same file with other bytes in it is another setting. */
static uint64_t file_mark(const char *path)
{
    struct stat s;
    if (!path || stat(path, &s) < 0)
        return 0;
    uint64_t h = hash_bytes(slice_str(path), 1);
    h = hash_mix(h ^ (uint64_t)s.st_ino);
    h = hash_mix(h ^ (uint64_t)s.st_size);
    return hash_mix(h ^ (uint64_t)s.st_mtim.tv_sec * 1000000000u ^ (uint64_t)s.st_mtim.tv_nsec);
}

static bool set_authorities(SSL_CTX *c, const struct tls_ctx_client *o,
                            const struct tls_ctx_complaints *to)
{
    if (!o->verify)
        return true;
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    if (!o->ca && SSL_CTX_set_default_verify_paths(c) != 1)
        return complain(to, "the system's CAs", tls_pem_reason());
    X509_STORE *s =
        o->ca ? tls_trust_load(o->ca, TLS_CTX_ABOUT_TRUST_STORE, o->wall_s, to, NULL) : NULL;
    if (s)
        SSL_CTX_set_cert_store(c, s);
    return s || !o->ca;
}

struct tls_ctx *tls_ctx_client(const struct tls_ctx_client *o,
                               const struct tls_ctx_complaints *complaints)
{
    struct tls_ctx *x = new_ctx(TLS_client_method(), false);
    uint64_t mark = hash_bytes(o->alpn, o->verify) ^ (o->verify ? file_mark(o->ca) : 0);
    set_common(x->ssl);
    copy_alpn(x, o->alpn);
    x->verify = o->verify;
    x->fingerprint = hash_mix(mark) | 1;
    SSL_CTX_set_session_cache_mode(x->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(x->ssl, tls_resume_take);
    if (!set_authorities(x->ssl, o, complaints))
        goto fail;
    if (!SSL_CTX_set_min_proto_version(x->ssl, TLS1_2_VERSION) ||
        !SSL_CTX_set1_groups_list(x->ssl, GROUPS_CLIENT) ||
        (x->alpn_n && SSL_CTX_set_alpn_protos(x->ssl, x->alpn, x->alpn_n) != 0)) {
        complain(complaints, "TLS to targets", tls_pem_reason());
        goto fail;
    }
    return x;
fail:
    tls_ctx_unref(x);
    return NULL;
}
