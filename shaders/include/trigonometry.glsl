/*
 * trigonometry.glsl - trigonometric and hyperbolic functions that are long and rare. Include math.glsl first.
 *
 * Bounds as in math.glsl, given a square root of at most 3 ulp:
 *
 *   tan 6, asin 6, acos 6, atan 5, atan2 6, sinh 6, cosh 6, asinh 8, acosh 8, atanh 8 ulp
 *
 * The polynomials are those of tools/fit.py.
 */

#define KILN_HALF_PI 1.57079637
#define KILN_HALF_PI_REST -4.37113883e-8

/* For |r| <= pi / 4. */
float kiln_tan_near(float r)
{
    const float z = r * r;
    float y = 9.385642596e-03;
    y = y * z + 3.119510598e-03;
    y = y * z + 2.443039417e-02;
    y = y * z + 5.341120809e-02;
    y = y * z + 1.333879977e-01;
    y = y * z + 3.333315551e-01;
    return y * z * r + r;
}

float kiln_tan(float x)
{
    if (kiln_magnitude(x) >= 0x7f800000u)
        return KILN_NAN;
    if (kiln_magnitude(x) < 0x3f000000u)
        return kiln_tan_near(x);
    uint q;
    const float y = kiln_tan_near(kiln_quadrant(x, q));
    return (q & 1u) == 0u ? y : -1.0 / y;
}

/* For |x| <= 1/2. */
float kiln_asin_near(float x)
{
    const float z = x * x;
    float y = 4.216630757e-02;
    y = y * z + 2.417951450e-02;
    y = y * z + 4.547037557e-02;
    y = y * z + 7.495297492e-02;
    y = y * z + 1.666675210e-01;
    return y * z * x + x;
}

/* Far from 0, asin(a) = pi / 2 - 2 asin(sqrt((1 - a) / 2)). */
float kiln_asin(float x)
{
    const float a = abs(x);
    if (kiln_magnitude(x) > 0x3f800000u)
        return KILN_NAN;
    if (a <= 0.5)
        return kiln_asin_near(x);
    precise float y = KILN_HALF_PI - 2.0 * kiln_asin_near(sqrt(0.5 * (1.0 - a)));
    y += KILN_HALF_PI_REST;
    return kiln_is_negative(x) ? -y : y;
}

float kiln_acos(float x)
{
    const float a = abs(x);
    if (kiln_magnitude(x) > 0x3f800000u)
        return KILN_NAN;
    if (a > 0.5 && !kiln_is_negative(x))
        return 2.0 * kiln_asin_near(sqrt(0.5 * (1.0 - a)));
    const float turned = a > 0.5 ? 2.0 * kiln_asin_near(sqrt(0.5 * (1.0 - a))) : kiln_asin_near(x);
    precise float y = (a > 0.5 ? 2.0 * KILN_HALF_PI : KILN_HALF_PI) - turned;
    y += a > 0.5 ? 2.0 * KILN_HALF_PI_REST : KILN_HALF_PI_REST;
    return y;
}

/* low / high for 0 <= low <= high: 0 or 1 where a quotient would not be safe, within the range of what is promised of it. */
float kiln_ratio(float low, float high)
{
    if (kiln_bits(low) == kiln_bits(high))
        return kiln_bits(low) == 0u ? 0.0 : 1.0;
    if (kiln_bits(high) == KILN_INFINITY_BITS)
        return 0.0;
    const float scale = high > 1e30 ? 1.08420217e-19 : high < 1e-20 ? 1.84467441e19 : 1.0;    /* 2^-63, 2^64 */
    return low * scale / (high * scale);
}

/* The angle of (x, y), -pi to pi, with the sign of y, as C's atan2. */
float kiln_atan2(float y, float x)
{
    if (kiln_is_nan(x) || kiln_is_nan(y))
        return KILN_NAN;
    const float a = abs(x), b = abs(y);
    const bool steep = kiln_bits(b) > kiln_bits(a);
    const float t = steep ? kiln_ratio(a, b) : kiln_ratio(b, a), z = t * t;
    float p = 2.920693019e-03;
    p = p * z - 1.636793092e-02;
    p = p * z + 4.321186617e-02;
    p = p * z - 7.552214712e-02;
    p = p * z + 1.066600457e-01;
    p = p * z - 1.421105564e-01;
    p = p * z + 1.999377310e-01;
    p = p * z - 3.333315253e-01;
    precise float angle = p * z * t + t;
    if (steep)
        angle = KILN_HALF_PI - angle + KILN_HALF_PI_REST;
    if (kiln_is_negative(x))
        angle = 2.0 * KILN_HALF_PI - angle + 2.0 * KILN_HALF_PI_REST;
    return kiln_is_negative(y) ? -angle : angle;
}

float kiln_atan(float x) { return kiln_atan2(x, 1.0); }

/* exp(a) / 2 without overflow before the result's own. */
float kiln_half_exp(float a)
{
    const float root = kiln_exp(0.5 * a);
    return 0.5 * root * root;
}

float kiln_sinh(float x)
{
    const float a = abs(x);
    if (a < 1.0) {
        const float z = x * x;
        float y = 2.816951110e-06;
        y = y * z + 1.983615948e-04;
        y = y * z + 8.333349600e-03;
        y = y * z + 1.666666716e-01;
        return y * z * x + x;
    }
    if (kiln_is_nan(x))
        return x;
    const float e = kiln_exp(min(a, 88.0)), y = a > 88.0 ? kiln_half_exp(a) : 0.5 * e - 0.5 / e;
    return kiln_is_negative(x) ? -y : y;
}

float kiln_cosh(float x)
{
    const float a = abs(x), e = kiln_exp(min(a, 88.0));
    return kiln_is_nan(x) ? x : a > 88.0 ? kiln_half_exp(a) : 0.5 * e + 0.5 / e;
}

/* log(a + sqrt(a^2 + 1)) */
float kiln_asinh(float x)
{
    if (kiln_magnitude(x) >= KILN_INFINITY_BITS)
        return x;
    const float a = abs(x), z = a * a;
    const float y = a > 4096.0 ? kiln_log(a) + 0.693147181 : kiln_log1p(a + z / (1.0 + sqrt(1.0 + z)));
    return kiln_is_negative(x) ? -y : y;
}

/* log(x + sqrt(x^2 - 1)), for x >= 1 */
float kiln_acosh(float x)
{
    if (kiln_is_nan(x) || x < 1.0)
        return KILN_NAN;
    const float u = x - 1.0;
    return x > 4096.0 ? kiln_log(x) + 0.693147181 : kiln_log1p(u + sqrt(u * (u + 2.0)));
}

/* log((1 + x) / (1 - x)) / 2 */
float kiln_atanh(float x)
{
    const float a = abs(x);
    if (kiln_magnitude(x) > 0x3f800000u)
        return KILN_NAN;
    const float y = kiln_magnitude(x) == 0x3f800000u ? KILN_INFINITY : 0.5 * kiln_log1p(2.0 * a / (1.0 - a));
    return kiln_is_negative(x) ? -y : y;
}
