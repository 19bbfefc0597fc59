/*
 * onnx_save.h - the exporter's own: a model while it is being written.
 *
 *   onnx_save.c        kiln_onnx_save: what is needed, leaves, values' names, the file
 *   onnx_save_mode.c   what is another value, or nothing, in the mode that is written
 *   onnx_save_node.c   making ONNX nodes, attributes and constants
 *   onnx_save_table.c  kiln operator -> the row that writes it; families are named as where they are read:
 *   onnx_save_math.c   elementwise operators
 *   onnx_save_matrix.c  convolutions and products
 *   onnx_save_pool.c   windows and regions
 *   onnx_save_reduce.c  reductions
 *   onnx_save_norm.c   normalization and probabilities
 *   onnx_save_loss.c   losses
 *   onnx_save_layout.c  shapes, and sizes
 *   onnx_save_resize.c  resizing and grids
 *   onnx_save_roi.c    where the largest of a region stands, and regions' gradients
 *   onnx_save_attention.c  attention and its kin
 *   onnx_save_indexing.c  what names places
 *   onnx_save_gradient.c  and gradients that are operators, those of families in onnx_save_gradient_attention.c, .._grid.c, .._indexing.c,
 *                      .._norm.c, .._pool.c and .._recurrent.c
 *   onnx_save_row.h    what rows are made of
 *   onnx_save_inner.c  graphs within: bodies of nodes, and operators that are composed of others
 *   onnx_save_compose.c  of what those operators are composed
 *   onnx_save_ctc.c    and one of them, connectionist temporal classification
 *   onnx_save_control.c  loops and branches
 *   onnx_save_step.c   what a step stores: optimizers, and states
 *   onnx_save_match.c  groups of nodes that ONNX has one operator for: biases, batch normalization, suppression
 *   onnx_save_recurrent.c  and recurrent cells
 */
#ifndef KILN_IMPORT_ONNX_SAVE_H
#define KILN_IMPORT_ONNX_SAVE_H

#include <kiln/extend.h>
#include <kiln/import.h>
#include <kiln/ops.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/vec.h"
#include "import/onnx.pb-c.h"

/** A parameter or state that an effect changes, an input, and what it holds behind those that are written so far. */
struct kiln_onnx_stored {
    const char *name, *next, *value; /* next: what an output is called */
    kiln_spec spec;
};

struct kiln_onnx_writer {
    const char *path; /* for messages */
    const kiln_graph *g, *outermost;
    kiln_weights *weights;
    int opset, wanted; /* the one that is written, and the least that has all that was met */
    bool widens;       /* values of type narrow are written as values of type wide */
    kiln_type narrow, wide;
    bool train;              /* by_mode is what training computes */
    bool steps;              /* and what it stores by itself is stored */
    bool within;             /* of another graph: its names are made up */
    struct kiln_arena arena; /* of everything that is written */
    uint32_t values;         /* ids run from 1 to it */
    bool *needed;            /* by id */
    bool *nothing;           /* by id: no gradient comes to it, or what is linear in such a one */
    int *uses;               /* by id: how many needed nodes read it */
    const char **name;       /* by id */
    KILN_VEC(Onnx__NodeProto *) node;
    KILN_VEC(Onnx__TensorProto *) initializer;
    KILN_VEC(Onnx__ValueInfoProto *) input;
    KILN_VEC(Onnx__ValueInfoProto *) result; /* of a body */
    KILN_VEC(struct kiln_onnx_stored) stored;
    KILN_VEC(kiln_tensor) attached; /* effects that are needed beside the outputs */
    kiln_status status;             /* of what was read or built; sticks */
    int made_up;                    /* names so far */
    const char *besides; /* what an input is called that a composition declares behind those of its node */
    struct kiln_text refusals;
    int refused;
    bool full; /* memory ran out */
};

/** Builds what node n computes, of inputs of its inputs' types and shapes, and stores its outputs; those not needed may be none. */
typedef void kiln_onnx_compose_fn(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out);

