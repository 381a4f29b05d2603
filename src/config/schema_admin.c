/* Rows of the admin endpoint. */
#include "config/decode.h"
#include "config/schema.h"
#include "config/schema_tables.h"

/* Fills all of config_admin, so that a socket that cannot be bound is blamed on its line. */
static void decode_listen(struct schema_ctx *x, const struct schema_key *key,
                          const struct yaml_tree_node *node, void *to)
{
    struct config_admin *admin = to;
    if (!node)
        return;
    admin->pos = node->pos;
    if (node->kind == YAML_TREE_SCALAR && slice_eq(node->text, SLICE("off")))
        return;
    if (!decode_addr(x, key, node, &admin->listen) || addr_is_loopback(&admin->listen))
        return;
    struct report_entry *e = schema_complain(x, key, node, "is open to other machines");
    report_hint(x->report, e, "the admin endpoint has no TLS: put something in front that has");
}

static const struct schema_word roles[] = {
    {"viewer", CONFIG_ROLE_VIEWER, true},
    {"operator", CONFIG_ROLE_OPERATOR, true},
    SCHEMA_WORDS_END,
};

static const struct schema_key token_keys[] = {
    {.name = "role",
     .type = SCHEMA_WORD,
     .required = true,
     .words = roles,
     .meaning = "viewer (may ask) or operator (may change too)",
     SCHEMA_AT(config_token, role)},
    {.name = "file",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .decode = decode_file,
     .expected = "a file that holds nothing but the token",
     .meaning =
         "the file that holds the token, 16 to 256 visible characters; read again by reloads",
     SCHEMA_AT(config_token, file)},
    SCHEMA_END,
};

const struct schema_key schema_admin_keys[] = {
    {.name = "listen",
     .type = SCHEMA_CUSTOM,
     .def = "off",
     .decode = decode_listen,
     .expected = "a loopback address such as 127.0.0.1:9900, unix:PATH, or off",
     .meaning =
         "status, metrics and commands: a loopback address, unix:PATH or off; needs a restart"},
    {.name = "tokens",
     .type = SCHEMA_LIST,
     .keys = token_keys,
     .meaning = "who may ask and who may change; none: all who can connect may ask, and over a "
                "unix socket change",
     SCHEMA_ITEMS(config_admin, tokens, config_token)},
    SCHEMA_END,
};
