/*
 * resize_fast.c - resizing a row of y at a time.
 *
 *   blend    the rows of x that the row of y is made of become one, by weights of the axes in front
 *   spread   along that row: whole vectors where the last axis is doubled or halved, as by far the most are; else sum by sum
 *
 * Where only one row of x has a part in it, and a whole one, that is the line. A row of y is a unit.
 */
#include <string.h>

#include "cpu/simd.h"
#include "device/caps.h"
#include "device/variants.h"
#include "resize/resize.h"

typedef struct kiln_params_resize params;

/* A row of an axis's table. */
struct run {
    size_t first, count;
    const float *weight;
};

static struct run run_of(const uint32_t *table, uint32_t rows, uint32_t taps, size_t q)
{
    const uint32_t *row = table + rows + q * (taps + KILN_RESIZE_HEAD);
    return (struct run){row[0], row[1], (const float *)(const void *)(row + KILN_RESIZE_HEAD)};
}

/* Blend -------------------------------------------------------------------------------------------------- */

/* to = weight * x, or that is added. */
KILN_INLINE void take_row(bool add, float weight, const float *x, float *to, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] = add ? to[k] + weight * x[k] : weight * x[k];
}

/* The rows of x under (a, i), x being their image, blended into `to`. */
KILN_INLINE void blend_body(const params *p, const struct run *a, const struct run *i, const float *x,
                            float *to)
{
    const size_t row = (size_t)p->j * p->inner;
    for (size_t s = 0; s < a->count; s++)
        for (size_t t = 0; t < i->count; t++) {
            const float *from = x + ((a->first + s) * p->i + i->first + t) * row;
            take_row(s + t > 0, a->weight[s] * i->weight[t], from, to, row);
        }
}

static void blend(const params *p, const struct run *a, const struct run *i, const float *x, float *to);
KILN_CLONES(blend, (const params *p, const struct run *a, const struct run *i, const float *x, float *to),
            (p, a, i, x, to))

/* Spread ------------------------------------------------------------------------------------------------- */

/* Rows [q, end) of axis j, elements side by side; `taps` is p->taps_j, and known to the compiler where it is 1 or 2. */
KILN_INLINE void spread_some(const params *p, uint32_t taps, const uint32_t *table, const float *line,
                             size_t q, size_t end, float *y)
{
    for (; q < end; q++) {
        const struct run j = run_of(table, p->rows_j, taps, q);
        float sum = j.count ? j.weight[0] * line[j.first] : p->outside;
        if (taps == 2)
            sum += j.count > 1 ? j.weight[1] * line[j.first + 1] : 0;
        for (size_t u = 1; taps > 2 && u < j.count; u++)
            sum += j.weight[u] * line[j.first + u];
        y[q] = sum;
    }
}

KILN_INLINE void spread_any(const params *p, const uint32_t *table, const float *line, size_t q, size_t end,
                            float *y)
{
    if (p->taps_j == 1)
        spread_some(p, 1, table, line, q, end, y);
    else if (p->taps_j == 2)
        spread_some(p, 2, table, line, q, end, y);
    else
        spread_some(p, p->taps_j, table, line, q, end, y);
}

KILN_INLINE kiln_four times(float weight, kiln_four x)
{
    return x * (kiln_four){weight, weight, weight, weight};
}

/* Four sums of neighbours, from `line` on. */
KILN_INLINE kiln_four four_sums(const struct run *j, const float *line)
{
    kiln_four sum = times(j->weight[0], kiln_four_load(line));
    for (size_t u = 1; u < j->count; u++)
        sum += times(j->weight[u], kiln_four_load(line + u));
    return sum;
}

/* Likewise, each two elements behind the one before; a ninth element must be there, if none needs it. */
KILN_INLINE kiln_four four_pairs(const struct run *j, const float *line)
{
    kiln_four sum = times(j->weight[0], kiln_four_even(line));
    for (size_t u = 1; u < j->count; u++)
        sum += times(j->weight[u], kiln_four_even(line + u));
    return sum;
}

/* The rows of the pattern, as far as vectors go; returns the first row that is left. */
KILN_INLINE size_t spread_doubling(const params *p, const uint32_t *table, const float *line, float *y)
{
    const struct run even = run_of(table, p->rows_j, p->taps_j, p->begin),
                     odd = run_of(table, p->rows_j, p->taps_j, p->begin + 1);
    size_t q = p->begin;
    for (size_t k = 0; q + 8 <= p->end; q += 8, k += 4)
        kiln_four_zip(y + q, four_sums(&even, line + even.first + k), four_sums(&odd, line + odd.first + k));
    return q;
}

