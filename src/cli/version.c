#include "base/version.h"

#include <stdio.h>

#include "cli/commands.h"

int version_main(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(stderr, "tenbin version: unknown argument %s\n", argv[1]);
        return COMMANDS_USAGE;
    }
    puts("tenbin " VERSION);
    return COMMANDS_OK;
}
