/* recurrent_view.h - what the references of recurrent and recurrent_grad see of a dispatch, in `real`. */
#ifndef KILN_CPU_RECURRENT_VIEW_H
#define KILN_CPU_RECURRENT_VIEW_H

#include "recurrent/recurrent.h"

#include <math.h>

#include "cpu/reference.h"

enum { F, G, H }; /* squashings */

struct view {
    const struct kiln_params_recurrent *p;
    uint32_t cell, flags;
    const uint32_t *squash; /* codes */
    double clip, alpha[3], beta[3];
    size_t gates, width; /* states a row of x, of saved */
};

static inline struct view view_of(const void *block, const uint32_t *constants)
{
    const struct kiln_params_recurrent *p = block;
    const size_t gates[] = {1, 4, 3}, widths[] = {2, 6, 5};
    return (struct view){
        .p = p,
        .cell = constants[0],
        .squash = constants + 1,
        .flags = constants[4],
        .clip = KILN_REAL_GET(p, clip),
        .alpha = {KILN_REAL_GET(p, f_alpha), KILN_REAL_GET(p, g_alpha), KILN_REAL_GET(p, h_alpha)},
        .beta = {KILN_REAL_GET(p, f_beta), KILN_REAL_GET(p, g_beta), KILN_REAL_GET(p, h_beta)},
        .gates = gates[constants[0]],
        .width = widths[constants[0]],
    };
}

static inline double limited(const struct view *v, double x)
{
    if (!(v->flags & KILN_RECURRENT_CLIPPED))
        return x;
    return x < -v->clip ? -v->clip : x > v->clip ? v->clip : x;
}

static inline double squashed(const struct view *v, int which, double x)
{
    const double alpha = v->alpha[which], beta = v->beta[which];
    x = limited(v, x);
    switch (v->squash[which]) {
    case KILN_CODE_SIGMOID:
        return 1 / (1 + exp(-x));
    case KILN_CODE_TANH:
        return tanh(x);
    case KILN_CODE_RELU:
        return x < 0 ? 0 : x;
    case KILN_CODE_LEAKY_RELU:
        return x < 0 ? alpha * x : x;
    case KILN_CODE_THRESHOLDED_RELU:
        return x <= alpha ? 0 : x;
    case KILN_CODE_ELU:
        return x < 0 ? alpha * expm1(x) : x;
    case KILN_CODE_HARD_SIGMOID:
        x = alpha * x + beta;
        return x < 0 ? 0 : x > 1 ? 1 : x;
    case KILN_CODE_SCALED_TANH:
        return alpha * tanh(beta * x);
    case KILN_CODE_SOFTSIGN:
        return x / (1 + fabs(x));
    case KILN_CODE_SOFTPLUS:
        return fmax(x, 0) + log1p(exp(-fabs(x)));
    default:
        return alpha * x + beta;
    }
}

/* The slope where a squashing has the value y. */
static inline double slope(const struct view *v, int which, double y)
{
    const double alpha = v->alpha[which], beta = v->beta[which];
    switch (v->squash[which]) {
    case KILN_CODE_SIGMOID:
        return y * (1 - y);
    case KILN_CODE_TANH:
        return 1 - y * y;
    case KILN_CODE_RELU:
        return y > 0;
    case KILN_CODE_LEAKY_RELU:
        return y > 0 ? 1 : alpha;
    case KILN_CODE_THRESHOLDED_RELU:
        return y != 0;
    case KILN_CODE_ELU:
        return y > 0 ? 1 : y + alpha;
    case KILN_CODE_HARD_SIGMOID:
        return y > 0 && y < 1 ? alpha : 0;
    case KILN_CODE_SCALED_TANH:
        return alpha != 0 ? beta * (alpha - y * y / alpha) : 0;
    case KILN_CODE_SOFTSIGN:
        return (1 - fabs(y)) * (1 - fabs(y));
    case KILN_CODE_SOFTPLUS:
        return 1 - exp(-y);
    default:
        return alpha;
    }
}

/* What is saved of a gate that was given x and has the value y. */
static inline real kept(const struct view *v, double x, double y)
{
    return (real)(v->flags & KILN_RECURRENT_CLIPPED ? x : y);
}

/* A gate's value, and its slope, by what was saved of it. */
static inline double gate_value(const struct view *v, int which, double saved)
{
    return v->flags & KILN_RECURRENT_CLIPPED ? squashed(v, which, saved) : saved;
}

static inline double gate_slope(const struct view *v, int which, double saved)
{
    if (v->flags & KILN_RECURRENT_CLIPPED && fabs(saved) > v->clip)
        return 0;
    return slope(v, which, gate_value(v, which, saved));
}

/* Elements of a direction's weights. */
static inline size_t weights_of(const struct view *v)
{
    const size_t hidden = v->p->hidden, fours = (hidden + 3) / 4;
    if (!(v->flags & KILN_RECURRENT_PACKED))
        return v->gates * hidden * hidden;
    return (v->gates * fours * 4 * v->p->units + 63) / 64 * 64;
}

/* One sequence in one direction. */
struct line {
    size_t n, d; /* d of all directions */
    size_t own;  /* d of the dispatch's */
    size_t steps;
    bool ahead; /* steps count up in time */
};

static inline struct line line_of(const struct view *v, size_t unit, bool gradient, const int32_t *lengths)
{
    const struct kiln_params_recurrent *p = v->p;
    struct line l = {.n = p->first_row + unit % p->rows, .own = unit / p->rows, .steps = SIZE_MAX};
    l.d = p->first_direction + l.own;
    const bool reversed = l.d == 1 || v->flags & KILN_RECURRENT_REVERSED;
    l.ahead = reversed == gradient;
    if (v->flags & KILN_RECURRENT_LENGTHS)
        l.steps = lengths[l.n] > 0 ? (size_t)lengths[l.n] : 0;
    return l;
}

/* The time of step s, which may be -1. */
static inline size_t time_of(const struct view *v, const struct line *l, int64_t s)
{
    return (size_t)(l->ahead ? (int64_t)v->p->start + s : (int64_t)(int32_t)v->p->start_back - s);
}

/* The row of x, y and their like. */
static inline size_t row_of(const struct view *v, const struct line *l, size_t t)
{
    const struct kiln_params_recurrent *p = v->p;
    return (t * p->time_step + l->n * p->row_step - p->skipped) * p->directions + l->d;
}

/* The states of a line: kind 0 is h, 1 is c. NULL where there are none. */
static inline real *state_of(const struct view *v, const struct line *l, void *states, size_t kind)
{
    const struct kiln_params_recurrent *p = v->p;
    return states ? (real *)states + ((kind * p->directions + l->d) * p->sequences + l->n) * p->hidden : NULL;
}

#endif
