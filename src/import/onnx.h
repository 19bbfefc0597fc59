/*
 * onnx.h - the importer's own: a model while it is being read, its values, and a node while it is being built.
 *
 *   onnx_load.c       kiln_onnx_load: the file, inputs, weights, nodes one after another, outputs
 *   onnx_read.c       bytes -> protobuf-c's structures, within limits
 *   onnx_sort.c       nodes in an order of execution
 *   onnx_tensor.c     TensorProto -> arrays
 *   onnx_external.c   elements in files beside the model
 *   onnx_sparse.c     SparseTensorProto -> arrays
 *   onnx_value.c      values: known while reading ("host"), or computed by the graph
 *   onnx_node.c       what a builder asks of its node: inputs, attributes, refusals
 *   onnx_table.c      ONNX operator -> builder, a row each; ONNX Runtime's own in onnx_table_runtime.c
 *   onnx_FAMILY.c     the builders
 *   onnx_body.c       bodies: graphs within nodes
 *   onnx_agree.c      sizes that a file says are equal
 *   onnx_counted.c    sizes that a run computes
 *   onnx_interval.c   between which numbers values lie, to bound them
 *   onnx_sequence.c   sequences, which are known while reading
 *   onnx_fused.c      operators that ONNX Runtime's optimizers write, and attention among them (onnx_fused_attention.c,
 *                     onnx_grouped_attention.c)
 *   onnx_patterns.c   what is written in pieces -> the one operator that it is
 *   onnx_fold.c       shape arithmetic, computed while reading; of one element in onnx_fold_element.c
 *   onnx_function.c   functions of the model's own
 *   onnx_roles.c      which initializers are learned
 *   onnx_survey.c     what kiln leaves out by its kind
 */
#ifndef KILN_IMPORT_ONNX_H
#define KILN_IMPORT_ONNX_H

#include <kiln/arrange.h>
#include <kiln/conv.h>
#include <kiln/extend.h>
#include <kiln/graph.h>
#include <kiln/import.h>
#include <kiln/ops.h>
#include <kiln/pool.h>
#include <kiln/recurrent.h>
#include <kiln/roi.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "import/onnx.pb-c.h"

#define KILN_ONNX_MOST_SIZE \
    (INT64_C(1) << 40) /* of an axis: sums and windows of sizes stay far from overflow */

enum {
    KILN_ONNX_NEWEST_OPSET = 27,
    KILN_ONNX_MOST_ITEMS = 1 << 16, /* of a value that is computed while reading */
    KILN_ONNX_MOST_INPUTS = 256,    /* of a node */
    KILN_ONNX_ALL_ITEMS = 1 << 22,  /* of all such values together */
    KILN_ONNX_MOST_DENSE = 1 << 28, /* bytes that a model's sparse tensors become */
};

/* Values -------------------------------------------------------------------------------------------------------- */

/** An element of a value that is known while reading; an integer may be a symbol of the graph, as a batch size is. */
struct kiln_onnx_item {
    int64_t i;   /* integers and BOOL */
    double r;    /* reals */
    bool symbol; /* i is a size of the graph, not a number */
};

/** What an initializer is to the graph: found before any node is built, from the nodes that read it. */
enum kiln_onnx_role { KILN_ONNX_CONSTANT, KILN_ONNX_PARAMETER, KILN_ONNX_STATE };

struct kiln_onnx_value {
    const char *name;
    int index;          /* in kiln_onnx.value, where it may stand again under other names */
    bool refused;       /* made by a node that could not be built */
    bool initializer;   /* of the model: a constant has its name in the graph */
    bool absent;        /* an input of a function that its call leaves out */
    kiln_tensor tensor; /* KILN_NONE until a node needs it in the graph */
    bool known;         /* its elements are known while reading: */
    kiln_spec spec;
    const void *data;             /* all of them, dense; or NULL, and ... */
    struct kiln_onnx_item *items; /* ... these, at most KILN_ONNX_MOST_ITEMS; made from data when asked for */
    enum kiln_onnx_role role;     /* of an initializer */
    struct kiln_onnx_sequence *sequence; /* NULL: it is a tensor */
};

/** A list of values, which never changes; or the rows of a stack, [T, ..]. */
struct kiln_onnx_sequence {
    int count;
    struct kiln_onnx_value **item;
    kiln_tensor stack; /* KILN_NONE: it is a list */
    /* a list of what a step of a loop appends to this carry of its body; NULL: all of it is here */
    const struct kiln_onnx_sequence *grows;
};

/* Functions of the model's own ------------------------------------------------------------------------------------ */

struct kiln_onnx_function {
    const Onnx__FunctionProto *proto;
    int opset;
    enum kiln_onnx_role *roles;   /* of its inputs */
    Onnx__AttributeProto **value; /* attributes with a default, so many: */
    int defaults;
    int64_t weight; /* nodes that a call becomes */
    bool weighed, open;
};

/** What the readers of a model and of the bodies in it share. */
struct kiln_onnx_shared {
    struct kiln_onnx_function *function;
    int functions;
    struct kiln_map names;                  /* "DOMAIN:NAME:OVERLOAD" -> index in function */
    bool told_range;                        /* of numbers beyond float's range, which are told once */
    KILN_VEC(struct kiln_onnx_file *) file; /* of external data */
    struct kiln_map locations;              /* -> index in file */
    size_t dense_left;                      /* bytes that sparse tensors may still become */
    int64_t items_left;                     /* of values that are computed while reading */
};

/** A call that is being read. */
struct kiln_onnx_call {
    const struct kiln_onnx_function *function;
    struct kiln_onnx_passed {
        const char *name;
        const Onnx__AttributeProto *value;
    } * attribute; /* that the call gives */
    int count;
    char name[256];
};

