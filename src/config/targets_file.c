#include "config/targets_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "config/schema_tables.h"

/* ---- what is in it ---- */

static const struct schema_key file_keys[] = {
    {.name = "targets",
     .type = SCHEMA_LIST,
     .required = true,
     .decode = schema_group_target_decode,
     .expected = "a list of addresses or of {address: , zone: , weight: }; [] for none",
     .meaning = "as in a target group",
     SCHEMA_ITEMS(config_group, targets, config_target)},
    SCHEMA_END,
};

static void refuse_unix(struct report *r, const struct config_group *g,
                        const struct config_target *t)
{
    if (t->addrs_n == 0 || addr_family(t->addrs) != AF_UNIX)
        return;
    if (g->tls && g->target_tls.verify && g->target_tls.server_name.n == 0)
        report_error(r, t->pos, "%s: tls.server_name is needed to verify a unix socket's certificate",
                     t->text.p);
    if (g->health_check.on && g->health_check.port)
        report_error(r, t->pos, "%s: a unix socket cannot be checked at a port", t->text.p);
}

static void decode(struct arena *a, struct report *r, const struct yaml_tree_node *root,
                   struct config_group *to)
{
    struct expand_env none = {0};
    struct schema_ctx x = {.arena = a, .report = r, .env = &none, .root = ""};
    struct yaml_tree_pair bare = {SLICE("targets"), root->pos, (struct yaml_tree_node *)root};
    struct yaml_tree_node map = {
        .kind = YAML_TREE_MAP, .pos = root->pos, .weight = 1, .pairs = &bare, .pairs_n = 1};
    if (root->kind == YAML_TREE_LIST)
        root = &map;
    schema_map(&x, file_keys, "a targets file", root, to);
}

bool targets_file_parse(struct arena *a, struct report *r, const char *path, struct slice bytes,
                        const struct config_group *g, struct config_target **targets,
                        size_t *targets_n)
{
    struct expand_env none = {0};
    struct config_group found = {0};
    struct arena scratch;
    size_t errors = r->errors;
    arena_init(&scratch);
    const char *name = arena_strdup(a, slice_str(path)); /* positions live as long as targets */
    struct yaml_tree_node *root = yaml_tree_parse(&scratch, r, name, bytes, &none);
    if (root)
        decode(a, r, root, &found);
    for (size_t i = 0; r->errors == errors && i < found.targets_n; i++)
        refuse_unix(r, g, &found.targets[i]);
    arena_fini(&scratch);
    *targets = found.targets;
    *targets_n = found.targets_n;
    return r->errors == errors;
}

/* ---- the file ---- */

/* NULL, or why not. */
static const char *read_all(int fd, size_t size, char **bytes, size_t *n)
{
    ssize_t got = 1;
    if (size > TARGETS_FILE_MAX)
        return "larger than 8 MiB";
    *bytes = malloc(size + 1);
    CHECK(*bytes);
    while (*n <= size && got > 0) {
        got = read(fd, *bytes + *n, size + 1 - *n);
        *n += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        return strerrordesc_np(errno);
    return *n > size ? "it grew while it was read" : NULL;
}

static const char *read_file(const char *path, char **bytes, size_t *n)
{
    struct stat st;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would make the open wait */
    if (fd < 0)
        return strerrordesc_np(errno);
    if (fstat(fd, &st))
        why = strerrordesc_np(errno);
    else if (!S_ISREG(st.st_mode))
        why = "not a file";
    else
        why = read_all(fd, (size_t)st.st_size, bytes, n);
    close(fd);
    return why;
}

bool targets_file_read(struct arena *a, struct report *r, const char *path,
                       const struct config_group *g, struct config_target **targets,
                       size_t *targets_n)
{
    char *bytes = NULL;
    size_t n = 0;
    bool good = false;
    const char *why = read_file(path, &bytes, &n);
    if (why)
        report_error(r, (struct config_pos){.file = arena_strdup(a, slice_str(path))}, "%s", why);
    else
        good = targets_file_parse(a, r, path, slice_of(bytes, n), g, targets, targets_n);
    free(bytes);
    return good;
}
