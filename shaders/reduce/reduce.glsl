/*
 * reduce.glsl - the values of a reduction as pairs, so that sums, extremes and their places are one kernel: (bits, nothing);
 * (rank, place); or of EXP, (largest, sum of exp(x - largest)).
 */
#include "math.glsl"
#include "codes.h"

/* Numbers in the order of the values, for places: NaN on top, zeros alike. */
uint kiln_rank(uint code, uint bits)
{
    const bool real = code == KILN_REDUCE_ARGMAX_F || code == KILN_REDUCE_ARGMIN_F;
    const bool natural = code == KILN_REDUCE_ARGMAX_U || code == KILN_REDUCE_ARGMIN_U;
    const bool least = code == KILN_REDUCE_ARGMIN_F || code == KILN_REDUCE_ARGMIN_I || code == KILN_REDUCE_ARGMIN_U;
    if (real && (bits & 0x7fffffffu) > KILN_INFINITY_BITS)
        return 0xffffffffu;
    if (real && (bits & 0x7fffffffu) == 0u)
        bits = 0u;
    const uint rank = natural ? bits : real && int(bits) < 0 ? ~bits : bits ^ 0x80000000u;
    return least ? ~rank : rank;
}

/* Nothing yet; for places, rank 0 at no place. */
uvec2 kiln_reduce_start(uint code)
{
    switch (code) {
    case KILN_REDUCE_PRODUCT_F: return uvec2(0x3f800000u, 0u);
    case KILN_REDUCE_EXP_F:
    case KILN_REDUCE_MAX_F: return uvec2(0xff800000u, 0u);
    case KILN_REDUCE_MIN_F: return uvec2(0x7f800000u, 0u);
    case KILN_REDUCE_PRODUCT_I: return uvec2(1u, 0u);
    case KILN_REDUCE_MAX_I: return uvec2(0x80000000u, 0u);
    case KILN_REDUCE_MIN_I: return uvec2(0x7fffffffu, 0u);
    case KILN_REDUCE_MIN_U: return uvec2(0xffffffffu, 0u);
    }
    return uvec2(0u, KILN_REDUCE_IS_PLACE(code) ? 0xffffffffu : 0u);
}

/* A place counts from the other side where the last of equals is wanted: the least wins. */
uvec2 kiln_reduce_take(uint code, uint finish, uint bits, uint place)
{
    const float x = uintBitsToFloat(bits);
    switch (code) {
    case KILN_REDUCE_L1_F: return uvec2(bits & 0x7fffffffu, 0u);
    case KILN_REDUCE_SQUARES_F: return uvec2(floatBitsToUint(x * x), 0u);
    case KILN_REDUCE_EXP_F: return uvec2(bits, 0x3f800000u);
    case KILN_REDUCE_L1_I: return uvec2(uint(abs(int(bits))), 0u);
    case KILN_REDUCE_SQUARES_I: return uvec2(bits * bits, 0u);
    }
    if (!KILN_REDUCE_IS_PLACE(code))
        return uvec2(bits, 0u);
    return uvec2(kiln_rank(code, bits), finish == KILN_REDUCE_FINISH_LAST ? 0x7fffffffu - place : place);
}

/* exp(x - peak), 1 at the peak itself though it be infinite. */
float kiln_share_of(float x, float peak) { return kiln_bits(x) == kiln_bits(peak) ? 1.0 : kiln_exp(x - peak); }

uvec2 kiln_join(uvec2 a, uvec2 b)
{
    const float x = uintBitsToFloat(a.x), y = uintBitsToFloat(b.x), peak = kiln_max(x, y);
    const float total = uintBitsToFloat(a.y) * kiln_share_of(x, peak) + uintBitsToFloat(b.y) * kiln_share_of(y, peak);
    return uvec2(floatBitsToUint(peak), floatBitsToUint(total));
}

uvec2 kiln_reduce_combine(uint code, uvec2 a, uvec2 b)
{
    const float x = uintBitsToFloat(a.x), y = uintBitsToFloat(b.x);
    switch (code) {
    case KILN_REDUCE_SUM_F:
    case KILN_REDUCE_L1_F:
    case KILN_REDUCE_SQUARES_F: return uvec2(floatBitsToUint(x + y), 0u);
    case KILN_REDUCE_PRODUCT_F: return uvec2(floatBitsToUint(x * y), 0u);
    case KILN_REDUCE_MAX_F: return uvec2(floatBitsToUint(kiln_max(x, y)), 0u);
    case KILN_REDUCE_MIN_F: return uvec2(floatBitsToUint(kiln_min(x, y)), 0u);
    case KILN_REDUCE_EXP_F: return kiln_join(a, b);
    case KILN_REDUCE_SUM_I:
    case KILN_REDUCE_L1_I:
    case KILN_REDUCE_SQUARES_I: return uvec2(a.x + b.x, 0u);
    case KILN_REDUCE_PRODUCT_I: return uvec2(a.x * b.x, 0u);
    case KILN_REDUCE_MAX_I: return uvec2(uint(max(int(a.x), int(b.x))), 0u);
    case KILN_REDUCE_MIN_I: return uvec2(uint(min(int(a.x), int(b.x))), 0u);
    case KILN_REDUCE_MAX_U: return uvec2(max(a.x, b.x), 0u);
    case KILN_REDUCE_MIN_U: return uvec2(min(a.x, b.x), 0u);
    }
    return a.x > b.x || (a.x == b.x && a.y < b.y) ? a : b;
}

/* The bits that are stored. */
uint kiln_reduce_finish(uint code, uint finish, uvec2 value, float scale)
{
    if (KILN_REDUCE_IS_PLACE(code))
        return finish == KILN_REDUCE_FINISH_LAST ? 0x7fffffffu - value.y : value.y;
    float x = uintBitsToFloat(value.x);
    if (code == KILN_REDUCE_SUM_F)
        x *= scale;
    else if (code == KILN_REDUCE_EXP_F)
        x += kiln_log(uintBitsToFloat(value.y));
    else if (finish == KILN_REDUCE_FINISH_NONE)
        return value.x;
    if (finish == KILN_REDUCE_FINISH_ROOT)
        x = sqrt(x);
    else if (finish == KILN_REDUCE_FINISH_LOG)
        x = kiln_log(x);
    return floatBitsToUint(x);
}
