/*
 * pack_panels.h - 8-bit filters, or the columns of a matrix, packed as a CPU's tiles multiply by them: panels of KILN_PANEL columns,
 * four terms to a word, signed, and behind them the sums of each column:
 *
 *   byte j of y[panel, q, c] = x[column * x_column + tap * x_tap + channel * x_channel] ^ flip     4 q + j = tap * channels + channel
 *   y[panel, quads, c]       = the sum of column c's bytes
 *
 * 0 beyond the last term and the last column.
 *
 * bindings   0: x, words    1: y
 * units      panels
 */
#include "interface.h"

#define KILN_PANEL 32

KILN_PARAMS(pack_panels)
{
    uint columns, channels, depth, quads; /* depth: taps times channels */
    uint x_column, x_tap, x_channel;
    uint flip;
}
KILN_PARAMS_END;
