/* safetensors.h - what the room's files know of an open safetensors file beyond <kiln/import.h>. */
#ifndef KILN_IMPORT_SAFETENSORS_H
#define KILN_IMPORT_SAFETENSORS_H

#include <kiln/import.h>

/** The path that it was opened by, for messages. A loan. */
const char *kiln_safetensors_path(const kiln_safetensors *file);

/** The format's name of a type, "F32"; NULL for a value that is no type. */
const char *kiln_safetensors_type(kiln_type type);

#endif
