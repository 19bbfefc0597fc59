/* resize.h - what the operators of resizing share: params, and the weights of an axis as a table. */
#ifndef KILN_OPS_RESIZE_H
#define KILN_OPS_RESIZE_H

#include <kiln/extend.h>
#include <kiln/resize.h>

#include "ops/kernels.h"
#include "resize/resize.h"

/** kiln_resize_params by x's axes, with every default in place and without padding bytes. */
struct kiln_resize {
    int64_t size[KILN_MAX_RANK];                    /* of y; 0: x's times the scale, rounded down */
    int64_t up[KILN_MAX_RANK], down[KILN_MAX_RANK]; /* the scale, up / down; up 0: y's size over x's */
    int64_t asked[KILN_MAX_RANK];                   /* the size before the aspect was kept */
    int64_t axes;                                   /* bit i: axis i is resized */
    double crop[KILN_MAX_RANK][2];
    double cubic, outside;
    int mode, places, rounding, aspect, exclude_outside, antialias;
};

/**
 * What the elements of one side of an axis are made of on the other: row q is `count[q]` neighbours from `first[q]` on, none
 * for what lies outside, and their weights, `taps` of them at the most.
 */
struct kiln_bands {
    int64_t rows, taps;
    int64_t *first, *count;
    double *weight; /* [rows, taps] */
};

/** Axis `axis` of y, m elements, by x, n elements. Errors: ERROR_MEMORY. Owns: free by kiln_bands_free. */
kiln_status kiln_bands_create(struct kiln_bands *out, const struct kiln_resize *p, int axis, int64_t n,
                              int64_t m);
/** The other way: row i, of n, has all rows of b that it is an element of. */
kiln_status kiln_bands_transpose(struct kiln_bands *out, const struct kiln_bands *b, int64_t n);
/** Each of `rows` is itself. */
kiln_status kiln_bands_identity(struct kiln_bands *out, int64_t rows);
void kiln_bands_free(struct kiln_bands *b);

/** Whether every row is one element as it is, or none; whether all n rows are themselves. */
bool kiln_bands_copy(const struct kiln_bands *b);
bool kiln_bands_keep(const struct kiln_bands *b, int64_t n);

/** The pattern of most rows (KILN_RESIZE_DOUBLING or HALVING), and which rows; KILN_RESIZE_ANY where there is none. */
uint32_t kiln_bands_pattern(const struct kiln_bands *b, uint32_t *begin, uint32_t *end);

/** Whether an axis that is given a size has one that depends on data, of x or of y; and kiln_resize where that is so. */
bool kiln_resize_is_counted(const kiln_graph *g, const struct kiln_resize *p, const kiln_shape *x);
kiln_tensor kiln_resize_counted(kiln_graph *g, kiln_tensor x, const struct kiln_resize *p);

extern const kiln_lowering kiln_resize_lowering, kiln_resize_grad_lowering;

#endif
