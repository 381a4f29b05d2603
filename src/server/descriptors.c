#include "server/descriptors.h"

#include <dirent.h>
#include <sys/resource.h>

#include "base/log.h"

#define OF_OUR_OWN 256 /* loops, listening sockets, logs, admin: a generous guess */

void descriptors_raise(uint64_t max_connections)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    uint64_t wanted = 2 * max_connections + OF_OUR_OWN;
    if (r.rlim_cur < wanted)
        log_warning("limits.max_connections %llu may need %llu descriptors, but this process may "
                    "open only %llu (ulimit -Hn)",
                    (unsigned long long)max_connections, (unsigned long long)wanted,
                    (unsigned long long)r.rlim_cur);
}

unsigned descriptors_count(void)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n - 1; /* the directory itself */
}
