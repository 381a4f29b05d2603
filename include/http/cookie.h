/* Cookies of a request, as pairs of names and values (RFC 6265 5.4). Lenient, as servers are: what
 * is no pair is passed over. Pure; values are spans into the head. */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include "http/fields.h"

/* The first cookie of that name, in whichever Cookie line (HTTP/2 clients send many). Names are
 * told apart by case. The value is as sent, quotes included. False: there is none. */
bool cookie_get(const struct fields *f, struct slice name, struct slice *value);

/* The name that a Set-Cookie line sets (RFC 6265 5.2); empty when it sets none. */
struct slice cookie_set_name(struct slice line);

#endif
