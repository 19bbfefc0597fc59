/*
 * arrays.h - what a model is given on a command line: arrays from files, and numbers for sizes; and loading it with them.
 *
 * "NAME=FILE" gives an input its value, "FILE" the model's first. A file is .npy, .pb (ONNX's TensorProto), .npz, or raw:
 *
 *   image=x.npz           the array "image" of an archive; without a name, each array goes to the input of its name
 *   image=x.npz:pixels    its array "pixels"
 *   image=x.bin:u8:1,3,4  elements of that type and those sizes, as they lie in memory
 */
#ifndef KILN_TOOLS_ARRAYS_H
#define KILN_TOOLS_ARRAYS_H

#include <kiln/kiln.h>

#include "args.h"
#include "base/vec.h"

struct arrays_item {
    char name[256]; /* of the input; "": the first */
    kiln_array array;
    bool constant; /* it became one while the model was loaded */
};

struct arrays {
    const char *command; /* for messages */
    bool symbols;        /* sizes stay symbols where the model can be built so */
    bool tell;           /* what was chosen, room for sizes that data gives */
    int64_t most_steps;  /* of a loop that data ends */
    int64_t most_size;   /* of an axis that data gives */
    KILN_VEC(struct arrays_item) item;
};

/** Cut "NAME=FILE" at the sign: `name` receives what is before it, "" where there is none; returns the file, a loan. */
const char *arrays_split(const char *item, char *name, size_t bytes);

/** Whether a text ends so. */
bool arrays_ends_with(const char *text, const char *end);

/** Sizes of a model by name. */
struct arrays_sizes {
    kiln_onnx_size item[ARGS_MOST];
    char name[ARGS_MOST][256]; /* of the items */
};

/** Take sizes from "NAME=N". Errors: a line naming the command. */
kiln_status arrays_take_sizes(const char *command, const struct args_list *list, struct arrays_sizes *out);

/** Read what the items of a list say. Owns: arrays_finish, also after a failure. */
kiln_status arrays_read(struct arrays *a, const struct args_list *items);
void arrays_finish(struct arrays *a);

/**
 * Load a model, of which the shapes of inputs that have an array, and sizes by "NAME=N", are known then. Where that is not enough,
 * small arrays, which may say shapes or choose branches, become constants.
 */
kiln_status arrays_load(struct arrays *a, const struct args_list *sizes, const char *path, kiln_graph **g,
                        kiln_weights **w);

/** What may say a shape or choose a branch: integers of rank 0 or 1, single numbers, and the scales and regions of axes. */
bool arrays_may_be_constant(const kiln_array *a);

/** The graph's input of that name, the first for ""; KILN_NONE and a line naming the command where there is none. */
kiln_tensor arrays_input(const char *command, const kiln_graph *g, const char *name);

/** Write the arrays that are no constants to their inputs. */
kiln_status arrays_write(const struct arrays *a, kiln_program *program, const kiln_graph *g);

/**
 * Read what the last run made of a value into an array of that type: the value's own, or KILN_F64 of a program in double.
 * Owns: kiln_array_free, also after a failure.
 */
kiln_status arrays_result(kiln_program *program, kiln_tensor t, kiln_type type, kiln_array *out);

/** The precision of that name; NULL: f32. Errors: a line naming the command. */
kiln_status arrays_precision(const char *command, const char *name, kiln_precision *precision);

/** What one of "NAME=N" gives a symbol; 1 where none does. */
int64_t arrays_size(const struct args_list *sizes, const char *symbol);

/** The shape of an input with its symbols' sizes by "NAME=N"; 1 where none gives one. */
kiln_shape arrays_shape(const kiln_graph *g, kiln_tensor input, const struct args_list *sizes);

/** Give an input made-up values: reals in [-1, 1); integers 0 and 1, which are indices of nearly everything. */
kiln_status arrays_make_up(kiln_program *program, const kiln_graph *g, kiln_tensor input, kiln_shape shape,
                           uint64_t seed);

#endif
