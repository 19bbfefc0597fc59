/*
 * matmul.h - the parameters of matmul:
 *
 *   c[b, m, n] = epilogue(sum over k of a[b, m, k] * b[b, k, n])
 *
 * An operand is walked by strides, in elements; a stride of 0 repeats it. The batch index b counts up to three axes (batch.h);
 * c's matrices follow each other c_batch apart, its rows c_m, its columns are dense.
 */
#include "interface.h"
#include "batch.h"
#include "epilogue.h"

KILN_PARAMS(matmul) {
    uint m, n, k;
    uint batch, batch1, batch2;     /* matrices in all; sizes of the last two batch axes */
    uint a_m, a_k, a_batch0, a_batch1, a_batch2;
    uint b_k, b_n, b_batch0, b_batch1, b_batch2;
    uint c_m, c_batch;
    uint a_first, b_first, c_first; /* element of the binding at which the operand begins */
    KILN_EPILOGUE;
} KILN_PARAMS_END;
