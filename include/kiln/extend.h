/*
 * extend.h - operators and kernels: the interface that kiln's own are written against, open to applications.
 *
 *   operator   what a node of a graph means: types and shapes, gradient, and how it becomes dispatches
 *   kernel     a contract: parameter block, bindings, meaning (one reference function in C)
 *   variant    code that fulfils a contract on one backend: SPIR-V, or a C function
 *
 * All three are known by the address of their descriptor, which must outlive every graph and program that uses it.
 * An application's operator is appended with kiln_append and is from then on like any other.
 *
 * Stability: follows the library's needs; recompile with each release.
 */
#ifndef KILN_EXTEND_H
#define KILN_EXTEND_H

#include <kiln/base.h>
#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_plan kiln_plan;
typedef struct kiln_caps kiln_caps;
typedef struct kiln_node kiln_node;
typedef struct kiln_dispatch kiln_dispatch;

/* Kernels: contract and variants ------------------------------------------------------------------------- */

#define KILN_MAX_BINDINGS  8
#define KILN_MAX_CONSTANTS 24
#define KILN_MAX_BLOCK     256 /* bytes of a parameter block */
#define KILN_PUSH_BYTES    120 /* blocks up to this are push constants, larger ones a uniform buffer */

/** What a kernel does to a binding. */
typedef enum kiln_access { KILN_UNUSED, KILN_READ, KILN_WRITE, KILN_READ_WRITE } kiln_access;

/** Memory as a reference or a CPU variant sees it: one pointer a binding, NULL where unbound. */
typedef struct kiln_memory {
    void *at[KILN_MAX_BINDINGS];
    size_t bytes[KILN_MAX_BINDINGS];
    void *scratch; /* the variant's, of the thread that runs, or NULL */
    /* of the dispatch: no other run of any has the same, so a thread can tell that its scratch is of this one */
    uint64_t run;
} kiln_memory;

/**
 * Compute the units [first, first + count) of a dispatch: rows for one kernel, elements for another, as the contract
 * says. A reference computes any part alone, so that parts may run side by side.
 */
typedef void kiln_reference_fn(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count);

/** As a reference, in units that the variant chose; worker numbers the calling thread from 0. */
typedef void kiln_cpu_fn(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count,
                         int worker);

/** A compiled shader. words NULL: not built in. */
typedef struct kiln_spirv {
    const uint32_t *words;
    size_t count; /* of words */
} kiln_spirv;

/** One way to run a kernel. Of a kernel's list the first that accepts and pays is taken, unless a tuner found another of those that
 *  accept faster; the last accepts everything, and pays. */
typedef struct kiln_variant {
    const char *name; /* of letters, digits and _ ; none twice in a list */
    bool (*accepts)(const kiln_caps *caps, const kiln_dispatch *d); /* whether it can run; NULL: always */
    /** Whether it is likely the fastest from here on: what is known without a tuner. NULL: it is. */
    bool (*pays)(const kiln_caps *caps, const kiln_dispatch *d);
    /** How many workgroups (GPU) or units of work (CPU) the dispatch needs. NULL: the kernel's units. */
    uint64_t (*groups)(const kiln_caps *caps, const kiln_dispatch *d);
    /** Bytes of scratch that one dispatch needs (GPU), or each thread (CPU), whose own it is for one dispatch after the other. NULL:
     *  none. */
    uint64_t (*scratch)(const kiln_caps *caps, const kiln_dispatch *d);
    /**
     * How often the loops of an invocation go around at the most, all of them together, where that grows with a size: there are
     * drivers that leave them for good after so many rounds, without a word (kiln_caps.max_rounds). NULL: seldom.
     */
    uint64_t (*rounds)(const kiln_dispatch *d);
    /* GPU */
    const kiln_spirv *spirv;
    /* the same, compiled with -DHALF: runs where bindings hold halves; NULL: takes none */
    const kiln_spirv *half;
    uint32_t lanes;         /* invocations of a workgroup: sets specialization constant 0; 0 means 64 */
    uint32_t texels;        /* bit i: binding i is read through a texel buffer of floats or halves */
    uint32_t fours;         /* bit i: that one has four of them an element, else one */
    bool scratch_fours;     /* the scratch is an image of four floats an element, else a buffer */
    const uint32_t *tuning; /* specialization constants 32, 33, ...: tile sizes and the like */
    int tuning_count;
    /* CPU */
    kiln_cpu_fn *run;
    uint32_t grain; /* units a thread takes at a time at the least; 0 means 1 */
    bool bytes;     /* it knows what kiln_dispatch.bytes says */
} kiln_variant;

