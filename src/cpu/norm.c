/* norm.c - what moments and the merging of their parts mean, a result at a time. */
#include "cpu/reference.h"
#include "norm/merge.h"
#include "norm/moments.h"

/* Value t of the result that begins at x. */
static double value_at(const struct kiln_params_moments *p, const real *x, size_t t)
{
    return x[(t / p->second * p->kept * p->second + t % p->second) * p->inner];
}

void KILN_REFERENCE(moments)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    (void)constants;
    const struct kiln_params_moments *p = block;
    const size_t length = (size_t)p->first * p->second;
    for (size_t r = first; r < first + count; r++) {
        const size_t i = r % p->inner, k = r / p->inner % p->kept;
        const size_t o = r / p->inner / p->kept % p->outer, s = r / p->inner / p->kept / p->outer;
        const size_t from = s * p->part_length, end = from + p->part_length, to = end < length ? end : length;
        const real *x = (const real *)m->at[0] + (o * p->first * p->kept + k) * p->second * p->inner + i;

        double sum = 0, squares = 0;
        for (size_t t = from; t < to; t++)
            sum += value_at(p, x, t);
        const double mean = sum / (double)(to - from);
        for (size_t t = from; t < to; t++)
            squares += (value_at(p, x, t) - mean) * (value_at(p, x, t) - mean);
        ((real *)m->at[1])[r] = (real)mean;
        ((real *)m->at[2])[r] = (real)(squares * KILN_REAL_GET(p, scale));
    }
}

void KILN_REFERENCE(moments_merge)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_moments_merge *p = block;
    const real *mean = m->at[0], *m2 = m->at[1];
    for (size_t r = first; r < first + count; r++) {
        double sum = 0, squares = 0;
        for (size_t s = 0; s < p->parts; s++) {
            const size_t left = p->count - s * p->part_length;
            sum += (double)(left < p->part_length ? left : p->part_length) * mean[s * p->results + r];
        }
        const double whole = sum / p->count;
        for (size_t s = 0; s < p->parts; s++) {
            const size_t left = p->count - s * p->part_length;
            const double n = (double)(left < p->part_length ? left : p->part_length);
            const double d = mean[s * p->results + r] - whole;
            squares += m2[s * p->results + r] + n * d * d;
        }
        ((real *)m->at[2])[r] = (real)whole;
        ((real *)m->at[3])[r] = (real)(squares / p->count);
    }
}
