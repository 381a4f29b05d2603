/* The end of the process.
 *
 *   SERVING ──SIGTERM, SIGINT──▶ STOPPING ──all sessions ended──▶ QUITTING ──▶ the loop stops
 *                                   │ timeouts.shutdown passed, or a second signal
 *                                   └▶ what is left is cut ──────────▲
 *
 * STOPPING: no new connections; idle ones are closed, others after the request they are in. A third
 * signal ends the process on the spot. Owner and thread: control. */
#ifndef SERVER_STOP_H
#define SERVER_STOP_H

#include "server/worker.h"

struct server;

enum stop_phase { STOP_SERVING, STOP_STOPPING, STOP_QUITTING };

struct stop {
    struct server *server;
    enum stop_phase phase;
    unsigned signals;
    unsigned due; /* answers of workers to what the phase sent */
    struct worker_command *stops, *cuts, *quits;
    struct timer deadline;
    struct task task;
};

void stop_init(struct stop *s, struct server *server);
void stop_fini(struct stop *s);

/* Workers run. When it is done the control loop stops. Nothing happens the second time. */
void stop_begin(struct stop *s);
void stop_signal(struct stop *s, int signo);

#endif