/** A row: how an operator is written. */
struct kiln_onnx_writer_row {
    const char *op;
    const char *onnx; /* the ONNX operator, where it is one */
    void (*write)(struct kiln_onnx_writer *w, const kiln_node *n, const struct kiln_onnx_writer_row *row);
    uint32_t reads; /* bit i: input i is read; 0: all are */
    int since;      /* the first opset that has it, where that is beyond the least one written */
    uint32_t lacks; /* types that ONNX's or ONNX Runtime's operator lacks: 1 << KILN_F16 | ... */
    kiln_onnx_compose_fn *compose; /* in place of `write` */
    /* what is read in place of the inputs, at most 16 values; returns how many */
    int (*read)(const struct kiln_onnx_writer *w, const kiln_node *n, kiln_tensor *out);
};

/** Let a node be written with its values of that type cast to a wider one, and what it gives cast back. */
void kiln_onnx_write_widened(struct kiln_onnx_writer *w, const kiln_node *n, kiln_type type,
                             const struct kiln_onnx_writer_row *row,
                             void (*write)(struct kiln_onnx_writer *w, const kiln_node *n,
                                           const struct kiln_onnx_writer_row *row));

/** The row of an operator; NULL where ONNX has nothing for it. */
const struct kiln_onnx_writer_row *kiln_onnx_writer_row_of(const char *op);

/** Note that a node cannot be written, for one message about all. */
void kiln_onnx_writer_refuse(struct kiln_onnx_writer *w, const kiln_node *n, const char *why);

/** Whether the opset is at least that one. If not, and none was asked for, the file is written by a later one. */
bool kiln_onnx_writer_needs(struct kiln_onnx_writer *w, const kiln_node *n, int opset);

/* Names -------------------------------------------------------------------------------------------------- */

/** The name of a value; "" of KILN_NONE. */
const char *kiln_onnx_name(const struct kiln_onnx_writer *w, kiln_tensor t);
/** A name that no value has. */
const char *kiln_onnx_new_name(struct kiln_onnx_writer *w);

/* Modes -------------------------------------------------------------------------------------------------- */

/** Which input of by_mode is written. */
int kiln_onnx_mode_input(const struct kiln_onnx_writer *w);
/** Note which values are nothing. */
void kiln_onnx_find_nothing(struct kiln_onnx_writer *w);
/** What a node without a name of its own hands on; KILN_NONE where it makes something. */
kiln_tensor kiln_onnx_handed_on(const struct kiln_onnx_writer *w, const kiln_node *n);

/* Nodes -------------------------------------------------------------------------------------------------- */

/** Append a node of one output; inputs are names, "" where one is left out. Returns NULL out of memory: attributes take it. */
Onnx__NodeProto *kiln_onnx_write(struct kiln_onnx_writer *w, const char *onnx, const char *out, int inputs,
                                 const char *const *in);
/** The same with a made-up output name, which is returned. */
const char *kiln_onnx_step(struct kiln_onnx_writer *w, const char *onnx, int inputs, const char *const *in);
/** Another output of a node, behind those that it has. */
void kiln_onnx_put_output(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name);
void kiln_onnx_put_int(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name, int64_t value);
void kiln_onnx_put_ints(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                        const int64_t *values, int count);
void kiln_onnx_put_real(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name, double value);
void kiln_onnx_put_reals(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                         const double *values, int count);
void kiln_onnx_put_text(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name, const char *value);
void kiln_onnx_put_texts(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                         const char *const *values, int count);

void kiln_onnx_put_graph(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                         Onnx__GraphProto *value);

/** Names of new constants: a list of int64; one number of a type, of rank 0. */
const char *kiln_onnx_new_list(struct kiln_onnx_writer *w, const int64_t *values, int count);
const char *kiln_onnx_new_scalar(struct kiln_onnx_writer *w, kiln_type type, double value);
/** An initializer of that name with room for its values; NULL out of memory. */
void *kiln_onnx_new_tensor(struct kiln_onnx_writer *w, const char *name, kiln_type type,
                           const kiln_shape *shape);

