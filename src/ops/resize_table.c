/*
 * resize_table.c - the weights by which the elements of an axis are made of those of another: every mode of resizing ends here.
 *
 * Weights are computed in double precision, on the host, from the sizes: so all devices have the same, and modes cost the
 * kernels nothing. Places that are whole or half numbers but for rounding are made so, for what rounds them.
 */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/number.h"
#include "ops/resize.h"

/* Bands -------------------------------------------------------------------------------------------------- */

static kiln_status create(struct kiln_bands *out, int64_t rows, int64_t taps)
{
    size_t weights = 0;
    const bool fits = kiln_size_mul((size_t)rows, (size_t)taps, &weights);
    *out = (struct kiln_bands){.rows = rows, .taps = taps};
    out->first = calloc((size_t)rows + 1, sizeof *out->first);
    out->count = calloc((size_t)rows + 1, sizeof *out->count);
    out->weight = fits ? calloc(weights + 1, sizeof *out->weight) : NULL;
    if (out->first && out->count && out->weight)
        return KILN_OK;
    kiln_bands_free(out);
    return kiln_fail(KILN_ERROR_MEMORY, "no memory for %lld x %lld weights", (long long)rows,
                     (long long)taps);
}

void kiln_bands_free(struct kiln_bands *b)
{
    free(b->first);
    free(b->count);
    free(b->weight);
    *b = (struct kiln_bands){0};
}

kiln_status kiln_bands_identity(struct kiln_bands *out, int64_t rows)
{
    const kiln_status status = create(out, rows, 1);
    for (int64_t q = 0; q < rows && !status; q++) {
        out->first[q] = q;
        out->count[q] = 1;
        out->weight[q] = 1;
    }
    return status;
}

kiln_status kiln_bands_transpose(struct kiln_bands *out, const struct kiln_bands *b, int64_t n)
{
    kiln_status status = create(out, n, 0);
    for (int64_t q = 0; q < b->rows && !status; q++)
        for (int64_t k = 0; k < b->count[q]; k++) {
            const int64_t i = b->first[q] + k, first = out->count[i] ? out->first[i] : q;
            const int64_t last = out->count[i] ? first + out->count[i] - 1 : q;
            out->first[i] = q < first ? q : first;
            out->count[i] = (q > last ? q : last) - out->first[i] + 1;
        }
    int64_t taps = 1;
    for (int64_t i = 0; i < n && !status; i++)
        taps = out->count[i] > taps ? out->count[i] : taps;
    struct kiln_bands t;
    if (status || (status = create(&t, n, taps))) {
        kiln_bands_free(out);
        return status;
    }
    for (int64_t i = 0; i < n; i++) {
        t.first[i] = out->first[i];
        t.count[i] = out->count[i];
    }
    for (int64_t q = 0; q < b->rows; q++)
        for (int64_t k = 0; k < b->count[q]; k++) {
            const int64_t i = b->first[q] + k;
            t.weight[i * taps + q - t.first[i]] = b->weight[q * b->taps + k];
        }
    kiln_bands_free(out);
    *out = t;
    return KILN_OK;
}

bool kiln_bands_copy(const struct kiln_bands *b)
{
    bool copy = true;
    for (int64_t q = 0; q < b->rows && copy; q++)
        copy = b->count[q] == 0 || (b->count[q] == 1 && b->weight[q * b->taps] == 1);
    return copy;
}

bool kiln_bands_keep(const struct kiln_bands *b, int64_t n)
{
    bool keep = b->rows == n && kiln_bands_copy(b);
    for (int64_t q = 0; q < n && keep; q++)
        keep = b->count[q] == 1 && b->first[q] == q;
    return keep;
}

/* Patterns ----------------------------------------------------------------------------------------------- */

/* Whether row q + period is as row q, `advance` elements further. */
static bool repeats(const struct kiln_bands *b, int64_t q, int64_t period, int64_t advance)
{
    bool same =
        b->count[q] && b->count[q + period] == b->count[q] && b->first[q + period] == b->first[q] + advance;
    for (int64_t k = 0; k < b->count[q] && same; k++)
        same = b->weight[(q + period) * b->taps + k] == b->weight[q * b->taps + k];
    return same;
}

/* The rows around the middle that repeat, whole periods of them. */
static bool find(const struct kiln_bands *b, int64_t period, int64_t advance, uint32_t *begin, uint32_t *end)
{
    int64_t low = b->rows / 2, high = low;
    while (high + period < b->rows && repeats(b, high, period, advance))
        high++;
    while (low > 0 && low + period - 1 < b->rows && repeats(b, low - 1, period, advance))
        low--;
    if (high - low < 4 * period)
        return false;
    *begin = (uint32_t)low;
    *end = (uint32_t)(low + (high + period - low) / period * period);
    return true;
}

uint32_t kiln_bands_pattern(const struct kiln_bands *b, uint32_t *begin, uint32_t *end)
{
    *begin = *end = 0;
    return find(b, 2, 1, begin, end)   ? KILN_RESIZE_DOUBLING
           : find(b, 1, 2, begin, end) ? KILN_RESIZE_HALVING
                                       : KILN_RESIZE_ANY;
}

/* An axis ------------------------------------------------------------------------------------------------ */

/* n elements become m; s n, as the scale has it, `scaled`. */
struct axis {
    const struct kiln_resize *p;
    const double *crop;
    int64_t n, m;
    double up, down, scaled; /* the scale is up / down */
    double width;            /* 1 / w of resize.h */
    int reach;               /* of k */
};

