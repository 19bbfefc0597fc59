/* table.c - the rows of ops.def and kernels.def as tables: what has no definition does not link. */
#include "ops/table.h"

#include "ops/kernels.h"

#define X(name) &kiln_op_##name,
const kiln_op *const kiln_ops[] = {
#include "ops/ops.def"
    NULL};
#undef X

#define X(name) &kiln_kernel_##name,
const kiln_kernel *const kiln_kernels[] = {
#include "ops/kernels.def"
    NULL};
#undef X
