#include "config/cpus.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loaded.h"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/tenbin-cpus-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static void write_file(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static unsigned affinity(void)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    return (unsigned)CPU_COUNT(&set);
}

static void test_without_a_cgroup_the_affinity_counts(void **state)
{
    (void)state;
    assert_int_equal(cpus_quota("/nonexistent"), 0);
    assert_int_equal(cpus_usable("/nonexistent"), affinity());
}

static void test_a_v2_quota_is_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *max;
        unsigned cpus;
    } rows[] = {
        {"max 100000\n", 0},
        {"100000 100000\n", 1},
        {"100001 100000\n", 2},
        {"1000 100000\n", 1},
        {"350000 100000\n", 4},
        {"0 100000\n", 0},
        {"100000 0\n", 0},
        {"", 0},
        {"garbage\n", 0},
        {"200000\n", 0},
        {"18446744073709551615 1\n", 0},
    };
    write_file("/proc/self/cgroup", "0::/a/b\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file("/sys/fs/cgroup/a/b/cpu.max", rows[i].max);
        assert_int_equal(cpus_quota(root), rows[i].cpus);
    }
}

static void test_the_smallest_quota_above_counts(void **state)
{
    (void)state;
    write_file("/proc/self/cgroup", "0::/a/b/c\n");
    write_file("/sys/fs/cgroup/a/b/cpu.max", "500000 100000\n");
    assert_int_equal(cpus_quota(root), 5);
    write_file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    assert_int_equal(cpus_quota(root), 3);
    write_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    assert_int_equal(cpus_quota(root), 2);
    write_file("/sys/fs/cgroup/a/b/c/cpu.max", "700000 100000\n");
    assert_int_equal(cpus_quota(root), 2);
}

static void test_a_group_that_is_not_mounted_falls_back_to_the_mount(void **state)
{
    (void)state;
    write_file("/proc/self/cgroup", "0::/docker/0123\n");
    write_file("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(cpus_quota(root), 2);
}

static void test_a_v1_quota_is_read_from_the_cpu_controller(void **state)
{
    (void)state;
    write_file("/proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/g\n1:name=systemd:/y\n");
    write_file("/sys/fs/cgroup/cpu/g/cpu.cfs_period_us", "100000\n");
    write_file("/sys/fs/cgroup/cpu/g/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cpus_quota(root), 0);
    write_file("/sys/fs/cgroup/cpu/g/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(cpus_quota(root), 3);
    write_file("/proc/self/cgroup", "4:cpuacct:/g\n");
    assert_int_equal(cpus_quota(root), 0);
}

static void test_a_quota_above_the_affinity_changes_nothing(void **state)
{
    (void)state;
    write_file("/proc/self/cgroup", "0::/\n");
    write_file("/sys/fs/cgroup/cpu.max", "100000000 100000\n");
    assert_int_equal(cpus_usable(root), affinity());
    write_file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_int_equal(cpus_usable(root), 1);
}

static void test_odd_cgroup_files_are_no_quota(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "", "0", "0:", "0::", "::\n::\n", "\n\n", "a:cpu", "0::relative\n"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file("/proc/self/cgroup", rows[i]);
        assert_int_equal(cpus_quota(root), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_cgroup_the_affinity_counts),
        cmocka_unit_test_setup_teardown(test_a_v2_quota_is_rounded_up, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_the_smallest_quota_above_counts, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_a_group_that_is_not_mounted_falls_back_to_the_mount,
                                        make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_a_v1_quota_is_read_from_the_cpu_controller, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_a_quota_above_the_affinity_changes_nothing, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_odd_cgroup_files_are_no_quota, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
