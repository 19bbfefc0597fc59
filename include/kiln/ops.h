/*
 * ops.h - every operator: formula, shapes, gradient.
 *
 * Any tensor may be KILN_NONE after a failure: operators accept it and pass it on. Axes count from 0; negative ones from
 * the end (-1 is the last). Broadcasting is NumPy's: shapes are aligned at the last axis, and a size of 1 stretches.
 * Every operator on F32 has a gradient unless it says otherwise.
 */
#ifndef KILN_OPS_H
#define KILN_OPS_H

#include <kiln/elementwise.h>
#include <kiln/graph.h>
#include <kiln/losses.h>
#include <kiln/reduce.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Modes -------------------------------------------------------------------------------------------------- */

/** x in forward, nothing in backward. */
KILN_API kiln_tensor kiln_stop_gradient(kiln_graph *g, kiln_tensor x);

/** `train` in programs that train, `infer` in the others; same type and shape. The other branch is not compiled. */
KILN_API kiln_tensor kiln_by_mode(kiln_graph *g, kiln_tensor train, kiln_tensor infer);

/* Matrices and images ------------------------------------------------------------------------------------ */

typedef struct kiln_matmul_params {
    bool transpose_a, transpose_b; /* swap the last two axes of an operand first */
} kiln_matmul_params;

/** y = a b over the last two axes, batch axes broadcast. a [.., M, K], b [.., K, N]; y [.., M, N]. Rank 1 as in NumPy. */
KILN_API kiln_tensor kiln_matmul(kiln_graph *g, kiln_tensor a, kiln_tensor b,
                                 const kiln_matmul_params *params);

/* Normalization and probabilities ------------------------------------------------------------------------ */

/** y[.., c, ..] = exp(x[.., c, ..]) / sum_c exp(x[.., c, ..]), computed from the row's maximum. */
KILN_API kiln_tensor kiln_softmax(kiln_graph *g, kiln_tensor x, int axis);
KILN_API kiln_tensor kiln_log_softmax(kiln_graph *g, kiln_tensor x, int axis);

typedef struct kiln_batch_norm_params {
    double epsilon;  /* 0 means 1e-5 */
    double momentum; /* share of the new value in the running statistics; 0 means 0.1 */
    bool frozen;     /* use the running statistics in training too, and leave them */
} kiln_batch_norm_params;

/**
 * Normalize each channel (axis 1) by the batch's mean and biased variance when training, by the running ones else, then
 * scale and shift (Ioffe and Szegedy 2015). mean and variance are states [C] that training programs update, the variance
 * with its unbiased estimate.
 * Shape: x [N, C, ..], scale, bias, mean, variance [C]; scale and bias may be KILN_NONE.
 */
KILN_API kiln_tensor kiln_batch_norm(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor bias,
                                     kiln_tensor mean, kiln_tensor variance,
                                     const kiln_batch_norm_params *params);

/**
 * In training, set each element to zero with probability `rate` and scale the others by 1 / (1 - rate); else x.
 * The mask is Philox(seed, stream of this node, step, element), the same on every device; the step is a state of the
 * weights ("random.step", "random.seed"), so resuming continues the stream.
 */
KILN_API kiln_tensor kiln_dropout(kiln_graph *g, kiln_tensor x, double rate);
/** Dropout with a mask that is given: x * mask / (1 - rate) in training, else x. mask broadcasts to x, F32. */
KILN_API kiln_tensor kiln_dropout_mask(kiln_graph *g, kiln_tensor x, kiln_tensor mask, double rate);

/* Shape -------------------------------------------------------------------------------------------------- */

/** In kiln_reshape: whatever size is left over (once). */
#define KILN_REST INT64_MIN

/**
 * The same elements in another shape. A size of 0 copies x's size of that axis. Whether they fill it, where symbols leave that open, is
 * told when a program is planned for numbers: ERROR_SHAPE of the run.
 */
KILN_API kiln_tensor kiln_reshape(kiln_graph *g, kiln_tensor x, kiln_shape shape);
/** [product of the sizes before axis, product of the rest]. */
KILN_API kiln_tensor kiln_flatten(kiln_graph *g, kiln_tensor x, int axis);
/** y's axis i is x's axis order[i]; order has x's rank. */
KILN_API kiln_tensor kiln_transpose(kiln_graph *g, kiln_tensor x, const int *order);
/** x with one axis moved to another's place; the others keep their order. Negative ones count from the end. */
KILN_API kiln_tensor kiln_move_axis(kiln_graph *g, kiln_tensor x, int from, int to);
/** Insert an axis of size 1 before `axis`; remove one. */
KILN_API kiln_tensor kiln_unsqueeze(kiln_graph *g, kiln_tensor x, int axis);
KILN_API kiln_tensor kiln_squeeze(kiln_graph *g, kiln_tensor x, int axis);
/** Broadcast to a shape. */
KILN_API kiln_tensor kiln_expand(kiln_graph *g, kiln_tensor x, kiln_shape shape);
/** Join count values along axis. */
KILN_API kiln_tensor kiln_concat(kiln_graph *g, const kiln_tensor *x, int count, int axis);
/**
 * Elements first, first + step, ... of an axis, before `end`. Negative first and end count from the end where the size is
 * known; end is clamped; KILN_END means through the last (with a negative step: through the first).
 */
#define KILN_END INT64_MAX
KILN_API kiln_tensor kiln_slice(kiln_graph *g, kiln_tensor x, int axis, int64_t first, int64_t end,
                                int64_t step);
