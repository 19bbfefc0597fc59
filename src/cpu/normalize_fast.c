/*
 * normalize_fast.c - normalization and its gradients by vectors: along a row where its values lie behind one another, across
 * rows where they lie side by side.
 */
#include <math.h>
#include <string.h>

#include "cpu/runs.h"
#include "device/variants.h"
#include "normalize/normalize.h"
#include "normalize/sums.h"

/* Rows, or channels, that lie side by side and are taken together. */
enum { BLOCK = 64 };

typedef struct kiln_params_normalize params;

static float inverse_of(const params *p, uint32_t flags, double squares)
{
    const double epsilon = KILN_REAL_GET(p, epsilon), mean = squares * KILN_REAL_GET(p, share);
    const double length = sqrt(mean);
    return (float)(flags & KILN_NORMALIZE_LENGTH ? 1 / (length <= epsilon ? epsilon : length)
                                                 : 1 / sqrt(mean + epsilon));
}

/* The values of a row that have one channel: inner, or where that is 1 all, which then have channels side by side. */
static size_t span_of(const params *p)
{
    return p->inner == 1 ? p->cols : p->inner;
}

/* Normalizing -------------------------------------------------------------------------------------------- */

/* y = (x - mean) * inverse * scale + shift, each of the latter two for one value or for all. */
KILN_INLINE void apply(const float *x, float *restrict y, size_t count, float mean, float inverse,
                       const float *scale, const float *shift, bool one)
{
    if (one || (!scale && !shift)) {
        const float a = scale ? inverse * *scale : inverse, b = shift ? *shift : 0;
        for (size_t t = 0; t < count; t++)
            y[t] = (x[t] - mean) * a + b;
    } else if (scale && shift)
        for (size_t t = 0; t < count; t++)
            y[t] = (x[t] - mean) * inverse * scale[t] + shift[t];
    else if (scale)
        for (size_t t = 0; t < count; t++)
            y[t] = (x[t] - mean) * inverse * scale[t];
    else
        for (size_t t = 0; t < count; t++)
            y[t] = (x[t] - mean) * inverse + shift[t];
}

/* A row; scale and shift begin with its first channel's. */
KILN_INLINE void along_body(const params *p, uint32_t flags, const float *x, const float *scale,
                            const float *shift, float *y, float *mean, float *inverse)
{
    double total = 0, squares = 0;
    float middle = 0;
    if (flags & KILN_NORMALIZE_CENTER) {
        for (size_t first = 0; first < p->cols; first += RUN_PART)
            total += run_sum(x + first, p->cols - first < RUN_PART ? p->cols - first : RUN_PART);
        middle = (float)(total / p->cols);
        total = 0;
    }
    run_moments(x, p->cols, middle, &total, &squares);
    if (flags & KILN_NORMALIZE_CENTER) {
        middle = *mean = (float)(middle + total / p->cols);
        squares = fmax(squares - total * total / p->cols, 0);
    }
    *inverse = inverse_of(p, flags, squares);
    const size_t span = span_of(p);
    for (size_t k = 0; k * span < p->cols; k++)
        apply(x + k * span, y + k * span, span, middle, *inverse, scale ? scale + k : NULL,
              shift ? shift + k : NULL, p->inner > 1);
}

/* `width` rows, whose values t lie at x + t * step. */
KILN_INLINE void across_body(const params *p, uint32_t flags, const float *x, float *y, size_t width,
                             float *mean, float *inverse)
{
    float middle[BLOCK] = {0}, total[BLOCK] = {0}, squares[BLOCK] = {0};
    for (size_t t = 0; t < p->cols && flags & KILN_NORMALIZE_CENTER; t++)
        for (size_t i = 0; i < width; i++)
            total[i] += x[t * p->step + i];
    for (size_t i = 0; i < width && flags & KILN_NORMALIZE_CENTER; i++)
        middle[i] = mean[i] = total[i] / (float)p->cols;
    for (size_t t = 0; t < p->cols; t++)
        for (size_t i = 0; i < width; i++) {
            const float d = x[t * p->step + i] - middle[i];
            squares[i] += d * d;
        }
    for (size_t i = 0; i < width; i++)
        inverse[i] = total[i] = inverse_of(p, flags, squares[i]);
    for (size_t t = 0; t < p->cols; t++)
        for (size_t i = 0; i < width; i++)
            y[t * p->step + i] = (x[t * p->step + i] - middle[i]) * total[i];
}

/* Gradients by x ----------------------------------------------------------------------------------------- */

