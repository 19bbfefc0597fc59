/*
 * bytes.h - a block of products of rows with columns of packed bytes, which matmul and convolution share.
 *
 *   sum[i, j] = sum over k of a[i, k] b[k, j]
 *
 * Where the processor multiplies bytes (AVX-512 VNNI), words of four are its operands; else they are widened to pairs of 16 bits.
 * Integers add up alike in every order.
 */
#ifndef KILN_CPU_BYTES_H
#define KILN_CPU_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KILN_BYTES_ROWS    128 /* of a block, at most */
#define KILN_BYTES_COLUMNS 64
#define KILN_BYTES_QUADS   64 /* words over the sum that are added at a time, at most */
#define KILN_BYTES_MOST    12 /* rows of the largest tile of any machine */

/** c[i][j] += sum over k of the dot product of the words a[i * a_row + k] and b[k][j]; rows of b and c are COLUMNS apart. */
typedef void kiln_bytes_tile(size_t depth, const int32_t *a, size_t a_row, const int32_t *b, int32_t *c);

/** The sum of all numbers in words. */
typedef int32_t kiln_bytes_sum(size_t depth, const int32_t *a);

struct kiln_bytes_tiles {
    bool quads;        /* words hold four bytes, b's of them 128 more; else two of 16 bits */
    int rows, columns; /* of the largest tile; columns are those of every tile */
    kiln_bytes_tile *tile[KILN_BYTES_MOST + 1]; /* by rows */
    kiln_bytes_sum *sum;
};

/** The tiles for this machine (cpu.h). */
const struct kiln_bytes_tiles *kiln_bytes_tiles_get(void);

/** Zero points, `step` apart, of numbers that have been made `flip` less; at NULL they are 0. */
struct kiln_bytes_zeros {
    const int32_t *at;
    size_t step;
    uint32_t flip;
};

/** Those that a binding holds, from one on; nothing may be bound. */
static inline struct kiln_bytes_zeros kiln_bytes_zeros_from(const int32_t *at, size_t first, size_t step,
                                                            uint32_t flip)
{
    return (struct kiln_bytes_zeros){at ? at + first * step : NULL, step, flip};
}

struct kiln_bytes_block {
    const struct kiln_bytes_tiles *tiles;
    size_t rows, columns;
    int32_t za[KILN_BYTES_ROWS], zb[KILN_BYTES_COLUMNS]; /* less what was flipped */
    bool row_sums, column_sums;                          /* whether any of these takes something off */
    int32_t b[KILN_BYTES_QUADS][KILN_BYTES_COLUMNS];     /* what is added next: packed bytes, the caller's */
    int32_t b_pairs[2 * KILN_BYTES_QUADS][KILN_BYTES_COLUMNS], a_pairs[KILN_BYTES_MOST][2 * KILN_BYTES_QUADS];
    int32_t sum[KILN_BYTES_ROWS][KILN_BYTES_COLUMNS];
    int32_t a_sum[KILN_BYTES_ROWS], b_sum[KILN_BYTES_COLUMNS]; /* of each operand alone */
};

/** Begin with nothing. */
void kiln_bytes_begin(struct kiln_bytes_block *t, const struct kiln_bytes_tiles *tiles, size_t rows,
                      size_t columns, struct kiln_bytes_zeros a, struct kiln_bytes_zeros b);

/** Add the products of so many words of each of a's rows, a_row words apart, with those in t->b. */
void kiln_bytes_add(struct kiln_bytes_block *t, const uint32_t *a, size_t a_row, size_t quads);

/** End: t->sum holds the results, less what the zero points of `depth` terms take off. */
void kiln_bytes_end(struct kiln_bytes_block *t, size_t depth);

#endif
