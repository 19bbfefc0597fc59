/*
 * pool.c - the meaning of pool2d, whose units are elements of y, and of pool2d_grad, whose units are elements
 * of dx.
 */
#include <math.h>

#include "cpu/reference.h"
#include "pool/pool2d.h"

/* A window: its first tap's place in x. */
struct window {
    int64_t top, left;
};

static struct window window_of(const struct kiln_params_pool2d *p, int64_t i, int64_t j)
{
    return (struct window){i * p->stride_h - p->pad_h, j * p->stride_w - p->pad_w};
}

/* What a mean divides by: the window's taps inside of x, or of the padded x. */
static double taps(const struct kiln_params_pool2d *p, uint32_t mode, struct window w)
{
    const bool padded = mode == KILN_POOL_MEAN_PADDED;
    const int64_t low_h = padded ? -(int64_t)p->pad_h : 0, low_w = padded ? -(int64_t)p->pad_w : 0;
    const int64_t high_h = padded ? low_h + p->padded_h : p->height,
                  high_w = padded ? low_w + p->padded_w : p->width;
    double count = 0;
    for (uint32_t u = 0; u < p->size_h; u++)
        for (uint32_t v = 0; v < p->size_w; v++) {
            const int64_t i = w.top + u * p->dilation_h, j = w.left + v * p->dilation_w;
            count += i >= low_h && i < high_h && j >= low_w && j < high_w;
        }
    return count;
}

/* The sum of a window, and the place in x of the first of its largest values; -1 if it has none. */
static double sum_of(const struct kiln_params_pool2d *p, const real *x, struct window w, int64_t *largest)
{
    double sum = 0;
    *largest = -1;
    for (uint32_t u = 0; u < p->size_h; u++)
        for (uint32_t v = 0; v < p->size_w; v++) {
            const int64_t i = w.top + u * p->dilation_h, j = w.left + v * p->dilation_w;
            if (i < 0 || i >= p->height || j < 0 || j >= p->width)
                continue;
            const int64_t at = i * p->width + j;
            if (*largest < 0 || x[at] > x[*largest] || (isnan(x[at]) && !isnan(x[*largest])))
                *largest = at;
            sum += x[at];
        }
    return sum;
}

void KILN_REFERENCE(pool2d)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_pool2d *p = block;
    real *y = m->at[1];
    for (size_t e = first; e < first + count; e++) {
        const size_t row = e / p->out_width, plane = row / p->out_height;
        const real *x = (const real *)m->at[0] + plane * p->height * p->width;
        const struct window w = window_of(p, (int64_t)(row % p->out_height), (int64_t)(e % p->out_width));
        int64_t largest;
        const double sum = sum_of(p, x, w, &largest);
        if (constants[0] != KILN_POOL_MAX)
            y[e] = (real)(sum / taps(p, constants[0], w));
        else
            y[e] = largest < 0 ? -(real)INFINITY : x[largest];
    }
}

/* What the window (i, j), if there is one, hands to the element `at` of its plane. */
static double share_of(const struct kiln_params_pool2d *p, uint32_t mode, const real *x, const real *dy,
                       int64_t i, int64_t j, int64_t at)
{
    const struct window w = window_of(p, i, j);
    const double pull = dy[i * p->out_width + j];
    int64_t largest;
    if (mode != KILN_POOL_MAX)
        return pull / taps(p, mode, w);
    sum_of(p, x, w, &largest);
    return largest == at ? pull : 0;
}

void KILN_REFERENCE(pool2d_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    const struct kiln_params_pool2d *p = block;
    real *dx = m->at[2];
    for (size_t e = first; e < first + count; e++) {
        const size_t row = e / p->width, plane = row / p->height;
        const int64_t i = (int64_t)(row % p->height), j = (int64_t)(e % p->width);
        const real *x = (const real *)m->at[0] + plane * p->height * p->width;
        const real *dy = (const real *)m->at[1] + plane * p->out_height * p->out_width;
        double sum = 0;
        for (int64_t u = p->size_h; u-- > 0;)
            for (int64_t v = p->size_w; v-- > 0;) {
                const int64_t a = i + p->pad_h - u * p->dilation_h, b = j + p->pad_w - v * p->dilation_w;
                if (a < 0 || b < 0 || a % p->stride_h || b % p->stride_w ||
                    a / p->stride_h >= p->out_height || b / p->stride_w >= p->out_width)
                    continue;
                sum += share_of(p, constants[0], x, dy, a / p->stride_h, b / p->stride_w, i * p->width + j);
            }
        dx[e] = (real)sum;
    }
}
