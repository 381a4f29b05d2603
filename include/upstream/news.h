/* Tells the workers that something about a group's targets has changed: its epoch is raised, and
 * each worker makes its view again at its next pick.
 *
 *   news_raise ──▶ due ──(at once, or NEWS_PAUSE_MS after the last time)──▶ group_news.epoch + 1
 *
 * However often things change, an epoch is raised at most every NEWS_PAUSE_MS, and always after
 * what it stands for. Owner and thread: control. */
#ifndef UPSTREAM_NEWS_H
#define UPSTREAM_NEWS_H

#include "net/loop.h"
#include "upstream/registry.h"

#define NEWS_PAUSE_MS 10

struct news {
    struct loop *loop;
    struct list due;       /* of struct group_news */
    struct ev_timer pause; /* runs while epochs were raised lately */
    struct task publish;
};

void news_init(struct news *n, struct loop *loop);
void news_fini(struct news *n);
/* The change itself was stored before. */
void news_raise(struct news *n, struct group_news *g);
/* Without a pause, for what somebody waits for: every pick from now on sees it. */
void news_raise_now(struct news *n, struct group_news *g);

#endif
