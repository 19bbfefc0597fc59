/*
 * codes.h - the steps that a chain of elementwise work is made of, for C and GLSL.
 *
 * A chain runs on registers of 32 bits (64 in float64 programs): 0 to 7 are loaded operands (of an epilogue, 0 is the value
 * that the kernel computed), 8 to 15 the results of its steps, 16 to 23 immediates. A step is one word:
 * code | a << 8 | b << 16 | c << 24, where a, b, c are registers. The letter says what a code works on: F reals, I integers
 * (signed, where that matters), U unsigned ones; a truth value is the integer 0 or 1.
 */
#ifndef KILN_CHAIN_CODES_H
#define KILN_CHAIN_CODES_H

#define KILN_CHAIN_STEPS 8
#define KILN_CHAIN_OPERANDS 8       /* loaded and stored ones together */
#define KILN_CHAIN_IMMEDIATES 8
#define KILN_EPILOGUE_STEPS 4
#define KILN_EPILOGUE_OPERANDS 2    /* beside the computed value */
#define KILN_EPILOGUE_IMMEDIATES 4
#define KILN_REGISTER_STEP 8
#define KILN_REGISTER_IMMEDIATE 16

/* How an operand is walked. In a chain: FLAT by the element's index; SCALAR one for all; ROW by index / p.row (one value a
 * row); COLUMN by index % p.row (one row for all rows); STRIDED by full index arithmetic. In an epilogue of matmul or
 * convolution: FLAT as the output; SCALAR; COLUMN by the output's column n (matmul) or channel (convolution); ROW by the
 * output's row m of the matrix (matmul only). */
#define KILN_WALK_FLAT 0u
#define KILN_WALK_SCALAR 1u
#define KILN_WALK_ROW 2u
#define KILN_WALK_COLUMN 3u
#define KILN_WALK_STRIDED 4u

