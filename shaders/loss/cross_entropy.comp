#version 450
/*
 * cross_entropy - loss[r] = log(sum over c of exp(x[r, c] - peak[r])) + peak[r] - x[r, target[r]]
 *
 * GRAD: dx[r, c] = (exp(x[r, c] - peak[r]) / total[r] - (c == target[r])) * dy[r]
 *
 * bindings   0: x    1: target    2: loss, or dy    3: dx
 * dispatch   a workgroup a row; with COLUMNS a lane a row: few classes, and rows that lie side by side
 */
#include "kiln.glsl"
#include "cross_entropy.h"

KILN_IN(0, T, x);
KILN_IN(1, uint, target);
#ifdef GRAD
KILN_IN(2, T, dy);
KILN_OUT(3, T, dx);
#else
KILN_OUT(2, T, loss);
#endif

#include "rows.glsl"

void main()
{
    KILN_ROW(row);
    const uint start = kiln_row_start(row), chosen = target[row];
    const float peak = kiln_row_peak(start), total = kiln_row_total(start, peak);
#ifdef GRAD
    const float pull = chosen < p.cols ? float(dy[row]) : KILN_NAN;
    for (uint c = FIRST; c < p.cols; c += STEP) {
        const uint i = start + c * p.step;
        dx[i] = T((kiln_exp(float(x[i]) - peak) / total - (c == chosen ? 1.0 : 0.0)) * pull);
    }
#else
    if (FIRST == 0u)
        loss[row] = T(chosen < p.cols ? kiln_log(total) + (peak - float(x[start + chosen * p.step])) : KILN_NAN);
#endif
}
