#include "net/socket.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

static bool on(int fd, int level, int option)
{
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof(one)) == 0;
}

static int open_socket(const struct addr *a)
{
    return socket(addr_family(a), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static enum err close_failed(int fd, enum err e)
{
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return e;
}

static bool is_unix(const struct addr *a)
{
    return addr_family(a) == AF_UNIX;
}

/* A path is free for us when a socket is there that nobody listens on. */
static bool unix_stale(const struct addr *a)
{
    int fd = open_socket(a);
    if (fd < 0)
        return false;
    bool stale = connect(fd, &a->sa, a->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static bool set_listener_options(int fd, const struct addr *a, bool reuseport)
{
    if (is_unix(a))
        return true;
    if (!on(fd, SOL_SOCKET, SO_REUSEADDR) || !on(fd, IPPROTO_TCP, TCP_NODELAY))
        return false;
    if (reuseport && !on(fd, SOL_SOCKET, SO_REUSEPORT))
        return false;
    return addr_family(a) != AF_INET6 || on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
}

enum err socket_bind(const struct addr *a, bool reuseport, unsigned unix_mode, int *out)
{
    if (is_unix(a) && unix_stale(a))
        (void)unlink(a->un.sun_path);
    int fd = open_socket(a);
    if (fd < 0)
        return close_failed(fd, ERR_SYSTEM);
    /* The mode of the inode is that of the socket less the umask: nobody gets in between. */
    if (is_unix(a) && fchmod(fd, unix_mode) < 0)
        return close_failed(fd, ERR_SYSTEM);
    if (!set_listener_options(fd, a, reuseport) || bind(fd, &a->sa, a->len) < 0)
        return close_failed(fd, ERR_SYSTEM);
    if (is_unix(a) && chmod(a->un.sun_path, unix_mode) < 0)
        return close_failed(fd, ERR_SYSTEM);
    *out = fd;
    return OK;
}

enum err socket_listen(int fd, int backlog)
{
    return listen(fd, backlog) == 0 ? OK : ERR_SYSTEM;
}

enum err socket_probe(const struct addr *a)
{
    if (is_unix(a))
        return OK;
    int fd;
    enum err e = socket_bind(a, false, 0, &fd);
    if (e == OK)
        close(fd);
    return e;
}

enum err socket_accept(int listen_fd, int *fd, struct addr *peer)
{
    struct sockaddr_storage ss;
    for (;;) {
        socklen_t len = sizeof(ss);
        *fd = accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (*fd >= 0) {
            if (peer)
                *peer = addr_from_sockaddr((struct sockaddr *)&ss, len);
            return OK;
        }
        switch (errno) {
        case EAGAIN:
            return ERR_AGAIN;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return ERR_NOMEM;
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
            return ERR_SYSTEM;
        default:
            continue; /* the fate of one connection, see accept(2) */
        }
    }
}

void socket_reset_on_close(int fd)
{
    struct linger rst = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
}

void socket_reset(int fd)
{
    socket_reset_on_close(fd);
    close(fd);
}

enum err socket_connect(const struct addr *to, int *out)
{
    int fd = open_socket(to);
    if (fd < 0)
        return ERR_NOMEM;
    if (!is_unix(to))
        (void)on(fd, IPPROTO_TCP, TCP_NODELAY);
    if (connect(fd, &to->sa, to->len) < 0 && errno != EINPROGRESS) {
        bool ours =
            errno == EADDRNOTAVAIL || errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
        return close_failed(fd, ours ? ERR_NOMEM : ERR_REFUSED);
    }
    *out = fd;
    return OK;
}

int socket_error(int fd)
{
    int e = 0;
    socklen_t len = sizeof(e);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? errno : e;
}

struct addr socket_local(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return (struct addr){0};
    return addr_from_sockaddr((struct sockaddr *)&ss, len);
}

size_t socket_send_room(int fd)
{
    uint32_t m[SK_MEMINFO_VARS];
    socklen_t len = sizeof(m);
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &len) < 0 || len < sizeof(m))
        return SIZE_MAX;
    uint32_t all = m[SK_MEMINFO_SNDBUF], queued = m[SK_MEMINFO_WMEM_QUEUED];
    uint32_t room = all > queued ? all - queued : 0;
    return room >= queued / 2 ? room : 0;
}
