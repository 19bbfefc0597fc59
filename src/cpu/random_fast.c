/* random_fast.c - dropout and draws by blocks. */
#include <math.h>
#include <string.h>

#include "cpu/functions.h"
#include "cpu/philox.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "random/dropout.h"
#include "random/random.h"

/* A call of Philox serves a unit of 4 times as many elements. */
enum { UNIT = 4 * KILN_PHILOX };

/* bits[4 i + j] = word j of Philox 4x32-10 with counter {first + i, 0, step, stream} and key {seed, 0}. */
static void draw(uint32_t first, uint32_t step, uint32_t stream, uint32_t seed, uint32_t *bits)
{
    static const uint32_t row[KILN_PHILOX];
    uint32_t four[KILN_PHILOX];
    for (uint32_t i = 0; i < KILN_PHILOX; i++)
        four[i] = first + i;
    kiln_cpu_philox(four, row, step, stream, seed, bits);
}

KILN_INLINE void drop_body(const float *x, const uint32_t *bits, uint32_t threshold, float scale,
                           float *restrict y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float kept = x[i] * scale;
        y[i] = bits[i] >= threshold ? kept : 0;
    }
}

static void drop(const float *x, const uint32_t *bits, uint32_t threshold, float scale, float *y,
                 size_t count);
KILN_CLONES(drop,
            (const float *x, const uint32_t *bits, uint32_t threshold, float scale, float *y, size_t count),
            (x, bits, threshold, scale, y, count))

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_dropout *p = (const void *)d->block.words;
    const uint32_t *counter = m->at[1];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t at = unit * UNIT, left = p->elements - at, width = left < UNIT ? left : UNIT;
        const float *x = (const float *)m->at[0] + at;
        float *y = (float *)m->at[2] + at;
        uint32_t bits[UNIT];
        draw((uint32_t)((p->first + at) / 4), counter[1], p->stream, counter[0], bits);
        drop(x, bits, p->threshold, p->scale, y, width);
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + UNIT - 1) / UNIT;
}

const kiln_variant kiln_cpu_dropout_blocks = {.name = "blocks", .groups = groups, .run = run, .grain = 8};

/* Draws -------------------------------------------------------------------------------------------------- */

/* w / 2^32, of whose bits the first 24 from the highest one on count: a float's own precision, rounded down. */
KILN_INLINE float inside(uint32_t w)
{
    uint32_t low = 0;
    for (uint32_t bit = 24; bit < 32; bit++)
        low += w >> bit ? 1u : 0u;
    const uint32_t kept = w >> low << low;
    return (float)(kept > 1 ? kept : 1) * 2.3283064365386963e-10f;
}

KILN_INLINE void uniform_body(const uint32_t *bits, float b, float *part)
{
    for (int i = 0; i < UNIT; i++)
        part[i] = (float)(int32_t)(bits[i] >> 8) * 5.9604644775390625e-8f * b;
}

/* Pairs: r cos(t) and r sin(t). */
KILN_INLINE void normal_body(const uint32_t *bits, float b, float *part)
{
    float c[UNIT / 2], s[UNIT / 2];
    for (int i = 0; i < UNIT / 2; i++) {
        const float t =
            ((float)(int32_t)((bits[2 * i + 1] << 2) >> 8) * 5.9604644775390625e-8f - 0.5f) * 1.57079637f;
        const float r = sqrtf(-2 * fast_log(inside(bits[2 * i])));
        const uint32_t q = bits[2 * i + 1] >> 30;
        c[i] = r * sin_near(t, (int32_t)q + 1);
        s[i] = r * sin_near(t, (int32_t)q);
    }
    for (int i = 0; i < UNIT / 2; i++) {
        part[2 * i] = c[i] * b;
        part[2 * i + 1] = s[i] * b;
    }
}

KILN_INLINE void gumbel_body(const uint32_t *bits, float b, float *part)
{
    (void)b;
    for (int i = 0; i < UNIT; i++)
        part[i] = -fast_log(-fast_log1p(-inside(bits[i])));
}

#define MAKES(name)                                               \
    static void name(const uint32_t *bits, float b, float *part); \
    KILN_CLONES(name, (const uint32_t *bits, float b, float *part), (bits, b, part))

MAKES(uniform)
MAKES(normal)
MAKES(gumbel)
#undef MAKES

/* What a unit's words become; a product is in memory, rounded, before anything is added to it. */
static void make_reals(uint32_t code, const struct kiln_params_random *p, const uint32_t *bits, float *y,
                       size_t width)
{
    float part[UNIT];
    const float shift = code == KILN_RANDOM_GUMBEL ? 0 : p->a;
    (code == KILN_RANDOM_UNIFORM ? uniform : code == KILN_RANDOM_NORMAL ? normal : gumbel)(bits, p->b, part);
    for (size_t i = 0; i < width; i++)
        y[i] = shift + part[i];
}

static void make_words(uint32_t code, const struct kiln_params_random *p, const uint32_t *bits, uint32_t *y,
                       size_t width)
{
    for (size_t i = 0; i < width; i++)
        y[i] = code == KILN_RANDOM_BITS ? bits[i] : p->low + (uint32_t)((uint64_t)bits[i] * p->count >> 32);
}

static void run_random(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_random *p = (const void *)d->block.words;
    const uint32_t *counter = m->at[0], code = d->constants[0];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t at = unit * UNIT, left = p->elements - at, width = left < UNIT ? left : UNIT;
        uint32_t bits[UNIT];
        draw((uint32_t)((p->first + at) / 4), counter[1], p->stream, counter[0], bits);
        if (code <= KILN_RANDOM_WHOLE)
            make_words(code, p, bits, (uint32_t *)m->at[1] + at, width);
        else
            make_reals(code, p, bits, (float *)m->at[1] + at, width);
    }
}

const kiln_variant kiln_cpu_random_blocks = {
    .name = "blocks", .groups = groups, .run = run_random, .grain = 8};
