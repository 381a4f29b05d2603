#include "server/fixture.h"

#include <dirent.h>
#include <sys/un.h>

#include "server/descriptors.h"
#include "server/listeners.h"

#define WORKERS 2

struct fixture {
    struct listeners listeners;
    struct registry registry;
    struct slot_table slots;
    struct snapshot *last;
    uint64_t generation;
    unsigned ports[3];
    unsigned descriptors;
    int open_fds[16]; /* what the workers hold */
    unsigned open_n;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    listeners_init(&f->listeners, WORKERS);
    registry_init(&f->registry, WORKERS);
    slot_table_init(&f->slots);
    for (size_t i = 0; i < ARRAY_LEN(f->ports); i++)
        f->ports[i] = free_port();
    f->descriptors = descriptors_count();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < f->open_n; i++)
        close(f->open_fds[i]);
    listeners_fini(&f->listeners);
    assert_int_equal(descriptors_count(), f->descriptors);
    if (f->last)
        snapshot_free(f->last, &f->registry);
    registry_fini(&f->registry);
    slot_table_fini(&f->slots);
    free(f);
    return 0;
}

#define ANSWER "protocol: http, default_action: {fixed_response: {status_code: 200}}"

static struct config *one(const char *name, unsigned port)
{
    return config_of("listeners:\n  - {name: %s, listen: \"127.0.0.1:%u\", " ANSWER "}\n", name,
                     port);
}

static struct config *two(unsigned port_a, unsigned port_b)
{
    return config_of("listeners:\n"
                     "  - {name: a, listen: \"127.0.0.1:%u\", " ANSWER "}\n"
                     "  - {name: b, listen: \"127.0.0.1:%u\", " ANSWER "}\n",
                     port_a, port_b);
}

static void bind_all(struct fixture *f, const struct config *c)
{
    struct strbuf why;
    strbuf_init(&why);
    if (listeners_bind(&f->listeners, c, &why) != OK)
        fail_msg("%s", why.p);
    strbuf_fini(&why);
}

/* What a reload does, the workers included. */
static struct listen_plan *apply(struct fixture *f, struct config *c, struct snapshot **out)
{
    struct listen_plan *first = NULL;
    bind_all(f, c);
    struct snapshot *s = snapshot_compile(c, WORKERS);
    assert_int_equal(snapshot_bind(s, &f->registry, &f->slots, ++f->generation), OK);
    for (unsigned w = 0; w < WORKERS; w++) {
        struct listen_plan *p = listeners_plan(&f->listeners, s, w);
        for (size_t i = 0; i < p->n; i++)
            if (p->entries[i].fd >= 0)
                f->open_fds[f->open_n++] = p->entries[i].fd;
        if (w == 0)
            first = p;
        else
            free(p);
    }
    listeners_commit(&f->listeners);
    if (f->last)
        snapshot_free(f->last, &f->registry);
    f->last = s;
    if (out)
        *out = s;
    return first;
}

static void test_each_worker_gets_a_socket_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct listen_plan *p = apply(f, one("web", f->ports[0]), NULL);
    assert_int_equal(p->n, 1);
    assert_int_equal(f->open_n, WORKERS);
    assert_int_not_equal(f->open_fds[0], f->open_fds[1]);
    for (int w = 0; w < WORKERS; w++) {
        struct addr a = socket_local(f->open_fds[w]);
        assert_int_equal(addr_port(&a), f->ports[0]);
    }
    free(p);
}

static void test_a_kept_address_keeps_its_socket_under_another_listener(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s;
    struct listen_plan *before = apply(f, one("web", f->ports[0]), NULL);
    struct listen_plan *after = apply(f, one("renamed", f->ports[0]), &s);
    assert_int_equal(after->entries[0].fd, -1);
    assert_int_equal(after->entries[0].id, before->entries[0].id);
    assert_int_not_equal(after->entries[0].slot, before->entries[0].slot);
    assert_int_equal(after->entries[0].slot, s->listeners[0].slot);
    free(before);
    free(after);
}

static void test_an_address_that_left_is_forgotten_and_can_come_back(void **state)
{
    struct fixture *f = *state;
    struct listen_plan *p = apply(f, two(f->ports[0], f->ports[1]), NULL);
    uint32_t id = p->entries[1].id;
    free(p);
    p = apply(f, one("a", f->ports[0]), NULL);
    assert_int_equal(p->n, 1);
    free(p);
    p = apply(f, two(f->ports[0], f->ports[1]), NULL);
    assert_int_equal(p->entries[0].fd, -1);
    assert_true(p->entries[1].fd >= 0);
    assert_int_not_equal(p->entries[1].id, id);
    free(p);
}

