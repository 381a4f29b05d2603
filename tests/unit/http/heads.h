/* What the tests of http/ share: heads parsed from text. The bytes are copied to memory of exactly
 * their size, so that a sanitizer sees every octet read beyond them. */
#ifndef UNIT_HTTP_HEADS_H
#define UNIT_HTTP_HEADS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "http/h1_parser.h"

#define HEADS_FIELDS 256

struct request {
    char *bytes;
    enum reason reason;
    struct request_head head;
    struct field fields[HEADS_FIELDS];
    char host_space[HEAD_HOST_MAX];
};

struct response {
    char *bytes;
    enum reason reason;
    struct response_head head;
    struct field fields[HEADS_FIELDS];
};

static const struct limits heads_limits = LIMITS_DEFAULT;

static inline char *heads_copy(struct slice s)
{
    char *p = malloc(s.n ? s.n : 1);
    assert_non_null(p);
    memcpy(p, s.p, s.n);
    return p;
}

static inline struct request *heads_request(struct slice raw, const struct limits *limits,
                                            enum desync_mode mode)
{
    struct request *r = malloc(sizeof(*r));
    assert_non_null(r);
    r->bytes = heads_copy(raw);
    head_request_init(&r->head, r->fields, HEADS_FIELDS, r->host_space);
    r->reason = h1_parser_request(slice_of(r->bytes, raw.n), limits, mode, &r->head);
    return r;
}

static inline struct request *heads_parse(const char *text)
{
    return heads_request(slice_str(text), &heads_limits, DESYNC_MODE_DEFENSIVE);
}

static inline void heads_free_request(struct request *r)
{
    free(r->bytes);
    free(r);
}

static inline struct response *heads_response(struct slice raw, enum method_id method, bool upgrade)
{
    struct response *r = malloc(sizeof(*r));
    assert_non_null(r);
    r->bytes = heads_copy(raw);
    head_response_init(&r->head, r->fields, HEADS_FIELDS);
    r->reason =
        h1_parser_response(slice_of(r->bytes, raw.n), &heads_limits, method, upgrade, &r->head);
    return r;
}

static inline void heads_free_response(struct response *r)
{
    free(r->bytes);
    free(r);
}

#define assert_slice(s, text)                                                                      \
    do {                                                                                           \
        struct slice got_ = (s);                                                                   \
        if (!slice_eq(got_, slice_str(text)))                                                      \
            fail_msg("\"%.*s\" is not \"%s\"", (int)got_.n, got_.p ? got_.p : "", (text));         \
    } while (0)

#endif
