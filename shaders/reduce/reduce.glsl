/* reduce.glsl - the values of a reduction as pairs (bits, place), so that sums, extremes and their places are one kernel. */
#include "codes.h"

bool kiln_is_place(uint code) { return code >= KILN_REDUCE_ARGMAX_F; }

/* Numbers in the order of the values, for places: NaN on top, zeros alike. */
uint kiln_rank(uint code, uint bits)
{
    const bool real = code == KILN_REDUCE_ARGMAX_F || code == KILN_REDUCE_ARGMIN_F;
    const bool least = code == KILN_REDUCE_ARGMIN_F || code == KILN_REDUCE_ARGMIN_I;
    if (real && (bits & 0x7fffffffu) > KILN_INFINITY_BITS)
        return 0xffffffffu;
    if (real && (bits & 0x7fffffffu) == 0u)
        bits = 0u;
    const uint rank = real && int(bits) < 0 ? ~bits : bits ^ 0x80000000u;
    return least ? ~rank : rank;
}

/* Nothing yet; for places, rank 0 at no place. */
uvec2 kiln_reduce_start(uint code)
{
    switch (code) {
    case KILN_REDUCE_MAX_F: return uvec2(0xff800000u, 0u);
    case KILN_REDUCE_MIN_F: return uvec2(0x7f800000u, 0u);
    case KILN_REDUCE_MAX_I: return uvec2(0x80000000u, 0u);
    case KILN_REDUCE_MIN_I: return uvec2(0x7fffffffu, 0u);
    case KILN_REDUCE_SUM_F:
    case KILN_REDUCE_SUM_I: return uvec2(0u);
    }
    return uvec2(0u, 0xffffffffu);
}

uvec2 kiln_reduce_take(uint code, uint bits, uint place)
{
    return kiln_is_place(code) ? uvec2(kiln_rank(code, bits), place) : uvec2(bits, 0u);
}

uvec2 kiln_reduce_combine(uint code, uvec2 a, uvec2 b)
{
    const float x = uintBitsToFloat(a.x), y = uintBitsToFloat(b.x);
    switch (code) {
    case KILN_REDUCE_SUM_F: return uvec2(floatBitsToUint(x + y), 0u);
    case KILN_REDUCE_MAX_F: return uvec2(floatBitsToUint(kiln_max(x, y)), 0u);
    case KILN_REDUCE_MIN_F: return uvec2(floatBitsToUint(kiln_min(x, y)), 0u);
    case KILN_REDUCE_SUM_I: return uvec2(a.x + b.x, 0u);
    case KILN_REDUCE_MAX_I: return uvec2(uint(max(int(a.x), int(b.x))), 0u);
    case KILN_REDUCE_MIN_I: return uvec2(uint(min(int(a.x), int(b.x))), 0u);
    }
    return a.x > b.x || (a.x == b.x && a.y < b.y) ? a : b;
}
