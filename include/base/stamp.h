/* Which state a file is in: changes when it is replaced or written to. Symbolic links are followed,
 * so a change of the link is one too. */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct stamp {
    uint64_t hash; /* of device, inode, size, times; 0: there is no such file */
    bool settled;  /* it was last written a while ago: an equal hash means an equal file. Times of
                      files are coarse, so one written just now may change and keep its stamp */
};

#define STAMP_SETTLED_MS 1000

/* now_us: the wall clock. */
struct stamp stamp_of(const char *path, int64_t now_us);

static inline bool stamp_same(struct stamp a, struct stamp b)
{
    return a.hash == b.hash;
}

#endif
