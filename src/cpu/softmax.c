/* softmax.c - what softmax and log-softmax mean, a row at a time. */
#include "softmax/softmax.h"

#include <math.h>

#include "cpu/reference.h"

void KILN_REFERENCE(softmax)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    const struct kiln_params_softmax *p = block;
    for (size_t r = first; r < first + count; r++) {
        const size_t start = r / p->step * p->cols * p->step + r % p->step;
        const real *x = (const real *)m->at[0] + start;
        real *y = (real *)m->at[1] + start;

        double peak = -INFINITY, total = 0;
        for (size_t c = 0; c < p->cols; c++)
            peak = x[c * p->step] > peak || isnan(x[c * p->step]) ? x[c * p->step] : peak;
        for (size_t c = 0; c < p->cols; c++)
            total += exp(x[c * p->step] - peak);
        for (size_t c = 0; c < p->cols; c++) {
            const double shifted = x[c * p->step] - peak;
            y[c * p->step] = (real)(constants[0] ? shifted - log(total) : exp(shifted) / total);
        }
    }
}
