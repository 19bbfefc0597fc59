/*
 * slices.h - which slices of a value an index names: what gather reads and scatter writes, in the three ways of naming them.
 */
#ifndef KILN_OPS_SLICES_H
#define KILN_OPS_SLICES_H

#include <kiln/extend.h>

/** How an index names: a slice along an axis; an element along it for each other coordinate; a tuple of coordinates. */
enum kiln_naming { KILN_NAMES_ROWS, KILN_NAMES_ELEMENTS, KILN_NAMES_TUPLES };

/** Params of all operators of both families; an operator's `extra` points to its kiln_naming. */
struct kiln_naming_params {
    int32_t axis;  /* of ROWS and ELEMENTS */
    int32_t batch; /* of ROWS and TUPLES: so many first axes are shared by x and index */
    int32_t meets; /* of a scatter: kiln_scatter_kind */
    int32_t distinct;
    int32_t counted; /* the index needs no look at how many there are */
};

/** The fields of these params. */
extern const kiln_field kiln_naming_fields[];

/**
 * The shape of x's slices at index, which is y's of gather and the updates' of scatter. Fails the node where x and index do
 * not fit, and where a constant index is out of range.
 */
kiln_status kiln_slices_shape(kiln_graph *g, const kiln_node *n, kiln_tensor x, kiln_tensor index,
                              kiln_shape *out);

/** What becomes of x's elements beyond a count. */
kiln_beyond kiln_slices_beyond(const kiln_graph *g, const kiln_node *n, kiln_tensor x, kiln_tensor index,
                               int axis);

/** The node again where an axis of x that is named is counted: index, from the end and clamped by the count. */
kiln_tensor kiln_slices_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor x,
                                kiln_tensor index);

/**
 * x as [outer, rows, inner], its slices as [outer, count, inner]. The index is [outer / share, count]: one list for `share`
 * neighbouring o; or, `full`, one for each element.
 */
struct kiln_slices {
    uint32_t outer, rows, inner, count, share;
    bool full;
    kiln_binding index;
};

/** The slices of x, of that shape; plans the index where tuples are to become one number each. */
kiln_status kiln_plan_slices(kiln_plan *plan, const kiln_node *n, const kiln_shape *x, kiln_tensor index,
                             struct kiln_slices *out);

/** Plan y = the slices of x. */
kiln_status kiln_lower_gather(kiln_plan *plan, const struct kiln_slices *s, kiln_tensor x, kiln_tensor y);

#endif