#define KILN_STEP_NONE 0u
/* two reals */
#define KILN_STEP_ADD_F 1u
#define KILN_STEP_SUB_F 2u
#define KILN_STEP_MUL_F 3u
#define KILN_STEP_DIV_F 4u
#define KILN_STEP_MAX_F 5u
#define KILN_STEP_MIN_F 6u
/* two integers; a division by zero gives 0. MOD has the sign of b, REST that of a */
#define KILN_STEP_ADD_I 7u
#define KILN_STEP_SUB_I 8u
#define KILN_STEP_MUL_I 9u
#define KILN_STEP_DIV_I 10u
#define KILN_STEP_MOD_I 11u
#define KILN_STEP_REST_I 12u
#define KILN_STEP_MAX_I 13u
#define KILN_STEP_MIN_I 14u
/* the same of unsigned numbers, where these differ */
#define KILN_STEP_DIV_U 15u
#define KILN_STEP_MOD_U 16u
#define KILN_STEP_MAX_U 17u
#define KILN_STEP_MIN_U 18u
/* bits; a shift by 32 or more leaves none, or the sign alone */
#define KILN_STEP_BIT_AND 19u
#define KILN_STEP_BIT_OR 20u
#define KILN_STEP_BIT_XOR 21u
#define KILN_STEP_SHIFT_LEFT 22u
#define KILN_STEP_SHIFT_RIGHT_I 23u
#define KILN_STEP_SHIFT_RIGHT_U 24u
/* truth: KILN_STEP_IS_TRUTH from here ... */
#define KILN_STEP_EQUAL_F 25u
#define KILN_STEP_NOT_EQUAL_F 26u
#define KILN_STEP_LESS_F 27u
#define KILN_STEP_LESS_EQUAL_F 28u
#define KILN_STEP_EQUAL_I 29u
#define KILN_STEP_NOT_EQUAL_I 30u
#define KILN_STEP_LESS_I 31u
#define KILN_STEP_LESS_EQUAL_I 32u
#define KILN_STEP_LESS_U 33u
#define KILN_STEP_LESS_EQUAL_U 34u
#define KILN_STEP_AND 35u
#define KILN_STEP_OR 36u
#define KILN_STEP_XOR 37u
#define KILN_STEP_INSIDE_F 38u            /* b <= a && a <= c */
#define KILN_STEP_NOT 39u
#define KILN_STEP_TRUTH_F 40u             /* a != 0 */
#define KILN_STEP_TRUTH_I 41u
#define KILN_STEP_INFINITE_F 42u
/* ... to here. a ? b : c; any registers b, c */
#define KILN_STEP_WHERE 43u
/* one real */
#define KILN_STEP_NEG_F 44u
#define KILN_STEP_ABS_F 45u
#define KILN_STEP_SIGN_F 46u
#define KILN_STEP_FLOOR_F 47u
#define KILN_STEP_CEIL_F 48u
#define KILN_STEP_ROUND_F 49u             /* halves to even */
#define KILN_STEP_TRUNC_F 50u
#define KILN_STEP_EXP_F 51u
#define KILN_STEP_EXPM1_F 52u
#define KILN_STEP_LOG_F 53u
#define KILN_STEP_LOG1P_F 54u
#define KILN_STEP_SQRT_F 55u
#define KILN_STEP_RSQRT_F 56u
#define KILN_STEP_RECIPROCAL_F 57u
#define KILN_STEP_TANH_F 58u
#define KILN_STEP_SIGMOID_F 59u
#define KILN_STEP_SOFTPLUS_F 60u
#define KILN_STEP_RELU_F 61u
#define KILN_STEP_ERF_F 62u
#define KILN_STEP_GELU_F 63u
#define KILN_STEP_GELU_TANH_F 64u
#define KILN_STEP_MISH_F 65u
#define KILN_STEP_HARD_SWISH_F 66u
#define KILN_STEP_SOFTSIGN_F 67u
/* a real and one or two more: slopes, edges */
#define KILN_STEP_LEAKY_RELU_F 68u        /* a > 0 ? a : b * a */
#define KILN_STEP_CLIP_F 69u              /* min(max(a, b), c); NaN passes */
#define KILN_STEP_SILU_F 70u              /* a sigmoid(b a) */
#define KILN_STEP_ELU_F 71u               /* a > 0 ? a : b expm1(c a) */
#define KILN_STEP_SHRINK_F 72u            /* |a| > b ? a -+ c : 0 */
#define KILN_STEP_THRESHOLD_F 73u         /* a > b ? a : 0 */
#define KILN_STEP_HARD_SIGMOID_F 74u      /* clip(b a + c, 0, 1) */
/* integers */
#define KILN_STEP_NEG_I 75u
#define KILN_STEP_ABS_I 76u
#define KILN_STEP_SIGN_I 77u
#define KILN_STEP_BIT_NOT 78u
#define KILN_STEP_CLIP_I 79u
#define KILN_STEP_CLIP_U 80u
/* conversions */
#define KILN_STEP_F_FROM_I 81u
#define KILN_STEP_F_FROM_U 82u
#define KILN_STEP_I_FROM_F 83u
#define KILN_STEP_U_FROM_F 84u
#define KILN_STEP_TO_F16 85u              /* a real rounded to what F16 holds; in float64 programs as it is */
#define KILN_STEP_TO_BF16 86u
/* gradients that would take several steps: a is x (or y), b is dy, c as above */
#define KILN_STEP_RELU_GRAD_F 87u         /* a > 0 ? b : 0, a = x or y */
#define KILN_STEP_LEAKY_RELU_GRAD_F 88u   /* a > 0 ? b : b c */
#define KILN_STEP_THRESHOLD_GRAD_F 89u    /* a > c ? b : 0 */
#define KILN_STEP_TANH_GRAD_F 90u         /* a = y, as for the three below */
#define KILN_STEP_SIGMOID_GRAD_F 91u
#define KILN_STEP_SOFTPLUS_GRAD_F 92u
#define KILN_STEP_SOFTSIGN_GRAD_F 93u
#define KILN_STEP_HARD_SIGMOID_GRAD_F 94u /* a = y */
#define KILN_STEP_HARD_SWISH_GRAD_F 95u
#define KILN_STEP_ERF_GRAD_F 96u
#define KILN_STEP_GELU_GRAD_F 97u
#define KILN_STEP_GELU_TANH_GRAD_F 98u
#define KILN_STEP_SILU_GRAD_F 99u
#define KILN_STEP_MISH_GRAD_F 100u
#define KILN_STEP_ELU_SLOPE_F 101u        /* a > 0 ? 1 : b a + c, a = y: a factor of dy */
/* two steps of quantizing and three of the way back, each rounded as by itself: what fusing makes of these */
#define KILN_STEP_ROUNDED_F 102u          /* a / b, halves to even */
#define KILN_STEP_SCALED_I 103u           /* (a - b) c, a and b integers */
/* a, bits and all */
#define KILN_STEP_COPY 104u
/* Too long to stand in each of a chain's places: KILN_STEP_IS_LONG from here on. They run by themselves. */
#define KILN_STEP_POW_F 105u
#define KILN_STEP_SIN_F 106u
#define KILN_STEP_COS_F 107u
#define KILN_STEP_TAN_F 108u
#define KILN_STEP_ASIN_F 109u
#define KILN_STEP_ACOS_F 110u
#define KILN_STEP_ATAN_F 111u
#define KILN_STEP_ATAN2_F 112u
#define KILN_STEP_SINH_F 113u
#define KILN_STEP_COSH_F 114u
#define KILN_STEP_ASINH_F 115u
#define KILN_STEP_ACOSH_F 116u
#define KILN_STEP_ATANH_F 117u
#define KILN_STEP_MOD_F 118u              /* as the integers', exact */
#define KILN_STEP_REST_F 119u
#define KILN_STEP_POW_I 120u
#define KILN_STEP_COUNT 121u

#define KILN_STEP_IS_TRUTH(code) ((code) >= KILN_STEP_EQUAL_F && (code) <= KILN_STEP_INFINITE_F)
#define KILN_STEP_IS_LONG(code) ((code) > KILN_STEP_COPY)

#endif
