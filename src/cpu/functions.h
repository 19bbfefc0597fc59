/*
 * functions.h - mathematical functions of floats as loops can use them: free of calls, branches and tables, so that compilers
 * vectorize what calls them.
 *
 * exp and log are the polynomials of Cephes (Moshier), the others are built on them. chain.h states the bounds.
 */
#ifndef KILN_CPU_FUNCTIONS_H
#define KILN_CPU_FUNCTIONS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/simd.h"

union word {
    float f;
    int32_t i;
    uint32_t u;
};

KILN_INLINE float from_bits(uint32_t bits)
{
    return ((union word){.u = bits}).f;
}

KILN_INLINE uint32_t bits_of(float x)
{
    return ((union word){.f = x}).u;
}

/* 2^n for n in -126 .. 128 (128 gives infinity). */
KILN_INLINE float power_of_two(int32_t n)
{
    return from_bits((uint32_t)(n + 127) << 23);
}

/* Both comparisons are false for NaN, which passes. */
KILN_INLINE float clamp(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* x rounded to an integer, for |x| < 2^22; any integer for NaN. */
KILN_INLINE int32_t nearest(float x)
{
    return (int32_t)(bits_of(x + 12582912.0f) & 0x7fffff) - 0x400000;
}

/* x - n ln(2), the first product exact. */
KILN_INLINE float exp_rest(float x, float n)
{
    return x - n * 0.693359375f + n * 2.12194440e-4f;
}

/* exp(r) - 1 for |r| <= ln(2) / 2. */
KILN_INLINE float expm1_near(float r)
{
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    return y * r * r + r;
}

KILN_INLINE float fast_exp(float x)
{
    x = clamp(x, -104, 89);
    const int32_t n = nearest(x * 1.44269504f);
    const float y = expm1_near(exp_rest(x, (float)n)) + 1;
    const int32_t half = n >> 1; /* in two steps: 2^n itself may be out of range */
    return y * power_of_two(half) * power_of_two(n - half);
}

/* Added to |x| < 2^22 it leaves the nearest integer in the low bits, and taken away again that integer. */
#define ROUNDER 12582912.0f

/* y * 2^n for ROUNDER + n and n in -190 .. 63: 2^(n + 64) is in range, where 2^n is not. */
KILN_INLINE float scale_by(float y, float rounded)
{
    return y * from_bits((bits_of(rounded) << 23) + ((uint32_t)(127 + 64) << 23)) * 0x1p-64f;
}

/* fast_exp for x < 40, half as long: for what is at most 0 but for rounding. The end is chosen last. */
KILN_INLINE float fast_exp_below(float x)
{
    const float n = x * 1.44269504f + ROUNDER;
    const float y = scale_by(expm1_near(exp_rest(x, n - ROUNDER)) + 1, n);
    return x < -104 ? 0 : y;
}

KILN_INLINE float fast_expm1(float x)
{
    x = clamp(x, -28, 89);
    const int32_t n = nearest(x * 1.44269504f);
    const float t = power_of_two(n - 1);
    return 2 * (t * expm1_near(exp_rest(x, (float)n)) + (t - 0.5f));
}

/* Of 1 + f in [sqrt(1/2), sqrt(2)), times 2^e. */
KILN_INLINE float log_near(float f, float e)
{
    float y = 7.0376836292e-2f;
    y = y * f - 1.1514610310e-1f;
    y = y * f + 1.1676998740e-1f;
    y = y * f - 1.2420140846e-1f;
    y = y * f + 1.4249322787e-1f;
    y = y * f - 1.6668057665e-1f;
    y = y * f + 2.0000714765e-1f;
    y = y * f - 2.4999993993e-1f;
    y = y * f + 3.3333331174e-1f;
    y = y * f * f * f - e * 2.12194440e-4f;
    y -= 0.5f * f * f;
    return y + f + e * 0.693359375f;
}

KILN_INLINE float fast_log(float x)
{
    const bool tiny = x < 1.17549435e-38f;
    const uint32_t bits = bits_of(tiny ? x * 8388608 : x) - 0x3f3504f3; /* sqrt(1/2) */
    const float e = (float)((int32_t)bits >> 23) - (tiny ? 23.0f : 0.0f);
    const float y = log_near(from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1, e);
    const float odd = x == 0 ? -INFINITY : x < 0 ? NAN : x; /* 0, negative, infinite, NaN */
    return x > 0 && x < INFINITY ? y : odd;
}

/* log(1 + x) is log(u) + (x - (u - 1)) / u for u the rounded 1 + x. */
KILN_INLINE float fast_log1p(float x)
{
    const float u = 1 + x;
    const float lost = (x - (u - 1)) / u;
    return fast_log(u) + (u > 0 && u < INFINITY ? lost : 0);
}

KILN_INLINE float fast_tanh(float x)
{
    const float z = x * x;
    float y = -5.70498872745e-3f;
    y = y * z + 2.06390887954e-2f;
    y = y * z - 5.37397155531e-2f;
    y = y * z + 1.33314422036e-1f;
    y = y * z - 3.33332819422e-1f;
    y = y * z * x + x;
    const float a = fabsf(x);
    const float far = 1 - 2 / (fast_exp_below(2 * (a > 10 ? 10 : a)) + 1);
    return a < 0.625f ? y : copysignf(far, x);
}

KILN_INLINE float fast_sigmoid(float x)
{
    const float e = fast_exp_below(-fabsf(x));
    const float y = 1 / (1 + e);
    return x < 0 ? e * y : y;
}

KILN_INLINE float fast_softplus(float x)
{
    return (x < 0 ? 0 : x) + fast_log1p(fast_exp_below(-fabsf(x)));
}

/* x - n pi / 2 for |x| < NEAR, in double with pi / 2 in two parts. */
#define NEAR 1e8f
KILN_INLINE float quadrant(float x, int32_t *n)
{
    *n = (int32_t)((double)x * 0.63661977236758134308 + (x < 0 ? -0.5 : 0.5));
    return (float)(x - *n * 1.57079631090164184570 - *n * 1.58932547735281966916e-8);
}

/* sin(x + q pi / 2) for |x| < NEAR. */
KILN_INLINE float sin_near(float x, int32_t q)
{
    int32_t n;
    const float r = quadrant(x, &n), z = r * r;
    const float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    const float cosine =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z +
        1;
    const float y = (n + q) & 1 ? cosine : sine;
    return (n + q) & 2 ? -y : y;
}

KILN_INLINE bool is_near(float x)
{
    return fabsf(x) < NEAR;
}

KILN_INLINE float larger(float a, float b)
{
    return a >= b || a != a ? a : b;
}

KILN_INLINE float smaller(float a, float b)
{
    return a <= b || a != a ? a : b;
}

#endif
