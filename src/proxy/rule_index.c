#include "rule_index.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "proxy/pattern.h"

/* ---- the compiled form ---- */

struct exact_slot {
    uint32_t tag;   /* upper half of the hash */
    uint32_t entry; /* index + 1; 0: free */
};

struct general {
    struct slice rest; /* the pattern without the literal part that led here */
    struct rule_choice choice;
};

/* Children are found by their first byte in one step: a table of the bytes from the lowest to the
 * highest one that leads anywhere. */
struct node {
    struct slice label; /* behind the byte that led here */
    uint32_t best;      /* lowest rank in here and below */
    uint32_t generals_n;
    uint8_t lowest;
    uint16_t span;         /* length of turns; 0: no children */
    const uint16_t *turns; /* by byte - lowest: index of the child + 1; 0: none */
    struct node *children;
    struct general *generals;
    struct rule_choice any; /* rank UINT32_MAX: none */
};

struct rule_index {
    bool from_end;
    uint32_t mask;  /* size of slots - 1 */
    size_t longest; /* literal pattern; longer texts are not even hashed */
    struct exact_slot *slots;
    struct rule_entry *exact;
    struct node *root; /* NULL: no wildcards */
};

/* ---- matching ---- */

static uint32_t settle(const struct rule_choice *c, struct slice next_text, uint32_t best)
{
    if (c->rank >= best)
        return best;
    return c->next ? rule_index_match(c->next, next_text, slice_of(NULL, 0), best) : c->rank;
}

static uint32_t match_exact(const struct rule_index *ix, struct slice text, struct slice next_text,
                            uint32_t best)
{
    if (!ix->slots || text.n > ix->longest)
        return best;
    uint64_t hash = hash_bytes(text, 0);
    for (uint32_t at = (uint32_t)hash & ix->mask; ix->slots[at].entry; at = (at + 1) & ix->mask) {
        const struct rule_entry *e = &ix->exact[ix->slots[at].entry - 1];
        if (ix->slots[at].tag == (uint32_t)(hash >> 32) && slice_eq(e->pattern, text))
            return settle(&e->choice, next_text, best);
    }
    return best;
}

/* Takes n bytes off the text's beginning, or its end, and returns them. */
static const char *take(const struct rule_index *ix, struct slice *text, size_t n)
{
    const char *from = ix->from_end ? text->p + text->n - n : text->p;
    text->p += ix->from_end ? 0 : n;
    text->n -= n;
    return from;
}

static bool take_label(const struct rule_index *ix, struct slice label, struct slice *text)
{
    if (label.n == 0)
        return true;
    return label.n <= text->n && memcmp(take(ix, text, label.n), label.p, label.n) == 0;
}

static uint32_t match_node(const struct node *n, struct slice text, struct slice next_text,
                           uint32_t best)
{
    best = settle(&n->any, next_text, best);
    for (uint32_t i = 0; i < n->generals_n && n->generals[i].choice.rank < best; i++)
        if (pattern_match(n->generals[i].rest, text))
            best = settle(&n->generals[i].choice, next_text, best);
    return best;
}

static const struct node *take_turn(const struct rule_index *ix, const struct node *n,
                                    struct slice *text)
{
    if (text->n == 0)
        return NULL;
    unsigned turn = (unsigned)(uint8_t)*take(ix, text, 1) - n->lowest;
    return turn < n->span && n->turns[turn] ? &n->children[n->turns[turn] - 1] : NULL;
}

static uint32_t match_wildcards(const struct rule_index *ix, struct slice text,
                                struct slice next_text, uint32_t best)
{
    const struct node *n = ix->root;
    while (n && n->best < best && take_label(ix, n->label, &text)) {
        best = match_node(n, text, next_text, best);
        n = take_turn(ix, n, &text);
    }
    return best;
}

uint32_t rule_index_match(const struct rule_index *ix, struct slice text, struct slice next_text,
                          uint32_t best)
{
    best = match_exact(ix, text, next_text, best);
    return match_wildcards(ix, text, next_text, best);
}

