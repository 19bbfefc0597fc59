/* zeros.h - the bits of constant 0 of matmul_bytes and conv_bytes: what is known of the operands' zero points. */
#ifndef KILN_QUANTIZE_ZEROS_H
#define KILN_QUANTIZE_ZEROS_H

#define KILN_BYTES_A_ZERO 1u    /* less its flip, the zero point may be other than 0: of the first operand, ... */
#define KILN_BYTES_B_ZERO 2u    /* ... of the second */
#define KILN_BYTES_A_BOUND 4u   /* the zero point is bound, else it is 0 */
#define KILN_BYTES_B_BOUND 8u
#define KILN_BYTES_ONES 0x01010101u

#endif
