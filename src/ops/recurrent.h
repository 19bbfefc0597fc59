/* recurrent.h - what the operators of the recurrent family share: their params, their sizes, their lowerings. */
#ifndef KILN_OPS_RECURRENT_H
#define KILN_OPS_RECURRENT_H

#include <kiln/extend.h>

#include "recurrent/recurrent.h"

/** Params of recurrent and its gradients: every default in place, no padding bytes. */
struct kiln_recurrent {
    int32_t cell, flags; /* flags: REVERSED, COUPLED, RESET_BEFORE, CLIPPED (shaders/recurrent/recurrent.h) */
    int32_t directions, batch_first, by_steps, hidden;
    int32_t squash[3]; /* f, g, h; never the default */
    int32_t none;
    double clip, alpha[3], beta[3];
};

/** Inputs of recurrent; all but x and w may be none. Outputs: y, last states [S D, N, H], saved. */
enum {
    KILN_RECURRENT_IN_X, /* what the input adds to the gates, [T, N, D G H] */
    KILN_RECURRENT_IN_W, /* [D G H, H] */
    KILN_RECURRENT_IN_VECTORS,
    KILN_RECURRENT_IN_LENGTHS,
    KILN_RECURRENT_IN_STATES,
    KILN_RECURRENT_INPUTS
};

/** Inputs of recurrent_grad. Outputs: dx, dstates, extra. */
enum {
    KILN_RECURRENT_GRAD_W,
    KILN_RECURRENT_GRAD_VECTORS,
    KILN_RECURRENT_GRAD_LENGTHS,
    KILN_RECURRENT_GRAD_SAVED,
    KILN_RECURRENT_GRAD_DY,
    KILN_RECURRENT_GRAD_DSTATES,
    KILN_RECURRENT_GRAD_INPUTS
};

/** Gates of a cell; states it has (h, c); states a row of what is saved. */
static inline int64_t kiln_recurrent_gate_count(int cell)
{
    return cell == KILN_CELL_RNN ? 1 : cell == KILN_CELL_LSTM ? 4 : 3;
}

static inline int64_t kiln_recurrent_state_count(int cell)
{
    return cell == KILN_CELL_LSTM ? 2 : 1;
}

static inline int64_t kiln_recurrent_saved_width(int cell)
{
    return cell == KILN_CELL_RNN ? 2 : cell == KILN_CELL_LSTM ? 6 : 5;
}

/** Whether the new gate of a GRU has a gradient of its own for its product with the state, in `extra`. */
static inline bool kiln_recurrent_resets_after(const struct kiln_recurrent *p)
{
    return p->cell == KILN_CELL_GRU && !(p->flags & KILN_RECURRENT_RESET_BEFORE);
}

/** A node's sizes while planning. */
struct kiln_recurrent_sizes {
    int64_t steps, sequences, hidden, directions, gates, width, states;
};

/** By a value [T, N, ..], or [N, T, ..]. */
struct kiln_recurrent_sizes kiln_recurrent_sizes_of(const kiln_plan *plan, const struct kiln_recurrent *p,
                                                    kiln_tensor t);

/** The fields of struct kiln_recurrent. */
extern const kiln_field kiln_recurrent_fields[];

/** Lowerings: all steps in one dispatch, or a dispatch a step (recurrent_lower.c). */
extern const kiln_lowering kiln_recurrent_lowerings[2], kiln_recurrent_grad_lowerings[2];

/**
 * Whether a GPU runs all steps of a dispatch in its workgroups, states in their shared memory, and gains by it: accepts of the
 * first lowering (recurrent_kernel.c).
 */
bool kiln_recurrent_suits_groups(const kiln_caps *caps, const struct kiln_recurrent *p,
                                 const struct kiln_recurrent_sizes *s, bool gradient);

#endif
