/* Security policies by name: those of ELB that this OpenSSL can express, and two of our own.
 *   modern        TLS 1.3 only
 *   intermediate  TLS 1.2 and 1.3, forward secrecy and AEAD ciphers only
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
 * Constant; any thread. */
#ifndef NET_TLS_POLICY_H
#define NET_TLS_POLICY_H

#include <stdbool.h>

#include "base/slice.h"

#define TLS_POLICY_DEFAULT "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"

struct tls_policy {
    const char *name;
    bool tls12, tls13;
    const char *ciphers; /* of TLS 1.2, in OpenSSL's words; NULL without it */
};

/* NULL: unknown, or one that cannot be served here; *why then says why, or is NULL for a name
 * that nobody knows. */
const struct tls_policy *tls_policy_find(struct slice name, const char **why);
/* All that can be had, for messages; NULL at the end. */
const char *tls_policy_name(unsigned i);

#endif
