#include "config/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/slice.h"

/* A small file of /proc or /sys, whole; an empty text when it cannot be read. */
static struct slice read_small(char *buf, size_t cap, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, cap);
    if (fd >= 0)
        close(fd);
    return slice_of(buf, n > 0 ? (size_t)n : 0);
}

static struct slice next_word(struct slice *rest)
{
    size_t skip = 0, n = 0;
    while (skip < rest->n && (rest->p[skip] == ' ' || rest->p[skip] == '\n'))
        skip++;
    *rest = slice_from(*rest, skip);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\n')
        n++;
    struct slice word = slice_upto(*rest, n);
    *rest = slice_from(*rest, n);
    return word;
}

/* Whole CPUs for a quota per period; 0 for "max", "-1" and nonsense. */
static unsigned whole_cpus(struct slice quota, struct slice period)
{
    uint64_t q, p;
    if (!slice_u64(quota, &q) || !slice_u64(period, &p) || q == 0 || p == 0)
        return 0;
    uint64_t n = q / p + (q % p != 0);
    return n < INT_MAX ? (unsigned)n : 0;
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a && (!b || a < b) ? a : b;
}

static unsigned quota_v2(const char *dir)
{
    char path[PATH_MAX], buf[128];
    if (snprintf(path, sizeof(path), "%s/cpu.max", dir) >= (int)sizeof(path))
        return 0;
    struct slice text = read_small(buf, sizeof(buf), path);
    struct slice quota = next_word(&text);
    return whole_cpus(quota, next_word(&text));
}

static unsigned quota_v1(const char *dir)
{
    char path[PATH_MAX], quota[64], period[64];
    if (snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir) >= (int)sizeof(path))
        return 0;
    struct slice q = read_small(quota, sizeof(quota), path);
    if (snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir) >= (int)sizeof(path))
        return 0;
    struct slice p = read_small(period, sizeof(period), path);
    return whole_cpus(next_word(&q), next_word(&p));
}

/* The smallest quota of a group and all above it: in a container the path of /proc/self/cgroup
 * may name groups that are not mounted, and the mount itself is our group. */
static unsigned quota_upwards(const char *mount, struct slice group, unsigned quota(const char *))
{
    char dir[PATH_MAX];
    unsigned least = quota(mount);
    while (group.n > 1) {
        int n = snprintf(dir, sizeof(dir), "%s%.*s", mount, (int)group.n, group.p);
        if (n > 0 && n < (int)sizeof(dir))
            least = smaller(quota(dir), least);
        while (group.n > 1 && group.p[group.n - 1] != '/')
            group.n--;
        group.n--;
    }
    return least;
}

/* `cpu` among the controllers of a v1 line such as `4:cpu,cpuacct:/group`. */
static bool has_cpu(struct slice controllers)
{
    struct slice item;
    while (slice_next_item(&controllers, &item))
        if (slice_eq(item, SLICE("cpu")))
            return true;
    return false;
}

/* One line of /proc/self/cgroup: `0::/group` is v2. */
static unsigned quota_of_line(const char *root, struct slice line)
{
    char mount[PATH_MAX];
    size_t first = slice_find(line, ':', 0), second = slice_find(line, ':', first + 1);
    if (second >= line.n)
        return 0;
    struct slice controllers = slice_of(line.p + first + 1, second - first - 1);
    struct slice group = slice_from(line, second + 1);
    if (controllers.n && !has_cpu(controllers))
        return 0;
    bool v2 = controllers.n == 0;
    if (snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup%s", root, v2 ? "" : "/cpu") >=
        (int)sizeof(mount))
        return 0;
    return quota_upwards(mount, group, v2 ? quota_v2 : quota_v1);
}

unsigned cpus_quota(const char *root)
{
    char path[PATH_MAX], buf[4096];
    unsigned least = 0;
    if (snprintf(path, sizeof(path), "%s/proc/self/cgroup", root) >= (int)sizeof(path))
        return 0;
    struct slice text = read_small(buf, sizeof(buf), path);
    while (text.n) {
        size_t end = slice_find(text, '\n', 0);
        least = smaller(quota_of_line(root, slice_upto(text, end)), least);
        text = slice_from(text, end + 1);
    }
    return least;
}

unsigned cpus_usable(const char *root)
{
    cpu_set_t set;
    unsigned n = 0;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = (unsigned)CPU_COUNT(&set);
    if (n == 0) {
        /* More CPUs than a cpu_set_t holds. */
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        n = online > 0 ? (unsigned)online : 1;
    }
    return smaller(cpus_quota(root), n);
}
