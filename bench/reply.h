/* reply.h: reads HTTP/1.1 responses for the load clients.
 *
 * Bytes go in as they come; the reader says when one response is complete. Framing by
 * Content-Length only (204 and 304 have no body), which is all that bench/origin sends and all
 * that a proxy should make of it: anything else is an error of the proxy under test, not ours.
 * Embedded in a client's connection, zeroed by reply_start() for each response. Allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { REPLY_HEAD_MAX = 8192 };

enum reply_result { REPLY_MORE, REPLY_DONE, REPLY_BAD };

struct reply {
    bool in_body;
    bool closes; /* the server ends the connection behind this response */
    int status;
    uint64_t body_left;
    /* A head that came in pieces. */
    size_t head_bytes;
    char head[REPLY_HEAD_MAX];
};

static inline void reply_start(struct reply *reply)
{
    reply->in_body = false;
    reply->closes = false;
    reply->status = 0;
    reply->body_left = 0;
    reply->head_bytes = 0;
}

static inline bool reply_header_is(const char *line, const char *name, const char **value)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0)
        return false;
    *value = line + length;
    while (**value == ' ')
        ++*value;
    return true;
}

/* head..end is a whole head with its empty line. */
static inline bool reply_parse(struct reply *reply, const char *head, const char *end)
{
    bool sized = false;
    const char *value;
    if (end - head < 17 || memcmp(head, "HTTP/1.1 ", 9) != 0)
        return false;
    reply->status = atoi(head + 9);
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line && line + 1 < end - 2;
         line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if (reply_header_is(line, "Content-Length:", &value)) {
            reply->body_left = strtoull(value, NULL, 10);
            sized = true;
        } else if (reply_header_is(line, "Connection:", &value)) {
            reply->closes = strncasecmp(value, "close", 5) == 0;
        }
    }
    reply->in_body = true;
    return sized || reply->status == 204 || reply->status == 304;
}

/* Takes bytes of the head; *used is how many. */
static inline enum reply_result reply_take_head(struct reply *reply, const char *bytes,
                                                size_t count, size_t *used)
{
    if (!reply->head_bytes) {
        const char *end = memmem(bytes, count, "\r\n\r\n", 4);
        if (end) {
            *used = (size_t)(end + 4 - bytes);
            return reply_parse(reply, bytes, end + 4) ? REPLY_DONE : REPLY_BAD;
        }
    }
    size_t before = reply->head_bytes;
    size_t take = count < REPLY_HEAD_MAX - before ? count : REPLY_HEAD_MAX - before;
    memcpy(reply->head + before, bytes, take);
    reply->head_bytes += take;
    const char *end = memmem(reply->head, reply->head_bytes, "\r\n\r\n", 4);
    if (!end) {
        *used = take;
        return reply->head_bytes < REPLY_HEAD_MAX ? REPLY_MORE : REPLY_BAD;
    }
    *used = (size_t)(end + 4 - reply->head) - before;
    return reply_parse(reply, reply->head, end + 4) ? REPLY_DONE : REPLY_BAD;
}

/* REPLY_DONE only when the response ends with the last of these bytes: we ask for one at a time,
 * so a byte behind it is nobody's. */
static inline enum reply_result reply_feed(struct reply *reply, const char *bytes, size_t count)
{
    size_t used = 0;
    if (!reply->in_body) {
        enum reply_result result = reply_take_head(reply, bytes, count, &used);
        if (result != REPLY_DONE)
            return result;
    }
    if (count - used > reply->body_left)
        return REPLY_BAD;
    reply->body_left -= count - used;
    return reply->body_left ? REPLY_MORE : REPLY_DONE;
}
