/* Targets that are not in the configuration file: what discovery found and what an operator
 * registered. A roster is a set of immutable lists, one for each
 *
 *   (group, source, origin) ─▶ list ─▶ targets[]
 *
 * Lists are shared by count, so a copy of a roster costs a pointer a list. There are many copies:
 * the control thread's newest one, the loader's, and one in each snapshot, whose members point into
 * the lists. A change is a new list in place of the old one, then reload_refresh()
 * (server/reload.h) makes a snapshot that has it.
 *
 * Who serves when an address is there more than once: the file's own target, then the sources in
 * the order of the enum. The first keeps its zone and weight.
 * A roster belongs to one thread at a time; lists are read by any. */
#ifndef UPSTREAM_ROSTER_H
#define UPSTREAM_ROSTER_H

#include <stdatomic.h>

#include "base/stamp.h"
#include "config/model.h"

enum roster_source {
    ROSTER_FILE, /* the targets file of the group's discovery */
    ROSTER_DNS,  /* A and AAAA records */
    ROSTER_SRV,
    ROSTER_OPERATOR,
    ROSTER_REMOVED, /* by an operator: no target, whoever else names its address */
    ROSTER_NAME,    /* the addresses of one NAME:PORT, which is the origin: they replace those that
                       were found at load, for targets of the file and of all lists above */
};

struct roster_list {
    _Atomic unsigned refs;
    struct arena arena; /* holds all that is below, and the struct itself */
    struct slice group;
    enum roster_source source;
    struct slice origin;           /* empty but for ROSTER_NAME */
    struct config_target *targets; /* no two with the same address; may be none */
    size_t targets_n;
    int64_t good_s;      /* when its targets were read or heard of, since the epoch; 0: never */
    const char *trouble; /* why the last look brought nothing; NULL: it did */
    struct stamp stamp;  /* FILE: the state that was looked at last */
    uint64_t key;        /* DNS, SRV, NAME: what was asked for, see server/found.h */
    uint32_t ttl_s;      /* DNS, SRV: of the answer that it is from */
};

struct roster {
    struct roster_list **lists; /* in order of group, source, origin */
    size_t n, cap;
};

/* ---- lists ---- */

/* With one reference, still to be filled: the maker allocates in its arena. */
struct roster_list *roster_list_new(struct slice group, enum roster_source source,
                                    struct slice origin);
/* Filled with copies of these targets. */
struct roster_list *roster_list_of(struct slice group, enum roster_source source,
                                   struct slice origin, const struct config_target *targets,
                                   size_t targets_n);
/* Would a snapshot be the same with either? */
bool roster_list_same(const struct roster_list *a, const struct roster_list *b);
struct roster_list *roster_list_ref(struct roster_list *l);
void roster_list_unref(struct roster_list *l); /* any thread; NULL is fine */

/* ---- rosters ---- */

void roster_init(struct roster *r);
void roster_fini(struct roster *r);
/* to: not initialized, or empty. */
void roster_copy(struct roster *to, const struct roster *from);

/* NULL: there is none. Valid as long as the roster has it. */
struct roster_list *roster_find(const struct roster *r, struct slice group,
                                enum roster_source source, struct slice origin);
/* Index of the group's first list: the others follow as long as the name is the same. */
size_t roster_first(const struct roster *r, struct slice group);
/* Takes the caller's reference; replaces the list of the same identity. */
void roster_put(struct roster *r, struct roster_list *l);
/* False: there was none. */
bool roster_drop(struct roster *r, struct slice group, enum roster_source source,
                 struct slice origin);
/* Drops the lists that the configuration has no use for: of groups that have gone, or that have
 * another discovery now. */
void roster_keep_wanted(struct roster *r, const struct config *c);

/* One target more, or in place of the one with its address; it must have exactly one. */
void roster_add(struct roster *r, struct slice group, enum roster_source source,
                const struct config_target *target);
/* One less. False: it is not there. */
bool roster_remove(struct roster *r, struct slice group, enum roster_source source,
                   const struct addr *addr);

/* NULL: it is not there. */
const struct config_target *roster_get(const struct roster *r, struct slice group,
                                       enum roster_source source, const struct addr *addr);

/* ---- what a group is made of ---- */

/* Calls `each` with every address of the group, those of the file first, none twice: what a
 * snapshot has as members. r NULL: the file's own. addr lives as long as c and the lists. */
void roster_each(const struct roster *r, const struct config_group *c,
                 void (*each)(void *ctx, const struct config_target *target,
                              const struct addr *addr),
                 void *ctx);

/* Does anybody but operators name the address? */
bool roster_names(const struct roster *r, const struct config_group *c, const struct addr *addr);
/* Forgets what was removed and is named by nobody any more. False: there is nothing to forget. */
bool roster_forget_removed(struct roster *r, const struct config *c);

#endif