KILN_INLINE size_t spread_halving(const params *p, const uint32_t *table, const float *line, float *y)
{
    const struct run j = run_of(table, p->rows_j, p->taps_j, p->begin);
    size_t q = p->begin;
    for (size_t k = 0; q + 4 < p->end; q += 4, k += 8)
        kiln_four_store(y + q, four_pairs(&j, line + j.first + k));
    return q;
}

/* Axis j, of elements of `inner` numbers. */
KILN_INLINE void spread_vectors(const params *p, const uint32_t *table, const float *line, float *y)
{
    const size_t inner = p->inner;
    for (size_t q = 0; q < p->oj; q++, y += inner) {
        const struct run j = run_of(table, p->rows_j, p->taps_j, q);
        for (size_t k = 0; k < inner && !j.count; k++)
            y[k] = p->outside;
        for (size_t u = 0; u < j.count; u++)
            take_row(u > 0, j.weight[u], line + (j.first + u) * inner, y, inner);
    }
}

KILN_INLINE void spread_body(const params *p, uint32_t pattern, const uint32_t *table, const float *line,
                             float *y)
{
    if (p->inner > 1) {
        spread_vectors(p, table, line, y);
        return;
    }
    size_t rest = 0;
    if (pattern != KILN_RESIZE_ANY) {
        spread_any(p, table, line, 0, p->begin, y);
        rest = pattern == KILN_RESIZE_DOUBLING ? spread_doubling(p, table, line, y)
                                               : spread_halving(p, table, line, y);
    }
    spread_any(p, table, line, rest, p->oj, y);
}

static void spread(const params *p, uint32_t pattern, const uint32_t *table, const float *line, float *y);
KILN_CLONES(spread, (const params *p, uint32_t pattern, const uint32_t *table, const float *line, float *y),
            (p, pattern, table, line, y))

/* The variant -------------------------------------------------------------------------------------------- */

static const params *block_of(const kiln_dispatch *d)
{
    return (const params *)d->block.words;
}

/* Whether the last axis is one element that stays: a blend is the row. */
static bool is_blend(const params *p, const struct run *j)
{
    return p->j == 1 && p->oj == 1 && j->count == 1 && j->weight[0] == 1;
}

static void resize_row(const kiln_dispatch *d, const kiln_memory *m, size_t row, float *room)
{
    const params *p = block_of(d);
    const uint32_t *table = m->at[2];
    const uint32_t slice = (uint32_t)row / p->oi, n = slice / p->oa; /* 32 bits divide faster */
    const size_t width = (size_t)p->oj * p->inner;
    const struct run a = run_of(table, p->rows_a, p->taps_a, slice - n * p->oa),
                     i = run_of(table, p->rows_i, p->taps_i, (uint32_t)row - slice * p->oi),
                     j = run_of(table, p->rows_j, p->taps_j, 0);
    const ptrdiff_t image = (ptrdiff_t)n * p->a * p->i * p->j * p->inner;
    const float *x = (const float *)m->at[0] + (int32_t)p->x_first + image;
    float *y = (float *)m->at[1] + p->y_first + row * width;
    if (!a.count || !i.count) {
        for (size_t k = 0; k < width; k++)
            y[k] = p->outside;
        return;
    }
    const float *line = x + (a.first * p->i + i.first) * p->j * p->inner;
    const bool whole = a.count == 1 && i.count == 1 && a.weight[0] == 1 && i.weight[0] == 1;
    if (is_blend(p, &j)) {
        if (whole)
            memcpy(y, line, width * sizeof *y);
        else
            blend(p, &a, &i, x, y);
        return;
    }
    if (!whole)
        blend(p, &a, &i, x, room);
    spread(p, d->constants[1], table, whole ? line : room, y);
}

/* Floats for a blended line: none where x has but one row, which is whole. */
static size_t room_of(const params *p)
{
    const bool line = p->a == 1 && p->oa == 1 && p->i == 1 && p->oi == 1;
    return line ? 0 : ((size_t)p->j * p->inner + 15) / 16 * 16;
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return room_of(block_of(d)) * sizeof(float);
}

static uint64_t rows(const kiln_caps *caps, const kiln_dispatch *d)
{
    const params *p = block_of(d);
    (void)caps;
    return p->results / ((uint64_t)p->oj * p->inner);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t row = first; row < first + count; row++)
        resize_row(d, m, row, m->scratch);
}

const kiln_variant kiln_cpu_resize_rows = {
    .name = "rows", .groups = rows, .scratch = scratch, .run = run, .grain = 32};
