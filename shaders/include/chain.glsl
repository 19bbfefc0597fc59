/*
 * chain.glsl - one step of a chain of elementwise work (shaders/chain/codes.h), on registers of 32 bits.
 *
 * The code is a specialization constant wherever this is called, so the switch folds to one branch. Include kiln.glsl first.
 * With KILN_LONG_STEPS the long ones are there too.
 */
#include "math.glsl"
#include "activations.glsl"
#ifdef KILN_LONG_STEPS
#include "rest.glsl"
#include "trigonometry.glsl"
#endif
#include "../chain/codes.h"

#define KILN_STEP_CODE(step) ((step) & 0xffu)
#define KILN_STEP_A(step) (((step) >> 8) & 0xffu)
#define KILN_STEP_B(step) (((step) >> 16) & 0xffu)
#define KILN_STEP_C(step) ((step) >> 24)

/* Towards zero; 0 where b is 0. */
int kiln_divide_integers(int a, int b) { return b == 0 ? 0 : b == -1 ? int(0u - uint(a)) : a / b; }

/* What is left of a, with the sign of a, or of b; 0 where b is 0. */
int kiln_rest_integers(int a, int b) { return b == 0 ? 0 : a - kiln_divide_integers(a, b) * b; }
int kiln_mod_integers(int a, int b)
{
    const int rest = kiln_rest_integers(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* Drops the fraction; saturates; NaN gives 0. */
int kiln_integer_of(float x)
{
    if (kiln_is_nan(x))
        return 0;
    if (kiln_magnitude(x) >= 0x4f000000u)                           /* |x| >= 2^31 */
        return kiln_is_negative(x) ? int(0x80000000u) : 0x7fffffff;
    return int(x);
}

uint kiln_unsigned_of(float x)
{
    if (kiln_is_nan(x) || kiln_is_negative(x))
        return 0u;
    return kiln_magnitude(x) >= 0x4f800000u ? 0xffffffffu : uint(x);
}

float kiln_sign(float x) { return kiln_is_nan(x) ? x : sign(x); }

/* x, but 0 where x is negative; by its bits, so NaN passes. */
uint kiln_relu(uint x) { return int(x) > 0 || x > 0xff800000u ? x : 0u; }

/* Comparisons with NaN are false on every driver. */
bool kiln_ordered(float a, float b) { return !kiln_is_nan(a) && !kiln_is_nan(b); }

/* The bits of a float rounded to what F16 and BF16 hold: to the nearest, ties to even; NaN passes. */
uint kiln_to_half(uint bits)
{
    const uint size = bits & 0x7fffffffu, sign = bits ^ size;
    if (size > 0x7f800000u)
        return bits;
    if (size >= 0x477ff000u)                                        /* from 65520 on, halfway past the largest */
        return sign | 0x7f800000u;
    if (size >= 0x38800000u)                                        /* from 2^-14 on: normal */
        return sign | ((size + 0xfffu + (size >> 13 & 1u)) & 0xffffe000u);
    /* a multiple of 2^-24: whole times it, of the 24 bits of the fraction; below 2^-26 none is left */
    const uint exponent = size >> 23, drop = 126u - min(exponent, 126u);
    if (drop > 25u)
        return sign;
    const uint fraction = (size & 0x7fffffu) | 0x800000u, whole = fraction >> drop, rest = fraction & ((1u << drop) - 1u);
    const uint half_of_it = 1u << (drop - 1u);
    const uint up = rest > half_of_it || (rest == half_of_it && (whole & 1u) != 0u) ? 1u : 0u;
    return sign | floatBitsToUint(float(whole + up) * 5.9604644775390625e-8);
}

uint kiln_to_bfloat(uint bits)
{
    return kiln_is_nan(uintBitsToFloat(bits)) ? bits : (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
}

uint kiln_step_run(uint code, uint a, uint b, uint c)
{
    const float x = uintBitsToFloat(a), y = uintBitsToFloat(b), z = uintBitsToFloat(c);
    switch (code) {
    case KILN_STEP_ADD_F: return kiln_bits(x + y);
    case KILN_STEP_SUB_F: return kiln_bits(x - y);
    case KILN_STEP_MUL_F: return kiln_bits(x * y);
    case KILN_STEP_DIV_F: return kiln_bits(x / y);
    case KILN_STEP_MAX_F: return kiln_bits(kiln_max(x, y));
    case KILN_STEP_MIN_F: return kiln_bits(kiln_min(x, y));

    case KILN_STEP_ADD_I: return a + b;
    case KILN_STEP_SUB_I: return a - b;
    case KILN_STEP_MUL_I: return a * b;
    case KILN_STEP_DIV_I: return uint(kiln_divide_integers(int(a), int(b)));
    case KILN_STEP_MOD_I: return uint(kiln_mod_integers(int(a), int(b)));
    case KILN_STEP_REST_I: return uint(kiln_rest_integers(int(a), int(b)));
    case KILN_STEP_MAX_I: return uint(max(int(a), int(b)));
    case KILN_STEP_MIN_I: return uint(min(int(a), int(b)));
    case KILN_STEP_DIV_U: return b == 0u ? 0u : a / b;
    case KILN_STEP_MOD_U: return b == 0u ? 0u : a % b;
    case KILN_STEP_MAX_U: return max(a, b);
    case KILN_STEP_MIN_U: return min(a, b);

    case KILN_STEP_BIT_AND: return a & b;
    case KILN_STEP_BIT_OR: return a | b;
    case KILN_STEP_BIT_XOR: return a ^ b;
    case KILN_STEP_SHIFT_LEFT: return b > 31u ? 0u : a << b;
    case KILN_STEP_SHIFT_RIGHT_I: return uint(int(a) >> min(b, 31u));
    case KILN_STEP_SHIFT_RIGHT_U: return b > 31u ? 0u : a >> b;

    case KILN_STEP_EQUAL_F: return uint(kiln_ordered(x, y) && x == y);
    case KILN_STEP_NOT_EQUAL_F: return uint(!kiln_ordered(x, y) || x != y);
    case KILN_STEP_LESS_F: return uint(kiln_ordered(x, y) && x < y);
    case KILN_STEP_LESS_EQUAL_F: return uint(kiln_ordered(x, y) && x <= y);
    case KILN_STEP_EQUAL_I: return uint(a == b);
    case KILN_STEP_NOT_EQUAL_I: return uint(a != b);
    case KILN_STEP_LESS_I: return uint(int(a) < int(b));
    case KILN_STEP_LESS_EQUAL_I: return uint(int(a) <= int(b));
    case KILN_STEP_LESS_U: return uint(a < b);
    case KILN_STEP_LESS_EQUAL_U: return uint(a <= b);
    case KILN_STEP_AND: return uint(a != 0u && b != 0u);
    case KILN_STEP_OR: return uint(a != 0u || b != 0u);
    case KILN_STEP_XOR: return uint((a != 0u) != (b != 0u));
    case KILN_STEP_INSIDE_F: return uint(!kiln_is_nan(x) && y <= x && x <= z);
    case KILN_STEP_NOT: return uint(a == 0u);
    case KILN_STEP_TRUTH_F: return uint(kiln_magnitude(x) != 0u);
    case KILN_STEP_TRUTH_I: return uint(a != 0u);
    case KILN_STEP_INFINITE_F: return uint(kiln_magnitude(x) == KILN_INFINITY_BITS);
    case KILN_STEP_WHERE: return a != 0u ? b : c;

    case KILN_STEP_NEG_F: return a ^ 0x80000000u;
    case KILN_STEP_ABS_F: return a & 0x7fffffffu;
    case KILN_STEP_SIGN_F: return kiln_bits(kiln_sign(x));
    case KILN_STEP_FLOOR_F: return kiln_bits(floor(x));
    case KILN_STEP_CEIL_F: return kiln_bits(ceil(x));
    case KILN_STEP_ROUND_F: return kiln_bits(roundEven(x));
    case KILN_STEP_TRUNC_F: return kiln_bits(trunc(x));
    case KILN_STEP_EXP_F: return kiln_bits(kiln_exp(x));
    case KILN_STEP_EXPM1_F: return kiln_bits(kiln_expm1(x));
    case KILN_STEP_LOG_F: return kiln_bits(kiln_log(x));
    case KILN_STEP_LOG1P_F: return kiln_bits(kiln_log1p(x));
    case KILN_STEP_SQRT_F: return kiln_bits(sqrt(x));
    case KILN_STEP_RSQRT_F: return kiln_bits(inversesqrt(x));
    case KILN_STEP_RECIPROCAL_F: return kiln_bits(1.0 / x);
    case KILN_STEP_TANH_F: return kiln_bits(kiln_tanh(x));
    case KILN_STEP_SIGMOID_F: return kiln_bits(kiln_sigmoid(x));
    case KILN_STEP_SOFTPLUS_F: return kiln_bits(kiln_softplus(x));
    case KILN_STEP_RELU_F: return kiln_relu(a);
    case KILN_STEP_ERF_F: return kiln_bits(kiln_erf(x));
    case KILN_STEP_GELU_F: return kiln_bits(kiln_gelu(x));
    case KILN_STEP_GELU_TANH_F: return kiln_bits(kiln_gelu_tanh(x));
    case KILN_STEP_MISH_F: return kiln_bits(kiln_mish(x));
    case KILN_STEP_HARD_SWISH_F: return kiln_bits(x * kiln_hard_sigmoid(x, 0.166666667, 0.5));
    case KILN_STEP_SOFTSIGN_F: return kiln_bits(x / (1.0 + abs(x)));
    case KILN_STEP_LEAKY_RELU_F: return kiln_bits(x > 0.0 ? x : x * y);
    case KILN_STEP_CLIP_F: return kiln_bits(kiln_min(kiln_max(x, y), z));

    case KILN_STEP_SILU_F: return kiln_bits(kiln_silu(x, y));
    case KILN_STEP_ELU_F: return kiln_bits(kiln_elu(x, y, z));
    case KILN_STEP_SHRINK_F: return kiln_bits(kiln_shrink(x, y, z));
    case KILN_STEP_THRESHOLD_F: return kiln_is_nan(x) || x > y ? a : 0u;
    case KILN_STEP_HARD_SIGMOID_F: return kiln_bits(kiln_hard_sigmoid(x, y, z));

    case KILN_STEP_NEG_I: return 0u - a;
    case KILN_STEP_ABS_I: return uint(abs(int(a)));
    case KILN_STEP_SIGN_I: return uint(sign(int(a)));
    case KILN_STEP_BIT_NOT: return ~a;
    case KILN_STEP_CLIP_I: return uint(min(max(int(a), int(b)), int(c)));
    case KILN_STEP_CLIP_U: return min(max(a, b), c);
    case KILN_STEP_F_FROM_I: return kiln_bits(float(int(a)));
    case KILN_STEP_F_FROM_U: return kiln_bits(float(a));
    case KILN_STEP_I_FROM_F: return uint(kiln_integer_of(x));
    case KILN_STEP_U_FROM_F: return kiln_unsigned_of(x);
    case KILN_STEP_TO_F16: return kiln_to_half(a);
    case KILN_STEP_TO_BF16: return kiln_to_bfloat(a);

    case KILN_STEP_RELU_GRAD_F: return int(a) > 0 && !kiln_is_nan(x) ? b : 0u;
    case KILN_STEP_LEAKY_RELU_GRAD_F: return kiln_bits(x > 0.0 ? y : y * z);
    case KILN_STEP_THRESHOLD_GRAD_F: return !kiln_is_nan(x) && x > z ? b : 0u;
    case KILN_STEP_TANH_GRAD_F: return kiln_bits(y * (1.0 - x) * (1.0 + x));
    case KILN_STEP_SIGMOID_GRAD_F: return kiln_bits(y * x * (1.0 - x));
    case KILN_STEP_SOFTPLUS_GRAD_F: return kiln_bits(-y * kiln_expm1(-x));
    case KILN_STEP_SOFTSIGN_GRAD_F: return kiln_bits(y * kiln_softsign_slope(x));
    case KILN_STEP_HARD_SIGMOID_GRAD_F: return kiln_bits(x > 0.0 && x < 1.0 ? y * z : 0.0);
    case KILN_STEP_HARD_SWISH_GRAD_F: return kiln_bits(y * kiln_hard_swish_slope(x));
    case KILN_STEP_ERF_GRAD_F: return kiln_bits(y * kiln_erf_slope(x));
    case KILN_STEP_GELU_GRAD_F: return kiln_bits(y * kiln_gelu_slope(x));
    case KILN_STEP_GELU_TANH_GRAD_F: return kiln_bits(y * kiln_gelu_tanh_slope(x));
    case KILN_STEP_SILU_GRAD_F: return kiln_bits(y * kiln_silu_slope(x, z));
    case KILN_STEP_MISH_GRAD_F: return kiln_bits(y * kiln_mish_slope(x));
    case KILN_STEP_ELU_SLOPE_F: return kiln_bits(x > 0.0 ? 1.0 : x * y + z);
    case KILN_STEP_ROUNDED_F: return kiln_bits(roundEven(x / y));
    case KILN_STEP_SCALED_I: return kiln_bits(float(int(a - b)) * z);

#ifdef KILN_LONG_STEPS
    case KILN_STEP_POW_F: return kiln_bits(kiln_pow(x, y));
    case KILN_STEP_SIN_F: return kiln_bits(kiln_sin(x));
    case KILN_STEP_COS_F: return kiln_bits(kiln_cos(x));
    case KILN_STEP_TAN_F: return kiln_bits(kiln_tan(x));
    case KILN_STEP_ASIN_F: return kiln_bits(kiln_asin(x));
    case KILN_STEP_ACOS_F: return kiln_bits(kiln_acos(x));
    case KILN_STEP_ATAN_F: return kiln_bits(kiln_atan(x));
    case KILN_STEP_ATAN2_F: return kiln_bits(kiln_atan2(x, y));
    case KILN_STEP_SINH_F: return kiln_bits(kiln_sinh(x));
    case KILN_STEP_COSH_F: return kiln_bits(kiln_cosh(x));
    case KILN_STEP_ASINH_F: return kiln_bits(kiln_asinh(x));
    case KILN_STEP_ACOSH_F: return kiln_bits(kiln_acosh(x));
    case KILN_STEP_ATANH_F: return kiln_bits(kiln_atanh(x));
    case KILN_STEP_MOD_F: return kiln_bits(kiln_mod(x, y));
    case KILN_STEP_REST_F: return kiln_bits(kiln_rest(x, y));
    case KILN_STEP_POW_I: return kiln_power_integers(a, b);
#endif
    }
    return a;                                                       /* KILN_STEP_COPY */
}
