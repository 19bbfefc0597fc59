/*
 * half.h - float to 16 bits and back: IEEE half (1 sign, 5 exponent, 10 fraction) and bfloat16 (1, 8, 7).
 *
 * Rounds to nearest, ties to even, as GPUs and F16C do. Subnormals are kept, what is too large becomes
 * infinite, a NaN stays one (quiet, with its sign and what fits of its payload). Widening is exact.
 */
#ifndef KILN_BASE_HALF_H
#define KILN_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t kiln_float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float kiln_float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t kiln_half_from(float x)
{
    const uint32_t bits = kiln_float_bits(x), size = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
    uint32_t half;

    if (size > 0x7f800000) { /* NaN */
        half = 0x7e00 | (size >> 13 & 0x1ff);
    } else if (size >= 0x477ff000) { /* from 65520 on, halfway past the largest */
        half = 0x7c00;
    } else if (size >= 0x38800000) {                 /* from 2^-14 on: normal */
        const uint32_t biased = size - (112u << 23); /* exponent bias 127 -> 15 */
        half = (biased + 0xfff + (biased >> 13 & 1)) >> 13;
    } else { /* the last bit of 0.5f is worth as much as a subnormal's */
        half = kiln_float_bits(kiln_float_of(size) + 0.5f) - kiln_float_bits(0.5f);
    }
    return (uint16_t)(sign | half);
}

static inline float kiln_half_to(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;

    if (exponent == 0) /* zero or subnormal */
        return kiln_float_of(sign | kiln_float_bits((float)fraction * 0x1p-24f));
    if (exponent == 31) /* infinity or NaN */
        return kiln_float_of(sign | 0x7f800000 | fraction << 13);
    return kiln_float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t kiln_bf16_from(float x)
{
    const uint32_t bits = kiln_float_bits(x);
    if ((bits & 0x7fffffff) > 0x7f800000) /* NaN: rounding up could carry into the sign */
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float kiln_bf16_to(uint16_t x)
{
    return kiln_float_of((uint32_t)x << 16);
}

#endif
