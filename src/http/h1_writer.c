#include "http/h1_writer.h"

#include "base/check.h"
#include "base/text.h"

void h1_writer_u64(struct h1_writer *w, uint64_t v)
{
    char digits[TEXT_U64_MAX];
    h1_writer_put(w, digits, text_u64(digits, v));
}

void h1_writer_field(struct h1_writer *w, struct slice name, struct slice value)
{
    h1_writer_slice(w, name);
    H1_WRITER_LIT(w, ": ");
    h1_writer_slice(w, value);
    H1_WRITER_LIT(w, "\r\n");
}

void h1_writer_status_line(struct h1_writer *w, unsigned status, struct slice phrase)
{
    CHECK(status >= 100 && status <= 999);
    H1_WRITER_LIT(w, "HTTP/1.1 ");
    h1_writer_u64(w, status);
    H1_WRITER_LIT(w, " ");
    h1_writer_slice(w, phrase.n ? phrase : status_phrase(status));
    H1_WRITER_LIT(w, "\r\n");
}

enum err h1_writer_end(const struct h1_writer *w, size_t *n)
{
    *n = w->n;
    return w->full ? ERR_LIMIT : OK;
}

size_t h1_writer_chunk_head(char *to, uint64_t n)
{
    CHECK(n > 0);
    size_t digits = text_hex(to, n);
    memcpy(to + digits, "\r\n", 2);
    return digits + 2;
}

void h1_writer_last_chunk(struct h1_writer *w, const struct fields *trailers)
{
    H1_WRITER_LIT(w, "0\r\n");
    for (uint32_t i = 0; trailers && i < trailers->count; i++)
        h1_writer_field(w, trailers->at[i].name, trailers->at[i].value);
    H1_WRITER_LIT(w, "\r\n");
}

/* RFC 9110 8.6: no Content-Length, and no body, where none can be. */
static bool takes_no_length(unsigned status)
{
    return status < 200 || status == 204;
}

static void write_body_fields(struct h1_writer *w, const struct h1_reply *r)
{
    if (takes_no_length(r->status))
        return;
    if (r->body.n)
        h1_writer_field(w, SLICE("Content-Type"),
                        r->content_type.n ? r->content_type : SLICE("text/plain"));
    H1_WRITER_LIT(w, "Content-Length: ");
    h1_writer_u64(w, r->body.n);
    H1_WRITER_LIT(w, "\r\n");
}

enum err h1_writer_reply(char *to, size_t cap, const struct h1_reply *r, size_t *n)
{
    struct h1_writer w;
    h1_writer_init(&w, to, cap);
    h1_writer_status_line(&w, r->status, slice_of(NULL, 0));
    h1_writer_field(&w, SLICE("Date"), r->date);
    for (uint32_t i = 0; i < r->field_count; i++)
        if (r->fields[i].value.n)
            h1_writer_field(&w, r->fields[i].name, r->fields[i].value);
    write_body_fields(&w, r);
    if (!r->keep_alive)
        H1_WRITER_LIT(&w, "Connection: close\r\n");
    else if (r->client == HTTP_1_0)
        H1_WRITER_LIT(&w, "Connection: keep-alive\r\n");
    H1_WRITER_LIT(&w, "\r\n");
    if (r->method != METHOD_HEAD && !takes_no_length(r->status) && r->status != 304)
        h1_writer_slice(&w, r->body);
    return h1_writer_end(&w, n);
}

size_t h1_writer_error_body(char *to, unsigned status, enum reason reason)
{
    struct h1_writer w;
    size_t n;
    h1_writer_init(&w, to, H1_ERROR_BODY_MAX);
    h1_writer_u64(&w, status);
    H1_WRITER_LIT(&w, " ");
    h1_writer_slice(&w, status_phrase(status));
    H1_WRITER_LIT(&w, "\n");
    h1_writer_slice(&w, status_text(reason));
    H1_WRITER_LIT(&w, "\n");
    CHECK(h1_writer_end(&w, &n) == OK);
    return n;
}
