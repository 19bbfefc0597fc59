#version 450
/*
 * steps - y[i] = four steps on x[i], their codes constants: everything that the specializer folds. Twin:
 * spirv.c.
 *
 * Branches, switches that are left early and in the middle, loops with known and unknown bounds, loops that
 * never run, and a shared array and a workgroup whose sizes are constants. With -DPAIRS a value goes through an integer of 64 bits.
 */
#include "kiln.glsl"

KILN_PARAMS(steps) {
    uint count;
} KILN_PARAMS_END;

KILN_CONSTANT(0, A);
KILN_CONSTANT(1, B);
KILN_CONSTANT(2, C);
KILN_CONSTANT(3, D);
KILN_TUNING(0, TIMES, 3);
KILN_IN(0, uint, x);
KILN_OUT(1, uint, y);

shared uint kept[LANES * TIMES];

uint collatz(uint v)
{
    uint steps = 0u;
    while (v > 1u && steps < 50u) {
        v = v % 2u == 0u ? v / 2u : 3u * v + 1u;
        steps++;
    }
    return steps;
}

uint early(uint code, uint v)
{
    if (code == 7u)
        return v ^ 0x55u;
    for (uint i = 0u; i < code; i++) {
        if (v % 7u == 0u)
            return v + i;
        v += 3u;
        if (code == 9u)
            break;
    }
    return v * 2u;
}

uint step_of(uint code, uint v)
{
    switch (code) {
    case 1u: return v + 1u;
    case 2u:
        if (v > 100u)
            break;
        v += 5u;
        break;
    case 3u:
        for (uint i = 0u; i < TIMES; i++)
            v = v * v + i;
        return v;
    case 4u:
        v += 2u;                            /* falls through */
    case 5u: v *= 3u; break;
    case 6u: return collatz(v);
    case 7u: case 8u: case 9u: return early(code, v);
    case 10u:
        do {
            v++;
            if (code == 11u)
                continue;
            v <<= 1;
        } while (code != 10u && v < 1000u);
        break;
    case 11u:
        while (code != 11u)
            v *= 5u;
        return v | 1u;
    default: return int(code) > 20 && (v & 1u) == 0u ? v : ~v;
    }
    return v - code;
}

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    uint v = i < p.count ? x[i] : 0u;
#ifdef PAIRS
    const uint64_t pair = packUint2x32(uvec2(v, i));
    v = unpackUint2x32(pair << 32).y;
#endif
    v = step_of(A, v);
    v = step_of(B, v);
    if (A == B || (C > 3u && D != A % 5u))
        v = step_of(C, v);
    for (uint k = 0u; k < (D == 0u ? 0u : TIMES); k++)
        v = step_of(D, v + k);
    kept[LANE * TIMES] = v;
    barrier();
    const uint next = kept[(LANE ^ 1u) * TIMES];
    if (i < p.count)
        y[i] = (D & 1u) == 1u ? v + (next & 1u) : v;
}
