/* epilogue_fast.h - epilogues on whole rows of results, for the fast kernels. */
#ifndef KILN_CPU_EPILOGUE_FAST_H
#define KILN_CPU_EPILOGUE_FAST_H

#include <kiln/extend.h>

#include "chain/codes.h"
#include "cpu/chain.h"
#include "cpu/tile.h"

struct kiln_row_epilogue {
    const uint32_t *step;
    int steps, result;
    uint32_t walk[KILN_EPILOGUE_OPERANDS];
    const float *operand[KILN_EPILOGUE_OPERANDS]; /* NULL: not there */
    bool channels;                                /* the column is the same for all of a row (convolution) */
    bool usual;                                   /* nothing but: */
    struct kiln_row_step {
        enum kiln_tile_code code; /* of the value so far */
        int operand;              /* which one is added or multiplied; -1: the number */
        float number;
    } row[KILN_EPILOGUE_STEPS];
    float *registers[KILN_CHAIN_REGISTERS];
    _Alignas(64) float room[KILN_EPILOGUE_OPERANDS + KILN_EPILOGUE_STEPS + KILN_EPILOGUE_IMMEDIATES]
                           [KILN_CHAIN_BLOCK];
    _Alignas(64) float gathered[KILN_CHAIN_BLOCK]; /* results of several rows */
};

/** Read an epilogue: from a dispatch's constants, its block's words, its bindings. `channels` is true for convolution. */
void kiln_row_epilogue_init(struct kiln_row_epilogue *e, const uint32_t *constants, const uint32_t *immediate,
                            void *const *operands, bool channels);

/** Apply it to count results at c, which begin at element `flat` of the output, in that row and column. */
void kiln_row_epilogue_run(struct kiln_row_epilogue *e, float *c, size_t flat, size_t row, size_t column,
                           size_t count);

/**
 * The steps (e->steps) with their operands as numbers, for a kernel that takes them in registers: where they are usual ones, and each
 * operand is one number for all of a row in that column; else NULL. Lent until the next call.
 */
const struct kiln_row_step *kiln_row_epilogue_numbers(struct kiln_row_epilogue *e, size_t column);

/**
 * Apply it to rows of count results each at x, x_row apart, of which the first is as above and the others follow it, and leave
 * them at c, c_row apart: which may be x.
 */
void kiln_row_epilogue_rows(struct kiln_row_epilogue *e, float *c, size_t c_row, const float *x, size_t x_row,
                            size_t flat, size_t row, size_t column, size_t rows, size_t count);

/**
 * The steps for results in registers, row 0 and column 0 of which are element `flat` of the output, its rows `plane` apart, each a
 * channel from the first on; not `all` where they are none of the usual ones. It lends from e.
 */
struct kiln_tile_finish kiln_row_epilogue_finish(const struct kiln_row_epilogue *e, size_t flat,
                                                 size_t plane);

#endif
