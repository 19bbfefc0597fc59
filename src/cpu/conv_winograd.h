/* conv_winograd.h - what both directions of conv_winograd share on a CPU: eight values side by side, and the transform of x. */
#ifndef KILN_CPU_CONV_WINOGRAD_H
#define KILN_CPU_CONV_WINOGRAD_H

#include <stddef.h>

#include "cpu/simd.h"

#define IN     6 /* a tile of x, of y */
#define OUT    4
#define LANES  8
#define PLACES (IN * IN)

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)         (*(const loose *)(at))
#define STORE(at, value) (*(loose *)(at) = (value))
/* Unrolled, so that the compiler finds a register for each. */
#define EACH_IN(i) _Pragma("GCC unroll 6") for (size_t i = 0; i < IN; i++)

/* to = B^T d for six vectors, where to lies `step` apart. */
KILN_INLINE void transform_in(lanes *to, size_t step, const lanes d[IN])
{
    const lanes even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1], outer = d[4] - d[2], inner = 2 * (d[3] - d[1]);
    to[0] = 4 * d[0] - 5 * d[2] + d[4];
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = outer + inner;
    to[4 * step] = outer - inner;
    to[5 * step] = 4 * d[1] - 5 * d[3] + d[5];
}

#endif
