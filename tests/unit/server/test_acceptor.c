#include "server/fixture.h"
#include "support/world.h"

#include <errno.h>
#include <sys/resource.h>

#include "server/acceptor.h"

/* One worker with an acceptor; `other` plays the counters of a second worker. */
struct fixture {
    struct world world;
    struct acceptor acceptor;
    struct counters other;
    const struct counters *all[2];
    struct acceptor_limit limit;
    struct addr addr;
};

static const char yaml[] =
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http,"
    " default_action: {fixed_response: {status_code: 200, content_type: text/plain,"
    " message_body: served}}}\n"
    "  - {name: raw, listen: \"127.0.0.1:2\", protocol: tcp, default_action: {forward: app}}\n"
    "target_groups:\n  - {name: app, protocol: tcp, targets: [\"127.0.0.1:%u\"]}\n";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    world_init(&f->world, yaml);
    counters_init(&f->other);
    f->all[0] = &f->world.counters;
    f->all[1] = &f->other;
    f->limit = (struct acceptor_limit){.max_connections = 10, .workers = 2, .counters = f->all};
    acceptor_init(&f->acceptor, &f->world.proxy, &f->limit);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    acceptor_fini(&f->acceptor);
    world_fini(&f->world);
    counters_fini(&f->other);
    free(f);
    return 0;
}

static struct listen_plan *plan_of(size_t n)
{
    struct listen_plan *p = calloc(1, sizeof(*p) + n * sizeof(p->entries[0]));
    p->n = n;
    return p;
}

/* A new socket for the slot, bound and known but silent. */
static void adopt(struct fixture *f, unsigned slot)
{
    struct listen_plan *p = plan_of(1);
    struct addr a = address_of("127.0.0.1:0");
    int fd;
    assert_int_equal(socket_bind(&a, true, 0, &fd), OK);
    f->addr = socket_local(fd);
    p->entries[0] = (struct listen_entry){.id = 1, .fd = fd, .slot = slot, .addr = f->addr};
    acceptor_adopt(&f->acceptor, p);
    free(p);
}

static void begin_to_listen(struct fixture *f)
{
    struct addr failed;
    assert_int_equal(acceptor_listen(&f->acceptor, &failed), OK);
}

/* Blocking, with a timeout of its own. */
static int dial(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 5};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, &f->addr.sa, f->addr.len), 0);
    return fd;
}

static const char *ask(struct fixture *f, int fd)
{
    static char answer[4096];
    const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    world_turn(&f->world, 4);
    ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);
    answer[n > 0 ? n : 0] = '\0';
    return answer;
}

static uint64_t reasons(struct fixture *f, unsigned slot, enum reason why)
{
    return counter_get(&counters_of(&f->world.counters, slot)->reasons[why]);
}