/* sum += sum of dy * scale, product += sum of dy * scale * (x - mean). */
KILN_INLINE void weigh(const float *x, const float *dy, size_t count, float mean, const float *scale,
                       bool one, double *sum, double *product)
{
    float g[RUN_PART], d[RUN_PART];
    const float all = one && scale ? *scale : 1;
    for (size_t first = 0; first < count; first += RUN_PART) {
        const size_t n = count - first < RUN_PART ? count - first : RUN_PART;
        const float *terms = dy + first;
        for (size_t t = 0; t < n; t++)
            d[t] = x[first + t] - mean;
        if (scale && !one) {
            for (size_t t = 0; t < n; t++)
                g[t] = dy[first + t] * scale[first + t];
            terms = g;
        }
        *sum += (double)run_sum(terms, n) * all;
        *product += (double)run_dot(terms, d, n) * all;
    }
}

/* dx = inverse * (dy * scale - center - (x - mean) * pull) */
KILN_INLINE void pull_body(const float *x, const float *dy, float *restrict dx, size_t count, float mean,
                           float inverse, const float *scale, bool one, float center, float pull)
{
    const float all = one && scale ? *scale : 1;
    if (scale && !one)
        for (size_t t = 0; t < count; t++)
            dx[t] = inverse * (dy[t] * scale[t] - center - (x[t] - mean) * pull);
    else
        for (size_t t = 0; t < count; t++)
            dx[t] = inverse * (dy[t] * all - center - (x[t] - mean) * pull);
}

/* What pulls on a row: the share of g * h, unless its length counts as constant; of x - mean, not of h. */
static float pull_of(const params *p, uint32_t flags, float inverse, double product)
{
    const bool constant =
        flags & KILN_NORMALIZE_LENGTH && inverse * KILN_REAL_GET(p, epsilon) >= KILN_NORMALIZE_CONSTANT;
    return constant ? 0 : (float)(product * inverse * inverse * KILN_REAL_GET(p, share));
}

KILN_INLINE void along_grad_body(const params *p, uint32_t flags, const float *x, const float *dy,
                                 const float *scale, float mean, float inverse, float *dx)
{
    const size_t span = span_of(p);
    double sum = 0, product = 0;
    for (size_t k = 0; k * span < p->cols; k++)
        weigh(x + k * span, dy + k * span, span, mean, scale ? scale + k : NULL, p->inner > 1, &sum,
              &product);
    const float center = flags & KILN_NORMALIZE_CENTER ? (float)(sum / p->cols) : 0;
    const float pull = pull_of(p, flags, inverse, product);
    for (size_t k = 0; k * span < p->cols; k++)
        pull_body(x + k * span, dy + k * span, dx + k * span, span, mean, inverse, scale ? scale + k : NULL,
                  p->inner > 1, center, pull);
}

KILN_INLINE void across_grad_body(const params *p, uint32_t flags, const float *x, const float *dy,
                                  size_t width, const float *mean, const float *inverse, float *dx)
{
    float middle[BLOCK] = {0}, sum[BLOCK] = {0}, product[BLOCK] = {0};
    if (flags & KILN_NORMALIZE_CENTER)
        memcpy(middle, mean, width * sizeof *mean);
    for (size_t t = 0; t < p->cols; t++)
        for (size_t i = 0; i < width; i++) {
            sum[i] += dy[t * p->step + i];
            product[i] += dy[t * p->step + i] * (x[t * p->step + i] - middle[i]);
        }
    for (size_t i = 0; i < width; i++) {
        sum[i] = flags & KILN_NORMALIZE_CENTER ? sum[i] / (float)p->cols : 0;
        product[i] = pull_of(p, flags, inverse[i], product[i]);
    }
    for (size_t t = 0; t < p->cols; t++) {
        const float *from = x + t * p->step, *g = dy + t * p->step;
        float *restrict to = dx + t * p->step;
        for (size_t i = 0; i < width; i++)
            to[i] = inverse[i] * (g[i] - sum[i] - (from[i] - middle[i]) * product[i]);
    }
}

/* Gradients by scale and shift --------------------------------------------------------------------------- */

/* One row's share of `width` channels that lie side by side. */
KILN_INLINE void columns_body(const float *x, const float *dy, size_t width, float mean, float inverse,
                              float *restrict product, float *restrict sum)
{
    for (size_t k = 0; k < width; k++) {
        product[k] += dy[k] * ((x[k] - mean) * inverse);
        sum[k] += dy[k];
    }
}

