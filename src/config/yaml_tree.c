/* libyaml's events become nodes on a stack: a frame for each list or map that is still open, and
 * below the frames one array of the children read so far.
 *
 *   frames    [ map @0 ][ list @2 ]             depth is bounded
 *   children  [ a: 1 ][ b: 2 ][ - x ][ - y ]    a frame's children begin at its index
 *
 * When a list or map ends, its children move to the arena and the frame becomes one child of the
 * frame below it. */
#include "config/yaml_tree.h"

#include <stdlib.h>
#include <yaml.h>

#include "base/check.h"

#define ANCHORS_MAX 1000

struct frame {
    struct yaml_tree_node *node;
    size_t first_child;
    bool has_key; /* of a map: the key was read, its value is next */
    struct slice key;
    struct config_pos key_pos;
};

struct anchor {
    char *name;
    struct yaml_tree_node *node;
    bool open; /* the node is still being read */
};

struct builder {
    struct arena *arena;
    struct report *report;
    const struct expand_env *env;
    const char *file;
    struct frame frames[YAML_TREE_DEPTH_MAX];
    size_t depth;
    struct yaml_tree_pair *children;
    size_t children_n, children_cap;
    struct anchor anchors[ANCHORS_MAX];
    size_t anchors_n;
    size_t nodes, aliased;
    size_t documents;
    struct yaml_tree_node *root;
};

