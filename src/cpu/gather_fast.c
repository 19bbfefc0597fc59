/* gather_fast.c - gather a row at a time where rows of x move whole, an element at a time where each has an index of its own. */
#include <string.h>

#include "device/variants.h"
#include "gather/gather.h"
#include "order/codes.h"

static const struct kiln_params_gather *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_gather *)d->block.words;
}

static int64_t row_of(int32_t index, uint32_t rows)
{
    const int64_t row = index < 0 ? (int64_t)index + rows : index;
    return row < 0 ? 0 : row >= rows ? (int64_t)rows - 1 : row;
}

/* All rows are bound, so that there is nothing to leave out. */
static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] == 1 && block_of(d)->shown == block_of(d)->rows;
}

static void gather_elements(const struct kiln_params_gather *p, const kiln_memory *m, size_t row)
{
    const uint32_t *x = (const uint32_t *)m->at[0] + row / p->count * p->rows * p->inner;
    const int32_t *index = (const int32_t *)m->at[1] + row * p->inner;
    uint32_t *y = (uint32_t *)m->at[2] + row * p->inner;
    for (size_t i = 0; i < p->inner; i++)
        y[i] = (uint32_t)index[i] == KILN_INDEX_NOWHERE ? 0
                                                        : x[(size_t)row_of(index[i], p->rows) * p->inner + i];
}

static void gather_row(const struct kiln_params_gather *p, const kiln_memory *m, size_t row)
{
    const size_t o = row / p->count;
    const int32_t given = ((const int32_t *)m->at[1])[o / p->share * p->count + row - o * p->count];
    const uint32_t *x =
        (const uint32_t *)m->at[0] + (o * p->rows + (size_t)row_of(given, p->rows)) * p->inner;
    uint32_t *y = (uint32_t *)m->at[2] + row * p->inner;
    if ((uint32_t)given == KILN_INDEX_NOWHERE)
        memset(y, 0, p->inner * sizeof *y);
    else if (p->inner == 1)
        *y = *x;
    else
        memcpy(y, x, p->inner * sizeof *y);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t row = first; row < first + count; row++)
        if (d->constants[1])
            gather_elements(block_of(d), m, row);
        else
            gather_row(block_of(d), m, row);
}

const kiln_variant kiln_cpu_gather_rows = {.name = "rows", .accepts = accepts, .run = run, .grain = 16};
