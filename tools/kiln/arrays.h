/* arrays.h - what a model is given on a command line: arrays from files, and numbers for sizes. */
#ifndef KILN_TOOLS_ARRAYS_H
#define KILN_TOOLS_ARRAYS_H

#include <kiln/kiln.h>

#include "args.h"

/** Cut "NAME=FILE" at the sign: `name` receives what is before it, "" where there is none; returns the file, a loan. */
const char *arrays_split(const char *item, char *name, size_t bytes);

/**
 * Write a .npy file, or ONNX's .pb, to the input that "NAME=FILE" names; without a name, to the graph's first.
 * Errors: ERROR_ARGUMENT with a line naming `command` where the graph has no such input; what loading and writing return.
 */
kiln_status arrays_write(kiln_program *program, const kiln_graph *g, const char *command, const char *item);

/** What one of "NAME=N" gives a symbol; 1 where none does. */
int64_t arrays_size(const struct args_list *sizes, const char *symbol);

#endif
