#include "http/status.h"

#include "base/check.h"

struct entry {
    const char *name;
    unsigned status;
    struct slice text;
};

static const struct entry entries[] = {
#define ENTRY(id, name, status, text) [REASON_##id] = {name, status, SLICE_INIT(text)},
    REASONS(ENTRY)
#undef ENTRY
};

const char *status_reason_name(enum reason r)
{
    CHECK(r < REASON_COUNT);
    return entries[r].name;
}

unsigned status_of(enum reason r)
{
    CHECK(r < REASON_COUNT);
    return entries[r].status;
}

struct slice status_text(enum reason r)
{
    CHECK(r < REASON_COUNT);
    return entries[r].text;
}

static const struct slice phrases[] = {
    [100] = SLICE_INIT("Continue"),
    [101] = SLICE_INIT("Switching Protocols"),
    [102] = SLICE_INIT("Processing"),
    [103] = SLICE_INIT("Early Hints"),
    [200] = SLICE_INIT("OK"),
    [201] = SLICE_INIT("Created"),
    [202] = SLICE_INIT("Accepted"),
    [203] = SLICE_INIT("Non-Authoritative Information"),
    [204] = SLICE_INIT("No Content"),
    [205] = SLICE_INIT("Reset Content"),
    [206] = SLICE_INIT("Partial Content"),
    [300] = SLICE_INIT("Multiple Choices"),
    [301] = SLICE_INIT("Moved Permanently"),
    [302] = SLICE_INIT("Found"),
    [303] = SLICE_INIT("See Other"),
    [304] = SLICE_INIT("Not Modified"),
    [307] = SLICE_INIT("Temporary Redirect"),
    [308] = SLICE_INIT("Permanent Redirect"),
    [400] = SLICE_INIT("Bad Request"),
    [401] = SLICE_INIT("Unauthorized"),
    [402] = SLICE_INIT("Payment Required"),
    [403] = SLICE_INIT("Forbidden"),
    [404] = SLICE_INIT("Not Found"),
    [405] = SLICE_INIT("Method Not Allowed"),
    [406] = SLICE_INIT("Not Acceptable"),
    [407] = SLICE_INIT("Proxy Authentication Required"),
    [408] = SLICE_INIT("Request Timeout"),
    [409] = SLICE_INIT("Conflict"),
    [410] = SLICE_INIT("Gone"),
    [411] = SLICE_INIT("Length Required"),
    [412] = SLICE_INIT("Precondition Failed"),
    [413] = SLICE_INIT("Content Too Large"),
    [414] = SLICE_INIT("URI Too Long"),
    [415] = SLICE_INIT("Unsupported Media Type"),
    [416] = SLICE_INIT("Range Not Satisfiable"),
    [417] = SLICE_INIT("Expectation Failed"),
    [418] = SLICE_INIT("I'm a teapot"),
    [421] = SLICE_INIT("Misdirected Request"),
    [422] = SLICE_INIT("Unprocessable Content"),
    [423] = SLICE_INIT("Locked"),
    [424] = SLICE_INIT("Failed Dependency"),
    [425] = SLICE_INIT("Too Early"),
    [426] = SLICE_INIT("Upgrade Required"),
    [428] = SLICE_INIT("Precondition Required"),
    [429] = SLICE_INIT("Too Many Requests"),
    [431] = SLICE_INIT("Request Header Fields Too Large"),
    [451] = SLICE_INIT("Unavailable For Legal Reasons"),
    [460] = SLICE_INIT("Client Closed Connection"),
    [463] = SLICE_INIT("Too Many Forwarded Addresses"),
    [464] = SLICE_INIT("Protocol Mismatch"),
    [500] = SLICE_INIT("Internal Server Error"),
    [501] = SLICE_INIT("Not Implemented"),
    [502] = SLICE_INIT("Bad Gateway"),
    [503] = SLICE_INIT("Service Unavailable"),
    [504] = SLICE_INIT("Gateway Timeout"),
    [505] = SLICE_INIT("HTTP Version Not Supported"),
    [507] = SLICE_INIT("Insufficient Storage"),
    [511] = SLICE_INIT("Network Authentication Required"),
};

static const struct slice classes[] = {
    [1] = SLICE_INIT("Informational"), [2] = SLICE_INIT("Successful"),
    [3] = SLICE_INIT("Redirection"),   [4] = SLICE_INIT("Client Error"),
    [5] = SLICE_INIT("Server Error"),
};

struct slice status_phrase(unsigned status)
{
    if (status < ARRAY_LEN(phrases) && phrases[status].n)
        return phrases[status];
    return status / 100 < ARRAY_LEN(classes) ? classes[status / 100] : (struct slice){"", 0};
}
