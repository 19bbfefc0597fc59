/* families.c - the families of operators that have cases, each in its file. */
#include "check/families.h"

#include <stddef.h>

#include "check/case.h"

const struct check_op *const check_families[] = {
    check_attention, check_conv,    check_elementwise, check_gather, check_layout,   check_loss,
    check_matmul,    check_norm,    check_normalize,   check_pool,   check_quantize, check_random,
    check_reduce,    check_softmax, check_update,      NULL,
};
