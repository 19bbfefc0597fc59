/*
 * quotient.glsl - n / d with few instructions, for a d that is asked for often: inverse = 1 / d.
 *
 * (n + 1/2) / d is at least 1 / (2d) away from any integer, and its error below n / d * 2^-21: exact for n < 2^20.
 */
uint kiln_small_quotient(uint n, float inverse) { return uint((float(n) + 0.5) * inverse); }

uint kiln_quotient(uint n, uint d, float inverse) { return n < 0x100000u ? kiln_small_quotient(n, inverse) : n / d; }
