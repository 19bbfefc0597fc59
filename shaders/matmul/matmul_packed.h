/*
 * matmul_packed.h - the parameters of matmul_packed: a product by a matrix that is packed as columns (pack_columns.h).
 *
 *   c[m, n] = epilogue(sum over k of a[m, k] * b[k, n])
 *
 * The rows are those of all matrices of a, one behind the other; the epilogue's row counts within a matrix.
 *
 * bindings   0: a    1: b, packed    2: c    3, 4: operands of the epilogue
 * constants  0 to 4: the epilogue's
 */
#include "epilogue.h"
#include "interface.h"

KILN_PARAMS(matmul_packed)
{
    uint m, n, k;
    uint rows;     /* of one matrix */
    uint a_m, a_k; /* elements of a from one row, one term, to the next */
    KILN_EPILOGUE;
}
KILN_PARAMS_END;
