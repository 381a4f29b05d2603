#include "config/decode.h"

#include <limits.h>

#include "base/strbuf.h"
#include "config/scalar.h"

bool decode_is_scalar(struct schema_ctx *x, const struct schema_key *key,
                      const struct yaml_tree_node *node)
{
    bool scalar = node->kind == YAML_TREE_SCALAR && !node->null;
    if (!scalar)
        schema_complain(x, key, node,
                        node->kind == YAML_TREE_SCALAR ? "has no value" : "must be a single value");
    return scalar;
}

static struct slice directory_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slice_of(file, slash ? (size_t)(slash - file) + 1 : 0);
}

static struct slice relative_to_file(struct arena *a, struct config_pos pos, struct slice path)
{
    struct slice dir = directory_of(pos.file);
    if (slice_starts(path, SLICE("/")) || dir.n == 0)
        return arena_slice(a, path);
    char *p = arena_alloc(a, dir.n + path.n + 1);
    memcpy(p, dir.p, dir.n);
    memcpy(p + dir.n, path.p, path.n);
    p[dir.n + path.n] = '\0';
    return slice_of(p, dir.n + path.n);
}

bool decode_path(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, struct slice *to)
{
    if (!decode_is_scalar(x, key, node))
        return false;
    if (!scalar_is_line(node->text) || node->text.n >= PATH_MAX) {
        schema_complain(x, key, node, "is not a file's name");
        return false;
    }
    *to = relative_to_file(x->arena, node->pos, node->text);
    return true;
}

void decode_file(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, void *to)
{
    struct config_file *f = to;
    f->pos = node->pos;
    (void)decode_path(x, key, node, &f->path);
}

/* unix:PATH with the path taken from the file's directory; other texts as they are. */
static struct slice whole_address(struct schema_ctx *x, const struct yaml_tree_node *node)
{
    const struct slice prefix = SLICE("unix:");
    if (!slice_starts(node->text, prefix) || node->text.n == prefix.n)
        return node->text;
    struct slice path = relative_to_file(x->arena, node->pos, slice_from(node->text, prefix.n));
    char *p = arena_alloc(x->arena, prefix.n + path.n + 1);
    memcpy(p, prefix.p, prefix.n);
    memcpy(p + prefix.n, path.p, path.n + 1);
    return slice_of(p, prefix.n + path.n);
}

bool decode_addr(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, struct addr *to)
{
    if (!decode_is_scalar(x, key, node))
        return false;
    enum err e = addr_parse(to, whole_address(x, node));
    if (e == OK && (addr_family(to) == AF_UNIX || addr_port(to) > 0))
        return true;
    *to = (struct addr){0};
    if (e == ERR_LIMIT)
        schema_complain(x, key, node, "is longer than the kernel takes for a unix socket");
    else
        schema_complain(x, key, node, e ? "is not an address" : "has no port to connect to");
    return false;
}

bool decode_line(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, struct slice *to)
{
    if (!decode_is_scalar(x, key, node))
        return false;
    *to = arena_slice(x->arena, node->text);
    if (node->text.n == 0 || node->text.n > key->max || !scalar_is_line(node->text)) {
        schema_complain(x, key, node, "cannot be used here");
        return false;
    }
    return true;
}