/* The same where each channel has statistics of its own. */
KILN_INLINE void columns_apart_body(const float *x, const float *dy, size_t width, const float *mean,
                                    const float *inverse, float *restrict product, float *restrict sum)
{
    for (size_t k = 0; k < width; k++) {
        product[k] += dy[k] * ((x[k] - mean[k]) * inverse[k]);
        sum[k] += dy[k];
    }
}

/* `count` values of a channel; the next unit's are those of the next one. */
KILN_INLINE void channel_body(const float *x, const float *dy, size_t count, float mean, double *product,
                              double *sum)
{
    for (size_t first = 0; first < count; first += RUN_PART) {
        const size_t n = count - first < RUN_PART ? count - first : RUN_PART;
        run_ask(x + first + count, n);
        run_ask(dy + first + count, n);
        weigh(x + first, dy + first, n, mean, NULL, true, sum, product);
    }
}

static void along(const params *p, uint32_t flags, const float *x, const float *scale, const float *shift,
                  float *y, float *mean, float *inverse);
static void across(const params *p, uint32_t flags, const float *x, float *y, size_t width, float *mean,
                   float *inverse);
static void along_grad(const params *p, uint32_t flags, const float *x, const float *dy, const float *scale,
                       float mean, float inverse, float *dx);
static void across_grad(const params *p, uint32_t flags, const float *x, const float *dy, size_t width,
                        const float *mean, const float *inverse, float *dx);
static void columns_apart(const float *x, const float *dy, size_t width, const float *mean,
                          const float *inverse, float *product, float *sum);
static void columns(const float *x, const float *dy, size_t width, float mean, float inverse, float *product,
                    float *sum);
static void channel(const float *x, const float *dy, size_t count, float mean, double *product, double *sum);
KILN_WIDE_CLONES(along,
                 (const params *p, uint32_t flags, const float *x, const float *scale, const float *shift,
                  float *y, float *mean, float *inverse),
                 (p, flags, x, scale, shift, y, mean, inverse))
KILN_CLONES(across,
            (const params *p, uint32_t flags, const float *x, float *y, size_t width, float *mean,
             float *inverse),
            (p, flags, x, y, width, mean, inverse))
KILN_CLONES(along_grad,
            (const params *p, uint32_t flags, const float *x, const float *dy, const float *scale, float mean,
             float inverse, float *dx),
            (p, flags, x, dy, scale, mean, inverse, dx))
KILN_CLONES(across_grad,
            (const params *p, uint32_t flags, const float *x, const float *dy, size_t width,
             const float *mean, const float *inverse, float *dx),
            (p, flags, x, dy, width, mean, inverse, dx))
KILN_CLONES(columns,
            (const float *x, const float *dy, size_t width, float mean, float inverse, float *product,
             float *sum),
            (x, dy, width, mean, inverse, product, sum))
KILN_CLONES(columns_apart,
            (const float *x, const float *dy, size_t width, const float *mean, const float *inverse,
             float *product, float *sum),
            (x, dy, width, mean, inverse, product, sum))
KILN_CLONES(channel,
            (const float *x, const float *dy, size_t count, float mean, double *product, double *sum),
            (x, dy, count, mean, product, sum))

/* Variants: a unit is a block of rows out of the `step` that lie side by side ------------------------------ */

static const params *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t blocks_of(const params *p)
{
    return (p->step + BLOCK - 1) / BLOCK;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->rows / block_of(d)->step * blocks_of(block_of(d));
}

/* Rows side by side have no channels of their own here. */
static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->step == 1 || !(d->constants[0] & (KILN_NORMALIZE_SCALED | KILN_NORMALIZE_SHIFTED));
}

/* A unit: its first row, how many there are, and their first value. */
struct place {
    size_t row, width, start;
};

static struct place place_of(const params *p, size_t unit)
{
    const size_t blocks = blocks_of(p), i = unit % blocks * BLOCK, outer = unit / blocks;
    const size_t left = p->step - i;
    return (struct place){outer * p->step + i, left < BLOCK ? left : BLOCK, outer * p->cols * p->step + i};
}

static const float *of_row(const params *p, const float *channels, size_t row)
{
    return channels ? channels + row % p->groups * p->channels : NULL;
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    const uint32_t flags = d->constants[0];
    float none[BLOCK];
    for (size_t unit = first; unit < first + count; unit++) {
        const struct place at = place_of(p, unit);
        const float *x = (const float *)m->at[0] + at.start;
        float *y = (float *)m->at[3] + at.start, *inverse = (float *)m->at[5] + p->first + at.row;
        float *mean = flags & KILN_NORMALIZE_CENTER ? (float *)m->at[4] + p->first + at.row : none;
        if (p->step == 1)
            along(p, flags, x, of_row(p, m->at[1], at.row), of_row(p, m->at[2], at.row), y, mean, inverse);
        else
            across(p, flags, x, y, at.width, mean, inverse);
    }
}

