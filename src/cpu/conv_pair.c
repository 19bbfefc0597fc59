/* conv_pair.c - the meaning of conv_pair. Units: channels of the result. What lies between is computed anew for each place. */
#include "conv/conv_pair.h"

#include "cpu/epilogue.h"
#include "cpu/reference.h"
#include "matmul/pack_columns.h"

#define BLOCK KILN_PACKED_COLUMNS
#define TAPS  KILN_PAIR_TAPS

/* A result of the first convolution, finished; w is its filter's first term, x its picture's first element at the place. */
static real between(const struct kiln_params_conv_pair *p, const struct epilogue *e, const real *x,
                    const real *w, size_t o)
{
    double sum = 0;
    for (size_t c = 0; c < p->channels; c++)
        sum += (double)x[c * p->h * p->w] * (double)w[c * BLOCK];
    return epilogue_apply(e, (real)sum, 0, 0, o);
}

void KILN_REFERENCE(conv_pair)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct kiln_params_conv_pair *p = block;
    const struct epilogue inner = epilogue_of(constants, p->immediate, m, 3),
                          outer = epilogue_of(constants + KILN_PAIR_SECOND, p->second, m, 6);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / p->filters, o = unit % p->filters;
        const real *x = (const real *)m->at[0] + n * p->channels * p->h * p->w;
        const real *w = (const real *)m->at[1] + o / BLOCK * p->channels * BLOCK + o % BLOCK;
        const real *d = (const real *)m->at[5] + o / BLOCK * TAPS * TAPS * BLOCK + o % BLOCK;
        for (size_t at = 0; at < (size_t)p->oh * p->ow; at++) {
            const size_t flat = unit * p->oh * p->ow + at;
            double sum = 0;
            for (size_t k = 0; k < TAPS * TAPS; k++) {
                const ptrdiff_t i = (ptrdiff_t)(at / p->ow * p->stride + k / TAPS) - p->pad_i;
                const ptrdiff_t j = (ptrdiff_t)(at % p->ow * p->stride + k % TAPS) - p->pad_j;
                if (i >= 0 && i < p->h && j >= 0 && j < p->w)
                    sum += (double)between(p, &inner, x + i * p->w + j, w, o) * (double)d[k * BLOCK];
            }
            ((real *)m->at[2])[flat] = epilogue_apply(&outer, (real)sum, flat, 0, o);
        }
    }
}