/**
 * An axis along which a dispatch may be cut into windows, for operands beyond the device's binding range.
 * `extent` is its length in units; `take` narrows the dispatch to [first, first + count), moving the bindings' offsets
 * and sizes (by the dispatch's `element`) and the block with it. `first` is a multiple of `unit`, so that offsets stay aligned
 * to 256 bytes.
 */
typedef struct kiln_cut {
    uint64_t (*extent)(const kiln_dispatch *d);
    void (*take)(kiln_dispatch *d, uint64_t first, uint64_t count);
    uint64_t (*unit)(const kiln_dispatch *d); /* NULL: kiln_dispatch_unit */
} kiln_cut;

/** A contract. */
typedef struct kiln_kernel {
    const char *name;    /* of letters, digits and _ */
    uint32_t block_size; /* bytes of the parameter block, at most KILN_MAX_BLOCK */
    int bindings;
    kiln_access access[KILN_MAX_BINDINGS];
    /**
     * Bindings that may hold halves where the device stores them, bit i for binding i: `halves` all of them or none (those
     * of type T in the shader), `mixed` each as it comes (KILN_IN_ANY and KILN_OUT_ANY). Wherever else a half would be
     * bound, or no half variant accepts, the plan converts to float before the dispatch and back behind it: contracts and
     * references know floats alone.
     */
    uint32_t halves, mixed;
    /** Bindings that may hold I8 or U8 as bytes, each as it comes, where a variant is for it. Wherever else one would be bound, the plan
     *  converts to words before the dispatch and back behind it. */
    uint32_t bytes;
    /** How many units the references count: the dispatch's whole work is [0, units). */
    uint64_t (*units)(const kiln_dispatch *d);
    /** The meaning. reference_f64 reads and writes real operands as double; NULL refuses float64 programs. */
    kiln_reference_fn *reference, *reference_f64;
    const kiln_variant *const *gpu; /* ended by NULL, in order of preference; NULL: no GPU code */
    const kiln_variant *const *cpu; /* likewise; NULL: the reference */
    const kiln_cut *cuts;           /* tried in order */
    int cut_count;
    /** Estimated arithmetic, for time slices and reports. NULL: counted by bytes alone. */
    double (*flops)(const kiln_dispatch *d);
    /** Estimated bytes that are moved, where that is less than what is bound. NULL: all that is bound. */
    uint64_t (*traffic)(const kiln_dispatch *d);
    /** Results are sums of what binding 0 holds: where that cancels, variants differ by roundings of the terms. */
    bool sums;
} kiln_kernel;

/** A value, or part of it, as a kernel sees it. */
typedef struct kiln_binding {
    kiln_tensor value;      /* KILN_NONE: unbound */
    uint64_t offset, bytes; /* of the value in storage; bytes 0: all from offset on */
} kiln_binding;

/** A kernel, its block and its operands: what a lowering hands to the plan. */
struct kiln_dispatch {
    const kiln_kernel *kernel;
    const kiln_variant *variant; /* chosen by the plan; a lowering may force one */
    kiln_binding bind[KILN_MAX_BINDINGS];
    /* meaning, as operator codes: specialization constants 1, 2, ... */
    uint32_t constants[KILN_MAX_CONSTANTS];
    int constant_count;
    uint32_t block_size;
    union {
        uint32_t words[KILN_MAX_BLOCK / 4];
        unsigned char bytes[KILN_MAX_BLOCK];
    } block;
    /* set by the plan */
    bool f64;                           /* real operands are stored as double */
    uint32_t halves;                    /* bit i: binding i holds halves */
    uint32_t bytes, natural;            /* bit i: binding i holds bytes; unsigned ones */
    uint8_t element[KILN_MAX_BINDINGS]; /* bytes of an element of each binding: 1, 2, 4 or 8 */
};

/* Operators ---------------------------------------------------------------------------------------------- */

/** Type and shape of a value. */
typedef struct kiln_spec {
    kiln_type type;
    kiln_shape shape;
} kiln_spec;

