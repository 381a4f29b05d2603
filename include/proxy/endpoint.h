/* An endpoint translates between one conn and one exchange. There is one on the client side
 * (front) and one on the target side (back), of any pair of wires:
 *
 *              exchange_request / _up_more / _gone        exchange_response / _down_more / _back_end
 *   client ⇄ conn ⇄ front endpoint ───────────▶ exchange ◀─────────── back endpoint ⇄ link ⇄ target
 *                        ▲   send_head · wake · close  │  send_head · wake · close      ▲
 *                        └─────────────────────────────┴────────────────────────────────┘
 *
 * The exchange calls the three operations; they never call back into the exchange before they
 * return, they only act on their own conn and consume from their flow. What they find out on the
 * way (the peer is gone) they remember and report from their own task.
 * The endpoints call exchange_*() from their own task only.
 */
#ifndef PROXY_ENDPOINT_H
#define PROXY_ENDPOINT_H

#include <stdbool.h>

struct exchange;
struct endpoint;

/* How an endpoint's part of an exchange ends. What it looks like on each wire: src/proxy/README.md. */
enum end {
    END_OK,      /* whole in both directions */
    END_ABORT,   /* broken off: the peer must be able to see that something is missing */
    END_TIMEOUT, /* the same, a deadline was the reason */
    END_REFUSED, /* nothing was sent */
};

enum wake {
    WAKE_TAKE = 1, /* a head was given, or there are bytes or the end in the flow you drain */
    WAKE_ROOM = 2, /* there is room in the flow you fill */
};

struct endpoint_ops {
    /* front: the response head x->resp, also an interim (1xx) one; back: the request head x->req.
     * Always followed by wake(TAKE) in the same task: head and first bytes leave as one segment. */
    void (*send_head)(struct endpoint *ep);
    void (*wake)(struct endpoint *ep, unsigned what);
    void (*close)(struct endpoint *ep, enum end end);
};

struct endpoint {
    const struct endpoint_ops *ops;
    struct exchange *x; /* NULL while the endpoint serves none */
};

#endif
