/*
 * quotient.glsl - n / d with few instructions, for a d that is asked for often: inverse = 1 / d.
 *
 * (n + 1/2) / d is at least 1 / (2d) away from any integer, and its error below n / d * 2^-21: exact for n < 2^20.
 */
uint kiln_quotient(uint n, uint d, float inverse)
{
    return n < 0x100000u ? uint((float(n) + 0.5) * inverse) : n / d;
}
