/*
 * update.c - the meaning of update, accumulate and row_sums, whose units are rows of the table, and of
 * clip_factor.
 */
#include <math.h>
#include <string.h>

#include "cpu/reference.h"

#include "update/accumulate.h"
#include "update/clip_factor.h"
#include "update/row_sums.h"
#include "update/update.h"

/* What the step of one element depends on besides its values. */
struct step {
    double beta1, rest1, beta2, rest2, epsilon;
    double rate, decay, c1, c2;
};

typedef void step_fn(const struct step *s, double g, double *p, double *m, double *v);

static double l2(const struct step *s, double g, double p)
{
    return g + s->decay * p;
}

static void sgd(const struct step *s, double g, double *p, double *m, double *v)
{
    (void)m, (void)v;
    *p -= s->rate * l2(s, g, *p);
}

static void momentum(const struct step *s, double g, double *p, double *m, double *v)
{
    (void)v;
    *m = s->beta1 * *m + s->rest1 * l2(s, g, *p);
    *p -= s->rate * *m;
}

static void nesterov(const struct step *s, double g, double *p, double *m, double *v)
{
    (void)v;
    g = l2(s, g, *p);
    *m = s->beta1 * *m + s->rest1 * g;
    *p -= s->rate * (g + s->beta1 * *m);
}

/* Its one state is the mean of squares. */
static void rmsprop(const struct step *s, double g, double *p, double *m, double *v)
{
    (void)v;
    g = l2(s, g, *p);
    *m = s->beta2 * *m + s->rest2 * g * g;
    *p -= s->rate * g / (sqrt(*m) / sqrt(s->c2) + s->epsilon);
}

static void moments(const struct step *s, double g, double *p, double *m, double *v)
{
    *m = s->beta1 * *m + s->rest1 * g;
    *v = s->beta2 * *v + s->rest2 * g * g;
    *p -= s->rate / s->c1 * *m / (sqrt(*v) / sqrt(s->c2) + s->epsilon);
}

static void adam(const struct step *s, double g, double *p, double *m, double *v)
{
    moments(s, l2(s, g, *p), p, m, v);
}

static void adamw(const struct step *s, double g, double *p, double *m, double *v)
{
    *p -= s->rate * s->decay * *p;
    moments(s, g, p, m, v);
}

static step_fn *const steps[] = {
    [KILN_UPDATE_SGD] = sgd,         [KILN_UPDATE_MOMENTUM] = momentum, [KILN_UPDATE_NESTEROV] = nesterov,
    [KILN_UPDATE_RMSPROP] = rmsprop, [KILN_UPDATE_ADAM] = adam,         [KILN_UPDATE_ADAMW] = adamw,
};

/* A real of the table: a float, and what a double has beyond it. */
static double real_of(const uint32_t *words)
{
    float parts[2];
    memcpy(parts, words, sizeof parts);
    return (double)parts[0] + (double)parts[1];
}

static double clipped(double g, bool clips, double clip)
{
    return !clips || isnan(g) ? g : g > clip ? clip : g < -clip ? -clip : g;
}

void KILN_REFERENCE(update)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_update *p = block;
    const real *scalars = m->at[1];
    const double clip = KILN_REAL_GET(p, clip), factor = constants[2] ? *(const real *)m->at[4] : 1;
    const double unscale = constants[3] ? scalars[KILN_SCALAR_UNSCALE] : 1;
    if (constants[3] && scalars[KILN_SCALAR_GO] == 0)
        return;
    for (size_t r = first; r < first + count; r++) {
        const uint32_t *row = (const uint32_t *)m->at[0] + r * KILN_ROW_WORDS, at = row[KILN_ROW_PARAMETER];
        const real *gradient = (const real *)m->at[2] + row[KILN_ROW_GRADIENT];
        const struct step s = {
            .beta1 = KILN_REAL_GET(p, beta1),
            .rest1 = KILN_REAL_GET(p, rest1),
            .beta2 = KILN_REAL_GET(p, beta2),
            .rest2 = KILN_REAL_GET(p, rest2),
            .epsilon = KILN_REAL_GET(p, epsilon),
            .rate = scalars[KILN_SCALAR_RATE] * real_of(row + KILN_ROW_RATE),
            .decay = real_of(row + KILN_ROW_DECAY),
            .c1 = scalars[KILN_SCALAR_C1],
            .c2 = scalars[KILN_SCALAR_C2],
        };
        real *parameter = (real *)m->at[3] + at, none[2] = {0};
        for (uint32_t i = 0; i < row[KILN_ROW_COUNT]; i++) {
            real *state = m->at[5] ? (real *)m->at[5] + at + i : none;
            real *state2 = m->at[6] ? (real *)m->at[6] + at + i : none + 1;
            double value = parameter[i], a = *state, b = *state2;
            steps[constants[0]](&s, factor * clipped(unscale * gradient[i], constants[1], clip), &value, &a,
                                &b);
            parameter[i] = (real)value;
            *state = (real)a;
            *state2 = (real)b;
        }
    }
}

void KILN_REFERENCE(accumulate)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    (void)block, (void)constants;
    for (size_t r = first; r < first + count; r++) {
        const uint32_t *row = (const uint32_t *)m->at[0] + r * KILN_ROW_WORDS;
        const real *from = (const real *)m->at[1] + row[KILN_ROW_GRADIENT];
        real *to = (real *)m->at[2] + row[KILN_ROW_PARAMETER];
        for (uint32_t i = 0; i < row[KILN_ROW_COUNT]; i++)
            to[i] += from[i];
    }
}

void KILN_REFERENCE(row_sums)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct kiln_params_row_sums *p = block;
    const double unscale = constants[2] ? ((const real *)m->at[3])[KILN_SCALAR_UNSCALE] : 1;
    real *y = m->at[2];
    for (size_t r = first; r < first + count; r++) {
        const uint32_t *row = (const uint32_t *)m->at[0] + r * KILN_ROW_WORDS;
        const real *gradient = (const real *)m->at[1] + row[KILN_ROW_GRADIENT];
        double sum = 0;
        for (uint32_t i = 0; i < row[KILN_ROW_COUNT]; i++) {
            const double g = clipped(unscale * gradient[i], constants[1], KILN_REAL_GET(p, clip));
            sum += constants[0] == KILN_ROW_INFINITE ? !isfinite(gradient[i]) : g * g;
        }
        y[p->first + r] = (real)sum;
    }
}

void KILN_REFERENCE(clip_factor)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_clip_factor *p = block;
    const real *x = m->at[0];
    real *y = m->at[1];
    for (size_t unit = first; unit < first + count; unit++) {
        double sum = 0;
        for (uint32_t i = 0; i < p->count; i++)
            sum += x[i];
        const double factor = KILN_REAL_GET(p, limit) / (sqrt(sum) + KILN_CLIP_EPSILON);
        y[unit] = (real)(factor > 1 ? 1 : factor);
    }
}
