/*
 * rows.h - the table that the kernels over whole arenas work by: a row for each run of at most
 * KILN_UPDATE_BLOCK elements of one parameter. Positions are elements of what is bound.
 */
#ifndef KILN_UPDATE_ROWS_H
#define KILN_UPDATE_ROWS_H

#define KILN_UPDATE_BLOCK 16384u

/* The words of a row. */
#define KILN_ROW_PARAMETER 0u   /* position in the arenas of parameters and of optimizer state */
#define KILN_ROW_GRADIENT 1u    /* position among the gradients */
#define KILN_ROW_COUNT 2u
#define KILN_ROW_RATE 3u        /* factor of the rate: a float, and the float that a double has beyond it */
#define KILN_ROW_DECAY 5u       /* weight decay, likewise */
#define KILN_ROW_WORDS 7u

/* The scalars that change from step to step lie 64 elements apart, so that each may be another kernel's result. The last two are
 * there where steps are guarded. */
#define KILN_SCALAR_RATE 0u
#define KILN_SCALAR_C1 64u
#define KILN_SCALAR_C2 128u
#define KILN_SCALAR_UNSCALE 192u /* a factor of each gradient before anything else */
#define KILN_SCALAR_GO 256u      /* 0: leave parameters and state as they are */

#endif
