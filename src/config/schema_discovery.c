/* Rows of a group's discovery: where targets come from that are not in the file. */
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

#define RESOLVER_EXPECTED "IP:PORT, or a list of at most 16"

void schema_discovery_resolver(struct schema_ctx *x, const struct schema_key *key,
                               const struct yaml_tree_node *node, void *to)
{
    struct addr *addr = to;
    if (decode_addr(x, key, node, addr) && addr_family(addr) == AF_UNIX)
        schema_complain(x, key, node, "is no name server's address");
}

void schema_discovery_count(struct schema_ctx *x, const char *key, const struct yaml_tree_node *map,
                            size_t resolvers_n)
{
    const struct yaml_tree_node *list = map ? yaml_tree_get(map, key) : NULL;
    if (list && resolvers_n > CONFIG_RESOLVERS_MAX)
        report_error(x->report, list->pos, "%s: more than %d name servers", key,
                     CONFIG_RESOLVERS_MAX);
}

static void decode_name(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    struct addr ip;
    if (!decode_is_scalar(x, key, node))
        return;
    *(struct slice *)to = arena_slice(x->arena, node->text);
    if (addr_parse_ip(&ip, node->text, 0) == OK)
        schema_complain(x, key, node, "is an address: there is nothing to look up");
    else if (!scalar_is_host(node->text))
        schema_complain(x, key, node, "is not a name");
}

static const struct schema_key dns_keys[] = {
    {.name = "name",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .decode = decode_name,
     .expected = "a host name",
     .meaning = "whose addresses are targets",
     SCHEMA_AT(config_discovery, name)},
    {.name = "port",
     .type = SCHEMA_NUMBER,
     .required = true,
     .min = 1,
     .max = 65535,
     .meaning = "of all of them",
     SCHEMA_AT(config_discovery, port)},
    {.name = "zone",
     .type = SCHEMA_NAME,
     .meaning = "of all of them",
     SCHEMA_AT(config_discovery, zone)},
    {.name = "resolver",
     .type = SCHEMA_LIST,
     .one_or_many = true,
     .min = 1,
     .decode = schema_discovery_resolver,
     .expected = RESOLVER_EXPECTED,
     .meaning = "name servers; default resolvers",
     SCHEMA_ITEMS(config_discovery, resolvers, addr)},
    {.name = "hold",
     .type = SCHEMA_DURATION,
     .def = "0s",
     .max = 86400000,
     .meaning = "how long an address stays that answers do not name; two answers at least",
     SCHEMA_AT(config_discovery, hold_ms)},
    SCHEMA_END,
};

static const struct schema_key dns_srv_keys[] = {
    {.name = "name",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .decode = decode_name,
     .expected = "a name such as _http._tcp.app.internal",
     .meaning = "whose SRV records are targets",
     SCHEMA_AT(config_discovery, name)},
    {.name = "zone",
     .type = SCHEMA_NAME,
     .meaning = "of all of them",
     SCHEMA_AT(config_discovery, zone)},
    {.name = "resolver",
     .type = SCHEMA_LIST,
     .one_or_many = true,
     .min = 1,
     .decode = schema_discovery_resolver,
     .expected = RESOLVER_EXPECTED,
     .meaning = "name servers; default resolvers",
     SCHEMA_ITEMS(config_discovery, resolvers, addr)},
    {.name = "hold",
     .type = SCHEMA_DURATION,
     .def = "0s",
     .max = 86400000,
     .meaning = "how long an address stays that answers do not name; two answers at least",
     SCHEMA_AT(config_discovery, hold_ms)},
    SCHEMA_END,
};

const struct schema_key schema_discovery_keys[] = {
    {.name = "dns",
     .type = SCHEMA_MAP,
     .keys = dns_keys,
     .meaning = "A and AAAA records, asked for as often as they say (1 s to 300 s)"},
    {.name = "dns_srv",
     .type = SCHEMA_MAP,
     .keys = dns_srv_keys,
     .meaning = "SRV records: port, weight, and priority (higher ones are a reserve)"},
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
    if (row->type == SCHEMA_CUSTOM) {
        d->source = CONFIG_DISCOVERY_FILE;
        row->decode(x, row, value, &d->file);
        return;
    }
    d->source = row->keys == dns_keys ? CONFIG_DISCOVERY_DNS : CONFIG_DISCOVERY_SRV;
    schema_map(x, row->keys, row->name, value, d);
    schema_discovery_count(x, "resolver", value, d->resolvers_n);
}
