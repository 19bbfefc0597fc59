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
#define KILN_STEP_INSIDE_F 38u      /* b <= a && a <= c */
#define KILN_STEP_NOT 39u
#define KILN_STEP_TRUTH_F 40u       /* a != 0 */
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
#define KILN_STEP_ROUND_F 49u       /* halves to even */
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
/* a real and numbers */
#define KILN_STEP_LEAKY_RELU_F 62u  /* a > 0 ? a : b * a */
#define KILN_STEP_CLIP_F 63u        /* min(max(a, b), c); NaN passes */
/* integers */
#define KILN_STEP_NEG_I 64u
#define KILN_STEP_ABS_I 65u
#define KILN_STEP_SIGN_I 66u
#define KILN_STEP_BIT_NOT 67u
#define KILN_STEP_CLIP_I 68u
#define KILN_STEP_CLIP_U 69u
/* conversions */
#define KILN_STEP_F_FROM_I 70u
#define KILN_STEP_F_FROM_U 71u
#define KILN_STEP_I_FROM_F 72u
#define KILN_STEP_U_FROM_F 73u
#define KILN_STEP_TO_F16 74u         /* a real rounded to what F16 holds; in float64 programs as it is */
#define KILN_STEP_TO_BF16 75u
/* gradients that would take several steps: a is x (or y), b is dy */
#define KILN_STEP_RELU_GRAD_F 76u   /* a > 0 ? b : 0, a = x or y */
/* a, bits and all */
#define KILN_STEP_COPY 77u
/* Too long to stand in each of a chain's places: KILN_STEP_IS_LONG from here on. They run by themselves. */
#define KILN_STEP_POW_F 78u
#define KILN_STEP_SIN_F 79u
#define KILN_STEP_COS_F 80u
#define KILN_STEP_MOD_F 81u         /* as the integers', exact */
#define KILN_STEP_REST_F 82u
#define KILN_STEP_POW_I 83u
#define KILN_STEP_COUNT 84u

#define KILN_STEP_IS_TRUTH(code) ((code) >= KILN_STEP_EQUAL_F && (code) <= KILN_STEP_INFINITE_F)
#define KILN_STEP_IS_LONG(code) ((code) > KILN_STEP_COPY)

#endif
