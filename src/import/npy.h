/* npy.h - .npy in memory, for files of their own and members of a .npz. */
#ifndef KILN_IMPORT_NPY_H
#define KILN_IMPORT_NPY_H

#include <kiln/import.h>

#include "base/text.h"

/** Read a whole .npy that lies at `data`; `label` names it in messages. Owns: out->data is the caller's. */
kiln_status kiln_npy_read(kiln_array *out, const char *label, const void *data, size_t bytes);

/** Append what stands before an array's values: magic, version, description, padded to a multiple of 64 bytes. */
void kiln_npy_describe(struct kiln_text *to, const kiln_array *a);

#endif
