/*
 * reduce_fast.c - sums and extremes of floats by vectors.
 *
 * Where inner is 1, a unit is a result: its values lie in runs, which 16 lanes walk. Else a unit is a block of results that
 * lie side by side. Sums are of floats over a few hundred values, of doubles beyond.
 */
#include "cpu/functions.h"
#include "device/variants.h"
#include "reduce/codes.h"
#include "reduce/reduce.h"

enum { LANES = 16, RUN = 512, BLOCK = 256, ROWS = 32 };

/* Runs: values that lie behind one another --------------------------------------------------------------- */

KILN_INLINE void run_sum_body(const float *x, size_t count, double *total)
{
    for (size_t i = 0; i < count; i += RUN) {
        const size_t n = count - i < RUN ? count - i : RUN, whole = n / LANES * LANES;
        float lane[LANES] = {0}, rest = 0;
        for (size_t k = 0; k < whole; k += LANES)
            for (int l = 0; l < LANES; l++)
                lane[l] += x[i + k + (size_t)l];
        for (size_t k = whole; k < n; k++)
            rest += x[i + k];
        double sum = rest;
        for (int l = 0; l < LANES; l++)
            sum += lane[l];
        *total += sum;
    }
}

#define EXTREME(name, combine)                                                \
    KILN_INLINE void name##_body(const float *x, size_t count, double *total) \
    {                                                                         \
        float lane[LANES];                                                    \
        for (int l = 0; l < LANES; l++)                                       \
            lane[l] = (float)*total;                                          \
        size_t k = 0;                                                         \
        for (; k + LANES <= count; k += LANES)                                \
            for (int l = 0; l < LANES; l++)                                   \
                lane[l] = combine(lane[l], x[k + (size_t)l]);                 \
        for (; k < count; k++)                                                \
            lane[0] = combine(lane[0], x[k]);                                 \
        for (int l = 1; l < LANES; l++)                                       \
            lane[0] = combine(lane[0], lane[l]);                              \
        *total = lane[0];                                                     \
    }

EXTREME(run_max, larger)
EXTREME(run_min, smaller)

#define RUN_PARAMETERS (const float *x, size_t count, double *total)
#define RUN_ARGUMENTS  (x, count, total)
static void run_sum RUN_PARAMETERS;
static void run_max RUN_PARAMETERS;
static void run_min RUN_PARAMETERS;
KILN_CLONES(run_sum, RUN_PARAMETERS, RUN_ARGUMENTS)
KILN_CLONES(run_max, RUN_PARAMETERS, RUN_ARGUMENTS)
KILN_CLONES(run_min, RUN_PARAMETERS, RUN_ARGUMENTS)

/* Blocks: rows of results side by side, `step` apart ----------------------------------------------------- */

KILN_INLINE void block_sum_body(const float *x, size_t step, size_t rows, size_t width, double *total)
{
    float sum[BLOCK];
    for (size_t first = 0; first < rows; first += ROWS) {
        const size_t end = rows - first < ROWS ? rows : first + ROWS;
        for (size_t i = 0; i < width; i++)
            sum[i] = 0;
        for (size_t row = first; row < end; row++)
            for (size_t i = 0; i < width; i++)
                sum[i] += x[row * step + i];
        for (size_t i = 0; i < width; i++)
            total[i] += sum[i];
    }
}

KILN_INLINE void block_max_body(const float *x, size_t step, size_t rows, size_t width, double *total)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < width; i++)
            total[i] = larger((float)total[i], x[row * step + i]);
}

KILN_INLINE void block_min_body(const float *x, size_t step, size_t rows, size_t width, double *total)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < width; i++)
            total[i] = smaller((float)total[i], x[row * step + i]);
}

#define BLOCK_PARAMETERS (const float *x, size_t step, size_t rows, size_t width, double *total)
#define BLOCK_ARGUMENTS  (x, step, rows, width, total)
static void block_sum BLOCK_PARAMETERS;
static void block_max BLOCK_PARAMETERS;
static void block_min BLOCK_PARAMETERS;
KILN_CLONES(block_sum, BLOCK_PARAMETERS, BLOCK_ARGUMENTS)
KILN_CLONES(block_max, BLOCK_PARAMETERS, BLOCK_ARGUMENTS)
KILN_CLONES(block_min, BLOCK_PARAMETERS, BLOCK_ARGUMENTS)

/* The kernel --------------------------------------------------------------------------------------------- */

static const struct code {
    double start;
    void(*run) RUN_PARAMETERS;
    void(*block) BLOCK_PARAMETERS;
} codes[] = {
    [KILN_REDUCE_SUM_F] = {0, run_sum, block_sum},
    [KILN_REDUCE_MAX_F] = {-INFINITY, run_max, block_max},
    [KILN_REDUCE_MIN_F] = {INFINITY, run_min, block_min},
};

static const struct kiln_params_reduce *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t blocks_of(const struct kiln_params_reduce *p)
{
    return (p->inner + BLOCK - 1) / BLOCK;
}

/* Reduce x, which begins at [o, 0, k, 0, i], over t in [from, to): run by run where b is the innermost axis, else row by row. */
static void reduce(const struct kiln_params_reduce *p, const struct code *c, const float *x, size_t from,
                   size_t to, size_t width, double *total)
{
    while (from < to) {
        const size_t a = from / p->second, b = from % p->second;
        const size_t left = p->second - b, count = left < to - from ? left : to - from;
        const float *at = x + (a * p->kept * p->second + b) * p->inner;
        if (p->inner == 1)
            c->run(at, count, total);
        else
            c->block(at, p->inner, count, width, total);
        from += count;
    }
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_reduce *p = block_of(d);
    const struct code *c = &codes[d->constants[0]];
    const float scale = d->constants[0] == KILN_REDUCE_SUM_F ? p->scale : 1;
    const size_t blocks = blocks_of(p), length = (size_t)p->first * p->second;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / blocks, i = unit % blocks * BLOCK; /* row: [s, o, k] */
        const size_t k = row % p->kept, o = row / p->kept % p->outer, s = row / p->kept / p->outer;
        const size_t width = p->inner - i < BLOCK ? p->inner - i : BLOCK, from = s * p->part_length;
        const size_t to = from + p->part_length < length ? from + p->part_length : length;
        const float *x =
            (const float *)m->at[0] + p->x_first + (o * p->first * p->kept + k) * p->second * p->inner + i;
        float *y = (float *)m->at[1] + p->y_first + row * p->inner + i;
        double total[BLOCK];
        for (size_t j = 0; j < width; j++)
            total[j] = c->start;
        reduce(p, c, x, from, to, width, total);
        for (size_t j = 0; j < width; j++)
            y[j] = (float)total[j] * scale;
    }
}

static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] <= KILN_REDUCE_MIN_F;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_reduce *p = block_of(d);
    return (uint64_t)p->parts * p->outer * p->kept * blocks_of(p);
}

const kiln_variant kiln_cpu_reduce_lanes = {
    .name = "lanes", .accepts = accepts, .groups = groups, .run = run};
