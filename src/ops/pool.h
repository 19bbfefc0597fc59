/* pool.h - what the operators of pooling share. */
#ifndef KILN_OPS_POOL_H
#define KILN_OPS_POOL_H

#include <kiln/extend.h>
#include <kiln/pool.h>

#include "ops/kernels.h"
#include "pool/pool.h"

enum { KILN_POOL_AXES = 3 };

/** kiln_pool_params with every default in place, without padding bytes. */
struct kiln_pool {
    int mode; /* KILN_POOL_MAX and its like */
    int size[KILN_POOL_AXES], stride[KILN_POOL_AXES], pad[KILN_POOL_AXES][2], dilation[KILN_POOL_AXES];
    int same, ceil;
    int adaptive; /* size: that of y, 0 as x's */
    int column_major;
};

/** From the first tap of a window along an axis to its last. */
static inline int64_t kiln_pool_reach(const struct kiln_pool *p, int axis)
{
    return (int64_t)p->dilation[axis] * (p->size[axis] - 1) + 1;
}

/** How many windows there are along an axis of that size. */
int64_t kiln_pool_windows(kiln_graph *g, const struct kiln_pool *p, int axis, int64_t size);

/** Padding before an axis: as given, or what `same` means at these sizes. */
int64_t kiln_pool_pad(const struct kiln_pool *p, int axis, int64_t x, int64_t y);

/** What pooling is described by, ended by {0}. */
extern const kiln_field kiln_pool_fields[];

extern const kiln_lowering kiln_pool_lowerings[1], kiln_pool_grad_lowerings[2];

#endif
