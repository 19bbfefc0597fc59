/*
 * matmul_bytes.h - the product of matrices of 8-bit numbers, in 32 bits, which wrap:
 *
 *   c[b, m, n] = sum over k < depth of (a[b, m, k] - (a_zero[m] - a_flip)) * (b[b, n, k] - (b_zero[n] - b_flip))
 *
 * a and b are rows of packed signed bytes (pack_bytes.h), `quads` words each, 0 from depth on; both are rows over k, so b is
 * transposed. A zero point that is not bound is 0; a step of 0 means one for all. The batch index counts up to three axes
 * (batch.h), along which an operand's matrices lie a_batch0, .. words apart; c is dense.
 *
 * bindings   0: a    1: b    2: a_zero, I32    3: b_zero, I32    4: c    5, 6: operands of what follows
 * constants  0: zeros.h    1 .. 18: what is done to each result before it is stored, finish.h
 * units      rows of c, of all matrices
 */
#include "interface.h"
#include "batch.h"
#include "zeros.h"

KILN_PARAMS(matmul_bytes) {
    uint m, n, quads, depth;
    uint batch, batch1, batch2;         /* matrices in all; sizes of the last two batch axes */
    uint a_batch0, a_batch1, a_batch2;
    uint b_batch0, b_batch1, b_batch2;
    uint c_batch, c_m;
    uint a_step, b_step;                /* of the zero points */
    uint a_flip, b_flip;
} KILN_PARAMS_END;
