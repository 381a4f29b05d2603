/* The commands of the program, one file each: check_main() is in src/cli/check.c. argv[0] is the
 * command's name. Each returns the exit code. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#define COMMANDS_CONFIG_PATH "/etc/tenbin/tenbin.yaml" /* without -c */

enum commands_exit {
    COMMANDS_OK = 0,
    COMMANDS_BAD = 1,         /* the thing asked about is bad: configuration, test */
    COMMANDS_USAGE = 2,
    COMMANDS_UNREACHABLE = 3, /* the running process did not answer */
};

int run_main(int argc, char **argv);
int check_main(int argc, char **argv);
int version_main(int argc, char **argv);
int target_main(int argc, char **argv);
int zone_main(int argc, char **argv);
int status_main(int argc, char **argv);
int zones_main(int argc, char **argv);

#endif
