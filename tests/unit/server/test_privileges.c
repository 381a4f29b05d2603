#include "server/fixture.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "server/privileges.h"
#include "server/thread.h"

/* Each test changes who the process is, so it does that in a child. The child's exit code is the
 * number of the check that failed, 0 when all held. */
static void in_child(int (*run)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static uint32_t capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    syscall(SYS_capget, &header, data);
    return data[0].permitted | data[0].effective | data[1].permitted;
}

static enum err drop(const char *user, bool *changed, char *text, size_t n)
{
    struct strbuf why;
    strbuf_init(&why);
    enum err e = privileges_drop(slice_str(user), changed, &why);
    snprintf(text, n, "%s", why.n ? why.p : "");
    strbuf_fini(&why);
    return e;
}

static int no_user_changes_nothing(void)
{
    bool changed;
    char text[128];
    uid_t before = geteuid();
    uint32_t caps = capabilities();
    if (drop("", &changed, text, sizeof(text)) != OK || changed)
        return 1;
    return before != geteuid() || caps != capabilities();
}

static int an_unknown_user_is_an_error(void)
{
    bool changed;
    char text[128];
    if (drop("no-such-user", &changed, text, sizeof(text)) != ERR_NOT_FOUND || changed)
        return 1;
    return strcmp(text, "user no-such-user: no such user") != 0;
}

static int root_becomes_the_user_and_keeps_only_binding(void)
{
    bool changed;
    char text[128];
    const struct passwd *pw = getpwnam("nobody");
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;
    if (drop("nobody", &changed, text, sizeof(text)) != OK || !changed)
        return 1;
    if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
        return 2;
    if (capabilities() & ~(1u << CAP_NET_BIND_SERVICE))
        return 3;
    if (setuid(0) == 0)
        return 4;
    return open("/etc/shadow", O_RDONLY) >= 0 ? 5 : 0;
}

static uint32_t in_thread;

static void *look(void *arg)
{
    (void)arg;
    thread_begin("test");
    in_thread = capabilities();
    return NULL;
}

static int other_threads_keep_nothing(void)
{
    bool changed;
    char text[128];
    pthread_t t;
    in_thread = ~0u;
    if (drop("nobody", &changed, text, sizeof(text)) != OK)
        return 1;
    uint32_t mine = capabilities();
    if (thread_start(&t, look, NULL) != OK || !thread_join(t, 5000))
        return 2;
    return in_thread != 0 ? 3 : capabilities() != mine ? 4 : 0;
}

static int only_root_can_become_another_user(void)
{
    bool changed;
    char text[128];
    if (drop("nobody", &changed, text, sizeof(text)) != OK)
        return 1;
    if (drop("root", &changed, text, sizeof(text)) != ERR_REFUSED || changed)
        return 2;
    if (strcmp(text, "user root: only root can become another user") != 0)
        return 3;
    return drop("nobody", &changed, text, sizeof(text)) != OK || changed ? 4 : 0;
}

static int threads_of_root_stay_root(void)
{
    pthread_t t;
    uint32_t mine = capabilities();
    if (thread_start(&t, look, NULL) != OK || !thread_join(t, 5000))
        return 1;
    return in_thread != mine ? 2 : 0;
}

static void test_no_user_changes_nothing(void **state)
{
    (void)state;
    in_child(no_user_changes_nothing);
}

static void test_an_unknown_user_is_an_error(void **state)
{
    (void)state;
    in_child(an_unknown_user_is_an_error);
}

/* The others need root to begin with. Without it they hold what is left of them: an error. */
static void as_root(int (*run)(void))
{
    bool changed;
    char text[128];
    if (geteuid() == 0)
        in_child(run);
    else
        assert_int_equal(drop("root", &changed, text, sizeof(text)), ERR_REFUSED);
}

static void test_root_becomes_the_user_and_keeps_only_binding(void **state)
{
    (void)state;
    as_root(root_becomes_the_user_and_keeps_only_binding);
}

static void test_other_threads_keep_nothing(void **state)
{
    (void)state;
    as_root(other_threads_keep_nothing);
}

static void test_only_root_can_become_another_user(void **state)
{
    (void)state;
    as_root(only_root_can_become_another_user);
}

static void test_threads_of_root_stay_root(void **state)
{
    (void)state;
    as_root(threads_of_root_stay_root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_user_changes_nothing),
        cmocka_unit_test(test_an_unknown_user_is_an_error),
        cmocka_unit_test(test_root_becomes_the_user_and_keeps_only_binding),
        cmocka_unit_test(test_other_threads_keep_nothing),
        cmocka_unit_test(test_only_root_can_become_another_user),
        cmocka_unit_test(test_threads_of_root_stay_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
