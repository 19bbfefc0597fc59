/*
 * plan.h - the compiler's product: a rewritten graph, the steps that compute it, and where every value lies.
 *
 * A value lies in an *object*: a piece of memory that is one thing for the scheduler and the memory pass. Scratch objects
 * get their offsets from the memory pass; the others lie where the weights, the session or the program put them.
 */
#ifndef KILN_COMPILER_PLAN_H
#define KILN_COMPILER_PLAN_H

#include "base/vec.h"
#include "compiler/convert.h"
#include "device/device.h"
#include "graph/graph.h"

/** Which buffer an object lies in. The program knows the buffers. */
enum kiln_object_kind {
    KILN_OBJECT_SCRATCH,  /* lives within a run */
    KILN_OBJECT_KEPT,     /* computed by the prologue, kept between runs */
    KILN_OBJECT_CONSTANT, /* written once */
    KILN_OBJECT_INPUT,    /* an input's values; index: which of the graph's inputs */
    KILN_OBJECT_ARENA,    /* a chunk of an arena of the weights; index: arena, chunk: chunk */
    KILN_OBJECT_STATES,   /* states of the weights; index: their chunk */
    KILN_OBJECT_SESSION,  /* states of the session; index: their chunk */
    KILN_OBJECT_TRIAL,    /* scratch of variants that a tuner tries; in no plan that runs */
};

struct kiln_object {
    enum kiln_object_kind kind;
    int index, chunk;
    uint64_t bytes;
    uint64_t offset; /* in its buffer */
    int first, last; /* waves of its first write and last use; last -1: unused */
    bool result;     /* holds a value of the run list: lives to the end */
};

