/*
 * pack_each.h - 8-bit filters of one channel each, by taps: words whose lower halves are the numbers less their zero points, and behind them
 * their sums:
 *
 *   y[tap, c] = (w[c, tap] - w_zero[c]) modulo 2^16        y[taps, c] = the sum of w[c, tap] - w_zero[c]
 *
 * A zero point that is not bound is 0; a step of 0 means one for all.
 *
 * bindings   0: w, words    1: w_zero, I32    2: y
 * units      channels
 */
#include "interface.h"

KILN_PARAMS(pack_each)
{
    uint channels, taps, w_step;
}
KILN_PARAMS_END;