/* The model ----------------------------------------------------------------------------------------------------- */

/** The least and the most that an element may be. */
struct kiln_onnx_interval {
    double least, most;
    bool rounded; /* computed from reals, it may be beyond these by what they were rounded */
};

struct kiln_onnx {
    const char *path; /* for messages */
    kiln_graph *g;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *graph;     /* the model's, or the body that is being read */
    struct kiln_onnx_shared *shared;   /* NULL where a tensor is read on its own */
    const struct kiln_onnx_call *call; /* the function that is being read; NULL: none */
    int opset;
    kiln_onnx_params params;
    int inputs;              /* read so far */
    int64_t old_batch;       /* with free_batch: the size that became KILN_BATCH, 0 while none did */
    struct kiln_arena arena; /* lives as long as the reading */
    KILN_VEC(struct kiln_onnx_value *) value;
    struct kiln_map names;     /* name -> index in value */
    struct kiln_text refusals; /* all of them, for one message */
    int refused;
    kiln_status status;                /* what ends the reading at once: damage, or memory that ran out */
    struct kiln_onnx_counted *counted; /* sizes that a run computes */
    /* the largest of those that are larger than there is room for, an I32 scalar, 0 while none is; KILN_NONE: there are none */
    kiln_tensor beyond;
    int64_t largest;                              /* size of an input that is a number */
    KILN_VEC(struct kiln_onnx_interval) interval; /* by the ids of values, of the first `bounded` nodes */
    int bounded;
};

/** As kiln_onnx_load, from a file's bytes. */
kiln_status kiln_onnx_read(kiln_graph **graph, kiln_weights **weights, const char *path, const void *data,
                           size_t size, const kiln_onnx_params *params);

/** The steps of reading m->graph. learned: initializers may be parameters and states. */
kiln_status kiln_onnx_add_initializers(struct kiln_onnx *m, bool learned);
kiln_status kiln_onnx_add_node(struct kiln_onnx *m, const Onnx__NodeProto *proto);

/** Learn the model's functions. Errors: ERROR_FILE for one that calls itself; ERROR_UNSUPPORTED for too much of them. */
kiln_status kiln_onnx_find_functions(struct kiln_onnx *m);
void kiln_onnx_finish_functions(struct kiln_onnx_shared *s);
/** The function that a node calls, NULL if none. */
struct kiln_onnx_function *kiln_onnx_function_for(const struct kiln_onnx *m, const Onnx__NodeProto *n);
/** The attribute that a call gives its function, or the function's default; NULL if neither. */
const Onnx__AttributeProto *kiln_onnx_passed(const struct kiln_onnx_call *call, const char *name);

/**
 * Say of names what they are to nodes that read them: name -> enum kiln_onnx_role, constants left out.
 * graph: that the nodes are of, for its initializers; NULL where they are a function's.
 */
kiln_status kiln_onnx_find_roles(struct kiln_onnx *m, const Onnx__GraphProto *graph,
                                 Onnx__NodeProto *const *node, size_t count, struct kiln_map *of);

/** Whether a dense initializer of the graph has that name. */
bool kiln_onnx_is_initializer(const Onnx__GraphProto *g, const char *name);

/** Log "PATH: message" and end the reading; the first one sticks. */
kiln_status kiln_onnx_fail(struct kiln_onnx *m, kiln_status status, const char *format, ...)
    KILN_FORMAT(3, 4);
/** Memory that lives as long as the reading, zeros. NULL ends the reading, with its line in the log. */
void *kiln_onnx_alloc(struct kiln_onnx *m, size_t bytes);
/** The same values as another tensor: an output, say, must be one of its own. */
kiln_tensor kiln_onnx_copy(kiln_graph *g, kiln_tensor t);

/** Unpack a file's bytes as a message of that type; logs and returns NULL where they are none. Free by kiln_onnx_free. */
void *kiln_onnx_unpack(const char *path, const ProtobufCMessageDescriptor *type, const void *data,
                       size_t size);
void kiln_onnx_free(void *message);

/** Put the nodes of a model, its bodies and functions behind those whose values they read; false when out of memory. */
bool kiln_onnx_sort(Onnx__ModelProto *model);

/** The type of an ONNX data_type, any number of a file's; false where kiln has none. And back. */
bool kiln_onnx_type(int64_t onnx, kiln_type *type);
int kiln_onnx_type_of(kiln_type type);

/** Elements of a tensor of the file, dense: the file's own bytes, or unpacked into arena. Logs what is wrong. */
kiln_status kiln_onnx_tensor(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                             kiln_array *out);
/** The same of integers of 4 bits, two a byte, the first in its low half: as integers of 8 bits. */
enum { KILN_ONNX_UINT4 = 21, KILN_ONNX_INT4 };
kiln_status kiln_onnx_packed_tensor(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                                    kiln_array *out);

/** The same of a sparse tensor: made dense, in arena. */
kiln_status kiln_onnx_sparse(struct kiln_onnx *m, const Onnx__SparseTensorProto *t, const char *what,
                             kiln_array *out);
/** Parts of them: the shape, and how many elements it has; and `bytes` of elements from another file. */
kiln_status kiln_onnx_take_shape(struct kiln_onnx *m, const int64_t *dims, size_t rank, const char *what,
                                 kiln_array *out, size_t *count);
kiln_status kiln_onnx_take_external(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                                    size_t bytes, kiln_array *out);

/** Write a weight, or lend it where its values lie in another file: the file stays mapped as long as the weights want it. */
kiln_status kiln_onnx_give_weight(struct kiln_onnx *m, kiln_weights *w, const char *name,
                                  const kiln_array *values);
