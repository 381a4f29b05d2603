#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "support/pass.h"

#define CONNS    6
#define MESSAGES 2000

static struct loop loop;

/* What ran, in order, as letters. */
static char ran[64];

static void note(char c)
{
    size_t n = strlen(ran);
    assert_true(n + 1 < sizeof(ran));
    ran[n] = c;
    ran[n + 1] = '\0';
}

struct noted {
    struct task task;
    struct timer timer;
    char letter;
    struct noted *pushes; /* queued by its task */
};

static void on_task(struct task *t)
{
    struct noted *n = container_of(t, struct noted, task);
    (void)timer_take(&n->timer);
    note(n->letter);
    if (n->pushes)
        loop_push(&loop, &n->pushes->task);
}

static void noted_init(struct noted *n, char letter)
{
    *n = (struct noted){.letter = letter};
    task_init(&n->task, on_task);
    timer_init(&n->timer, &n->task);
}

static int each_setup(void **state)
{
    (void)state;
    ran[0] = '\0';
    assert_int_equal(loop_init(&loop, 64u << 20), OK);
    conn_pool_init(&loop, 100);
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    loop_turn(&loop);
    assert_int_equal(loop.conns.live, 0);
    assert_int_equal(loop.chunks.used_bytes, 0);
    assert_true(wheel_empty(&loop.wheel));
    loop_fini(&loop);
    return 0;
}

/* ---- tasks ---- */

static void test_tasks_run_once_in_the_order_they_were_queued(void **state)
{
    (void)state;
    struct noted a, b, c;
    noted_init(&a, 'a'), noted_init(&b, 'b'), noted_init(&c, 'c');
    loop_push(&loop, &b.task);
    loop_push(&loop, &a.task);
    loop_push(&loop, &b.task);
    loop_push(&loop, &c.task);
    loop_turn(&loop);
    assert_string_equal(ran, "bac");
    loop_turn(&loop);
    assert_string_equal(ran, "bac");
}

static void test_what_a_task_queues_runs_in_the_same_turn_behind_its_round(void **state)
{
    (void)state;
    struct noted a, b, c;
    noted_init(&a, 'a'), noted_init(&b, 'b'), noted_init(&c, 'c');
    a.pushes = &c;
    loop_push(&loop, &a.task);
    loop_push(&loop, &b.task);
    loop_turn(&loop);
    assert_string_equal(ran, "abc");
}

static void test_a_cancelled_task_does_not_run(void **state)
{
    (void)state;
    struct noted a;
    noted_init(&a, 'a');
    loop_push(&loop, &a.task);
    task_cancel(&a.task);
    loop_turn(&loop);
    assert_string_equal(ran, "");
}

/* It queues itself for ever: the turn ends nevertheless, and the next one goes on. */
static void test_a_task_that_never_rests_does_not_stop_the_loop(void **state)
{
    (void)state;
    struct noted a;
    noted_init(&a, 'a');
    a.pushes = &a;
    loop_push(&loop, &a.task);
    loop_turn(&loop);
    size_t first = strlen(ran);
    assert_true(first > 0);
    assert_true(ev_is_active(&loop.idle)); /* epoll_wait will not block */
    loop_turn(&loop);
    assert_true(strlen(ran) > first);
    task_cancel(&a.task);
    loop_turn(&loop);
    assert_false(ev_is_active(&loop.idle));
}

