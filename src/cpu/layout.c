/*
 * layout.c - the meaning of copy. Units are elements, in the order of the axes.
 */
#include <string.h>

#include "cpu/reference.h"
#include "layout/copy.h"
#include "layout/join_bytes.h"
#include "layout/turn_bytes.h"

void KILN_REFERENCE(copy)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    const struct kiln_params_copy *p = block;
    const size_t element = 4 * constants[0];
    const char *x = m->at[0];
    char *y = m->at[1];

    for (size_t e = first; e < first + count; e++) {
        int64_t from = p->x_start, to = p->y_start;
        size_t rest = e;
        for (uint32_t a = constants[1]; a-- > 0; rest /= p->size[a]) {
            const int64_t i = (int64_t)(rest % p->size[a]);
            from += i * (int32_t)p->x_step[a];
            to += i * (int32_t)p->y_step[a];
        }
        memcpy(y + to * (int64_t)element, x + from * (int64_t)element, element);
    }
}

/* Units are matrices. */
void KILN_REFERENCE(turn_bytes)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_turn_bytes *p = block;
    const size_t rows = p->rows, columns = p->columns;
    for (size_t batch = first; batch < first + count; batch++) {
        const uint32_t *x = (const uint32_t *)m->at[0] + batch * rows * columns;
        uint32_t *y = (uint32_t *)m->at[1] + batch * rows * columns;
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++)
                y[j * rows + i] = x[i * columns + j];
    }
}

/* Units are rows. */
void KILN_REFERENCE(join_bytes)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_join_bytes *p = block;
    for (size_t row = first; row < first + count; row++)
        memcpy((uint32_t *)m->at[1] + row * p->y_row + p->first, (const uint32_t *)m->at[0] + row * p->x_row,
               p->x_row * sizeof(uint32_t));
}
