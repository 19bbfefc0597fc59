/* weights_load.h - weights from a file's tensors by their names, whatever the file: all or nothing. */
#ifndef KILN_IMPORT_WEIGHTS_LOAD_H
#define KILN_IMPORT_WEIGHTS_LOAD_H

#include <kiln/import.h>
#include <kiln/weights.h>

/** A file of tensors. */
struct kiln_weights_source {
    const char *path; /* for messages */
    int count;
    const void *user; /* is passed to: */
    const char *(*name)(const void *user, int index);
    bool (*has)(const void *user, const char *name);
    /** Type, shape and elements, which stay until the loading ends; logs what is wrong. */
    kiln_status (*get)(const void *user, int index, kiln_array *out);
};

/** As kiln_weights_load. A tensor that is passed over is never got. */
kiln_status kiln_weights_load_source(kiln_weights *w, const struct kiln_weights_source *from,
                                     const kiln_load_params *params);

#endif