/* ---- building: literal patterns ---- */

static void add_exact(struct rule_index *ix, uint32_t i)
{
    struct slice text = ix->exact[i].pattern;
    uint64_t hash = hash_bytes(text, 0);
    uint32_t at = (uint32_t)hash & ix->mask;
    while (ix->slots[at].entry)
        at = (at + 1) & ix->mask;
    ix->slots[at] = (struct exact_slot){.tag = (uint32_t)(hash >> 32), .entry = i + 1};
    if (text.n > ix->longest)
        ix->longest = text.n;
}

static void build_exact(struct rule_index *ix, struct arena *a, const struct rule_entry *entries,
                        size_t n)
{
    uint32_t size = 4;
    while (size < 2 * n)
        size *= 2;
    ix->mask = size - 1;
    ix->slots = ARENA_ARRAY(a, struct exact_slot, size);
    ix->exact = arena_copy(a, entries, n * sizeof(*entries));
    for (uint32_t i = 0; i < n; i++)
        add_exact(ix, i);
}

/* ---- building: the tree ---- */

/* A pattern with wildcards, cut where the first one (from the end: the last one) begins. */
struct cut {
    struct slice key; /* the literal part */
    struct slice rest;
    struct rule_choice choice;
};

/* The i-th byte as the walk meets it. */
static unsigned char key_byte(struct slice key, size_t i, bool from_end)
{
    return (unsigned char)key.p[from_end ? key.n - 1 - i : i];
}

static size_t shared(struct slice a, struct slice b, size_t from, bool from_end)
{
    while (from < a.n && from < b.n && key_byte(a, from, from_end) == key_byte(b, from, from_end))
        from++;
    return from;
}

static int compare_cuts(const struct cut *x, const struct cut *y, bool from_end)
{
    size_t at = shared(x->key, y->key, 0, from_end);
    if (at < x->key.n && at < y->key.n)
        return key_byte(x->key, at, from_end) - key_byte(y->key, at, from_end);
    if (x->key.n != y->key.n)
        return x->key.n < y->key.n ? -1 : 1;
    return (x->choice.rank > y->choice.rank) - (x->choice.rank < y->choice.rank);
}

static int by_beginning(const void *x, const void *y)
{
    return compare_cuts(x, y, false);
}

static int by_ending(const void *x, const void *y)
{
    return compare_cuts(x, y, true);
}

static struct cut cut_entry(const struct rule_entry *e, bool from_end)
{
    struct slice p = e->pattern, key = from_end ? pattern_tail(p) : pattern_head(p);
    struct slice rest = from_end ? slice_upto(p, p.n - key.n) : slice_from(p, key.n);
    return (struct cut){.key = key, .rest = rest, .choice = e->choice};
}

/* A stretch of the sorted cuts that begin alike, and the node they go to. */
struct stretch {
    struct node *node;
    size_t begin, end;
    size_t depth; /* bytes of the keys that lie above the node */
};

struct tree_build {
    struct arena *arena;
    bool from_end;
    struct cut *cuts;
    struct stretch *todo; /* a stack instead of recursion: keys may nest as deep as they are many */
    size_t todo_n;
};

static void label_node(const struct tree_build *b, struct stretch *s)
{
    struct slice key = b->cuts[s->begin].key;
    size_t upto = shared(key, b->cuts[s->end - 1].key, s->depth, b->from_end);
    size_t off = b->from_end ? key.n - upto : s->depth;
    s->node->label = slice_of(key.p + off, upto - s->depth);
    s->depth = upto;
    s->node->best = UINT32_MAX;
    for (size_t i = s->begin; i < s->end; i++)
        if (b->cuts[i].choice.rank < s->node->best)
            s->node->best = b->cuts[i].choice.rank;
}

