/* ctc.c - what connectionist temporal classification means: a sequence's rows state by state, a frame's classes one by one. */
#include "ctc/ctc.h"

#include <math.h>

#include "cpu/reference.h"

struct sequence {
    const struct kiln_params_ctc *p;
    const int32_t *target;
    size_t n, frames, labels, states;
    bool fits;
};

static struct sequence sequence_of(const struct kiln_params_ctc *p, const int32_t *target,
                                   const uint32_t *lengths, size_t n)
{
    const size_t frames = lengths[n], labels = lengths[p->sequences + n];
    const bool fits = frames <= p->frames && labels <= p->labels;
    return (struct sequence){p,   target, n, fits ? frames : 0, fits ? labels : 0, fits ? 2 * labels + 1 : 1,
                             fits};
}

static size_t class_of(const struct sequence *q, size_t s)
{
    return s % 2 ? (uint32_t)q->target[q->n * q->p->labels + s / 2] : q->p->blank;
}

/* What frame t says of a class; NaN where there is none. */
static double said(const struct sequence *q, const real *x, size_t t, size_t class)
{
    const struct kiln_params_ctc *p = q->p;
    return class < p->classes ? x[p->x_skip + ((t - p->first) * p->sequences + q->n) * p->classes + class]
                              : (double)NAN;
}

/* log(exp a + exp b + exp c) */
static double log_sum(double a, double b, double c)
{
    const double peak = fmax(fmax(a, b), c), base = peak == -INFINITY ? 0 : peak;
    return base + log(exp(a - base) + exp(b - base) + exp(c - base));
}

static size_t turned(const struct sequence *q, size_t s)
{
    return q->p->how & KILN_CTC_BACK ? q->states - 1 - s : s;
}

/* The row after frame t in place of the row before it. */
static void advance(const struct sequence *q, const real *x, size_t t, real *row)
{
    for (size_t s = q->states; s-- > 0;) {
        const size_t own = class_of(q, turned(q, s));
        const bool skips = s % 2 && s > 2 && own != class_of(q, turned(q, s - 2));
        const double one = s > 0 ? row[s - 1] : -INFINITY, two = skips ? row[s - 2] : -INFINITY;
        row[s] = (real)(said(q, x, t, own) + log_sum(row[s], one, two));
    }
}

static void take_largest_away(const struct sequence *q, real *row, double *level)
{
    double largest = -INFINITY;
    for (size_t s = 0; s < q->states; s++)
        largest = row[s] > largest || isnan(row[s]) ? row[s] : largest;
    if (largest == -INFINITY)
        return;
    for (size_t s = 0; s < q->states; s++)
        row[s] = (real)(row[s] - largest);
    *level += largest;
}

static void keep(const struct sequence *q, const real *row, size_t t, size_t states, real *rows)
{
    const struct kiln_params_ctc *p = q->p;
    const size_t all = 2 * (size_t)p->labels + 1;
    real *to = rows + p->row_skip + ((t - p->first) * p->sequences + q->n) * all;
    for (size_t s = 0; s < all; s++)
        to[s] = s < states ? row[turned(q, s)] : (real)-INFINITY;
}

static double loss_of(const struct sequence *q, const real *row, double level)
{
    const double total =
        log_sum(row[q->states - 1], q->states > 1 ? row[q->states - 2] : (real)-INFINITY, -INFINITY);
    if (total == -INFINITY)
        return q->p->how & KILN_CTC_FORGIVE ? 0 : INFINITY;
    return -(total + level);
}

