/*
 * square_sums.h - the parameters of square_sums: y[first + row] = sum of g^2 over the row's gradients
 * (rows.h), clipped to +-clip where constant 0 says so.
 */
#include "interface.h"
#include "rows.h"

KILN_PARAMS(square_sums) {
    uint rows;
    uint first;             /* of the window, among all rows */
    KILN_REAL(clip);
} KILN_PARAMS_END;
