/*
 * divide.h - indices divided by a number of the block with one multiplication (Granlund and Montgomery 1994).
 *
 *   n / d = (high half of n * multiplier + n) >> shift   for n < 2^31, where
 *   shift = ceil(log2 d), multiplier = floor(2^32 (2^shift - d) / d) + 1
 */
#ifndef KILN_DIVIDE_H
#define KILN_DIVIDE_H

/* A member of a parameter block: the number and what divides by it. */
#define KILN_DIVISOR(name) uint name, name##_multiplier, name##_shift

#ifdef KILN_GLSL

uint kiln_divide(uint n, uint multiplier, uint shift)
{
    uint high, low;
    umulExtended(n, multiplier, high, low);
    return (high + n) >> shift;
}
#define KILN_DIVIDE(n, name) kiln_divide(n, p.name##_multiplier, p.name##_shift)

#else

#include <stdint.h>

/** Of 0, by which nothing is divided, both are 0. */
static inline uint32_t kiln_divisor_shift(uint32_t d)
{
    uint32_t shift = 0;
    while ((UINT64_C(1) << shift) < d)
        shift++;
    return shift;
}

static inline uint32_t kiln_divisor_multiplier(uint32_t d)
{
    const uint64_t power = UINT64_C(1) << kiln_divisor_shift(d);
    return d ? (uint32_t)(((power - d) << 32) / d + 1) : 0;
}

#define KILN_DIVISOR_SET(block, name, value)                                                                         \
    ((block)->name = (value), (block)->name##_multiplier = kiln_divisor_multiplier((block)->name),                   \
     (block)->name##_shift = kiln_divisor_shift((block)->name))

#endif
#endif
