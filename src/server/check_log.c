#include "server/check_log.h"

#include "base/text.h"

void check_log_init(struct check_log *log, struct loop *loop, struct log_writer *writer)
{
    *log = (struct check_log){0};
    line_log_init(&log->lines, loop, writer);
}

/* ---- pieces; each is followed by a space ---- */

static char *put(char *p, struct slice s)
{
    memcpy(p, s.p, s.n);
    p[s.n] = ' ';
    return p + s.n + 1;
}

static char *put_or_dash(char *p, struct slice s)
{
    return put(p, s.n ? s : SLICE("-"));
}

static char *put_time(char *p, struct clock *stamp, int64_t wall_us)
{
    clock_set(stamp, 0, wall_us);
    p = put(p, slice_of(stamp->iso_sec, 19));
    p[-1] = '.';
    text_digits6(p, (uint32_t)(wall_us % 1000000));
    p[6] = 'Z';
    p[7] = ' ';
    return p + 8;
}

static char *put_seconds(char *p, uint64_t us)
{
    p += text_u64(p, us / 1000000);
    *p++ = '.';
    text_digits6(p, (uint32_t)(us % 1000000));
    p[6] = ' ';
    return p + 7;
}

static char *put_code(char *p, const struct check_report *r)
{
    char text[TEXT_U64_MAX];
    return put_or_dash(p, slice_of(text, r->has_status ? text_u64(text, r->status) : 0));
}

static struct slice type_of(enum config_check_protocol protocol)
{
    switch (protocol) {
    case CONFIG_CHECK_HTTPS:
        return SLICE("https");
    case CONFIG_CHECK_TCP:
        return SLICE("tcp");
    case CONFIG_CHECK_TLS:
        return SLICE("tls");
    case CONFIG_CHECK_GRPC:
        return SLICE("grpc");
    case CONFIG_CHECK_HTTP:
        break;
    }
    return SLICE("http");
}

/* ---- the line ---- */

static char *put_addr(char *p, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    return put(p, slice_of(text, addr_format(a, text)));
}

void check_log_write(void *ctx, const struct check_report *r)
{
    struct check_log *log = ctx;
    char *p = line_log_on(&log->lines) ? line_log_begin(&log->lines) : NULL;
    if (!p)
        return;
    p = put(p, type_of(r->group->check->protocol));
    p = put_time(p, &log->stamp, r->began_wall_us);
    p = put_seconds(p, r->took_us);
    p = put_addr(p, &r->addr);
    p = put(p, r->group->name);
    p = put(p, r->result == HEALTH_RESULT_PASS ? SLICE("PASS") : SLICE("FAIL"));
    p = put_code(p, r);
    p = put_or_dash(p, health_result_name(r->result));
    p[-1] = '\n';
    line_log_end(&log->lines, p);
}
