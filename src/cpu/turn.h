/* turn.h - eight rows of eight words become columns, in registers. */
#ifndef KILN_CPU_TURN_H
#define KILN_CPU_TURN_H

#include "cpu/simd.h"

typedef float kiln_eight __attribute__((vector_size(32)));

#define KILN_EACH_FOUR(i) _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)

/* Rows become columns: pairs of elements, then of pairs, then of halves change places. */
KILN_INLINE void kiln_turn_eight(kiln_eight *row)
{
    kiln_eight pair[8], four[8];
    KILN_EACH_FOUR(i) {
        pair[2 * i] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pair[2 * i + 1] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    KILN_EACH_FOUR(i) {
        const int at = i / 2 * 4 + i % 2, to = i / 2 * 4 + i % 2 * 2;
        four[to] = __builtin_shufflevector(pair[at], pair[at + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        four[to + 1] = __builtin_shufflevector(pair[at], pair[at + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    KILN_EACH_FOUR(i) {
        row[i] = __builtin_shufflevector(four[i], four[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        row[i + 4] = __builtin_shufflevector(four[i], four[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#endif
