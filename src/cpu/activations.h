/*
 * activations.h - activations of floats, and the derivatives of those whose own take several steps, as loops can use them:
 * see functions.h. The polynomials are those of tools/fit.py. chain.h states the bounds.
 */
#ifndef KILN_CPU_ACTIVATIONS_H
#define KILN_CPU_ACTIVATIONS_H

#include "cpu/functions.h"

/* exp(-z^2 / 2) for z >= 0; z^2 in two parts, of which the first is exact. */
KILN_INLINE float bell(float z)
{
    z = z > 15 ? 15 : z; /* where it is 0 */
    const float high = from_bits(bits_of(z) & 0xfffff000), low = (z - high) * (z + high);
    const float whole = -0.5f * high * high;
    const float n = whole * 1.44269504f + ROUNDER;
    return scale_by(expm1_near(exp_rest(whole, n - ROUNDER) - 0.5f * low) + 1, n);
}

/* The share of the normal distribution above z >= 0, divided by exp(-z^2 / 2) (Mills 1926). */
KILN_INLINE float mills(float z)
{
    const float t = 1 / (1 + 0.3f * z);
    float y = -2.062346041e-02f;
    y = y * t + 1.124355718e-01f;
    y = y * t - 2.282135040e-01f;
    y = y * t + 1.917843968e-01f;
    y = y * t - 7.942338288e-02f;
    y = y * t + 9.615677595e-02f;
    y = y * t + 7.838966697e-02f;
    y = y * t + 1.102354228e-01f;
    y = y * t + 1.195718125e-01f;
    y = y * t + 1.196866930e-01f;
    return y * t;
}

KILN_INLINE float fast_erf(float x)
{
    const float a = fabsf(x), z = x * x, far = 1 - 2 * bell(a * 1.41421356f) * mills(a * 1.41421356f);
    float y = 7.853861462e-05f;
    y = y * z - 8.010193706e-04f;
    y = y * z + 5.188327748e-03f;
    y = y * z - 2.685381286e-02f;
    y = y * z + 1.128358543e-01f;
    y = y * z - 3.761262596e-01f;
    y = y * z + 1.283791661e-01f;
    return a >= 1 ? copysignf(far, x) : y * x + x; /* NaN by the polynomial */
}

/* 2 / sqrt(pi) exp(-x^2) */
KILN_INLINE float erf_slope(float x)
{
    return 1.12837917f * fast_exp_below(-x * x);
}

/* x times the share of the normal distribution below x. */
KILN_INLINE float fast_gelu(float x)
{
    const float z = fabsf(x), above = bell(z) * mills(z);
    return x * (x < 0 ? above : 1 - above);
}

KILN_INLINE float gelu_slope(float x)
{
    const float z = fabsf(x), height = bell(z), above = height * mills(z);
    return (x < 0 ? above : 1 - above) + x * 0.398942280f * height;
}

/* sigmoid(x) and its slope. */
KILN_INLINE float gate(float x, float *slope)
{
    const float e = fast_exp_below(-fabsf(x)), y = 1 / (1 + e);
    *slope = e * y * y;
    return x < 0 ? e * y : y;
}

/* 1/2 x (1 + tanh(u)) = x sigmoid(2 u) for u = sqrt(2 / pi) (x + 0.044715 x^3). */
KILN_INLINE float gelu_tanh(float x)
{
    return x * fast_sigmoid(x * (1.59576912f + 0.0713548163f * x * x));
}

KILN_INLINE float gelu_tanh_slope(float x)
{
    float slope;
    const float y = gate(x * (1.59576912f + 0.0713548163f * x * x), &slope);
    return y + x * slope * (1.59576912f + 0.214064449f * x * x);
}

/* x sigmoid(a x) */
KILN_INLINE float silu(float x, float a)
{
    return x * fast_sigmoid(a * x);
}

KILN_INLINE float silu_slope(float x, float a)
{
    float slope;
    const float y = gate(a * x, &slope);
    return y + a * x * slope;
}

/* x tanh(log(1 + exp(x))): with e = exp(-|x|), the tanh is a fraction of polynomials in e. */
KILN_INLINE float mish(float x)
{
    const float e = fast_exp_below(-fabsf(x)), n = 2 * e + (x < 0 ? e * e : 1);
    return x * (n / (n + 2 * (x < 0 ? 1 : e * e)));
}

KILN_INLINE float mish_slope(float x)
{
    const float e = fast_exp_below(-fabsf(x)), n = 2 * e + (x < 0 ? e * e : 1);
    const float d = n + 2 * (x < 0 ? 1 : e * e), up = 4 * e * (x < 0 ? 1 : e) * (1 + e);
    return n / d + x * (up / (d * d));
}

/* x above zero, else b (exp(c x) - 1). */
KILN_INLINE float elu(float x, float b, float c)
{
    const float below = b * fast_expm1(c * x);
    return x > 0 ? x : below;
}

/* x towards zero by c, but 0 within b of it. */
KILN_INLINE float shrink(float x, float b, float c)
{
    const float y = x > b ? x - c : x + c;
    return fabsf(x) <= b ? 0 : y;
}

KILN_INLINE float hard_sigmoid(float x, float b, float c)
{
    return clamp(x * b + c, 0, 1);
}

KILN_INLINE float hard_swish_slope(float x)
{
    return x <= -3 ? 0 : x >= 3 ? 1 : x * 0.333333333f + 0.5f;
}

/* (1 - |y|)^2 for y = x / (1 + |x|). */
KILN_INLINE float softsign_slope(float y)
{
    return (1 - fabsf(y)) * (1 - fabsf(y));
}

#endif
