/*
 * gather.c - the meaning of gather, whose units are rows (o, j) of y, and of gather_grad, whose units are
 * rows (o, r) of dx.
 */
#include <string.h>

#include "cpu/reference.h"
#include "gather/gather.h"

/* The row that an index means. */
static int64_t row_of(int32_t index, uint32_t rows)
{
    const int64_t row = index < 0 ? (int64_t)index + rows : index;
    return row < 0 ? 0 : row >= rows ? (int64_t)rows - 1 : row;
}

void KILN_REFERENCE(gather)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_gather *p = block;
    const size_t bytes = (size_t)p->inner * 4 * constants[0];
    const int32_t *index = m->at[1];

    for (size_t row = first; row < first + count; row++) {
        const size_t from = row / p->count * p->rows + (size_t)row_of(index[row % p->count], p->rows);
        memcpy((char *)m->at[2] + row * bytes, (const char *)m->at[0] + from * bytes, bytes);
    }
}

void KILN_REFERENCE(gather_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_gather *p = block;
    const real *dy = m->at[0];
    const int32_t *index = m->at[1];
    real *dx = m->at[2];

    for (size_t row = first; row < first + count; row++) {
        const size_t o = row / p->rows, wanted = row % p->rows;
        for (size_t i = 0; i < p->inner; i++) {
            double sum = 0;
            for (size_t j = 0; j < p->count; j++)
                if ((size_t)row_of(index[j], p->rows) == wanted)
                    sum += dy[(o * p->count + j) * p->inner + i];
            dx[row * p->inner + i] = (real)sum;
        }
    }
}
