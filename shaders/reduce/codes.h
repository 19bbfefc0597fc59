/* codes.h - what a reduction does with the values of its axes, for C and GLSL. The letters are those of chain/codes.h. */
#ifndef KILN_REDUCE_CODES_H
#define KILN_REDUCE_CODES_H

#define KILN_REDUCE_SUM_F 0u
#define KILN_REDUCE_PRODUCT_F 1u
#define KILN_REDUCE_MAX_F 2u
#define KILN_REDUCE_MIN_F 3u
#define KILN_REDUCE_L1_F 4u         /* the sum of |x| */
#define KILN_REDUCE_SQUARES_F 5u    /* the sum of x^2 */
#define KILN_REDUCE_EXP_F 6u        /* log of the sum of exp(x), from the largest x, so that it cannot overflow */
#define KILN_REDUCE_SUM_I 7u
#define KILN_REDUCE_PRODUCT_I 8u
#define KILN_REDUCE_MAX_I 9u
#define KILN_REDUCE_MIN_I 10u
#define KILN_REDUCE_MAX_U 11u
#define KILN_REDUCE_MIN_U 12u
#define KILN_REDUCE_L1_I 13u
#define KILN_REDUCE_SQUARES_I 14u
/* the place of the largest (smallest) value, counted along the reduced axes; NaN is largest (smallest) */
#define KILN_REDUCE_ARGMAX_F 15u
#define KILN_REDUCE_ARGMIN_F 16u
#define KILN_REDUCE_ARGMAX_I 17u
#define KILN_REDUCE_ARGMIN_I 18u
#define KILN_REDUCE_ARGMAX_U 19u
#define KILN_REDUCE_ARGMIN_U 20u

#define KILN_REDUCE_IS_PLACE(code) ((code) >= KILN_REDUCE_ARGMAX_F)

/* What is done to a result of reals before it is stored; and which of equals a place is. */
#define KILN_REDUCE_FINISH_NONE 0u
#define KILN_REDUCE_FINISH_ROOT 1u
#define KILN_REDUCE_FINISH_LOG 2u
#define KILN_REDUCE_FINISH_LAST 3u  /* the last of equals; else the first */

#endif
