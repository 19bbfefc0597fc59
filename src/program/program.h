/*
 * program.h - a program from inside: the snapshot of a graph, its inputs, and a *ready* plan for each set of sizes.
 */
#ifndef KILN_PROGRAM_PROGRAM_H
#define KILN_PROGRAM_PROGRAM_H

#include <kiln/program.h>

#include "compiler/plan.h"
#include "program/weights.h"

enum { KILN_SLOTS = 2 };

/** An input: what was last written, in one of two staging slots. */
struct kiln_program_input {
    kiln_tensor tensor, user; /* of the snapshot; of the user's graph */
    const char *name;
    kiln_spec spec;   /* declared */
    kiln_shape shape; /* last written */
    uint64_t serial;  /* counts writes; 0: never written */
    int slot;         /* that holds the newest value */
    struct kiln_buffer *staging[KILN_SLOTS];
    kiln_ticket ticket[KILN_SLOTS]; /* of the last run that read the slot */
    const kiln_program_buffer *own; /* the application's buffer instead; NULL: none */
};

/** The user's id of a value that the program knows. */
struct kiln_known {
    kiln_tensor user, own;
};

/** A value of the run list that can be read, or a count that sizes of such values depend on. */
struct kiln_program_result {
    kiln_tensor tensor, user; /* of the snapshot; of the user's graph, none: a count */
    int index;                /* in the run list */
    const kiln_program_buffer *own;
};

/** Memory that plans share; freed with the last of them. */
struct kiln_scratch {
    int references;
    struct kiln_buffer *buffer;
};

/** A plan that is baked and can run. */
struct kiln_ready {
    struct kiln_plan *plan;
    int64_t *size; /* by symbol of the program */
    struct kiln_scratch *scratch;
    struct kiln_buffer *kept, *constants, *inputs, *outputs[KILN_SLOTS];
    uint64_t *output_offset; /* by result */
    struct kiln_baked *prologue, *body, *out[KILN_SLOTS];
    struct kiln_baked **in;                        /* [input * KILN_SLOTS + slot], baked when first needed */
    uint64_t *seen;                                /* by input: the serial that the device has */
    uint64_t prologue_version;                     /* of the weights; 0: never run */
    uint64_t used;                                 /* for dropping the least recently used */
    struct kiln_commands prologue_list, body_list; /* for prints and profiles; memory is the plan's arena's */
    KILN_VEC(struct kiln_buffer *) imported;
    bool writes_weights, writes_session, prologue_reads_weights;
    struct kiln_buffer *trial; /* a tuner's scratch, and its object in the plan; NULL: none */
    int trial_object;
};

struct kiln_program {
    kiln_device *dev;
    kiln_weights *weights; /* a reference of its own to the store */
    kiln_session *session; /* likewise; NULL: none */
    struct kiln_copy *weights_copy, *session_copy;
    kiln_graph *graph;                 /* the snapshot, sizes symbolic */
    uint32_t user_tag;                 /* of the graph it was made from */
    KILN_VEC(struct kiln_known) known; /* inputs and run list */
    KILN_VEC(kiln_tensor) run;         /* of the snapshot */
    KILN_VEC(struct kiln_program_input) input;
    KILN_VEC(struct kiln_program_result) result;
    int readable;             /* results; the others are counts */
    KILN_VEC(int64_t) symbol; /* that the inputs' shapes use */
    KILN_VEC(kiln_program_buffer) own;
    KILN_VEC(struct kiln_ready *) ready;
    struct kiln_ready *last; /* of the last run */
    int last_slot;
    struct kiln_scratch *scratch; /* the largest one */
    struct kiln_places places;
    const struct kiln_choices *choices; /* as plans of it have them, ... */
    struct kiln_choices *trial;         /* ... and what a tuner tries of them (compiler/choose.h) */
    struct kiln_choices *own_choices;   /* that it was given; NULL: the device's, or none */
    uint64_t budget, uses;
    kiln_ticket ticket, slot_ticket[KILN_SLOTS];
    enum kiln_storage storage;
    bool train, recompute, profile, give_up;
    bool halves; /* KILN_PRECISION_F16, on a device that stores them */
};

/** Take the run list, and a simplified copy of what it needs of g; behind p->own. snapshot.c */
kiln_status kiln_program_snapshot(kiln_program *p, const kiln_graph *g, const kiln_program_params *params);

/** The ready plan for these sizes (by symbol of the program): found or made. ready.c */
kiln_status kiln_program_ready(kiln_program *p, const int64_t *size, struct kiln_ready **out);
void kiln_ready_destroy(kiln_program *p, struct kiln_ready **ready);
/** Report that there is no memory, and return it. */
kiln_status kiln_program_no_memory(void);
/** After a run by this plan: return the weights' memory that its body does not read. give_up.c */
kiln_status kiln_program_give_up(kiln_program *p, const struct kiln_ready *r);
/** Whether a plan, or a new one (NULL), may use the weights: what was given up serves one alone. */
kiln_status kiln_program_has_weights(const kiln_program *p, const struct kiln_ready *r);
/** The list that copies an input's slot to the device. */
kiln_status kiln_ready_upload(kiln_program *p, struct kiln_ready *r, int input, struct kiln_baked **out);
/** For a tuner: the plan for the inputs as they are, with these and what the prologue computes on the device. program.c */
kiln_status kiln_program_prepare(kiln_program *p, struct kiln_ready **out);
/** Drop all plans. */
void kiln_program_forget(kiln_program *p);
/** Steps [first, end) of the body by themselves, and how many commands they are; NULL: none. */
kiln_status kiln_ready_bake_steps(kiln_program *p, struct kiln_ready *r, int first, int end,
                                  struct kiln_baked **out, int *commands);
/** The buffer that a touch lies in, and where. */
struct kiln_buffer *kiln_ready_buffer(kiln_program *p, struct kiln_ready *r, const struct kiln_touch *t,
                                      uint64_t *offset);
/** Let r->trial have so many bytes; what was baked with it is gone by then. */
kiln_status kiln_ready_trial_scratch(kiln_program *p, struct kiln_ready *r, uint64_t bytes);
/** Bytes of staging memory that the program holds. */
uint64_t kiln_program_staging(const kiln_program *p);

#endif
