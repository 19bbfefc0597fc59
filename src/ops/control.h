/*
 * control.h - the nodes of loops and branches: what their params say, for the builders, the gradients and the compiler.
 *
 * Their bodies are closed (graph/body.h). They have no lowering: the compiler puts their bodies in their place.
 */
#ifndef KILN_OPS_CONTROL_H
#define KILN_OPS_CONTROL_H

#include <kiln/control.h>
#include <kiln/extend.h>

#include "graph/body.h"

/**
 * scan. Inputs: each, along axis 0; carry; with. The body's inputs are as many, its outputs what is stacked, then the next
 * carries. Outputs: stacked, final carries, and for the gradient each carry as every step got it, stacked.
 */
struct kiln_scan_node {
    const kiln_graph *body;
    int64_t length; /* of the steps, where there is no each */
    int64_t each, carry, with, stacked;
    int64_t reverse, form;
};

/**
 * loop. Inputs: trips, condition (KILN_NONE: none), carry, with. The body's inputs: step, carry, with; its outputs: go on,
 * stacked, next carries. Outputs: count, stacked, final carries.
 */
struct kiln_loop_node {
    const kiln_graph *body;
    int64_t bound;
    int64_t carry, with, stacked;
};

/** if. Inputs: condition, and those of both bodies. Outputs: those of either. */
struct kiln_if_node {
    const kiln_graph *then, *otherwise;
};

/** How many are given: up to the first KILN_NONE. */
int kiln_given_values(const kiln_tensor *list);

/** Whether a body can be used at all; else g fails. `what` is the operator's name. */
bool kiln_body_fits(kiln_graph *g, const char *what, const kiln_graph *body);

/** How many outputs of a body are no effects. */
int kiln_body_values(const kiln_graph *body);

/** The spec of a closed body's input or output where it is used. */
kiln_spec kiln_body_input_spec(struct kiln_sizes *s, int index);
kiln_spec kiln_body_output_spec(struct kiln_sizes *s, int index);

/** Bind what a body's input gets; fails the node where it does not fit. `got` is in the user's sizes. */
kiln_status kiln_body_bind(struct kiln_sizes *s, const kiln_node *n, int index, const kiln_spec *got);

/** The carry that a body's input `input` is must come out as output `output`; fails the node where it does not. */
kiln_status kiln_body_keeps(struct kiln_sizes *s, const kiln_node *n, int input, int output);

/** A new input of a body under construction, with no name; `list` says whether it is put at the end of its inputs. */
kiln_tensor kiln_body_input(kiln_graph *body, const kiln_spec *spec, bool list);

/** `x` with a new axis of that size in front; fails the node where the rank grows too large. */
kiln_status kiln_stacked_spec(kiln_graph *g, const kiln_node *n, const kiln_spec *x, int64_t size,
                              kiln_spec *out);

#endif
