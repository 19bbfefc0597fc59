/*
 * body.h - graphs that others use: their sizes there, and *closed bodies*, what loops and branches hold.
 *
 * A closed body is a copy of a graph without leaves of its own: each parameter and state is an input. A parameter or a state
 * that is only read is given to every step alike; a state that the body assigns is handed on from step to step, as what it
 * reads and what it leaves. Nobody changes a closed body, so that graphs and programs in several threads may share it.
 */
#ifndef KILN_GRAPH_BODY_H
#define KILN_GRAPH_BODY_H

#include "graph/graph.h"

/* Sizes -------------------------------------------------------------------------------------------------- */

/** What a body's sizes are in the graph that uses it. */
struct kiln_sizes {
    kiln_graph *g;
    const kiln_graph *body;
    int64_t *size;         /* by the body's expression; INT64_MIN: not known yet */
    const kiln_tensor *to; /* by the body's id, where it is inlined: the values there; else NULL */
};

/** Nothing known. Fails g where memory is short. */
bool kiln_sizes_begin(struct kiln_sizes *s, kiln_graph *g, const kiln_graph *body);
void kiln_sizes_finish(struct kiln_sizes *s);

/** Let the symbols in a declared spec of the body be the sizes that `given` has there. False: they do not fit. */
bool kiln_sizes_bind(struct kiln_sizes *s, const kiln_spec *declared, const kiln_spec *given);

/** The counts that a node of the body brings with its output `from` are those of its copy `to`. */
void kiln_sizes_bind_counts(struct kiln_sizes *s, kiln_tensor from, kiln_tensor to);

/** The size in g of one of the body: a symbol that nothing was bound to is g's of that name. (As kiln_op.sizes wants it.)
 *  Errors: g fails where the size depends on data within the body, unless that is inlined. */
int64_t kiln_sizes_map(void *sizes, int64_t size);

/** A spec of the body as one of g. */
kiln_spec kiln_sizes_spec(struct kiln_sizes *s, const kiln_spec *spec);

/** An empty graph that knows all sizes of `like` by their numbers. NULL, and g fails, where memory is short. */
kiln_graph *kiln_graph_alike(kiln_graph *g, const kiln_graph *like);

/** Declare in g, below the open scope, a parameter or state as a node of the body does; what the state is, not its newest. */
kiln_tensor kiln_leaf_again(kiln_graph *g, const kiln_graph *body, const kiln_node *n);

/* Closing ------------------------------------------------------------------------------------------------ */

/** A parameter or state that bodies use. */
struct kiln_capture {
    const char *name; /* in the bodies */
    kiln_tensor leaf; /* in the graph that uses them */
    bool assigned;    /* by at least one of the bodies */
    bool attached;    /* by kiln_assign_with: in training only */
};

typedef KILN_VEC(struct kiln_capture) kiln_captures;

/** Declare in g, below the open scope, the parameters and states of the body, and add those to the list that it lacks. */
void kiln_capture_leaves(kiln_graph *g, const kiln_graph *body, kiln_captures *list);

/**
 * A closed copy. Its inputs: the first `before` of the body's, what is assigned of the captures, the body's others, the other
 * captures. Its outputs: the body's that are no effects, then what each assigned capture becomes.
 * Owns: kiln_graph_destroy. Errors: NULL, and g fails.
 */
kiln_graph *kiln_body_close(kiln_graph *g, const kiln_graph *body, int before, const kiln_captures *list);

/** How many of the captures are assigned. */
int kiln_captures_assigned(const kiln_captures *list);

/** The inputs of the node that uses closed bodies: given values, and captures, in the order of the closed inputs. */
void kiln_captures_inputs(const kiln_captures *list, const kiln_tensor *given, int before, int count,
                          kiln_tensor *in);

/**
 * Make the states what a node that uses the body leaves, as effects of g: the node's outputs from `first` on are what becomes
 * of the assigned captures. For those outputs of the body that are effects, g's are stored to out.
 */
void kiln_captures_assign(kiln_graph *g, const kiln_graph *body, const kiln_captures *list, kiln_tensor node,
                          int first, kiln_tensor *out);

/** Whether t exists for what it does. */
bool kiln_is_effect(const kiln_graph *g, kiln_tensor t);

#endif
