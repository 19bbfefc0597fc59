/* conv_packed.c - the meaning of pack_columns and conv_packed. Units: blocks of columns; channels of the result. */
#include "conv/conv_packed.h"

#include "cpu/epilogue.h"
#include "cpu/reference.h"
#include "matmul/pack_columns.h"

#define BLOCK KILN_PACKED_COLUMNS

void KILN_REFERENCE(pack_columns)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_pack_columns *p = block;
    const real *from = m->at[0];
    real *to = m->at[1];
    (void)constants;
    for (size_t b = first; b < first + count; b++)
        for (size_t k = 0; k < p->depth; k++)
            for (size_t column = b * BLOCK; column < (b + 1) * BLOCK; column++)
                to[(b * p->depth + k) * BLOCK + column % BLOCK] =
                    column < p->columns ? from[column * p->column_step + k * p->depth_step] : 0;
}

/* What channel c gives to result (i, j); w is the filter's first term of that channel. */
static double add_channel(const struct kiln_params_conv_packed *p, const real *x, const real *w, ptrdiff_t i,
                          ptrdiff_t j)
{
    double sum = 0;
    for (ptrdiff_t u = 0; u < p->u; u++)
        for (ptrdiff_t v = 0; v < p->v; v++) {
            const ptrdiff_t row = i * p->stride_i - p->pad_i + u * p->dilation_i;
            const ptrdiff_t column = j * p->stride_j - p->pad_j + v * p->dilation_j;
            if (row >= 0 && row < p->h && column >= 0 && column < p->w)
                sum += (double)x[row * p->w + column] * (double)w[(u * p->v + v) * BLOCK];
        }
    return sum;
}

void KILN_REFERENCE(conv_packed)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    const struct kiln_params_conv_packed *p = block;
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 3);
    const size_t picture = (size_t)p->h * p->w, taps = (size_t)p->u * p->v, depth = p->channels * taps;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / p->filters, o = unit % p->filters;
        const real *x = (const real *)m->at[0] + n * p->channels * picture;
        const real *w = (const real *)m->at[1] + o / BLOCK * depth * BLOCK + o % BLOCK;
        for (size_t at = 0; at < (size_t)p->oh * p->ow; at++) {
            const size_t flat = unit * p->oh * p->ow + at;
            double sum = 0;
            for (size_t c = 0; c < p->channels; c++)
                sum += add_channel(p, x + c * picture, w + c * taps * BLOCK, (ptrdiff_t)(at / p->ow),
                                   (ptrdiff_t)(at % p->ow));
            ((real *)m->at[2])[flat] = epilogue_apply(&e, (real)sum, flat, 0, o);
        }
    }
}