/** The reading is over: what nobody reads any more is unmapped. */
void kiln_onnx_finish_files(struct kiln_onnx_shared *s);

/** The value of that name, NULL if there is none; and a new one, NULL (and failed) if the name is taken. */
struct kiln_onnx_value *kiln_onnx_find(const struct kiln_onnx *m, const char *name);
struct kiln_onnx_value *kiln_onnx_add(struct kiln_onnx *m, const char *name);
/** The one that may be read: NULL too while its node is being built, whose bodies must not. */
struct kiln_onnx_value *kiln_onnx_find_made(const struct kiln_onnx *m, const char *name);

/** A second name of a value. */
void kiln_onnx_alias(struct kiln_onnx *m, const char *name, struct kiln_onnx_value *v);
/** A value is another one from now on, under its own name. */
void kiln_onnx_become(struct kiln_onnx *m, struct kiln_onnx_value *v, struct kiln_onnx_value *from);

/** The value in the graph: a constant, parameter or state is declared at its first use. KILN_NONE where it has failed. */
kiln_tensor kiln_onnx_tensor_of(struct kiln_onnx *m, struct kiln_onnx_value *v);

/** A size, a number or a symbol, as a scalar: how many places there are, up to 2^24. */
kiln_tensor kiln_onnx_size_value(kiln_graph *g, int64_t size, kiln_type type);
/** The size of an axis of x, whatever decides it, as an I32 scalar: up to 2^24 where it is no number yet. */
kiln_tensor kiln_onnx_axis_size(kiln_graph *g, kiln_tensor x, int axis);

/** Room for items; NULL where they are too many, alone or with all others, or memory ran out. */
struct kiln_onnx_item *kiln_onnx_new_items(struct kiln_onnx *m, int64_t count);

/** The elements of a known value; NULL for an unknown or a larger one. */
struct kiln_onnx_item *kiln_onnx_items(struct kiln_onnx *m, struct kiln_onnx_value *v);

/* A node -------------------------------------------------------------------------------------------------------- */

