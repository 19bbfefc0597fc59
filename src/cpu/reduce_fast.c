/*
 * reduce_fast.c - sums and extremes of floats by vectors.
 *
 * Where inner is 1, a unit is a result: its values lie in runs, which 16 lanes walk. Else a unit is a block of results that
 * lie side by side. Sums are of floats over a few hundred values, of doubles beyond; products are of floats.
 */
#include "cpu/functions.h"
#include "device/variants.h"
#include "reduce/codes.h"
#include "reduce/reduce.h"

enum { LANES = 16, RUN = 512, BLOCK = 256, ROWS = 32 };

/* Runs: values that lie behind one another --------------------------------------------------------------- */

/* A sum of terms of x: in floats over a run, in doubles beyond. `peak` is what EXP subtracts. */
#define SUM(name, term)                                                                         \
    KILN_INLINE void run_##name##_body(const float *x, size_t count, float peak, double *total) \
    {                                                                                           \
        (void)peak;                                                                             \
        for (size_t i = 0; i < count; i += RUN) {                                               \
            const size_t n = count - i < RUN ? count - i : RUN, whole = n / LANES * LANES;      \
            float lane[LANES] = {0}, rest = 0;                                                  \
            for (size_t k = 0; k < whole; k += LANES)                                           \
                for (int l = 0; l < LANES; l++) {                                               \
                    const float v = x[i + k + (size_t)l];                                       \
                    lane[l] += term;                                                            \
                }                                                                               \
            for (size_t k = whole; k < n; k++) {                                                \
                const float v = x[i + k];                                                       \
                rest += term;                                                                   \
            }                                                                                   \
            double sum = rest;                                                                  \
            for (int l = 0; l < LANES; l++)                                                     \
                sum += lane[l];                                                                 \
            *total += sum;                                                                      \
        }                                                                                       \
    }

#define FOLD(name, combine, start)                                                              \
    KILN_INLINE void run_##name##_body(const float *x, size_t count, float peak, double *total) \
    {                                                                                           \
        (void)peak;                                                                             \
        float lane[LANES];                                                                      \
        for (int l = 0; l < LANES; l++)                                                         \
            lane[l] = start;                                                                    \
        size_t k = 0;                                                                           \
        for (; k + LANES <= count; k += LANES)                                                  \
            for (int l = 0; l < LANES; l++)                                                     \
                lane[l] = combine(lane[l], x[k + (size_t)l]);                                   \
        for (; k < count; k++)                                                                  \
            lane[0] = combine(lane[0], x[k]);                                                   \
        for (int l = 1; l < LANES; l++)                                                         \
            lane[0] = combine(lane[0], lane[l]);                                                \
        *total = combine((float)*total, lane[0]);                                               \
    }

KILN_INLINE float times(float a, float b)
{
    return a * b;
}

/* exp(v - peak), 1 at a peak that is infinite. */
KILN_INLINE float share(float v, float peak)
{
    return v == peak ? 1 : fast_exp(v - peak);
}

SUM(sum, v)
SUM(l1, fabsf(v))
SUM(squares, (v * v))
SUM(exp, share(v, peak))
FOLD(product, times, 1)
FOLD(max, larger, -INFINITY)
FOLD(min, smaller, INFINITY)

#define RUN_PARAMETERS (const float *x, size_t count, float peak, double *total)
#define RUN_ARGUMENTS  (x, count, peak, total)

/* Blocks: rows of results side by side, `step` apart ----------------------------------------------------- */

#define BLOCK_SUM(name, term)                                                                    \
    KILN_INLINE void block_##name##_body(const float *x, size_t step, size_t rows, size_t width, \
                                         const float *peak, double *total)                       \
    {                                                                                            \
        float sum[BLOCK];                                                                        \
        (void)peak;                                                                              \
        for (size_t first = 0; first < rows; first += ROWS) {                                    \
            const size_t end = rows - first < ROWS ? rows : first + ROWS;                        \
            for (size_t i = 0; i < width; i++)                                                   \
                sum[i] = 0;                                                                      \
            for (size_t row = first; row < end; row++)                                           \
                for (size_t i = 0; i < width; i++) {                                             \
                    const float v = x[row * step + i];                                           \
                    sum[i] += term;                                                              \
                }                                                                                \
            for (size_t i = 0; i < width; i++)                                                   \
                total[i] += sum[i];                                                              \
        }                                                                                        \
    }

#define BLOCK_FOLD(name, combine)                                                                \
    KILN_INLINE void block_##name##_body(const float *x, size_t step, size_t rows, size_t width, \
                                         const float *peak, double *total)                       \
    {                                                                                            \
        (void)peak;                                                                              \
        for (size_t row = 0; row < rows; row++)                                                  \
            for (size_t i = 0; i < width; i++)                                                   \
                total[i] = combine((float)total[i], x[row * step + i]);                          \
    }

BLOCK_SUM(sum, v)
BLOCK_SUM(l1, fabsf(v))
BLOCK_SUM(squares, (v * v))
BLOCK_SUM(exp, share(v, peak[i]))
BLOCK_FOLD(product, times)
BLOCK_FOLD(max, larger)
BLOCK_FOLD(min, smaller)

