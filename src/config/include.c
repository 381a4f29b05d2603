#include "config/include.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

/* The lists that included files may add to. */
static const char *const lists[] = {"listeners", "target_groups"};

struct identity {
    dev_t dev;
    ino_t ino;
};

/* Items of one list, from all files. */
struct collected {
    struct yaml_tree_node **items;
    size_t n, cap;
};

struct reader {
    struct arena *scratch, *names;
    struct report *report;
    const struct expand_env *env;
    struct identity files[INCLUDE_FILES_MAX];
    size_t files_n, total_bytes;
    struct collected lists[ARRAY_LEN(lists)];
};

/* --- reading --- */

static bool blame_file(struct reader *rd, struct config_pos pos, const char *path, const char *why)
{
    if (pos.line)
        report_error(rd->report, pos, "%s: %s", path, why);
    else
        report_error(rd->report, (struct config_pos){.file = path}, "%s", why);
    return false;
}

static bool is_new(struct reader *rd, const struct stat *st)
{
    for (size_t i = 0; i < rd->files_n; i++)
        if (rd->files[i].dev == st->st_dev && rd->files[i].ino == st->st_ino)
            return false;
    rd->files[rd->files_n++] = (struct identity){st->st_dev, st->st_ino};
    return true;
}

static bool read_all(struct reader *rd, int fd, struct slice *out, const char **why)
{
    size_t cap = 65536, n = 0;
    char *buf = malloc(cap);
    ssize_t got = -1;
    CHECK(buf);
    while (n <= INCLUDE_FILE_MAX && (got = read(fd, buf + n, cap - n)) > 0) {
        n += (size_t)got;
        if (n == cap) {
            buf = realloc(buf, cap *= 2);
            CHECK(buf);
        }
    }
    rd->total_bytes += n;
    *why = n > INCLUDE_FILE_MAX                  ? "larger than 16 MiB"
           : rd->total_bytes > INCLUDE_TOTAL_MAX ? "with the other files larger than 64 MiB"
           : got < 0                             ? strerrordesc_np(errno)
                                                 : NULL;
    if (!*why)
        *out = arena_slice(rd->scratch, slice_of(buf, n));
    free(buf);
    return !*why;
}

/* pos is where the file was named, or line 0 for the main file. */
static bool read_file(struct reader *rd, struct config_pos pos, const char *path,
                      struct slice *bytes)
{
    struct stat st;
    const char *why = NULL;
    bool included = pos.line > 0, good = false;
    if (rd->files_n == INCLUDE_FILES_MAX)
        return blame_file(rd, pos, path, "more than 1000 files");
    /* An included FIFO would make the open wait; the main file may be one (`-c <(...)`). */
    int fd = open(path, O_RDONLY | O_CLOEXEC | (included ? O_NONBLOCK : 0));
    if (fd < 0 || fstat(fd, &st))
        why = strerrordesc_np(errno);
    else if (S_ISDIR(st.st_mode) || (included && !S_ISREG(st.st_mode)))
        why = "not a file";
    else if (!is_new(rd, &st))
        why = "included a second time";
    else
        good = read_all(rd, fd, bytes, &why);
    if (fd >= 0)
        close(fd);
    return good || blame_file(rd, pos, path, why);
}

/* --- merging --- */

static void collect(struct collected *c, const struct yaml_tree_node *list)
{
    if (c->n + list->items_n > c->cap) {
        c->cap = (c->n + list->items_n) * 2;
        c->items = realloc(c->items, c->cap * sizeof(*c->items));
        CHECK(c->items);
    }
    if (list->items_n)
        memcpy(c->items + c->n, list->items, list->items_n * sizeof(*c->items));
    c->n += list->items_n;
}

static struct collected *find_list(struct reader *rd, struct slice key)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (slice_eq(key, slice_str(lists[i])))
            return &rd->lists[i];
    return NULL;
}

static void add_included(struct reader *rd, const struct yaml_tree_pair *pair)
{
    struct collected *to = find_list(rd, pair->key);
    if (!to)
        report_error(rd->report, pair->key_pos,
                     "\"%s\" cannot stand in an included file: only listeners and target_groups",
                     pair->key.p);
    else if (pair->value->kind != YAML_TREE_LIST)
        report_error(rd->report, pair->value->pos, "%s is not a list", pair->key.p);
    else
        collect(to, pair->value);
}

static bool is_include(const struct yaml_tree_pair *pair)
{
    return slice_eq(pair->key, SLICE("include"));
}

/* --- walking --- */

static struct yaml_tree_node *parse_file(struct reader *rd, struct config_pos pos, const char *path)
{
    struct slice bytes;
    const char *name = arena_strdup(rd->names, slice_str(path));
    if (!read_file(rd, pos, path, &bytes))
        return NULL;
    report_source(rd->report, name, bytes);
    return yaml_tree_parse(rd->scratch, rd->report, name, bytes, rd->env);
}

static void follow_includes(struct reader *rd, const struct yaml_tree_node *root, unsigned depth);

static void read_included(struct reader *rd, struct config_pos pos, const char *path,
                          unsigned depth)
{
    if (depth > INCLUDE_DEPTH_MAX) {
        blame_file(rd, pos, path, "included through more than 8 files");
        return;
    }
    struct yaml_tree_node *root = parse_file(rd, pos, path);
    if (!root)
        return;
    if (root->kind != YAML_TREE_MAP) {
        report_error(rd->report, root->pos, "a map of listeners and target_groups should be here");
        return;
    }
    for (size_t i = 0; i < root->pairs_n; i++)
        if (!is_include(&root->pairs[i]))
            add_included(rd, &root->pairs[i]);
    follow_includes(rd, root, depth);
}

