/*
 * compact.h - the parameters of compact: where the elements that count stand, one behind the other.
 *
 *   ranks[e] = how many of elements 0 .. e count; places[ranks[e] - 1] = the coordinates of e, for each that does
 *
 * The coordinates are those of an axis each; of more elements than `bound` the first are taken.
 *
 * bindings   0: ranks    1: places [bound, axes]    2: count, of those taken
 * units      elements
 */
#include "interface.h"
#include "divide.h"

#define KILN_COMPACT_AXES 8

KILN_PARAMS(compact) {
    uint elements, bound, axes;
    uint size[KILN_COMPACT_AXES];
    uint multiplier[KILN_COMPACT_AXES];     /* of the sizes, as in divide.h ... */
    uint shift[KILN_COMPACT_AXES];
} KILN_PARAMS_END;