/** What a lowering makes of weights ahead, to read in each run in their place. */
typedef struct kiln_form {
    uint64_t bytes;
    /* multiplications of one weight in a run: what a form of more bytes saves grows with them */
    uint64_t uses;
} kiln_form;

/** One way to turn a node into dispatches; of an operator's list one is taken as of a kernel's variants. */
typedef struct kiln_lowering {
    const char *name; /* of letters, digits and _ ; none twice in a list */
    bool (*accepts)(kiln_plan *plan, const kiln_node *n); /* whether it can be done; NULL: always */
    kiln_status (*lower)(kiln_plan *plan, const kiln_node *n);
    bool (*pays)(kiln_plan *plan, const kiln_node *n); /* whether it is likely the fastest; NULL: it is */
    /** It computes what gives the node's first input, too, which then has no steps of its own. Where it pays, no tuner chooses. */
    bool joins;
    /* the form that it makes of input 1, which is kept where those are weights that stay; NULL: none, it reads them as they lie */
    kiln_form (*form)(const kiln_plan *plan, const kiln_node *n);
} kiln_lowering;

/** A part of an operator's params, by name: for prints, export and reports. */
typedef struct kiln_field {
    const char *name;
    enum kiln_field_kind {
        KILN_FIELD_INT,
        KILN_FIELD_UINT,
        KILN_FIELD_I64,
        KILN_FIELD_BOOL,
        KILN_FIELD_REAL
    } kind;
    size_t offset; /* in params */
    int count;     /* of values */
} kiln_field;

enum {
    KILN_OP_EFFECT = 1,   /* exists for what it does, not for its value */
    KILN_OP_RANDOM = 2,   /* two equal nodes are two draws: never merged */
    KILN_OP_EPILOGUE = 4, /* its lowerings apply an epilogue that the compiler attaches (plan.h) */
    KILN_OP_ALIAS = 8,    /* output 0 is input 0 under another shape: no code */
    KILN_OP_FOLLOWS = 16, /* output 0 is input 0 where their shapes are equal, as sum_to's; no code then */
    /* reads what the effects built before it leave behind; others see the weights as they were */
    KILN_OP_LATE = 32,
    /* on the CPU its lowerings apply a whole chain that the compiler attaches; it has two inputs beside those it must have, which may
     * be KILN_NONE */
    KILN_OP_FINISH = 64,
};

/** What an operator makes of the elements beyond the count of an axis whose size depends on data (kiln_dim_bounded). */
typedef struct kiln_beyond {
    enum kiln_beyond_kind {
        KILN_BEYOND_REFUSED, /* unknown: the program is refused */
        KILN_BEYOND_IGNORED, /* they reach no element of a result that is not beyond a count itself */
        KILN_BEYOND_FILLED,  /* they do no harm where they are `fill`, which the compiler sees to */
        KILN_BEYOND_COUNTED, /* kiln_op.counted computes the same with the count in mind */
    } kind;
    double fill;
} kiln_beyond;

/**
 * An operator applied in `count` cases at once. Where stacked[i], in[i] has a new axis 0, along which it is what the operator
 * takes as input i in each case; else it is the same in all of them. All sizes are numbers.
 */
typedef struct kiln_cases {
    const kiln_tensor *in;
    const bool *stacked;
    int64_t count;
    kiln_spec out; /* of output 0 in one case */
} kiln_cases;