static struct config_pos pos_of(const struct builder *b, yaml_mark_t mark)
{
    return (struct config_pos){b->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static struct slice text_of(const yaml_char_t *p, size_t n)
{
    return slice_of((const char *)p, n);
}

static void push_child(struct builder *b, struct yaml_tree_pair child)
{
    if (b->children_n == b->children_cap) {
        b->children_cap *= 2;
        b->children = realloc(b->children, b->children_cap * sizeof(*b->children));
        CHECK(b->children);
    }
    b->children[b->children_n++] = child;
}

/* A finished node goes to the frame that is open, or is the root. */
static bool attach(struct builder *b, struct yaml_tree_node *n)
{
    if (b->depth == 0) {
        b->root = n;
        return true;
    }
    struct frame *f = &b->frames[b->depth - 1];
    f->node->weight += n->weight;
    if (f->node->kind == YAML_TREE_LIST) {
        push_child(b, (struct yaml_tree_pair){.value = n});
    } else if (f->has_key) {
        push_child(b, (struct yaml_tree_pair){f->key, f->key_pos, n});
        f->has_key = false;
    } else {
        report_error(b->report, n->pos, "a key must be a plain word");
        return false;
    }
    return true;
}

static struct yaml_tree_node *new_node(struct builder *b, enum yaml_tree_kind kind,
                                       struct config_pos pos)
{
    if (++b->nodes > YAML_TREE_NODES_MAX) {
        report_error(b->report, pos, "more than %d values", YAML_TREE_NODES_MAX);
        return NULL;
    }
    struct yaml_tree_node *n = ARENA_NEW(b->arena, struct yaml_tree_node);
    n->kind = kind;
    n->pos = pos;
    n->weight = 1;
    return n;
}

/* --- anchors and aliases --- */

static struct anchor *find_anchor(struct builder *b, const char *name)
{
    for (size_t i = b->anchors_n; i > 0; i--)
        if (strcmp(b->anchors[i - 1].name, name) == 0)
            return &b->anchors[i - 1];
    return NULL;
}

static bool set_anchor(struct builder *b, const yaml_char_t *name, struct yaml_tree_node *n)
{
    if (!name)
        return true;
    struct anchor *a = find_anchor(b, (const char *)name);
    if (!a && b->anchors_n == ANCHORS_MAX) {
        report_error(b->report, n->pos, "more than %d anchors", ANCHORS_MAX);
        return false;
    }
    if (!a) {
        a = &b->anchors[b->anchors_n++];
        a->name = arena_strdup(b->arena, slice_str((const char *)name));
    }
    a->node = n;
    a->open = n->kind != YAML_TREE_SCALAR;
    return true;
}

static void close_anchor(struct builder *b, const struct yaml_tree_node *n)
{
    for (size_t i = 0; i < b->anchors_n; i++)
        if (b->anchors[i].node == n)
            b->anchors[i].open = false;
}

static bool on_alias(struct builder *b, const yaml_event_t *ev)
{
    const char *name = (const char *)ev->data.alias.anchor;
    struct config_pos pos = pos_of(b, ev->start_mark);
    struct anchor *a = find_anchor(b, name);
    if (!a) {
        report_error(b->report, pos, "*%s stands for nothing: there is no &%s before it", name,
                     name);
        return false;
    }
    if (a->open) {
        report_error(b->report, pos, "*%s contains itself", name);
        return false;
    }
    b->aliased += a->node->weight;
    if (b->aliased > YAML_TREE_ALIASED_MAX) {
        report_error(b->report, pos, "the aliases of this file stand for more than %d values",
                     YAML_TREE_ALIASED_MAX);
        return false;
    }
    return attach(b, a->node);
}

/* --- scalars --- */

static bool refuse_tag(struct builder *b, const yaml_char_t *tag, struct config_pos pos)
{
    if (tag)
        report_error(b->report, pos, "tags (%s) are not used here", (const char *)tag);
    return tag != NULL;
}

static bool is_null(const yaml_event_t *ev, struct slice text)
{
    return ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.n == 0 || slice_eq(text, SLICE("~")) || slice_ieq(text, SLICE("null")));
}

static bool is_key(const struct builder *b)
{
    const struct frame *f = b->depth ? &b->frames[b->depth - 1] : NULL;
    return f && f->node->kind == YAML_TREE_MAP && !f->has_key;
}

static bool on_key(struct builder *b, const yaml_event_t *ev)
{
    struct frame *f = &b->frames[b->depth - 1];
    f->key = arena_slice(b->arena, text_of(ev->data.scalar.value, ev->data.scalar.length));
    f->key_pos = pos_of(b, ev->start_mark);
    f->has_key = true;
    return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *ev)
{
    struct config_pos pos = pos_of(b, ev->start_mark);
    struct slice text = text_of(ev->data.scalar.value, ev->data.scalar.length);
    if (refuse_tag(b, ev->data.scalar.tag, pos))
        return false;
    if (is_key(b))
        return on_key(b, ev);
    struct yaml_tree_node *n = new_node(b, YAML_TREE_SCALAR, pos);
    if (!n)
        return false;
    n->null = is_null(ev, text);
    n->text = arena_slice(b->arena, text);
    if (b->env)
        n->text = expand_text(b->arena, b->report, pos, n->text, b->env);
    return set_anchor(b, ev->data.scalar.anchor, n) && attach(b, n);
}

/* --- lists and maps --- */

static bool open_frame(struct builder *b, enum yaml_tree_kind kind, const yaml_event_t *ev,
                       const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct config_pos pos = pos_of(b, ev->start_mark);
    if (refuse_tag(b, tag, pos))
        return false;
    if (b->depth == YAML_TREE_DEPTH_MAX) {
        report_error(b->report, pos, "nested deeper than %d levels", YAML_TREE_DEPTH_MAX);
        return false;
    }
    if (is_key(b)) {
        report_error(b->report, pos, "a key must be a plain word");
        return false;
    }
    struct yaml_tree_node *n = new_node(b, kind, pos);
    if (!n || !set_anchor(b, anchor, n))
        return false;
    b->frames[b->depth++] = (struct frame){.node = n, .first_child = b->children_n};
    return true;
}

static int compare_keys(const void *x, const void *y)
{
    const struct yaml_tree_pair *a = *(const struct yaml_tree_pair *const *)x;
    const struct yaml_tree_pair *b = *(const struct yaml_tree_pair *const *)y;
    size_t n = a->key.n < b->key.n ? a->key.n : b->key.n;
    int c = memcmp(a->key.p, b->key.p, n);
    if (c || a->key.n != b->key.n)
        return c ? c : (a->key.n < b->key.n ? -1 : 1);
    return a < b ? -1 : 1;
}

/* Sorted, so that a map of a million keys does not take a million times a million steps. */
static void refuse_duplicates(struct builder *b, const struct yaml_tree_node *map)
{
    const struct yaml_tree_pair **order = calloc(map->pairs_n + 1, sizeof(const void *));
    CHECK(order);
    for (size_t i = 0; i < map->pairs_n; i++)
        order[i] = &map->pairs[i];
    qsort(order, map->pairs_n, sizeof(*order), compare_keys);
    for (size_t i = 1; i < map->pairs_n; i++) {
        const struct yaml_tree_pair *first = order[i - 1], *again = order[i];
        if (slice_eq(first->key, again->key))
            report_error(b->report, again->key_pos,
                         "duplicate key \"%s\": it is already in line %u", again->key.p,
                         first->key_pos.line);
    }
    free(order);
}

static void move_children(struct builder *b, struct frame *f)
{
    struct yaml_tree_node *n = f->node;
    const struct yaml_tree_pair *from = b->children + f->first_child;
    size_t count = b->children_n - f->first_child;
    if (n->kind == YAML_TREE_LIST) {
        n->items = ARENA_ARRAY(b->arena, struct yaml_tree_node *, count);
        n->items_n = count;
        for (size_t i = 0; i < count; i++)
            n->items[i] = from[i].value;
    } else {
        n->pairs = arena_copy(b->arena, from, count * sizeof(*from));
        n->pairs_n = count;
        refuse_duplicates(b, n);
    }
    b->children_n = f->first_child;
}

static bool close_frame(struct builder *b)
{
    struct frame *f = &b->frames[--b->depth];
    move_children(b, f);
    close_anchor(b, f->node);
    return attach(b, f->node);
}

static bool on_document(struct builder *b, const yaml_event_t *ev)
{
    if (b->documents++ == 0)
        return true;
    report_error(b->report, pos_of(b, ev->start_mark), "a second document begins here");
    return false;
}

static bool on_event(struct builder *b, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b, ev);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, ev);
    case YAML_ALIAS_EVENT:
        return on_alias(b, ev);
    case YAML_SEQUENCE_START_EVENT:
        return open_frame(b, YAML_TREE_LIST, ev, ev->data.sequence_start.anchor,
                          ev->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_frame(b, YAML_TREE_MAP, ev, ev->data.mapping_start.anchor,
                          ev->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_frame(b);
    default:
        return true;
    }
}