/** Surround with a constant: before[i] and after[i] elements on each axis (x's rank of them, none negative). */
KILN_API kiln_tensor kiln_pad(kiln_graph *g, kiln_tensor x, const int64_t *before, const int64_t *after,
                              double value);
/**
 * y = x's slices at `index` along axis: [x before axis, index's shape, x after axis]. index is I32 or I64; negative counts
 * from the end; one out of range is clamped on the device and an error where the host can see it.
 */
KILN_API kiln_tensor kiln_gather(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis);
/** 1 where index equals the position along a new last axis of size depth, else 0; F32. */
KILN_API kiln_tensor kiln_one_hot(kiln_graph *g, kiln_tensor index, int64_t depth);

/* What follows another value's size, for gradients at symbolic sizes: no size is read when the graph is built. */
KILN_API kiln_tensor kiln_sum_to(kiln_graph *g, kiln_tensor x,
                                 kiln_tensor like); /* undo a broadcast of `like` */
KILN_API kiln_tensor kiln_expand_to(kiln_graph *g, kiln_tensor x,
                                    kiln_tensor like); /* broadcast to like's shape */
KILN_API kiln_tensor kiln_reshape_to(kiln_graph *g, kiln_tensor x, kiln_tensor like);
/** Number of elements of x along axes, as an F32 scalar; {0} counts all. */
KILN_API kiln_tensor kiln_count_of(kiln_graph *g, kiln_tensor x, kiln_axes axes);
/** Zeros or ones of x's type and shape. */
KILN_API kiln_tensor kiln_zeros_like(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_ones_like(kiln_graph *g, kiln_tensor x);

/* Metrics inside a program: scalars without gradient ----------------------------------------------------- */

/** Share of rows whose largest score (axis 1) is the target class. scores [N, C, ..], target [N, ..] integer. */
KILN_API kiln_tensor kiln_accuracy(kiln_graph *g, kiln_tensor scores, kiln_tensor target);
/** Share of rows whose target is among the k largest scores. scores [N, C], target [N]. */
KILN_API kiln_tensor kiln_top_k_accuracy(kiln_graph *g, kiln_tensor scores, kiln_tensor target, int k);

/* Optimizers over whole arenas: what kiln_minimize, kiln_backward and kiln_update (train.h) are made of ---- */

typedef enum kiln_optimizer {
    KILN_SGD,      /* p -= rate g */
    KILN_MOMENTUM, /* v = m v + g (or + (1 - m) g with .averaged); p -= rate v */
    KILN_NESTEROV, /* v = m v + g; p -= rate (g + m v) */
    KILN_RMSPROP, /* s = b2 s + (1 - b2) g^2; p -= rate g / (sqrt(s) + epsilon); with .corrected s / (1 - b2^t) */
    KILN_ADAM,  /* Kingma and Ba 2015; decay is L2: added to the gradient */
    KILN_ADAMW, /* Loshchilov and Hutter 2019; decay is decoupled: p -= rate decay p */
} kiln_optimizer;

/** Real values one behind the other in one [n], each at the next multiple of 64 elements; n ends with the last of them. */
KILN_API kiln_tensor kiln_pack(kiln_graph *g, const kiln_tensor *x, int count);

/** An effect: add packed gradients, one a parameter, to the gradient arena. */
KILN_API kiln_tensor kiln_accumulate(kiln_graph *g, kiln_tensor packed, const kiln_tensor *parameters,
                                     int count);

/**
 * How many of the gradients are infinite or NaN, as an F32 scalar: 0 says that a step can be made of them. `packed` is kiln_pack
 * of one gradient a parameter, or KILN_NONE for the gradient arena as it stands in building order. No gradient.
 */
KILN_API kiln_tensor kiln_count_infinite(kiln_graph *g, kiln_tensor packed, const kiln_tensor *parameters,
                                         int count);

/** How a step is made; no defaults. */
typedef struct kiln_update_rule {
    kiln_optimizer by;
    double beta1, rest1; /* m = beta1 m + rest1 g; momentum's m */
    double beta2, rest2; /* v = beta2 v + rest2 g^2; RMSProp's s */
    double epsilon;
    double clip;                /* limit of each gradient element; 0 none */
    double clip_norm;           /* limit of the norm of all gradients together, after clip; 0 none */
    const char *name;           /* of the state's arenas: "NAME.m", "NAME.v"; at most 63 bytes */
    const double *rate, *decay; /* by parameter: factor of the rate, and weight decay; NULL means 1, and 0 */
} kiln_update_rule;

/** The ending of the arena that an optimizer keeps its index-th state in, ".m" or ".v"; NULL behind the last. */
KILN_API const char *kiln_optimizer_state(kiln_optimizer by, int index);

/**
 * An effect: one step for the parameters. `packed` is kiln_pack of one gradient a parameter, or KILN_NONE for the gradient
 * arena, which is cleared where it was used. `scalars` is kiln_pack of three F32 scalars: the rate, and the bias corrections
 * c1 = 1 - beta1^t and c2 = 1 - beta2^t (1 where the rule has none). Or of five, for a step that is guarded: then a factor of each
 * gradient, applied before clip and clip_norm, and one that is 0 where parameters and state shall stay as they are, else 1.
 */
KILN_API kiln_tensor kiln_update_parameters(kiln_graph *g, kiln_tensor packed, kiln_tensor scalars,
                                            const kiln_tensor *parameters, int count,
                                            const kiln_update_rule *rule);

#ifdef __cplusplus
}
#endif
#endif
