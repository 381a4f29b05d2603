#include "upstream/anomaly.h"

#include <stdlib.h>

#include "upstream/target.h"

#define FADE      0.5 /* of what was seen, each round */
#define SIGMAS_SQ 9.5 /* 3.09 squared: one in a thousand, one-sided */

void anomaly_add(struct anomaly *a, uint64_t requests, uint64_t failures)
{
    a->requests = a->requests * FADE + (double)requests;
    a->failures = a->failures * FADE + (double)failures;
}

static double rate(const struct anomaly *a)
{
    return a->requests > 0 ? a->failures / a->requests : 0;
}

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Those with traffic; with few of them the lower middle. */
static double median_rate(struct anomaly *const *all, size_t n, double *scratch)
{
    size_t seen = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i]->requests > 0)
            scratch[seen++] = rate(all[i]);
    if (seen == 0)
        return 1;
    qsort(scratch, seen, sizeof(*scratch), compare);
    return scratch[(seen - 1) / 2];
}

/* The better half together. */
struct baseline {
    double median;
    struct anomaly sum;
};

static struct baseline draw(struct anomaly *const *all, size_t n, double *scratch)
{
    struct baseline b = {.median = median_rate(all, n, scratch)};
    for (size_t i = 0; i < n; i++)
        if (rate(all[i]) <= b.median) {
            b.sum.requests += all[i]->requests;
            b.sum.failures += all[i]->failures;
        }
    return b;
}

/* Two proportions, pooled: z squared against its limit, without a root. */
static bool unlikely(const struct anomaly *a, const struct anomaly *base)
{
    double over = rate(a) - rate(base);
    double pooled = (a->failures + base->failures) / (a->requests + base->requests);
    double variance = pooled * (1 - pooled) * (1 / a->requests + 1 / base->requests);
    return over * over > SIGMAS_SQ * variance;
}

static bool judge(const struct anomaly *a, const struct baseline *base, double points)
{
    if (a->requests < 1 || base->sum.requests < ANOMALY_REQUESTS_MIN)
        return false;
    if (rate(a) - base->median < points)
        return false;
    return a->anomalous || (a->requests >= ANOMALY_REQUESTS_MIN &&
                            a->failures >= ANOMALY_FAILURES_MIN && unlikely(a, &base->sum));
}

void anomaly_judge(struct anomaly *const *all, size_t n, double points, double *scratch)
{
    struct baseline base = {0};
    if (n >= ANOMALY_TARGETS_MIN)
        base = draw(all, n, scratch);
    for (size_t i = 0; i < n; i++)
        all[i]->anomalous = judge(all[i], &base, points);
}

uint16_t anomaly_share(uint16_t share, bool anomalous)
{
    unsigned next = anomalous ? share / 2u : share * 2u;
    if (next < ANOMALY_SHARE_MIN)
        next = ANOMALY_SHARE_MIN;
    return (uint16_t)(next < TARGET_SHARE_ALL ? next : TARGET_SHARE_ALL);
}
