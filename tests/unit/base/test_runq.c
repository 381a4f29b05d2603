#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/runq.h"

struct job {
    int n;
    struct task task;
};

static void job_run(struct task *t)
{
    (void)t;
}

static void setup(struct runq *q, struct job *jobs, int n)
{
    runq_init(q);
    for (int i = 0; i < n; i++) {
        jobs[i].n = i + 1;
        task_init(&jobs[i].task, job_run);
    }
}

/* Takes the round's tasks off, as the loop does. */
static int drain(struct list *round)
{
    int sum = 0;
    while (!list_empty(round)) {
        struct task *t = list_first(round, struct task, node);
        list_del(&t->node);
        sum = sum * 10 + container_of(t, struct job, task)->n;
    }
    return sum;
}

static int next_round(struct runq *q)
{
    struct list round;
    list_init(&round);
    runq_begin_round(q, &round);
    assert_true(runq_empty(q));
    return drain(&round);
}

static void test_tasks_run_in_the_order_they_were_pushed(void **state)
{
    (void)state;
    struct runq q;
    struct job jobs[3];
    setup(&q, jobs, 3);
    assert_true(runq_empty(&q));
    for (int i = 2; i >= 0; i--)
        runq_push(&q, &jobs[i].task);
    assert_int_equal(next_round(&q), 321);
    assert_int_equal(next_round(&q), 0);
}

static void test_events_of_one_poll_are_turned_around(void **state)
{
    (void)state;
    struct runq q;
    struct job jobs[4];
    setup(&q, jobs, 4);
    runq_push(&q, &jobs[3].task);
    for (int i = 2; i >= 0; i--) /* libev hands them out last first */
        runq_push_polled(&q, &jobs[i].task);
    assert_int_equal(next_round(&q), 4123);
}

static void test_a_task_is_queued_once_however_often_it_is_pushed(void **state)
{
    (void)state;
    struct runq q;
    struct job jobs[2];
    setup(&q, jobs, 2);
    runq_push(&q, &jobs[0].task);
    runq_push(&q, &jobs[1].task);
    runq_push(&q, &jobs[0].task);
    runq_push_polled(&q, &jobs[1].task);
    assert_true(task_queued(&jobs[0].task));
    assert_int_equal(next_round(&q), 12);
    assert_false(task_queued(&jobs[0].task));
}

static void test_a_cancelled_task_does_not_run(void **state)
{
    (void)state;
    struct runq q;
    struct job jobs[3];
    setup(&q, jobs, 3);
    for (int i = 0; i < 3; i++)
        runq_push(&q, &jobs[i].task);
    task_cancel(&jobs[1].task);
    task_cancel(&jobs[1].task);
    assert_false(task_queued(&jobs[1].task));
    assert_int_equal(next_round(&q), 13);
}

static void test_a_task_can_be_cancelled_out_of_a_round_that_has_begun(void **state)
{
    (void)state;
    struct runq q;
    struct list round;
    struct job jobs[3];
    setup(&q, jobs, 3);
    list_init(&round);
    for (int i = 0; i < 3; i++)
        runq_push(&q, &jobs[i].task);
    runq_begin_round(&q, &round);
    task_cancel(&jobs[2].task);
    runq_push(&q, &jobs[2].task); /* again: that is for the next round */
    assert_int_equal(drain(&round), 12);
    assert_int_equal(next_round(&q), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_run_in_the_order_they_were_pushed),
        cmocka_unit_test(test_events_of_one_poll_are_turned_around),
        cmocka_unit_test(test_a_task_is_queued_once_however_often_it_is_pushed),
        cmocka_unit_test(test_a_cancelled_task_does_not_run),
        cmocka_unit_test(test_a_task_can_be_cancelled_out_of_a_round_that_has_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
