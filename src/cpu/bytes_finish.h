/*
 * bytes_finish.h - what a product of bytes does to its sums before it stores them (quantize/finish.h). The usual chain, which scales them
 * and quantizes them again, goes through in registers; all others run through the chain's blocks.
 *
 *   y = saturate(round(relu(real(sum + more) by + plus) / scale) + zero)     each part may be missing
 */
#ifndef KILN_CPU_BYTES_FINISH_H
#define KILN_CPU_BYTES_FINISH_H

#include <kiln/extend.h>

#include "chain/codes.h"
#include "cpu/chain.h"
#include "quantize/finish.h"

/** Results of a row, and words from one row of sums to the next. */
enum { KILN_FINISH_MOST = 64 };

/** A number of the usual chain: an operand's, walked, or the same for all. */
struct kiln_finish_number {
    int operand; /* -1: none */
    uint32_t word;
};

/** How its reals become integers; the least that its relu leaves. */
struct kiln_finish_rounding {
    float scale, zero, low, high, least;
};

struct kiln_bytes_finish {
    const uint32_t *step;
    int steps;
    uint32_t result;
    bool channels; /* a row's results are all of one column (convolution) */
    bool bytes;    /* that is how results are stored */
    uint32_t walk[KILN_FINISH_OPERANDS];
    const uint32_t *operand[KILN_FINISH_OPERANDS]; /* NULL: not there */
    bool usual, rounds;
    bool
        saturates; /* the usual chain, to bytes, by numbers that are the same for all of a row or of a column */
    struct kiln_finish_number more, by, plus, scale, zero;
    struct kiln_finish_rounding rounding;
    float *registers[KILN_CHAIN_REGISTERS];
    _Alignas(64) uint32_t room[KILN_CHAIN_REGISTERS][KILN_FINISH_MOST];
};

/** Read a dispatch's constants and bindings. */
void kiln_bytes_finish_init(struct kiln_bytes_finish *f, const kiln_dispatch *d, const kiln_memory *m,
                            bool channels);

/**
 * Finish rows of `count` sums, KILN_FINISH_MOST at the most, and store them in y: from element `flat` on, rows y_row apart. They
 * lie in columns from `column` on: of a convolution one each row, else those are the same in every row.
 */
void kiln_bytes_finish_store(struct kiln_bytes_finish *f, void *y, size_t flat, size_t y_row,
                             const int32_t *sums, size_t rows, size_t column, size_t count);

#endif
