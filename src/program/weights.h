/* weights.h - weights and sessions from inside: a reference to a store. */
#ifndef KILN_PROGRAM_WEIGHTS_H
#define KILN_PROGRAM_WEIGHTS_H

#include <kiln/weights.h>

#include "program/store.h"

/** A session is the same object under another name: a store that holds session states. */
struct kiln_weights {
    struct kiln_store_data *store;
    KILN_VEC(char *) names; /* of arenas' tensors: see kiln_weights_name */
};

struct kiln_store_data *kiln_session_store(kiln_session *s);

#endif
