/* lrn.c - what local response normalization and its gradient mean, an element at a time. */
#include "lrn/lrn.h"

#include <math.h>

#include "cpu/reference.h"

/* The elements that a sum at channel c of element e takes: from *first on, inner apart. */
static size_t window_of(const struct kiln_params_lrn *p, size_t e, size_t before, size_t after, size_t *first)
{
    const size_t c = e / p->inner % p->channels, left = p->channels - 1 - c;
    const size_t back = before < c ? before : c;
    *first = e - back * p->inner;
    return back + 1 + (after < left ? after : left);
}

void KILN_REFERENCE(lrn)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                         size_t count)
{
    (void)constants;
    const struct kiln_params_lrn *p = block;
    const real *x = m->at[0];
    for (size_t e = first; e < first + count; e++) {
        size_t from;
        const size_t values = window_of(p, e, p->before, p->after, &from);
        double sum = 0;
        for (size_t d = 0; d < values; d++)
            sum += (double)x[from + d * p->inner] * x[from + d * p->inner];
        const double base = KILN_REAL_GET(p, bias) + KILN_REAL_GET(p, share) * sum;
        ((real *)m->at[1])[e] = (real)(x[e] * pow(base, -KILN_REAL_GET(p, power)));
        ((real *)m->at[2])[e] = (real)base;
    }
}

void KILN_REFERENCE(lrn_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_lrn *p = block;
    const real *x = m->at[0], *dy = m->at[1], *y = m->at[2], *base = m->at[3];
    const double power = KILN_REAL_GET(p, power), share = KILN_REAL_GET(p, share);
    for (size_t e = first; e < first + count; e++) {
        size_t from;
        const size_t values = window_of(p, e, p->after, p->before, &from);
        double sum = 0;
        for (size_t d = 0; d < values; d++) {
            const size_t at = from + d * p->inner;
            sum += (double)dy[at] * y[at] / base[at];
        }
        ((real *)m->at[4])[e] = (real)(dy[e] * pow(base[e], -power) - 2 * power * share * x[e] * sum);
    }
}
