/* conv.h - what the operators of convolution share: one relation between x, y and the filters, looked at from three sides. */
#ifndef KILN_OPS_CONV_H
#define KILN_OPS_CONV_H

#include <kiln/conv.h>
#include <kiln/extend.h>

#include "conv/conv.h"
#include "ops/kernels.h"

enum { KILN_CONV_AXES = 3 };

/** What a convolution is described by, ended by {0}. */
extern const kiln_field kiln_conv_fields[];

/** Append op with params whose defaults are written out, so that equal bytes mean equal nodes. */
kiln_tensor kiln_conv_append(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                             const kiln_conv_params *params);

/** The shape of y for x and w, of one real type. Errors: fails the node where they do not fit. */
kiln_status kiln_conv_shape(kiln_graph *g, const kiln_node *n, const kiln_spec *x, const kiln_spec *w,
                            kiln_shape *y);

/** One axis of x, of y and of the filter, and how they lie to one another. */
struct kiln_conv_axis {
    int64_t x, y, taps, stride, pad, dilation;
};

/** A node whose sizes are known: its axes, of which the first are single points where there are fewer, and the rest. */
struct kiln_conv_sizes {
    int64_t images, groups, channels, filters; /* of one group */
    struct kiln_conv_axis axis[KILN_CONV_AXES];
};

/** The sizes of a node of x, w and y. */
struct kiln_conv_sizes kiln_conv_sizes_of(const kiln_conv_params *p, const kiln_shape *x, const kiln_shape *w,
                                          const kiln_shape *y);

/** Of a node of kiln_conv, its transpose or its gradient by the filters. */
struct kiln_conv_sizes kiln_conv_sizes_of_node(const kiln_plan *plan, const kiln_node *n);

/** What blocks of kernels say of the last two axes of sizes s. */
#define KILN_CONV_PLANE(s)                                                                              \
    .h = (uint32_t)(s)->axis[1].x, .w = (uint32_t)(s)->axis[2].x, .oh = (uint32_t)(s)->axis[1].y,       \
    .ow = (uint32_t)(s)->axis[2].y, .u = (uint32_t)(s)->axis[1].taps, .v = (uint32_t)(s)->axis[2].taps, \
    .stride_i = (uint32_t)(s)->axis[1].stride, .stride_j = (uint32_t)(s)->axis[2].stride,               \
    .pad_i = (int32_t)(s)->axis[1].pad, .pad_j = (int32_t)(s)->axis[2].pad,                             \
    .dilation_i = (uint32_t)(s)->axis[1].dilation, .dilation_j = (uint32_t)(s)->axis[2].dilation

/** Whether it is of floats, of a single group, and over two axes at the most. */
bool kiln_conv_is_plane(const kiln_plan *plan, const kiln_node *n, const struct kiln_conv_sizes *s);

/** Whether y has no elements, so that a sum over it has no terms. */
bool kiln_conv_is_of_nothing(const struct kiln_conv_sizes *s);

/** Whether x and y are walked as they lie along an axis. */
bool kiln_conv_is_plain(const struct kiln_conv_axis *a);

/** The lowering by transformed filters of 3 x 3 (conv_winograd.c). */
bool kiln_conv_winograd_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_winograd_pays(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_winograd_lower(kiln_plan *plan, const kiln_node *n);
kiln_form kiln_conv_winograd_form(const kiln_plan *plan, const kiln_node *n);
/** Likewise, in smaller tiles. */
bool kiln_conv_winograd_small_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_winograd_small_pays(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_winograd_small_lower(kiln_plan *plan, const kiln_node *n);
kiln_form kiln_conv_winograd_small_form(const kiln_plan *plan, const kiln_node *n);
/** The same by packed filters that are transformed on the way, on the CPU. */
bool kiln_conv_winograd_packed_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_winograd_packed_pays(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_winograd_packed_lower(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_grad_winograd_accepts(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_grad_winograd_lower(kiln_plan *plan, const kiln_node *n);

/** The lowering by packed filters (conv_packed.c). */
bool kiln_conv_packed_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_packed_pays(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_packed_lower(kiln_plan *plan, const kiln_node *n);
/** The form of either lowering by packed filters. */
kiln_form kiln_conv_packed_form(const kiln_plan *plan, const kiln_node *n);

/** The lowering of a depthwise convolution together with that by points before it (conv_pair.c). */
bool kiln_conv_pair_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_pair_pays(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_pair_lower(kiln_plan *plan, const kiln_node *n);

/** The lowering by what filters meet, laid out (conv_columns.c). */
bool kiln_conv_columns_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_conv_columns_pays(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_columns_lower(kiln_plan *plan, const kiln_node *n);

/** Where a product has a row for each channel: the channels, columns of a convolution's result to an epilogue, are rows there. */
void kiln_conv_turn_walks(uint32_t *head);

/** The block of a dispatch over all of it, and its constant KILN_CONV_MODE. */
struct kiln_params_conv kiln_conv_block(const struct kiln_conv_sizes *s);
uint32_t kiln_conv_mode(const struct kiln_params_conv *block, bool transposed);

/** How many elements of t, as floats at the least, a window may bind. */
uint64_t kiln_conv_bound(const kiln_plan *plan, kiln_tensor t);

/** Whether no window of a dispatch's operands, of either kernel, is short enough to be bound: then it is done in bands. */
bool kiln_conv_needs_bands(kiln_plan *plan, const kiln_dispatch *d);
kiln_status kiln_conv_bands(kiln_plan *plan, const kiln_dispatch *d);

extern const kiln_lowering kiln_conv_lowerings[8], kiln_conv_grad_filter_lowerings[2];

#endif
