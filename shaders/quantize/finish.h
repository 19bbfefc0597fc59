/*
 * finish.h - the constants by which matmul_bytes and conv_bytes take each sum through a chain of steps before they store it, so
 * that it is stored as the next layer's bytes. On the CPU alone; elsewhere there are no steps. Register 0 is the sum, registers
 * 1 and 2 are operands, walked FLAT, SCALAR or COLUMN as an epilogue's (chain/codes.h).
 *
 *   constants  1: operands, the sum among them | steps << 8 | register of the result << 16
 *              2 .. 9: the steps
 *              10: walk of operand 1 | of operand 2 << 4 | bit 8: the result is a real | bits 9, 10: operands 1, 2 are
 *                  | bit 16 + i: immediate i is an integer
 *              11 .. 18: the immediates, a word each
 */
#ifndef KILN_QUANTIZE_FINISH_H
#define KILN_QUANTIZE_FINISH_H

#define KILN_FINISH_HEAD       1
#define KILN_FINISH_STEPS      2
#define KILN_FINISH_KINDS      10
#define KILN_FINISH_IMMEDIATES 11
#define KILN_FINISH_END        19
#define KILN_FINISH_OPERANDS   2 /* beside the sum */

#endif
