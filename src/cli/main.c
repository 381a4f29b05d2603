#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/commands.h"

static const char help[] =
    "usage: tenbin [COMMAND] [OPTIONS]\n"
    "\n"
    "  run [-c FILE]                          serve (the default command)\n"
    "  check [-c FILE] [--format text|json]   is the configuration good?\n"
    "  status                                 what the running process does, as tables\n"
    "  zones                                  the same by Availability Zone\n"
    "  target drain|ready|register|deregister GROUP ADDRESS [--zone ZONE] [--weight N] [--wait]\n"
    "  zone shift ZONE --for TIME --reason TEXT [--force] | zone status | zone cancel ZONE\n"
    "  version\n"
    "\n"
    "FILE is " COMMANDS_CONFIG_PATH " unless given. Commands to the running process find it by\n"
    "the admin.listen of FILE (-c) or take --admin ADDRESS; a token comes from --token-file or\n"
    "$TENBIN_TOKEN.\n"
    "Signals while it serves: SIGHUP reloads the file, SIGTERM and SIGINT stop gracefully (a\n"
    "second one at once), SIGUSR1 reopens the logs.\n"
    "Exit codes: 0 ok, 1 the configuration is bad, the start failed or the command was refused,\n"
    "2 usage, 3 the running process was not reached.\n";

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} commands[] = {
    {"run", run_main},
    {"check", check_main},
    {"status", status_main},
    {"zones", zones_main},
    {"target", target_main},
    {"zone", zone_main},
    {"version", version_main},
    {"--version", version_main},
};

/* Part of the command line as documented, but not of this version. */
static const char *const later[] = {"explain", "diff", "top", "import-aws"};

static int unknown(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        if (strcmp(name, later[i]) == 0) {
            fprintf(stderr, "tenbin: the command %s is not part of this version\n", name);
            return COMMANDS_USAGE;
        }
    fprintf(stderr, "tenbin: unknown command %s\n%s", name, help);
    return COMMANDS_USAGE;
}

int main(int argc, char **argv)
{
    char run[] = "run";
    if (argc < 2)
        return run_main(1, (char *[]){run, NULL});
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, stdout);
        return COMMANDS_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    if (argv[1][0] == '-') /* options of the default command */
        return run_main(argc, argv);
    return unknown(argv[1]);
}
