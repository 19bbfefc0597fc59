/* turn.h - eight rows of eight words become columns, in registers, or sixteen of sixteen. */
#ifndef KILN_CPU_TURN_H
#define KILN_CPU_TURN_H

#include "cpu/simd.h"

typedef float kiln_eight __attribute__((vector_size(32)));

#define KILN_EACH_FOUR(i)  _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
#define KILN_EACH_EIGHT(i) _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++)

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

typedef float kiln_sixteen __attribute__((vector_size(64)));

/* Sixteen rows likewise: pairs, then pairs of pairs within quarters of a row, then quarters and halves change places. */
KILN_INLINE void kiln_turn_sixteen(kiln_sixteen *row)
{
    kiln_sixteen pair[16], four[16];
    KILN_EACH_EIGHT(i)
    {
        pair[2 * i] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24,
                                              9, 25, 12, 28, 13, 29);
        pair[2 * i + 1] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10,
                                                  26, 11, 27, 14, 30, 15, 31);
    }
    KILN_EACH_EIGHT(i)
    {
        const int at = i / 2 * 4 + i % 2, to = i / 2 * 4 + i % 2 * 2;
        four[to] = __builtin_shufflevector(pair[at], pair[at + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25,
                                           12, 13, 28, 29);
        four[to + 1] = __builtin_shufflevector(pair[at], pair[at + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26,
                                               27, 14, 15, 30, 31);
    }
    KILN_EACH_FOUR(
        i) { /* column 4 q + i of rows 0 to 3 is quarter q of four[i], of rows 4 to 7 of four[4 + i], ... */
        const kiln_sixteen even = __builtin_shufflevector(four[i], four[4 + i], 0, 1, 2, 3, 8, 9, 10, 11, 16,
                                                          17, 18, 19, 24, 25, 26, 27),
                           odd = __builtin_shufflevector(four[i], four[4 + i], 4, 5, 6, 7, 12, 13, 14, 15, 20,
                                                         21, 22, 23, 28, 29, 30, 31),
                           even2 = __builtin_shufflevector(four[8 + i], four[12 + i], 0, 1, 2, 3, 8, 9, 10,
                                                           11, 16, 17, 18, 19, 24, 25, 26, 27),
                           odd2 = __builtin_shufflevector(four[8 + i], four[12 + i], 4, 5, 6, 7, 12, 13, 14,
                                                          15, 20, 21, 22, 23, 28, 29, 30, 31);
        row[i] =
            __builtin_shufflevector(even, even2, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
        row[8 + i] =
            __builtin_shufflevector(even, even2, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
        row[4 + i] =
            __builtin_shufflevector(odd, odd2, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
        row[12 + i] =
            __builtin_shufflevector(odd, odd2, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    }
}

#endif
