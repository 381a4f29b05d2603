/* Rows of a group's discovery: where targets come from that are not in the file. */
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

#define NOT_BUILT(key, what, default_text, text)                                                   \
    {                                                                                              \
        .name = key, .type = what, .built = SCHEMA_NOT_BUILT, .def = default_text, .meaning = text \
    }

#define NOT_BUILT_MAP(key, rows, text)                                                             \
    {                                                                                              \
        .name = key, .type = SCHEMA_MAP, .built = SCHEMA_NOT_BUILT, .keys = rows, .meaning = text  \
    }

static const struct schema_key dns_keys[] = {
    NOT_BUILT("name", SCHEMA_TEXT, NULL, "whose addresses are targets"),
    NOT_BUILT("port", SCHEMA_NUMBER, NULL, "of all of them"),
    NOT_BUILT("zone", SCHEMA_NAME, NULL, "of all of them"),
    NOT_BUILT("resolver", SCHEMA_LIST, NULL, "name servers; default resolvers"),
    SCHEMA_END,
};

static const struct schema_key dns_srv_keys[] = {
    NOT_BUILT("name", SCHEMA_TEXT, NULL, "whose SRV records are targets"),
    NOT_BUILT("resolver", SCHEMA_LIST, NULL, "name servers; default resolvers"),
    SCHEMA_END,
};

const struct schema_key schema_discovery_keys[] = {
    NOT_BUILT_MAP("dns", dns_keys, "A and AAAA records"),
    NOT_BUILT_MAP("dns_srv", dns_srv_keys, "SRV records"),
    {.name = "file",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a file with a list as that of targets",
     .meaning = "a file with a list as that of targets, read again when it changes",
     SCHEMA_AT(config_discovery, file)},
    SCHEMA_END,
};

void schema_discovery_decode(struct schema_ctx *x, const struct schema_key *key,
                             const struct yaml_tree_node *node, void *to)
{
    struct config_discovery *d = to;
    const struct yaml_tree_node *value;
    const struct schema_key *row =
        schema_only_key(x, schema_discovery_keys, key->name, node, &value);
    d->pos = node->pos;
    if (!row)
        return;
    d->source = CONFIG_DISCOVERY_FILE;
    row->decode(x, row, value, (char *)d + row->at);
}
