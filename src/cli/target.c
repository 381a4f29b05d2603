/* `tenbin target drain|ready|register|deregister GROUP ADDRESS`: changes the running process. An
 * answer means that every worker has applied it; with --wait also that nothing is in flight any
 * more (drain, deregister), or that the target serves (ready, register). */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/client.h"
#include "cli/commands.h"

#define WAIT_MS   30000 /* of one request; more follow */
#define WAIT_TEXT "30s"

struct options {
    struct client client;
    const char *what, *group, *address, *zone, *weight;
    bool wait;
};

static const char *const whats[] = {"drain", "ready", "register", "deregister"};

static int usage(const char *what, const char *arg)
{
    fprintf(stderr,
            "tenbin target: %s%s\n"
            "usage: tenbin target drain|ready|deregister GROUP ADDRESS [--wait]\n"
            "       tenbin target register GROUP ADDRESS [--zone ZONE] [--weight N] [--wait]\n"
            "each with " CLIENT_OPTIONS_HELP "\n",
            what, arg);
    return COMMANDS_USAGE;
}

static bool is_what(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(whats); i++)
        if (strcmp(word, whats[i]) == 0)
            return true;
    return false;
}

static int take_word(struct options *o, const char *word)
{
    const char **to = !o->what ? &o->what : !o->group ? &o->group : &o->address;
    if (word[0] == '-' || o->address)
        return usage("unknown argument ", word);
    if (to == &o->what && !is_what(word))
        return usage("no such command: ", word);
    *to = word;
    return COMMANDS_OK;
}

static int take(struct options *o, int argc, char **argv, int *i)
{
    enum client_option found = client_option(&o->client, argc, argv, i);
    if (found == CLIENT_OPTION_NONE && strcmp(argv[*i], "--zone") == 0)
        found = client_value(&o->client, argc, argv, i, &o->zone);
    else if (found == CLIENT_OPTION_NONE && strcmp(argv[*i], "--weight") == 0)
        found = client_value(&o->client, argc, argv, i, &o->weight);
    if (found != CLIENT_OPTION_NONE)
        return found == CLIENT_OPTION_TAKEN ? COMMANDS_OK : COMMANDS_USAGE;
    if (strcmp(argv[*i], "--wait") != 0)
        return take_word(o, argv[*i]);
    o->wait = true;
    return COMMANDS_OK;
}

static int parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        int rc = take(o, argc, argv, &i);
        if (rc != COMMANDS_OK)
            return rc;
    }
    if (!o->address)
        return usage(!o->what ? "what?" : !o->group ? "of which group?" : "which address?", "");
    if ((o->zone || o->weight) && strcmp(o->what, "register") != 0)
        return usage("--zone and --weight are for register, not for ", o->what);
    return COMMANDS_OK;
}

static void member(struct strbuf *b, const char *name, const char *value)
{
    if (!value)
        return;
    strbuf_printf(b, "%s\"%s\":", b->n ? "," : "{", name);
    strbuf_json(b, slice_str(value));
}

static void write_body(const struct options *o, struct strbuf *b)
{
    member(b, "group", o->group);
    member(b, "address", o->address);
    member(b, "zone", o->zone);
    member(b, "weight", o->weight);
    member(b, "wait", o->wait ? WAIT_TEXT : NULL);
    strbuf_str(b, "}");
}

static void print(struct client_answer *a)
{
    const char *reason = client_text(a, a->json, "reason");
    const char *warning = client_text(a, a->json, "warning");
    printf("%s of %s: %s%s%s%s, %s in flight\n", client_text(a, a->json, "address"),
           client_text(a, a->json, "group"), client_text(a, a->json, "state"), *reason ? " (" : "",
           reason, *reason ? ")" : "", client_text(a, a->json, "in_flight"));
    if (*warning)
        fprintf(stderr, "tenbin target: it will not survive a restart: %s\n", warning);
}

/* One that has left for good is not there to be waited for. */
static bool has_left(const struct options *o, const struct client_answer *a, unsigned asked)
{
    return asked > 1 && a->status == 404 && strcmp(o->what, "deregister") == 0;
}

static int ask(const struct options *o, struct slice body, struct client_answer *a)
{
    char path[32];
    unsigned asked = 0;
    snprintf(path, sizeof(path), "/targets/%s", o->what);
    for (;;) {
        int rc = client_ask(&o->client, path, body, o->wait ? WAIT_MS : 0, a);
        if (rc == COMMANDS_OK && has_left(o, a, ++asked))
            return COMMANDS_OK;
        if (rc == COMMANDS_OK)
            rc = client_check(&o->client, path, a);
        if (rc != COMMANDS_OK)
            return rc;
        if (!o->wait || strcmp(client_text(a, a->json, "done"), "true") == 0)
            break;
    }
    print(a);
    return COMMANDS_OK;
}

int target_main(int argc, char **argv)
{
    struct options o = {.client = {.command = "target"}};
    struct client_answer a;
    struct strbuf body;
    int rc = parse(argc, argv, &o);
    if (rc != COMMANDS_OK)
        return rc;
    client_answer_init(&a);
    strbuf_init(&body);
    write_body(&o, &body);
    rc = ask(&o, strbuf_get(&body), &a);
    strbuf_fini(&body);
    client_answer_fini(&a);
    return rc;
}
