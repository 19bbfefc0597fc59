/*
 * graph.h - what to compute: values and the operators between them, with sizes known or symbolic.
 *
 * A graph is built once, top to bottom, and never run itself: programs are compiled from it (program.h). Values are
 * small ids that belong to their graph, so there is no lifetime to explain. Builders fail stickily: the first error is
 * logged and kept, later calls do nothing and return KILN_NONE, and the first call that takes the graph reports it.
 */
#ifndef KILN_GRAPH_H
#define KILN_GRAPH_H

#include <kiln/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_graph kiln_graph;

/** A value of a graph; {0} is none. An id from another graph is an error of the graph it is given to. */
typedef struct kiln_tensor {
    uint32_t graph;
    uint32_t id;
} kiln_tensor;

#ifdef __cplusplus
#define KILN_NONE (kiln_tensor{0, 0})
#else
#define KILN_NONE ((kiln_tensor){0, 0})
#endif

typedef struct kiln_graph_params {
    const char *name; /* for messages and prints; NULL: "graph" */
} kiln_graph_params;

/** Create an empty graph. Owns: destroy it when its programs are made; they keep what they need. */
KILN_API kiln_status kiln_graph_create(kiln_graph **out, const kiln_graph_params *params);
KILN_API void kiln_graph_destroy(kiln_graph **g);

/** KILN_OK, or the first failure of a builder. */
KILN_API kiln_status kiln_graph_status(const kiln_graph *g);

/** The text of that failure; "" while there is none. A loan. */
KILN_API const char *kiln_graph_error(const kiln_graph *g);

/* Sizes -------------------------------------------------------------------------------------------------- */

/**
 * A dimension known only when data arrives: the same name is the same symbol. "batch" is KILN_BATCH. A run takes its
 * value from the arrays written; two inputs that disagree are an error naming both.
 */
KILN_API int64_t kiln_dim(kiln_graph *g, const char *name);

/**
 * A size that depends on data: `count`, an I32 scalar, is computed by the run itself, and is at most `bound`. Of an axis of this
 * size the plan holds `bound` elements, of which the first `count` are there and the others are arbitrary: what works on them
 * one by one leaves them alone, what mixes along the axis counts them out, and an operator of which that is not known is
 * refused when the program is planned, by name. kiln_program_read and kiln_program_shape tell of those that are there.
 *
 * Such sizes come from operators (kiln_non_zero, kiln_first in indexing.h); an operator of an application's own calls this
 * from its shape rule, with `count` an input of its node, or kiln_dim_counted_by (extend.h).
 */
KILN_API int64_t kiln_dim_bounded(kiln_graph *g, kiln_tensor count, int64_t bound);

/* What enters -------------------------------------------------------------------------------------------- */

/** A value that the caller writes before a run (kiln_program_write) and that keeps what was last written. */
KILN_API kiln_tensor kiln_input(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape);

/** A constant; src is copied. */
KILN_API kiln_tensor kiln_constant(kiln_graph *g, const kiln_array *src);

/** A scalar constant. Reals keep all of `value` for float64 programs. */
KILN_API kiln_tensor kiln_scalar(kiln_graph *g, kiln_type type, double value);

/** 0, 1, ..., count - 1 as I32. */
KILN_API kiln_tensor kiln_range(kiln_graph *g, int64_t count);

/** How weights begin. The random ones are drawn on the host from a stream keyed by seed and parameter name. */
typedef enum kiln_init_kind {
    KILN_INIT_DEFAULT, /* He normal for weights of rank 2 and more, zeros else */
    KILN_INIT_ZEROS,
    KILN_INIT_CONSTANT, /* value */
    KILN_INIT_NORMAL,   /* mean `value`, deviation `scale` (0 means 1) */
    KILN_INIT_UNIFORM,  /* in [value - scale, value + scale), scale 0 means 1 */
    KILN_INIT_XAVIER,   /* Glorot 2010, uniform: +-gain * sqrt(6 / (fan_in + fan_out)) */
    KILN_INIT_XAVIER_NORMAL,
    KILN_INIT_HE, /* He 2015, normal: deviation gain * sqrt(2 / fan_in) */
    KILN_INIT_HE_UNIFORM,
    KILN_INIT_VALUES, /* `values`, copied when the parameter is declared */
} kiln_init_kind;

/**
 * Fans: of [O, I, ...] fan_in = I * rest and fan_out = O * rest (convolution, and dense weights stored [out, in]).
 */
typedef struct kiln_init {
    kiln_init_kind kind;
    double value, scale;
    double gain;              /* 0 means 1 */
    const kiln_array *values; /* same shape as the parameter; any real type */
} kiln_init;

/**
 * A parameter, trained by kiln_minimize: an F32 tensor of the weights, known by name. Declared again with the same name
 * and shape it is the same value (tied weights). The open scope is put before the name: "encoder.weight".
 * Errors: another shape under the same name.
 */
