/* The health check log: one line a check, in the eight fields of ELB's:
 *
 *   http 2026-11-23T21:48:00.875678Z 0.019584 10.0.1.10:3000 app PASS 200 -
 *   type time                        latency  target_addr    group    code reason
 *
 * What is absent is `-`: the code of a check that got none, the reason of one that passed. The time
 * is that of the check's beginning.
 * Owner: the server. Thread: control. */
#ifndef SERVER_CHECK_LOG_H
#define SERVER_CHECK_LOG_H

#include "server/line_log.h"
#include "upstream/checker.h"

struct check_log {
    struct line_log lines;
    struct clock stamp; /* renders times, see base/clock.h */
};

void check_log_init(struct check_log *log, struct loop *loop, struct log_writer *writer);
/* For struct checker; ctx is a check_log. */
void check_log_write(void *ctx, const struct check_report *r);

#endif
