/*
 * pool.c - the meaning of pool, whose units are elements of y, and of pool_grad, whose units are elements of dx.
 */
#include "pool/pool.h"
#include "pool/pool_last.h"

#include <math.h>

#include "cpu/reference.h"

/* One axis of x and y, and the windows along it. */
struct axis {
    int64_t x, y, taps, stride, pad, end, dilation;
};

struct axes {
    struct axis a, i, j;
    uint32_t mode, flags;
};

static struct axes axes_of(const struct kiln_params_pool *p, const uint32_t *constants)
{
    return (struct axes){
        .a = {p->d, p->od, p->size_a, p->stride_a, p->pad_a, p->end_a, p->dilation_a},
        .i = {p->h, p->oh, p->size_i, p->stride_i, p->pad_i, p->end_i, p->dilation_i},
        .j = {p->w, p->ow, p->size_j, p->stride_j, p->pad_j, p->end_j, p->dilation_j},
        .mode = constants[0],
        .flags = constants[1],
    };
}

/* Taps of window q. */
static int64_t taps_of(const struct axes *x, const struct axis *s, int64_t q)
{
    if (!(x->flags & KILN_POOL_ADAPTIVE))
        return s->taps;
    return ((q + 1) * s->x + s->y - 1) / s->y - q * s->x / s->y;
}

/* The element of x under a tap of window q; it may lie outside. */
static int64_t under(const struct axes *x, const struct axis *s, int64_t q, int64_t tap)
{
    if (x->flags & KILN_POOL_ADAPTIVE)
        return q * s->x / s->y + tap;
    return q * s->stride - s->pad + tap * s->dilation;
}

static bool is_inside(const struct axis *s, int64_t at)
{
    return at >= 0 && at < s->x;
}

/* Whether a mean counts a tap there. */
static bool is_counted(const struct axes *x, const struct axis *s, int64_t at)
{
    return x->mode == KILN_POOL_MEAN_PADDED ? at >= -s->pad && at < s->end : is_inside(s, at);
}

/* What a window (q, r, s) holds: its sum, what a mean divides by, and where the first of its largest stands in the plane, -1
 * for nowhere. */
struct window {
    double sum, counted;
    int64_t largest;
};

static void take(const struct axes *x, const real *plane, struct window *w, int64_t a, int64_t i, int64_t j)
{
    const int64_t at = (a * x->i.x + i) * x->j.x + j;
    w->counted += is_counted(x, &x->a, a) && is_counted(x, &x->i, i) && is_counted(x, &x->j, j);
    if (!plane || !is_inside(&x->a, a) || !is_inside(&x->i, i) || !is_inside(&x->j, j))
        return;
    w->sum += plane[at];
    if (w->largest < 0 || plane[at] > plane[w->largest] || (isnan(plane[at]) && !isnan(plane[w->largest])))
        w->largest = at;
}

static struct window window_of(const struct axes *x, const real *plane, int64_t q, int64_t r, int64_t s)
{
    struct window w = {.largest = -1};
    for (int64_t t = 0; t < taps_of(x, &x->a, q); t++)
        for (int64_t u = 0; u < taps_of(x, &x->i, r); u++)
            for (int64_t v = 0; v < taps_of(x, &x->j, s); v++)
                take(x, plane, &w, under(x, &x->a, q, t), under(x, &x->i, r, u), under(x, &x->j, s, v));
    return w;
}

/* A place in a plane as an index has it. */
static int32_t index_of(const struct axes *x, int64_t at)
{
    if (at < 0)
        return INT32_MIN;
    const int64_t j = at % x->j.x, i = at / x->j.x % x->i.x, a = at / x->j.x / x->i.x;
    return (int32_t)(x->flags & KILN_POOL_COLUMN_MAJOR ? (j * x->i.x + i) * x->a.x + a : at);
}

void KILN_REFERENCE(pool)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    const struct kiln_params_pool *p = block;
    const struct axes x = axes_of(p, constants);
    for (size_t unit = first; unit < first + count; unit++) {
        const uint32_t e = p->first + (uint32_t)unit, plane = e / p->ow / p->oh / p->od, to = p->y_first + e;
        const real *from =
            (const real *)m->at[0] + (ptrdiff_t)(int32_t)(p->x_first + plane * p->d * p->h * p->w);
        const struct window w = window_of(&x, from, e / p->ow / p->oh % p->od, e / p->ow % p->oh, e % p->ow);
        const double peak = w.largest < 0 ? -INFINITY : from[w.largest];
        if (!(x.flags & KILN_POOL_INDEX_ALONE))
            ((real *)m->at[1])[to] = (real)(x.mode == KILN_POOL_MAX   ? peak
                                            : x.mode == KILN_POOL_SUM ? w.sum
                                                                      : w.sum / w.counted);
        if (x.flags & KILN_POOL_INDEXED)
            ((int32_t *)m->at[2])[to] = index_of(&x, w.largest);
    }
}

