/* Stream sockets by address: TCP and unix. All descriptors are non-blocking and close-on-exec.
 * Errors: ERR_SYSTEM with errno unless said otherwise. Any thread; no state. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "net/addr.h"

/* A bound socket that does not listen yet: a reload binds all its new sockets first and calls
 * socket_listen() only when nothing can fail any more. IPv6 sockets are V6ONLY. A stale unix
 * socket (nobody accepts on it) is replaced; unix_mode is set before anyone can connect.
 * TCP options that accepted sockets inherit (NODELAY) are set here, so that accepting costs no
 * setsockopt. */
MUST_USE enum err socket_bind(const struct addr *a, bool reuseport, unsigned unix_mode, int *fd);
MUST_USE enum err socket_listen(int fd, int backlog);

/* Is the address free? Binds without SO_REUSEPORT and closes again: a second tenbin on the same
 * port is an error, although SO_REUSEPORT would let both in. */
MUST_USE enum err socket_probe(const struct addr *a);

/* ERR_AGAIN: nobody waits; ERR_NOMEM: out of descriptors or memory (EMFILE, ENFILE, ENOBUFS,
 * ENOMEM); errors of a single connection (ECONNABORTED, ...) are skipped. peer may be NULL. */
MUST_USE enum err socket_accept(int listen_fd, int *fd, struct addr *peer);

/* Closes with an RST; the other only sees to it that a later close does. */
void socket_reset(int fd);
void socket_reset_on_close(int fd);

/* Starts to connect; success is told by writability and socket_error(). ERR_REFUSED: failed at
 * once; ERR_NOMEM: out of descriptors, ports or memory. */
MUST_USE enum err socket_connect(const struct addr *to, int *fd);
/* Takes and clears SO_ERROR: 0 or an errno. */
int socket_error(int fd);
struct addr socket_local(int fd);
/* Bytes that a TCP socket has room for, what they are packed in included. 0 exactly while it is not
 * said to be writable: less than a third is free. SIZE_MAX: the kernel does not tell. */
size_t socket_send_room(int fd);

#endif
