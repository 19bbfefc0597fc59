/*
 * split_sum.h - the parameters of split_sum: y[i] = epilogue(sum over s of x[s * part + i]), in the order of s. To the epilogue
 * element i lies in row i / row_length % rows and in column i / column_length % columns.
 *
 * bindings   0: x in    1: y out    2, 3: operands of the epilogue
 * constants  0 to 4: the epilogue's
 */
#include "interface.h"
#include "epilogue.h"

KILN_PARAMS(split_sum) {
    uint count;                     /* elements of y */
    uint splits, part;
    uint row_length, rows, column_length, columns;
    KILN_EPILOGUE;
} KILN_PARAMS_END;
