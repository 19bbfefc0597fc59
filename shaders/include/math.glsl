/*
 * math.glsl - mathematical functions with stated bounds, where Vulkan leaves them to the driver.
 *
 * Bounds in units of the last place (ulp) against the exact result, given correctly rounded + - * and a division of at most
 * 2.5 ulp (tests/ops/elementwise.c holds them to it):
 *
 *   exp 2, log 2, expm1 3, log1p 4, tanh 4, sigmoid 5, softplus 5 ulp; pow 16 ulp; sin, cos 2^-22 absolute, any finite x
 *
 * NaN and the infinities behave as in C. Denormal results may be zero. They are told apart by their bits, because drivers
 * may assume that no NaN exists.
 */

uint kiln_bits(float x) { return floatBitsToUint(x); }
uint kiln_magnitude(float x) { return floatBitsToUint(x) & 0x7fffffffu; }
bool kiln_is_negative(float x) { return floatBitsToInt(x) < 0; }

#define KILN_NAN uintBitsToFloat(0x7fc00000u)

/* 2^n for n in -126 .. 128 (128 gives infinity). */
float kiln_power_of_two(int n) { return uintBitsToFloat(uint(n + 127) << 23); }

#define NUMBER float
#include "series.glsl"
#undef NUMBER

float kiln_exp(float x)
{
    if (kiln_magnitude(x) > 0x42d00000u)                            /* |x| > 104, infinite or NaN */
        return kiln_is_nan(x) ? x : kiln_is_negative(x) ? 0.0 : KILN_INFINITY;
    const float n = floor(x * 1.44269504 + 0.5);
    const float r = kiln_exp_rest(x, n);
    const float y = r * r * kiln_exp_tail(r) + r + 1.0;
    const int half_of_n = int(n) >> 1;                              /* in two steps: 2^n itself may be out of range */
    return y * kiln_power_of_two(half_of_n) * kiln_power_of_two(int(n) - half_of_n);
}

float kiln_expm1(float x)
{
    if (kiln_magnitude(x) > 0x42d00000u)
        return kiln_is_nan(x) ? x : kiln_is_negative(x) ? -1.0 : KILN_INFINITY;
    const float n = max(floor(x * 1.44269504 + 0.5), -40.0);
    if (n <= -40.0)
        return -1.0;
    const float r = kiln_exp_rest(x, n);
    precise float y = r * r * kiln_exp_tail(r) + r;                 /* exp(r) - 1 */
    const float t = kiln_power_of_two(min(int(n) - 1, 128));
    y = t * y + (t - 0.5);
    return 2.0 * y;
}

/* log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)), without its leading f - f^2 / 2. */
float kiln_log_tail(float f)
{
    float y = 7.0376836292e-2;
    y = y * f - 1.1514610310e-1;
    y = y * f + 1.1676998740e-1;
    y = y * f - 1.2420140846e-1;
    y = y * f + 1.4249322787e-1;
    y = y * f - 1.6668057665e-1;
    y = y * f + 2.0000714765e-1;
    y = y * f - 2.4999993993e-1;
    y = y * f + 3.3333331174e-1;
    return y * f * f * f;
}

/* x = m 2^e with m in [sqrt(1/2), sqrt(2)), for x finite and above zero. */
float kiln_split(float x, out int e)
{
    uint bits = kiln_bits(x);
    e = 0;
    if (bits < 0x00800000u) {                                       /* denormal: where the device has them */
        bits = kiln_bits(float(bits));                              /* its bits count units of 2^-149 */
        e = -149;
    }
    bits -= 0x3f3504f3u;                                            /* sqrt(1/2) */
    e += int(bits) >> 23;
    return uintBitsToFloat((bits & 0x007fffffu) + 0x3f3504f3u);
}

