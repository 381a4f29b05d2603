/* Intrusive doubly linked list. The head is a node that points to itself when empty; a node in
 * no list points to itself too, so list_del() is idempotent and close paths need no flags.
 * A list owns nothing. Single thread. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/check.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *n)
{
    n->prev = at;
    n->next = at->next;
    at->next->prev = n;
    at->next = n;
}

static inline void list_push_front(struct list *l, struct list *n)
{
    list_insert_after(l, n);
}

static inline void list_push_back(struct list *l, struct list *n)
{
    list_insert_after(l->prev, n);
}

static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* All of `from` to the end of `to`, in order; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(l, type, member)    list_entry((l)->next, type, member)

/* Safe against removal of `n` itself in the body, not of its successor. */
#define list_each(n, tmp, l)                                                                       \
    for (struct list *n = (l)->next, *tmp = n->next; n != (l); n = tmp, tmp = n->next)

#endif
