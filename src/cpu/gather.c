/* gather.c - the meaning of gather, whose units are rows (o, j) of y, and of index_fold (tuples). */
#include <string.h>

#include "cpu/reference.h"
#include "gather/fold.h"
#include "gather/gather.h"
#include "order/codes.h"

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
    const size_t element = 4 * (size_t)constants[0];
    const int32_t *index = m->at[1];

    for (size_t row = first; row < first + count; row++) {
        const size_t o = row / p->count, list = o / p->share * p->count + row % p->count;
        for (size_t i = 0; i < p->inner; i++) {
            const int32_t given = index[constants[1] ? row * p->inner + i : list];
            const int64_t shown = row_of(given, p->rows) - p->first;
            char *y = (char *)m->at[2] + (row * p->inner + i) * element;
            if ((uint32_t)given == KILN_INDEX_NOWHERE)
                memset(y, 0, element);
            else if (shown >= 0 && shown < p->shown)
                memcpy(y, (const char *)m->at[0] + ((o * p->shown + (size_t)shown) * p->inner + i) * element,
                       element);
        }
    }
}

void KILN_REFERENCE(index_fold)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_index_fold *p = block;
    const int32_t *x = m->at[0];
    int32_t *y = m->at[1];

    for (size_t n = first; n < first + count; n++) {
        int64_t sum = 0;
        bool nowhere = false;
        for (size_t k = 0; k < p->axes; k++) {
            const int32_t given = x[n * p->axes + k];
            nowhere |= (uint32_t)given == KILN_INDEX_NOWHERE;
            sum += row_of(given, p->size[k]) * p->step[k];
        }
        y[n] = nowhere ? INT32_MIN : (int32_t)sum;
    }
}
