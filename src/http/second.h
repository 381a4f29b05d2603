/* The second opinion: http-parser reads what validate accepted and has to see the same message.
 * Private to http/. The only place that knows http-parser.
 *
 * Its reading of a head costs some 20 instructions an octet (52 in the target), five times what
 * validate costs, and most of that is spent on names and values that mean nothing to it. So there
 * are two depths. `framing` looks at what tells the length of the body. A single line in canonical
 * form ("Content-Length: 5", "Transfer-Encoding: chunked") has one reading, which is checked by
 * writing it anew; any other spelling is shown to http-parser. `whole` shows it every octet of the
 * head and compares every span. That `whole` agrees with all that validate accepts, but for such
 * spellings, is what the fuzz targets assert. */
#ifndef HTTP_SECOND_H
#define HTTP_SECOND_H

#include "http/head.h"

bool second_framing_request(const struct request_head *h);
bool second_framing_response(const struct response_head *h);
bool second_whole_request(const struct request_head *h);
bool second_whole_response(const struct response_head *h);

#endif
