/* `tenbin status`: what the running process does, as tables, from its /status. */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/table.h"

static void print_process(struct client_answer *a)
{
    const struct yaml_tree_node *s = a->json, *reloads = yaml_tree_get(s, "reloads");
    uint64_t up = client_number(s, "uptime_seconds");
    const char *zone = client_text(a, yaml_tree_get(s, "node"), "zone");
    printf("tenbin %s: generation %s, %s workers, up %llud %02llu:%02llu:%02llu%s%s\n",
           client_text(a, s, "version"), client_text(a, s, "generation"),
           client_text(a, s, "workers"), (unsigned long long)(up / 86400),
           (unsigned long long)(up / 3600 % 24), (unsigned long long)(up / 60 % 60),
           (unsigned long long)(up % 60), *zone ? ", zone " : "", zone);
    printf("%s client connections, %s in flight, reloads: %s ok, %s failed\n\n",
           client_text(a, s, "connections"), client_text(a, s, "in_flight"),
           client_text(a, reloads, "ok"), client_text(a, reloads, "failed"));
}

static void add_listener(struct table *t, struct client_answer *a, const struct yaml_tree_node *l)
{
    struct yaml_tree_node *const *addrs = NULL;
    size_t n = client_items(l, "listen", &addrs);
    table_add(t, client_text(a, l, "name"));
    table_add(t, client_text(a, l, "protocol"));
    table_add(t, n && addrs[0]->kind == YAML_TREE_SCALAR ? addrs[0]->text.p : "");
    table_add_number(t, client_number(l, "connections"));
    table_add_number(t, client_number(l, "requests"));
}

static void print_listeners(struct client_answer *a)
{
    static const char *const heads[] = {"LISTENER",     "PROTOCOL",  "ADDRESS",
                                        ">CONNECTIONS", ">REQUESTS", NULL};
    struct table t;
    struct yaml_tree_node *const *all = NULL;
    table_init(&t, heads);
    for (size_t i = 0, n = client_items(a->json, "listeners", &all); i < n; i++)
        add_listener(&t, a, all[i]);
    table_print(&t, stdout);
    table_fini(&t);
}

static void add_target(struct table *t, struct client_answer *a, const char *group,
                       const struct yaml_tree_node *m)
{
    table_add(t, group);
    table_add(t, client_text(a, m, "address"));
    table_add(t, client_or_dash(client_text(a, m, "zone")));
    table_add_number(t, client_number(m, "weight"));
    table_add(t, client_text(a, m, "state"));
    table_add_number(t, client_number(m, "in_flight"));
    table_add_number(t, client_number(m, "requests"));
    table_add(t, client_text(a, m, "reason"));
}

static void print_targets(struct client_answer *a)
{
    static const char *const heads[] = {"GROUP",      "TARGET",    "ZONE",   ">WEIGHT", "STATE",
                                        ">IN FLIGHT", ">REQUESTS", "REASON", NULL};
    struct yaml_tree_node *const *groups = NULL, *const *targets = NULL;
    struct table t;
    table_init(&t, heads);
    for (size_t i = 0, n = client_items(a->json, "groups", &groups); i < n; i++) {
        const char *name = client_text(a, groups[i], "name");
        for (size_t j = 0, m = client_items(groups[i], "targets", &targets); j < m; j++)
            add_target(&t, a, name, targets[j]);
    }
    table_print(&t, stdout);
    table_fini(&t);
}

static void print_status(struct client_answer *a)
{
    print_process(a);
    print_listeners(a);
    puts("");
    print_targets(a);
}

int status_main(int argc, char **argv)
{
    struct client c = {.command = "status"};
    struct client_answer a;
    int rc = client_options(&c, argc, argv);
    if (rc != COMMANDS_OK)
        return rc;
    client_answer_init(&a);
    rc = client_ask_well(&c, "/status", slice_of("", 0), 0, &a);
    if (rc == COMMANDS_OK)
        print_status(&a);
    client_answer_fini(&a);
    return rc;
}
