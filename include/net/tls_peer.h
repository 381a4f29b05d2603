/* The certificate that a client showed, in the words of ELB's headers and connection log. To be
 * asked once a connection, after its handshake; most of it allocates.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html
 * Thread: the loop's. */
#ifndef NET_TLS_PEER_H
#define NET_TLS_PEER_H

#include "base/strbuf.h"
#include "net/conn.h"

enum tls_peer_item {
    TLS_PEER_SERIAL,   /* "03A5B1" */
    TLS_PEER_ISSUER,   /* RFC 2253 */
    TLS_PEER_SUBJECT,  /* likewise */
    TLS_PEER_VALIDITY, /* "NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z" */
    TLS_PEER_LEAF,     /* PEM, in URL encoding but for + = / */
    TLS_PEER_CHAIN,    /* all that came, leaf first, likewise */
};

/* It showed one; after a failed handshake: one that was refused. False on a plain conn. */
bool tls_peer_shown(const struct conn *c);
/* One was demanded and is good: TLS_MUTUAL_VERIFY. */
bool tls_peer_verified(const struct conn *c);
/* Adds the text, which is visible ASCII and spaces. Only when one was shown. CHAIN only of a
 * handshake that succeeded. */
void tls_peer_put(const struct conn *c, enum tls_peer_item what, struct strbuf *to);

/* Why the handshake failed, as ELB's connection log has it: "ClientCertExpired"; static. */
const char *tls_peer_failure(const struct conn *c);

#endif
