#include "base/stamp.h"

#include <sys/stat.h>

#include "base/hash.h"

static int64_t us_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct stamp stamp_of(const char *path, int64_t now_us)
{
    struct stat st;
    if (stat(path, &st))
        return (struct stamp){0};
    const uint64_t parts[] = {st.st_dev,
                              st.st_ino,
                              (uint64_t)st.st_size,
                              (uint64_t)st.st_mtim.tv_sec,
                              (uint64_t)st.st_mtim.tv_nsec,
                              (uint64_t)st.st_ctim.tv_sec,
                              (uint64_t)st.st_ctim.tv_nsec};
    uint64_t hash = hash_bytes(slice_of((const char *)parts, sizeof(parts)), 0);
    return (struct stamp){
        .hash = hash ? hash : 1,
        .settled = now_us - us_of(st.st_ctim) > STAMP_SETTLED_MS * 1000,
    };
}