static void assert_bind_fails(struct fixture *f, struct config *c, const char *expected)
{
    struct strbuf why;
    strbuf_init(&why);
    unsigned before = descriptors_count();
    assert_int_not_equal(listeners_bind(&f->listeners, c, &why), OK);
    assert_string_equal(why.p, expected);
    assert_int_equal(descriptors_count(), before);
    strbuf_fini(&why);
    model_free(c);
}

static int occupy(unsigned port, bool reuseport)
{
    int fd;
    struct addr a = address_of("127.0.0.1:%u", port);
    assert_int_equal(socket_bind(&a, reuseport, 0, &fd), OK);
    assert_int_equal(socket_listen(fd, 1), OK);
    return fd;
}

/* With SO_REUSEPORT on both sides the kernel would let two processes share the port. */
static void test_a_port_of_somebody_else_is_an_error_that_names_all(void **state)
{
    struct fixture *f = *state;
    for (int reuseport = 0; reuseport < 2; reuseport++) {
        int fd = occupy(f->ports[1], reuseport);
        char expected[128];
        snprintf(expected, sizeof(expected), "listener b: 127.0.0.1:%u: Address already in use",
                 f->ports[1]);
        assert_bind_fails(f, two(f->ports[0], f->ports[1]), expected);
        close(fd);
    }
}

static void test_a_failed_bind_leaves_the_running_sockets_alone(void **state)
{
    struct fixture *f = *state;
    free(apply(f, one("a", f->ports[0]), NULL));
    int fd = occupy(f->ports[1], false);
    char expected[128];
    snprintf(expected, sizeof(expected), "listener b: 127.0.0.1:%u: Address already in use",
             f->ports[1]);
    assert_bind_fails(f, two(f->ports[0], f->ports[1]), expected);
    close(fd);
    struct listen_plan *p = apply(f, one("a", f->ports[0]), NULL);
    assert_int_equal(p->entries[0].fd, -1);
    free(p);
}

static void test_a_wildcard_may_replace_one_of_its_addresses(void **state)
{
    struct fixture *f = *state;
    free(apply(f, one("a", f->ports[0]), NULL));
    struct config *c =
        config_of("listeners:\n  - {name: a, listen: \"0.0.0.0:%u\", " ANSWER "}\n", f->ports[0]);
    struct listen_plan *p = apply(f, c, NULL);
    assert_int_equal(p->n, 1);
    assert_true(p->entries[0].fd >= 0);
    free(p);
}

static void test_rollback_gives_the_new_addresses_back(void **state)
{
    struct fixture *f = *state;
    struct config *c = one("web", f->ports[0]);
    bind_all(f, c);
    listeners_rollback(&f->listeners);
    assert_int_equal(descriptors_count(), f->descriptors);
    close(occupy(f->ports[0], false));
    model_free(c);
}

static struct config *on_unix(struct fixture *f, const char *path)
{
    struct config *c = one("web", f->ports[0]);
    c->listeners[0].listen[0].addr = address_of("unix:%s", path);
    return c;
}

static void test_a_unix_socket_is_one_for_all_workers_and_its_path_goes_with_it(void **state)
{
    struct fixture *f = *state;
    char *dir = temp_dir();
    const char *path = path_in(dir, "web.sock");
    struct listen_plan *p = apply(f, on_unix(f, path), NULL);
    struct stat st[WORKERS], inode;
    assert_int_equal(p->n, 1);
    for (int w = 0; w < WORKERS; w++)
        assert_int_equal(fstat(f->open_fds[w], &st[w]), 0);
    assert_int_equal(st[0].st_ino, st[1].st_ino);
    assert_int_equal(stat(path, &inode), 0);
    assert_int_equal(inode.st_mode & 0777, LISTENERS_UNIX_MODE);
    free(p);
    free(apply(f, one("web", f->ports[0]), NULL));
    assert_int_equal(access(path, F_OK), -1);
    remove_dir(dir);
}

static void test_a_path_that_another_process_took_over_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char *dir = temp_dir();
    const char *path = path_in(dir, "web.sock");
    free(apply(f, on_unix(f, path), NULL));
    assert_int_equal(rename(path, path_in(dir, "moved")), 0);
    struct addr a = address_of("unix:%s", path);
    int fd;
    assert_int_equal(socket_bind(&a, false, 0600, &fd), OK);
    free(apply(f, one("web", f->ports[0]), NULL));
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
    remove_dir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_worker_gets_a_socket_of_its_own),
        TEST(test_a_kept_address_keeps_its_socket_under_another_listener),
        TEST(test_an_address_that_left_is_forgotten_and_can_come_back),
        TEST(test_a_port_of_somebody_else_is_an_error_that_names_all),
        TEST(test_a_failed_bind_leaves_the_running_sockets_alone),
        TEST(test_a_wildcard_may_replace_one_of_its_addresses),
        TEST(test_rollback_gives_the_new_addresses_back),
        TEST(test_a_unix_socket_is_one_for_all_workers_and_its_path_goes_with_it),
        TEST(test_a_path_that_another_process_took_over_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
