/*
 * conv.c - the meaning of convolution, its transpose, and its gradient by the filters. Units: volumes of the result; filters
 * of all splits.
 *
 * Indices: n image, g group, o filter and c channel of the group, (t, u, v) place in the filter, (a, i, j) place in y.
 */
#include "conv/conv.h"

#include "cpu/epilogue.h"
#include "cpu/reference.h"

/* One axis: sizes of x, y and the filter, and how they lie to one another. */
struct axis {
    ptrdiff_t x, y, taps, stride, pad, dilation;
};

struct axes {
    struct axis a, i, j;
};

static struct axes axes_of(const struct kiln_params_conv *p)
{
    return (struct axes){
        .a = {p->d, p->od, p->t, p->stride_a, p->pad_a, p->dilation_a},
        .i = {p->h, p->oh, p->u, p->stride_i, p->pad_i, p->dilation_i},
        .j = {p->w, p->ow, p->v, p->stride_j, p->pad_j, p->dilation_j},
    };
}

static size_t x_volume(const struct kiln_params_conv *p)
{
    return (size_t)p->d * p->h * p->w;
}

static size_t y_volume(const struct kiln_params_conv *p)
{
    return (size_t)p->od * p->oh * p->ow;
}

static size_t taps_of(const struct kiln_params_conv *p)
{
    return (size_t)p->t * p->u * p->v;
}

/* Where in x place `tap` of the filter meets result q; -1 outside. */
static ptrdiff_t forward(const struct axis *x, ptrdiff_t q, ptrdiff_t tap)
{
    const ptrdiff_t at = q * x->stride - x->pad + tap * x->dilation;
    return at >= 0 && at < x->x ? at : -1;
}

/* The result at which place `tap` of the filter meets element `at` of x; -1 where there is none. */
static ptrdiff_t backward(const struct axis *x, ptrdiff_t at, ptrdiff_t tap)
{
    const ptrdiff_t reach = at + x->pad - tap * x->dilation;
    return reach >= 0 && reach % x->stride == 0 && reach / x->stride < x->y ? reach / x->stride : -1;
}

/* The sources of one result: what is read of the first begins at `from`, its filter at w; those of the next, a step on. */
struct sources {
    const real *from, *w;
    size_t count, from_step, w_step;
};

static double add_up(const struct sources *s, size_t from, size_t tap)
{
    double sum = 0;
    for (size_t k = 0; k < s->count; k++)
        sum += (double)s->from[k * s->from_step + from] * (double)s->w[k * s->w_step + tap];
    return sum;
}

/* The sum over the places of a filter that meet something of the sources; at: which element is made. */
static double meet(const struct axes *x, bool transposed, const struct sources *s, const ptrdiff_t at[3])
{
    ptrdiff_t (*const place)(const struct axis *, ptrdiff_t, ptrdiff_t) = transposed ? backward : forward;
    const ptrdiff_t rows = transposed ? x->i.y : x->i.x, columns = transposed ? x->j.y : x->j.x;
    double sum = 0;
    for (ptrdiff_t t = 0; t < x->a.taps; t++) {
        const ptrdiff_t a = place(&x->a, at[0], t);
        for (ptrdiff_t u = 0; u < x->i.taps && a >= 0; u++) {
            const ptrdiff_t i = place(&x->i, at[1], u);
            for (ptrdiff_t v = 0; v < x->j.taps && i >= 0; v++) {
                const ptrdiff_t j = place(&x->j, at[2], v);
                if (j >= 0)
                    sum += add_up(s, (size_t)((a * rows + i) * columns + j),
                                  (size_t)((t * x->i.taps + u) * x->j.taps + v));
            }
        }
    }
    return sum;
}

/* A part of the sources of a channel's group, in one image. */
static struct sources sources_of(const struct kiln_params_conv *p, bool transposed, const kiln_memory *m,
                                 size_t split, size_t n, size_t channel)
{
    const size_t rows = transposed ? p->channels : p->filters;
    const size_t sources = transposed ? p->filters : p->channels;
    const size_t group = channel / rows, count = sources / p->pieces, first = split * count;
    const size_t o = transposed ? group * sources + first : channel, c = transposed ? channel % rows : first;
    struct sources s = {
        .count = count,
        .from_step = transposed ? y_volume(p) : x_volume(p),
        .w_step = transposed ? p->w_filter : taps_of(p),
    };
    s.from = (const real *)m->at[0] +
             (transposed ? p->y_first + n * p->y_image : p->x_first + n * p->x_image) +
             (group * sources + first) * s.from_step;
    s.w = (const real *)m->at[1] + p->w_first + o * p->w_filter + c * taps_of(p);
    return s;
}