#define BLOCK_PARAMETERS \
    (const float *x, size_t step, size_t rows, size_t width, const float *peak, double *total)
#define BLOCK_ARGUMENTS (x, step, rows, width, peak, total)

#define BOTH(name)                                         \
    static void run_##name RUN_PARAMETERS;                 \
    static void block_##name BLOCK_PARAMETERS;             \
    KILN_CLONES(run_##name, RUN_PARAMETERS, RUN_ARGUMENTS) \
    KILN_CLONES(block_##name, BLOCK_PARAMETERS, BLOCK_ARGUMENTS)

BOTH(sum)
BOTH(l1)
BOTH(squares)
BOTH(exp)
BOTH(product)
BOTH(max)
BOTH(min)

/* The kernel --------------------------------------------------------------------------------------------- */

static const struct code {
    double start;
    void(*run) RUN_PARAMETERS;
    void(*block) BLOCK_PARAMETERS;
} codes[] = {
    [KILN_REDUCE_SUM_F] = {0, run_sum, block_sum},
    [KILN_REDUCE_PRODUCT_F] = {1, run_product, block_product},
    [KILN_REDUCE_MAX_F] = {-INFINITY, run_max, block_max},
    [KILN_REDUCE_MIN_F] = {INFINITY, run_min, block_min},
    [KILN_REDUCE_L1_F] = {0, run_l1, block_l1},
    [KILN_REDUCE_SQUARES_F] = {0, run_squares, block_squares},
    [KILN_REDUCE_EXP_F] = {0, run_exp, block_exp},
};

static const struct kiln_params_reduce *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t blocks_of(const struct kiln_params_reduce *p)
{
    return (p->inner + BLOCK - 1) / BLOCK;
}

/* The values of a block of results: from x on, which begins at [o, 0, k, 0, i], t in [from, to). */
struct values {
    const float *x;
    size_t from, to, width;
};

/* Reduce them to total, run by run where b is the innermost axis, else row by row. */
static void reduce(const struct kiln_params_reduce *p, uint32_t code, const struct values *v,
                   const float *peak, double *total)
{
    const struct code *c = &codes[code];
    for (size_t j = 0; j < v->width; j++)
        total[j] = c->start;
    for (size_t from = v->from; from < v->to;) {
        const size_t a = from / p->second, b = from % p->second;
        const size_t left = p->second - b, count = left < v->to - from ? left : v->to - from;
        const float *at = v->x + (a * p->kept * p->second + b) * p->inner;
        if (p->inner == 1)
            c->run(at, count, *peak, total);
        else
            c->block(at, p->inner, count, v->width, peak, total);
        from += count;
    }
}

/* peak + log(sum of exp(x - peak)), from two walks. */
static void log_sum_exp(const struct kiln_params_reduce *p, const struct values *v, double *total)
{
    float peak[BLOCK] = {0};
    reduce(p, KILN_REDUCE_MAX_F, v, peak, total);
    for (size_t j = 0; j < v->width; j++)
        peak[j] = (float)total[j];
    reduce(p, KILN_REDUCE_EXP_F, v, peak, total);
    for (size_t j = 0; j < v->width; j++)
        total[j] = peak[j] + log(total[j]);
}

static float finished(const kiln_dispatch *d, float scale, double total)
{
    if (d->constants[1] == KILN_REDUCE_FINISH_NONE)
        return (float)total * scale;
    return (float)(d->constants[1] == KILN_REDUCE_FINISH_ROOT ? sqrt(total) : log(total));
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_reduce *p = block_of(d);
    const uint32_t code = d->constants[0];
    const float scale = code == KILN_REDUCE_SUM_F ? p->scale : 1;
    const size_t blocks = blocks_of(p), length = (size_t)p->first * p->second;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / blocks, i = unit % blocks * BLOCK; /* row: [s, o, k] */
        const size_t k = row % p->kept, o = row / p->kept % p->outer, s = row / p->kept / p->outer;
        const size_t from = s * p->part_length, end = from + p->part_length;
        const struct values v = {.x = (const float *)m->at[0] + p->x_first +
                                      (o * p->first * p->kept + k) * p->second * p->inner + i,
                                 .from = from,
                                 .to = end < length ? end : length,
                                 .width = p->inner - i < BLOCK ? p->inner - i : BLOCK};
        float *y = (float *)m->at[1] + p->y_first + row * p->inner + i;
        double total[BLOCK];
        if (code == KILN_REDUCE_EXP_F)
            log_sum_exp(p, &v, total);
        else
            reduce(p, code, &v, &(const float){0}, total);
        for (size_t j = 0; j < v.width; j++)
            y[j] = finished(d, scale, total[j]);
    }
}

static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] <= KILN_REDUCE_EXP_F;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_reduce *p = block_of(d);
    return (uint64_t)p->parts * p->outer * p->kept * blocks_of(p);
}

const kiln_variant kiln_cpu_reduce_lanes = {
    .name = "lanes", .accepts = accepts, .groups = groups, .run = run};
