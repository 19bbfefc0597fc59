/* border.c - the meaning of border and border_grad, whose units are rows of the result. */
#include "border/border.h"

#include <string.h>

#include "cpu/reference.h"

/* A step that leaves the axis at an end goes on there. */
static int64_t inside(int64_t i, int64_t size, uint32_t border)
{
    while (i < 0 || i >= size) {
        const bool low = i < 0;
        if (border == KILN_BORDER_CODE_EDGE)
            return low ? 0 : size - 1;
        if (border == KILN_BORDER_CODE_WRAP)
            i += low ? size : -size;
        else if (border == KILN_BORDER_CODE_SYMMETRIC)
            i = (low ? -1 : 2 * size - 1) - i;
        else
            i = size == 1 ? 0 : (low ? 0 : 2 * size - 2) - i;
    }
    return i;
}

/* An element of a binding whose first one is NAME_first. */
static ptrdiff_t at(uint32_t first, size_t element)
{
    return (ptrdiff_t)(int32_t)(first + (uint32_t)element);
}

void KILN_REFERENCE(border)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_border *p = block;
    const ptrdiff_t element = 4 * (ptrdiff_t)constants[1];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = p->first_outer * (size_t)p->rows + unit;
        const int64_t from = inside((int64_t)(unit % p->rows) - p->before, p->other, constants[0]);
        memcpy((char *)m->at[1] + at(p->write_first, row * p->inner) * element,
               (const char *)m->at[0] +
                   at(p->read_first, (row / p->rows * p->other + (size_t)from) * p->inner) * element,
               p->inner * (size_t)element);
    }
}

void KILN_REFERENCE(border_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    const struct kiln_params_border *p = block;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = p->first_outer * (size_t)p->rows + unit, from = row / p->rows * p->other;
        const real *dy = (const real *)m->at[0] + at(p->read_first, from * p->inner);
        real *dx = (real *)m->at[1] + at(p->write_first, row * p->inner);
        for (size_t k = 0; k < p->inner; k++) {
            double sum = 0;
            for (int64_t j = 0; j < p->other; j++)
                if (inside(j - p->before, p->rows, constants[0]) == (int64_t)(unit % p->rows))
                    sum += dy[(size_t)j * p->inner + k];
            dx[k] = (real)sum;
        }
    }
}
