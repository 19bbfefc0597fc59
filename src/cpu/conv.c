/*
 * conv.c - the meaning of 2-D convolution and of its gradients. Units: planes of y; planes of dx; filters
 * of all splits.
 *
 * Indices: n image, g group, o filter and c channel of the group, u v place in the filter, i j place in y.
 */
#include "conv/conv2d.h"

#include "cpu/epilogue.h"
#include "cpu/reference.h"

/* Index of x[n, g, c, i', j'] where (i', j') is what filter place (u, v) meets at (i, j); -1 in the
 * padding. */
static ptrdiff_t pixel(const struct kiln_params_conv2d *p, size_t n, size_t channel, size_t i, size_t j,
                       size_t u, size_t v)
{
    const ptrdiff_t row = (ptrdiff_t)(i * p->stride_i + u * p->dilation_i) - (ptrdiff_t)p->pad_i;
    const ptrdiff_t column = (ptrdiff_t)(j * p->stride_j + v * p->dilation_j) - (ptrdiff_t)p->pad_j;
    if (row < 0 || row >= (ptrdiff_t)p->h || column < 0 || column >= (ptrdiff_t)p->w)
        return -1;
    return (ptrdiff_t)(n * p->x_image + (channel * p->h + (size_t)row) * p->w + (size_t)column);
}

/* sum over c, u, v for one result */
static double meet(const struct kiln_params_conv2d *p, const real *x, const real *w, size_t n, size_t channel,
                   size_t i, size_t j)
{
    double sum = 0;
    for (size_t c = 0; c < p->channels; c++)
        for (size_t u = 0; u < p->u; u++)
            for (size_t v = 0; v < p->v; v++) {
                const ptrdiff_t at = pixel(p, n, channel + c, i, j, u, v);
                if (at >= 0)
                    sum += (double)x[at] * (double)w[(c * p->u + u) * p->v + v];
            }
    return sum;
}

void KILN_REFERENCE(conv2d)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_conv2d *p = block;
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 3);
    const size_t all = (size_t)p->groups * p->filters, taps = (size_t)p->channels * p->u * p->v;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / all, filter = unit % all, channel = filter / p->filters * p->channels;
        const real *w = (const real *)m->at[1] + filter * taps;
        for (size_t i = 0; i < p->oh; i++)
            for (size_t j = 0; j < p->ow; j++) {
                const size_t at = n * p->y_image + (filter * p->oh + i) * p->ow + j;
                const double sum = meet(p, m->at[0], w, n, channel, i, j);
                ((real *)m->at[2])[at] = epilogue_apply(&e, (real)sum, at, 0, filter);
            }
    }
}

/* The i at which filter place u meets picture row `row`: (row + pad - u * dilation) / stride; -1 where
 * there is none. */
static ptrdiff_t meeting(size_t row, uint32_t pad, size_t u, uint32_t dilation, uint32_t stride, uint32_t end)
{
    const ptrdiff_t reach = (ptrdiff_t)(row + pad) - (ptrdiff_t)(u * dilation);
    if (reach < 0 || reach % (ptrdiff_t)stride || reach / (ptrdiff_t)stride >= (ptrdiff_t)end)
        return -1;
    return reach / (ptrdiff_t)stride;
}

/* sum over o, u, v for one pixel; dy and w begin at the group's first filter */
static double gather(const struct kiln_params_conv2d *p, const real *dy, const real *w, size_t c, size_t row,
                     size_t column)
{
    double sum = 0;
    for (size_t o = 0; o < p->filters; o++)
        for (size_t u = 0; u < p->u; u++)
            for (size_t v = 0; v < p->v; v++) {
                const ptrdiff_t i = meeting(row, p->pad_i, u, p->dilation_i, p->stride_i, p->oh);
                const ptrdiff_t j = meeting(column, p->pad_j, v, p->dilation_j, p->stride_j, p->ow);
                if (i >= 0 && j >= 0)
                    sum += (double)dy[(o * p->oh + (size_t)i) * p->ow + (size_t)j] *
                           (double)w[((o * p->channels + c) * p->u + u) * p->v + v];
            }
    return sum;
}

void KILN_REFERENCE(conv2d_grad_input)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                       size_t first, size_t count)
{
    const struct kiln_params_conv2d *p = block;
    const size_t all = (size_t)p->groups * p->channels, taps = (size_t)p->channels * p->u * p->v;
    (void)constants;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / all, channel = unit % all, group = channel / p->channels;
        const size_t filter = group * p->filters;
        const real *dy = (const real *)m->at[0] + n * p->y_image + filter * p->oh * p->ow;
        const real *w = (const real *)m->at[1] + filter * taps;
        real *dx = (real *)m->at[2] + n * p->x_image + channel * p->h * p->w;
        for (size_t i = 0; i < p->h; i++)
            for (size_t j = 0; j < p->w; j++)
                dx[i * p->w + j] = (real)gather(p, dy, w, channel % p->channels, i, j);
    }
}

/* sum over a split's images and all positions for one place (u, v) of one channel of a filter */
static double correlate(const struct kiln_params_conv2d *p, const real *dy, const real *x, size_t split,
                        size_t filter, size_t channel, size_t u, size_t v)
{
    const size_t begin = split * p->per_split;
    const size_t end = begin + p->per_split < p->images ? begin + p->per_split : p->images;
    double sum = 0;
    for (size_t n = begin; n < end; n++)
        for (size_t i = 0; i < p->oh; i++)
            for (size_t j = 0; j < p->ow; j++) {
                const ptrdiff_t at = pixel(p, n, channel, i, j, u, v);
                if (at >= 0)
                    sum += (double)dy[n * p->y_image + (filter * p->oh + i) * p->ow + j] * (double)x[at];
            }
    return sum;
}

void KILN_REFERENCE(conv2d_grad_filter)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                        size_t first, size_t count)
{
    const struct kiln_params_conv2d *p = block;
    const size_t all = (size_t)p->groups * p->filters, taps = (size_t)p->channels * p->u * p->v;
    (void)constants;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t split = unit / all, filter = unit % all, group = filter / p->filters;
        real *dw = (real *)m->at[2] + split * p->part + filter * taps;
        for (size_t c = 0; c < p->channels; c++)
            for (size_t u = 0; u < p->u; u++)
                for (size_t v = 0; v < p->v; v++)
                    *dw++ =
                        (real)correlate(p, m->at[0], m->at[1], split, filter, group * p->channels + c, u, v);
    }
}
