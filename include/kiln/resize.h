/*
 * resize.h - pictures, signals and volumes of other sizes: by the nearest element, by lines, by cubic curves.
 *
 * Each axis is resized by itself. Place q of y's axis lies at place u(q) of x's, and has a weighted sum of the elements around:
 *
 *   y[q] = sum over i of k((i - u(q)) * w) x[i] / sum over i of k((i - u(q)) * w)
 *
 * with k a line or a cubic curve that falls from 1 at 0 to nothing at 1 or 2, and w = 1. Elements before the first count as the
 * first, those behind the last as the last. With `antialias` w is y's size over x's where y is the smaller: every element of x
 * then has a part in y. The weights of an axis are computed once, in double precision; whatever the mode, y is a sum by them, and
 * so is the gradient by x: a sum over the elements of y that an element of x has a part in, in their order.
 */
#ifndef KILN_RESIZE_H
#define KILN_RESIZE_H

#include <kiln/graph.h>
#include <kiln/reduce.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kiln_resize_mode {
    KILN_RESIZE_NEAREST, /* the element at u(q), rounded */
    KILN_RESIZE_LINEAR,  /* k(t) = 1 - |t|: bilinear along two axes, trilinear along three */
    KILN_RESIZE_CUBIC, /* Keys 1981: k(t) = (a + 2) |t|^3 - (a + 3) t^2 + 1 up to 1, a |t|^3 - 5a t^2 + 8a |t| - 4a up to 2 */
} kiln_resize_mode;

/** u(q), with n elements along x's axis, m along y's, and a scale s of m / n, or as given. */
typedef enum kiln_resize_places {
    KILN_RESIZE_HALF_PIXEL, /* (q + 0.5) / s - 0.5: an element is a square, and the pictures' edges meet */
    KILN_RESIZE_HALF_PIXEL_SYMMETRIC, /* likewise, the pictures' centres where s n is no whole number */
    KILN_RESIZE_PYTORCH_HALF_PIXEL,   /* as half pixel, but 0 where m is 1 */
    KILN_RESIZE_TF_HALF_PIXEL,        /* (q + 0.5) / s */
    KILN_RESIZE_ALIGN_CORNERS, /* q (n - 1) / (s n - 1): an element is a point, the outermost points meet */
    KILN_RESIZE_ASYMMETRIC,    /* q / s */
    KILN_RESIZE_CROP, /* as align corners, over the part of x from `crop` to `crop`; outside of x, y is `outside` */
} kiln_resize_places;

typedef enum kiln_resize_rounding {
    KILN_RESIZE_PREFER_FLOOR, /* to the nearest, halves down */
    KILN_RESIZE_PREFER_CEIL,  /* halves up */
    KILN_RESIZE_FLOOR,
    KILN_RESIZE_CEIL,
} kiln_resize_rounding;

/** What `size` means where it would change the picture's shape. */
typedef enum kiln_resize_aspect {
    KILN_RESIZE_STRETCH,    /* the size */
    KILN_RESIZE_NOT_LARGER, /* one scale for all axes, so that none is larger than its size */
    KILN_RESIZE_NOT_SMALLER,
} kiln_resize_aspect;

typedef struct kiln_resize_params {
    kiln_axes axes; /* {0}: all behind the first two; what follows lists these axes in this order */
    double scale[KILN_MAX_RANK]; /* y's size over x's; 0 means 1 */
    /* y's size: a number, a symbol, or what data counts (kiln_dim_bounded); 0: by the scale */
    int64_t size[KILN_MAX_RANK];
    kiln_resize_aspect aspect; /* needs numbers */
    kiln_resize_mode mode;
    kiln_resize_places places;
    kiln_resize_rounding rounding; /* of the nearest */
    double cubic;                  /* a; 0 means -0.75 */
    bool exclude_outside;          /* elements beyond x count nothing, and the other weights more */
    bool antialias;
    double crop[KILN_MAX_RANK][2]; /* with KILN_RESIZE_CROP: first and last place over n - 1 */
    double outside;
} kiln_resize_params;

/**
 * x at other sizes. A scale is taken as the simplest fraction that is within half a rounding of float32, so that it applies to
 * symbols too; y's size is then x's times it, rounded down.
 *
 * PyTorch's interpolate: "nearest" is ASYMMETRIC with FLOOR, "nearest-exact" HALF_PIXEL with PREFER_CEIL, the others
 * HALF_PIXEL or, align_corners, ALIGN_CORNERS; its antialias excludes what is outside, and has a = -0.5.
 *
 * Where data counts the size of an axis, of y or of x, places and weights are computed by the run. Then bounds and sizes must be numbers,
 * and antialias, aspect and KILN_RESIZE_CROP are refused.
 *
 * Shape:   x of a real type and any rank; y as x but for the axes. Gradient by x, and gradients of it.
 * Errors:  on an axis of x that is empty while y's is not.
 */
KILN_API kiln_tensor kiln_resize(kiln_graph *g, kiln_tensor x, const kiln_resize_params *params);

#ifdef __cplusplus
}
#endif
#endif
