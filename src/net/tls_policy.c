#include "net/tls_policy.h"

#include "base/check.h"

#define AWS "ELBSecurityPolicy-"

#define GCM_128                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:"                                                               \
    "ECDHE-RSA-AES128-GCM-SHA256"
#define GCM_256                                                                                    \
    "ECDHE-ECDSA-AES256-GCM-SHA384:"                                                               \
    "ECDHE-RSA-AES256-GCM-SHA384"
#define CBC_SHA2_128                                                                               \
    "ECDHE-ECDSA-AES128-SHA256:"                                                                   \
    "ECDHE-RSA-AES128-SHA256"
#define CBC_SHA2_256                                                                               \
    "ECDHE-ECDSA-AES256-SHA384:"                                                                   \
    "ECDHE-RSA-AES256-SHA384"
#define CBC_SHA_128                                                                                \
    "ECDHE-ECDSA-AES128-SHA:"                                                                      \
    "ECDHE-RSA-AES128-SHA"
#define CBC_SHA_256                                                                                \
    "ECDHE-RSA-AES256-SHA:"                                                                        \
    "ECDHE-ECDSA-AES256-SHA"
#define CHACHA                                                                                     \
    "ECDHE-ECDSA-CHACHA20-POLY1305:"                                                               \
    "ECDHE-RSA-CHACHA20-POLY1305"

#define RESTRICTED GCM_128 ":" GCM_256
#define FORWARD    GCM_128 ":" CBC_SHA2_128 ":" GCM_256 ":" CBC_SHA2_256
#define FORWARD_SHA1                                                                               \
    GCM_128 ":" CBC_SHA2_128 ":" CBC_SHA_128 ":" GCM_256 ":" CBC_SHA2_256 ":" CBC_SHA_256
#define RSA_SHA2 "AES128-GCM-SHA256:AES128-SHA256:AES256-GCM-SHA384:AES256-SHA256"
#define RSA_SHA1                                                                                   \
    "AES128-GCM-SHA256:AES128-SHA256:AES128-SHA:AES256-GCM-SHA384:AES256-SHA256:AES256-SHA"

static const struct tls_policy policies[] = {
    {AWS "TLS13-1-2-Res-2021-06", true, true, RESTRICTED},
    {AWS "TLS13-1-3-2021-06", false, true, NULL},
    {AWS "TLS13-1-2-2021-06", true, true, FORWARD},
    {AWS "TLS13-1-2-Ext1-2021-06", true, true, FORWARD ":" RSA_SHA2},
    {AWS "TLS13-1-2-Ext2-2021-06", true, true, FORWARD_SHA1 ":" RSA_SHA1},
    {AWS "FS-1-2-Res-2020-10", true, false, RESTRICTED},
    {AWS "FS-1-2-Res-2019-08", true, false, FORWARD},
    {AWS "FS-1-2-2019-08", true, false, FORWARD_SHA1},
    {AWS "TLS-1-2-2017-01", true, false, FORWARD ":" RSA_SHA2},
    {AWS "TLS-1-2-Ext-2018-06", true, false, FORWARD_SHA1 ":" RSA_SHA1},
    {"modern", false, true, NULL},
    {"intermediate", true, true, GCM_128 ":" GCM_256 ":" CHACHA},
};

/* What a policy's name says when it ends in, or holds, one of these. */
static const struct {
    struct slice part;
    const char *why;
} refusals[] = {
    {SLICE_INIT("-PQ-"), "needs post-quantum key exchange, which OpenSSL 3.0 does not have"},
    {SLICE_INIT("-FIPS-"), "needs a FIPS-validated OpenSSL"},
    {SLICE_INIT("-RFC9151-"), "needs the cipher suites of RFC 9151, which are not offered"},
    {SLICE_INIT("-TLS13-1-1-"), "allows TLS 1.1, which is not offered (RFC 8996)"},
    {SLICE_INIT("-TLS13-1-0-"), "allows TLS 1.0, which is not offered (RFC 8996)"},
    {SLICE_INIT("-TLS-1-1-"), "allows TLS 1.1, which is not offered (RFC 8996)"},
    {SLICE_INIT("-TLS-1-0-"), "allows TLS 1.0, which is not offered (RFC 8996)"},
    {SLICE_INIT("-FS-1-1-"), "allows TLS 1.1, which is not offered (RFC 8996)"},
    {SLICE_INIT("-FS-2018-"), "allows TLS 1.0, which is not offered (RFC 8996)"},
    {SLICE_INIT("-2016-08"), "allows TLS 1.0, which is not offered (RFC 8996)"},
    {SLICE_INIT("-2015-05"), "allows TLS 1.0, which is not offered (RFC 8996)"},
};

const struct tls_policy *tls_policy_find(struct slice name, const char **why)
{
    *why = NULL;
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if (slice_eq(name, slice_str(policies[i].name)))
            return &policies[i];
    for (size_t i = 0; slice_starts(name, SLICE(AWS)) && i < ARRAY_LEN(refusals); i++)
        if (memmem(name.p, name.n, refusals[i].part.p, refusals[i].part.n)) {
            *why = refusals[i].why;
            break;
        }
    return NULL;
}

const char *tls_policy_name(unsigned i)
{
    return i < ARRAY_LEN(policies) ? policies[i].name : NULL;
}
