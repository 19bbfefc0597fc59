/*
 * batch.h - where the matrices of a batch begin, for C and GLSL: the batch's index counts (b0 * batch1 + b1) * batch2 + b2, and an
 * operand has a step for each of the three, 0 where it repeats.
 *
 * Elements from the operand's first matrix to the batch's: p is a block with batch1, batch2 and OPERAND_batch0, .. 2.
 */
#ifndef KILN_BATCH_H
#define KILN_BATCH_H

#define KILN_MATRIX_AT(p, operand, batch)                                                                            \
    ((batch) / (p).batch2 / (p).batch1 * (p).operand##_batch0 +                                                      \
     (batch) / (p).batch2 % (p).batch1 * (p).operand##_batch1 + (batch) % (p).batch2 * (p).operand##_batch2)

#endif
