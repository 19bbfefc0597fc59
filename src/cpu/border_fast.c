/*
 * border_fast.c - an axis that goes on beyond its ends: what lies between them moves as one, and the rows beyond one by one.
 * Units are the outer ones.
 */
#include "border/border.h"

#include <stdbool.h>
#include <string.h>

#include "cpu/simd.h"
#include "device/variants.h"

typedef struct kiln_params_border params;

/* The row of an axis of `size` that row `row` beyond its ends is. */
static int row_at(const params *p, uint32_t border, int row, int size)
{
    const int i = row - (int)p->before;
    if (border == KILN_BORDER_CODE_EDGE)
        return i < 0 ? 0 : size - 1;
    const bool reflects = border == KILN_BORDER_CODE_REFLECT, wraps = border == KILN_BORDER_CODE_WRAP;
    const int period = wraps ? size : reflects ? (size > 1 ? 2 * size - 2 : 1) : 2 * size;
    const int rest = (i % period + period) % period;
    return rest < size ? rest : reflects ? period - rest : period - 1 - rest;
}

static ptrdiff_t at(uint32_t first, size_t element)
{
    return (ptrdiff_t)(int32_t)(first + (uint32_t)element);
}

static uint64_t outer_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const params *)d->block.words)->outer;
}

static void move(const params *p, uint32_t border, const uint32_t *x, uint32_t *y)
{
    const size_t inner = p->inner, size = p->other;
    memcpy(y + p->before * inner, x, size * inner * sizeof *y);
    for (int row = 0; row < (int)p->rows; row++) {
        row += row == (int)p->before ? (int)size : 0;
        if (row < (int)p->rows)
            memcpy(y + (size_t)row * inner, x + (size_t)row_at(p, border, row, (int)size) * inner,
                   inner * sizeof *y);
    }
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const params *p = (const params *)d->block.words;
    (void)worker;
    for (size_t o = p->first_outer + first; o < p->first_outer + first + count; o++)
        move(p, d->constants[0], (const uint32_t *)m->at[0] + at(p->read_first, o * p->other * p->inner),
             (uint32_t *)m->at[1] + at(p->write_first, o * p->rows * p->inner));
}

KILN_INLINE void add_body(const float *from, float *to, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] += from[k];
}

static void add(const float *from, float *to, size_t count);
KILN_CLONES(add, (const float *from, float *to, size_t count), (from, to, count))

static void move_back(const params *p, uint32_t border, const float *dy, float *dx)
{
    const size_t inner = p->inner, size = p->rows;
    memcpy(dx, dy + p->before * inner, size * inner * sizeof *dx);
    for (int row = 0; row < (int)p->other; row++) {
        row += row == (int)p->before ? (int)size : 0;
        if (row < (int)p->other)
            add(dy + (size_t)row * inner, dx + (size_t)row_at(p, border, row, (int)size) * inner, inner);
    }
}

static void run_back(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const params *p = (const params *)d->block.words;
    (void)worker;
    for (size_t o = p->first_outer + first; o < p->first_outer + first + count; o++)
        move_back(p, d->constants[0], (const float *)m->at[0] + at(p->read_first, o * p->other * p->inner),
                  (float *)m->at[1] + at(p->write_first, o * p->rows * p->inner));
}

const kiln_variant kiln_cpu_border_rows = {.name = "rows", .groups = outer_groups, .run = run, .grain = 16};
const kiln_variant kiln_cpu_border_grad_rows = {
    .name = "rows", .groups = outer_groups, .run = run_back, .grain = 16};
