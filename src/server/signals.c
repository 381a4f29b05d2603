#include "server/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "server/thread.h"

static const int wanted[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

static void on_signals(struct task *t)
{
    struct signals *s = container_of(t, struct signals, task);
    struct signalfd_siginfo info;
    while (s->fd >= 0 && read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        s->handle(s->ctx, (int)info.ssi_signo);
}

static void on_event(struct ev_loop *ev, struct ev_io *w, int revents)
{
    (void)ev;
    (void)revents;
    struct signals *s = w->data;
    runq_push_polled(&s->loop->runq, &s->task);
}

static void ignore_sigpipe(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

enum err signals_init(struct signals *s, struct loop *loop, void (*handle)(void *ctx, int signo),
                      void *ctx)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        sigaddset(&set, wanted[i]);
    *s = (struct signals){.loop = loop, .handle = handle, .ctx = ctx};
    ignore_sigpipe();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0)
        return ERR_SYSTEM;
    task_init(&s->task, on_signals);
    ev_io_init(&s->io, on_event, s->fd, EV_READ);
    s->io.data = s;
    ev_io_start(loop->ev, &s->io);
    return OK;
}

void signals_fini(struct signals *s)
{
    if (s->fd < 0)
        return;
    ev_io_stop(s->loop->ev, &s->io);
    task_cancel(&s->task);
    close(s->fd);
    s->fd = -1;
}
