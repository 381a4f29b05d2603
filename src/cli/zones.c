/* `tenbin zones`: targets and load by Availability Zone, and which zones are shifted away. */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/table.h"

#define ZONES_MAX 1024 /* a table longer than that is read by nobody */

struct zone {
    const char *name;
    uint64_t targets, healthy, in_flight, requests;
};

struct zones {
    struct zone all[ZONES_MAX];
    size_t n;
};

static struct zone *zone_of(struct zones *z, const char *name)
{
    size_t i = 0;
    while (i < z->n && strcmp(z->all[i].name, name) != 0)
        i++;
    if (i == ZONES_MAX)
        return &z->all[ZONES_MAX - 1];
    if (i == z->n)
        z->all[z->n++] = (struct zone){.name = name};
    return &z->all[i];
}

/* Targets whose group has no checks count as healthy: they are used as such. */
static void count_target(struct zones *all, struct client_answer *a,
                         const struct yaml_tree_node *target)
{
    struct zone *z = zone_of(all, client_text(a, target, "zone"));
    const char *state = client_text(a, target, "state");
    z->targets++;
    z->healthy += strcmp(state, "healthy") == 0 || strcmp(state, "unavailable") == 0;
    z->in_flight += client_number(target, "in_flight");
    z->requests += client_number(target, "requests");
}

static void count_targets(struct zones *all, struct client_answer *a)
{
    struct yaml_tree_node *const *groups = NULL, *const *targets = NULL;
    for (size_t i = 0, n = client_items(a->json, "groups", &groups); i < n; i++)
        for (size_t j = 0, m = client_items(groups[i], "targets", &targets); j < m; j++)
            count_target(all, a, targets[j]);
}

static const char *shift_of(struct client_answer *a, struct client_answer *shifts, const char *zone)
{
    struct yaml_tree_node *const *all = NULL;
    for (size_t i = 0, n = client_items(shifts->json, "shifts", &all); i < n; i++) {
        char text[512];
        if (strcmp(client_text(shifts, all[i], "zone"), zone) != 0)
            continue;
        uint64_t left = client_number(all[i], "seconds_left");
        snprintf(text, sizeof(text), "shifted away for %lluh %02llum: %s",
                 (unsigned long long)(left / 3600), (unsigned long long)(left / 60 % 60),
                 client_text(shifts, all[i], "reason"));
        return arena_strdup(&a->arena, slice_str(text));
    }
    return "";
}

static void print_zones(struct client_answer *a, struct client_answer *shifts)
{
    static const char *const heads[] = {"ZONE",      ">TARGETS", ">HEALTHY", ">IN FLIGHT",
                                        ">REQUESTS", "NOTE",     NULL};
    const char *own = client_text(a, yaml_tree_get(a->json, "node"), "zone");
    struct zones *z = arena_zalloc(&a->arena, sizeof(*z));
    struct table t;
    count_targets(z, a);
    table_init(&t, heads);
    for (size_t i = 0; i < z->n; i++) {
        const struct zone *k = &z->all[i];
        const char *shift = shift_of(a, shifts, k->name);
        table_add(&t, client_or_dash(k->name));
        table_add_number(&t, k->targets);
        table_add_number(&t, k->healthy);
        table_add_number(&t, k->in_flight);
        table_add_number(&t, k->requests);
        table_add(&t, *shift ? shift : *own && strcmp(own, k->name) == 0 ? "this node's" : "");
    }
    table_print(&t, stdout);
    table_fini(&t);
}

int zones_main(int argc, char **argv)
{
    struct client c = {.command = "zones"};
    struct client_answer a, shifts;
    int rc = client_options(&c, argc, argv);
    if (rc != COMMANDS_OK)
        return rc;
    client_answer_init(&a);
    client_answer_init(&shifts);
    rc = client_ask_well(&c, "/status", slice_of("", 0), 0, &a);
    if (rc == COMMANDS_OK)
        rc = client_ask_well(&c, "/zones/shifts", slice_of("", 0), 0, &shifts);
    if (rc == COMMANDS_OK)
        print_zones(&a, &shifts);
    client_answer_fini(&a);
    client_answer_fini(&shifts);
    return rc;
}
