/* The local factor over time.
 *
 *   input ──▶ average ──▶ backlash ──▶ held
 *
 * Between two looks the input was what it was at the first, so a view that nobody picked from for
 * a while has not learned anything meanwhile. The backlash follows downwards at once; upwards
 * only after a rise of ZONE_BACK, and then all the way, until the average turns down by a fifth
 * of that. */
#include "upstream/zone.h"

#define CLOSE (0.5 / ZONE_WHOLE)
#define TURN  (ZONE_BACK / 5)

static double distance(double a, double b)
{
    return a > b ? a - b : b - a;
}

static void settle(struct zone_memory *m, double at)
{
    m->smooth = m->held = at;
    m->rising = false;
}

static void begin(struct zone_memory *m, double now, uint64_t now_ms)
{
    m->known = true;
    m->input = now;
    m->at_ms = m->changed_ms = now_ms;
    settle(m, now);
}

/* Backward Euler: never overshoots, however long the step. */
static void average(struct zone_memory *m, uint32_t smoothing_ms, uint64_t now_ms)
{
    double passed = now_ms > m->at_ms ? (double)(now_ms - m->at_ms) : 0;
    m->smooth += (m->input - m->smooth) * passed / (passed + smoothing_ms);
    m->at_ms = now_ms;
}

static void follow(struct zone_memory *m)
{
    if (m->rising && m->smooth < m->held - TURN)
        m->rising = false;
    if (!m->rising && m->smooth >= m->held + ZONE_BACK)
        m->rising = true;
    if (m->rising ? m->smooth > m->held : m->smooth < m->held)
        m->held = m->smooth;
}

static void note(struct zone_memory *m, double now, uint64_t now_ms)
{
    if (now == m->input)
        return;
    m->input = now;
    m->changed_ms = now_ms;
}

double zone_factor(struct zone_memory *m, double now, uint32_t smoothing_ms, uint64_t now_ms)
{
    if (!m->known || smoothing_ms == 0) {
        begin(m, now, now_ms);
    } else {
        average(m, smoothing_ms, now_ms);
        note(m, now, now_ms);
        follow(m);
    }
    bool calm = now_ms - m->changed_ms >= (uint64_t)ZONE_CALM * smoothing_ms;
    if (now <= 0 || (calm && distance(m->smooth, now) < ZONE_BACK))
        settle(m, now);
    return m->held < 1 ? m->held : 1;
}

bool zone_factor_moves(const struct zone_memory *m)
{
    return m->known &&
           (distance(m->smooth, m->input) > CLOSE || distance(m->held, m->input) > CLOSE);
}
