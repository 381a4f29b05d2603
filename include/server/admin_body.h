/* Bodies of POST requests: a JSON object, described by rows as the configuration is
 * (config/schema.h). Pure. */
#ifndef SERVER_ADMIN_BODY_H
#define SERVER_ADMIN_BODY_H

#include "config/schema.h"
#include "server/admin.h"

/* Into `to`, whose texts live in the arena. False: the answer says what is wrong, with 400. */
bool admin_body_decode(const struct admin_request *r, const struct schema_key *keys,
                       struct arena *a, void *to, struct admin_answer *answer);

/* Decoder of an address (struct addr), for rows. */
schema_decode admin_body_addr;
#define ADMIN_BODY_ADDR_EXPECTED "IP:PORT, [IPv6]:PORT or unix:PATH"

#endif
