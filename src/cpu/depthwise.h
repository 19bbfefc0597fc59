/*
 * depthwise.h - depthwise convolution by filters of 3 x 3 with a stride of 1 or 2, plane by plane, from x as it lies
 * (conv_depthwise_rows.c).
 */
#ifndef KILN_CPU_DEPTHWISE_H
#define KILN_CPU_DEPTHWISE_H

#include <stdint.h>

#include "conv/conv.h"
#include "cpu/epilogue_fast.h"

#define KILN_ROWS_LANES 16 /* the widest vector of any machine */
#define KILN_DEPTHWISE_BEYOND \
    (2 * KILN_ROWS_LANES + 16) /* floats that vectors look beyond a row, at the most, and before */

/* What vectors of results have in common. */
struct kiln_rows {
    size_t width; /* of the result */
    const struct kiln_row_step *step;
    int steps;
    _Alignas(64) int32_t first
        [KILN_ROWS_LANES]; /* all bits of a lane of the first vector where the filter's first column is in x */
    int32_t last[KILN_ROWS_LANES]; /* likewise of the last vector by the last column */
};

/* Rows of results at y, of whose plane `left` floats are left; they meet the rows x, from their first padded column on. */
typedef void kiln_row_block(const struct kiln_rows *t, float *y, size_t left, const float *const *x,
                            const float *w);

/* Planes of one size. The steps of `rows`, what is done to a result before it is stored, are a plane's own. */
struct kiln_depthwise {
    const struct kiln_params_conv *p;
    kiln_row_block *const *block; /* by rows */
    size_t high;                  /* the most rows at a time */
    const float *x, *x_end;       /* all that may be read */
    float *zeros, *copies;        /* scratch: a row of zeros, and rows that vectors would look beyond */
    size_t pitch;                 /* of scratch */
    ptrdiff_t reach;              /* how far from a row's first column vectors look */
    struct kiln_rows rows;
};

/* Rows of a plane of results, and those of x that they meet, as far as there are such. */
struct kiln_depthwise_band {
    const float *x;
    size_t x_first, x_count, first, count;
};

/** Whether filters, strides and padding of one channel are such. */
bool kiln_depthwise_fits(const struct kiln_params_conv *p);

/** Floats of a worker's scratch. */
size_t kiln_depthwise_scratch(const struct kiln_params_conv *p);

/** For planes of x that lie from x to x_end. It lends p and the scratch. */
struct kiln_depthwise kiln_depthwise_of(const struct kiln_params_conv *p, const float *x, const float *x_end,
                                        float *scratch);

/** The band's results by the filter w to y; nothing is written beyond them. */
void kiln_depthwise_sum(const struct kiln_depthwise *t, float *y, const float *w,
                        const struct kiln_depthwise_band *b);

#endif
