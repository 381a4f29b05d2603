/* How many threads are worth starting: what `workers: auto` means. Reads /proc, /sys and this
 * process's affinity; any thread. */
#ifndef CONFIG_CPUS_H
#define CONFIG_CPUS_H

/* The CPUs this process may run on (sched_getaffinity), at most its cgroup's quota rounded up
 * (v2 cpu.max, v1 cpu.cfs_quota_us, of the group and those above it); at least 1. root stands
 * before /proc and /sys: "" outside of tests. */
unsigned cpus_usable(const char *root);

/* The quota alone, rounded up; 0 when there is none. */
unsigned cpus_quota(const char *root);

#endif
