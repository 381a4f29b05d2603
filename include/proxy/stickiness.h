/* Clients that stay with their target, and with their target group (ELB's stickiness).
 *
 *   request ──▶ stickiness_group    which group of the action: the one in the client's cookie
 *           ──▶ stickiness_wish     which target of it: lease.pick.preferred
 *   answer  ◀── stickiness_answer   Set-Cookie lines, renewed with every answer of a target
 *
 *   cookie               holds                     made for
 *   TENBIN, AWSALB       target, expiry            lb_cookie: the first answer, then each
 *   TENBINAPP, AWSALBAPP-0  the same               app_cookie: once the target sets its own cookie,
 *                                                  then while the client brings both
 *   TENBINTG, AWSALBTG   target group, expiry      stickiness of a forward action
 *
 * With aws_names AWSALB and AWSALBTG have twins for use across origins (AWSALBCORS, AWSALBTGCORS:
 * SameSite=None; Secure), which count when both come.
 * A cookie is sealed (net/crypto_seal.h): nobody can read or make one without the keys. Its target
 * and group are hashes of name and address, the same on all nodes of a fleet. For the client it
 * lives seven days; the configured duration is inside. One that cannot be used, for whatever
 * reason, is as none: another target and a new cookie; the counters of the group tell why.
 * A client has one cookie of a kind: with two sticky groups on one host each answer replaces that of
 * the other group.
 *
 * TCP connections bring no cookies: an action of several groups goes by the client's address.
 * Owner: what is compiled belongs to the snapshot, a worker's part to its proxy. */
#ifndef PROXY_STICKINESS_H
#define PROXY_STICKINESS_H

#include "base/arena.h"
#include "http/fields.h"
#include "net/crypto.h"
#include "upstream/group.h"

#define STICKINESS_LINES      4 /* Set-Cookie lines of an answer, at most */
#define STICKINESS_LINE_BYTES 192

/* What a worker has ready. */
struct stickiness_worker {
    struct crypto_seal *seal; /* made when first used */
    int64_t expires_at;       /* what the text says */
    char expires[32];
};

/* What the request's cookies said; in the exchange. */
struct stickiness_state {
    uint8_t target; /* enum group_sticky */
    bool both;      /* app_cookie: the client brought its own and ours */
};

struct stickiness_lines {
    struct field at[STICKINESS_LINES];
    uint32_t n;
    char text[STICKINESS_LINES][STICKINESS_LINE_BYTES];
};

struct action;
struct config_group;
struct exchange;
struct proxy;

/* Of a group with its name and members: NULL when its clients bring no cookies. */
struct stickiness *stickiness_compile(struct arena *a, const struct group *g,
                                      const struct config_group *c);
void stickiness_fini(struct stickiness_worker *w);

/* The group of the action: by the client's cookie, else by weight. NULL: all weights are 0. */
struct group *stickiness_group(struct exchange *x, const struct action *a);
/* After lease_init(). */
void stickiness_wish(struct exchange *x);
/* Is there anything for it to say? */
bool stickiness_wanted(const struct exchange *x);
/* Once, for the head of a target's answer. */
void stickiness_answer(struct exchange *x, struct stickiness_lines *to);

#endif
