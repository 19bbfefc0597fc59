/*
 * fold.h - the parameters of index_fold: tuples of indices as one index into the axes that they name, taken as one.
 *
 *   y[n] = sum over k of at(x[n, k], size[k]) * step[k], or KILN_INDEX_NOWHERE where some x[n, k] is
 *
 * where at is as in gather.h.
 *
 * bindings   0: x [count, axes]    1: y [count]
 * units      tuples
 */
#include "interface.h"

#define KILN_FOLD_AXES 8

KILN_PARAMS(index_fold) {
    uint count, axes;
    uint size[KILN_FOLD_AXES], step[KILN_FOLD_AXES];
} KILN_PARAMS_END;
