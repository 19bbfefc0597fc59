/* split_sum.h - the parameters of split_sum: y[i] = sum over s of x[s * part + i], in the order of s. */
#include "interface.h"

KILN_PARAMS(split_sum) {
    uint count;                     /* elements of y */
    uint splits, part;
} KILN_PARAMS_END;