static bool has_wildcard(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}

static void read_pattern(struct reader *rd, const struct yaml_tree_node *node, unsigned depth)
{
    char pattern[PATH_MAX];
    const char *slash = strrchr(node->pos.file, '/');
    int dir = slash && node->text.p[0] != '/' ? (int)(slash - node->pos.file) + 1 : 0;
    int n = snprintf(pattern, sizeof(pattern), "%.*s%s", dir, node->pos.file, node->text.p);
    if (n >= (int)sizeof(pattern)) {
        report_error(rd->report, node->pos, "longer than a path can be");
        return;
    }
    glob_t found;
    int rc = glob(pattern, 0, NULL, &found);
    if (rc == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            read_included(rd, node->pos, found.gl_pathv[i], depth);
        globfree(&found);
    } else if (rc != GLOB_NOMATCH || !has_wildcard(pattern)) {
        blame_file(rd, node->pos, pattern, rc == GLOB_NOMATCH ? "no such file" : "cannot be read");
    }
}

static void follow_include(struct reader *rd, const struct yaml_tree_node *node, unsigned depth)
{
    if (node->kind == YAML_TREE_SCALAR && node->text.n > 0)
        read_pattern(rd, node, depth);
    else
        report_error(rd->report, node->pos,
                     "include: expected a file name pattern or a list of them");
}

static void follow_includes(struct reader *rd, const struct yaml_tree_node *root, unsigned depth)
{
    const struct yaml_tree_node *value = yaml_tree_get(root, "include");
    if (!value)
        return;
    if (value->kind != YAML_TREE_LIST) {
        follow_include(rd, value, depth + 1);
        return;
    }
    for (size_t i = 0; i < value->items_n; i++)
        follow_include(rd, value->items[i], depth + 1);
}

/* --- the main file --- */

static struct yaml_tree_node *new_list(struct reader *rd, struct config_pos pos,
                                       const struct collected *c)
{
    struct yaml_tree_node *n = ARENA_NEW(rd->scratch, struct yaml_tree_node);
    n->kind = YAML_TREE_LIST;
    n->pos = pos;
    n->items = arena_copy(rd->scratch, c->items, c->n * sizeof(*c->items));
    n->items_n = c->n;
    return n;
}

/* The main file's own items come first: they are collected before any include is followed. */
static void collect_own(struct reader *rd, const struct yaml_tree_node *root)
{
    for (size_t i = 0; i < root->pairs_n; i++) {
        struct collected *list = find_list(rd, root->pairs[i].key);
        if (list && root->pairs[i].value->kind == YAML_TREE_LIST)
            collect(list, root->pairs[i].value);
    }
}

/* The main file's map with its lists replaced by the collected ones. */
static void merge(struct reader *rd, struct yaml_tree_node *root)
{
    struct yaml_tree_pair *pairs =
        ARENA_ARRAY(rd->scratch, struct yaml_tree_pair, root->pairs_n + ARRAY_LEN(lists));
    size_t n = 0;
    for (size_t i = 0; i < root->pairs_n; i++)
        if (!is_include(&root->pairs[i]))
            pairs[n++] = root->pairs[i];
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct slice key = slice_str(lists[i]);
        size_t at = 0;
        if (rd->lists[i].n == 0)
            continue;
        while (at < n && !slice_eq(pairs[at].key, key))
            at++;
        struct config_pos pos = at < n ? pairs[at].value->pos : root->pos;
        if (at < n && pairs[at].value->kind != YAML_TREE_LIST)
            continue;
        if (at == n)
            n++;
        pairs[at] = (struct yaml_tree_pair){key, pos, new_list(rd, pos, &rd->lists[i])};
    }
    root->pairs = pairs;
    root->pairs_n = n;
}

static struct reader *new_reader(struct arena *scratch, struct arena *names, struct report *r,
                                 const struct expand_env *env)
{
    struct reader *rd = calloc(1, sizeof(*rd));
    CHECK(rd);
    rd->scratch = scratch;
    rd->names = names;
    rd->report = r;
    rd->env = env;
    return rd;
}

static void free_reader(struct reader *rd)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        free(rd->lists[i].items);
    free(rd);
}

struct yaml_tree_node *include_path(struct arena *scratch, struct arena *names, struct report *r,
                                    const char *path, const struct expand_env *env)
{
    struct reader *rd = new_reader(scratch, names, r, env);
    struct yaml_tree_node *root = parse_file(rd, (struct config_pos){0}, path);
    if (root && root->kind == YAML_TREE_MAP) {
        collect_own(rd, root);
        follow_includes(rd, root, 0);
        merge(rd, root);
    }
    free_reader(rd);
    return root;
}

struct yaml_tree_node *include_bytes(struct arena *scratch, struct arena *names, struct report *r,
                                     const char *name, struct slice text,
                                     const struct expand_env *env)
{
    name = arena_strdup(names, slice_str(name));
    report_source(r, name, text);
    if (text.n > INCLUDE_FILE_MAX) {
        report_error(r, (struct config_pos){.file = name}, "larger than 16 MiB");
        return NULL;
    }
    struct yaml_tree_node *root = yaml_tree_parse(scratch, r, name, text, env);
    if (root && root->kind == YAML_TREE_MAP)
        for (size_t i = 0; i < root->pairs_n; i++)
            if (is_include(&root->pairs[i]))
                report_error(r, root->pairs[i].key_pos, "include works in files only");
    return root;
}
