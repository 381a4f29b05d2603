/* Threads of the process. Signals are the control thread's business: every other thread blocks
 * them all, but for those that the kernel raises for a fault of the thread itself. */
#ifndef SERVER_THREAD_H
#define SERVER_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

/* ERR_NOMEM: no thread could be made. The thread begins with signals blocked. */
MUST_USE enum err thread_start(pthread_t *t, void *(*run)(void *), void *arg);
/* First thing in the new thread: its name (up to 15 bytes) in ps and top, and no capabilities
 * unless the process runs as root. */
void thread_begin(const char *name);
/* False: it has not ended in time. */
MUST_USE bool thread_join(pthread_t t, unsigned timeout_ms);

/* Blocks in the calling thread what thread_start() blocks. */
void thread_block_signals(void);

#endif
