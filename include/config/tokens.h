/* The tokens of the admin endpoint, read from their files into a configuration that was loaded and
 * that nobody else has yet. Reads files; any thread. */
#ifndef CONFIG_TOKENS_H
#define CONFIG_TOKENS_H

#include "config/model.h"
#include "config/report.h"

#define TOKENS_MIN 16 /* characters */
#define TOKENS_MAX 256

/* A token is all that its file holds, without white space around it. False: the report says what
 * is wrong with which. */
bool tokens_read(struct config *c, struct report *r);

#endif
