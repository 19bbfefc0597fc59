/* table.h - the library's operators and kernels in the order of ops.def and kernels.def, each list ended by NULL. */
#ifndef KILN_OPS_TABLE_H
#define KILN_OPS_TABLE_H

#include <kiln/extend.h>

extern const kiln_op *const kiln_ops[];
extern const kiln_kernel *const kiln_kernels[];

#endif