/* Whether window q covers element r. */
static bool covers(const struct axes *x, const struct axis *s, int64_t q, int64_t r)
{
    for (int64_t tap = 0; tap < taps_of(x, s, q); tap++)
        if (under(x, s, q, tap) == r)
            return true;
    return false;
}

/* The windows that may cover element r: those that begin before it, and not a whole window before. */
static int64_t first_window(const struct axes *x, const struct axis *s, int64_t r)
{
    int64_t q = x->flags & KILN_POOL_ADAPTIVE ? r * s->y / s->x
                                              : (r + s->pad - (s->taps - 1) * s->dilation) / s->stride;
    return q < 0 ? 0 : q;
}

/* What one window, if it covers the element `at` of the plane, hands to it. */
static double share_of(const struct axes *x, const real *plane, const int32_t *index, double pull, int64_t q,
                       int64_t r, int64_t s, int64_t at)
{
    if (x->mode == KILN_POOL_SUM)
        return pull;
    if (x->mode == KILN_POOL_MAX && index)
        return *index == index_of(x, at) ? pull : 0;
    const struct window w = window_of(x, x->mode == KILN_POOL_MAX ? plane : NULL, q, r, s);
    if (x->mode != KILN_POOL_MAX)
        return pull / w.counted;
    return w.largest == at ? pull : 0;
}

/* All windows that cover the element (a, i, j) of a plane; dy and index are of window `windows`. */
static double gather(const struct kiln_params_pool *p, const struct axes *x, const kiln_memory *m,
                     const real *plane, uint32_t windows, int64_t a, int64_t i, int64_t j)
{
    const int64_t at = (a * p->h + i) * p->w + j;
    double sum = 0;
    for (int64_t q = first_window(x, &x->a, a); q < p->od && under(x, &x->a, q, 0) <= a; q++)
        for (int64_t r = first_window(x, &x->i, i); r < p->oh && under(x, &x->i, r, 0) <= i; r++)
            for (int64_t s = first_window(x, &x->j, j); s < p->ow && under(x, &x->j, s, 0) <= j; s++) {
                if (!covers(x, &x->a, q, a) || !covers(x, &x->i, r, i) || !covers(x, &x->j, s, j))
                    continue;
                const uint32_t from = windows + (uint32_t)((q * p->oh + r) * p->ow + s);
                const int32_t *index = x->flags & KILN_POOL_INDEXED ? (const int32_t *)m->at[3] + from : NULL;
                sum += share_of(x, plane, index, ((const real *)m->at[1])[from], q, r, s, at);
            }
    return sum;
}

void KILN_REFERENCE(pool_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct kiln_params_pool *p = block;
    const struct axes x = axes_of(p, constants);
    for (size_t unit = first; unit < first + count; unit++) {
        const uint32_t e = p->first + (uint32_t)unit, plane = e / p->w / p->h / p->d;
        const real *from =
            m->at[0] ? (const real *)m->at[0] + (ptrdiff_t)(int32_t)(p->x_first + plane * p->d * p->h * p->w)
                     : NULL;
        ((real *)m->at[2])[p->dx_first + e] =
            (real)gather(p, &x, m, from, p->y_first + plane * p->od * p->oh * p->ow, e / p->w / p->h % p->d,
                         e / p->w % p->h, e % p->w);
    }
}

/* The largest element of channel c in a window. */
static int32_t peak_of(const struct kiln_params_pool_last *p, const int32_t *x, int64_t i, int64_t j,
                       size_t c)
{
    int32_t peak = INT32_MIN;
    for (int64_t u = 0; u < p->size_i; u++)
        for (int64_t v = 0; v < p->size_j; v++) {
            const int64_t a = i * p->stride_i + u * p->dilation_i - p->pad_i,
                          b = j * p->stride_j + v * p->dilation_j - p->pad_j;
            if (a < 0 || a >= p->h || b < 0 || b >= p->w)
                continue;
            const int32_t value = x[(size_t)(a * p->w + b) * p->channels + c];
            peak = value > peak ? value : peak;
        }
    return peak;
}

/* Units are rows of y: n, i. */
void KILN_REFERENCE(pool_last)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_pool_last *p = block;
    for (size_t unit = first; unit < first + count; unit++) {
        const int32_t *x = (const int32_t *)m->at[0] + unit / p->oh * ((size_t)p->h * p->w * p->channels);
        for (size_t j = 0; j < p->ow; j++)
            for (size_t c = 0; c < p->channels; c++)
                ((int32_t *)m->at[1])[(unit * p->ow + j) * p->channels + c] =
                    peak_of(p, x, (int64_t)(unit % p->oh), (int64_t)j, c);
    }
}