KILN_API kiln_tensor kiln_parameter(kiln_graph *g, const char *name, kiln_shape shape, const kiln_init *init);

/** Where a state lives. */
typedef enum kiln_store {
    KILN_STORE_WEIGHTS, /* what was learned or counted: running statistics, steps, random counters */
    KILN_STORE_SESSION, /* what belongs to one conversation: recurrent carry, caches, tokens so far */
} kiln_store;

/**
 * A tensor that survives runs; zeros at first. Using it reads the newest value in building order: what was stored
 * before the run, or the `next` of the last kiln_assign so far.
 */
KILN_API kiln_tensor kiln_state(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape,
                                kiln_store where);

/** As kiln_state with an initial value: kiln_init of kind ZEROS, CONSTANT or VALUES. */
KILN_API kiln_tensor kiln_state_init(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape,
                                     kiln_store where, const kiln_init *init);

/** An effect: store `next` in the state when the program that lists the effect runs. Type and shape must be equal. */
KILN_API kiln_tensor kiln_assign(kiln_graph *g, kiln_tensor state, kiln_tensor next);

/**
 * As kiln_assign, but performed by itself in every training program (train = true) that computes `with`. In other programs the
 * state stays as it is, for what is built later too.
 */
KILN_API kiln_tensor kiln_assign_with(kiln_graph *g, kiln_tensor state, kiln_tensor next, kiln_tensor with);

/** Several effects as one. KILN_NONE among them are left out. */
KILN_API kiln_tensor kiln_group(kiln_graph *g, const kiln_tensor *effects, int count);

/* What leaves -------------------------------------------------------------------------------------------- */

/** Name a value as an output of the graph; returns it. */
KILN_API kiln_tensor kiln_output(kiln_graph *g, const char *name, kiln_tensor t);

/** The value of that name (input, parameter, state, output, or imported); KILN_NONE, without failing, if there is none. */
KILN_API kiln_tensor kiln_find(const kiln_graph *g, const char *name);

/** Name a value, for kiln_find, messages and prints; returns it. */
KILN_API kiln_tensor kiln_name(kiln_graph *g, kiln_tensor t, const char *name);

/** The name of a value, or "". A loan. */
KILN_API const char *kiln_tensor_name(const kiln_graph *g, kiln_tensor t);

KILN_API kiln_type kiln_tensor_type(const kiln_graph *g, kiln_tensor t);
KILN_API kiln_shape kiln_tensor_shape(const kiln_graph *g, kiln_tensor t);

KILN_API int kiln_graph_input_count(const kiln_graph *g);
KILN_API int kiln_graph_output_count(const kiln_graph *g);
KILN_API kiln_tensor kiln_graph_input(const kiln_graph *g, int index);
KILN_API kiln_tensor kiln_graph_output(const kiln_graph *g, int index);

/** The parameters in order of declaration. */
KILN_API int kiln_graph_parameter_count(const kiln_graph *g);
KILN_API kiln_tensor kiln_graph_parameter(const kiln_graph *g, int index);

/** Whether y is computed from x (or is x). */
KILN_API bool kiln_depends(const kiln_graph *g, kiln_tensor y, kiln_tensor x);

/* Scopes ------------------------------------------------------------------------------------------------- */

/**
 * Put "name." before the names of parameters and states declared until the matching close. Layers that are given no
 * name take one from a counter of the open scope; opening a scope again starts its counters anew and so shares weights.
 */
KILN_API void kiln_scope_open(kiln_graph *g, const char *name);
KILN_API void kiln_scope_close(kiln_graph *g);

/** A name for a layer: `name` itself, or "kind1", "kind2", ... of the open scope. A loan until the graph ends. */
KILN_API const char *kiln_scope_name(kiln_graph *g, const char *kind, const char *name);

/* Functions and gradients -------------------------------------------------------------------------------- */

/**
 * Inline body: its inputs, in the order of declaration, become in[0..]; its outputs are stored to out[0..]. Parameters
 * and states keep their names, below the open scope.
 */
KILN_API void kiln_call(kiln_graph *g, const kiln_graph *body, const kiln_tensor *in, kiln_tensor *out);

/**
 * Append what computes dx[i] = sum(dy * d y / d x[i]) for each of count values x.
 *
 * dy KILN_NONE means ones. An x that y does not depend on gets zeros. relu'(0) = |0|' = 0; ties of max and min go to
 * the first.
 * Errors: an integer x; an operator without gradient on the path, by name.
 */
KILN_API void kiln_gradient(kiln_graph *g, kiln_tensor y, kiln_tensor dy, const kiln_tensor *x, int count,
                            kiln_tensor *dx);

/** Print the graph, a line a node, through `write`. */
KILN_API void kiln_graph_print(const kiln_graph *g, void (*write)(void *user, const char *text), void *user);

#ifdef __cplusplus
}
#endif
#endif
