/* loss.c - what cross-entropy and its gradient mean, a row at a time. */
#include <math.h>

#include "cpu/reference.h"
#include "loss/cross_entropy.h"

/* Where the scores of a row begin. */
static size_t start_of(const struct kiln_params_cross_entropy *p, size_t row)
{
    return row / p->step * p->cols * p->step + row % p->step;
}

/* The largest score, and the sum of exp(x - largest). */
static double peak_of(const struct kiln_params_cross_entropy *p, const real *x, double *total)
{
    double peak = -INFINITY;
    for (size_t c = 0; c < p->cols; c++)
        peak = x[c * p->step] > peak || isnan(x[c * p->step]) ? x[c * p->step] : peak;
    *total = 0;
    for (size_t c = 0; c < p->cols; c++)
        *total += exp(x[c * p->step] - peak);
    return peak;
}

void KILN_REFERENCE(cross_entropy)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_cross_entropy *p = block;
    const int32_t *target = m->at[1];
    const double spread = KILN_REAL_GET(p, spread);
    for (size_t r = first; r < first + count; r++) {
        const real *x = (const real *)m->at[0] + start_of(p, r);
        double total, below = 0;
        const double peak = peak_of(p, x, &total);
        const bool valid = (uint32_t)target[r] < p->cols;
        const double off = valid ? peak - x[(size_t)target[r] * p->step] : NAN;
        for (size_t c = 0; c < p->cols && spread > 0; c++)
            below += (peak - x[c * p->step]) / p->cols;
        ((real *)m->at[2])[r] = (real)(log(total) + (1 - spread) * off + spread * below);
    }
}

void KILN_REFERENCE(cross_entropy_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                        size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_cross_entropy *p = block;
    const int32_t *target = m->at[1];
    const real *dy = m->at[2];
    const double spread = KILN_REAL_GET(p, spread);
    for (size_t r = first; r < first + count; r++) {
        const real *x = (const real *)m->at[0] + start_of(p, r);
        real *dx = (real *)m->at[3] + start_of(p, r);
        double total;
        const double peak = peak_of(p, x, &total), pull = (uint32_t)target[r] < p->cols ? dy[r] : NAN;
        for (size_t c = 0; c < p->cols; c++) {
            const double wanted = (c == (size_t)target[r] ? 1 - spread : 0) + spread / p->cols;
            dx[c * p->step] = (real)((exp(x[c * p->step] - peak) / total - wanted) * pull);
        }
    }
}
