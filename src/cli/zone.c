/* `tenbin zone shift ZONE --for TIME --reason TEXT [--force] | status | cancel ZONE`: takes a zone
 * out of service for a while, in the running process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/commands.h"

struct options {
    struct client client;
    const char *what, *zone, *time, *reason;
    bool force;
};

static int usage(const char *what, const char *arg)
{
    fprintf(stderr,
            "tenbin zone: %s%s\n"
            "usage: tenbin zone shift ZONE --for TIME --reason TEXT [--force]\n"
            "       tenbin zone status\n"
            "       tenbin zone cancel ZONE\n"
            "each with " CLIENT_OPTIONS_HELP "; TIME is 1s to 72h\n",
            what, arg);
    return COMMANDS_USAGE;
}

static bool is(const struct options *o, const char *what)
{
    return o->what && strcmp(o->what, what) == 0;
}

static int take_word(struct options *o, const char *word)
{
    const char **to = !o->what ? &o->what : &o->zone;
    if (word[0] == '-' || o->zone || is(o, "status"))
        return usage("unknown argument ", word);
    *to = word;
    if (is(o, "shift") || is(o, "status") || is(o, "cancel"))
        return COMMANDS_OK;
    return usage("no such command: ", word);
}

static int take(struct options *o, int argc, char **argv, int *i)
{
    enum client_option found = client_option(&o->client, argc, argv, i);
    if (found == CLIENT_OPTION_NONE && strcmp(argv[*i], "--for") == 0)
        found = client_value(&o->client, argc, argv, i, &o->time);
    else if (found == CLIENT_OPTION_NONE && strcmp(argv[*i], "--reason") == 0)
        found = client_value(&o->client, argc, argv, i, &o->reason);
    if (found != CLIENT_OPTION_NONE)
        return found == CLIENT_OPTION_TAKEN ? COMMANDS_OK : COMMANDS_USAGE;
    if (strcmp(argv[*i], "--force") != 0)
        return take_word(o, argv[*i]);
    o->force = true;
    return COMMANDS_OK;
}

static int check(const struct options *o)
{
    bool shift = is(o, "shift");
    if (!o->what)
        return usage("what?", "");
    if (!o->zone && !is(o, "status"))
        return usage("which zone?", "");
    if (shift && !o->time)
        return usage("for how long? --for is missing", "");
    if (shift && !o->reason)
        return usage("why? --reason is missing", "");
    if (!shift && (o->time || o->reason || o->force))
        return usage("--for, --reason and --force are for shift, not for ", o->what);
    return COMMANDS_OK;
}

static int parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        int rc = take(o, argc, argv, &i);
        if (rc != COMMANDS_OK)
            return rc;
    }
    return check(o);
}

static void write_body(const struct options *o, struct strbuf *b)
{
    strbuf_str(b, "{\"zone\":");
    strbuf_json(b, slice_str(o->zone));
    if (is(o, "shift")) {
        strbuf_str(b, ",\"for\":");
        strbuf_json(b, slice_str(o->time));
        strbuf_str(b, ",\"reason\":");
        strbuf_json(b, slice_str(o->reason));
        strbuf_printf(b, ",\"force\":%s", o->force ? "true" : "false");
    }
    strbuf_str(b, "}");
}

static void print_shift(struct client_answer *a, const struct yaml_tree_node *s)
{
    char until[32] = "";
    time_t end = (time_t)strtod(client_text(a, s, "until"), NULL);
    struct tm t;
    if (gmtime_r(&end, &t))
        strftime(until, sizeof(until), "%Y-%m-%d %H:%M:%S UTC", &t);
    printf("%s is shifted away until %s (by %s): %s\n", client_text(a, s, "zone"), until,
           client_text(a, s, "by"), client_text(a, s, "reason"));
}

static void print(struct client_answer *a)
{
    const struct yaml_tree_node *list = yaml_tree_get(a->json, "shifts");
    const char *warning = client_text(a, a->json, "warning");
    size_t n = list && list->kind == YAML_TREE_LIST ? list->items_n : 0;
    for (size_t i = 0; i < n; i++)
        print_shift(a, list->items[i]);
    if (n == 0)
        puts("no zone is shifted away");
    if (*warning)
        fprintf(stderr, "tenbin zone: it will not survive a restart: %s\n", warning);
}

static int ask(const struct options *o, struct client_answer *a)
{
    char path[32];
    struct strbuf body;
    if (is(o, "status"))
        return client_ask_well(&o->client, "/zones/shifts", slice_of("", 0), 0, a);
    snprintf(path, sizeof(path), "/zones/%s", o->what);
    strbuf_init(&body);
    write_body(o, &body);
    int rc = client_ask_well(&o->client, path, strbuf_get(&body), 0, a);
    strbuf_fini(&body);
    return rc;
}

int zone_main(int argc, char **argv)
{
    struct options o = {.client = {.command = "zone"}};
    struct client_answer a;
    int rc = parse(argc, argv, &o);
    if (rc != COMMANDS_OK)
        return rc;
    client_answer_init(&a);
    rc = ask(&o, &a);
    if (rc == COMMANDS_OK)
        print(&a);
    client_answer_fini(&a);
    return rc;
}