/* --- what libyaml refuses --- */

static struct config_pos pos_of_offset(const struct builder *b, struct slice bytes, size_t offset)
{
    struct config_pos pos = {b->file, 1, 1};
    for (size_t i = 0; i < offset && i < bytes.n; i++) {
        bool newline = bytes.p[i] == '\n', inner = ((unsigned char)bytes.p[i] & 0xc0) == 0x80;
        pos.line += newline;
        pos.column = newline ? 1 : pos.column + !inner;
    }
    return pos;
}

static void report_syntax(struct builder *b, struct slice bytes, const yaml_parser_t *p)
{
    if (p->error == YAML_READER_ERROR) {
        report_error(b->report, pos_of_offset(b, bytes, p->problem_offset), "not UTF-8 text: %s",
                     p->problem);
        return;
    }
    struct config_pos pos = pos_of(b, p->problem_mark);
    struct report_entry *e =
        report_error(b->report, pos, "not YAML: %s", p->problem ? p->problem : "unknown problem");
    if (p->problem && strstr(p->problem, "cannot start any token"))
        report_hint(b->report, e, "a tab? YAML is indented with blanks");
    else if (p->context)
        report_hint(b->report, e, "%s that begins in line %zu", p->context,
                    p->context_mark.line + 1);
}

static bool parse_events(struct builder *b, struct slice bytes)
{
    yaml_parser_t parser;
    bool good = true, more = true;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes.p, bytes.n);
    while (good && more) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&parser, &ev)) {
            report_syntax(b, bytes, &parser);
            good = false;
            break;
        }
        more = ev.type != YAML_STREAM_END_EVENT;
        good = on_event(b, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
    return good;
}

struct yaml_tree_node *yaml_tree_parse(struct arena *a, struct report *r, const char *file,
                                       struct slice bytes, const struct expand_env *env)
{
    /* Too large for the stack of a loader thread. */
    struct builder *b = calloc(1, sizeof(*b));
    struct yaml_tree_node *root = NULL;
    CHECK(b);
    b->children_cap = 64;
    b->children = calloc(b->children_cap, sizeof(*b->children));
    CHECK(b->children);
    b->arena = a;
    b->report = r;
    b->env = env;
    b->file = file;
    if (parse_events(b, bytes)) {
        root = b->root;
        if (!root || (root->kind == YAML_TREE_SCALAR && root->null))
            root = new_node(b, YAML_TREE_MAP, (struct config_pos){file, 1, 1});
    }
    free(b->children);
    free(b);
    return root;
}

struct yaml_tree_node *yaml_tree_get(const struct yaml_tree_node *map, const char *key)
{
    if (map->kind != YAML_TREE_MAP)
        return NULL;
    for (size_t i = 0; i < map->pairs_n; i++)
        if (slice_eq(map->pairs[i].key, slice_str(key)))
            return map->pairs[i].value;
    return NULL;
}
