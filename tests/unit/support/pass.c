#include "support/pass.h"

static void run_all(struct loop *l)
{
    struct list round;
    list_init(&round);
    while (!runq_empty(&l->runq)) {
        runq_begin_round(&l->runq, &round);
        while (!list_empty(&round)) {
            struct task *t = list_first(&round, struct task, node);
            list_del(&t->node);
            t->run(t);
        }
    }
}

/* The wheel does not go back: a second call starts where the first one ended. */
void pass_ms(struct loop *l, uint64_t ms)
{
    clock_update(&l->clock);
    uint64_t from = l->wheel.tick * WHEEL_TICK_MS;
    if (from < l->clock.now_ms)
        from = l->clock.now_ms;
    clock_set(&l->clock, (from + ms) * 1000, l->clock.wall_us + (int64_t)ms * 1000);
    wheel_advance(&l->wheel, l->clock.now_ms, &l->runq);
    run_all(l);
    loop_turn(l);
}
