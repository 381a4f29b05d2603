#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* By hand and not by strftime: a locale must not change the wire. */
static void put_http(char to[48], const struct tm *t)
{
    snprintf(to, 48, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t->tm_wday % 7], t->tm_mday % 100,
             months[t->tm_mon % 12], (t->tm_year + 1900) % 10000, t->tm_hour % 100, t->tm_min % 100,
             t->tm_sec % 100);
}

void clock_format_http(char to[CLOCK_HTTP_DATE_BYTES], int64_t sec)
{
    char text[48];
    struct tm t;
    time_t at = (time_t)sec;
    gmtime_r(&at, &t);
    put_http(text, &t);
    memcpy(to, text, CLOCK_HTTP_DATE_BYTES);
}

static void render(struct clock *c, time_t sec)
{
    struct tm t;
    char year[16];
    gmtime_r(&sec, &t);
    snprintf(year, sizeof(year), "%04d", (t.tm_year + 1900) % 10000);
    put_http(c->http_date, &t);
    snprintf(c->iso_sec, sizeof(c->iso_sec), "%.4s-%02d-%02dT%02d:%02d:%02d", year,
             (t.tm_mon + 1) % 100, t.tm_mday % 100, t.tm_hour % 100, t.tm_min % 100,
             t.tm_sec % 100);
    snprintf(c->clf_time, sizeof(c->clf_time), "%02d/%s/%.4s:%02d:%02d:%02d +0000", t.tm_mday % 100,
             months[t.tm_mon % 12], year, t.tm_hour % 100, t.tm_min % 100, t.tm_sec % 100);
    c->text_sec = sec;
}

void clock_set(struct clock *c, uint64_t mono_us, int64_t wall_us)
{
    c->now_us = mono_us;
    c->now_ms = mono_us / 1000;
    c->wall_us = wall_us;
    int64_t sec = wall_us / 1000000;
    if (sec != c->text_sec || !c->http_date[0])
        render(c, (time_t)sec);
}

void clock_update(struct clock *c)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_set(c, (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
              (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000);
}
