/*
 * overlap.h - the parameters of overlap and its gradient: how well boxes (x1, y1, x2, y2) fit one another, in pairs.
 *
 *   overlap        y[r, i, j] = f(a[r, i], b[r, j])
 *   overlap_grad   d[r, i] = sum over j of dy[r, i, j] df(own[r, i], other[r, j]) / down; dy lies by steps, so that own may be
 *                  either of the two: f is the same both ways
 *
 * For boxes of sizes w and h, 0 at the least, with I the area of the intersection, U that of the union, C and c the area and the
 * diagonal of the smallest box around both, and rho the distance of the centres:
 *
 *   IOU    I / U
 *   GIOU   I / U - (C - U) / C                                       (Rezatofighi 2019)
 *   DIOU   I / U - rho^2 / c^2                                       (Zheng 2020)
 *   CIOU   DIOU - alpha v, v = (2 / pi (angle_a - angle_b))^2, angle = atan(w / h), alpha = v / (1 - I / U + v)
 *
 * A quotient by 0 is 0, and so is the angle of an empty box without sides. In the gradient alpha counts as a constant; where
 * edges coincide both boxes get half; a pair whose dy is 0 counts for nothing.
 *
 * bindings   overlap        0: a    1: b    2: y [rows, n, m]
 *            overlap_grad   0: dy    1: own    2: other    3: d [rows, n, 4]
 * constants  0: which
 * units      overlap: elements of y    overlap_grad: boxes of d
 */
#include "interface.h"
#include "divide.h"

#define KILN_OVERLAP_IOU  0u
#define KILN_OVERLAP_GIOU 1u
#define KILN_OVERLAP_DIOU 2u
#define KILN_OVERLAP_CIOU 3u

KILN_PARAMS(overlap) {
    uint rows;
    KILN_DIVISOR(n);                    /* boxes of a row of a, or of own */
    KILN_DIVISOR(m);                    /* of b, or of other */
    uint n_step, m_step;                /* from a row of them to the next: their number, or 0 where all rows share them */
    uint y_row, y_n, y_m;               /* y, or dy: from one row, box of n and box of m to the next */
    uint first[4];                      /* binding i's operand begins so many elements behind its beginning */
} KILN_PARAMS_END;
