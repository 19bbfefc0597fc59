/*
 * control.h - loops and branches whose bodies are graphs.
 *
 * A body is an ordinary graph, a function as for kiln_call: its inputs in the order of declaration, its outputs in the order of
 * kiln_output. What is given is copied; the body may change or go afterwards. Sizes of a body may be symbols: they take the
 * sizes of the values given, and are the same in every step.
 *
 * Parameters  in a body are those of the graph, by name below the open scope, as for kiln_call; their gradients add up over the
 *             steps, in a fixed order.
 * States      that a body only reads have one value in all its steps: the newest before. A state that it assigns is handed on:
 *             each step reads what the step before stored, the graph's later nodes read what the last one left, and an output
 *             of the body that is the effect of kiln_assign becomes an effect of the graph that stores it. What is attached
 *             (kiln_assign_with: running statistics, the counter of random draws) is stored by training programs by itself,
 *             once, after the last step; so each step of a dropout draws anew.
 * Effects     in bodies are assignments alone: an optimizer belongs outside.
 *
 * A program makes one of two things of a loop, by its length and size: its steps one behind the other, which fuse and share
 * what they compute alike, or one recorded body that the device repeats without the host (kiln_loop_form).
 */
#ifndef KILN_CONTROL_H
#define KILN_CONTROL_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Values of one kind that a body takes at the most. */
#define KILN_BODY_VALUES 64

/** What a program makes of a loop. */
typedef enum kiln_loop_form {
    KILN_LOOP_AUTO,     /* what is faster, within bounds on the plan's size */
    KILN_LOOP_UNROLLED, /* steps one behind the other, however many */
    KILN_LOOP_REPEATED, /* one recorded body */
} kiln_loop_form;

/** Lists end at the first KILN_NONE. */
typedef struct kiln_scan_params {
    kiln_tensor each[KILN_BODY_VALUES]; /* a step gets one slice of each, along axis */
    /* what the first step gets; later ones get what the one before gave */
    kiln_tensor carry[KILN_BODY_VALUES];
    kiln_tensor with[KILN_BODY_VALUES]; /* every step gets the whole */
    int axis;                           /* of the steps, in `each` and in what is stacked */
    bool reverse;   /* from the last slice to the first; what is stacked stays in the slices' order */
    int64_t length; /* how many steps, a number or a symbol, where there is no `each` */
    kiln_loop_form form;
} kiln_scan_params;

/**
 * Apply a body to each slice of a sequence, handing values on from step to step.
 *
 *   stacked[t], carry[t + 1] = body(each[t], carry[t], with)
 *
 * The body's inputs are a slice of each, the carries, and `with`, in this order. Its outputs are first those that are stacked
 * along the axis, then what each carry becomes. out[i] is for the body's output i: all steps' values stacked, or the carry after
 * the last step; without any step the carry is what was given.
 *
 * Shape:   each [.., T, ..] with one T, which may be a symbol; a slice lacks that axis. A carry keeps its type and shape.
 * Gradient: by each, carry, with and the body's parameters: a scan back over the carries of each step, whose body computes the
 *          step again. It has a gradient itself.
 * Errors:  a body that does not fit what is given, by the names of its inputs.
 */
KILN_API void kiln_scan(kiln_graph *g, const kiln_graph *body, const kiln_scan_params *params,
                        kiln_tensor *out);

/** Lists end at the first KILN_NONE. */
typedef struct kiln_loop_params {
    /* I32 or I64 scalar: no more steps than that; KILN_NONE: as long as the body says so */
    kiln_tensor trips;
    kiln_tensor condition; /* BOOL scalar: whether to begin; KILN_NONE: yes */
    kiln_tensor carry[KILN_BODY_VALUES];
    kiln_tensor with[KILN_BODY_VALUES];
    int64_t bound; /* steps at the most, a number or a symbol; may be 0 where `trips` is a constant */
    kiln_loop_form form;
} kiln_loop_params;

/**
 * Apply a body again and again, as long as it says so and no more than `trips` and `bound` times.
 *
 * The body's inputs are the number of the step (I32 scalar, from 0), the carries, and `with`. Its outputs are first whether to
 * go on (BOOL scalar), then those that are stacked, then what each carry becomes. out[0] is the number of steps made (I32
 * scalar), out[i] for the body's output i: what is stacked, a row for each step made (a size that depends on data, at most the
 * bound: kiln_dim_bounded), or the carry.
 *
 * Gradient: where the number of steps is known (a constant `trips`, and a body that always goes on) it is that of kiln_scan;
 *          else an error that says so.
 */
KILN_API void kiln_loop(kiln_graph *g, const kiln_graph *body, const kiln_loop_params *params,
                        kiln_tensor *out);

/**
 * out = condition ? then(in) : otherwise(in). Only the branch that is taken runs, unless both cost next to nothing.
 *
 * Shape:   condition BOOL scalar; both bodies take the same inputs, in[0..], and give outputs of the same types and shapes.
 * Gradient: of the branch that is taken.
 */
KILN_API void kiln_if(kiln_graph *g, kiln_tensor condition, const kiln_graph *then,
                      const kiln_graph *otherwise, const kiln_tensor *in, kiln_tensor *out);

/* Places that data gives --------------------------------------------------------------------------------- */

/**
 * `count` rows of an axis of x, a number or a symbol, from `position` on: an I32 or I64 scalar, negative from the end. Where the
 * rows would reach beyond the axis, the position is moved back so that they do not.
 */
KILN_API kiln_tensor kiln_slice_at(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor position,
                                   int64_t count);

/** x with the rows of an axis from `position` on replaced by value's, which has x's other sizes. Position as above. */
KILN_API kiln_tensor kiln_put_at(kiln_graph *g, kiln_tensor x, kiln_tensor value, int axis,
                                 kiln_tensor position);

/**
 * An effect: replace rows of a state, as kiln_put_at does; the rest stays as it is. Nothing but these rows is moved, unless the
 * state's older value is still read by something built later: so a cache of keys and values grows in place.
 */
KILN_API kiln_tensor kiln_assign_slice(kiln_graph *g, kiln_tensor state, kiln_tensor value, int axis,
                                       kiln_tensor position);

#ifdef __cplusplus
}
#endif
#endif