typedef struct kiln_op {
    const char *name; /* of letters, digits and _ */
    int inputs;       /* how many it must have at the least */
    int outputs;      /* how many it has, unless output_count tells */
    uint32_t flags;
    /* bit i: input i is looked at for its shape alone; once sizes are known it is dropped */
    uint32_t shape_inputs;
    /** Set out[0 .. outputs) from the node's inputs and params; on misfit report by kiln_node_fail and return it. */
    kiln_status (*infer)(kiln_graph *g, const kiln_node *n, kiln_spec *out);
    /**
     * Given dy per output (KILN_NONE where unused), set dx per input (KILN_NONE: no gradient), by appending operators.
     * It must not read sizes: they may be symbols. NULL: not differentiable.
     */
    void (*grad)(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx);
    const kiln_lowering *lowerings; /* the first that accepts and pays is taken, or what a tuner chose */
    int lowering_count;
    /** Map every size that the params hold, for kiln_call: size = map(user, size). NULL: they hold none. */
    void (*sizes)(void *params, int64_t (*map)(void *user, int64_t size), void *user);
    /**
     * For an operator whose output 0 is made of its inputs laid side by side: the byte offset at which input i lies in it.
     * Where it can, the compiler lets the input's producer write there, and kiln_plan_placed tells the lowering that there
     * is nothing left to copy. NULL or false: not so.
     */
    bool (*place)(const kiln_plan *plan, const kiln_node *n, int input, uint64_t *offset);
    /**
     * For an operator whose output 0 is dense in input 0 where that is laid out well: the byte offset at which it begins.
     * Where it can, the compiler lets it lie there, and no code runs. NULL or false: not so.
     */
    bool (*view)(const kiln_plan *plan, const kiln_node *n, uint64_t *offset);
    /**
     * Input over - 1 is one whose memory the output may take: its code reads an element of it no later than it writes it, and
     * kiln_plan_in_place tells whether it does. 0: none.
     */
    int over;
    /**
     * Host evaluation, for constants and shape arithmetic: in[] are dense constants (of a shape input only the shape); reals
     * as F64, integers and BOOL as I64. out has type, shape and room. NULL: by the reference.
     */
    kiln_status (*fold)(const kiln_graph *g, const kiln_node *n, const kiln_array *in, kiln_array *out);
    /** Of axis `axis` of input `input`, whose size depends on data. NULL: refused, but for elementwise operators: ignored. */
    kiln_beyond (*beyond)(kiln_graph *g, const kiln_node *n, int input, int axis);
    /** Append to g what computes n's outputs, of the same specs, from its inputs `in`, values of g; return the first one. Sizes that
     * do not depend on data are numbers there; kiln_size_tensor gives the others. What it appends is not replaced again. */
    kiln_tensor (*counted)(kiln_graph *g, const kiln_node *n, const kiln_tensor *in);
    /**
     * Append to g what computes output 0 of n in many cases at once, stacked as its inputs are; KILN_NONE where that is no less
     * work than one case after the other. By it a loop does for all its steps together what does not depend on the step before.
     */
    kiln_tensor (*cases)(kiln_graph *g, const kiln_node *n, const kiln_cases *c);
    /** Likewise the sum of output 0 over all cases. */
    kiln_tensor (*sum_cases)(kiln_graph *g, const kiln_node *n, const kiln_cases *c);
    const kiln_field *fields; /* what the params hold, ended by {0}; NULL: nothing that is told */
    /** How many outputs a node with these params has. NULL: `outputs`. */
    int (*output_count)(const void *params);
    /** Graph `index` that the params hold, as a loop's body; NULL past the last. A node keeps them alive. NULL: none. */
    const kiln_graph *(*body)(const void *params, int index);
    const void *extra; /* the family's own */
} kiln_op;

/** Which pass a node belongs to. */
typedef enum kiln_node_pass {
    KILN_PASS_FORWARD,
    KILN_PASS_BACKWARD, /* made by kiln_gradient */
    KILN_PASS_AGAIN,    /* a copy of a forward node for the backward pass (kiln_program_params.recompute) */
} kiln_node_pass;

/** A node as operators see it; a loan from the graph. */
struct kiln_node {
    const kiln_op *op;
    const kiln_tensor *in;
    int inputs;
    kiln_tensor *out;
    int outputs;
    const void *params;
    size_t params_size;
    const char *name;                  /* scope and counter, or the user's; for messages */
    const struct kiln_chain *epilogue; /* the compiler's, of _EPILOGUE and _FINISH operators; else NULL */
    kiln_node_pass pass;
};

/**
 * Append a node and return its first output; the others follow by kiln_node_output. params are copied; they must be
 * plain data whose equal bytes mean equal nodes. KILN_NONE among in means "not given"; a failed graph returns KILN_NONE.
 */
KILN_API kiln_tensor kiln_append(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                                 const void *params, size_t params_size);

/**
 * Within a gradient rule: whether the gradient of t, an input of the node, is asked for. A rule that costs more for some inputs
 * than for others may leave the rest KILN_NONE.
 */
KILN_API bool kiln_gradient_wanted(const kiln_graph *g, kiln_tensor t);

/** Output `index` of the node that produced t. */
KILN_API kiln_tensor kiln_node_output(const kiln_graph *g, kiln_tensor t, int index);

