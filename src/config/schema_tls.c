/* Rows of TLS: of the process, and of a listener: certificates, policy, certificates of clients. */
#include "config/decode.h"
#include "config/schema_tables.h"

const struct schema_key schema_tls_keys[] = {
    {.name = "ktls",
     .type = SCHEMA_BOOL,
     .def = "false",
     .meaning = "what clients are sent is encrypted by the kernel where it can be had; else a "
                "warning says why it cannot",
     SCHEMA_AT(config_tls, ktls)},
    SCHEMA_END,
};

const struct schema_key schema_tls_certificate_keys[] = {
    {.name = "certificate",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .decode = decode_file,
     .expected = "a PEM file: the certificate and the chain that leads to its CA",
     .meaning = "a PEM file with the chain",
     SCHEMA_AT(config_certificate, certificate)},
    {.name = "key",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .decode = decode_file,
     .expected = "a PEM file with the private key, without a password",
     .meaning = "a PEM file with the private key",
     SCHEMA_AT(config_certificate, key)},
    {.name = "ocsp",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a file with an OCSP response in DER form",
     .meaning = "a file with the OCSP response to staple, in DER form",
     SCHEMA_AT(config_certificate, ocsp)},
    SCHEMA_END,
};

/* Whether there is such a policy is known to net/. */
void schema_tls_policy_decode(struct schema_ctx *x, const struct schema_key *key,
                              const struct yaml_tree_node *node, void *to)
{
    struct config_listener *l = to;
    if (!node) {
        l->tls_policy = slice_str(key->def);
        return;
    }
    l->tls_policy_pos = node->pos;
    (void)decode_line(x, key, node, &l->tls_policy);
}

/* --- certificates of clients --- */

static const struct schema_word modes[] = {
    {"off", CONFIG_MUTUAL_OFF, true},
    {"passthrough", CONFIG_MUTUAL_PASSTHROUGH, true},
    {"verify", CONFIG_MUTUAL_VERIFY, true},
    SCHEMA_WORDS_END,
};

const struct schema_key schema_tls_mutual_keys[] = {
    {.name = "mode",
     .type = SCHEMA_WORD,
     .def = "off",
     .words = modes,
     .meaning = "off, passthrough (any certificate is shown to targets) or verify",
     SCHEMA_AT(config_mutual, mode)},
    {.name = "trust_store",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a PEM file of CAs",
     .meaning = "a PEM file of CAs, for verify",
     SCHEMA_AT(config_mutual, trust_store)},
    {.name = "revocations",
     .type = SCHEMA_LIST,
     .one_or_many = true,
     .min = 1,
     .decode = decode_file,
     .expected = "a PEM file of revocation lists, or a list of such files",
     .meaning = "PEM files of revocation lists, for verify",
     SCHEMA_ITEMS(config_mutual, revocations, config_file)},
    {.name = "ignore_client_certificate_expiry",
     .type = SCHEMA_BOOL,
     .def = "false",
     .meaning = "verify: a certificate that has expired is as good as before",
     SCHEMA_AT(config_mutual, ignore_expiry)},
    {.name = "advertise_trust_store_ca_names",
     .type = SCHEMA_BOOL,
     .def = "off",
     .meaning = "verify: clients are told the names of the CAs",
     SCHEMA_AT(config_mutual, advertise_names)},
    SCHEMA_END,
};

void schema_tls_mutual_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    static const char *const only[] = {"trust_store", "revocations",
                                       "ignore_client_certificate_expiry",
                                       "advertise_trust_store_ca_names"};
    const struct config_mutual *m = to;
    if (m->mode == CONFIG_MUTUAL_VERIFY) {
        if (!yaml_tree_get(node, "trust_store"))
            report_error(x->report, node->pos,
                         "mutual_authentication: to verify clients a trust_store is needed");
        return;
    }
    for (size_t i = 0; i < sizeof(only) / sizeof(*only); i++) {
        const struct yaml_tree_node *n = yaml_tree_get(node, only[i]);
        if (n)
            report_error(x->report, n->pos, "%s: means nothing without mode: verify", only[i]);
    }
}

/* --- the listener --- */

bool schema_tls_is_on(const struct yaml_tree_node *node)
{
    const struct yaml_tree_node *p = yaml_tree_get(node, "protocol");
    return p && p->kind == YAML_TREE_SCALAR &&
           (slice_eq(p->text, SLICE("https")) || slice_eq(p->text, SLICE("tls")));
}

static void refuse_tls_keys(struct schema_ctx *x, const struct yaml_tree_node *listener)
{
    static const char *const only[] = {"certificates", "tls_policy", "ocsp",
                                       "mutual_authentication"};
    for (size_t i = 0; i < sizeof(only) / sizeof(*only); i++) {
        const struct yaml_tree_node *n = yaml_tree_get(listener, only[i]);
        if (n)
            report_error(x->report, n->pos, "%s: means nothing on a listener without TLS", only[i]);
    }
}

void schema_tls_finish(struct schema_ctx *x, const struct yaml_tree_node *listener,
                       const struct config_listener *l)
{
    if (!l->tls) {
        refuse_tls_keys(x, listener);
        return;
    }
    if (l->certificates_n == 0)
        report_error(x->report, l->pos, "a listener with TLS needs certificates");
    if (l->mutual.mode == CONFIG_MUTUAL_PASSTHROUGH && l->protocol == CONFIG_PROTOCOL_TCP)
        report_error(x->report, yaml_tree_get(listener, "mutual_authentication")->pos,
                     "mutual_authentication: passthrough shows certificates in headers, which a "
                     "tls listener does not have: off or verify");
}
