/* The second opinion: http-parser reads what validate accepted and has to see the same message.
 * Private to http/. The only place that knows http-parser.
 *
 * Its reading of a head costs some 20 instructions an octet (52 in the target), ten times what
 * validate costs, and most of that is spent on names and values that mean nothing to it. So there
 * are two depths. `framing` shows it the lines that it gives a meaning to for the length of the
 * body; with none of them there is nothing that could differ. `whole` shows it every octet and
 * compares every span. That whole agrees wherever framing does is what the fuzz targets assert. */
#ifndef HTTP_SECOND_H
#define HTTP_SECOND_H

#include "http/head.h"

bool second_framing_request(const struct request_head *h);
bool second_framing_response(const struct response_head *h);
bool second_whole_request(const struct request_head *h);
bool second_whole_response(const struct response_head *h);

#endif
