#version 450
/*
 * softmax - y[r, c] = exp(x[r, c] - peak[r]) / sum over c of exp(x[r, c] - peak[r]), or its logarithm
 *
 * where peak[r] is the row's largest value, so that the exponential cannot overflow.
 *
 * bindings   0: x    1: y
 * dispatch   a workgroup a row; with COLUMNS a lane a row: short rows, and rows that lie side by side
 */
#include "kiln.glsl"
#include "softmax.h"

KILN_CONSTANT(0, LOGARITHM);

KILN_IN(0, T, x);
KILN_OUT(1, T, y);

#include "rows.glsl"

void main()
{
    KILN_ROW(row);
    const uint start = kiln_row_start(row);
    const float peak = kiln_row_peak(start), total = kiln_row_total(start, peak);
    const float shift = kiln_log(total), scale = 1.0 / total;
    for (uint c = FIRST; c < p.cols; c += STEP) {
        const uint i = start + c * p.step;
        const float above = float(x[i]) - peak;
        y[i] = T(LOGARITHM != 0u ? above - shift : kiln_exp(above) * scale);
    }
}
