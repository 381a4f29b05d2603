/* Websockets that clients ask for over HTTP/2 (RFC 8441): towards the target tenbin is the one that
 * shakes hands, so it is also the one that has to look at the answer. Pure; any thread. */
#ifndef PROXY_WEBSOCKET_H
#define PROXY_WEBSOCKET_H

#include "http/head.h"

/* Is the 101 an answer to this request's Sec-WebSocket-Key? A wrong or missing accept is none:
 * whatever answered does not speak the protocol, or answered somebody else (RFC 6455 4.1). */
bool websocket_agreed(const struct fields *request, const struct fields *response);

#endif
