#include "server/thread.h"

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "server/privileges.h"

static sigset_t all_but_faults(void)
{
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGABRT);
    sigdelset(&set, SIGTRAP);
    return set;
}

void thread_block_signals(void)
{
    sigset_t set = all_but_faults();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

enum err thread_start(pthread_t *t, void *(*run)(void *), void *arg)
{
    sigset_t set = all_but_faults(), before;
    (void)pthread_sigmask(SIG_BLOCK, &set, &before);
    int failed = pthread_create(t, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? ERR_NOMEM : OK;
}

void thread_begin(const char *name)
{
    (void)prctl(PR_SET_NAME, name);
    privileges_none();
}

bool thread_join(pthread_t t, unsigned timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_timedjoin_np(t, NULL, &until) == 0;
}
