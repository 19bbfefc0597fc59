/*
 * activations.glsl - what activations are made of beyond math.glsl, and the derivatives of those whose own take several steps.
 *
 * Bounds as in math.glsl, in ulp, or absolute where that is more: a result next to 0 is a difference.
 *
 *   erf 4, mish 6, gelu 10 ulp, or 2^-60; silu 12 ulp while |a x| < 10; gelu_tanh 12 ulp, or 2^-28; slopes 2^-20 absolute
 *
 * The polynomials are those of tools/fit.py.
 */

/* exp(high + low) for high in -104 .. 0 and a low that is small beside it. */
float kiln_exp_sum(float high, float low)
{
    const float n = floor(high * 1.44269504 + 0.5);
    precise const float r = kiln_exp_rest(high, n) + low;
    const float y = r * r * kiln_exp_tail(r) + r + 1.0;
    const int half_of_n = int(n) >> 1;
    return y * kiln_power_of_two(half_of_n) * kiln_power_of_two(int(n) - half_of_n);
}

/* exp(-z^2 / 2) for z >= 0; z^2 in two parts, of which the first is exact. */
float kiln_bell(float z)
{
    if (z > 14.4)
        return 0.0;
    precise const float high = uintBitsToFloat(kiln_bits(z) & 0xfffff000u);
    precise const float low = (z - high) * (z + high);
    return kiln_exp_sum(-0.5 * high * high, -0.5 * low);
}

float kiln_erf(float x)
{
    const float a = abs(x);
    if (kiln_is_nan(x) || a < 1.0) {
        const float z = x * x;
        float y = 7.853861462e-05;
        y = y * z - 8.010193706e-04;
        y = y * z + 5.188327748e-03;
        y = y * z - 2.685381286e-02;
        y = y * z + 1.128358543e-01;
        y = y * z - 3.761262596e-01;
        y = y * z + 1.283791661e-01;
        return y * x + x;
    }
    const float z = a * 1.41421356;
    const float y = a > 4.0 ? 1.0 : 1.0 - 2.0 * kiln_bell(z) * kiln_mills(z);
    return kiln_is_negative(x) ? -y : y;
}

/* 2 / sqrt(pi) exp(-x^2) */
float kiln_erf_slope(float x) { return 1.12837917 * kiln_exp(-x * x); }

/* x times the share of the normal distribution below x. */
float kiln_gelu(float x)
{
    if (kiln_is_nan(x))
        return x;
    const float z = abs(x), above = kiln_bell(z) * kiln_mills(z);
    return x * (kiln_is_negative(x) ? above : 1.0 - above);
}

float kiln_gelu_slope(float x)
{
    if (kiln_is_nan(x))
        return x;
    const float z = abs(x), bell = kiln_bell(z), above = bell * kiln_mills(z);
    return (kiln_is_negative(x) ? above : 1.0 - above) + x * 0.398942280 * bell;
}

/* sigmoid(x) and its slope. */
float kiln_gate(float x, out float slope)
{
    const float e = kiln_exp(-abs(x));
    const float y = 1.0 / (1.0 + e);
    slope = e * y * y;
    return kiln_is_negative(x) ? e * y : y;
}

/* 1/2 x (1 + tanh(u)) = x sigmoid(2 u) for u = sqrt(2 / pi) (x + 0.044715 x^3). */
float kiln_gelu_tanh(float x) { return x * kiln_sigmoid(x * (1.59576912 + 0.0713548163 * x * x)); }

float kiln_gelu_tanh_slope(float x)
{
    float slope;
    const float y = kiln_gate(x * (1.59576912 + 0.0713548163 * x * x), slope);
    return y + x * slope * (1.59576912 + 0.214064449 * x * x);
}

/* x sigmoid(a x) */
float kiln_silu(float x, float a) { return x * kiln_sigmoid(a * x); }

float kiln_silu_slope(float x, float a)
{
    float slope;
    const float y = kiln_gate(a * x, slope);
    return y + a * x * slope;
}

/* x tanh(log(1 + exp(x))): with e = exp(-|x|), the tanh is a fraction of polynomials in e. */
float kiln_mish(float x)
{
    if (kiln_is_nan(x))
        return x;
    const float e = kiln_exp(-abs(x));
    const bool below = kiln_is_negative(x);
    const float n = below ? e * e + 2.0 * e : 1.0 + 2.0 * e;
    return x * (n / (n + (below ? 2.0 : 2.0 * e * e)));
}

float kiln_mish_slope(float x)
{
    if (kiln_is_nan(x))
        return x;
    const float e = kiln_exp(-abs(x));
    const bool below = kiln_is_negative(x);
    const float n = below ? e * e + 2.0 * e : 1.0 + 2.0 * e, d = n + (below ? 2.0 : 2.0 * e * e);
    return n / d + x * (4.0 * e * (below ? 1.0 : e) * (1.0 + e) / (d * d));
}

/* x above zero, else b (exp(c x) - 1). */
float kiln_elu(float x, float b, float c) { return x > 0.0 ? x : b * kiln_expm1(c * x); }

/* x towards zero by c, but 0 within b of it. */
float kiln_shrink(float x, float b, float c)
{
    if (kiln_is_nan(x))
        return x;
    return x > b ? x - c : x < -b ? x + c : 0.0;
}

float kiln_hard_sigmoid(float x, float b, float c) { return kiln_min(kiln_max(x * b + c, 0.0), 1.0); }

float kiln_hard_swish_slope(float x) { return x <= -3.0 ? 0.0 : x >= 3.0 ? 1.0 : x * 0.333333333 + 0.5; }

/* (1 - |y|)^2 for y = x / (1 + |x|). */
float kiln_softsign_slope(float y) { return (1.0 - abs(y)) * (1.0 - abs(y)); }
