/*
 * trigonometry.h - trigonometric and hyperbolic functions of floats as loops can use them: see functions.h. The polynomials are
 * those of tools/fit.py. chain.h states the bounds.
 */
#ifndef KILN_CPU_TRIGONOMETRY_H
#define KILN_CPU_TRIGONOMETRY_H

#include "cpu/functions.h"

#define HALF_PI      1.57079637f
#define HALF_PI_REST -4.37113883e-8f

/* For |x| < NEAR. */
KILN_INLINE float tan_near(float x)
{
    int32_t n;
    const float r = quadrant(x, &n), z = r * r;
    float y = 9.385642596e-03f;
    y = y * z + 3.119510598e-03f;
    y = y * z + 2.443039417e-02f;
    y = y * z + 5.341120809e-02f;
    y = y * z + 1.333879977e-01f;
    y = y * z + 3.333315551e-01f;
    y = y * z * r + r;
    return n & 1 ? -1 / y : y;
}

/* For |x| <= 1/2. */
KILN_INLINE float asin_near(float x)
{
    const float z = x * x;
    float y = 4.216630757e-02f;
    y = y * z + 2.417951450e-02f;
    y = y * z + 4.547037557e-02f;
    y = y * z + 7.495297492e-02f;
    y = y * z + 1.666675210e-01f;
    return y * z * x + x;
}

/* Far from 0, asin(a) = pi / 2 - 2 asin(sqrt((1 - a) / 2)); beyond 1 the root is NaN. */
KILN_INLINE float fast_asin(float x)
{
    const float a = fabsf(x), turned = 2 * asin_near(sqrtf(0.5f * (1 - a)));
    return a <= 0.5f ? asin_near(x) : copysignf((HALF_PI - turned) + HALF_PI_REST, x);
}

KILN_INLINE float fast_acos(float x)
{
    const float a = fabsf(x), turned = 2 * asin_near(sqrtf(0.5f * (1 - a)));
    const float far = x > 0 ? turned : (2 * HALF_PI - turned) + 2 * HALF_PI_REST;
    return a <= 0.5f ? (HALF_PI - asin_near(x)) + HALF_PI_REST : far;
}

/* The angle of (x, y), -pi to pi, with the sign of y. */
KILN_INLINE float fast_atan2(float y, float x)
{
    const float a = fabsf(x), b = fabsf(y), low = a < b ? a : b, high = a < b ? b : a;
    const float scale = high > 1e30f    ? 0x1p-63f
                        : 1e-20f > high ? 0x1p64f
                                        : 1; /* away from what is denormal */
    const float quotient = low * scale / (high * scale);
    const float t = a == b ? (a == 0 ? 0.0f : 1.0f) : quotient, z = t * t;
    float p = 2.920693019e-03f;
    p = p * z - 1.636793092e-02f;
    p = p * z + 4.321186617e-02f;
    p = p * z - 7.552214712e-02f;
    p = p * z + 1.066600457e-01f;
    p = p * z - 1.421105564e-01f;
    p = p * z + 1.999377310e-01f;
    p = p * z - 3.333315253e-01f;
    float angle = p * z * t + t;
    angle = b > a ? (HALF_PI - angle) + HALF_PI_REST : angle;
    angle = bits_of(x) >> 31 ? (2 * HALF_PI - angle) + 2 * HALF_PI_REST : angle;
    return x == x && y == y ? copysignf(angle, y) : NAN;
}

/* exp(a) / 2 without overflow before the result's own. */
KILN_INLINE float half_exp(float a)
{
    const float root = fast_exp(0.5f * a);
    return 0.5f * root * root;
}

KILN_INLINE float fast_sinh(float x)
{
    const float a = fabsf(x), z = x * x, e = fast_exp(a > 88 ? 88 : a);
    float y = 2.816951110e-06f;
    y = y * z + 1.983615948e-04f;
    y = y * z + 8.333349600e-03f;
    y = y * z + 1.666666716e-01f;
    y = y * z * x + x;
    const float far = a > 88 ? half_exp(a) : 0.5f * e - 0.5f / e;
    return a >= 1 ? copysignf(far, x) : y;
}

KILN_INLINE float fast_cosh(float x)
{
    const float a = fabsf(x), e = fast_exp(a > 88 ? 88 : a);
    return a > 88 ? half_exp(a) : 0.5f * e + 0.5f / e;
}

/* log(a + sqrt(a^2 + 1)) */
KILN_INLINE float fast_asinh(float x)
{
    const float a = fabsf(x), b = a > 4096 ? 1 : a, z = b * b;
    const float near = fast_log1p(b + z / (1 + sqrtf(1 + z))), far = fast_log(a) + 0.693147181f;
    return copysignf(a > 4096 ? far : near, x);
}

/* log(x + sqrt(x^2 - 1)), for x >= 1 */
KILN_INLINE float fast_acosh(float x)
{
    const float u = (x > 4096 ? 1 : x) - 1;
    const float near = fast_log1p(u + sqrtf(u * (u + 2))), far = fast_log(x) + 0.693147181f;
    return x > 4096 ? far : x >= 1 ? near : NAN;
}

/* log((1 + x) / (1 - x)) / 2 */
KILN_INLINE float fast_atanh(float x)
{
    const float a = fabsf(x), y = 0.5f * fast_log1p(2 * a / (1 - a));
    return a <= 1 ? copysignf(y, x) : NAN;
}

#endif
