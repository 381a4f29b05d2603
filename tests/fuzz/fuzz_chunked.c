/* A chunked body: the same data, trailers and verdict in every cut and with any room; and a body
 * that we accept is the same body once we have written it. */
#include <stdlib.h>

#include "heads.h"
#include "http/chunked.h"
#include "http/h1_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
    enum chunked_event end;
    char *data;
    size_t n, consumed;
    struct slice trailers;
};

static struct body read_body(struct slice in, size_t step, size_t room)
{
    struct body b = {.end = CHUNKED_MORE, .data = malloc(in.n + 1)};
    struct chunked c;
    CHECK(b.data);
    chunked_init(&c);
    for (size_t have = step; b.end == CHUNKED_MORE; have += step) {
        struct slice now = slice_upto(in, have);
        do {
            struct chunked_step s =
                chunked_scan(&c, slice_from(now, b.consumed), room, &fuzz_limits);
            CHECK(s.consumed <= now.n - b.consumed && s.event != CHUNKED_FULL);
            b.consumed += s.consumed;
            b.end = s.event;
            if (s.event == CHUNKED_DATA) {
                CHECK(s.data.n > 0 && s.data.n <= room);
                memcpy(b.data + b.n, s.data.p, s.data.n);
                b.n += s.data.n;
            } else if (s.event == CHUNKED_END) {
                b.trailers = s.data;
            }
        } while (b.end == CHUNKED_DATA);
        if (have >= in.n)
            break;
    }
    return b;
}

static void check_same(const struct body *a, const struct body *b)
{
    CHECK(a->end == b->end);
    CHECK(a->n == b->n && memcmp(a->data, b->data, a->n) == 0);
    if (a->end != CHUNKED_END)
        return;
    CHECK(a->consumed == b->consumed && slice_eq(a->trailers, b->trailers));
}

/* Written as one chunk, with the trailers that may stay. */
static void check_rewritten(const struct body *b)
{
    struct field at[FUZZ_FIELDS];
    struct fields trailers;
    fields_init(&trailers, at, FUZZ_FIELDS);
    if (validate_trailers(b->trailers, &fuzz_limits, &trailers))
        return;
    size_t cap = b->n + b->trailers.n + 64 + 2 * (size_t)trailers.count, n;
    struct h1_writer w;
    char *wire = malloc(cap), head[H1_CHUNK_HEAD_MAX];
    CHECK(wire);
    h1_writer_init(&w, wire, cap);
    if (b->n) {
        h1_writer_put(&w, head, h1_writer_chunk_head(head, b->n));
        h1_writer_put(&w, b->data, b->n);
        H1_WRITER_LIT(&w, "\r\n");
    }
    h1_writer_last_chunk(&w, &trailers);
    CHECK(h1_writer_end(&w, &n) == OK);
    struct body again = read_body(slice_of(wire, n), n, SIZE_MAX);
    bool grew = again.end == CHUNKED_TRAILERS_TOO_LARGE; /* ": " for ":" */
    CHECK(grew || (again.end == CHUNKED_END && again.consumed == n));
    CHECK(again.n == b->n && memcmp(again.data, b->data, b->n) == 0);
    free(again.data);
    free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of((const char *)data, size);
    if (size == 0)
        return 0;
    struct body whole = read_body(in, size, SIZE_MAX);
    static const size_t steps[] = {1, 2, 3, 7}, rooms[] = {1, SIZE_MAX, 5, 2};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct body b = read_body(in, steps[i], rooms[i]);
        check_same(&whole, &b);
        free(b.data);
    }
    if (whole.end == CHUNKED_END)
        check_rewritten(&whole);
    free(whole.data);
    return 0;
}
