/*
 * copy.h - the parameters of copy: elements moved from one walk over memory to another.
 *
 *   y[y_start + sum over a of i[a] * y_step[a]] = x[x_start + sum over a of i[a] * x_step[a]]
 *
 * for every index i below size. Steps are in elements and signed (two's complement); a step of 0 in x
 * repeats. Constant 0 is the size of an element in words, 1 or 2; constant 1 is the rank, from 2 to 6.
 */
#include "interface.h"
#include "divide.h"

#define KILN_COPY_RANK 6

KILN_PARAMS(copy) {
    uint count;                         /* product of the sizes */
    uint x_start, y_start;
    uint size[KILN_COPY_RANK];
    uint x_step[KILN_COPY_RANK];
    uint y_step[KILN_COPY_RANK];
    uint multiplier[KILN_COPY_RANK];    /* of the sizes, as in divide.h ... */
    uint shifts;                        /* ... 5 bits each */
} KILN_PARAMS_END;
