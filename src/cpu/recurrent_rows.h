/*
 * recurrent_rows.h - a step of one sequence, all units by vectors: what follows the products with the weights, forward and back.
 *
 * `product` holds what the weights made of the state, gate behind gate as a row of x.
 */
#ifndef KILN_CPU_RECURRENT_ROWS_H
#define KILN_CPU_RECURRENT_ROWS_H

#include "cpu/recurrent_view.h"

/** States of room that a row needs. */
#define KILN_RECURRENT_ROOM 13

struct kiln_recurrent_row {
    const struct view *v;
    const float *x, *product, *vectors; /* vectors NULL: none */
    const float *h, *c;                 /* before the step */
    float *h_next, *c_next, *y;
    float *saved; /* NULL: not wanted */
    float *rh;    /* with RESET_BEFORE: r h, for the product of the new gate */
    float *room;
};

/** The step; of a GRU with RESET_BEFORE what follows the product with r h, which kiln_recurrent_reset makes first. */
void kiln_recurrent_forward(const struct kiln_recurrent_row *r);
void kiln_recurrent_reset(const struct kiln_recurrent_row *r);

/** Behind a sequence's end: y and saved are 0. */
void kiln_recurrent_rest(const struct kiln_recurrent_row *r);

struct kiln_recurrent_back_row {
    const struct view *v;
    const float *saved, *dy, *vectors; /* dy, vectors NULL: none */
    const float *product;              /* of kiln_recurrent_back_reset: of the new gate's gradients */
    float *dh, *dc;                    /* of the state behind the step, then of the one before it */
    float *dx, *extra;                 /* extra NULL: none */
    float *room;
};

/** The gradients of the step's gates, all but what waits for the product with r h ... */
void kiln_recurrent_backward(const struct kiln_recurrent_back_row *r);
/** ... which is this, with RESET_BEFORE. */
void kiln_recurrent_back_reset(const struct kiln_recurrent_back_row *r);

#endif
