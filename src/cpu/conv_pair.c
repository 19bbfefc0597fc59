/* conv_pair.c - the meaning of conv_pair. Units: channels of the result. What lies between is computed anew for each place. */
#include "conv/conv_pair.h"

#include "cpu/epilogue.h"
#include "cpu/reference.h"
#include "matmul/pack_columns.h"

#define BLOCK KILN_PACKED_COLUMNS
#define TAPS  KILN_PAIR_TAPS

/* A result of the first convolution, finished; w is its filter's first term, x its picture's first element, `at` its place. */
static real between(const struct kiln_params_conv_pair *p, const struct epilogue *e, const real *x,
                    const real *w, size_t o, size_t at)
{
    const size_t taps = (size_t)p->u * p->v;
    double sum = 0;
    for (size_t k = 0; k < p->channels * taps; k++) {
        const ptrdiff_t u = (ptrdiff_t)(k % taps / p->v), v = (ptrdiff_t)(k % p->v);
        const ptrdiff_t i = (ptrdiff_t)(at / p->ow) * p->stride_i - p->pad_i + u * p->dilation_i;
        const ptrdiff_t j = (ptrdiff_t)(at % p->ow) * p->stride_j - p->pad_j + v * p->dilation_j;
        if (i >= 0 && i < p->h && j >= 0 && j < p->w)
            sum += (double)x[k / taps * p->h * p->w + (size_t)(i * p->w + j)] * (double)w[k * BLOCK];
    }
    return epilogue_apply(e, (real)sum, 0, 0, o);
}

void KILN_REFERENCE(conv_pair)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct kiln_params_conv_pair *p = block;
    const struct epilogue inner = epilogue_of(constants, p->immediate, m, 3),
                          outer = epilogue_of(constants + KILN_PAIR_SECOND, p->second, m, 6);
    const size_t depth = (size_t)p->channels * p->u * p->v;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / p->filters, o = unit % p->filters;
        const real *x = (const real *)m->at[0] + n * p->channels * p->h * p->w;
        const real *w = (const real *)m->at[1] + o / BLOCK * depth * BLOCK + o % BLOCK;
        const real *d = (const real *)m->at[5] + o / BLOCK * TAPS * TAPS * BLOCK + o % BLOCK;
        for (size_t at = 0; at < (size_t)p->y_h * p->y_w; at++) {
            const size_t flat = unit * p->y_h * p->y_w + at;
            double sum = 0;
            for (size_t k = 0; k < TAPS * TAPS; k++) {
                const ptrdiff_t i = (ptrdiff_t)(at / p->y_w * p->y_stride + k / TAPS) - p->y_pad_i;
                const ptrdiff_t j = (ptrdiff_t)(at % p->y_w * p->y_stride + k % TAPS) - p->y_pad_j;
                if (i >= 0 && i < p->oh && j >= 0 && j < p->ow)
                    sum +=
                        (double)between(p, &inner, x, w, o, (size_t)(i * p->ow + j)) * (double)d[k * BLOCK];
            }
            ((real *)m->at[2])[flat] = epilogue_apply(&outer, (real)sum, flat, 0, o);
        }
    }
}