static struct axis axis_of(const struct kiln_resize *p, int axis, int64_t n, int64_t m)
{
    struct axis a = {.p = p,
                     .crop = p->crop[axis],
                     .n = n,
                     .m = m,
                     .up = (double)(p->up[axis] ? p->up[axis] : m),
                     .down = (double)(p->up[axis] ? p->down[axis] : n)};
    a.scaled = (double)n * a.up / a.down;
    a.width = p->antialias && a.up < a.down ? a.down / a.up : 1;
    a.reach = p->mode == KILN_RESIZE_CUBIC ? 2 : 1;
    return a;
}

/* Whole and half numbers as such: they are what rounding and the ends of x depend on. */
static double settled(double u)
{
    const double near = round(2 * u) / 2;
    return fabs(u - near) < 1e-9 ? near : u;
}

/* The place of y's element q. */
static double place_of(const struct axis *a, int64_t q)
{
    const double half = ((double)q + 0.5) * a->down / a->up - 0.5, last = (double)(a->n - 1);
    switch ((kiln_resize_places)a->p->places) {
    case KILN_RESIZE_HALF_PIXEL:
        return half;
    case KILN_RESIZE_HALF_PIXEL_SYMMETRIC:
        return half + (double)a->n / 2 * (1 - (double)a->m / a->scaled);
    case KILN_RESIZE_PYTORCH_HALF_PIXEL:
        return a->m > 1 ? half : 0;
    case KILN_RESIZE_TF_HALF_PIXEL:
        return half + 0.5;
    case KILN_RESIZE_ALIGN_CORNERS:
        return a->m > 1 ? (double)q * last / (a->scaled - 1) : 0;
    case KILN_RESIZE_ASYMMETRIC:
        return (double)q * a->down / a->up;
    case KILN_RESIZE_CROP:
        break;
    }
    const double from = a->crop[0] * last, span = (a->crop[1] - a->crop[0]) * last;
    return a->m > 1 ? from + (double)q * span / (a->scaled - 1) : from + span / 2;
}

static int64_t inside(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

static int64_t nearest(const struct axis *a, double u)
{
    switch ((kiln_resize_rounding)a->p->rounding) {
    case KILN_RESIZE_PREFER_FLOOR:
        return (int64_t)ceil(u - 0.5);
    case KILN_RESIZE_PREFER_CEIL:
        return (int64_t)floor(u + 0.5);
    case KILN_RESIZE_FLOOR:
        return (int64_t)floor(u);
    case KILN_RESIZE_CEIL:
        break;
    }
    return (int64_t)ceil(u);
}

/* k */
static double curve(const struct axis *a, double t)
{
    const double z = fabs(t), c = a->p->cubic;
    if (a->reach == 1)
        return z < 1 ? 1 - z : 0;
    return z < 1   ? ((c + 2) * z - (c + 3)) * z * z + 1
           : z < 2 ? ((c * z - 5 * c) * z + 8 * c) * z - 4 * c
                   : 0;
}

/* The elements that an element of y at u looks at, before they are brought inside: [base - taps / 2 + 1, base + taps / 2]. */
static int64_t taps_of(const struct axis *a)
{
    return a->p->mode == KILN_RESIZE_NEAREST ? 1 : 2 * (int64_t)ceil(a->reach * a->width);
}

/* Row q's weights from element *first on, into `room`; returns how many. */
static int64_t spread(const struct axis *a, double u, double *room, int64_t *first)
{
    const int64_t taps = taps_of(a), from = (int64_t)floor(u) - taps / 2 + 1;
    const bool drop = a->p->exclude_outside;
    const int64_t low = inside(from, a->n), high = inside(from + taps - 1, a->n);
    double sum = 0;
    for (int64_t i = low; i <= high; i++)
        room[i - low] = 0;
    for (int64_t i = from; i < from + taps; i++) {
        const double weight = curve(a, ((double)i - u) / a->width);
        if (drop && (i < 0 || i >= a->n))
            continue;
        room[inside(i, a->n) - low] += weight;
        sum += weight;
    }
    *first = low;
    for (int64_t i = low; i <= high && (drop || a->width > 1); i++)
        room[i - low] = sum != 0 ? room[i - low] / sum : i == low;
    return high - low + 1;
}

/* Row q of b, without what weighs nothing at its ends. */
static void fill(struct kiln_bands *b, const struct axis *a, int64_t q, double *room)
{
    const double u = settled(place_of(a, q));
    int64_t first, count = 1, skip = 0;
    if (a->p->places == KILN_RESIZE_CROP && (u < 0 || u > (double)(a->n - 1)))
        return;
    if (a->p->mode == KILN_RESIZE_NEAREST) {
        first = inside(nearest(a, u), a->n);
        room[0] = 1;
    } else {
        count = spread(a, u, room, &first);
    }
    while (count > 1 && room[count - 1] == 0)
        count--;
    while (skip < count - 1 && room[skip] == 0)
        skip++;
    b->first[q] = first + skip;
    b->count[q] = count - skip;
    for (int64_t k = 0; k < count - skip; k++)
        b->weight[q * b->taps + k] = room[skip + k];
}

kiln_status kiln_bands_create(struct kiln_bands *out, const struct kiln_resize *p, int axis, int64_t n,
                              int64_t m)
{
    const struct axis a = axis_of(p, axis, n, m);
    const int64_t taps = taps_of(&a) < n ? taps_of(&a) : n;
    double *room = calloc((size_t)taps + 1, sizeof *room);
    kiln_status status = room ? create(out, m, taps)
                              : kiln_fail(KILN_ERROR_MEMORY, "no memory for %lld weights", (long long)taps);
    for (int64_t q = 0; q < m && !status; q++)
        fill(out, &a, q, room);
    free(room);
    return status;
}