/**
 * Read a graph: its nodes in building order, of which leaves ("input", "constant", "parameter", "state") are some. A getter
 * lends, and gives NULL where there is none.
 */
KILN_API int kiln_graph_node_count(const kiln_graph *g);
KILN_API const kiln_node *kiln_graph_node_at(const kiln_graph *g, int index);
KILN_API const kiln_node *kiln_node_of(const kiln_graph *g, kiln_tensor t);

/** The values of a field of the node's params, at most `room` of them; returns how many it has, 0 for one that it lacks. */
KILN_API int kiln_node_integers(const kiln_node *n, const char *field, int64_t *out, int room);
KILN_API int kiln_node_reals(const kiln_node *n, const char *field, double *out, int room);

struct kiln_update_rule;
/** How an optimizer's node makes a step (kiln_update_parameters, ops.h), as long as the node lasts; false for any other node. */
KILN_API bool kiln_update_rule_of(const kiln_node *n, struct kiln_update_rule *rule);

/** What training programs that compute `with` do by themselves (kiln_assign_with), by index; false from the last on. */
KILN_API bool kiln_graph_attached(const kiln_graph *g, int index, kiln_tensor *effect, kiln_tensor *with);

/** Copy a constant out, in its logical type. Errors: ERROR_ARGUMENT where t is none; ERROR_SHAPE if dst is small. */
KILN_API kiln_status kiln_constant_read(const kiln_graph *g, kiln_tensor t, kiln_array *dst);

/** The name of a symbol; NULL for a number or an expression of symbols. A loan. */
KILN_API const char *kiln_dim_name(const kiln_graph *g, int64_t size);

/** What a size is that is no number: a symbol, an operation on two sizes, or as many as data counts. */
typedef enum kiln_dim_op {
    KILN_DIM_SYMBOL,
    KILN_DIM_ADD,
    KILN_DIM_SUB,
    KILN_DIM_MUL,
    KILN_DIM_DIV,      /* rounded down */
    KILN_DIM_CEIL_DIV, /* rounded up */
    KILN_DIM_BOUNDED,  /* `count`, at most a */
} kiln_dim_op;

typedef struct kiln_dim_parts {
    kiln_dim_op op;
    int64_t a, b;
    kiln_tensor count; /* of BOUNDED: an I32 scalar */
} kiln_dim_parts;

/** Take a size apart; false, and {0}, for a number. */
KILN_API bool kiln_dim_read(const kiln_graph *g, int64_t size, kiln_dim_parts *out);

/** Type and shape of t. */
KILN_API kiln_spec kiln_tensor_spec(const kiln_graph *g, kiln_tensor t);

/**
 * Arithmetic on sizes that may be symbols; equal expressions are equal numbers. A known result that is negative or
 * overflows fails the graph. div rounds down, ceil_div up.
 */
KILN_API int64_t kiln_dim_add(kiln_graph *g, int64_t a, int64_t b);
KILN_API int64_t kiln_dim_sub(kiln_graph *g, int64_t a, int64_t b);
KILN_API int64_t kiln_dim_mul(kiln_graph *g, int64_t a, int64_t b);
KILN_API int64_t kiln_dim_div(kiln_graph *g, int64_t a, int64_t b);
KILN_API int64_t kiln_dim_ceil_div(kiln_graph *g, int64_t a, int64_t b);

/**
 * As kiln_dim_bounded, for the shape rule of n, whose own output `output`, an I32 scalar, will be the count: no more than the
 * bound, and not negative.
 */
KILN_API int64_t kiln_dim_counted_by(kiln_graph *g, const kiln_node *n, int output, int64_t bound);

/** Whether a size depends on data. */
KILN_API bool kiln_dim_is_counted(const kiln_graph *g, int64_t size);

/** A size with every count of data in it at its bound: for how many elements there is room. */
KILN_API int64_t kiln_dim_most(kiln_graph *g, int64_t size);

/** The size as an I32 scalar: a constant, or computed from counts. A symbol has no value there: ERROR_UNSUPPORTED. */
KILN_API kiln_tensor kiln_size_tensor(kiln_graph *g, int64_t size);

/** Broadcast two shapes as NumPy does; false where they do not fit. A symbol fits itself and 1. */
KILN_API bool kiln_shape_broadcast(const kiln_shape *a, const kiln_shape *b, kiln_shape *out);

