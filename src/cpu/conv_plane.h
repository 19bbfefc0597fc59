/*
 * conv_plane.h - pictures laid out so that a convolution's operands are runs of consecutive floats.
 *
 * Around a picture stand its zeros, and of a stride s it falls apart into s x s phases: rows and columns
 * a, a + s, a + 2s ... Row i of the output then meets, through place u of the filter, row i + u d / s of
 * phase u d % s, and likewise for columns. With output rows counted at the pitch of the planes, position t
 * of the output meets float t + shift, whatever t.
 */
#ifndef KILN_CPU_CONV_PLANE_H
#define KILN_CPU_CONV_PLANE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu/simd.h"

/* One axis of the filter on the picture. */
struct axis {
    size_t taps, stride, dilation;
    ptrdiff_t pad;
    size_t size, out; /* of the picture, of the output */
};

/* How far place u of the filter lies into its phase. */
static inline size_t axis_shift(const struct axis *x, size_t u)
{
    return u * x->dilation / x->stride;
}

/* How many phases the filter meets: its places u, u + phases, ... meet the same one. */
static inline size_t axis_phases(const struct axis *x)
{
    size_t a = x->stride, b = x->dilation;
    while (b) {
        const size_t rest = a % b;
        a = b, b = rest;
    }
    const size_t period = x->stride / a;
    return period < x->taps ? period : x->taps;
}

/* The furthest of them. */
static inline size_t axis_reach(const struct axis *x)
{
    return axis_shift(x, x->taps - 1);
}

/* A plane's rows and columns in the picture: row r is first_row + r * row_step there, zeros outside of it. */
struct window {
    ptrdiff_t first_row, first_column, row_step, column_step;
    size_t rows, pitch;
};

/* The columns from `begin` to `end` of a window are those inside a picture of that width. */
static inline void window_columns(const struct window *w, size_t width, size_t *begin, size_t *end)
{
    size_t b = 0, e = w->pitch;
    while (b < e && w->first_column + (ptrdiff_t)b * w->column_step < 0)
        b++;
    while (e > b && w->first_column + (ptrdiff_t)(e - 1) * w->column_step >= (ptrdiff_t)width)
        e--;
    *begin = b, *end = e;
}

/* memcpy of a row, without a call for a short one; the last four overlap those before them. */
KILN_INLINE void copy_row(float *to, const float *from, size_t count)
{
    enum { SHORT = 64 };
    size_t i = 0;
    if (count > SHORT) {
        memcpy(to, from, count * sizeof *to);
        return;
    }
    for (; i + 4 <= count; i += 4)
        kiln_four_store(to + i, kiln_four_load(from + i));
    if (i < count && count >= 4)
        kiln_four_store(to + count - 4, kiln_four_load(from + count - 4));
    else
        for (; i < count; i++)
            to[i] = from[i];
}

/* `count` elements, every `step`th. */
KILN_INLINE void copy_columns(float *to, const float *from, size_t step, size_t count)
{
    size_t i = 0;
    if (step == 1) {
        copy_row(to, from, count);
        return;
    }
    for (; step == 2 && i + 4 < count; i += 4)
        kiln_four_store(to + i, kiln_four_even(from + 2 * i));
    for (; i < count; i++)
        to[i] = from[i * step];
}

/* memset of a few floats, mostly none, without a call. */
KILN_INLINE void clear_row(float *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = 0;
}

/* Copy the window of a picture of height x width to a plane. */
KILN_INLINE void plane_copy(float *to, const float *picture, size_t height, size_t width,
                            const struct window *w)
{
    size_t begin, end;
    window_columns(w, width, &begin, &end);
    for (size_t r = 0; r < w->rows; r++, to += w->pitch) {
        const ptrdiff_t row = w->first_row + (ptrdiff_t)r * w->row_step;
        if (row < 0 || row >= (ptrdiff_t)height) {
            memset(to, 0, w->pitch * sizeof *to);
            continue;
        }
        const ptrdiff_t first =
            row * (ptrdiff_t)width + w->first_column; /* of column 0, which may lie outside */
        clear_row(to, begin);
        if (begin < end)
            copy_columns(to + begin, picture + (first + (ptrdiff_t)begin * w->column_step),
                         (size_t)w->column_step, end - begin);
        clear_row(to + end, w->pitch - end);
    }
}

#endif
