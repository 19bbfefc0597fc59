/*
 * graph.h - the IR: values, and the nodes that make them, in building order, which is an order of execution.
 *
 * A graph that a user builds and the one that the compiler rewrites are of this one type; in the latter every size is a
 * number. Values are kiln_tensor ids from 1; a node's memory is the graph's arena, so pointers to nodes stay good.
 */
#ifndef KILN_GRAPH_GRAPH_H
#define KILN_GRAPH_GRAPH_H

#include <stdatomic.h>

#include <kiln/extend.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"

struct kiln_value {
    kiln_spec spec;
    kiln_node *node;
    int output;       /* which of the node's */
    const char *name; /* NULL: none */
};

/**
 * A size that is no number: a symbol; a op b where each is a number or a symbol; or BOUNDED: at most a, what the value of id b
 * counts. While a graph is rewritten, b is -id of a value of the old one until its successor is known.
 */
struct kiln_dim_expression {
    kiln_dim_op op;
    int64_t a, b;
    const char *name; /* of a symbol */
};

/** A state, its newest value in building order, and a kiln_assign_with. */
struct kiln_state_value {
    kiln_tensor state, newest;
};
struct kiln_attachment {
    kiln_tensor effect, with;
};

struct kiln_graph {
    uint32_t tag;          /* kiln_tensor.graph of its values */
    atomic_int references; /* one of whoever made it, one a node whose body it is */
    const char *name;
    struct kiln_arena arena;
    KILN_VEC(struct kiln_value) value;
    KILN_VEC(kiln_node *) node;
    KILN_VEC(struct kiln_dim_expression) dim;
    KILN_VEC(kiln_tensor) input;
    KILN_VEC(kiln_tensor) output;
    KILN_VEC(kiln_tensor) parameter;
    KILN_VEC(struct kiln_state_value) state;
    KILN_VEC(struct kiln_attachment) attachment;
    struct kiln_map names;             /* name -> id */
    struct kiln_map counters;          /* "scope/kind" -> how many */
    KILN_VEC(const char *) scope;      /* full prefixes, "encoder.layer1." */
    KILN_VEC(const kiln_graph *) body; /* of its nodes: a reference each */
    kiln_tensor random;                /* kiln_random_counter */
    const bool *wanted;                /* while gradients are made, by id: kiln_gradient_wanted */
    uint32_t wanted_count;
    kiln_node_pass pass; /* of new nodes */
    bool literal;        /* inputs of new nodes are taken as they are: no newest value of a state */
    kiln_status status;
    const char *error;
};

/* Leaves and effects: known to the compiler by address (leaf.c) ------------------------------------------ */

extern const kiln_op kiln_op_input, kiln_op_constant, kiln_op_parameter, kiln_op_state, kiln_op_assign,
    kiln_op_group, kiln_op_stop_gradient, kiln_op_by_mode;

/** Zeros that say of a branch not taken that no gradient comes from it: simplification drops what they are multiplied by. */
extern const kiln_op kiln_op_no_gradient;

/** Params of input, parameter and state. */
struct kiln_leaf_params {
    kiln_spec spec;
    kiln_store store; /* of a state */
    kiln_init init;   /* of a parameter or state; values point into the graph's arena */
};

/** Params of a constant: `stored` elements, F64 or I64 where they stand for reals or integers of another logical type. */
struct kiln_constant_params {
    kiln_spec spec;
    kiln_type stored;
    size_t bytes;
    const void *data;   /* in the graph's arena, or inline_data */
    double inline_data; /* of a scalar, so that equal scalars have equal params */
};

/* What the rooms above use ------------------------------------------------------------------------------- */

/** The value of an id; NULL for KILN_NONE or an id that is not of this graph. */
const struct kiln_value *kiln_graph_value(const kiln_graph *g, kiln_tensor t);
/** What reading t means now: of a state its newest value, unless inputs are taken as they are; else t. */
kiln_tensor kiln_newest(const kiln_graph *g, kiln_tensor t);
/** Let reading a state mean `newest` from now on. */
void kiln_set_newest(kiln_graph *g, kiln_tensor state, kiln_tensor newest);
/** The node that makes t; NULL as above. */
kiln_node *kiln_graph_node(const kiln_graph *g, kiln_tensor t);

/** Append a node whose outputs' specs are known already: no inference, inputs as they are. Returns NULL out of memory. */
kiln_node *kiln_graph_add(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                          const void *params, size_t params_size, const kiln_spec *out, int outputs,
                          const char *name);

/**
 * As kiln_gradient, of several values at once: dx[i] = sum over k of dy[k] * d y[k] / d x[i]. A y whose dy is KILN_NONE counts
 * for nothing; an x that no such y depends on gets KILN_NONE.
 */
void kiln_gradients(kiln_graph *g, const kiln_tensor *y, const kiln_tensor *dy, int ys, const kiln_tensor *x,
                    int count, kiln_tensor *dx);

/** A constant whose data is `stored`, standing for spec's type; data is copied. */
kiln_tensor kiln_graph_constant(kiln_graph *g, kiln_spec spec, kiln_type stored, const void *data,
                                size_t bytes);
/** The bytes of a constant. */
const void *kiln_constant_data(const struct kiln_constant_params *p);
/** Whether t is a constant of one integer or truth value, and which. */
bool kiln_constant_integer(const kiln_graph *g, kiln_tensor t, int64_t *value);

/**
 * The number of a size, given the symbols' numbers by `lookup` (negative: unknown); negative if it stays unknown. Asked of what
 * depends on data, `lookup` may say how many there are; it is the bound if it does not know.
 */
int64_t kiln_dim_value(const kiln_graph *g, int64_t size, int64_t (*lookup)(void *user, int64_t symbol),
                       void *user);
/** The product of sizes, numbers first, so that equal ones compare equal and symbols have one factor, which a division takes off. */
int64_t kiln_dim_product(kiln_graph *g, const int64_t *size, int count);
/** a op b, for one of ADD to CEIL_DIV. */
int64_t kiln_dim_apply(kiln_graph *g, kiln_dim_op op, int64_t a, int64_t b);
/** The name of a symbol, "batch * 2" for an expression, digits for a number; written to text. */
char *kiln_dim_text(const kiln_graph *g, int64_t size, char *text, size_t bytes);
/** As kiln_shape_text, with the symbols' names. */
char *kiln_graph_shape_text(const kiln_graph *g, const kiln_shape *shape, char *text, size_t bytes);
/** The size with the symbols' numbers put in; those of unknown symbols, and of counts, stay. */
int64_t kiln_dim_resolve(kiln_graph *g, int64_t size, int64_t (*lookup)(void *user, int64_t symbol),
                         void *user);
/** Call `found` with the id of each count that a size depends on. */
void kiln_dim_counts(const kiln_graph *g, int64_t size, void (*found)(void *user, uint32_t id), void *user);
/** The expression of a size; NULL for a number. */
const struct kiln_dim_expression *kiln_dim_expression_of(const kiln_graph *g, int64_t size);
/** Whether any size of the graph depends on data. */
bool kiln_graph_is_counted(const kiln_graph *g);
/** True for a symbol (not an expression of symbols). */
bool kiln_dim_is_symbol(const kiln_graph *g, int64_t size);

/** Whether a node looks at an input for its shape alone (kiln_op.shape_inputs). */
static inline bool kiln_node_reads_shape(const kiln_node *n, int input)
{
    return input < 32 && n->op->shape_inputs >> input & 1;
}

/** Check the invariants of the IR: ids, order, counts, specs. Errors: logged, ERROR_ARGUMENT. */
kiln_status kiln_graph_verify(const kiln_graph *g);

#endif
