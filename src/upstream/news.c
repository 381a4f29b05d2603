#include "upstream/news.h"

static void raise_epoch(struct group_news *g)
{
    list_del(&g->due);
    atomic_fetch_add_explicit(&g->epoch, 1, memory_order_release);
}

static void publish(struct task *t)
{
    struct news *n = container_of(t, struct news, publish);
    if (list_empty(&n->due) || ev_is_active(&n->pause))
        return;
    while (!list_empty(&n->due)) {
        struct group_news *g = list_first(&n->due, struct group_news, due);
        raise_epoch(g);
    }
    ev_timer_set(&n->pause, NEWS_PAUSE_MS / 1000.0, 0.);
    ev_timer_start(n->loop->ev, &n->pause);
}

static void on_pause_over(struct ev_loop *ev, struct ev_timer *w, int revents)
{
    (void)ev, (void)revents;
    struct news *n = w->data;
    loop_push(n->loop, &n->publish);
}

void news_raise(struct news *n, struct group_news *g)
{
    if (list_empty(&g->due))
        list_push_back(&n->due, &g->due);
    loop_push(n->loop, &n->publish);
}

void news_raise_now(struct news *n, struct group_news *g)
{
    (void)n;
    raise_epoch(g);
}

void news_init(struct news *n, struct loop *loop)
{
    *n = (struct news){.loop = loop};
    list_init(&n->due);
    task_init(&n->publish, publish);
    ev_timer_init(&n->pause, on_pause_over, 0., 0.);
    n->pause.data = n;
}

void news_fini(struct news *n)
{
    while (!list_empty(&n->due))
        list_del(n->due.next);
    ev_timer_stop(n->loop->ev, &n->pause);
    task_cancel(&n->publish);
}
