/* The second opinion: http-parser reads what validate accepted and has to see the same message.
 * Private to http/. The only place that knows http-parser.
 *
 * Of a request it reads every octet, and every span is compared (`whole`). Of a response, which
 * comes from a side that is trusted with more, only what tells the length of the body (`framing`):
 * a single line in canonical form ("Content-Length: 5", "Transfer-Encoding: chunked") has one
 * reading, which is checked by writing it anew; any other spelling is shown to http-parser. Of a
 * request that came over HTTP/2, whose text is our own (`written`), every span has to stand where we
 * write it and its framing in canonical form: the text has one reading then, since validate has
 * found nothing odd in it; if not, http-parser reads every octet. The fuzz targets assert that it
 * would have agreed. Cost of http-parser: some 20 instructions an octet, 52 in the target. */
#ifndef HTTP_SECOND_H
#define HTTP_SECOND_H

#include "http/head.h"

bool second_framing_response(const struct response_head *h);
bool second_written_request(const struct request_head *h);
bool second_whole_request(const struct request_head *h);
bool second_whole_response(const struct response_head *h);

#endif