typedef struct kiln_onnx_node kiln_onnx_node;
typedef kiln_tensor kiln_onnx_unary_fn(kiln_graph *g, kiln_tensor x);
typedef kiln_tensor kiln_onnx_binary_fn(kiln_graph *g, kiln_tensor a, kiln_tensor b);
typedef kiln_tensor kiln_onnx_reduce_fn(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
typedef kiln_tensor kiln_onnx_axis_fn(kiln_graph *g, kiln_tensor x, int axis);

/** Arithmetic that is also done while reading. */
enum kiln_onnx_operation {
    KILN_ONNX_SAME,
    KILN_ONNX_NEG,
    KILN_ONNX_ABS,
    KILN_ONNX_NOT,
    KILN_ONNX_FLOOR,
    KILN_ONNX_CEIL,
    KILN_ONNX_RECIPROCAL,
    KILN_ONNX_SQRT,
    KILN_ONNX_RELU,
    KILN_ONNX_ADD,
    KILN_ONNX_SUB,
    KILN_ONNX_MUL,
    KILN_ONNX_DIV,
    KILN_ONNX_MOD,
    KILN_ONNX_REST,
    KILN_ONNX_POW,
    KILN_ONNX_MIN,
    KILN_ONNX_MAX,
    KILN_ONNX_AND,
    KILN_ONNX_OR,
    KILN_ONNX_EQUAL,
    KILN_ONNX_NOT_EQUAL,
    KILN_ONNX_LESS,
    KILN_ONNX_LESS_EQUAL,
    KILN_ONNX_GREATER,
    KILN_ONNX_GREATER_EQUAL, /* comparisons, which give BOOL, come last */
};

/** A row of the table. */
struct kiln_onnx_row {
    const char *name;
    const char *domain;               /* NULL: the standard's own */
    int first, last;                  /* opsets; 0: from the first, to the newest */
    const char *attributes;           /* that the builder honours or may pass over; NULL: none */
    int inputs, most;                 /* how many it takes; most 0: as many as inputs, -1: any number */
    void (*build)(kiln_onnx_node *n); /* NULL: only while reading */
    bool (*fold)(kiln_onnx_node *n);  /* when all inputs are known; false: build. NULL: always build */
    uint32_t parameters, states;      /* bit i: a float initializer at input i is one */
    uint32_t sequences;               /* bit i: input i may be a sequence */
    kiln_onnx_unary_fn *unary;        /* for builders that many rows share */
    kiln_onnx_binary_fn *binary;
    kiln_onnx_reduce_fn *reduce;
    kiln_onnx_axis_fn *softmax;
    const struct kiln_onnx_cell *cell;
    enum kiln_onnx_operation operation; /* for folds that many rows share */
};

/** Attributes that convolution and pooling share. */
#define KILN_ONNX_WINDOW_ATTRIBUTES "auto_pad dilations kernel_shape pads strides "

/** The rows of ONNX Runtime's own operators. */
extern const struct kiln_onnx_row kiln_onnx_runtime_rows[];
extern const size_t kiln_onnx_runtime_row_count;

struct kiln_onnx_node {
    struct kiln_onnx *m;
    kiln_graph *g;
    int opset;
    const Onnx__NodeProto *proto;
    const struct kiln_onnx_row *row;
    const struct kiln_onnx_function *function;          /* that it calls; NULL: none */
    struct kiln_onnx_value *in[KILN_ONNX_MOST_INPUTS];  /* NULL: left out */
    struct kiln_onnx_value *out[KILN_ONNX_MOST_INPUTS]; /* NULL: left out */
    int inputs, outputs;
    bool refused;
};

/** What kind of thing, of those that kiln leaves out, an element type, a value or a node is: "texts", or NULL. */
const char *kiln_onnx_type_kind(int64_t onnx);
const char *kiln_onnx_value_kind(const Onnx__TypeProto *type);
const char *kiln_onnx_node_kind(const Onnx__NodeProto *n);
/** Whether an initializer holds integers of 4 bits that are nothing but dequantized: these are read. */
bool kiln_onnx_is_packed(const Onnx__GraphProto *g, const Onnx__TensorProto *t);

/** Whether a node of the graph, or of a body in it, reads the value of that name, or the graph gives it. */
bool kiln_onnx_is_read(const Onnx__GraphProto *g, const char *name);
/** Whether a node of the graph, or of the function, is a constant that nothing reads; either may be NULL. */
bool kiln_onnx_is_idle(const Onnx__GraphProto *g, const Onnx__FunctionProto *f, const Onnx__NodeProto *n);

/** Whether a domain is ONNX's own. */
bool kiln_onnx_standard_domain(const char *domain);

/** The row of an operator of a domain, "" the standard's own, at an opset; NULL if there is none. */
const struct kiln_onnx_row *kiln_onnx_row_of(const char *domain, const char *name, int opset);
/** All rows, one after another; NULL behind the last. */
const struct kiln_onnx_row *kiln_onnx_row_at(size_t index);
/** The row of a node's operator; NULL if there is none. */
const struct kiln_onnx_row *kiln_onnx_row_for(const struct kiln_onnx *m, const Onnx__NodeProto *n);
/** Open a call: the nodes of the function, in its place. */
void kiln_onnx_build_call(kiln_onnx_node *n);

/** A value of the file, `what` ("input"), is refused: say why. It stays a name, so that what reads it is refused in silence. */
void kiln_onnx_refuse_value(struct kiln_onnx *m, const char *what, const char *name, const char *format, ...)
    KILN_FORMAT(4, 5);
/** Why elements of an ONNX type are refused: "texts are not supported". */
const char *kiln_onnx_type_refusal(int onnx, char *text, size_t bytes);
const char *kiln_onnx_kind_refusal(const char *kind, char *text, size_t bytes);

/** The name of a node; of one without it, that of its first output. */
const char *kiln_onnx_node_name(const kiln_onnx_node *n);
/** Whether what is known of indices, input i, lies in [low, size) or is *but, if there is one; refuses n where it does not. A size
 * below 0 is not known. */
bool kiln_onnx_lie_between(kiln_onnx_node *n, int i, int64_t low, int64_t size, const int64_t *but);
/** The same of an axis of input `of`, from its end where negative. */
bool kiln_onnx_lie_on(kiln_onnx_node *n, int i, int of, int axis);

/** This node cannot be built: say why; the others go on, so that all refusals are reported at once. */
void kiln_onnx_refuse(kiln_onnx_node *n, const char *format, ...) KILN_FORMAT(2, 3);

/** Input i in the graph; KILN_NONE where it is left out. */
kiln_tensor kiln_onnx_in(kiln_onnx_node *n, int i);
bool kiln_onnx_has(const kiln_onnx_node *n, int i);
/** Type and shape of input i, whether it is in the graph or not. */
kiln_spec kiln_onnx_spec(kiln_onnx_node *n, int i);
/** An axis in 0 .. rank - 1 from one that may be negative; refuses. */
int kiln_onnx_axis(kiln_onnx_node *n, int64_t axis, int rank);

/**
 * Give two values the same sizes, axes from the last on, where they are symbols that differ as expressions: the file means them to be
 * equal, and a run fails to be planned where they are not. Left as they are: axis `but` of a (-1: none), sizes of 1, counted ones.
 */
void kiln_onnx_agree(kiln_graph *g, kiln_tensor *a, kiln_tensor *b, int but);
/** The same of one axis of each; nothing where a value is none or an axis negative. */
void kiln_onnx_agree_along(kiln_graph *g, kiln_tensor *a, int axis_a, kiln_tensor *b, int axis_b);
/** x with an axis of that size, where it is a symbol so far. */
kiln_tensor kiln_onnx_sized(kiln_graph *g, kiln_tensor x, int axis, int64_t size);
/** Values side by side along an axis, their other sizes taken to be equal; refuses too many. */
kiln_tensor kiln_onnx_join(kiln_onnx_node *n, kiln_tensor *in, int count, int axis);

/** Whether the node has an output i, not left out. */
bool kiln_onnx_wants(const kiln_onnx_node *n, int i);
/** Set output i. */
void kiln_onnx_out(kiln_onnx_node *n, int i, kiln_tensor t);
/** Name a value in the graph: its own name, or in a function the call's and its own, if that is free. */
void kiln_onnx_name_value(kiln_onnx_node *n, const struct kiln_onnx_value *v);
/** Output i becomes a known value of that type and shape; its items are returned to be filled. NULL: no memory, or too many. */
struct kiln_onnx_item *kiln_onnx_out_items(kiln_onnx_node *n, int i, kiln_type type, kiln_shape shape);

/** Attributes; the default where there is none, and of another type a refusal. */
const Onnx__AttributeProto *kiln_onnx_attribute(const kiln_onnx_node *n, const char *name);
bool kiln_onnx_has_attribute(const kiln_onnx_node *n, const char *name);
int64_t kiln_onnx_int(kiln_onnx_node *n, const char *name, int64_t otherwise);
double kiln_onnx_real(kiln_onnx_node *n, const char *name, double otherwise);
const char *kiln_onnx_text(kiln_onnx_node *n, const char *name, const char *otherwise);
/** A graph; NULL, and refused, where there is none. */
const Onnx__GraphProto *kiln_onnx_graph(kiln_onnx_node *n, const char *name);
const int64_t *kiln_onnx_ints(kiln_onnx_node *n, const char *name, int *count);
const float *kiln_onnx_reals(kiln_onnx_node *n, const char *name, int *count);
const char *const *kiln_onnx_texts(kiln_onnx_node *n, const char *name, int *count);

/** A list of integers, from an attribute or a known input. */
struct kiln_onnx_list {
    bool given;
    int count;
    struct kiln_onnx_item *item;
};

/** The attribute `name` (before opset `since`) or input i (from it on). False, and refused, where it is not known. */
bool kiln_onnx_list(kiln_onnx_node *n, const char *name, int since, int i, struct kiln_onnx_list *out);
/** Input i as one known number; false, without refusing, if it is not known. */
bool kiln_onnx_number(kiln_onnx_node *n, int i, double *out);
/** Whether input i is there, and one number that only a run, or its sizes, give. */
bool kiln_onnx_is_computed(kiln_onnx_node *n, int i);
/** Input i, which has one element, as a scalar; KILN_NONE where it is not there. */
kiln_tensor kiln_onnx_scalar(kiln_onnx_node *n, int i);
/** One axis of a Slice, as kiln_slice takes it; count: of elements, -1 where the axis has a symbolic size. */
struct kiln_onnx_range {
    int axis;
    bool by_sizes; /* first and end are sizes of the graph, within the axis */
    int64_t first, end, step, count;
};
/**
 * As kiln_onnx_list, of sizes: an integer that a run computes becomes a size that data counts. There is room for as much as the model
 * shows that it can be, else for kiln_onnx_params.most_size.
 */
bool kiln_onnx_sizes(kiln_onnx_node *n, const char *name, int since, int i, struct kiln_onnx_list *out);
/** Such a size: an I32 scalar of the graph, which may be negative. False, and refused, where nothing bounds it. */
bool kiln_onnx_size_counted(kiln_onnx_node *n, kiln_tensor count, struct kiln_onnx_item *size);
/** x from `first` to `end` along an axis, I32 scalars, counted from its end where they are negative. */
kiln_tensor kiln_onnx_slice_between(struct kiln_onnx *m, kiln_tensor x, int axis, kiln_tensor first,
                                    kiln_tensor end);
/** Another: how many places there are from `low` on before `high`, I32 scalars of the graph, a step of at least 1 apart. */
bool kiln_onnx_size_between(kiln_onnx_node *n, kiln_tensor low, kiln_tensor high, int64_t step,
                            int64_t *size);
/** Say how large such a size is where there is no room for it, else 0; of each step; and an output of the model, NaN where there is one. */
void kiln_onnx_note_beyond(struct kiln_onnx *m, kiln_tensor beyond);
void kiln_onnx_note_beyond_in_steps(struct kiln_onnx *m, kiln_tensor beyond);
kiln_tensor kiln_onnx_within(struct kiln_onnx *m, kiln_tensor y);
/** Give what was said its name in the graph, for kiln_onnx_beyond. */
void kiln_onnx_name_beyond(struct kiln_onnx *m);
/** The most that an element is as it is computed, not less than 0. */
double kiln_onnx_most_of(struct kiln_onnx *m, kiln_tensor count);
/** How many elements there are of `all` at the most where data says how many, and no rounding makes them more. */
int64_t kiln_onnx_most_among(struct kiln_onnx *m, kiln_tensor count, int64_t all);
/** Between which numbers a value of the graph lies in any run, but for NaN; and say so of one, an input of a body. */
struct kiln_onnx_interval kiln_onnx_interval_of(struct kiln_onnx *m, kiln_tensor t);
void kiln_onnx_say_interval(struct kiln_onnx *m, kiln_tensor t, struct kiln_onnx_interval y);
/** Give an axis that data counts in one of two values, `but` excepted, the number of elements that it has in the other. */
void kiln_onnx_fix_counts(kiln_graph *g, kiln_tensor *a, kiln_tensor *b, int but);
/** The slices of a Slice node: how many, or -1 where a start or an end is not known. */
int kiln_onnx_slices(kiln_onnx_node *n, struct kiln_onnx_range *out);
/** A shape from the items of a list: numbers and symbols, none negative. Refuses. */
bool kiln_onnx_shape(kiln_onnx_node *n, const struct kiln_onnx_list *list, kiln_shape *out);

/** What every kind of convolution has in attributes, of x at input 0 and filters at w_input; false after a refusal. */
bool kiln_onnx_take_conv(kiln_onnx_node *n, int w_input, kiln_conv_params *p);

/* Builders and folds, by family ----------------------------------------------------------------------------------- */

/* onnx_math.c */
void kiln_onnx_build_unary(kiln_onnx_node *n);
void kiln_onnx_build_binary(kiln_onnx_node *n);
void kiln_onnx_build_variadic(kiln_onnx_node *n);
void kiln_onnx_build_mean(kiln_onnx_node *n);
void kiln_onnx_build_mod(kiln_onnx_node *n);
void kiln_onnx_build_bit_shift(kiln_onnx_node *n);
void kiln_onnx_build_is_inf(kiln_onnx_node *n);
void kiln_onnx_build_pow(kiln_onnx_node *n);
void kiln_onnx_build_where(kiln_onnx_node *n);
void kiln_onnx_build_clip(kiln_onnx_node *n);
void kiln_onnx_build_leaky_relu(kiln_onnx_node *n);
void kiln_onnx_build_prelu(kiln_onnx_node *n);
void kiln_onnx_build_elu(kiln_onnx_node *n);
void kiln_onnx_build_celu(kiln_onnx_node *n);
void kiln_onnx_build_selu(kiln_onnx_node *n);
void kiln_onnx_build_swish(kiln_onnx_node *n);
void kiln_onnx_build_gelu(kiln_onnx_node *n);
void kiln_onnx_build_shrink(kiln_onnx_node *n);
void kiln_onnx_build_thresholded_relu(kiln_onnx_node *n);
void kiln_onnx_build_hard_sigmoid(kiln_onnx_node *n);
void kiln_onnx_build_relu(kiln_onnx_node *n);
bool kiln_onnx_cast_type(kiln_onnx_node *n, kiln_type *type);
void kiln_onnx_build_cast(kiln_onnx_node *n);
void kiln_onnx_build_bitcast(kiln_onnx_node *n);
void kiln_onnx_build_cast_like(kiln_onnx_node *n);
void kiln_onnx_build_identity(kiln_onnx_node *n);

/* onnx_sequence.c */
/** A list of so many values, none yet; NULL where they are too many or memory ran out. */
struct kiln_onnx_sequence *kiln_onnx_new_sequence(struct kiln_onnx *m, int64_t count);
void kiln_onnx_build_sequence_empty(kiln_onnx_node *n);
void kiln_onnx_build_sequence_construct(kiln_onnx_node *n);
void kiln_onnx_build_sequence_insert(kiln_onnx_node *n);
void kiln_onnx_build_sequence_erase(kiln_onnx_node *n);
void kiln_onnx_build_sequence_length(kiln_onnx_node *n);
void kiln_onnx_build_sequence_at(kiln_onnx_node *n);
void kiln_onnx_build_split_to_sequence(kiln_onnx_node *n);
void kiln_onnx_build_concat_from_sequence(kiln_onnx_node *n);

/* onnx_attention.c */
void kiln_onnx_build_attention(kiln_onnx_node *n);
void kiln_onnx_build_rotary(kiln_onnx_node *n);
/** [N, L, heads D] -> [N, heads, L, D], and back. */
kiln_tensor kiln_onnx_split_heads(kiln_graph *g, kiln_tensor x, int64_t heads);
kiln_tensor kiln_onnx_join_heads(kiln_graph *g, kiln_tensor x);

/* onnx_fused.c */
void kiln_onnx_build_fused_conv(kiln_onnx_node *n);
void kiln_onnx_build_fused_conv_last(kiln_onnx_node *n);
void kiln_onnx_build_fused_gemm(kiln_onnx_node *n);
void kiln_onnx_build_fused_matmul(kiln_onnx_node *n);
void kiln_onnx_build_biased_unary(kiln_onnx_node *n);
void kiln_onnx_build_quick_gelu(kiln_onnx_node *n);
void kiln_onnx_build_skip_layer_norm(kiln_onnx_node *n);
void kiln_onnx_build_skip_rms_norm(kiln_onnx_node *n);
void kiln_onnx_build_simplified_layer_norm(kiln_onnx_node *n);
void kiln_onnx_build_embed_layer_norm(kiln_onnx_node *n);

/* onnx_fused_attention.c */
void kiln_onnx_build_fused_attention(kiln_onnx_node *n);
void kiln_onnx_build_quantized_attention(kiln_onnx_node *n);
void kiln_onnx_build_multi_head_attention(kiln_onnx_node *n);
void kiln_onnx_build_fused_rotary(kiln_onnx_node *n);

/* onnx_grouped_attention.c */
void kiln_onnx_build_grouped_attention(kiln_onnx_node *n);

/* onnx_linear.c */
void kiln_onnx_build_linear_attention(kiln_onnx_node *n);
void kiln_onnx_build_causal_conv(kiln_onnx_node *n);

/* onnx_matrix.c */
void kiln_onnx_build_matmul(kiln_onnx_node *n);
/** y = alpha a b + beta c; KILN_NONE after a refusal. */
kiln_tensor kiln_onnx_gemm(kiln_onnx_node *n);
void kiln_onnx_build_gemm(kiln_onnx_node *n);
void kiln_onnx_build_conv(kiln_onnx_node *n);
void kiln_onnx_build_conv_transpose(kiln_onnx_node *n);
void kiln_onnx_build_einsum(kiln_onnx_node *n);
void kiln_onnx_build_col2im(kiln_onnx_node *n);
void kiln_onnx_build_deform_conv(kiln_onnx_node *n);

/* onnx_patterns.c: the operator that a product p v, a sum or a product of a and b is the last piece of; KILN_NONE: none. */
kiln_tensor kiln_onnx_find_attention(kiln_graph *g, kiln_tensor p, kiln_tensor v);
kiln_tensor kiln_onnx_find_layer_norm(kiln_graph *g, kiln_tensor a, kiln_tensor b);
kiln_tensor kiln_onnx_find_gelu(kiln_graph *g, kiln_tensor a, kiln_tensor b);

enum { KILN_ONNX_WINDOW_AXES = 3 };

/* The attributes that convolution and pooling share, for up to three axes behind the channels. */
struct kiln_onnx_window {
    int axes;
    int size[KILN_ONNX_WINDOW_AXES], stride[KILN_ONNX_WINDOW_AXES], dilation[KILN_ONNX_WINDOW_AXES],
        pad[KILN_ONNX_WINDOW_AXES][2];
    kiln_same same;
};

/* Of x [N, C, 1 to 3 axes]; size holds as many numbers. False after a refusal. */
bool kiln_onnx_take_window(kiln_onnx_node *n, const int64_t *size, struct kiln_onnx_window *w);

/* onnx_pool.c */
void kiln_onnx_build_max_pool(kiln_onnx_node *n);
void kiln_onnx_build_max_unpool(kiln_onnx_node *n);
/** What pools have in common; refuses. */
bool kiln_onnx_take_pool(kiln_onnx_node *n, kiln_pool_params *p);
void kiln_onnx_build_average_pool(kiln_onnx_node *n);
void kiln_onnx_build_lp_pool(kiln_onnx_node *n);
void kiln_onnx_build_global_pool(kiln_onnx_node *n);
void kiln_onnx_build_global_lp_pool(kiln_onnx_node *n);
void kiln_onnx_build_roi_align(kiln_onnx_node *n);
void kiln_onnx_build_roi_pool(kiln_onnx_node *n);

/* onnx_loss.c */
void kiln_onnx_build_cross_entropy(kiln_onnx_node *n);
void kiln_onnx_build_likelihood(kiln_onnx_node *n);

/* onnx_training.c */
void kiln_onnx_build_gradient(kiln_onnx_node *n);
void kiln_onnx_build_adagrad(kiln_onnx_node *n);
void kiln_onnx_build_adam(kiln_onnx_node *n);
void kiln_onnx_build_momentum(kiln_onnx_node *n);

/* onnx_nms.c */
void kiln_onnx_build_nms(kiln_onnx_node *n);

/* onnx_random.c */
void kiln_onnx_build_random_uniform(kiln_onnx_node *n);
void kiln_onnx_build_random_normal(kiln_onnx_node *n);
void kiln_onnx_build_bernoulli(kiln_onnx_node *n);
void kiln_onnx_build_multinomial(kiln_onnx_node *n);
void kiln_onnx_build_dropout(kiln_onnx_node *n);

/* onnx_norm.c */
void kiln_onnx_build_batch_norm(kiln_onnx_node *n);
void kiln_onnx_build_softmax(kiln_onnx_node *n);
void kiln_onnx_build_softmax_flat(kiln_onnx_node *n);
/** As before opset 13: over all axes from `axis` on, as one. */
kiln_tensor kiln_onnx_flat(kiln_graph *g, kiln_onnx_axis_fn *softmax, kiln_tensor x, int axis);
void kiln_onnx_build_layer_norm(kiln_onnx_node *n);
void kiln_onnx_build_instance_norm(kiln_onnx_node *n);
void kiln_onnx_build_group_norm(kiln_onnx_node *n);
void kiln_onnx_build_rms_norm(kiln_onnx_node *n);
void kiln_onnx_build_lp_norm(kiln_onnx_node *n);
void kiln_onnx_build_mean_variance_norm(kiln_onnx_node *n);
void kiln_onnx_build_lrn(kiln_onnx_node *n);
void kiln_onnx_build_hardmax(kiln_onnx_node *n);

/* onnx_quantize.c */
void kiln_onnx_build_quantize(kiln_onnx_node *n);
void kiln_onnx_build_dequantize(kiln_onnx_node *n);
void kiln_onnx_build_quantize_dynamic(kiln_onnx_node *n);
void kiln_onnx_build_matmul_integer(kiln_onnx_node *n);
void kiln_onnx_build_matmul_quantized(kiln_onnx_node *n);
void kiln_onnx_build_conv_integer(kiln_onnx_node *n);
void kiln_onnx_build_conv_quantized(kiln_onnx_node *n);
void kiln_onnx_build_quantized_unary(kiln_onnx_node *n);
void kiln_onnx_build_quantized_leaky_relu(kiln_onnx_node *n);
void kiln_onnx_build_quantized_binary(kiln_onnx_node *n);
void kiln_onnx_build_quantized_global_pool(kiln_onnx_node *n);
/** Inputs 0 and 1, small integers, multiplied as the reals they are; scales, zeros: inputs of both, a's and then b's; and the bias. */
kiln_tensor kiln_onnx_real_product(kiln_onnx_node *n, int scales, int zeros, int bias);
void kiln_onnx_build_matmul_to_real(kiln_onnx_node *n);
void kiln_onnx_build_matmul_dynamic(kiln_onnx_node *n);
void kiln_onnx_build_matmul_bits(kiln_onnx_node *n);
void kiln_onnx_build_gather_bits(kiln_onnx_node *n);
void kiln_onnx_build_quantized_average_pool(kiln_onnx_node *n);
void kiln_onnx_build_quantized_softmax(kiln_onnx_node *n);
void kiln_onnx_build_quantized_where(kiln_onnx_node *n);
void kiln_onnx_build_quantized_concat(kiln_onnx_node *n);
void kiln_onnx_build_quantized_gemm(kiln_onnx_node *n);

/* onnx_recurrent.c */
extern const struct kiln_onnx_cell kiln_onnx_rnn, kiln_onnx_lstm, kiln_onnx_gru;
void kiln_onnx_build_recurrent(kiln_onnx_node *n);
/** ONNX's name of a squashing, and how many of alpha and beta it has. */
const char *kiln_onnx_squash_name(kiln_squash by, int *numbers);

/* onnx_reduce.c */
void kiln_onnx_build_reduce(kiln_onnx_node *n);
void kiln_onnx_build_arg(kiln_onnx_node *n);

/* onnx_indexing.c */
void kiln_onnx_build_gather(kiln_onnx_node *n);
void kiln_onnx_build_gather_elements(kiln_onnx_node *n);
void kiln_onnx_build_gather_nd(kiln_onnx_node *n);
void kiln_onnx_build_scatter_elements(kiln_onnx_node *n);
void kiln_onnx_build_scatter_nd(kiln_onnx_node *n);
void kiln_onnx_build_tensor_scatter(kiln_onnx_node *n);
void kiln_onnx_build_one_hot(kiln_onnx_node *n);
void kiln_onnx_build_top_k(kiln_onnx_node *n);
void kiln_onnx_build_cumulative(kiln_onnx_node *n);
void kiln_onnx_build_non_zero(kiln_onnx_node *n);
void kiln_onnx_build_compress(kiln_onnx_node *n);
void kiln_onnx_build_unique(kiln_onnx_node *n);
void kiln_onnx_build_eye_like(kiln_onnx_node *n);
void kiln_onnx_build_triangular(kiln_onnx_node *n);
void kiln_onnx_build_tile(kiln_onnx_node *n);
void kiln_onnx_build_reverse_sequence(kiln_onnx_node *n);

/* onnx_classical.c */
void kiln_onnx_build_feature_extractor(kiln_onnx_node *n);
void kiln_onnx_build_linear_classifier(kiln_onnx_node *n);
void kiln_onnx_build_linear_regressor(kiln_onnx_node *n);
void kiln_onnx_build_normalizer(kiln_onnx_node *n);
void kiln_onnx_build_scaler(kiln_onnx_node *n);
void kiln_onnx_build_zip_map(kiln_onnx_node *n);

/* onnx_range.c */
void kiln_onnx_build_range(kiln_onnx_node *n);

/* onnx_resize.c */
void kiln_onnx_build_resize(kiln_onnx_node *n);
void kiln_onnx_build_grid_sample(kiln_onnx_node *n);
void kiln_onnx_build_affine_grid(kiln_onnx_node *n);

/* onnx_layout.c */
void kiln_onnx_build_reshape(kiln_onnx_node *n);
void kiln_onnx_build_flatten(kiln_onnx_node *n);
void kiln_onnx_build_transpose(kiln_onnx_node *n);
void kiln_onnx_build_squeeze(kiln_onnx_node *n);
void kiln_onnx_build_unsqueeze(kiln_onnx_node *n);
void kiln_onnx_build_concat(kiln_onnx_node *n);
void kiln_onnx_build_split(kiln_onnx_node *n);
void kiln_onnx_build_slice(kiln_onnx_node *n);
void kiln_onnx_build_expand(kiln_onnx_node *n);
void kiln_onnx_build_depth_to_space(kiln_onnx_node *n);
void kiln_onnx_build_space_to_depth(kiln_onnx_node *n);

/* onnx_pad.c */
void kiln_onnx_build_pad(kiln_onnx_node *n);
void kiln_onnx_build_center_crop_pad(kiln_onnx_node *n);

/* onnx_constant.c */
void kiln_onnx_build_shape(kiln_onnx_node *n);
void kiln_onnx_build_size(kiln_onnx_node *n);
void kiln_onnx_build_constant(kiln_onnx_node *n);
void kiln_onnx_build_constant_of_shape(kiln_onnx_node *n);

/* onnx_counted.c */
bool kiln_onnx_places_are_computed(kiln_onnx_node *n);
void kiln_onnx_build_slice_computed(kiln_onnx_node *n);

/* onnx_signal.c */
void kiln_onnx_build_blackman(kiln_onnx_node *n);
void kiln_onnx_build_hamming(kiln_onnx_node *n);
void kiln_onnx_build_hann(kiln_onnx_node *n);
void kiln_onnx_build_dft(kiln_onnx_node *n);
void kiln_onnx_build_stft(kiln_onnx_node *n);
void kiln_onnx_build_mel(kiln_onnx_node *n);

/* onnx_if.c */
void kiln_onnx_build_if(kiln_onnx_node *n);

/* onnx_control.c */
void kiln_onnx_build_scan(kiln_onnx_node *n);
void kiln_onnx_build_scan_batched(kiln_onnx_node *n);

/* onnx_loop.c */
void kiln_onnx_build_loop(kiln_onnx_node *n);

/* onnx_fold_element.c */
/** What the row's operation makes of elements of that type, b where it takes two; false where the graph has to. */
bool kiln_onnx_fold_element(kiln_onnx_node *n, kiln_type type, struct kiln_onnx_item a,
                            struct kiln_onnx_item b, struct kiln_onnx_item *y);
/** What an element of that type can hold. */
struct kiln_onnx_item kiln_onnx_fold_rounded(kiln_type type, struct kiln_onnx_item item);
/** Whether the type is one that elements hold exactly: what is computed while reading is then what the graph would compute. */
bool kiln_onnx_fold_takes(kiln_type type);

/* onnx_fold.c */
bool kiln_onnx_fold_unary(kiln_onnx_node *n);
bool kiln_onnx_fold_binary(kiln_onnx_node *n);
bool kiln_onnx_fold_where(kiln_onnx_node *n);
bool kiln_onnx_fold_cast(kiln_onnx_node *n);
bool kiln_onnx_fold_bitcast(kiln_onnx_node *n);
/** As elements of that type; input 0 alone need be known. */
bool kiln_onnx_fold_to(kiln_onnx_node *n, kiln_type type);
bool kiln_onnx_fold_split(kiln_onnx_node *n);
bool kiln_onnx_fold_reshape(kiln_onnx_node *n);
bool kiln_onnx_fold_squeeze(kiln_onnx_node *n);
bool kiln_onnx_fold_unsqueeze(kiln_onnx_node *n);
bool kiln_onnx_fold_concat(kiln_onnx_node *n);
bool kiln_onnx_fold_slice(kiln_onnx_node *n);
bool kiln_onnx_fold_transpose(kiln_onnx_node *n);
bool kiln_onnx_fold_gather(kiln_onnx_node *n);
bool kiln_onnx_fold_expand(kiln_onnx_node *n);
bool kiln_onnx_fold_range(kiln_onnx_node *n);
bool kiln_onnx_fold_tile(kiln_onnx_node *n);
bool kiln_onnx_fold_reduce(kiln_onnx_node *n);

#endif
