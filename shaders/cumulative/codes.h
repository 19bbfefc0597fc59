/*
 * codes.h - what a cumulation combines, for C and GLSL. F is of reals, I of integers, U of unsigned ones.
 *
 * A state is a value, and for some a second number: of an extreme where it stands, an integer; of LINEAR the factor of what comes
 * before, as every y[t] = a[t] y[t - 1] + x[t] is a factor and a term, the value, of an earlier one.
 */
#ifndef KILN_CUMULATIVE_CODES_H
#define KILN_CUMULATIVE_CODES_H

#define KILN_CUMULATE_SUM_F 0u
#define KILN_CUMULATE_PROD_F 1u
#define KILN_CUMULATE_MAX_F 2u
#define KILN_CUMULATE_MIN_F 3u
#define KILN_CUMULATE_LINEAR_F 4u
#define KILN_CUMULATE_SUM_I 5u
#define KILN_CUMULATE_PROD_I 6u
#define KILN_CUMULATE_MAX_I 7u
#define KILN_CUMULATE_MIN_I 8u
#define KILN_CUMULATE_MAX_U 9u
#define KILN_CUMULATE_MIN_U 10u

/* How. */
#define KILN_CUMULATE_EXCLUSIVE 1u      /* y[t] leaves x[t] out */
#define KILN_CUMULATE_REVERSE 2u        /* from the end of the row */
#define KILN_CUMULATE_LAGGED 4u         /* LINEAR takes the factor from the element before, in the order of the cumulation */
#define KILN_CUMULATE_TOTALS 8u         /* y is the state of each part alone */
#define KILN_CUMULATE_STATES 16u        /* x and y are such states */

#endif
