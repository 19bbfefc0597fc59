/* bytes.h - a tile of products of rows of bytes, which matmul and convolution of packed bytes share. */
#ifndef KILN_CPU_BYTES_H
#define KILN_CPU_BYTES_H

#include <stddef.h>
#include <stdint.h>

#define KILN_BYTES_ROWS    16
#define KILN_BYTES_COLUMNS 32
#define KILN_BYTES_TERMS   512 /* at a time */

/** Operands, 16 bits a term, and what has been summed: products, and each operand alone. */
struct kiln_bytes_tile {
    int16_t a[KILN_BYTES_ROWS][KILN_BYTES_TERMS], b[KILN_BYTES_COLUMNS][KILN_BYTES_TERMS];
    int32_t sum[KILN_BYTES_ROWS][KILN_BYTES_COLUMNS], a_sum[KILN_BYTES_ROWS], b_sum[KILN_BYTES_COLUMNS];
};

/** Begin with nothing, for so many columns. */
void kiln_bytes_clear(struct kiln_bytes_tile *t, size_t columns);

/** Add `count` bytes, at most KILN_BYTES_TERMS, of each row of both operands, which lie so many bytes apart. */
void kiln_bytes_add(struct kiln_bytes_tile *t, const int8_t *a, const int8_t *b, size_t a_row, size_t b_row,
                    size_t rows, size_t columns, size_t count);

/** Result i, j less what zero points take off; `depth` terms have them. */
static inline int32_t kiln_bytes_result(const struct kiln_bytes_tile *t, size_t i, size_t j, int32_t za,
                                        int32_t zb, size_t depth)
{
    const uint32_t a = (uint32_t)za, b = (uint32_t)zb;
    const uint32_t off = b * (uint32_t)t->a_sum[i] + a * (uint32_t)t->b_sum[j] - (uint32_t)depth * a * b;
    return (int32_t)((uint32_t)t->sum[i][j] - off);
}

#endif
