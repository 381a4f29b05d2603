/* The error log of the program: what an operator reads when something goes wrong. Few lines,
 * never one a request (that is the access log).
 *
 * One sink a process, set at start by server/; before that, and in tools and tests, lines go to
 * standard error. A line is handed to the sink whole. The default sink writes at once, so it is
 * for the control thread and for start-up; workers pass lines by the sink that server/ sets.
 * Thread-safe. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* line ends in a newline. */
typedef void log_sink(void *ctx, struct slice line);

/* While no other thread runs that logs. sink NULL: the default one. */
void log_setup(enum log_level level, enum log_format format, log_sink *sink, void *ctx);
/* At any time: the sink stays. */
void log_adjust(enum log_level level, enum log_format format);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)

#endif
