/* The process as its control thread sees it. Owner: server/supervisor; one a process, but nothing
 * here is global, so tests make their own. Thread: control, but for what worker.h and log_writer.h
 * say. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/admin.h"
#include "server/certificates.h"
#include "server/check_log.h"
#include "server/departures.h"
#include "server/discovery.h"
#include "server/operations.h"
#include "server/publish.h"
#include "server/reload.h"
#include "server/signals.h"
#include "server/snapshots.h"
#include "server/stop.h"
#include "upstream/autoshift.h"
#include "upstream/checker.h"
#include "upstream/ejector.h"
#include "upstream/mitigation.h"

struct server {
    const char *path; /* of the configuration */
    struct loop loop;
    struct signals signals;
    struct log_writer log;
    struct outputs outputs;
    struct snapshots snapshots;
    struct roster roster; /* the newest; each snapshot has its own */
    struct news news;
    struct shifts shifts;
    struct autoshift autoshift;
    struct departures departures;
    struct discovery discovery;
    struct certificates certificates;
    struct checker checker;
    struct ejector ejector;
    struct mitigation mitigation;
    struct check_log check_log;
    struct listeners listeners;
    struct publish publish;
    struct reload reload;
    struct stop stop;
    struct operations operations;
    struct admin admin;
    uint64_t admin_refused_ms; /* when a refusal was last logged; 0: never */

    unsigned workers_n;
    struct worker **workers;
    struct worker_shared shared;

    uint64_t started_ms;
    bool stopping; /* a signal asked for the end */
    int exit_code;
};

#endif