void KILN_REFERENCE(conv)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    const struct kiln_params_conv *p = block;
    const struct axes x = axes_of(p);
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 3);
    const bool transposed = constants[KILN_CONV_MODE] & KILN_CONV_TRANSPOSED;
    const size_t channels = (size_t)p->groups * (transposed ? p->channels : p->filters);
    const size_t rows = transposed ? p->h : p->oh, columns = transposed ? p->w : p->ow;
    const size_t volume = transposed ? x_volume(p) : y_volume(p);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t split = unit / channels / p->images, n = unit / channels % p->images,
                     channel = unit % channels;
        const size_t start = split * p->part +
                             (transposed ? p->x_first + n * p->x_image : p->y_first + n * p->y_image) +
                             channel * volume;
        const struct sources s = sources_of(p, transposed, m, split, n, channel);
        for (size_t k = 0; k < volume; k++) {
            const ptrdiff_t at[3] = {(ptrdiff_t)(k / columns / rows), (ptrdiff_t)(k / columns % rows),
                                     (ptrdiff_t)(k % columns)};
            const double sum = meet(&x, transposed, &s, at);
            ((real *)m->at[2])[start + k] =
                epilogue_apply(&e, (real)sum, start + k, 0, p->column_first + channel);
        }
    }
}

/* The sum over positions [begin, end) for one place of one channel of a filter, in one image: y and x begin at their volumes. */
static double correlate(const struct axes *x, size_t begin, size_t end, const real *y, const real *from,
                        const ptrdiff_t tap[3])
{
    const size_t columns = (size_t)x->j.y;
    double sum = 0;
    for (size_t first = begin, behind; first < end; first = behind) { /* what is left of a row */
        const ptrdiff_t row = (ptrdiff_t)(first / columns);
        const ptrdiff_t d = forward(&x->a, row / x->i.y, tap[0]), h = forward(&x->i, row % x->i.y, tap[1]);
        behind = ((size_t)row + 1) * columns < end ? ((size_t)row + 1) * columns : end;
        for (size_t at = first; at < behind && d >= 0 && h >= 0; at++) {
            const ptrdiff_t w = forward(&x->j, (ptrdiff_t)(at - (size_t)row * columns), tap[2]);
            if (w >= 0)
                sum += (double)y[at] * (double)from[(d * x->i.x + h) * x->j.x + w];
        }
    }
    return sum;
}

void KILN_REFERENCE(conv_grad_filter)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                      size_t first, size_t count)
{
    const struct kiln_params_conv *p = block;
    const struct axes x = axes_of(p);
    const size_t all = (size_t)p->groups * p->filters, taps = taps_of(p);
    (void)constants;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t split = unit / all, filter = unit % all, channel = filter / p->filters * p->channels;
        const size_t begin = split / p->pieces * p->per_split;
        const size_t end = begin + p->per_split < p->images ? begin + p->per_split : p->images;
        const size_t piece = y_volume(p) / p->pieces, from = split % p->pieces * piece;
        real *w = (real *)m->at[2] + p->w_first + split * p->part + filter * p->w_filter;
        for (size_t k = 0; k < p->channels * taps; k++) {
            const ptrdiff_t tap[3] = {(ptrdiff_t)(k % taps / p->v / p->u),
                                      (ptrdiff_t)(k % taps / p->v % p->u), (ptrdiff_t)(k % p->v)};
            double sum = 0;
            for (size_t n = begin; n < end; n++)
                sum += correlate(&x, from, from + piece,
                                 (const real *)m->at[0] + p->y_first + n * p->y_image + filter * y_volume(p),
                                 (const real *)m->at[1] + p->x_first + n * p->x_image +
                                     (channel + k / taps) * x_volume(p),
                                 tap);
            w[k] = (real)sum;
        }
    }
}
