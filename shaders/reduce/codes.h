/* codes.h - what a reduction does with the values of its axes, for C and GLSL. */
#ifndef KILN_REDUCE_CODES_H
#define KILN_REDUCE_CODES_H

#define KILN_REDUCE_SUM_F 0u
#define KILN_REDUCE_MAX_F 1u
#define KILN_REDUCE_MIN_F 2u
#define KILN_REDUCE_SUM_I 3u
#define KILN_REDUCE_MAX_I 4u
#define KILN_REDUCE_MIN_I 5u
/* the place of the first largest (smallest) value, counted along the reduced axes; NaN is largest (smallest) */
#define KILN_REDUCE_ARGMAX_F 6u
#define KILN_REDUCE_ARGMIN_F 7u
#define KILN_REDUCE_ARGMAX_I 8u
#define KILN_REDUCE_ARGMIN_I 9u
#define KILN_REDUCE_COUNT 10

#endif
