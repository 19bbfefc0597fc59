/* body.h - a closed body at known sizes, ready to be put into a plan's graph once or many times. */
#ifndef KILN_COMPILER_BODY_H
#define KILN_COMPILER_BODY_H

#include "compiler/plan.h"

/** What is wanted of a body, by its inputs' sizes. */
struct kiln_body_wanted {
    const kiln_graph *body;
    const kiln_spec *in; /* of each input, sizes known */
    bool *out;           /* by output: wanted; carries that others need are added */
    int carries;         /* how many inputs are handed on ... */
    int carry_in;        /* ... from this one on, ... */
    int carry_out;       /* ... as outputs from this one on */
};

/** A simplified body. Its values may be of the caller's graph: see kiln_body_begin. */
struct kiln_body {
    kiln_graph *graph;
    kiln_tensor *in;  /* by the closed body's input; KILN_NONE: not needed */
    kiln_tensor *out; /* by its output; KILN_NONE: not wanted */
    int inputs, outputs;
    bool *varies;     /* by value id: is computed anew in each step */
    int work;         /* varying nodes that become code */
    bool elementwise; /* that code is elementwise alone */

    kiln_graph *to;   /* where it is put */
    kiln_tensor *map; /* by value id: the value there, in the step at hand */
};

/** Simplify a body, loops and branches within included. `outer` is the rewrite that meets it: it knows the sizes of symbols. */
kiln_status kiln_body_prepare(struct kiln_body *b, const struct kiln_rewrite *outer,
                              const struct kiln_body_wanted *wanted);
void kiln_body_finish(struct kiln_body *b);

/**
 * Begin to put it into a graph: input i is given[i] where that is not KILN_NONE, in every step. What depends on such inputs alone
 * is put there now, if `hoist`, else constants only.
 */
void kiln_body_begin(struct kiln_body *b, kiln_graph *to, const kiln_tensor *given, bool hoist);

/** Whether a node becomes code in each step. */
bool kiln_body_works(const struct kiln_body *b, const kiln_node *n);
/** Leave a node out of the steps: it is put elsewhere. */
void kiln_body_leave_out(struct kiln_body *b, const kiln_node *n);

/** Let an input be this value in the next step. */
void kiln_body_set(struct kiln_body *b, int input, kiln_tensor t);
/** Put the nodes of one step. */
void kiln_body_put(struct kiln_body *b);
/** An output of that step. */
kiln_tensor kiln_body_get(const struct kiln_body *b, int output);
/** Whether that output is there as soon as the inputs are set: it is one of them, or does not depend on the step. */
bool kiln_body_passes(const struct kiln_body *b, int output);

#endif
