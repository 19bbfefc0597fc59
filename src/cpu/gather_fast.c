/*
 * gather_fast.c - gather_grad by ranges of rows: each unit clears its rows of dx and goes through the index
 * once, adding the rows of dy that belong to it. A row of dx is one unit's alone, so it sums in the order of
 * the index.
 */
#include <string.h>

#include "device/variants.h"
#include "gather/gather.h"

enum { MOST_RANGES = 32, LEAST_ROWS = 16 };

static const struct kiln_params_gather *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_gather *)d->block.words;
}

/* Rows of a range: by size alone, never by the number of threads. */
static uint32_t range_rows(const struct kiln_params_gather *p)
{
    const uint32_t rows = (p->rows + MOST_RANGES - 1) / MOST_RANGES;
    return rows < LEAST_ROWS ? LEAST_ROWS : rows;
}

static uint64_t range_count(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_gather *p = block_of(d);
    return (uint64_t)p->outer * ((p->rows + range_rows(p) - 1) / range_rows(p));
}

static int64_t row_of(int32_t index, uint32_t rows)
{
    const int64_t row = index < 0 ? (int64_t)index + rows : index;
    return row < 0 ? 0 : row >= rows ? (int64_t)rows - 1 : row;
}

static void add(float *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

static void sum_range(const struct kiln_params_gather *p, const kiln_memory *m, size_t unit)
{
    const size_t ranges = (p->rows + range_rows(p) - 1) / range_rows(p), o = unit / ranges;
    const int64_t begin = (int64_t)(unit % ranges * range_rows(p));
    const int64_t end = begin + range_rows(p) < p->rows ? begin + range_rows(p) : p->rows;
    const float *dy = (const float *)m->at[0] + o * p->count * p->inner;
    const int32_t *index = m->at[1];
    float *dx = (float *)m->at[2] + o * p->rows * p->inner;

    memset(dx + (size_t)begin * p->inner, 0, (size_t)(end - begin) * p->inner * sizeof *dx);
    for (size_t j = 0; j < p->count; j++) {
        const int64_t row = row_of(index[j], p->rows);
        if (row >= begin && row < end)
            add(dx + (size_t)row * p->inner, dy + j * p->inner, p->inner);
    }
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++)
        sum_range(block_of(d), m, unit);
}

const kiln_variant kiln_cpu_gather_grad_ranges = {.name = "ranges", .groups = range_count, .run = run};
