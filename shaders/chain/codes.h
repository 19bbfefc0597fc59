/*
 * codes.h - the steps that a chain of elementwise work is made of, for C and GLSL.
 *
 * A chain runs on registers of 32 bits (64 in float64 programs): 0 to 7 are loaded operands (of an epilogue, 0 is the value
 * that the kernel computed), 8 to 15 the results of its steps, 16 to 23 immediates. A step is one word:
 * code | a << 8 | b << 16 | c << 24, where a, b, c are registers. The letter says what a code works on: F reals, I signed
 * integers; a truth value is the integer 0 or 1.
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
#define KILN_STEP_POW_F 7u
/* two integers */
#define KILN_STEP_ADD_I 8u
#define KILN_STEP_SUB_I 9u
#define KILN_STEP_MUL_I 10u
#define KILN_STEP_DIV_I 11u
#define KILN_STEP_MAX_I 12u
#define KILN_STEP_MIN_I 13u
/* comparisons */
#define KILN_STEP_EQUAL_F 14u
#define KILN_STEP_NOT_EQUAL_F 15u
#define KILN_STEP_LESS_F 16u
#define KILN_STEP_LESS_EQUAL_F 17u
#define KILN_STEP_EQUAL_I 18u
#define KILN_STEP_NOT_EQUAL_I 19u
#define KILN_STEP_LESS_I 20u
#define KILN_STEP_LESS_EQUAL_I 21u
/* truth */
#define KILN_STEP_AND 22u
#define KILN_STEP_OR 23u
#define KILN_STEP_NOT 24u
/* a ? b : c; any registers b, c */
#define KILN_STEP_WHERE 25u
/* one real */
#define KILN_STEP_NEG_F 26u
#define KILN_STEP_ABS_F 27u
#define KILN_STEP_SIGN_F 28u
#define KILN_STEP_FLOOR_F 29u
#define KILN_STEP_EXP_F 30u
#define KILN_STEP_EXPM1_F 31u
#define KILN_STEP_LOG_F 32u
#define KILN_STEP_LOG1P_F 33u
#define KILN_STEP_SQRT_F 34u
#define KILN_STEP_RSQRT_F 35u
#define KILN_STEP_RECIPROCAL_F 36u
#define KILN_STEP_SIN_F 37u
#define KILN_STEP_COS_F 38u
#define KILN_STEP_TANH_F 39u
#define KILN_STEP_SIGMOID_F 40u
#define KILN_STEP_SOFTPLUS_F 41u
#define KILN_STEP_RELU_F 42u
/* x > 0 ? x : b * x */
#define KILN_STEP_LEAKY_RELU_F 43u
/* min(max(a, b), c) with NaN passing */
#define KILN_STEP_CLIP_F 44u
/* one integer */
#define KILN_STEP_NEG_I 45u
#define KILN_STEP_ABS_I 46u
/* conversions */
#define KILN_STEP_F_FROM_I 47u
#define KILN_STEP_I_FROM_F 48u
#define KILN_STEP_TRUTH_F 49u       /* a != 0 */
#define KILN_STEP_TRUTH_I 50u
/* gradients that would take several steps: a is x (or y), b is dy */
#define KILN_STEP_RELU_GRAD_F 51u   /* a > 0 ? b : 0, a = x or y */
#define KILN_STEP_COPY 52u          /* a, bits and all */
#define KILN_STEP_COUNT 53u

#endif