static void run_grad(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    const uint32_t flags = d->constants[0];
    const float zero[BLOCK] = {0};
    for (size_t unit = first; unit < first + count; unit++) {
        const struct place at = place_of(p, unit);
        const float *x = (const float *)m->at[0] + at.start, *dy = (const float *)m->at[1] + at.start;
        const float *mean =
            flags & KILN_NORMALIZE_CENTER ? (const float *)m->at[3] + p->first + at.row : zero;
        const float *inverse = (const float *)m->at[4] + p->first + at.row;
        float *dx = (float *)m->at[5] + at.start;
        if (p->step == 1)
            along_grad(p, flags, x, dy, of_row(p, m->at[2], at.row), *mean, *inverse, dx);
        else
            across_grad(p, flags, x, dy, at.width, mean, inverse, dx);
    }
}

const kiln_variant kiln_cpu_normalize_rows = {
    .name = "rows", .accepts = accepts, .groups = groups, .run = run, .grain = 8};
const kiln_variant kiln_cpu_normalize_grad_rows = {
    .name = "rows", .accepts = accepts, .groups = groups, .run = run_grad, .grain = 8};

/* The sums: a unit is a block of channels of a part where they lie side by side, else one channel of it. */

typedef struct kiln_params_normalize_sums sums_params;

static const sums_params *sums_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t width_of(const sums_params *p)
{
    return p->inner == 1 ? BLOCK : 1;
}

static uint64_t sums_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const size_t width = width_of(sums_of(d));
    return (uint64_t)sums_of(d)->parts * ((sums_of(d)->channels + width - 1) / width);
}

/* Rows [from, to) of `width` channels from k on; a row's channels of one group share its statistics. */
static void sum_columns(const sums_params *p, const kiln_memory *m, size_t from, size_t to, size_t k,
                        size_t width, float *product, float *sum)
{
    const float *x = m->at[0], *dy = m->at[1], *mean = m->at[2], *inverse = m->at[3];
    memset(product, 0, width * sizeof *product);
    memset(sum, 0, width * sizeof *sum);
    const bool apart = mean && p->group == 1 && p->groups == 0; /* rows share what each channel has */
    for (size_t n = from; n < to && apart; n++)
        columns_apart(x + n * p->channels + k, dy + n * p->channels + k, width, mean + p->first_row + k,
                      inverse + p->first_row + k, product, sum);
    for (size_t n = from; n < to && !apart; n++)
        for (size_t i = 0, here; i < width; i += here) {
            const size_t group = (k + i) / p->group, r = p->first_row + n * p->groups + group,
                         at = n * p->channels + k + i;
            const size_t left = (group + 1) * p->group - k - i;
            here = left < width - i ? left : width - i;
            columns(x + at, dy + at, here, mean ? mean[r] : 0, inverse[r], product + i, sum + i);
        }
}

static void sum_channel(const sums_params *p, const kiln_memory *m, size_t from, size_t to, size_t k,
                        float *product, float *sum)
{
    const float *x = m->at[0], *dy = m->at[1], *mean = m->at[2], *inverse = m->at[3];
    double all_products = 0, all = 0;
    for (size_t n = from; n < to; n++) {
        const size_t r = p->first_row + n * p->groups + k / p->group, at = (n * p->channels + k) * p->inner;
        double products = 0;
        channel(x + at, dy + at, p->inner, mean ? mean[r] : 0, &products, &all);
        all_products += products * inverse[r];
    }
    *product = (float)all_products;
    *sum = (float)all;
}

static void run_sums(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const sums_params *p = sums_of(d);
    const size_t width = width_of(p), blocks = (p->channels + width - 1) / width;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t part = unit / blocks, k = unit % blocks * width, left = p->channels - k;
        const size_t from = part * p->part_length, end = from + p->part_length;
        const size_t to = end < p->count ? end : p->count;
        float *product = (float *)m->at[4] + (p->first_part + part) * p->channels + k;
        float *sum = (float *)m->at[5] + (p->first_part + part) * p->channels + k;
        if (p->inner == 1)
            sum_columns(p, m, from, to, k, left < width ? left : width, product, sum);
        else
            sum_channel(p, m, from, to, k, product, sum);
    }
}

const kiln_variant kiln_cpu_normalize_sums_parts = {.name = "parts", .groups = sums_groups, .run = run_sums};