/** An axis in 0..rank-1 from one that may be negative; -1 where it is out of range. */
KILN_API int kiln_axis_of(int axis, int rank);

/** Fail the graph with a message; the first failure is logged and sticks. Returns status. */
KILN_API kiln_status kiln_graph_fail(kiln_graph *g, kiln_status status, const char *format, ...);

/** As kiln_graph_fail, with "OP \"name\": " before the message. */
KILN_API kiln_status kiln_node_fail(kiln_graph *g, const kiln_node *n, kiln_status status, const char *format,
                                    ...);

/* Lowering: while planning, every size is a number ------------------------------------------------------- */

/** Type and shape with sizes known; the type is the logical one. */
KILN_API kiln_spec kiln_plan_spec(const kiln_plan *plan, kiln_tensor t);

/** Bytes of one element of t in storage: 1, 2, 4 or 8. */
KILN_API size_t kiln_plan_element(const kiln_plan *plan, kiln_tensor t);

/** Words of one element of t as references see it: 2 where reals are doubles, else 1. For kernels that only move elements. */
KILN_API uint32_t kiln_plan_words(const kiln_plan *plan, kiln_tensor t);

/** What the device can do. */
KILN_API const kiln_caps *kiln_plan_caps(const kiln_plan *plan);

/** Whether memory is to be spared rather than time: no weights in a form that takes more than their own. */
KILN_API bool kiln_plan_lean(const kiln_plan *plan);

/** Whether a value is within the program's budget by itself: a lowering asks before it makes tables as long as the value. Errors:
 *  ERROR_MEMORY, with the need stated. */
KILN_API kiln_status kiln_plan_affords(const kiln_plan *plan, kiln_tensor t);

/** A value of `count` elements that lives between the dispatches of this lowering. */
KILN_API kiln_tensor kiln_plan_temporary(kiln_plan *plan, kiln_type type, int64_t count);

/** Whether input i of n already lies at its place in output 0 (see kiln_op.place). */
KILN_API bool kiln_plan_placed(const kiln_plan *plan, const kiln_node *n, int input);

/** Whether anything uses t, an output of the node that is being lowered: what nothing uses need not be computed. */
KILN_API bool kiln_plan_used(const kiln_plan *plan, kiln_tensor t);

/** Whether two values lie in the same place: an output over its input (see kiln_op.over). */
KILN_API bool kiln_plan_in_place(const kiln_plan *plan, kiln_tensor x, kiln_tensor y);

/** A constant table of the plan, I32 words that a kernel reads; words are copied. */
KILN_API kiln_tensor kiln_plan_table(kiln_plan *plan, const uint32_t *words, int64_t count);

/**
 * Parameters, gradients and each optimizer's state lie in arenas of equal order, cut into chunks of at most 1 GiB. The
 * arena of that name ("parameter", "gradient", or an optimizer's, as "optimizer.m", created with zeros when first asked
 * for), chunk `chunk`, as a 1-D F32 value to bind.
 */
KILN_API kiln_tensor kiln_plan_arena(kiln_plan *plan, const char *arena, int chunk);

/** Where a parameter lies in every arena: chunk, and first element in it. */
KILN_API kiln_status kiln_plan_parameter(kiln_plan *plan, kiln_tensor parameter, int *chunk,
                                         uint64_t *element);

/**
 * Fill a value, or part of it, with a 4-byte word; copy bytes from one value to another. Offsets and sizes are whole elements;
 * those of a fill, multiples of 4.
 */
KILN_API kiln_status kiln_plan_fill(kiln_plan *plan, kiln_binding to, uint32_t word);
KILN_API kiln_status kiln_plan_copy(kiln_plan *plan, kiln_binding from, kiln_binding to);

/** Elements behind which every binding of d is at a multiple of 256 bytes: 64, or 128 where some hold halves. */
KILN_API uint64_t kiln_dispatch_unit(const kiln_dispatch *d);

/** Add a dispatch. The plan picks the variant and cuts windows. Errors: ERROR_UNSUPPORTED, ERROR_MEMORY. */
KILN_API kiln_status kiln_plan_dispatch(kiln_plan *plan, const kiln_dispatch *d);

#ifdef __cplusplus
}
#endif
#endif