/* Graphs within ------------------------------------------------------------------------------------------ */

/**
 * Begin to write a graph within the one of w: nodes for its values lie behind those of w or, of a body, in a graph of their own.
 * Until kiln_onnx_close_inner w is not to be used. False out of memory.
 */
bool kiln_onnx_open_inner(struct kiln_onnx_writer *inner, const struct kiln_onnx_writer *w,
                          const kiln_graph *g, bool body);
void kiln_onnx_close_inner(struct kiln_onnx_writer *inner, struct kiln_onnx_writer *w);

/** Make room for what is known of a graph's values, and free it. */
bool kiln_onnx_begin_graph(struct kiln_onnx_writer *w, const kiln_graph *g);
void kiln_onnx_finish_graph(struct kiln_onnx_writer *w);

/** What input i of the inner graph is called: a name around it, or that of an input of the body. */
void kiln_onnx_call_input(struct kiln_onnx_writer *inner, int i, const char *name);

/** Write the nodes that the outputs need. names[i] is what output i is to be called; NULL: receives a name that is made up. */
void kiln_onnx_write_graph(struct kiln_onnx_writer *w, const kiln_tensor *outputs, const char **names,
                           int count);

/** Declare an input or output of a body; they keep this order. */
void kiln_onnx_put_input(struct kiln_onnx_writer *body, const char *name, const kiln_spec *spec);
void kiln_onnx_put_result(struct kiln_onnx_writer *body, const char *name, const kiln_spec *spec);

/** Give the body to a node of the graph around it, closing it. */
void kiln_onnx_finish_body(struct kiln_onnx_writer *body, struct kiln_onnx_writer *w, Onnx__NodeProto *n,
                           const char *attribute);

/** Write a node as what `compose` builds of other operators. Symbols among the node's sizes are others in g. */
void kiln_onnx_write_composed(struct kiln_onnx_writer *w, const kiln_node *n, kiln_onnx_compose_fn *compose);

/** Write what is stored, as outputs. */
void kiln_onnx_put_stored(struct kiln_onnx_writer *w);

/* Groups ------------------------------------------------------------------------------------------------- */

/** Nodes that are written as one. */
struct kiln_onnx_match {
    enum kiln_onnx_match_kind {
        KILN_ONNX_ALONE,
        KILN_ONNX_BIAS,
        KILN_ONNX_BATCH_NORM,
        KILN_ONNX_NMS,
        KILN_ONNX_RECURRENT,
        KILN_ONNX_SLICE
    } kind;
    const kiln_node *main; /* of a bias: the convolution or product; of suppression: nms */
    /* x, w, bias; or x, scale, bias, mean, variance; or boxes, scores; or x, first, end; or as onnx_save_recurrent.c says */
    kiln_tensor in[8];
    int inputs;
    double epsilon;
    int64_t axis; /* of a slice */
};

/** What node n ends, by the uses that are known; kind ALONE if nothing. */
struct kiln_onnx_match kiln_onnx_match(const struct kiln_onnx_writer *w, const kiln_node *n);
bool kiln_onnx_match_recurrent(const struct kiln_onnx_writer *w, const kiln_node *n,
                               struct kiln_onnx_match *m);
/** Write it. */
void kiln_onnx_write_recurrent(struct kiln_onnx_writer *w, const kiln_node *n,
                               const struct kiln_onnx_match *m);
void kiln_onnx_write_match(struct kiln_onnx_writer *w, const kiln_node *n, const struct kiln_onnx_match *m);
/** Convolution or product n, with that bias or "". */
void kiln_onnx_write_conv(struct kiln_onnx_writer *w, const kiln_node *n, const char *bias, const char *out);
void kiln_onnx_write_matmul(struct kiln_onnx_writer *w, const kiln_node *n, const char *bias,
                            const char *out);

#endif
