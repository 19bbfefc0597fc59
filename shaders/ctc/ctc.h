/*
 * ctc.h - connectionist temporal classification (Graves 2006): all ways in which frames spell labels, blanks between them.
 *
 * A sequence of S labels has L = 2 S + 1 states: blank, label, blank, .., label, blank. Its rows are, in logarithms,
 *
 *   a[t, s] = x[t, n, class of s] + log(exp a[t - 1, s] + exp a[t - 1, s - 1] + exp a[t - 1, s - 2])
 *
 * the last term only where s is a label that differs from the one before; before the first frame a is 0 for s = 0, and
 * -infinity elsewhere. With BACK time and states run the other way, from the last frame and state of each sequence. After every
 * KILN_CTC_SPAN frames a row's largest is taken away from it, and added to the sequence's level, so that the rows stay near 0
 * however long the sequence.
 *
 *   ctc        rows[t, n, s] = a; -infinity beyond a sequence's frames and states.
 *              loss[n] = - log(exp a[L - 1] + exp a[L - 2]) - level, of the last frame
 *   ctc_links  links[n, c] = 1 + the first place of class c among the labels, 0: none; links[n, C + i] = 1 + the next place of
 *              label i's class
 *   ctc_grad   dx[t, n, c] = - dy[n] sum over states s of class c of w[s] / sum over all states of w,
 *              w[s] = exp(alpha[t, n, s] + beta[t, n, s] - x[t, n, class of s]); 0 beyond the frames
 *
 * Lengths that do not fit, and labels that are no classes, give NaN. Where labels cannot be spelled in the frames, the loss is
 * infinite and the gradient NaN, or with FORGIVE both are 0. Arrays of the kind [n, 2 S + 1 or C ..] lie row behind row.
 *
 * bindings   ctc        0: x    1: target [N, S], I32    2: lengths [2, N], I32: frames, then labels
 *                       3: state [N, 2 S + 2]: the row, then its level, from one window of frames to the next
 *                       4: rows, with KEEPS    5: loss, with ENDS
 *            ctc_links  0: target    1: lengths    2: links [N, C + S], 0 before
 *            ctc_grad   0: x    1: target    2: lengths    3: links    4: alpha    5: beta    6: dy    7: dx
 * units      ctc, ctc_links: sequences    ctc_grad: frames of all sequences
 */
#include "interface.h"

#define KILN_CTC_SPAN 16

#define KILN_CTC_BACK 1
#define KILN_CTC_KEEPS 2
#define KILN_CTC_ENDS 4
#define KILN_CTC_FORGIVE 8

KILN_PARAMS(ctc) {
    uint frames;                        /* T, of all windows */
    uint sequences, classes, labels;    /* N, C, S */
    uint blank;
    uint first, count;                  /* the window: frames [first, first + count), of ctc_links sequences */
    uint x_skip, row_skip;              /* elements of x and rows before the window */
    uint how;
} KILN_PARAMS_END;
