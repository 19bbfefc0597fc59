/*
 * norm_fast.c - moments by vectors: two passes over a part, which the cache still holds the second time.
 *
 * Where inner is 1 a unit is a result, whose values lie in runs; else a block of results that lie side by side. Sums are of
 * floats over a few hundred values, of doubles beyond.
 */
#include <math.h>

#include "cpu/runs.h"
#include "device/variants.h"
#include "norm/moments.h"

enum { BLOCK = 128, ROWS = 32 };

/* As run_moments, for `width` results whose rows lie step apart. */
KILN_INLINE void rows_body(const float *x, size_t step, size_t rows, size_t width, const float *center,
                           double *total, double *squares)
{
    for (size_t first = 0; first < rows; first += ROWS) {
        const size_t end = rows - first < ROWS ? rows : first + ROWS;
        float sum[BLOCK] = {0}, square[BLOCK] = {0};
        for (size_t row = first; row < end; row++)
            for (size_t i = 0; i < width; i++) {
                const float d = x[row * step + i] - center[i];
                sum[i] += d;
                square[i] += d * d;
            }
        for (size_t i = 0; i < width; i++) {
            total[i] += sum[i];
            squares[i] += square[i];
        }
    }
}

KILN_INLINE void run_body(const float *x, size_t count, float center, double *total, double *squares)
{
    run_moments(x, count, center, total, squares);
}

static void run(const float *x, size_t count, float center, double *total, double *squares);
static void rows(const float *x, size_t step, size_t count, size_t width, const float *center, double *total,
                 double *squares);
KILN_CLONES(run, (const float *x, size_t count, float center, double *total, double *squares),
            (x, count, center, total, squares))
KILN_CLONES(rows,
            (const float *x, size_t step, size_t count, size_t width, const float *center, double *total,
             double *squares),
            (x, step, count, width, center, total, squares))

static const struct kiln_params_moments *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t blocks_of(const struct kiln_params_moments *p)
{
    return (p->inner + BLOCK - 1) / BLOCK;
}

/* Sums of x - center and of its squares over t in [from, to), for `width` results from x on. */
static void pass(const struct kiln_params_moments *p, const float *x, size_t from, size_t to, size_t width,
                 const float *center, double *total, double *squares)
{
    for (size_t i = 0; i < width; i++)
        total[i] = squares[i] = 0;
    while (from < to) {
        const size_t a = from / p->second, b = from % p->second;
        const size_t left = p->second - b, count = left < to - from ? left : to - from;
        const float *at = x + (a * p->kept * p->second + b) * p->inner;
        if (p->inner == 1)
            run(at, count, center[0], total, squares);
        else
            rows(at, p->inner, count, width, center, total, squares);
        from += count;
    }
}

static void moments(const struct kiln_params_moments *p, const float *x, size_t from, size_t to, size_t width,
                    float *mean, float *m2)
{
    const double count = (double)(to - from), scale = KILN_REAL_GET(p, scale);
    float center[BLOCK] = {0};
    double total[BLOCK], squares[BLOCK];
    pass(p, x, from, to, width, center, total, squares);
    for (size_t i = 0; i < width; i++)
        center[i] = (float)(total[i] / count);
    pass(p, x, from, to, width, center, total, squares);
    for (size_t i = 0; i < width; i++) {
        mean[i] = (float)(center[i] + total[i] / count);
        m2[i] = (float)(fmax(squares[i] - total[i] * total[i] / count, 0) * scale);
    }
}

static void run_units(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_moments *p = block_of(d);
    const size_t blocks = blocks_of(p), length = (size_t)p->first * p->second;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / blocks, i = unit % blocks * BLOCK; /* row: [s, o, k] */
        const size_t k = row % p->kept, o = row / p->kept % p->outer, s = row / p->kept / p->outer;
        const size_t width = p->inner - i < BLOCK ? p->inner - i : BLOCK, from = s * p->part_length;
        const size_t to = from + p->part_length < length ? from + p->part_length : length;
        moments(p, (const float *)m->at[0] + (o * p->first * p->kept + k) * p->second * p->inner + i, from,
                to, width, (float *)m->at[1] + row * p->inner + i, (float *)m->at[2] + row * p->inner + i);
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_moments *p = block_of(d);
    return (uint64_t)p->parts * p->outer * p->kept * blocks_of(p);
}

const kiln_variant kiln_cpu_moments_lanes = {.name = "lanes", .groups = groups, .run = run_units};