static void test_nobody_can_connect_before_it_listens(void **state)
{
    struct fixture *f = *state;
    adopt(f, 0);
    world_turn(&f->world, 2);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &f->addr.sa, f->addr.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static void test_a_connection_is_accepted_and_served(void **state)
{
    struct fixture *f = *state;
    adopt(f, 0);
    begin_to_listen(f);
    int fd = dial(f);
    assert_non_null(strstr(ask(f, fd), "served"));
    close(fd);
}

static void test_many_at_once_are_all_accepted(void **state)
{
    struct fixture *f = *state;
    f->limit.max_connections = 1000;
    adopt(f, 0);
    begin_to_listen(f);
    int fds[50];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dial(f);
    world_turn(&f->world, 2); /* a batch a round, several rounds a turn */
    assert_int_equal(f->world.proxy.sessions.live, ARRAY_LEN(fds));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void test_the_connection_beyond_the_limit_of_all_workers_is_answered_503(void **state)
{
    struct fixture *f = *state;
    adopt(f, 0);
    begin_to_listen(f);
    counter_add(&f->other.sessions_active, 9);
    int last = dial(f);
    assert_non_null(strstr(ask(f, last), "served"));
    int beyond = dial(f);
    world_turn(&f->world, 4);
    char answer[512] = "";
    assert_true(recv(beyond, answer, sizeof(answer) - 1, 0) > 0);
    assert_true(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    assert_int_equal(reasons(f, 0, REASON_MAX_CONNECTIONS), 1);
    assert_non_null(strstr(ask(f, last), "served"));
    counter_sub(&f->other.sessions_active, 9);
    close(last);
    close(beyond);
}

static void expect_reset(int fd)
{
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
}

static void test_beyond_the_limit_raw_listeners_reset(void **state)
{
    struct fixture *f = *state;
    adopt(f, 1);
    begin_to_listen(f);
    counter_add(&f->other.sessions_active, 10);
    int fd = dial(f);
    world_turn(&f->world, 4);
    expect_reset(fd);
    assert_int_equal(reasons(f, 1, REASON_MAX_CONNECTIONS), 1);
}

static void test_beyond_the_reserve_nobody_is_answered(void **state)
{
    struct fixture *f = *state;
    adopt(f, 0);
    begin_to_listen(f);
    counter_add(&f->other.sessions_active, 10 + ACCEPTOR_RESERVE);
    int fd = dial(f);
    world_turn(&f->world, 4);
    expect_reset(fd);
    assert_int_equal(reasons(f, 0, REASON_MAX_CONNECTIONS), 1);
}

static void test_without_descriptors_it_rests_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, none;
    adopt(f, 0);
    begin_to_listen(f);
    int fd = dial(f);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)fd; /* the next descriptor would be beyond it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    world_turn(&f->world, 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(reasons(f, 0, REASON_NO_DESCRIPTORS), 1); /* once, not once a turn */
    assert_int_equal(f->world.proxy.sessions.live, 0);
    for (int i = 0; i < 50 && !f->world.proxy.sessions.live; i++) {
        usleep(10000);
        world_turn(&f->world, 2);
    }
    assert_non_null(strstr(ask(f, fd), "served"));
    close(fd);
}

static void test_who_waits_when_the_socket_goes_is_still_served(void **state)
{
    struct fixture *f = *state;
    adopt(f, 0);
    begin_to_listen(f);
    int fd = dial(f);
    acceptor_retire(&f->acceptor, NULL);
    assert_non_null(strstr(ask(f, fd), "served"));
    close(fd);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, &f->addr.sa, f->addr.len), -1);
    close(late);
}

static void test_a_kept_socket_goes_on_under_its_new_slot(void **state)
{
    struct fixture *f = *state;
    adopt(f, 1);
    begin_to_listen(f);
    int fd = dial(f); /* waits in the queue meanwhile */
    struct listen_plan *p = plan_of(1);
    p->entries[0] = (struct listen_entry){.id = 1, .fd = -1, .slot = 0, .addr = f->addr};
    acceptor_retire(&f->acceptor, p);
    acceptor_adopt(&f->acceptor, p);
    begin_to_listen(f);
    assert_non_null(strstr(ask(f, fd), "served"));
    free(p);
    close(fd);
}

static void test_a_socket_that_cannot_listen_is_named_and_the_others_listen(void **state)
{
    struct fixture *f = *state;
    struct listen_plan *p = plan_of(1);
    struct addr failed;
    p->entries[0] = (struct listen_entry){
        .id = 2, .fd = open("/dev/null", O_RDONLY | O_CLOEXEC), .addr = address_of("127.0.0.1:9")};
    acceptor_adopt(&f->acceptor, p);
    free(p);
    adopt(f, 0);
    assert_int_equal(acceptor_listen(&f->acceptor, &failed), ERR_SYSTEM);
    assert_int_equal(errno, ENOTSOCK);
    assert_int_equal(addr_port(&failed), 9);
    int fd = dial(f);
    assert_non_null(strstr(ask(f, fd), "served"));
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_can_connect_before_it_listens),
        TEST(test_a_connection_is_accepted_and_served),
        TEST(test_many_at_once_are_all_accepted),
        TEST(test_the_connection_beyond_the_limit_of_all_workers_is_answered_503),
        TEST(test_beyond_the_limit_raw_listeners_reset),
        TEST(test_beyond_the_reserve_nobody_is_answered),
        TEST(test_without_descriptors_it_rests_and_comes_back),
        TEST(test_who_waits_when_the_socket_goes_is_still_served),
        TEST(test_a_kept_socket_goes_on_under_its_new_slot),
        TEST(test_a_socket_that_cannot_listen_is_named_and_the_others_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
