/* How a command talks to the running process: one request over its admin endpoint, blocking.
 *
 *   -c FILE            admin.listen of this configuration (the default one without it)
 *   --admin ADDRESS    or this address
 *   --token-file FILE  whose only line is the token; else $TENBIN_TOKEN
 *
 * What goes wrong is said on standard error, in the name of the command. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/strbuf.h"
#include "config/yaml_tree.h"

#define CLIENT_OPTIONS_HELP "[-c FILE | --admin ADDRESS] [--token-file FILE]"
#define CLIENT_PATIENCE_MS  30000 /* for an answer that nothing holds back */

struct client {
    const char *command; /* for messages: "target" */
    const char *config_path, *admin, *token_file;
};

enum client_option { CLIENT_OPTION_NONE, CLIENT_OPTION_TAKEN, CLIENT_OPTION_BAD };

/* One of the options above at argv[*i]? Then *i is its last word. BAD was explained. */
enum client_option client_option(struct client *c, int argc, char **argv, int *i);

/* The word behind the option at argv[*i]; *i is then its own. BAD: there is none, explained. */
enum client_option client_value(const struct client *c, int argc, char **argv, int *i,
                                const char **to);

/* A command that takes these options and nothing else. */
int client_options(struct client *c, int argc, char **argv);

struct client_answer {
    unsigned status;
    struct arena arena; /* holds what follows */
    struct slice body;
    struct yaml_tree_node *json; /* NULL: the body is not JSON */
};

void client_answer_init(struct client_answer *a);
void client_answer_fini(struct client_answer *a);

/* body empty: GET, else POST. COMMANDS_OK when there is an answer, whatever its status, else what
 * the command ends with. May be called again with the same answer. */
int client_ask(const struct client *c, const char *path, struct slice body, unsigned wait_ms,
               struct client_answer *a);
/* Any status but 200, or a body that is no JSON, is explained: COMMANDS_BAD. */
int client_check(const struct client *c, const char *path, struct client_answer *a);
/* Both. */
int client_ask_well(const struct client *c, const char *path, struct slice body, unsigned wait_ms,
                    struct client_answer *a);

/* The text of a key, "" when there is none; for a terminal: control characters are replaced. */
const char *client_text(struct client_answer *a, const struct yaml_tree_node *map, const char *key);
uint64_t client_number(const struct yaml_tree_node *map, const char *key);
/* The items of a list; 0 when there is none. */
size_t client_items(const struct yaml_tree_node *map, const char *key,
                    struct yaml_tree_node *const **to);
const char *client_or_dash(const char *text);

#endif
