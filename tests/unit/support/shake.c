#include "support/shake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void on_event(struct task *t)
{
    struct shake *s = container_of(t, struct shake, task);
    if (conn_flush(s->c) == OK && s->e == ERR_AGAIN)
        s->e = tls_handshake(s->c);
    conn_settle(s->c, s->e == ERR_AGAIN);
}

void shake_begin(struct shake *s, struct loop *loop, struct tls_ctx *x, SSL *client)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    *s = (struct shake){.e = ERR_AGAIN, .client = client};
    task_init(&s->task, on_event);
    s->c = conn_new(loop, fd[0], NULL);
    conn_own(s->c, &s->task);
    assert_int_equal(tls_accept(s->c, x), OK);
    SSL_set_fd(client, fd[1]);
    for (int i = 0; i < 200 && s->e == ERR_AGAIN; i++) {
        (void)SSL_connect(client);
        loop_turn(loop);
    }
    (void)SSL_connect(client);
}

void shake_end(struct shake *s)
{
    int fd = SSL_get_fd(s->client);
    struct loop *loop = s->c->loop;
    conn_close(s->c);
    SSL_free(s->client);
    close(fd);
    loop_turn(loop);
}
