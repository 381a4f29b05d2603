/* The pick order of weighted targets, made once per view and then only walked.
 *
 * A target of weight w in a lap of n places is due in windows: its k-th place lies at or after
 * k*n/w and before (k+1)*n/w, rounded outwards. Place after place goes to the target whose window
 * is open and ends first, which keeps everybody within one place of its share at all times. What
 * nginx does in targets * n steps takes n log(targets) this way.
 *
 *   weights 3 1 1 (n = 5)    windows of the first: [0,2) [1,4) [3,5)    a a b a c
 */
#include <stdlib.h>

#include "base/check.h"
#include "upstream/group.h"

struct share {
    uint32_t weight;
    uint32_t placed;
    uint32_t deadline; /* end of the present window */
    uint32_t next;     /* in the list of those whose window opens at the same place; index + 1 */
};

struct lap {
    struct share *shares;
    uint32_t places;
    uint32_t *opening; /* [places]: heads of those lists; index + 1 */
    uint32_t *ready;   /* a heap by deadline */
    uint32_t ready_n;
};

static void *zalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    CHECK(p);
    return p;
}

/* ---- weights ---- */

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* One place each for those that would get none, the rest by weight. */
static uint32_t scaled(uint32_t weight, uint64_t sum, uint32_t used)
{
    if (sum <= GROUP_SEQUENCE_MAX || weight == 0)
        return weight;
    uint64_t free_places = used < GROUP_SEQUENCE_MAX ? GROUP_SEQUENCE_MAX - used : 0;
    uint64_t places = weight * free_places / sum;
    return places ? (uint32_t)places : 1;
}

static void take_weights(struct lap *l, const uint32_t *weights, size_t n)
{
    uint32_t unit = 0, used = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        unit = gcd(weights[i], unit);
        used += weights[i] != 0;
        sum += weights[i];
    }
    for (size_t i = 0; i < n && unit; i++) {
        l->shares[i].weight = scaled(weights[i] / unit, sum / unit, used);
        l->places += l->shares[i].weight;
    }
}

/* ---- who is due ---- */

/* Of two that are due at once the heavier goes first, then the one named first. */
static bool sooner(const struct lap *l, uint32_t a, uint32_t b)
{
    const struct share *x = &l->shares[a], *y = &l->shares[b];
    if (x->deadline != y->deadline)
        return x->deadline < y->deadline;
    return x->weight != y->weight ? x->weight > y->weight : a < b;
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t was = *a;
    *a = *b;
    *b = was;
}

static void ready_add(struct lap *l, uint32_t who)
{
    uint32_t at = l->ready_n++;
    l->ready[at] = who;
    while (at && sooner(l, l->ready[at], l->ready[(at - 1) / 2])) {
        swap(&l->ready[at], &l->ready[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static uint32_t soonest_child(const struct lap *l, uint32_t at)
{
    uint32_t child = 2 * at + 1;
    if (child + 1 < l->ready_n && sooner(l, l->ready[child + 1], l->ready[child]))
        child++;
    return child;
}

static uint32_t ready_take(struct lap *l)
{
    CHECK(l->ready_n);
    uint32_t first = l->ready[0];
    l->ready[0] = l->ready[--l->ready_n];
    for (uint32_t at = 0; 2 * at + 1 < l->ready_n;) {
        uint32_t child = soonest_child(l, at);
        if (!sooner(l, l->ready[child], l->ready[at]))
            break;
        swap(&l->ready[child], &l->ready[at]);
        at = child;
    }
    return first;
}

/* The window of a share's next place; it may have begun with the place that was filled just now. */
static void open_window(struct lap *l, uint32_t who, uint32_t earliest)
{
    struct share *s = &l->shares[who];
    if (s->placed == s->weight)
        return;
    uint64_t begin = (uint64_t)s->placed * l->places / s->weight;
    uint64_t end = ((uint64_t)(s->placed + 1) * l->places + s->weight - 1) / s->weight;
    if (begin < earliest)
        begin = earliest;
    s->deadline = (uint32_t)end;
    s->next = l->opening[begin];
    l->opening[begin] = who + 1;
}

static void make_ready(struct lap *l, uint32_t place)
{
    while (l->opening[place]) {
        uint32_t who = l->opening[place] - 1;
        l->opening[place] = l->shares[who].next;
        ready_add(l, who);
    }
}

static void fill(struct lap *l, size_t shares_n, uint32_t *sequence)
{
    for (uint32_t i = 0; i < shares_n; i++)
        open_window(l, i, 0);
    for (uint32_t place = 0; place < l->places; place++) {
        make_ready(l, place);
        uint32_t who = ready_take(l);
        sequence[place] = who;
        l->shares[who].placed++;
        open_window(l, who, place + 1);
    }
}

/* ---- neighbours ---- */

/* The first place after `from` where x fits between two others; `from` itself: there is none. */
static uint32_t gap_without(const uint32_t *sequence, uint32_t n, uint32_t from, uint32_t x)
{
    for (uint32_t i = (from + 1) % n; i != from; i = (i + 1) % n)
        if (sequence[i] != x && sequence[(i + 1) % n] != x)
            return i;
    return from;
}

static void move_behind(uint32_t *sequence, uint32_t n, uint32_t from, uint32_t to)
{
    uint32_t x = sequence[from];
    for (uint32_t i = from; i != to; i = (i + 1) % n)
        sequence[i] = sequence[(i + 1) % n];
    sequence[to] = x;
}

/* Windows touch, so the last place of one and the first of the next may be neighbours: one of the
 * two moves on to where it meets nobody of its kind. This never makes a new pair. Only a target
 * with more than half of all places can be left without such a gap. */
static void part_twins(uint32_t *sequence, uint32_t n)
{
    uint32_t hopeless = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t next = (i + 1) % n;
        while (sequence[i] == sequence[next] && sequence[i] != hopeless) {
            uint32_t gap = gap_without(sequence, n, next, sequence[i]);
            if (gap == next)
                hopeless = sequence[i];
            else
                move_behind(sequence, n, next, gap);
        }
    }
}

uint32_t *group_sequence(const uint32_t *weights, size_t weights_n, uint32_t *n)
{
    struct lap l = {.shares = zalloc(weights_n, sizeof(struct share))};
    uint32_t *sequence = NULL;
    take_weights(&l, weights, weights_n);
    if (l.places) {
        l.opening = zalloc(l.places, sizeof(uint32_t));
        l.ready = zalloc(weights_n, sizeof(uint32_t));
        sequence = zalloc(l.places, sizeof(uint32_t));
        fill(&l, weights_n, sequence);
        part_twins(sequence, l.places);
    }
    free(l.ready);
    free(l.opening);
    free(l.shares);
    *n = l.places;
    return sequence;
}