float kiln_log(float x)
{
    if (kiln_magnitude(x) == 0u)
        return KILN_MINUS_INFINITY;
    if (kiln_bits(x) >= 0x7f800000u)                                /* infinite, NaN or negative */
        return kiln_is_nan(x) || !kiln_is_negative(x) ? x : KILN_NAN;
    int e;
    precise const float f = kiln_split(x, e) - 1.0;
    precise float y = kiln_log_tail(f) - float(e) * 2.12194440e-4;
    y -= 0.5 * f * f;
    y += f;
    return y + float(e) * 0.693359375;
}

/* log(1 + x) is log(u) + (x - (u - 1)) / u for u the rounded 1 + x. */
float kiln_log1p(float x)
{
    if (kiln_magnitude(x) >= 0x7f800000u || x <= -1.0)
        return kiln_is_nan(x) ? x : kiln_log(1.0 + x);
    precise const float u = 1.0 + x;
    precise const float lost = x - (u - 1.0);
    return kiln_log(u) + lost / u;
}

float kiln_tanh(float x)
{
    if (kiln_is_nan(x))
        return x;
    const float a = abs(x);
    if (a < 0.625)
        return kiln_tanh_near(x);
    const float y = a > 9.1 ? 1.0 : 1.0 - 2.0 / (kiln_exp(2.0 * a) + 1.0);
    return kiln_is_negative(x) ? -y : y;
}

float kiln_sigmoid(float x)
{
    if (kiln_is_nan(x))
        return x;
    const float e = kiln_exp(-abs(x));
    const float y = 1.0 / (1.0 + e);
    return kiln_is_negative(x) ? e * y : y;
}

float kiln_softplus(float x)
{
    return kiln_is_nan(x) ? x : max(x, 0.0) + kiln_log1p(kiln_exp(-abs(x)));
}

/* x as r + q pi / 2 with |r| <= pi / 4, by the bits of 2 / pi that x's exponent selects (Payne and Hanek 1983): exact
 * to 2^-60 for any finite x. */
float kiln_quadrant(float x, out uint q)
{
    const uint two_over_pi[8] = uint[](0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u,
                                       0xfe5163abu);
    const uint m = (kiln_bits(x) & 0x007fffffu) | 0x00800000u;
    const uint first = (kiln_magnitude(x) >> 23) - 150u + 30u;     /* the first bit that counts modulo 4 */
    const uint i = first >> 5, s = first & 31u;
    uint w[3];
    for (uint k = 0u; k < 3u; k++)
        w[k] = s == 0u ? two_over_pi[i + k] : two_over_pi[i + k] << s | two_over_pi[i + k + 1u] >> (32u - s);

    uint high, low, next, carry;                                    /* m * w modulo 2^96, its upper 64 bits */
    umulExtended(m, w[2], carry, low);
    umulExtended(m, w[1], high, low);
    low = uaddCarry(low, carry, next);
    high += next + m * w[0];

    q = (high + 0x20000000u) >> 30;
    const int fraction = int(high << 2 | low >> 30);               /* of a quadrant, -1/2 to 1/2, in 2^-32 */
    const float r = (float(fraction) + float(low << 2) * 2.3283064365e-10) * 3.6572952e-10;
    return kiln_is_negative(x) ? -r : r;
}

float kiln_sin_near(float r)
{
    const float z = r * r;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
}

float kiln_cos_near(float r)
{
    const float z = r * r;
    return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
}

float kiln_sin(float x)
{
    if (kiln_magnitude(x) >= 0x7f800000u)
        return KILN_NAN;
    if (kiln_magnitude(x) < 0x3f000000u)
        return kiln_sin_near(x);
    uint q;
    const float r = kiln_quadrant(x, q);
    const float y = (q & 1u) == 0u ? kiln_sin_near(r) : kiln_cos_near(r) * (kiln_is_negative(x) ? -1.0 : 1.0);
    return (q & 2u) == 0u ? y : -y;
}

