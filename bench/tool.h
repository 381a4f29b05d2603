/* tool.h: what every load tool needs: the end, the clock, numbers and addresses.
 *
 * The tools of bench/ stand beside tenbin, not on it: they link nothing of src/, so a fault in
 * tenbin's own layers cannot hide itself from the programs that measure it. Each is one thread
 * around one epoll descriptor. A failure ends the tool with status 1 and
 * one line on stderr. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TOOL_SECOND_NS UINT64_C(1000000000)

__attribute__((noreturn, format(printf, 1, 2))) static inline void tool_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t tool_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * TOOL_SECOND_NS + (uint64_t)now.tv_nsec;
}

/* A plain decimal number above zero, or the end of the tool. */
static inline uint64_t tool_number(const char *text, const char *option)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value == 0)
        tool_die("%s: \"%s\" is not a whole number above zero", option, text);
    return value;
}

static inline double tool_seconds(const char *text, const char *option)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value < 86400))
        tool_die("%s: \"%s\" is not a number of seconds", option, text);
    return value;
}

/* "127.0.0.1:80"; IPv4 only, which is all that a loopback bench needs. */
static inline struct sockaddr_in tool_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    char *end;
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= sizeof host)
        tool_die("\"%s\" is not ip:port", text);
    memcpy(host, text, length);
    host[length] = 0;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port > 65535 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        tool_die("\"%s\" is not ip:port", text);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static inline void tool_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A non-blocking listening socket; its port goes to stdout, because port 0 lets the kernel choose.
 * Accepted sockets inherit TCP_NODELAY from it. */
static inline int tool_listen(const char *text)
{
    struct sockaddr_in address = tool_address(text);
    socklen_t length = sizeof address;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        tool_die("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    tool_nodelay(fd);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        tool_die("%s: %s", text, strerror(errno));
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* The next client, or -1 when none waits. */
static inline int tool_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        tool_die("accept: %s", strerror(errno));
    return fd;
}

/* A non-blocking connection that may still be under way: writes say EAGAIN until it stands.
 * Returns -1 with errno set. */
static inline int tool_connect(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    tool_nodelay(fd);
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A connection that stands, for the load clients. Waits for it; -1 with errno set. */
static inline int tool_dial(const struct sockaddr_in *address)
{
    int fd = tool_connect(address);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    if (fd < 0)
        return -1;
    if (poll(&writable, 1, 5000) != 1)
        error = ETIMEDOUT;
    else
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (!error)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

struct tool_url {
    struct sockaddr_in address;
    char authority[64];
    const char *path; /* inside the text that was parsed */
};

/* "http://127.0.0.1:80/path" */
static inline struct tool_url tool_url(const char *text)
{
    struct tool_url url;
    const char *start = text + strlen("http://");
    const char *path = strncmp(text, "http://", 7) == 0 ? strchr(start, '/') : NULL;
    if (!path || (size_t)(path - start) >= sizeof url.authority)
        tool_die("\"%s\" is not http://ip:port/path", text);
    memcpy(url.authority, start, (size_t)(path - start));
    url.authority[path - start] = 0;
    url.address = tool_address(url.authority);
    url.path = path;
    return url;
}

/* A GET request on the heap; its length is the result. */
static inline size_t tool_get(char **bytes, const char *path, const char *host)
{
    int count =
        asprintf(bytes, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n",
                 path, host);
    if (count < 0)
        tool_die("out of memory");
    return (size_t)count;
}

/* Adds or changes an epoll registration. */
static inline void tool_watch(int epoll, int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, operation, fd, &event) < 0)
        tool_die("epoll_ctl: %s", strerror(errno));
}

static inline int tool_epoll(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        tool_die("epoll_create1: %s", strerror(errno));
    return epoll;
}

static inline void *tool_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        tool_die("out of memory");
    return memory;
}

static inline void tool_raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}
