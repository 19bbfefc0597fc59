/* random_fast.c - dropout by blocks: Philox runs on many counters side by side, so that its rounds vectorize. */
#include "cpu/simd.h"
#include "device/variants.h"
#include "random/dropout.h"

/* COUNTERS blocks of random bits serve a unit of 4 times as many elements. */
enum { COUNTERS = 64, UNIT = 4 * COUNTERS };

/* bits[4 i + j] = word j of Philox 4x32-10 with counter {first + i, 0, step, stream} and key {seed, 0}. */
KILN_INLINE void draw_body(uint32_t first, uint32_t step, uint32_t stream, uint32_t seed, uint32_t *bits)
{
    uint32_t c0[COUNTERS], c1[COUNTERS], c2[COUNTERS], c3[COUNTERS];
    for (uint32_t i = 0; i < COUNTERS; i++) {
        c0[i] = first + i;
        c1[i] = 0;
        c2[i] = step;
        c3[i] = stream;
    }
    uint32_t k0 = seed, k1 = 0;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNTERS; i++) {
            const uint64_t left = UINT64_C(0xd2511f53) * c0[i], right = UINT64_C(0xcd9e8d57) * c2[i];
            c0[i] = (uint32_t)(right >> 32) ^ c1[i] ^ k0;
            c2[i] = (uint32_t)(left >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)right;
            c3[i] = (uint32_t)left;
        }
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
    for (int i = 0; i < COUNTERS; i++) {
        bits[4 * i] = c0[i];
        bits[4 * i + 1] = c1[i];
        bits[4 * i + 2] = c2[i];
        bits[4 * i + 3] = c3[i];
    }
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

static void draw(uint32_t first, uint32_t step, uint32_t stream, uint32_t seed, uint32_t *bits);
KILN_CLONES(draw, (uint32_t first, uint32_t step, uint32_t stream, uint32_t seed, uint32_t *bits),
            (first, step, stream, seed, bits))

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
