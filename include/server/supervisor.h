/* The life of the process: start, serve, stop. There is no parent process; the supervisor is the
 * control thread.
 *
 *   load ─▶ give up root ─▶ descriptors ─▶ outputs ─▶ probe and bind ─▶ threads ─▶ listen ─▶ serve
 *
 * Whatever can fail has failed before the first thread starts, and says so on standard error.
 * Then signals drive it: SIGHUP (server/reload.h), SIGUSR1 reopens logs, SIGTERM and SIGINT
 * (server/stop.h). */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

/* Returns the exit code: 0 after a stop that was asked for, 1 when it could not start. To be
 * called once, from the main thread. */
int supervisor_run(const char *config_path);

#endif
