/* What several tests of server/ need: configurations from text, free ports, temporary files. */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "config/load.h"
#include "net/loop.h"
#include "net/socket.h"

/* Of a good configuration, printf-like. */
static inline struct config *config_of(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct load_options o = load_options_default();
    struct report r;
    struct strbuf why;
    report_init(&r);
    strbuf_init(&why);
    struct config *c = load_bytes(slice_str(text), "test.yaml", &o, &r);
    report_text(&r, &why);
    if (!c)
        fail_msg("%s", why.p);
    strbuf_fini(&why);
    report_fini(&r);
    return c;
}

/* A loopback port that was free just now. */
static inline unsigned free_port(void)
{
    struct addr a;
    int fd;
    assert_int_equal(addr_parse(&a, SLICE("127.0.0.1:0")), OK);
    assert_int_equal(socket_bind(&a, false, 0, &fd), OK);
    unsigned port = addr_port(&(struct addr){.in4 = socket_local(fd).in4});
    close(fd);
    return port;
}

static inline struct addr address_of(const char *fmt, ...)
{
    char text[256];
    struct addr a;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    assert_int_equal(addr_parse(&a, slice_str(text)), OK);
    return a;
}

/* A directory of the test's own; from malloc. */
static inline char *temp_dir(void)
{
    char *dir = strdup("/tmp/tenbin-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void remove_dir(char *dir)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    free(dir);
}

static inline const char *path_in(const char *dir, const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

/* The whole file; valid until the next call. */
static inline const char *content(const char *path)
{
    static char text[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

#endif