/* Those whose key ends at this node; they come first and are sorted by rank. */
static void fill_node(const struct tree_build *b, struct stretch *s)
{
    struct node *n = s->node;
    size_t end = s->begin;
    while (end < s->end && b->cuts[end].key.n == s->depth)
        end++;
    n->any.rank = UINT32_MAX;
    n->generals = ARENA_ARRAY(b->arena, struct general, end - s->begin);
    for (; s->begin < end; s->begin++) {
        const struct cut *c = &b->cuts[s->begin];
        if (slice_eq(c->rest, SLICE("*")))
            n->any = c->choice;
        else
            n->generals[n->generals_n++] = (struct general){c->rest, c->choice};
    }
}

static unsigned first_byte(const struct tree_build *b, const struct stretch *s, size_t i)
{
    return key_byte(b->cuts[i].key, s->depth, b->from_end);
}

static size_t end_of_child(const struct tree_build *b, const struct stretch *s, size_t begin)
{
    size_t end = begin;
    while (end < s->end && first_byte(b, s, end) == first_byte(b, s, begin))
        end++;
    return end;
}

static void add_children(struct tree_build *b, const struct stretch *s)
{
    struct node *n = s->node;
    uint16_t children = 0;
    if (s->begin == s->end)
        return;
    n->lowest = (uint8_t)first_byte(b, s, s->begin);
    n->span = (uint16_t)(first_byte(b, s, s->end - 1) - n->lowest + 1);
    uint16_t *turns = ARENA_ARRAY(b->arena, uint16_t, n->span);
    n->turns = turns;
    for (size_t i = s->begin; i < s->end; i = end_of_child(b, s, i))
        turns[first_byte(b, s, i) - n->lowest] = ++children;
    n->children = ARENA_ARRAY(b->arena, struct node, children);
    struct node *child = n->children;
    for (size_t i = s->begin, end; i < s->end; i = end) {
        end = end_of_child(b, s, i);
        b->todo[b->todo_n++] = (struct stretch){child++, i, end, s->depth + 1};
    }
}

static struct node *build_tree(struct tree_build *b, size_t n)
{
    struct node *root = ARENA_NEW(b->arena, struct node);
    b->todo[b->todo_n++] = (struct stretch){root, 0, n, 0};
    while (b->todo_n) {
        struct stretch s = b->todo[--b->todo_n];
        label_node(b, &s);
        fill_node(b, &s);
        add_children(b, &s);
    }
    return root;
}

static void build_wildcards(struct rule_index *ix, struct arena *a,
                            const struct rule_entry *entries, size_t n)
{
    struct arena scratch;
    arena_init(&scratch);
    struct tree_build b = {.arena = a, .from_end = ix->from_end};
    b.cuts = ARENA_ARRAY(&scratch, struct cut, n);
    b.todo = ARENA_ARRAY(&scratch, struct stretch, n + 1);
    for (size_t i = 0; i < n; i++)
        b.cuts[i] = cut_entry(&entries[i], ix->from_end);
    qsort(b.cuts, n, sizeof(*b.cuts), ix->from_end ? by_ending : by_beginning);
    ix->root = build_tree(&b, n);
    arena_fini(&scratch);
}

static int literals_first(const void *x, const void *y)
{
    const struct rule_entry *a = x, *b = y;
    return pattern_is_literal(b->pattern) - pattern_is_literal(a->pattern);
}

const struct rule_index *rule_index_build(struct arena *a, struct rule_entry *entries, size_t n,
                                          bool from_end)
{
    CHECK(n < UINT32_MAX / 4);
    struct rule_index *ix = ARENA_NEW(a, struct rule_index);
    ix->from_end = from_end;
    if (n == 0)
        return ix;
    qsort(entries, n, sizeof(*entries), literals_first);
    size_t literals = 0;
    while (literals < n && pattern_is_literal(entries[literals].pattern))
        literals++;
    if (literals)
        build_exact(ix, a, entries, literals);
    if (literals < n)
        build_wildcards(ix, a, entries + literals, n - literals);
    return ix;
}