static void run_sequence(const struct sequence *q, const kiln_memory *m)
{
    const struct kiln_params_ctc *p = q->p;
    const size_t all = 2 * (size_t)p->labels + 1, end = (size_t)p->first + p->count;
    const size_t last = end < q->frames ? end : q->frames;
    const bool back = p->how & KILN_CTC_BACK, keeps = p->how & KILN_CTC_KEEPS;
    real *row = (real *)m->at[3] + q->n * (all + 1);
    if (back ? end == p->frames : p->first == 0)
        for (size_t s = 0; s <= all; s++)
            row[s] = (real)(s == all ? 0 : s > 0 ? -INFINITY : q->fits ? 0 : NAN);
    double level = row[all];
    for (size_t t = p->first; t < last; t++) {
        const size_t at = back ? p->first + last - 1 - t : t;
        advance(q, m->at[0], at, row);
        if ((back ? q->frames - at : at + 1) % KILN_CTC_SPAN == 0)
            take_largest_away(q, row, &level);
        if (keeps)
            keep(q, row, at, q->states, m->at[4]);
    }
    for (size_t t = q->frames > p->first ? q->frames : p->first; t < end && keeps; t++)
        keep(q, row, t, 0, m->at[4]);
    if (p->how & KILN_CTC_ENDS)
        ((real *)m->at[5])[q->n] = (real)loss_of(q, row, level);
    row[all] = (real)level;
}

void KILN_REFERENCE(ctc)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                         size_t count)
{
    (void)constants;
    for (size_t n = first; n < first + count; n++) {
        const struct sequence q = sequence_of(block, m->at[1], m->at[2], n);
        run_sequence(&q, m);
    }
}

/* Links -------------------------------------------------------------------------------------------------- */

/* The first label of the class from i on, 1 above it; 0: none. */
static uint32_t find(const int32_t *target, size_t i, size_t end, int32_t class)
{
    while (i < end && target[i] != class)
        i++;
    return i < end ? (uint32_t)i + 1 : 0;
}

void KILN_REFERENCE(ctc_links)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_ctc *p = block;
    for (size_t n = first; n < first + count; n++) {
        const struct sequence q = sequence_of(p, m->at[0], m->at[1], p->first + n);
        const int32_t *target = (const int32_t *)m->at[0] + n * p->labels;
        uint32_t *link = (uint32_t *)m->at[2] + n * (p->classes + p->labels);
        for (size_t i = 0; i < p->labels; i++) {
            link[p->classes + i] = find(target, i + 1, q.labels, target[i]);
            if (i < q.labels && (uint32_t)target[i] < p->classes)
                link[target[i]] = find(target, 0, q.labels, target[i]);
        }
    }
}

/* The gradient ------------------------------------------------------------------------------------------- */

static double weight_of(const struct sequence *q, const kiln_memory *m, size_t t, size_t row, size_t s)
{
    const double x = said(q, m->at[0], t, class_of(q, s));
    return x == -INFINITY ? x : ((const real *)m->at[4])[row + s] + ((const real *)m->at[5])[row + s] - x;
}

/* A class at a time, over all states: no links. */
static void frame_grad(const struct sequence *q, const kiln_memory *m, size_t t, size_t row, double dy,
                       real *dx)
{
    const struct kiln_params_ctc *p = q->p;
    double peak = -INFINITY, total = 0;
    for (size_t s = 0; s < q->states; s++) {
        const double w = weight_of(q, m, t, row, s);
        peak = w > peak || isnan(w) ? w : peak;
    }
    for (size_t s = 0; s < q->states; s++)
        total += exp(weight_of(q, m, t, row, s) - peak);
    for (size_t c = 0; c < p->classes; c++) {
        double sum = 0;
        for (size_t s = 0; s < q->states; s++)
            sum += class_of(q, s) == c ? exp(weight_of(q, m, t, row, s) - peak) : 0;
        dx[c] = (real)(peak == -INFINITY ? p->how & KILN_CTC_FORGIVE ? 0 : NAN : -sum / total * dy);
    }
}

void KILN_REFERENCE(ctc_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_ctc *p = block;
    for (size_t i = first; i < first + count; i++) {
        const struct sequence q = sequence_of(p, m->at[1], m->at[2], i % p->sequences);
        const size_t t = p->first + i / p->sequences;
        const double dy = ((const real *)m->at[6])[q.n];
        real *dx = (real *)m->at[7] + p->x_skip + i * p->classes;
        if (t < q.frames)
            frame_grad(&q, m, t, p->row_skip + i * (2 * (size_t)p->labels + 1), dy, dx);
        for (size_t c = 0; c < p->classes && t >= q.frames; c++)
            dx[c] = q.fits ? 0 : (real)NAN;
    }
}
