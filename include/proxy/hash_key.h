/* What a group whose algorithm hashes tells clients apart by: the value that its hash_on names, of
 * the request or the connection. A request without it goes anywhere: any number. */
#ifndef PROXY_HASH_KEY_H
#define PROXY_HASH_KEY_H

#include "proxy/exchange.h"

uint64_t hash_key(const struct exchange *x, const struct config_hash_on *on);

#endif