/* libev hands out the events of a poll last first. */
static void test_tasks_of_one_poll_run_in_the_order_the_events_came(void **state)
{
    (void)state;
    struct noted owners[CONNS];
    struct conn *conns[CONNS];
    int peers[CONNS];
    static const int order[CONNS] = {3, 0, 5, 1, 4, 2};
    for (int i = 0; i < CONNS; i++) {
        int fd[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        noted_init(&owners[i], (char)('0' + i));
        conns[i] = conn_new(&loop, fd[0], NULL);
        conn_own(conns[i], &owners[i].task);
        peers[i] = fd[1];
    }
    loop_turn(&loop); /* the kernel knows them all */
    for (int i = 0; i < CONNS; i++)
        assert_int_equal(write(peers[order[i]], "x", 1), 1);
    loop_turn(&loop);
    assert_string_equal(ran, "305142");
    for (int i = 0; i < CONNS; i++) {
        conn_close(conns[i]);
        close(peers[i]);
    }
}

/* ---- timers ---- */

static void test_a_timer_fires_not_before_its_time_and_once(void **state)
{
    (void)state;
    struct noted a;
    noted_init(&a, 'a');
    loop_timer(&loop, &a.timer, 1000);
    pass_ms(&loop, 800);
    assert_string_equal(ran, "");
    pass_ms(&loop, 400);
    assert_string_equal(ran, "a");
    pass_ms(&loop, 5000);
    assert_string_equal(ran, "a");
}

static void test_zero_clears_a_timer(void **state)
{
    (void)state;
    struct noted a;
    noted_init(&a, 'a');
    loop_timer(&loop, &a.timer, 1000);
    loop_timer(&loop, &a.timer, 0);
    pass_ms(&loop, 5000);
    assert_string_equal(ran, "");
}

static void test_the_tick_runs_only_while_there_are_timers(void **state)
{
    (void)state;
    struct noted a;
    noted_init(&a, 'a');
    assert_false(ev_is_active(&loop.tick));
    loop_timer(&loop, &a.timer, 1000);
    assert_true(ev_is_active(&loop.tick));
    pass_ms(&loop, 2000);
    assert_string_equal(ran, "a");
    assert_false(ev_is_active(&loop.tick));
}

/* The deadline has come and so has the answer, whose task clears the timer. */
struct waiter {
    struct task task, late;
    struct timer timer;
    struct conn *conn;
    bool timed_out, answered;
};

static void on_late(struct task *t)
{
    struct waiter *x = container_of(t, struct waiter, late);
    if (timer_take(&x->timer))
        x->timed_out = true;
}

static void on_waiter(struct task *t)
{
    struct waiter *x = container_of(t, struct waiter, task);
    struct slice in;
    if (conn_read(x->conn, 100, &in) == OK) {
        x->answered = true;
        conn_keep(x->conn, slice_from(in, in.n), false);
        timer_clear(&x->timer);
    }
    conn_settle(x->conn, true);
}

static void test_a_timer_never_wins_over_an_answer_of_the_same_poll(void **state)
{
    (void)state;
    struct waiter x = {0};
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    task_init(&x.task, on_waiter);
    task_init(&x.late, on_late);
    timer_init(&x.timer, &x.late);
    x.conn = conn_new(&loop, fd[0], NULL);
    conn_own(x.conn, &x.task);
    loop_timer(&loop, &x.timer, 1);
    loop_turn(&loop);
    (void)poll(NULL, 0, 2 * WHEEL_TICK_MS + 50); /* due, and its tick too */
    assert_int_equal(write(fd[1], "x", 1), 1);
    loop_turn(&loop);
    assert_true(x.answered);
    assert_false(x.timed_out);
    conn_close(x.conn);
    timer_del(&loop.wheel, &x.timer);
    close(fd[1]);
}

/* ---- reaping ---- */

struct corpse {
    struct reapable reapable;
    struct task task;
};

static void on_reap(struct reapable *r)
{
    (void)r;
    note('R');
}

static void on_corpse(struct task *t)
{
    struct corpse *x = container_of(t, struct corpse, task);
    note('c');
    x->reapable.reap = on_reap;
    loop_reap(&loop, &x->reapable);
}

static void test_what_is_closed_is_reaped_behind_the_last_task_of_the_turn(void **state)
{
    (void)state;
    struct corpse x;
    struct noted a, b;
    noted_init(&a, 'a'), noted_init(&b, 'b');
    a.pushes = &b;
    task_init(&x.task, on_corpse);
    loop_push(&loop, &x.task);
    loop_push(&loop, &a.task);
    loop_turn(&loop);
    assert_string_equal(ran, "cabR");
}

/* ---- messages ---- */

struct numbered {
    struct message m;
    unsigned sender, i;
};

static struct numbered sent[2][MESSAGES];
static unsigned expected[2];
static unsigned arrived;

static void on_message(struct message *m)
{
    struct numbered *n = container_of(m, struct numbered, m);
    assert_int_equal(n->i, expected[n->sender]);
    expected[n->sender]++;
    if (++arrived == 2 * MESSAGES)
        loop_stop(&loop);
}

static void *post_all(void *arg)
{
    unsigned sender = *(unsigned *)arg;
    for (unsigned i = 0; i < MESSAGES; i++) {
        sent[sender][i] = (struct numbered){.m.run = on_message, .sender = sender, .i = i};
        loop_post(&loop, &sent[sender][i].m);
    }
    return NULL;
}

/* The loop sleeps in epoll_wait meanwhile: each message must wake it. */
static void test_messages_of_each_sender_arrive_in_order_and_none_is_lost(void **state)
{
    (void)state;
    pthread_t threads[2];
    unsigned ids[2] = {0, 1};
    arrived = expected[0] = expected[1] = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &ids[i]), 0);
    loop_run(&loop);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(expected[0], MESSAGES);
    assert_int_equal(expected[1], MESSAGES);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(tasks_run_once_in_the_order_they_were_queued),
        T(what_a_task_queues_runs_in_the_same_turn_behind_its_round),
        T(a_cancelled_task_does_not_run),
        T(a_task_that_never_rests_does_not_stop_the_loop),
        T(tasks_of_one_poll_run_in_the_order_the_events_came),
        T(a_timer_fires_not_before_its_time_and_once),
        T(zero_clears_a_timer),
        T(the_tick_runs_only_while_there_are_timers),
        T(a_timer_never_wins_over_an_answer_of_the_same_poll),
        T(what_is_closed_is_reaped_behind_the_last_task_of_the_turn),
        T(messages_of_each_sender_arrive_in_order_and_none_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
