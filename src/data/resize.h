/*
 * resize.h - bilinear resizing, a row at a time.
 *
 *   y[i] = sum_k w(i, k) x[k],  w(i, k) ~ max(0, 1 - |k + 1/2 - c(i)| / r),  c(i) = start + (i + 1/2) length / to
 *
 * with r = max(1, length / to) and weights that add up to 1: where the result is smaller, each of its pixels is a mean
 * over all that it covers. A result of the same size is the source, exactly.
 */
#ifndef KILN_DATA_RESIZE_H
#define KILN_DATA_RESIZE_H

#include "data/picture.h"

/** Which source pixels a result is made of: `count` from `first`. */
struct kiln_taps {
    size_t first, count;
    const float *weight;
};

/** A picture's box (in pixels, fractions too), seen as height x width pixels. */
struct kiln_resize {
    const struct kiln_picture *from;
    struct kiln_taps *rows, *columns;
    float *weights;
    float *line; /* source columns, rows already combined */
    size_t height, width;
};

struct kiln_box {
    double top, left, height, width;
};

kiln_status kiln_resize_init(struct kiln_resize *r, const struct kiln_picture *from, struct kiln_box box,
                             size_t height, size_t width);

/** Row i of the result: [width, channels of the source], samples from 0 to 255. */
void kiln_resize_row(struct kiln_resize *r, size_t i, float *to);

/** Free what init took; accepts {0}. */
void kiln_resize_finish(struct kiln_resize *r);

#endif
