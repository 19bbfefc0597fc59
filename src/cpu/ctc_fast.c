/* ctc_fast.c - connectionist temporal classification by vectors: neighbouring states of a row, and states of a frame. */
#include "ctc/ctc.h"

#include <math.h>
#include <string.h>

#include "cpu/functions.h"
#include "cpu/rows.h"
#include "device/variants.h"

/* States at a time. */
enum { BLOCK = 64 };

struct sequence {
    const struct kiln_params_ctc *p;
    const int32_t *target; /* this sequence's */
    size_t n, frames, labels, states;
    bool fits;
};

static struct sequence sequence_of(const struct kiln_params_ctc *p, const int32_t *target,
                                   const uint32_t *lengths, size_t n)
{
    const size_t frames = lengths[n], labels = lengths[p->sequences + n];
    const bool fits = frames <= p->frames && labels <= p->labels;
    return (struct sequence){
        .p = p,
        .target = target ? target + n * p->labels : NULL,
        .n = n,
        .frames = fits ? frames : 0,
        .labels = fits ? labels : 0,
        .states = fits ? 2 * labels + 1 : 1,
        .fits = fits,
    };
}

static uint32_t class_of(const struct sequence *q, size_t s)
{
    return s % 2 ? (uint32_t)q->target[s / 2] : q->p->blank;
}

static size_t turned(const struct sequence *q, size_t s)
{
    return q->p->how & KILN_CTC_BACK ? q->states - 1 - s : s;
}

/* What a frame says of the classes of states [from, from + count), in the order of the recursion; and -infinity where a state
 * does not follow from the one before the last, else 0. */
static void gather(const struct sequence *q, const float *frame, size_t from, size_t count, float *said,
                   float *barred)
{
    for (size_t k = 0; k < count; k++) {
        const size_t s = from + k;
        const uint32_t own = class_of(q, turned(q, s));
        const bool skips = s % 2 && s > 2 && own != class_of(q, turned(q, s - 2));
        said[k] = own < q->p->classes ? frame[own] : NAN;
        barred[k] = skips ? 0 : -INFINITY;
    }
}

/* next[k] = said[k] + log(exp a + exp b + exp c) with a, b, c the states k + 2, k + 1 and k of `before`. */
KILN_INLINE void step_body(const float *before, const float *said, const float *barred, size_t count,
                           float *next)
{
    for (size_t k = 0; k < count; k++) {
        const float a = before[k + 2], b = before[k + 1], c = before[k] + barred[k];
        const float peak = larger(larger(a, b), c), base = peak == -INFINITY ? 0 : peak;
        next[k] = said[k] + (base + fast_log(fast_exp(a - base) + fast_exp(b - base) + fast_exp(c - base)));
    }
}

static void step(const float *before, const float *said, const float *barred, size_t count, float *next);
KILN_CLONES(step, (const float *before, const float *said, const float *barred, size_t count, float *next),
            (before, said, barred, count, next))

/* In place from the last states to the first: a state follows from itself and the two before it. */
static void advance(const struct sequence *q, const float *frame, float *row)
{
    float before[BLOCK + 2], said[BLOCK], barred[BLOCK];
    for (size_t from = (q->states - 1) / BLOCK * BLOCK;; from -= BLOCK) {
        const size_t left = q->states - from, count = left < BLOCK ? left : BLOCK;
        before[0] = from > 1 ? row[from - 2] : -INFINITY;
        before[1] = from > 0 ? row[from - 1] : -INFINITY;
        memcpy(before + 2, row + from, count * sizeof *row);
        gather(q, frame, from, count, said, barred);
        step(before, said, barred, count, row + from);
        if (from == 0)
            return;
    }
}

static void take_largest_away(const struct sequence *q, float *row, double *level)
{
    const float largest = row_peak(row, q->states);
    if (largest == -INFINITY)
        return;
    for (size_t s = 0; s < q->states; s++)
        row[s] -= largest;
    *level += largest;
}

static void keep(const struct sequence *q, const float *row, size_t t, size_t states, float *rows)
{
    const struct kiln_params_ctc *p = q->p;
    const size_t all = 2 * (size_t)p->labels + 1;
    float *to = rows + p->row_skip + ((t - p->first) * p->sequences + q->n) * all;
    for (size_t s = 0; s < states; s++)
        to[s] = row[turned(q, s)];
    for (size_t s = states; s < all; s++)
        to[s] = -INFINITY;
}

static float loss_of(const struct sequence *q, const float *row, double level)
{
    const double last = row[q->states - 1], other = q->states > 1 ? row[q->states - 2] : -INFINITY;
    const double peak = last >= other || isnan(last) ? last : other;
    if (peak == -INFINITY)
        return q->p->how & KILN_CTC_FORGIVE ? 0 : INFINITY;
    return (float)-(peak + log(exp(last - peak) + exp(other - peak)) + level);
}

static void begin(const struct sequence *q, float *row, size_t all)
{
    for (size_t s = 0; s < all; s++)
        row[s] = -INFINITY;
    row[0] = q->fits ? 0 : NAN;
    row[all] = 0;
}

