/* Who may ask and who may change, on the admin endpoint. Pure.
 *
 *   tokens configured   every request needs one: a viewer's to ask, an operator's to change
 *   none, unix socket   the mode of the socket decides who can connect, and whoever can may do all
 *   none, TCP           all of this machine may ask; nobody may change anything
 *
 * A token is compared with every configured one, in the same time whatever it is. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "config/model.h"
#include "server/admin.h"

enum access_verdict {
    ACCESS_GRANTED,
    ACCESS_TOKEN_MISSING, /* 401 */
    ACCESS_TOKEN_WRONG,   /* 401 */
    ACCESS_ROLE_TOO_LOW,  /* 403 */
    ACCESS_NO_TOKENS,     /* 403: a change over TCP, and no tokens are configured */
};

/* needed: VIEWER or OPERATOR. */
enum access_verdict access_check(const struct config_admin *c, const struct admin_request *r,
                                 enum config_role needed);
unsigned access_status(enum access_verdict v);
const char *access_text(enum access_verdict v); /* why not; one sentence */

#endif
