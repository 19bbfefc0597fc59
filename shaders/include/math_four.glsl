/*
 * math_four.glsl - what math.glsl and activations.glsl have for one value, for four at once and without a branch, to the same bounds.
 * Include it behind math.glsl and four.glsl.
 */
#define NUMBER vec4
#include "series.glsl"
#undef NUMBER

/* exp(high + low) for high in -87 .. 0 and a low that is small beside it. */
vec4 kiln_exp_sum_four(vec4 high, vec4 low)
{
    const vec4 n = floor(high * 1.44269504 + 0.5);
    precise const vec4 r = kiln_exp_rest(high, n) + low;
    return (r * r * kiln_exp_tail(r) + r + 1.0) * intBitsToFloat((ivec4(n) + 127) << 23);
}

/* exp(x) for x at most 0, or NaN; 0 where it is not normal. */
vec4 kiln_exp_below_four(vec4 x)
{
    const vec4 y = kiln_exp_sum_four(max(x, vec4(-87.0)), vec4(0));
    return mix(mix(y, vec4(0), lessThan(x, vec4(-87.0))), x, kiln_is_nan_four(x));
}

vec4 kiln_tanh_four(vec4 x)
{
    const vec4 e = kiln_exp_below_four(-2.0 * abs(x)), far = 1.0 - 2.0 * e / (1.0 + e);
    const vec4 y = mix(far, -far, lessThan(x, vec4(0)));
    return mix(mix(y, kiln_tanh_near(x), lessThan(abs(x), vec4(0.625))), x, kiln_is_nan_four(x));
}

vec4 kiln_sigmoid_four(vec4 x)
{
    const vec4 e = kiln_exp_below_four(-abs(x)), y = 1.0 / (1.0 + e);
    return mix(y, e * y, lessThan(x, vec4(0)));
}

vec4 kiln_silu_four(vec4 x, vec4 a) { return x * kiln_sigmoid_four(a * x); }

/* z^2 in two parts, of which the first is exact; beyond 13 nothing is left. */
vec4 kiln_gelu_four(vec4 x)
{
    const vec4 z = min(abs(x), vec4(13.0)), head = uintBitsToFloat(floatBitsToUint(z) & 0xfffff000u);
    precise const vec4 rest = (z - head) * (z + head);
    const vec4 share = kiln_exp_sum_four(-0.5 * head * head, -0.5 * rest) * kiln_mills(z);
    const vec4 above = mix(share, vec4(0), greaterThan(abs(x), vec4(13.0)));
    return mix(x * mix(1.0 - above, above, lessThan(x, vec4(0))), x, kiln_is_nan_four(x));
}

vec4 kiln_gelu_tanh_four(vec4 x) { return x * kiln_sigmoid_four(x * (1.59576912 + 0.0713548163 * x * x)); }
