/* A snapshot: one loaded configuration, compiled and immutable, shared by all threads.
 *
 *   loader thread:   snapshot_compile(config)          touches nothing shared
 *   control thread:  snapshot_bind (targets, slots) ─▶ publish ─▶ ... ─▶ snapshot_free
 *   workers:         adopt; each exchange pins the newest one at its request head
 *
 * Pins are plain counts, one a worker, written by that worker only. When a worker has adopted a
 * newer snapshot and its pins of an older one are back at 0 it says so once (proxy.h:
 * `released`); after the last worker the control thread frees it.
 */
#ifndef PROXY_SNAPSHOT_H
#define PROXY_SNAPSHOT_H

#include "base/arena.h"
#include "config/model.h"
#include "http/fields.h"
#include "proxy/router.h"
#include "proxy/slot_table.h"
#include "proxy/tls_files.h"
#include "upstream/group.h"
#include "upstream/registry.h"
#include "upstream/roster.h"

struct tls_ctx;
struct crypto_ring;

/* A listener as a snapshot has it. Identity: its name; `slot` is a small number that stands for
 * the name as long as the process lives, so counters and sessions find it again. */
struct listener {
    struct slice name;
    unsigned slot;
    const struct config_listener *config;
    const struct config *root;
    struct router *router; /* rules and the default action; NULL on tcp */
    struct action *tcp_action;
    struct tls_ctx *tls;        /* NULL: plain; see tls_store.h */
    struct tls_files tls_files; /* that it was made from */
    struct field *overrides;    /* response_headers, for http/forward.h */
    uint32_t override_count;
    uint64_t override_mask;
};

struct snapshot_local {
    _Alignas(64) uint64_t pins;
    bool released;
};

struct snapshot {
    uint32_t magic;
    uint64_t generation;
    struct arena arena;
    struct config *config; /* held */
    struct roster roster;  /* the targets that are not in the configuration */
    size_t listeners_n;
    struct listener *listeners;
    unsigned slots_n;          /* length of by_slot */
    struct listener **by_slot; /* NULL: no such listener in this snapshot */
    size_t groups_n;
    struct group *groups;                        /* same order as config->groups */
    struct crypto_ring *tickets;                 /* NULL: no listener needs them */
    struct crypto_ring *cookies;                 /* of stickiness; see tls_store.h */
    struct tls_files ticket_files, cookie_files; /* that the two were made from: one or none */
    struct tls_files *group_files;               /* [groups_n], likewise */
    bool ktls;                                   /* asked for, and this machine can */
    unsigned workers;
    struct snapshot_local *local; /* [workers] */
    unsigned unreleased;          /* workers that still hold it; control thread */
};

/* Takes config. Cannot fail on a verified configuration short of memory. Touches nothing shared. */
struct snapshot *snapshot_compile(struct config *config, unsigned workers);
/* The same with the targets of a roster, which it takes: *roster is empty afterwards. */
struct snapshot *snapshot_compile_with(struct config *config, struct roster *roster,
                                       unsigned workers);
/* Control thread: gives listeners their slots (new names are added to the table) and members their
 * targets, and stamps the generation. ERR_LIMIT: more than SLOTS_MAX names of listeners since the
 * start; nothing has changed and the snapshot can only be freed. */
MUST_USE enum err snapshot_bind(struct snapshot *s, struct registry *registry,
                                struct slot_table *slots, uint64_t generation);
/* Control thread: the targets lose a reference; all of the memory goes. One that was never bound
 * may be freed by any thread; registry is then NULL. */
void snapshot_free(struct snapshot *s, struct registry *registry);

#endif
