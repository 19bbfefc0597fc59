/*
 * pool_fast.c - pooling a plane at a time, tap by tap: one tap of all the windows of a row is one loop over
 * the row, which vectorizes; padding only shortens it. Windows of 2 x 2 side by side, the usual ones, go
 * through loops of their own.
 *
 *   forward    y[j] = larger(y[j], x[j * stride + tap]) for each tap, or the sum of them
 *   backward   dx[j * stride + tap] += pull[j] for each tap; for the largest only where it is the first that
 *              equals the window's largest value, which then takes the pull away
 *
 * A plane is one unit: its sums go in one order, whatever the number of threads.
 */
#include <math.h>
#include <string.h>

#include "cpu/simd.h"
#include "device/variants.h"
#include "pool/pool2d.h"

enum { BLOCK = 128 }; /* windows of a row at a time */

typedef struct kiln_params_pool2d params;

/* Columns [begin, end) of y whose tap at column offset `tap` of the window lies inside of x, within [from,
 * to). */
struct range {
    int begin, end;
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* i * stride + offset >= 0 from the quotient on, rounded up */
static struct range columns_inside(const params *p, int offset, int from, int to)
{
    const int stride = (int)p->stride_w, last = (int)p->width - 1 - offset;
    const int begin = offset < 0 ? (-offset + stride - 1) / stride : 0;
    const int end = last < 0 ? 0 : last / stride + 1;
    return (struct range){begin > from ? begin : from, least(end, to)};
}

static int column_offset(const params *p, uint32_t v)
{
    return (int)(v * p->dilation_w) - (int)p->pad_w;
}

/* The row of x under tap row u of the windows of row i; NULL where it is padding. */
static const float *row_under(const params *p, const float *x, int i, uint32_t u)
{
    const int row = i * (int)p->stride_h - (int)p->pad_h + (int)(u * p->dilation_h);
    return row < 0 || row >= (int)p->height ? NULL : x + (size_t)row * p->width;
}

/* The taps of one axis inside of x, or of the padded x, for the window that begins at `at`. */
static int taps(int at, uint32_t size, uint32_t dilation, int low, int high)
{
    int count = 0;
    for (uint32_t u = 0; u < size; u++) {
        const int i = at + (int)(u * dilation);
        count += i >= low && i < high;
    }
    return count;
}

static int row_taps(const params *p, uint32_t mode, int i)
{
    const int low = mode == KILN_POOL_MEAN_PADDED ? -(int)p->pad_h : 0;
    const int high = mode == KILN_POOL_MEAN_PADDED ? low + (int)p->padded_h : (int)p->height;
    return taps(i * (int)p->stride_h - (int)p->pad_h, p->size_h, p->dilation_h, low, high);
}

static int column_taps(const params *p, uint32_t mode, int j)
{
    const int low = mode == KILN_POOL_MEAN_PADDED ? -(int)p->pad_w : 0;
    const int high = mode == KILN_POOL_MEAN_PADDED ? low + (int)p->padded_w : (int)p->width;
    return taps(j * (int)p->stride_w - (int)p->pad_w, p->size_w, p->dilation_w, low, high);
}

/* Divide windows [from, to) of row i by their taps. Those between the padding have all of theirs. */
static void divide_by_taps(const params *p, uint32_t mode, int i, int from, int to, float *y)
{
    const struct range first = columns_inside(p, column_offset(p, 0), from, to);
    const struct range last = columns_inside(p, column_offset(p, p->size_w - 1), from, to);
    const float rows = (float)row_taps(p, mode, i), whole = rows * (float)p->size_w;
    const int inner = least(first.begin, to), outer = last.end > inner ? last.end : inner;
    for (int j = from; j < inner; j++)
        y[j - from] /= rows * (float)column_taps(p, mode, j);
    for (int j = inner; j < outer; j++)
        y[j - from] /= whole;
    for (int j = outer; j < to; j++)
        y[j - from] /= rows * (float)column_taps(p, mode, j);
}

KILN_INLINE float larger(float a, float b)
{
    return ((a >= b) | (a != a)) ? a : b;
}

KILN_INLINE kiln_four four_larger(kiln_four a, kiln_four b)
{
    return kiln_four_choose((a >= b) | (a != a), a, b);
}

KILN_INLINE kiln_four four_peaks(const float *a, const float *b)
{
    return four_larger(four_larger(kiln_four_even(a), kiln_four_odd(a)),
                       four_larger(kiln_four_even(b), kiln_four_odd(b)));
}

/* Forward ------------------------------------------------------------------------------------------------ */

/* y[j] takes in x[j * stride], for count windows. */
KILN_INLINE void take_tap(bool largest, int stride, const float *x, float *y, int count)
{
    int j = 0;
    for (; stride == 2 && j + 4 < count;
         j += 4) { /* < : eight elements of x are read, and one less need be there */
        const kiln_four value = kiln_four_even(x + 2 * j), before = kiln_four_load(y + j);
        kiln_four_store(y + j, largest ? four_larger(before, value) : before + value);
    }
    for (; j < count; j++)
        y[j] = largest ? larger(y[j], x[j * stride]) : y[j] + x[j * stride];
}

/* The loop for the usual strides, with the stride known to the compiler. */
KILN_INLINE void take_row(const params *p, bool largest, const float *x, float *y, int count)
{
    if (p->stride_w == 1)
        take_tap(largest, 1, x, y, count);
    else if (p->stride_w == 2)
        take_tap(largest, 2, x, y, count);
    else
        take_tap(largest, (int)p->stride_w, x, y, count);
}

/* Largest values or sums of windows [from, to) of row i. */
KILN_INLINE void pool_row(const params *p, bool largest, const float *x, int i, int from, int to, float *y)
{
    for (int j = from; j < to; j++)
        y[j - from] = largest ? -INFINITY : 0;
    for (uint32_t u = 0; u < p->size_h; u++) {
        const float *row = row_under(p, x, i, u);
        for (uint32_t v = 0; row && v < p->size_w; v++) {
            const int offset = column_offset(p, v);
            const struct range r = columns_inside(p, offset, from, to);
            if (r.begin < r.end)
                take_row(p, largest, row + r.begin * (int)p->stride_w + offset, y + r.begin - from,
                         r.end - r.begin);
        }
    }
}

/* Windows of 2 x 2 without padding, four at a time; the last four may overlap those before. */
KILN_INLINE void pool_pairs(const float *a, const float *b, float *y, int count)
{
    int j = 0;
    for (; count >= 4 && j < count; j += 4) {
        const int at = least(j, count - 4);
        kiln_four_store(y + at, four_peaks(a + 2 * at, b + 2 * at));
    }
    for (; j < count; j++)
        y[j] = larger(larger(a[2 * j], a[2 * j + 1]), larger(b[2 * j], b[2 * j + 1]));
}

static bool in_pairs(const params *p, uint32_t mode)
{
    return mode == KILN_POOL_MAX && p->size_h == 2 && p->size_w == 2 && p->stride_h == 2 &&
           p->stride_w == 2 && p->dilation_h == 1 && p->dilation_w == 1 && !p->pad_h && !p->pad_w &&
           2 * p->out_height <= p->height && 2 * p->out_width <= p->width;
}

KILN_INLINE void pool_plane_body(const params *p, uint32_t mode, const float *x, float *y)
{
    const int columns = (int)p->out_width;
    for (int i = 0; i < (int)p->out_height; i++, y += columns) {
        if (in_pairs(p, mode)) {
            pool_pairs(x + (size_t)(2 * i) * p->width, x + (size_t)(2 * i + 1) * p->width, y, columns);
            continue;
        }
        if (mode == KILN_POOL_MAX)
            pool_row(p, true, x, i, 0, columns, y);
        else
            pool_row(p, false, x, i, 0, columns, y);
        if (mode != KILN_POOL_MAX)
            divide_by_taps(p, mode, i, 0, columns, y);
    }
}

static void pool_plane(const params *p, uint32_t mode, const float *x, float *y);
KILN_CLONES(pool_plane, (const params *p, uint32_t mode, const float *x, float *y), (p, mode, x, y))

/* Backward ----------------------------------------------------------------------------------------------- */

/* dx[j * stride] += pull[j] */
KILN_INLINE void give_tap(int stride, float *dx, const float *pull, int count)
{
    for (int j = 0; j < count; j++)
        dx[j * stride] += pull[j];
}

/* As give_tap, to the windows whose largest value this tap holds, once. */
KILN_INLINE void give_largest(int stride, const float *x, float *dx, const float *peak, float *pull,
                              int count)
{
    int j = 0;
    const kiln_four none = {0};
    for (; stride == 2 && j + 4 < count; j += 4) { /* as in take_tap */
        const kiln_four value = kiln_four_even(x + 2 * j), left = kiln_four_load(pull + j);
        const kiln_four_mask hit = (value == kiln_four_load(peak + j)) | (value != value);
        const kiln_four sum = kiln_four_even(dx + 2 * j) + kiln_four_choose(hit, left, none);
        kiln_four_zip(dx + 2 * j, sum, kiln_four_odd(dx + 2 * j));
        kiln_four_store(pull + j, kiln_four_choose(hit, none, left));
    }
    for (; j < count; j++) {
        const float value = x[j * stride];
        const bool hit = (value == peak[j]) | (value != value);
        dx[j * stride] += hit ? pull[j] : 0;
        pull[j] = hit ? 0 : pull[j];
    }
}

KILN_INLINE void give_row(const params *p, uint32_t mode, const float *x, float *dx, const float *peak,
                          float *pull, int count)
{
    const int stride = (int)p->stride_w;
    if (mode != KILN_POOL_MAX)
        give_tap(stride, dx, pull, count);
    else if (stride == 1)
        give_largest(1, x, dx, peak, pull, count);
    else if (stride == 2)
        give_largest(2, x, dx, peak, pull, count);
    else
        give_largest(stride, x, dx, peak, pull, count);
}

/* Hand the pull of windows [from, to) of row i to the elements of dx under them. */
KILN_INLINE void give_windows(const params *p, uint32_t mode, const float *x, const float *peak, float *pull,
                              int i, int from, int to, float *dx)
{
    for (uint32_t u = 0; u < p->size_h; u++) {
        const float *row = row_under(p, x, i, u);
        for (uint32_t v = 0; row && v < p->size_w; v++) {
            const int offset = column_offset(p, v);
            const struct range r = columns_inside(p, offset, from, to);
            const ptrdiff_t at = (row - x) + r.begin * (ptrdiff_t)p->stride_w + offset;
            if (r.begin < r.end)
                give_row(p, mode, x + at, dx + at, peak + r.begin - from, pull + r.begin - from,
                         r.end - r.begin);
        }
    }
}

KILN_INLINE void give_block(const params *p, uint32_t mode, const float *x, const float *dy, int i, int from,
                            int to, float *dx)
{
    float peak[BLOCK], pull[BLOCK];
    memcpy(pull, dy + from, (size_t)(to - from) * sizeof *pull);
    if (mode == KILN_POOL_MAX)
        pool_row(p, true, x, i, from, to, peak);
    else
        divide_by_taps(p, mode, i, from, to, pull);
    give_windows(p, mode, x, peak, pull, i, from, to, dx);
}

/* The four windows under a and b, as in give_pair. */
KILN_INLINE void give_four(const float *a, const float *b, const float *dy, float *da, float *db)
{
    const kiln_four x0 = kiln_four_even(a), x1 = kiln_four_odd(a), x2 = kiln_four_even(b);
    const kiln_four peak = four_peaks(a, b), pull = kiln_four_load(dy), none = {0};
    const kiln_four_mask h0 = (x0 == peak) | (x0 != x0), h1 = (x1 == peak) | (x1 != x1),
                         h2 = (x2 == peak) | (x2 != x2);
    kiln_four_zip(da, kiln_four_choose(h0, pull, none), kiln_four_choose(h1 & ~h0, pull, none));
    kiln_four_zip(db, kiln_four_choose(h2 & ~(h0 | h1), pull, none),
                  kiln_four_choose(h0 | h1 | h2, none, pull));
}

/* One window of 2 x 2: the first of the largest takes all. */
KILN_INLINE void give_pair(const float *a, const float *b, float pull, float *da, float *db)
{
    const float peak = larger(larger(a[0], a[1]), larger(b[0], b[1]));
    const bool h0 = a[0] == peak || a[0] != a[0], h1 = a[1] == peak || a[1] != a[1],
               h2 = b[0] == peak || b[0] != b[0];
    da[0] = h0 ? pull : 0;
    da[1] = !h0 && h1 ? pull : 0;
    db[0] = !h0 && !h1 && h2 ? pull : 0;
    db[1] = !h0 && !h1 && !h2 ? pull : 0;
}

/* Windows of 2 x 2 without padding: each element of dx is written, and the same again where the last four
 * overlap. */
KILN_INLINE void give_pairs(const float *a, const float *b, const float *dy, float *da, float *db, int count)
{
    int j = 0;
    for (; count >= 4 && j < count; j += 4) {
        const int at = least(j, count - 4);
        give_four(a + 2 * at, b + 2 * at, dy + at, da + 2 * at, db + 2 * at);
    }
    for (; j < count; j++)
        give_pair(a + 2 * j, b + 2 * j, dy[j], da + 2 * j, db + 2 * j);
}

KILN_INLINE void give_plane_body(const params *p, uint32_t mode, const float *x, const float *dy, float *dx)
{
    const int columns = (int)p->out_width;
    if (!in_pairs(p, mode) || 2 * p->out_height < p->height || 2 * p->out_width < p->width)
        memset(dx, 0, (size_t)p->height * p->width * sizeof *dx);
    for (int i = 0; i < (int)p->out_height; i++, dy += columns) {
        const size_t upper = (size_t)(2 * i) * p->width, lower = upper + p->width;
        if (in_pairs(p, mode)) {
            give_pairs(x + upper, x + lower, dy, dx + upper, dx + lower, columns);
            continue;
        }
        for (int from = 0; from < columns; from += BLOCK)
            give_block(p, mode, x, dy, i, from, least(from + BLOCK, columns), dx);
    }
}

static void give_plane(const params *p, uint32_t mode, const float *x, const float *dy, float *dx);
KILN_CLONES(give_plane, (const params *p, uint32_t mode, const float *x, const float *dy, float *dx),
            (p, mode, x, dy, dx))

/* Variants ----------------------------------------------------------------------------------------------- */

static const params *block_of(const kiln_dispatch *d)
{
    return (const params *)d->block.words;
}

static uint64_t planes(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->planes;
}

static void run_forward(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    const size_t in = (size_t)p->height * p->width, out = (size_t)p->out_height * p->out_width;
    for (size_t n = first; n < first + count; n++)
        pool_plane(p, d->constants[0], (const float *)m->at[0] + n * in, (float *)m->at[1] + n * out);
}

/* A mean's x is not looked at, and bound to something smaller. */
static void run_backward(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    const size_t in = (size_t)p->height * p->width, out = (size_t)p->out_height * p->out_width;
    for (size_t n = first; n < first + count; n++)
        give_plane(p, d->constants[0],
                   (const float *)m->at[0] + (d->constants[0] == KILN_POOL_MAX ? n * in : 0),
                   (const float *)m->at[1] + n * out, (float *)m->at[2] + n * in);
}

const kiln_variant kiln_cpu_pool2d_planes = {
    .name = "planes", .groups = planes, .run = run_forward, .grain = 8};
const kiln_variant kiln_cpu_pool2d_grad_planes = {
    .name = "planes", .groups = planes, .run = run_backward, .grain = 8};
