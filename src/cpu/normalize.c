/* normalize.c - what normalization and its gradients mean, a row or a channel at a time. */
#include "normalize/normalize.h"

#include <math.h>

#include "cpu/reference.h"
#include "normalize/sums.h"

/* Where row r begins. */
static size_t start_of(const struct kiln_params_normalize *p, size_t r)
{
    return r / p->step * p->cols * p->step + r % p->step;
}

static size_t channel_of(const struct kiln_params_normalize *p, size_t r, size_t t)
{
    return r % p->groups * p->channels + t / p->inner;
}

void KILN_REFERENCE(normalize)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct kiln_params_normalize *p = block;
    const uint32_t flags = constants[0];
    const real *scale = m->at[1], *shift = m->at[2];
    for (size_t r = first; r < first + count; r++) {
        const real *x = (const real *)m->at[0] + start_of(p, r);
        real *y = (real *)m->at[3] + start_of(p, r);

        double mean = 0, squares = 0;
        for (size_t t = 0; t < p->cols && flags & KILN_NORMALIZE_CENTER; t++)
            mean += x[t * p->step] / (double)p->cols;
        for (size_t t = 0; t < p->cols; t++)
            squares += (x[t * p->step] - mean) * (x[t * p->step] - mean);
        squares *= KILN_REAL_GET(p, share);
        const double epsilon = KILN_REAL_GET(p, epsilon), length = sqrt(squares);
        const double inverse = flags & KILN_NORMALIZE_LENGTH ? 1 / (length <= epsilon ? epsilon : length)
                                                             : 1 / sqrt(squares + epsilon);
        for (size_t t = 0; t < p->cols; t++) {
            const size_t k = channel_of(p, r, t);
            y[t * p->step] =
                (real)((x[t * p->step] - mean) * inverse * (flags & KILN_NORMALIZE_SCALED ? scale[k] : 1) +
                       (flags & KILN_NORMALIZE_SHIFTED ? shift[k] : 0));
        }
        if (flags & KILN_NORMALIZE_CENTER)
            ((real *)m->at[4])[p->first + r] = (real)mean;
        ((real *)m->at[5])[p->first + r] = (real)inverse;
    }
}

void KILN_REFERENCE(normalize_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                    size_t first, size_t count)
{
    const struct kiln_params_normalize *p = block;
    const uint32_t flags = constants[0];
    const real *scale = m->at[2];
    for (size_t r = first; r < first + count; r++) {
        const real *x = (const real *)m->at[0] + start_of(p, r);
        const real *dy = (const real *)m->at[1] + start_of(p, r);
        real *dx = (real *)m->at[5] + start_of(p, r);
        const double mean = flags & KILN_NORMALIZE_CENTER ? ((const real *)m->at[3])[p->first + r] : 0;
        const double inverse = ((const real *)m->at[4])[p->first + r];

        double sum = 0, product = 0;
        for (size_t t = 0; t < p->cols; t++) {
            const double g =
                dy[t * p->step] * (flags & KILN_NORMALIZE_SCALED ? scale[channel_of(p, r, t)] : 1);
            sum += g;
            product += g * (x[t * p->step] - mean) * inverse;
        }
        const double center = flags & KILN_NORMALIZE_CENTER ? sum / (double)p->cols : 0;
        const bool constant =
            flags & KILN_NORMALIZE_LENGTH && inverse * KILN_REAL_GET(p, epsilon) >= KILN_NORMALIZE_CONSTANT;
        const double pull = constant ? 0 : product * KILN_REAL_GET(p, share);
        for (size_t t = 0; t < p->cols; t++) {
            const double g =
                dy[t * p->step] * (flags & KILN_NORMALIZE_SCALED ? scale[channel_of(p, r, t)] : 1);
            dx[t * p->step] = (real)(inverse * (g - center - (x[t * p->step] - mean) * inverse * pull));
        }
    }
}

void KILN_REFERENCE(normalize_sums)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                    size_t first, size_t count)
{
    const struct kiln_params_normalize_sums *p = block;
    const real *x = m->at[0], *dy = m->at[1], *mean = m->at[2], *inverse = m->at[3];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t k = unit % p->channels, from = unit / p->channels * p->part_length;
        const size_t end = from + p->part_length, to = end < p->count ? end : p->count;
        double product = 0, sum = 0;
        for (size_t n = from; n < to; n++) {
            const size_t r = p->first_row + n * p->groups + k / p->group,
                         start = (n * p->channels + k) * p->inner;
            for (size_t i = start; i < start + p->inner; i++) {
                product += dy[i] * (x[i] - (constants[0] ? (double)mean[r] : 0)) * inverse[r];
                sum += dy[i];
            }
        }
        ((real *)m->at[4])[p->first_part * p->channels + unit] = (real)product;
        ((real *)m->at[5])[p->first_part * p->channels + unit] = (real)sum;
    }
}
