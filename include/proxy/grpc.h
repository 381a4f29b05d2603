/* gRPC, as far as a load balancer has a part in it: who speaks it, until when an answer is wanted,
 * how an error of ours is said in it; and which clients may go to which groups (ELB's table).
 *
 * A gRPC request is one over HTTP/2 whose content-type is application/grpc, with or without a
 * `+format`. gRPC-Web is none: to it and to us it is plain HTTP. Pure but for grpc_note().
 */
#ifndef PROXY_GRPC_H
#define PROXY_GRPC_H

#include "proxy/exchange.h"

/* RFC-less, but fixed: the codes of gRPC that are said here. */
enum grpc_code {
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

/* x->req is there: sets x->grpc, and x->deadline_ms by grpc-timeout. */
void grpc_note(struct exchange *x);

/* `1S`, `100m`, ...: at most eight digits and a unit. In milliseconds, rounded up; ERR_SYNTAX. */
MUST_USE enum err grpc_timeout(struct slice value, uint64_t *ms);

/* The group's targets do not speak what the client does: 464. */
bool grpc_mismatch(const struct exchange *x, const struct group *g);

enum grpc_code grpc_code_of(enum reason why);

#endif
