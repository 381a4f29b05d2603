/* `tenbin run [-c FILE]`: serves, in the foreground, until a signal ends it. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "server/supervisor.h"

static int usage(const char *what, const char *arg)
{
    fprintf(stderr,
            "tenbin run: %s%s\n"
            "usage: tenbin run [-c FILE]\n",
            what, arg);
    return COMMANDS_USAGE;
}

int run_main(int argc, char **argv)
{
    const char *path = COMMANDS_CONFIG_PATH;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-c") != 0)
            return usage("unknown argument ", argv[i]);
        if (++i == argc)
            return usage("a file name is missing after ", "-c");
        path = argv[i];
    }
    return supervisor_run(path);
}
