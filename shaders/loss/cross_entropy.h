/*
 * cross_entropy.h - softmax cross-entropy of rows of scores x against class numbers.
 *
 *   loss[r] = log(sum over c of exp(x[r, c])) - (1 - spread) x[r, target[r]] - spread * mean over c of x[r, c]
 *   dx[r, c] = (softmax(x)[r, c] - (1 - spread) (c == target[r]) - spread / cols) * dy[r]
 *
 * Row r begins at (r / step) * cols * step + r % step. A target that is no class gives NaN.
 *
 * bindings   cross_entropy       0: x    1: target, I32    2: loss
 *            cross_entropy_grad  0: x    1: target, I32    2: dy    3: dx
 * units      rows
 */
#include "interface.h"

KILN_PARAMS(cross_entropy)
{
    uint rows;
    uint cols;      /* classes */
    uint step;      /* elements from one score of a row to the next */
    KILN_REAL(spread);
}
KILN_PARAMS_END;
