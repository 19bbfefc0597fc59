/*
 * row_sums.h - the parameters of row_sums: y[first + row] = sum over the row's gradients (rows.h) of what constant 0 says.
 *
 *   SQUARES    g^2, where constant 2 says so of g times the scalars' UNSCALE (update.h), clipped to +-clip where constant 1 does
 *   INFINITE   1 where g is infinite or NaN
 */
#include "interface.h"
#include "rows.h"

#define KILN_ROW_SQUARES 0u
#define KILN_ROW_INFINITE 1u

KILN_PARAMS(row_sums) {
    uint rows;
    uint first;             /* of the window, among all rows */
    KILN_REAL(clip);
} KILN_PARAMS_END;
