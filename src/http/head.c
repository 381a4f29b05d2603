#include "http/head.h"

#include "base/check.h"

void head_request_init(struct request_head *h, struct field *fields, uint32_t cap, char *host_space)
{
    *h = (struct request_head){.host_space = host_space};
    fields_init(&h->fields, fields, cap);
}

void head_response_init(struct response_head *h, struct field *fields, uint32_t cap)
{
    *h = (struct response_head){0};
    fields_init(&h->fields, fields, cap);
}

/* Points s into `to` when it points into `from`; what lies elsewhere, or nowhere, stays. */
static void rebase(struct slice *s, struct slice from, const char *to)
{
    size_t offset = (size_t)((uintptr_t)s->p - (uintptr_t)from.p);
    if (s->p && offset <= from.n && s->n <= from.n - offset)
        s->p = to + offset;
}

static void move_fields(struct fields *f, struct slice from, const char *to, struct field *array)
{
    if (f->count)
        memcpy(array, f->at, f->count * sizeof(*array));
    f->at = array;
    f->cap = f->count;
    for (uint32_t i = 0; i < f->count; i++) {
        rebase(&array[i].name, from, to);
        rebase(&array[i].value, from, to);
    }
}

void head_request_move(struct request_head *h, char *raw, struct field *fields, char *host_space)
{
    struct slice from = h->raw, host_from = slice_of(h->host_space, HEAD_HOST_MAX);
    CHECK(from.p && host_from.p);
    memcpy(raw, from.p, from.n);
    if (h->host_norm.n && h->host_norm.p == h->host_space)
        memcpy(host_space, h->host_space, h->host_norm.n);
    rebase(&h->host_norm, host_from, host_space);
    struct slice *const spans[] = {&h->raw,  &h->method, &h->target, &h->scheme,   &h->authority,
                                   &h->path, &h->query,  &h->host,   &h->host_norm};
    for (size_t i = 0; i < ARRAY_LEN(spans); i++)
        rebase(spans[i], from, raw);
    h->host_space = host_space;
    move_fields(&h->fields, from, raw, fields);
}

void head_response_move(struct response_head *h, char *raw, struct field *fields)
{
    struct slice from = h->raw;
    CHECK(from.p);
    memcpy(raw, from.p, from.n);
    rebase(&h->raw, from, raw);
    rebase(&h->reason, from, raw);
    move_fields(&h->fields, from, raw, fields);
}

enum method_id head_method(struct slice name)
{
    static const struct {
        enum method_id id;
        struct slice name;
    } methods[] = {
        {METHOD_GET, SLICE_INIT("GET")},         {METHOD_POST, SLICE_INIT("POST")},
        {METHOD_HEAD, SLICE_INIT("HEAD")},       {METHOD_PUT, SLICE_INIT("PUT")},
        {METHOD_DELETE, SLICE_INIT("DELETE")},   {METHOD_OPTIONS, SLICE_INIT("OPTIONS")},
        {METHOD_PATCH, SLICE_INIT("PATCH")},     {METHOD_TRACE, SLICE_INIT("TRACE")},
        {METHOD_CONNECT, SLICE_INIT("CONNECT")},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (slice_eq(name, methods[i].name))
            return methods[i].id;
    return METHOD_OTHER;
}

bool head_idempotent(enum method_id method)
{
    switch (method) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_OPTIONS:
    case METHOD_PUT:
    case METHOD_DELETE:
        return true;
    default:
        return false;
    }
}
