/*
 * rng.c - Philox 4x32-10 and the draws from it.
 *
 *   normal    Box-Muller: sqrt(-2 ln u) cos(2 pi v) and the same with sin, u in (0, 1], v in [0, 1)
 *   below     Lemire's product: the upper half of 32 random bits times n, redrawn in the rare biased case
 *   shuffle   Fisher-Yates, from the end
 */
#include "base/rng.h"

#include <math.h>

#include "base/hash.h"

#define TAU 6.283185307179586476925286766559

void kiln_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        const uint64_t left = (uint64_t)0xd2511f53 * c0, right = (uint64_t)0xcd9e8d57 * c2;
        c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)right;
        c3 = (uint32_t)left;
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void kiln_rng_init(struct kiln_rng *r, uint64_t seed, uint64_t stream)
{
    *r = (struct kiln_rng){.seed = seed, .stream = stream, .used = 4};
}

uint32_t kiln_rng_next(struct kiln_rng *r)
{
    if (r->used == 4) {
        const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
        const uint32_t counter[4] = {
            (uint32_t)r->position,
            (uint32_t)(r->position >> 32),
            (uint32_t)r->stream,
            (uint32_t)(r->stream >> 32),
        };
        kiln_philox(counter, key, r->block);
        r->position++;
        r->used = 0;
    }
    return r->block[r->used++];
}

double kiln_rng_uniform(struct kiln_rng *r)
{
    const uint64_t high = kiln_rng_next(r) >> 5, low = kiln_rng_next(r) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double kiln_rng_normal(struct kiln_rng *r)
{
    double radius, angle;

    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    radius = sqrt(-2 * log(1 - kiln_rng_uniform(r)));
    angle = TAU * kiln_rng_uniform(r);
    r->spare = radius * sin(angle);
    r->has_spare = true;
    return radius * cos(angle);
}

uint32_t kiln_rng_below(struct kiln_rng *r, uint32_t n)
{
    uint64_t product = (uint64_t)kiln_rng_next(r) * n;

    if ((uint32_t)product < n) {
        const uint32_t biased = (0 - n) % n;
        while ((uint32_t)product < biased)
            product = (uint64_t)kiln_rng_next(r) * n;
    }
    return (uint32_t)(product >> 32);
}

void kiln_rng_shuffle(struct kiln_rng *r, uint32_t *items, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        const size_t pick = kiln_rng_below(r, (uint32_t)left);
        const uint32_t item = items[pick];
        items[pick] = items[left - 1];
        items[left - 1] = item;
    }
}

uint64_t kiln_rng_stream(const char *name)
{
    return kiln_hash_text(name);
}
