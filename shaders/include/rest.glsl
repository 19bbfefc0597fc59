/* rest.glsl - what a division leaves, of reals, exactly; and powers of integers. Include math.glsl first. */

/* a - trunc(a / b) b: a long division of the mantissas, 8 bits a step. 0 has the sign of a. */
float kiln_rest(float a, float b)
{
    const uint x = kiln_magnitude(a), y = kiln_magnitude(b);
    if (x >= KILN_INFINITY_BITS || y > KILN_INFINITY_BITS || y == 0u)
        return KILN_NAN;
    if (x < y)
        return a;

    const int e = max(int(y >> 23), 1);                             /* denormals have the least normal exponent */
    const uint divisor = (y & 0x007fffffu) | (y >= 0x00800000u ? 0x00800000u : 0u);
    uint rest = (x & 0x007fffffu) | (x >= 0x00800000u ? 0x00800000u : 0u);
    rest %= divisor;
    for (int left = max(int(x >> 23), 1) - e; left > 0 && rest != 0u; left -= 8)
        rest = (rest << min(left, 8)) % divisor;

    const int up = rest == 0u ? 0 : min(23 - findMSB(rest), e - 1); /* normalized as far as the exponent allows */
    rest <<= up;
    const uint bits = rest < 0x00800000u ? rest : uint(e - up) << 23 | (rest & 0x007fffffu);
    return uintBitsToFloat(bits | (kiln_bits(a) & 0x80000000u));
}

/* With the sign of b. */
float kiln_mod(float a, float b)
{
    const float rest = kiln_rest(a, b);
    const bool other = kiln_magnitude(rest) != 0u && kiln_is_negative(rest) != kiln_is_negative(b);
    return other && !kiln_is_nan(rest) ? rest + b : rest;
}

/* Wraps. A negative power is 0 but of 1 and -1. */
uint kiln_power_integers(uint a, uint b)
{
    if (int(b) < 0)
        return a == 1u ? 1u : a == 0xffffffffu ? ((b & 1u) != 0u ? a : 1u) : 0u;
    uint y = 1u;
    for (; b != 0u; b >>= 1) {
        if ((b & 1u) != 0u)
            y *= a;
        a *= a;
    }
    return y;
}
