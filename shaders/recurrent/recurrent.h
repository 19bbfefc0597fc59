/*
 * recurrent.h - the block of recurrent and recurrent_grad: some steps of some sequences.
 *
 * H is `hidden`, D `directions`, N `sequences`, G the cell's gates. The values of time t, sequence n and direction d lie at
 * position p = t * time_step + n * row_step - skipped: row p * D + d of x, y and their like. States are [h or c, D, N, H].
 *
 * x      [G, H] a row        what the input adds to the gates, biases included
 * y      [H] a row           the state
 * saved  [.., H] a row       what the gradient needs: a value a gate (what is squashed, before the limit, where CLIPPED), then
 *                            LSTM: c before; GRU: R h + b' of the new gate, with RESET_BEFORE r h; and h before, in all
 *
 * w: the weights R [D, G, H, H] of which a dispatch sees those of its own directions. With PACKED they are laid out for the
 * units that it computes, in fours along the sum, so that a lane reads vectors and neighbours read neighbours, 0 behind H, each
 * direction's at a multiple of 64 elements:
 *
 *   recurrent       [D, ceil(H / 4), G, units, 4]    unit u, term k: R[d, g, first_unit + u, k]
 *   recurrent_grad  [D, G, ceil(H / 4), units, 4]    unit u, term k: R[d, g, k, first_unit + u]
 *
 * vectors: LSTM: peepholes [D, 3, H] of i, f, o; GRU: b' [D, 3, H]; where VECTORS. lengths [N] where LENGTHS.
 *
 * recurrent       0: x    1: w    2: vectors    3: lengths    4: states before    5: states behind    6: y    7: saved
 * recurrent_grad  0: w    1: vectors    2: lengths    3: saved    4: dy    5: dstates, in and out    6: dx    7: extra:
 *                 GRU: the gradient of R h + b' of the new gate, rows [H]; peepholes: the sum over time of their gradients,
 *                 [D, N, 3, H], in and out
 *
 * Steps count from `start` up in the directions that run ahead, from `start_back` down in the others; the gradient's the other
 * way around. A dispatch of less than all units makes one step, and recurrent_grad then leaves the product of its dx with the
 * weights to the next one (ENTER: begin with it; LEAVE: end with it, which what makes all steps does).
 *
 * constants  0: cell    1, 2, 3: squashings f, g, h    4: flags
 * units      sequences of a direction
 */
#include "interface.h"

#define KILN_CELL_RNN  0
#define KILN_CELL_LSTM 1
#define KILN_CELL_GRU  2

#define KILN_RECURRENT_REVERSED     0x001 /* direction 0 runs back in time */
#define KILN_RECURRENT_COUPLED      0x002
#define KILN_RECURRENT_RESET_BEFORE 0x004
#define KILN_RECURRENT_CLIPPED      0x008
#define KILN_RECURRENT_VECTORS      0x010
#define KILN_RECURRENT_LENGTHS      0x020
#define KILN_RECURRENT_INITIAL      0x040 /* states before are given; else 0 */
#define KILN_RECURRENT_SAVES        0x080
#define KILN_RECURRENT_DY           0x100 /* dy is given; else 0 */
#define KILN_RECURRENT_PACKED       0x200
#define KILN_RECURRENT_ENTER        0x400
#define KILN_RECURRENT_LEAVE        0x800
#define KILN_RECURRENT_FIRST        0x1000 /* of a step that needs two dispatches (RESET_BEFORE): the one up to r h ... */
#define KILN_RECURRENT_SECOND       0x2000 /* ... and the rest; the gradient's first ends before the product that gives dr */

/* kiln_squash */
#define KILN_CODE_SIGMOID          1
#define KILN_CODE_TANH             2
#define KILN_CODE_RELU             3
#define KILN_CODE_LEAKY_RELU       4
#define KILN_CODE_THRESHOLDED_RELU 5
#define KILN_CODE_ELU              6
#define KILN_CODE_HARD_SIGMOID     7
#define KILN_CODE_SCALED_TANH      8
#define KILN_CODE_SOFTSIGN         9
#define KILN_CODE_SOFTPLUS         10
#define KILN_CODE_AFFINE           11

KILN_PARAMS(recurrent)
{
    uint hidden;
    uint units, first_unit;                 /* that the dispatch computes */
    uint sequences, rows, first_row;        /* all; of the dispatch */
    uint directions, own_directions, first_direction;
    uint steps, start, start_back;
    uint time_step, row_step, skipped;
    KILN_REAL(clip);
    KILN_REAL(f_alpha);
    KILN_REAL(f_beta);
    KILN_REAL(g_alpha);
    KILN_REAL(g_beta);
    KILN_REAL(h_alpha);
    KILN_REAL(h_beta);
}
KILN_PARAMS_END;