float kiln_cos(float x)
{
    if (kiln_magnitude(x) >= 0x7f800000u)
        return KILN_NAN;
    if (kiln_magnitude(x) < 0x3f000000u)
        return kiln_cos_near(x);
    uint q;
    const float r = abs(x) == x ? kiln_quadrant(x, q) : kiln_quadrant(-x, q);
    const float y = (q & 1u) == 0u ? kiln_cos_near(r) : -kiln_sin_near(r);
    return (q & 2u) == 0u ? y : -y;
}

/* a * b = product + what the rounding lost, by Dekker's splitting (no fused multiply-add is promised). */
float kiln_product(float a, float b, out float lost)
{
    precise const float p = a * b;
    const float ah = uintBitsToFloat(kiln_bits(a) & 0xfffff000u), bh = uintBitsToFloat(kiln_bits(b) & 0xfffff000u);
    precise const float al = a - ah;
    precise const float bl = b - bh;
    precise float e = ah * bh - p;
    e += ah * bl;
    e += al * bh;
    e += al * bl;
    lost = e;
    return p;
}

/* a^b for a finite and above zero, b finite: exp(b log(a)) with log(a) in two floats. */
float kiln_pow_above_zero(float a, float b)
{
    int e;
    const float m = kiln_split(a, e);
    precise const float f = m - 1.0;                                /* s = f / (2 + f), log(m) = 2 s + 2/3 s^3 + ... */
    precise const float d = m + 1.0;
    precise const float s = f / d;
    float lost, lost_sum;
    precise const float sd = kiln_product(s, d, lost);
    precise const float d_low = f - (d - 2.0);                      /* what m + 1 lost */
    precise const float s_low = ((f - sd) - lost - s * d_low) / d;
    const float z = s * s;
    float tail = 0.22222222 + z * 0.19;
    tail = 0.28571430 + z * tail;
    tail = 0.4 + z * tail;
    const float third = 0.6666667;
    precise const float cube = z * s;

    precise const float e_high = float(e) * 0.693359375;
    precise const float head = 2.0 * s;
    precise const float sum = e_high + head;
    precise const float left = sum - e_high;
    lost_sum = (e_high - (sum - left)) + (head - left);
    precise const float low = lost_sum + (2.0 * s_low + (cube * third + cube * z * tail) - float(e) * 2.12194440e-4);
    precise const float high = sum + low;
    precise const float rest = (sum - high) + low;

    precise const float y = kiln_product(high, b, lost);
    precise const float y_low = lost + rest * b;
    if (kiln_magnitude(y) > 0x42d00000u)
        return kiln_exp(y);
    return kiln_exp(y) * (1.0 + y_low);
}

/* 0: b is no integer; 1: odd; 2: even. */
uint kiln_parity(float b)
{
    if (kiln_magnitude(b) >= 0x4b800000u)                           /* from 2^24 on all are even */
        return 2u;
    if (floor(b) != b)
        return 0u;
    return (int(b) & 1) != 0 ? 1u : 2u;
}

float kiln_pow(float a, float b)
{
    const bool infinite_b = kiln_magnitude(b) == KILN_INFINITY_BITS;
    if (kiln_magnitude(b) == 0u || kiln_bits(a) == 0x3f800000u)
        return 1.0;
    if (kiln_is_nan(a) || kiln_is_nan(b))
        return KILN_NAN;
    if (infinite_b && kiln_magnitude(a) == 0x3f800000u)
        return 1.0;
    const uint parity = kiln_parity(b);
    const bool grows = (kiln_magnitude(a) > 0x3f800000u) != kiln_is_negative(b);
    float y;
    if (infinite_b || kiln_magnitude(a) == KILN_INFINITY_BITS || kiln_magnitude(a) == 0u)
        y = grows ? KILN_INFINITY : 0.0;
    else if (kiln_is_negative(a) && parity == 0u)
        return KILN_NAN;
    else
        y = kiln_pow_above_zero(abs(a), b);
    return kiln_is_negative(a) && parity == 1u ? -y : y;
}
