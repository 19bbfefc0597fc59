/* conv.h - what the operators of 2-D convolution share. */
#ifndef KILN_OPS_CONV_H
#define KILN_OPS_CONV_H

#include <kiln/ops.h>

#include "conv/conv2d.h"
#include "ops/kernels.h"

/** Append op with params whose defaults are written out, so that equal bytes mean equal nodes. */
kiln_tensor kiln_conv2d_append(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                               const kiln_conv2d_params *params);

/**
 * The shape of y for x and w.
 * Errors: fails the node where they do not fit.
 */
kiln_status kiln_conv2d_shape(kiln_graph *g, const kiln_node *n, const kiln_spec *x, const kiln_spec *w,
                              kiln_shape *y);

/** The block of a dispatch over x, w and y with known sizes. */
struct kiln_params_conv2d kiln_conv2d_block(const kiln_conv2d_params *p, const kiln_shape *x,
                                            const kiln_shape *w, const kiln_shape *y);

#endif
