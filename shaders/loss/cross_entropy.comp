#version 450
/*
 * cross_entropy - loss[r] = log(sum over c of exp(x[r, c] - peak[r])) + (1 - spread) (peak[r] - x[r, target[r]])
 *                           + spread * mean over c of (peak[r] - x[r, c])
 *
 * GRAD: dx[r, c] = (exp(x[r, c] - peak[r]) / total[r] - (1 - spread) (c == target[r]) - spread / cols) * dy[r]
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
    const float pull = chosen < p.cols ? float(dy[row]) : KILN_NAN, share = p.spread / float(p.cols);
    for (uint c = FIRST; c < p.cols; c += STEP) {
        const uint i = start + c * p.step;
        const float wanted = (c == chosen ? 1.0 - p.spread : 0.0) + share;
        dx[i] = T((kiln_exp(float(x[i]) - peak) / total - wanted) * pull);
    }
#else
    float below = 0.0;
    for (uint c = FIRST; c < p.cols && p.spread > 0.0; c += STEP)
        below += peak - float(x[start + c * p.step]);
    below = p.spread > 0.0 ? SUM(below) / float(p.cols) : 0.0;
    if (FIRST != 0u)
        return;
    const float off = chosen < p.cols ? peak - float(x[start + chosen * p.step]) : KILN_NAN;
    loss[row] = T(kiln_log(total) + (1.0 - p.spread) * off + p.spread * below);
#endif
}
