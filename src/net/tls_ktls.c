#include "net/tls_ktls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "net/socket.h"
#include "tls_internal.h"

#define RECORD_ROOM 1024u /* for a record of a ticket or an alert, as the socket counts */

/* ---- is there any? ---- */

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
    return "";
}

/* ---- sending ---- */

static bool sealed(BIO *b)
{
    return BIO_get_ktls_send(BIO_next(b));
}

/* Whole or not at all: see conn.c on what the kernel keeps. */
static int write_record(const struct tls *t, BIO *b, const char *p, int n)
{
    if (t->conn->out.bytes || socket_send_room(t->conn->fd) < RECORD_ROOM) {
        BIO_set_retry_write(b);
        return -1;
    }
    int r = BIO_write(BIO_next(b), p, n);
    BIO_copy_next_retry(b);
    return r;
}

/* The kernel has the keys, so this is a record of another kind than data: OpenSSL has told the
 * socket's BIO which. */
static int write_control(const struct tls *t, BIO *b, const char *p, int n)
{
    if (t->fault || t->conn->broken)
        return -1;
    int r = write_record(t, b, p, n);
    bool left_out = r < 0 && BIO_should_retry(b) && t->ready && !t->ending;
    return left_out ? n : r;
}

static int on_write(BIO *b, const char *p, int n)
{
    struct tls *t = BIO_get_data(b);
    CHECK(n >= 0);
    BIO_clear_retry_flags(b);
    if (sealed(b))
        return write_control(t, b, p, n);
    tls_put(t, p, (size_t)n);
    return n;
}

/* All about the kernel is between OpenSSL and its own BIO of the socket. But the kernel may get the
 * keys only behind all that was sent without them: until then it is as if it could not. */
static long on_ctrl(BIO *b, int what, long n, void *p)
{
    struct tls *t = BIO_get_data(b);
    if (what == BIO_CTRL_FLUSH) {
        tls_flush(t);
        return 1;
    }
    if (!sealed(b) && tls_unsent(t))
        return 0;
    return BIO_ctrl(BIO_next(b), what, n, p);
}

static int on_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

BIO_METHOD *tls_ktls_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_FILTER, "tenbin ktls");
    CHECK(m);
    BIO_meth_set_write(m, on_write);
    BIO_meth_set_ctrl(m, on_ctrl);
    BIO_meth_set_create(m, on_create);
    return m;
}

BIO *tls_ktls_bio(struct tls *t, BIO_METHOD *method)
{
    BIO *b = BIO_new(method), *socket = BIO_new_socket(t->conn->fd, BIO_NOCLOSE);
    if (!b || !socket) {
        BIO_free(b);
        BIO_free(socket);
        return NULL;
    }
    BIO_set_data(b, t);
    return BIO_push(b, socket);
}

void tls_ktls_decide(struct tls *t)
{
    t->conn->kernel_seals = BIO_get_ktls_send(SSL_get_wbio(t->ssl));
    if (t->conn->kernel_seals)
        return;
    BIO *both = SSL_get_rbio(t->ssl);
    BIO_up_ref(both);
    SSL_set0_wbio(t->ssl, both);
}

bool tls_ktls_outdated(const struct tls *t, const unsigned char *message, size_t n)
{
    return t->conn->kernel_seals && n > SSL3_HM_HEADER_LENGTH && message[0] == SSL3_MT_KEY_UPDATE &&
           message[SSL3_HM_HEADER_LENGTH] == SSL_KEY_UPDATE_REQUESTED;
}
