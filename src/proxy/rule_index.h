/* Many patterns, compiled: which of those that match a text is the best one?
 *
 *   literal patterns       exact[]   a hash table: one probe
 *   patterns with `*`, `?` a radix tree of their literal beginnings (of their endings for hosts,
 *                          where `*.example.com` is the usual form). A node holds
 *                            any        the pattern is that beginning and one `*`
 *                            generals   what else begins like that, best first, tried one by one
 *
 * So the cost is a hash of the text and a walk along at most the longest beginning that matches:
 * neither the number of patterns nor the length of the text adds to it. Branches that hold nothing
 * better than what is found already are not entered.
 *
 * Used twice: for hosts, where a match leads to the index of the paths of that host, and for paths.
 * Owner: the router's arena; patterns point into it too. Immutable once built. */
#ifndef RULE_INDEX_H
#define RULE_INDEX_H

#include "base/arena.h"

struct rule_index;

struct rule_choice {
    uint32_t rank;                 /* the lower the better; with `next`: the best rank in there */
    const struct rule_index *next; /* NULL: rank is the answer */
};

struct rule_entry {
    struct slice pattern;
    struct rule_choice choice;
};

/* Sorts the entries; no two have the same pattern. from_end: the tree is one of endings. */
const struct rule_index *rule_index_build(struct arena *a, struct rule_entry *entries, size_t n,
                                          bool from_end);

/* The lowest rank of all that match, or `best` if none of them is lower. next_text is what an index
 * behind this one matches. */
uint32_t rule_index_match(const struct rule_index *ix, struct slice text, struct slice next_text,
                          uint32_t best);

#endif
