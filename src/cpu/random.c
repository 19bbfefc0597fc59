/* random.c - what dropout and draws mean, an element at a time. */
#include <math.h>

#include "base/rng.h"
#include "cpu/reference.h"
#include "random/dropout.h"
#include "random/random.h"

/* The block of random bits that has element i's word i % 4. */
static void draw_block(const uint32_t *counter, uint32_t stream, size_t i, uint32_t block[4])
{
    kiln_philox((const uint32_t[4]){(uint32_t)(i / 4), 0, counter[1], stream},
                (const uint32_t[2]){counter[0], 0}, block);
}

void KILN_REFERENCE(dropout)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    (void)constants;
    const struct kiln_params_dropout *p = block;
    const uint32_t *counter = m->at[1];
    for (size_t i = first; i < first + count; i++) {
        const size_t element = p->first + i;
        uint32_t draw[4];
        draw_block(counter, p->stream, element, draw);
        const real x = ((const real *)m->at[0])[i];
        ((real *)m->at[2])[i] = draw[element % 4] >= p->threshold ? (real)(x * KILN_REAL_GET(p, scale)) : 0;
    }
}

/* In (0, 1): w / 2^32, of whose bits the first 24 from the highest one on count. */
static double inside(uint32_t w)
{
    int low = 0; /* bits that do not count */
    while (w >> low >= 1u << 24)
        low++;
    w = w >> low << low;
    return (w ? w : 1) * 0x1p-32;
}

/* Element k of a block, of mean 0 and deviation 1. */
static double normal(const uint32_t block[4], size_t k)
{
    static const double quarter = 1.57079632679489661923;
    const uint32_t w = block[k | 1];
    const double r = sqrt(-2 * log(inside(block[k & 2]))), part = ((w << 2) >> 8) * 0x1p-24 - 0.5;
    const double t = ((double)(w >> 30) + part) * quarter;
    return k & 1 ? r * sin(t) : r * cos(t);
}

static uint32_t word_of(uint32_t code, const struct kiln_params_random *p, uint32_t w)
{
    return code == KILN_RANDOM_BITS ? w : p->low + (uint32_t)((uint64_t)w * p->count >> 32);
}

static real real_of(uint32_t code, const struct kiln_params_random *p, const uint32_t block[4], size_t k)
{
    if (code == KILN_RANDOM_GUMBEL)
        return (real)-log(-log1p(-inside(block[k])));
    const double x = code == KILN_RANDOM_NORMAL ? normal(block, k) : (block[k] >> 8) * 0x1p-24;
    const real part = (real)(KILN_REAL_GET(p, b) * x);
    return (real)(KILN_REAL_GET(p, a) + part);
}

void KILN_REFERENCE(random)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_random *p = block;
    for (size_t i = first; i < first + count; i++) {
        uint32_t drawn[4];
        draw_block(m->at[0], p->stream, p->first + i, drawn);
        if (constants[0] <= KILN_RANDOM_WHOLE)
            ((uint32_t *)m->at[1])[i] = word_of(constants[0], p, drawn[i % 4]);
        else
            ((real *)m->at[1])[i] = real_of(constants[0], p, drawn, i % 4);
    }
}
