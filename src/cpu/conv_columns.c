/* conv_columns.c - the meaning of conv_columns: what a convolution's filters meet. Units: rows of an image. */
#include "conv/conv_columns.h"

#include <stdbool.h>
#include <stddef.h>

#include "cpu/reference.h"

/* What place (u, v) of the filter meets at position (i, j), in the plane at x. */
static real meet(const struct kiln_params_conv_columns *p, const real *x, ptrdiff_t u, ptrdiff_t v,
                 ptrdiff_t i, ptrdiff_t j)
{
    const ptrdiff_t row = i * (ptrdiff_t)p->stride_i - p->pad_i + u * (ptrdiff_t)p->dilation_i;
    const ptrdiff_t column = j * (ptrdiff_t)p->stride_j - p->pad_j + v * (ptrdiff_t)p->dilation_j;
    const bool inside = row >= 0 && row < (ptrdiff_t)p->h && column >= 0 && column < (ptrdiff_t)p->w;
    return inside ? x[row * (ptrdiff_t)p->w + column] : 0;
}

void KILN_REFERENCE(conv_columns)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_conv_columns *p = block;
    const size_t columns = 4 * (size_t)p->fours, taps = (size_t)p->u * p->v;
    (void)constants;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t image = unit / p->terms, term = unit % p->terms, channel = term / taps;
        const real *x = (const real *)m->at[0] + (image * p->channels + channel) * p->h * p->w;
        real *z = (real *)m->at[1] + unit * columns;
        for (size_t q = 0; q < columns; q++) {
            const size_t i = q / p->ow, j = q % p->ow, tap = term % taps;
            z[q] =
                channel < p->channels && i < p->oh
                    ? meet(p, x, (ptrdiff_t)(tap / p->v), (ptrdiff_t)(tap % p->v), (ptrdiff_t)i, (ptrdiff_t)j)
                    : 0;
        }
    }
}
