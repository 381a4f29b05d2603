/* Warnings about certificates of a listener that no request can need. It is a warning only where
 * there is no doubt. The default certificate serves whoever asks for nothing that is known, so it
 * is always needed. Another one is chosen by name alone (net/tls_ctx.h), and is needed unless
 *
 *   - it is for no host name at all; or
 *   - it has no name in common with the default one, every rule of the listener asks for a host,
 *     no host that one of them matches is one that the certificate is for, and all other hosts get
 *     a fixed response with an error. (410 says that there was something: whoever answers so may
 *     well keep the certificate for it.)
 *
 * Taken for granted: a client names the same host in SNI and in Host, as browsers do. A proxy in front
 * that connects by one name and asks for another needs a certificate that gets the warning.
 *
 * A file that is listed for several listeners, as lists are that they share, is needed when one of
 * them needs it. Runs on the loader thread, once a context is made. */
#ifndef PROXY_TLS_LINT_H
#define PROXY_TLS_LINT_H

#include "config/report.h"
#include "proxy/snapshot.h"

/* Hosts of rules that are compared with names of certificates, for one listener: what is beyond
 * gets no warning. */
#define TLS_LINT_COMPARISONS_MAX 1000000

/* l: with its context. */
void tls_lint_listener(const struct listener *l, struct report *r);

#endif