/** Bytes up to where the next object of a buffer may begin: at a multiple of what every device can bind at. */
static inline uint64_t kiln_aligned(uint64_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/** Where a value lies. object -1: nowhere yet. */
struct kiln_place {
    int object;
    uint64_t offset;
};

/** Bytes that a step touches. */
struct kiln_touch {
    int object; /* -1: unbound */
    uint64_t offset, bytes;
    kiln_access access;
};

/** One command of the plan: a dispatch, a copy, a fill; or where a region begins or ends (region.h). */
struct kiln_step {
    enum kiln_command_kind kind;
    const kiln_node *node;
    kiln_dispatch *dispatch; /* in the plan's arena */
    /* bindings, and behind them a region's table; of a copy: from, to; of a fill: to; of a repeat: its flag, if it has one */
    struct kiln_touch touch[KILN_MAX_BINDINGS + 1];
    int touches;
    int indirect;       /* the touch that is its groups in a table; -1: they are known */
    bool gate;          /* writes such a table, and so runs in any case */
    uint64_t count;     /* of a repeat: turns */
    uint64_t scratch;   /* bytes of the variant's scratch */
    int scratch_object; /* -1: none */
    uint32_t fill;
    int wave;
    bool prologue;
};

/** Where weights and session put things: the compiler's view of the stores. */
struct kiln_places {
    kiln_status (*parameter)(void *user, const char *name, const kiln_spec *spec, int *chunk,
                             uint64_t *element);
    kiln_status (*state)(void *user, kiln_store where, const char *name, const kiln_spec *spec, int *chunk,
                         uint64_t *byte);
    kiln_status (*arena)(void *user, const char *name, int *index); /* made if it is not there */
    uint64_t (*chunk_elements)(void *user, int chunk);
    void *user;
};

struct kiln_plan {
    struct kiln_arena arena;
    kiln_graph *graph; /* every size a number */
    kiln_device *dev;
    const struct kiln_places *places;
    enum kiln_storage storage;
    bool train, lean;                           /* lean: memory matters more than time */
    uint64_t budget;                            /* bytes that all may take; 0: no limit */
    const struct kiln_choices *choices, *trial; /* a tuner's, and such as it tries; NULL: none (choose.h) */
    /* by value id - 1 of a node's output, `instead_count`: forms.c's choice; NULL: none */
    const kiln_lowering **instead;
    int instead_count;
    const kiln_node *lowering; /* the node that is being lowered */
    /* the regions that it lies in, outermost first */
    KILN_VEC(struct kiln_open_region {
        const kiln_node *repeat;
        int step;         /* the first of the region: the mark of its beginning */
        kiln_tensor live; /* the table of its gate; KILN_NONE: it has none */
    })
    open;
    int *reader;          /* by value id, of values before lowering: the node that alone reads it (join.c) */
    int readers;          /* how many values that tells */
    int running_lowering; /* which of its lowerings, for prints */

    kiln_tensor *result; /* the run list in the plan's graph, in its order; effects included */
    int results;

    KILN_VEC(struct kiln_place) place; /* by value id - 1 */
    KILN_VEC(struct kiln_object) object;
    KILN_VEC(struct kiln_step) step; /* in order of execution */
    KILN_VEC(struct kiln_constant_bytes {
        int object;
        const void *data;
        uint64_t bytes;
    })
    constant;
    int waves, prologue_waves;
    uint64_t scratch_bytes, kept_bytes, constant_bytes, input_bytes;
    uint64_t lower_bound;  /* the largest sum of scratch objects alive in one wave */
    uint64_t thread_bytes; /* scratch of each of the CPU's threads */
};

/** What to compile. */
struct kiln_compile_params {
    const kiln_graph *graph;
    const kiln_tensor *run;
    int run_count;
    bool train, lean;
    uint64_t budget; /* as in the plan */
    enum kiln_storage storage;
    bool halves;    /* KILN_PRECISION_F16: precision.c; in KILN_STORAGE_HALF alone */
    bool recompute; /* recompute.c */
    kiln_device *dev;
    const struct kiln_places *places;
    const struct kiln_choices *choices, *trial;  /* as in the plan */
    int64_t (*size)(void *user, int64_t symbol); /* the symbols' numbers; negative: unknown */
    void *size_user;
};

/** Compile a run list for known sizes. Errors: as the passes report. Owns: kiln_plan_destroy. */
kiln_status kiln_compile(struct kiln_plan **out, const struct kiln_compile_params *params);
void kiln_plan_destroy(struct kiln_plan **plan);

/* Passes, in the order of compile.c ---------------------------------------------------------------------- */

/** What a rewrite of a graph needs and gives. */
struct kiln_rewrite {
    const kiln_graph *from;
    kiln_graph *to;
    kiln_tensor *map; /* by the id in `from`: the value in `to`; calloc'ed by kiln_rewrite_begin */
    bool train;
    bool keep_counts; /* sizes that depend on data stay; else they become their bounds */
    int64_t (*size)(void *user, int64_t symbol); /* NULL: keep symbols */
    void *size_user;
};

kiln_status kiln_rewrite_begin(struct kiln_rewrite *r);
void kiln_rewrite_finish(struct kiln_rewrite *r); /* frees the map, not the graphs */
/** Copy a node with its inputs mapped and its specs' sizes resolved; maps its outputs. */
kiln_node *kiln_rewrite_copy(struct kiln_rewrite *r, const kiln_node *n);
/** As kiln_rewrite_copy, with the inputs given: values of the new graph. */
kiln_node *kiln_rewrite_copy_with(struct kiln_rewrite *r, const kiln_node *n, const kiln_tensor *in);
/** By node: whether it is made of weights and constants alone, so that the prologue computes it. malloc'ed; NULL out of memory. */
bool *kiln_settled(const kiln_graph *g);
/** Tell the sizes that n's outputs count who their successors are; a pass does so behind each node. */
void kiln_rewrite_bind(struct kiln_rewrite *r, const kiln_node *n);
/** Input i of n in the new graph: KILN_NONE where sizes are known and it was looked at for its shape alone. */
kiln_tensor kiln_rewrite_input(const struct kiln_rewrite *r, const kiln_node *n, int i);
/** The spec with sizes resolved; fails the new graph where a size stays unknown and sizes are wanted. */
kiln_spec kiln_rewrite_spec(struct kiln_rewrite *r, const kiln_spec *spec);

/** simplify.c: keep what the run list needs, choose by mode, fold constants, drop identities, merge equal nodes. `run` is
 *  rewritten to ids of the new graph; effects attached to what is computed are appended to it (room: run_room). */
kiln_status kiln_simplify(struct kiln_rewrite *r, kiln_tensor *run, int *run_count, int run_room);
/** counts.c, where sizes depend on data. First: nodes whose operator says so are replaced by what takes the count into account. */
kiln_status kiln_replace_counted(struct kiln_rewrite *r, kiln_tensor *run, int run_count);
/** counts.c. Then: sizes become their bounds, and where elements beyond a count would be seen they are filled. */
kiln_status kiln_fill_beyond_counts(struct kiln_rewrite *r, kiln_tensor *run, int run_count);
/** integers.c: whether any value of a graph is of type I8 or U8. */
bool kiln_has_bytes(const kiln_graph *g);
/** integers.c: products of dequantized bytes become products of integers, for devices that multiply these faster; `last`: channels.c follows. */
kiln_status kiln_multiply_integers(struct kiln_rewrite *r, kiln_tensor *run, int run_count, bool last);
/** channels.c: convolutions of bytes, and what stands between them, with their channels last, where operands can be bound whole. */
kiln_status kiln_turn_channels(struct kiln_rewrite *r, kiln_tensor *run, int run_count,
                               const struct kiln_caps *caps);
/** recompute.c: what the backward pass reads of the forward pass is computed again in front of it, from a few values that are kept. */
kiln_status kiln_recompute(struct kiln_rewrite *r, kiln_tensor *run, int run_count);
/** precision.c: floats between operators become halves, where these can be trusted to hold them. */
kiln_status kiln_store_halves(struct kiln_rewrite *r, kiln_tensor *run, int run_count);
/** scale.c: convolutions whose results are scaled by channel have their filters scaled, where that lets their epilogues do more. */
kiln_status kiln_scale_filters(struct kiln_rewrite *r, kiln_tensor *run, int run_count);
/** fuse.c: chains of elementwise nodes become one; chains behind a matmul or a convolution become its epilogue; `bytes`: those
 *  behind products of integers, too, and I8 and U8 are stored as such. */
kiln_status kiln_fuse(struct kiln_rewrite *r, kiln_tensor *run, int run_count, const struct kiln_caps *caps,
                      bool bytes);
/** fuse.c: whether n is a constant of one element that an immediate can hold: any real, an integer of 32 bits. */
bool kiln_constant_number(const kiln_node *n, double *value, bool *integer);
/** control.c: the bodies of scans, loops and branches in their place, as steps one behind the other or as regions. */
kiln_status kiln_expand_control(struct kiln_rewrite *r, kiln_tensor *run, int run_count);
/** Whether there are any. */
bool kiln_has_control(const kiln_graph *g);
/** forms.c, for lower.c: where second forms of weights took more than they may, nodes get lowerings whose forms take less. */
kiln_status kiln_bound_forms(struct kiln_plan *plan);
/** lower.c: nodes -> steps. */
kiln_status kiln_lower(struct kiln_plan *plan);
/** halves.c, for steps.c: note what each binding of d holds; where no variant takes halves or bytes so, copy those to words before it
 *  and mark in `back` which bindings to copy back behind it, from where. */
kiln_status kiln_take_narrow(struct kiln_plan *plan, kiln_dispatch *d, kiln_binding *back);
kiln_status kiln_give_narrow(struct kiln_plan *plan, const kiln_dispatch *d, const kiln_binding *back);
/** schedule.c: steps into waves with no dependency inside, prologue first. */
kiln_status kiln_schedule(struct kiln_plan *plan);
/** memory.c: scratch objects -> offsets. */
kiln_status kiln_place_memory(struct kiln_plan *plan);

#endif
