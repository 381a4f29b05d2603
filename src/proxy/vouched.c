#include "proxy/vouched.h"

#include <stdlib.h>

#include "base/check.h"
#include "net/tls_peer.h"

#define PREFIX "X-Amzn-Mtls-Clientcert"

struct part {
    enum tls_peer_item what;
    struct slice name;
};

static const struct part whole[] = {
    {TLS_PEER_CHAIN, SLICE_INIT(PREFIX)},
};

static const struct part parts[] = {
    {TLS_PEER_SERIAL, SLICE_INIT(PREFIX "-Serial-Number")},
    {TLS_PEER_ISSUER, SLICE_INIT(PREFIX "-Issuer")},
    {TLS_PEER_SUBJECT, SLICE_INIT(PREFIX "-Subject")},
    {TLS_PEER_VALIDITY, SLICE_INIT(PREFIX "-Validity")},
    {TLS_PEER_LEAF, SLICE_INIT(PREFIX "-Leaf")},
};

_Static_assert(ARRAY_LEN(parts) <= VOUCHED_MAX, "there is room for all parts");

/* ends[i]: where the value of part i ends in the text. */
static struct vouched *assemble(const struct part *p, uint32_t n, const size_t *ends,
                                struct slice text)
{
    struct vouched *v = malloc(sizeof(*v) + text.n);
    CHECK(v);
    v->n = n;
    memcpy(v->text, text.p, text.n);
    for (uint32_t i = 0; i < n; i++) {
        size_t from = i ? ends[i - 1] : 0;
        v->at[i] = (struct field){.name = p[i].name,
                                  .value = slice_of(v->text + from, ends[i] - from),
                                  .id = FIELD_VOUCHED};
    }
    return v;
}

struct vouched *vouched_new(const struct conn *c)
{
    if (!tls_peer_shown(c))
        return NULL;
    bool verified = tls_peer_verified(c);
    const struct part *p = verified ? parts : whole;
    uint32_t n = verified ? ARRAY_LEN(parts) : ARRAY_LEN(whole);
    size_t ends[VOUCHED_MAX];
    struct strbuf text;
    strbuf_init(&text);
    for (uint32_t i = 0; i < n; i++) {
        tls_peer_put(c, p[i].what, &text);
        ends[i] = text.n;
    }
    struct vouched *v = assemble(p, n, ends, strbuf_get(&text));
    strbuf_fini(&text);
    return v;
}

void vouched_free(struct vouched *v)
{
    free(v);
}
