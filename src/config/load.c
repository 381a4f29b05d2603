#include "config/load.h"

#include <stdlib.h>

#include "config/include.h"
#include "config/lint.h"
#include "config/schema_tables.h"
#include "config/verify.h"

static const char *from_environment(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

struct load_options load_options_default(void)
{
    return (struct load_options){.env = {.lookup = from_environment}, .root = ""};
}

static struct config *new_config(const char *path)
{
    struct arena a;
    arena_init(&a);
    struct config *c = ARENA_NEW(&a, struct config);
    c->arena = a;
    c->path = arena_strdup(&c->arena, slice_str(path));
    return c;
}

static void compile(struct config *c, const struct yaml_tree_node *root,
                    const struct load_options *o, struct report *r)
{
    struct schema_ctx x = {&c->arena, r, &o->env, o->root};
    schema_map(&x, schema_root_keys, "the file", root, c);
    if (root->kind != YAML_TREE_MAP)
        return;
    schema_discovery_count(&x, "resolvers", root, c->resolvers_n);
    verify_config(c, r);
    if (r->errors == 0)
        lint_config(c, r);
}

static struct config *finish(struct config *c, struct arena *scratch, struct report *r)
{
    report_sort(r);
    report_forget(r);
    arena_fini(scratch);
    if (r->errors == 0)
        return c;
    model_free(c);
    return NULL;
}

struct config *load_path(const char *path, const struct load_options *o, struct report *r)
{
    struct config *c = new_config(path);
    struct arena scratch;
    arena_init(&scratch);
    struct yaml_tree_node *root = include_path(&scratch, &c->arena, r, path, &o->env);
    if (root)
        compile(c, root, o, r);
    return finish(c, &scratch, r);
}

struct config *load_bytes(struct slice text, const char *name, const struct load_options *o,
                          struct report *r)
{
    struct config *c = new_config(name);
    struct arena scratch;
    arena_init(&scratch);
    struct yaml_tree_node *root = include_bytes(&scratch, &c->arena, r, name, text, &o->env);
    if (root)
        compile(c, root, o, r);
    return finish(c, &scratch, r);
}
