/*
 * norm_fast.c - moments by vectors, in one pass over memory: pieces that the first cache holds have a mean and squares about it of
 * their own, from two passes over them, and join what was there before them.
 *
 * Where inner is 1 a unit is a result, whose values lie in runs; else a block of results that lie side by side. Sums are of
 * floats over a few hundred values; pieces are joined in doubles (Chan, Golub, LeVeque, "Updating Formulae and a Pairwise
 * Algorithm for Computing Sample Variances", 1979).
 */
#include "cpu/runs.h"
#include "device/variants.h"
#include "norm/moments.h"

enum { BLOCK = 128, ROWS = 32 };

/* What is known of `width` results: how many values each has, their mean, and the sum of squares about it. */
struct known {
    double count, mean[BLOCK], squares[BLOCK];
};

/* Join a piece of `count` values a result: its sums of x - center and of its squares. */
KILN_INLINE void join(struct known *k, size_t count, size_t width, const float *center, const float *sum,
                      const float *square)
{
    const double more = (double)count, all = k->count + more, share = more / all, both = k->count * share;
    for (size_t i = 0; i < width; i++) {
        const double off = (double)sum[i] / more, apart = (double)center[i] + off - k->mean[i];
        const double own = (double)square[i] - (double)sum[i] * off;
        k->mean[i] += apart * share;
        k->squares[i] += (own > 0 ? own : 0) + apart * apart * both;
    }
    k->count = all;
}

/* `rows` values of `width` results, step apart. */
KILN_INLINE void rows_body(const float *x, size_t step, size_t rows, size_t width, struct known *k)
{
    for (size_t first = 0; first < rows; first += ROWS) {
        const size_t count = rows - first < ROWS ? rows - first : ROWS;
        const float *at = x + first * step;
        float center[BLOCK] = {0}, sum[BLOCK] = {0}, square[BLOCK] = {0};
        for (size_t row = 0; row < count; row++)
            for (size_t i = 0; i < width; i++)
                center[i] += at[row * step + i];
        for (size_t i = 0; i < width; i++)
            center[i] /= (float)count;
        for (size_t row = 0; row < count; row++)
            for (size_t i = 0; i < width; i++) {
                const float d = at[row * step + i] - center[i];
                sum[i] += d;
                square[i] += d * d;
            }
        join(k, count, width, center, sum, square);
    }
}

/* `count` values of one result, one behind the other; others follow `ahead` behind them. */
KILN_INLINE void run_body(const float *x, size_t count, size_t ahead, struct known *k)
{
    for (size_t first = 0; first < count; first += RUN_PART) {
        const size_t n = count - first < RUN_PART ? count - first : RUN_PART;
        const float center = run_sum(x + first, n) / (float)n;
        float d[RUN_PART];
        run_ask(x + first + ahead, n);
        for (size_t i = 0; i < n; i++)
            d[i] = x[first + i] - center;
        const float sum = run_sum(d, n), square = run_dot(d, d, n);
        join(k, n, 1, &center, &sum, &square);
    }
}

static void run(const float *x, size_t count, size_t ahead, struct known *k);
static void rows(const float *x, size_t step, size_t count, size_t width, struct known *k);
KILN_CLONES(run, (const float *x, size_t count, size_t ahead, struct known *k), (x, count, ahead, k))
KILN_CLONES(rows, (const float *x, size_t step, size_t count, size_t width, struct known *k),
            (x, step, count, width, k))

static const struct kiln_params_moments *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t blocks_of(const struct kiln_params_moments *p)
{
    return (p->inner + BLOCK - 1) / BLOCK;
}

/* The moments of `width` results from x on over t in [from, to). */
static void moments(const struct kiln_params_moments *p, const float *x, size_t from, size_t to, size_t width,
                    float *mean, float *m2)
{
    const double scale = KILN_REAL_GET(p, scale);
    struct known k;
    k.count = 0;
    for (size_t i = 0; i < width; i++)
        k.mean[i] = k.squares[i] = 0;
    while (from < to) {
        const size_t a = from / p->second, b = from % p->second;
        const size_t left = p->second - b, count = left < to - from ? left : to - from;
        const float *at = x + (a * p->kept * p->second + b) * p->inner;
        if (p->inner == 1)
            run(at, count, (size_t)p->kept * p->second, &k);
        else
            rows(at, p->inner, count, width, &k);
        from += count;
    }
    for (size_t i = 0; i < width; i++) {
        mean[i] = (float)k.mean[i];
        m2[i] = (float)(k.squares[i] * scale);
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
