/* CHECK(): an invariant of ours, always on, also in release builds. A false one is a bug in
 * tenbin: it prints the place and aborts. Never for input, which gets an error instead. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define CHECK(cond)                                                                                \
    (__builtin_expect(!(cond), 0) ? check_failed(#cond, __FILE__, __LINE__) : (void)0)

_Noreturn void check_failed(const char *cond, const char *file, int line);

/* Every long-lived struct begins with `uint32_t magic`: a stale pointer is found at its first use. */
#define CHECK_MAGIC(p, m) CHECK((p) && (p)->magic == (m))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-__builtin_offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))

#endif