static void run_sequence(const struct sequence *q, const kiln_memory *m)
{
    const struct kiln_params_ctc *p = q->p;
    const size_t all = 2 * (size_t)p->labels + 1, end = (size_t)p->first + p->count;
    const size_t last = end < q->frames ? end : q->frames;
    const bool back = p->how & KILN_CTC_BACK, keeps = p->how & KILN_CTC_KEEPS;
    float *row = (float *)m->at[3] + q->n * (all + 1);
    if (back ? end == p->frames : p->first == 0)
        begin(q, row, all);
    double level = row[all];
    for (size_t t = p->first; t < last; t++) {
        const size_t at = back ? p->first + last - 1 - t : t;
        advance(q, (const float *)m->at[0] + p->x_skip + ((at - p->first) * p->sequences + q->n) * p->classes,
                row);
        if ((back ? q->frames - at : at + 1) % KILN_CTC_SPAN == 0)
            take_largest_away(q, row, &level);
        if (keeps)
            keep(q, row, at, q->states, m->at[4]);
    }
    for (size_t t = q->frames > p->first ? q->frames : p->first; t < end && keeps; t++)
        keep(q, row, t, 0, m->at[4]);
    if (p->how & KILN_CTC_ENDS)
        ((float *)m->at[5])[q->n] = loss_of(q, row, level);
    row[all] = (float)level;
}

static void run_rows(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_ctc *p = (const void *)d->block.words;
    for (size_t n = first; n < first + count; n++) {
        const struct sequence q = sequence_of(p, m->at[1], m->at[2], n);
        run_sequence(&q, m);
    }
}

/* The gradient ------------------------------------------------------------------------------------------- */

/* w = exp(alpha + beta - said - peak), peak the largest of those. */
KILN_INLINE void weigh_body(const float *alpha, const float *beta, const float *said, float peak,
                            size_t count, float *w)
{
    for (size_t k = 0; k < count; k++) {
        const float all = said[k] == -INFINITY ? -INFINITY : alpha[k] + beta[k] - said[k];
        w[k] = peak == INFINITY ? all : fast_exp(all - peak);
    }
}

static void weigh(const float *alpha, const float *beta, const float *said, float peak, size_t count,
                  float *w);
KILN_CLONES(weigh,
            (const float *alpha, const float *beta, const float *said, float peak, size_t count, float *w),
            (alpha, beta, said, peak, count, w))

/* A frame's rows, and what it says. */
struct frame {
    const float *x, *alpha, *beta;
};

/* Weights of states [from, from + count); with an infinite peak their logarithms. */
static void weights_of(const struct sequence *q, const struct frame *f, float peak, size_t from, size_t count,
                       float *w)
{
    float said[BLOCK];
    for (size_t k = 0; k < count; k++) {
        const uint32_t own = class_of(q, from + k);
        said[k] = own < q->p->classes ? f->x[own] : NAN;
    }
    weigh(f->alpha + from, f->beta + from, said, peak, count, w);
}

static float peak_of(const struct sequence *q, const struct frame *f)
{
    float peak = -INFINITY, w[BLOCK];
    for (size_t from = 0; from < q->states; from += BLOCK) {
        const size_t left = q->states - from, count = left < BLOCK ? left : BLOCK;
        weights_of(q, f, INFINITY, from, count, w);
        peak = larger(peak, row_peak(w, count));
    }
    return peak;
}

/* Each state adds to its class, in their order; then all are scaled. */
static void frame_grad(const struct sequence *q, const struct frame *f, float dy, float *dx)
{
    const size_t classes = q->p->classes;
    const float peak = peak_of(q, f);
    if (!(peak > -INFINITY)) {
        const float pull = peak == -INFINITY && q->p->how & KILN_CTC_FORGIVE ? 0 : NAN;
        for (size_t c = 0; c < classes; c++)
            dx[c] = pull;
        return;
    }
    float w[BLOCK];
    double total = 0, blanks = 0;
    memset(dx, 0, classes * sizeof *dx);
    for (size_t from = 0; from < q->states; from += BLOCK) {
        const size_t left = q->states - from, count = left < BLOCK ? left : BLOCK;
        weights_of(q, f, peak, from, count, w);
        for (size_t k = 0; k < count; k += 2)
            blanks += w[k];
        for (size_t k = 1; k < count; k += 2) {
            dx[class_of(q, from + k)] += w[k];
            total += w[k];
        }
    }
    dx[q->p->blank] += (float)blanks;
    const float pull = (float)(-dy / (total + blanks));
    for (size_t c = 0; c < classes; c++)
        dx[c] *= pull;
}

static void run_grad(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_ctc *p = (const void *)d->block.words;
    const size_t all = 2 * (size_t)p->labels + 1;
    for (size_t i = first; i < first + count; i++) {
        const struct sequence q = sequence_of(p, m->at[1], m->at[2], i % p->sequences);
        const size_t at = p->x_skip + i * p->classes, row = p->row_skip + i * all;
        const struct frame f = {(const float *)m->at[0] + at, (const float *)m->at[4] + row,
                                (const float *)m->at[5] + row};
        float *dx = (float *)m->at[7] + at;
        if (p->first + i / p->sequences < q.frames)
            frame_grad(&q, &f, ((const float *)m->at[6])[q.n], dx);
        else
            for (size_t c = 0; c < p->classes; c++)
                dx[c] = q.fits ? 0 : NAN;
    }
}

const kiln_variant kiln_cpu_ctc_rows = {.name = "rows", .run = run_rows};
const kiln_variant kiln_cpu_ctc_grad_frames = {.name = "frames", .run = run_grad, .grain = 8};
