/*
 * weights.h - what was learned or counted: a store of named tensors, bound to graphs by name and owned by none.
 *
 * It holds parameters, states (running statistics, steps, random counters), optimizer state and gathered gradients:
 *
 *   conv1.weight              a parameter
 *   bn1.running_mean          a state
 *   optimizer.m/conv1.weight  Adam's first moment of it: an arena "optimizer.m" beside the parameters'
 *   gradient/conv1.weight     what kiln_backward gathered
 *
 * Each device that runs programs on the weights has a copy there; a run brings it up to date, a read brings the values back.
 */
#ifndef KILN_WEIGHTS_H
#define KILN_WEIGHTS_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_weights kiln_weights;

typedef struct kiln_weights_params {
    uint64_t seed; /* of initial values and of the random streams; 0 is a seed like others */
} kiln_weights_params;

/**
 * Make every parameter and state that the graph declares, drawn from a stream keyed by seed and name, so that the values
 * depend neither on the order nor on what else there is.
 * Errors: the graph's failure; ERROR_MEMORY.
 */
KILN_API kiln_status kiln_weights_create(kiln_weights **out, const kiln_graph *g,
                                         const kiln_weights_params *params);

/** Add what a further graph declares and the store lacks. Errors: ERROR_SHAPE naming both where a tensor differs. */
KILN_API kiln_status kiln_weights_add(kiln_weights *w, const kiln_graph *g);

KILN_API void kiln_weights_destroy(kiln_weights **w);

/** How many tensors there are, and the name of each: parameters and states in order of creation, then arenas. Loans. */
KILN_API int kiln_weights_count(const kiln_weights *w);
KILN_API const char *kiln_weights_name(const kiln_weights *w, int index);

/** Type and shape of a tensor; false if there is none of that name. */
KILN_API bool kiln_weights_find(const kiln_weights *w, const char *name, kiln_type *type, kiln_shape *shape);

/** True for a parameter, false for a state or an arena's tensor. */
KILN_API bool kiln_weights_is_parameter(const kiln_weights *w, const char *name);

/**
 * Copy a tensor out, newest values; dst as in kiln_program_read: a dst type of F32 or F64 converts between the two.
 * Threads: waits for the programs that write it. Errors: ERROR_ARGUMENT for an unknown name, or weights that a program was told to
 *          give up; ERROR_SHAPE if dst is small; ERROR_DEVICE.
 */
KILN_API kiln_status kiln_weights_read(kiln_weights *w, const char *name, kiln_array *dst);

/**
 * Copy a tensor in. Shapes must be equal; real types convert. A name "ARENA/parameter" that does not exist yet creates the
 * arena, so that a checkpoint's optimizer state can come before the optimizer.
 * Threads: as kiln_weights_read. Errors: ERROR_ARGUMENT as there; ERROR_SHAPE for another shape or kind of type; ERROR_MEMORY.
 */
KILN_API kiln_status kiln_weights_write(kiln_weights *w, const char *name, const kiln_array *src);

/** What to do about values that are lent. Threads: on any that uses the weights; must not use them itself. */
typedef struct kiln_loan {
    void (*release)(void *user); /* once: they are read no more */
    /* these of them were read, and for a while they will not be: their pages may go. NULL: nothing */
    void (*rest)(void *user, const void *from, size_t bytes);
    void *user;
} kiln_loan;

/**
 * As kiln_weights_write, but of values that may stay where they lie, in a mapped file say, until a device needs them: the host keeps no
 * copy. They are released when the first device has all that is here, they are written over, or the weights end; before this returns
 * where it fails, or where the values had to be copied (as another type, or to a device that holds the weights already).
 *
 * Owns:    src->data is yours, and stays as it is until it is released; the structs are read during the call only.
 * Errors:  as of kiln_weights_write.
 */
KILN_API kiln_status kiln_weights_lend(kiln_weights *w, const char *name, const kiln_array *src,
                                       const kiln_loan *loan);

/**
 * Copy a tensor from other weights, which have one of the same name and shape: what was learned under another head, or a
 * network without its optimizer. Real types convert. Threads, errors: as the two above; ERROR_MEMORY.
 */
KILN_API kiln_status kiln_weights_copy(kiln_weights *to, kiln_weights *from, const char *name);

/**
 * The gathered gradients as flat memory, for an all-reduce between kiln_backward and kiln_update: chunks of F32, the same
 * layout in every process that made the same weights. read copies chunk `index` out, write copies it in.
 * Errors: ERROR_ARGUMENT for a chunk that there is not.
 */
KILN_API int kiln_weights_gradient_chunks(const kiln_weights *w);
KILN_API size_t kiln_weights_gradient_count(const kiln_weights *w, int index); /* floats in a chunk */
KILN_API kiln_status kiln_weights_gradient_read(kiln_weights *w, int index, float *to);
KILN_API kiln_status kiln_weights_gradient_write(kiln_weights *w, int index, const float *from);

/** Write all tensors to a safetensors file, beside it first and then renamed: the old file stays whole until the end.
 *  Errors: ERROR_FILE; those of kiln_weights_read. */
KILN_API kiln_status kiln_weights_save(kiln_weights *w, const char *path);

typedef struct kiln_load_params {
    bool partial; /* tensors that the file lacks or has besides are no error */
} kiln_load_params;

/**
 * Read tensors from a safetensors file; nothing changes if one does not fit.
 * Errors: those of kiln_safetensors_open (import.h); ERROR_ARGUMENT for a tensor that file or weights lack, ERROR_SHAPE and ERROR_TYPE for
 *         one that differs, each by name.
 */
KILN_API kiln_status kiln_weights_load(kiln_weights *w, const char *path, const kiln_load_params *params);

/* Sessions ----------------------------------------------------------------------------------------------- */

/** The states of one conversation (KILN_STORE_SESSION): a second store, named when a program is created. */
typedef struct kiln_session kiln_session;

/** Make the session states that the graph declares, at their initial values. Errors: the graph's failure; ERROR_MEMORY. */
KILN_API kiln_status kiln_session_create(kiln_session **out, const kiln_graph *g);
KILN_API void kiln_session_destroy(kiln_session **s);
/** Back to the initial values. */
KILN_API kiln_status kiln_session_reset(kiln_session *s);
/** As kiln_weights_read and kiln_weights_write. */
KILN_API kiln_status kiln_session_read(kiln_session *s, const char *name, kiln_array *dst);
KILN_API kiln_status kiln_session_write(kiln_session *s, const char *name, const kiln_array *src);

#ifdef __cplusplus
}
#endif
#endif
