/* A client or a target played by a test: a socket, and all that came out of it. The loop is turned
 * while it waits; what does not come within two seconds fails the test. */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include "support/world.h"

#define PEER_BYTES (16u << 20)

enum peer_end { PEER_OPEN, PEER_FIN, PEER_RST };

struct peer {
    struct world *w;
    int fd;          /* -1: closed by the test */
    enum peer_end end;
    size_t n;
    char in[PEER_BYTES + 1]; /* ends in a NUL */
};

/* A client over TCP, so that RSTs are seen on both sides. */
struct peer *peer_client(struct world *w, unsigned slot);
/* The next connection that the proxy makes to the origin, or to another listening socket. */
struct peer *peer_origin(struct world *w);
struct peer *peer_accept(struct world *w, int listen_fd);
/* Closes if that was not done. */
void peer_free(struct peer *p);

/* Everything is sent, however small the windows; then the loop turns a few times. */
void peer_send(struct peer *p, const char *text);
void peer_send_bytes(struct peer *p, char byte, size_t n);
/* As much as the socket takes, while the loop turns; returns how much that was. */
size_t peer_fill(struct peer *p, char byte, size_t n);
void peer_shutdown(struct peer *p);
void peer_close(struct peer *p);
void peer_reset(struct peer *p);

/* Waits for the text, and forgets it and all before it. */
void peer_expect(struct peer *p, const char *text);
/* Waits for the end; what came before it stays in `in`. */
void peer_expect_end(struct peer *p, enum peer_end end);
/* Nothing that was not expected came, and no end. */
void peer_assert_silent(struct peer *p);

/* Another address of loopback on the origin's port. full: connects to it are never answered. */
int peer_listen(struct world *w, const char *ip);
struct black_hole {
    int fd, filler[4];
};
struct black_hole peer_black_hole(struct world *w, const char *ip);
void peer_black_hole_close(struct black_hole *b);

/* Time in which nothing is sent: see support/pass.h. Acknowledgements on their way arrive first, as
 * they count as a sign of life when a deadline has come. */
void peer_pass_ms(struct world *w, uint64_t ms);

/* Turns until nothing but sessions and idle links is left. */
void peer_wait_done(struct world *w);

#endif
