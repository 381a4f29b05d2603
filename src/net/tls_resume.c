/* Sessions with servers: each connection leaves the newest one for the next. One of TLS 1.3 is
 * offered once only, so that nobody on the way can tell two connections to be of the same client
 * (RFC 8446 C.4); there is a new one after each handshake. */
#include <openssl/err.h>

#include "net/tls.h"
#include "tls_internal.h"

static void replace(struct tls_resume *r, SSL_SESSION *session, uint64_t key)
{
    SSL_SESSION_free(r->session);
    r->session = session;
    r->key = key;
}

void tls_resume_fini(struct tls_resume *r)
{
    replace(r, NULL, 0);
}

/* 1: the reference is ours now. */
int tls_resume_take(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = tls_of_ssl(ssl);
    if (!t->resume || !SSL_SESSION_is_resumable(session))
        return 0;
    replace(t->resume, session, t->resume_key);
    return 1;
}

/* OpenSSL does not tell of the new ticket of a resumed session of TLS 1.2, and takes the old one for
 * spent. */
void tls_resume_renew(struct tls *t)
{
    if (!t->resume || !SSL_session_reused(t->ssl) || SSL_version(t->ssl) >= TLS1_3_VERSION)
        return;
    replace(t->resume, SSL_get1_session(t->ssl), t->resume_key);
}

void tls_resume_offer(struct tls *t)
{
    struct tls_resume *r = t->resume;
    if (!r || !r->session || r->key != t->resume_key)
        return;
    if (SSL_set_session(t->ssl, r->session) != 1)
        ERR_clear_error();
    if (SSL_SESSION_get_protocol_version(r->session) >= TLS1_3_VERSION)
        replace(r, NULL, 0);
}
