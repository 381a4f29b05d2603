#include "net/tls_ktls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/opensslconf.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* A kernel that knows the protocol says that there is no connection yet. */
static bool kernel_can(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool can = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 || errno == ENOTCONN;
    close(fd);
    return can;
}

static bool openssl_can(void)
{
#ifdef OPENSSL_NO_KTLS
    return false;
#else
    return true;
#endif
}

enum tls_ktls tls_ktls_probe(void)
{
    if (!kernel_can())
        return TLS_KTLS_NO_KERNEL;
    return openssl_can() ? TLS_KTLS_POSSIBLE : TLS_KTLS_NO_OPENSSL;
}

const char *tls_ktls_why(enum tls_ktls found)
{
    switch (found) {
    case TLS_KTLS_NO_KERNEL:
        return "the kernel has no module \"tls\"";
    case TLS_KTLS_NO_OPENSSL:
        return "OpenSSL was built without it";
    case TLS_KTLS_POSSIBLE:
        break;
    }
    return "kernel and OpenSSL could, but this version of tenbin does not";
}
