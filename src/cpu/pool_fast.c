/*
 * pool_fast.c - pooling a plane, of up to three axes, at a time, tap by tap: one tap of all the windows of a
 * row is one loop over the row, which vectorizes; padding only shortens it. Windows of 2 x 2 side by side,
 * and of 3 x 3 at every second place, the usual ones, go through loops of their own.
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
#include "pool/pool.h"

enum {
    BLOCK = 128, /* windows of a row at a time */
    WIDE = 1024, /* columns of x that they meet, at most, where rows are taken in first */
};

typedef struct kiln_params_pool params;

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
    const int stride = (int)p->stride_j, last = (int)p->w - 1 - offset;
    const int begin = offset < 0 ? (-offset + stride - 1) / stride : 0;
    const int end = last < 0 ? 0 : last / stride + 1;
    return (struct range){begin > from ? begin : from, least(end, to)};
}

static int column_offset(const params *p, uint32_t v)
{
    return (int)(v * p->dilation_j) - (int)p->pad_j;
}

/* A row of windows: its slice and its place there. */
struct row {
    int a, i;
};

/* Taps of a window beside those along a row. */
static uint32_t tap_rows(const params *p)
{
    return p->size_a * p->size_i;
}

/* The row of x under a tap row of a row of windows; NULL where it is padding. */
static const float *row_under(const params *p, const float *x, struct row r, uint32_t tap)
{
    const int slice = r.a * (int)p->stride_a - (int)p->pad_a + (int)(tap / p->size_i * p->dilation_a);
    const int row = r.i * (int)p->stride_i - (int)p->pad_i + (int)(tap % p->size_i * p->dilation_i);
    if (slice < 0 || slice >= (int)p->d || row < 0 || row >= (int)p->h)
        return NULL;
    return x + ((size_t)slice * p->h + (size_t)row) * p->w;
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

static int row_taps(const params *p, uint32_t mode, struct row r)
{
    const bool padded = mode == KILN_POOL_MEAN_PADDED;
    const int low_a = padded ? -(int)p->pad_a : 0, low_i = padded ? -(int)p->pad_i : 0;
    return taps(r.a * (int)p->stride_a - (int)p->pad_a, p->size_a, p->dilation_a, low_a,
                (int)(padded ? p->end_a : p->d)) *
           taps(r.i * (int)p->stride_i - (int)p->pad_i, p->size_i, p->dilation_i, low_i,
                (int)(padded ? p->end_i : p->h));
}

static int column_taps(const params *p, uint32_t mode, int j)
{
    const bool padded = mode == KILN_POOL_MEAN_PADDED;
    return taps(j * (int)p->stride_j - (int)p->pad_j, p->size_j, p->dilation_j, padded ? -(int)p->pad_j : 0,
                (int)(padded ? p->end_j : p->w));
}

/* Divide windows [from, to) of a row by their taps. Those between the padding have all of theirs. A sum stays. */
static void divide_by_taps(const params *p, uint32_t mode, struct row r, int from, int to, float *y)
{
    if (mode == KILN_POOL_SUM)
        return;
    const struct range first = columns_inside(p, column_offset(p, 0), from, to);
    const struct range last = columns_inside(p, column_offset(p, p->size_j - 1), from, to);
    const float rows = (float)row_taps(p, mode, r), whole = rows * (float)p->size_j;
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
    if (p->stride_j == 1)
        take_tap(largest, 1, x, y, count);
    else if (p->stride_j == 2)
        take_tap(largest, 2, x, y, count);
    else
        take_tap(largest, (int)p->stride_j, x, y, count);
}

/* Largest values or sums of windows [from, to) of a row. */
KILN_INLINE void pool_row(const params *p, bool largest, const float *x, struct row r, int from, int to,
                          float *y)
{
    for (int j = from; j < to; j++)
        y[j - from] = largest ? -INFINITY : 0;
    for (uint32_t tap = 0; tap < tap_rows(p); tap++) {
        const float *row = row_under(p, x, r, tap);
        for (uint32_t v = 0; row && v < p->size_j; v++) {
            const int offset = column_offset(p, v);
            const struct range in = columns_inside(p, offset, from, to);
            if (in.begin < in.end)
                take_row(p, largest, row + in.begin * (int)p->stride_j + offset, y + in.begin - from,
                         in.end - in.begin);
        }
    }
}

/* to[j] = larger(a[j], b[j]). */
KILN_INLINE void take_two(float *restrict to, const float *restrict a, const float *restrict b, int count)
{
    for (int j = 0; j < count; j++)
        to[j] = larger(a[j], b[j]);
}

/* to[j] = larger(to[j], x[j]). */
KILN_INLINE void take_larger(float *restrict to, const float *restrict x, int count)
{
    for (int j = 0; j < count; j++)
        to[j] = larger(to[j], x[j]);
}

KILN_INLINE void fill_lowest(float *to, int count)
{
    for (int j = 0; j < count; j++)
        to[j] = -INFINITY;
}

/* What the rows under a row of windows hold at most in columns [begin, end). */
KILN_INLINE void take_rows_under(const params *p, const float *x, struct row r, int begin, int end, float *to)
{
    const int count = end - begin;
    const float *first = NULL;
    int rows = 0;
    for (uint32_t tap = 0; tap < tap_rows(p); tap++) {
        const float *row = row_under(p, x, r, tap);
        if (!row)
            continue;
        if (rows == 0)
            first = row + begin;
        else if (rows == 1)
            take_two(to, first, row + begin, count);
        else
            take_larger(to, row + begin, count);
        rows++;
    }
    if (rows == 0)
        fill_lowest(to, count);
    else if (rows == 1)
        memcpy(to, first, (size_t)count * sizeof *to);
}

/* The largest of three columns of x side by side, for every second one: four at a time, of which the last may overlap those before. */
KILN_INLINE void take_triples(const float *x, float *y, int count)
{
    int j = 0;
    for (; count >= 4 && j < count; j += 4) {
        const int at = least(j, count - 4);
        const float *from = x + 2 * at;
        kiln_four_store(y + at, four_larger(four_larger(kiln_four_even(from), kiln_four_odd(from)),
                                            kiln_four_even(from + 2)));
    }
    for (; j < count; j++)
        y[j] = larger(larger(x[2 * j], x[2 * j + 1]), x[2 * j + 2]);
}

/* The largest values of windows [from, to) of a row, where the rows under it are taken in before its columns. */
KILN_INLINE void pool_rows_first(const params *p, const float *x, struct row r, int from, int to, float *y)
{
    const int stride = (int)p->stride_j, first = from * stride + column_offset(p, 0),
              last = (to - 1) * stride + column_offset(p, p->size_j - 1);
    const int begin = first > 0 ? first : least(0, last + 1), inside = least(last + 1, (int)p->w),
              end = inside > begin ? inside : begin;
    float peak[WIDE + 8]; /* columns from first on; vectors look a little further */
    fill_lowest(peak, begin - first);
    take_rows_under(p, x, r, begin, end, peak + begin - first);
    fill_lowest(peak + end - first, last + 1 - end);
    if (stride == 2 && p->size_j == 3 && p->dilation_j == 1) {
        take_triples(peak, y, to - from);
        return;
    }
    for (int j = from; j < to; j++)
        y[j - from] = peak[(j - from) * stride];
    for (uint32_t v = 1; v < p->size_j; v++)
        take_row(p, true, peak + v * p->dilation_j, y, to - from);
}

/* Whether a block of windows meets few columns enough, and several rows. */
static bool suits_rows_first(const params *p)
{
    const uint64_t columns =
        (uint64_t)(BLOCK - 1) * p->stride_j + (uint64_t)(p->size_j - 1) * p->dilation_j + 1;
    return tap_rows(p) > 1 && columns <= WIDE;
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
    return mode == KILN_POOL_MAX && p->size_a == 1 && p->stride_a == 1 && p->od == p->d && p->size_i == 2 &&
           p->size_j == 2 && p->stride_i == 2 && p->stride_j == 2 && p->dilation_i == 1 &&
           p->dilation_j == 1 && !p->pad_a && !p->pad_i && !p->pad_j && 2 * p->oh <= p->h &&
           2 * p->ow <= p->w;
}

typedef float eight __attribute__((vector_size(32)));
typedef int32_t eight_mask __attribute__((vector_size(32)));

/* By pointers, since the baseline has no way to pass such vectors. */
KILN_INLINE void take_eight(eight *a, const eight *b)
{
    const eight_mask first = (*a >= *b) | (*a != *a);
    *a = (eight)((first & (eight_mask)*a) | (~first & (eight_mask)*b));
}

/* What three rows, w apart, hold at most in eight columns. */
KILN_INLINE void take_three(eight *peak, const float *x, size_t w)
{
    eight other;
    memcpy(peak, x, sizeof *peak);
    memcpy(&other, x + w, sizeof other);
    take_eight(peak, &other);
    memcpy(&other, x + 2 * w, sizeof other);
    take_eight(peak, &other);
}

/* Windows of 3 x 3 at every second place, inside of x, eight at a time, of which there are; the last may overlap those before. */
KILN_INLINE void pool_thirds(const float *x, size_t w, float *y, int count)
{
    for (int j = 0; j < count; j += 8) {
        const int at = least(j, count - 8);
        const float *from = x + 2 * at;
        eight low, high, next_low, next_high;
        take_three(&low, from, w);
        take_three(&high, from + 8, w);
        take_three(&next_low, from + 1, w);
        take_three(&next_high, from + 9, w);
        eight peak = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
        const eight odd = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15),
                    last = __builtin_shufflevector(next_low, next_high, 1, 3, 5, 7, 9, 11, 13, 15);
        take_eight(&peak, &odd);
        take_eight(&peak, &last);
        memcpy(y + at, &peak, sizeof peak);
    }
}

/* Whether the windows of a plane are such, in rows of eight at the least. */
static bool in_thirds(const params *p, uint32_t mode)
{
    return mode == KILN_POOL_MAX && p->d == 1 && p->od == 1 && p->size_a == 1 && !p->pad_a &&
           p->size_i == 3 && p->size_j == 3 && p->stride_i == 2 && p->stride_j == 2 && p->dilation_i == 1 &&
           p->dilation_j == 1 && !p->pad_i && !p->pad_j && 2 * p->oh + 1 <= p->h && 2 * p->ow + 1 <= p->w &&
           p->ow >= 8;
}

/* The upper of the rows of x under a row of pairs, or of thirds. */
static size_t upper_row(const params *p, struct row r)
{
    return ((size_t)r.a * p->h + (size_t)(2 * r.i)) * p->w;
}

KILN_INLINE void pool_plane_body(const params *p, uint32_t mode, const float *x, float *y)
{
    const int columns = (int)p->ow;
    const bool rows_first = suits_rows_first(p);
    for (struct row r = {0, 0}; r.a < (int)p->od; r.a++)
        for (r.i = 0; r.i < (int)p->oh; r.i++, y += columns) {
            const float *upper = x + upper_row(p, r);
            if (in_pairs(p, mode)) {
                pool_pairs(upper, upper + p->w, y, columns);
                continue;
            }
            if (in_thirds(p, mode)) {
                pool_thirds(upper, p->w, y, columns);
                continue;
            }
            if (mode != KILN_POOL_MAX) {
                pool_row(p, false, x, r, 0, columns, y);
                divide_by_taps(p, mode, r, 0, columns, y);
                continue;
            }
            for (int from = 0; from < columns && rows_first; from += BLOCK)
                pool_rows_first(p, x, r, from, least(from + BLOCK, columns), y + from);
            if (!rows_first)
                pool_row(p, true, x, r, 0, columns, y);
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
    const int stride = (int)p->stride_j;
    if (mode != KILN_POOL_MAX)
        give_tap(stride, dx, pull, count);
    else if (stride == 1)
        give_largest(1, x, dx, peak, pull, count);
    else if (stride == 2)
        give_largest(2, x, dx, peak, pull, count);
    else
        give_largest(stride, x, dx, peak, pull, count);
}

/* Hand the pull of windows [from, to) of a row to the elements of dx under them. */
KILN_INLINE void give_windows(const params *p, uint32_t mode, const float *x, const float *peak, float *pull,
                              struct row r, int from, int to, float *dx)
{
    for (uint32_t tap = 0; tap < tap_rows(p); tap++) {
        const float *row = row_under(p, x, r, tap);
        for (uint32_t v = 0; row && v < p->size_j; v++) {
            const int offset = column_offset(p, v);
            const struct range in = columns_inside(p, offset, from, to);
            const ptrdiff_t at = (row - x) + in.begin * (ptrdiff_t)p->stride_j + offset;
            if (in.begin < in.end)
                give_row(p, mode, x + at, dx + at, peak + in.begin - from, pull + in.begin - from,
                         in.end - in.begin);
        }
    }
}

KILN_INLINE void give_block(const params *p, uint32_t mode, const float *x, const float *dy, struct row r,
                            int from, int to, float *dx)
{
    float peak[BLOCK], pull[BLOCK];
    memcpy(pull, dy + from, (size_t)(to - from) * sizeof *pull);
    if (mode == KILN_POOL_MAX)
        pool_row(p, true, x, r, from, to, peak);
    else
        divide_by_taps(p, mode, r, from, to, pull);
    give_windows(p, mode, x, peak, pull, r, from, to, dx);
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
    const int columns = (int)p->ow;
    if (!in_pairs(p, mode) || 2 * p->oh < p->h || 2 * p->ow < p->w)
        memset(dx, 0, (size_t)p->d * p->h * p->w * sizeof *dx);
    for (struct row r = {0, 0}; r.a < (int)p->od; r.a++)
        for (r.i = 0; r.i < (int)p->oh; r.i++, dy += columns) {
            const size_t upper = upper_row(p, r), lower = upper + p->w;
            if (in_pairs(p, mode)) {
                give_pairs(x + upper, x + lower, dy, dx + upper, dx + lower, columns);
                continue;
            }
            for (int from = 0; from < columns; from += BLOCK)
                give_block(p, mode, x, dy, r, from, least(from + BLOCK, columns), dx);
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

static size_t x_volume(const params *p)
{
    return (size_t)p->d * p->h * p->w;
}

static size_t y_volume(const params *p)
{
    return (size_t)p->od * p->oh * p->ow;
}

/* Whole planes, windows that are all alike, no index. */
static bool accepts_volume(const kiln_dispatch *d, size_t volume)
{
    const uint32_t others = KILN_POOL_ADAPTIVE | KILN_POOL_INDEXED;
    return !(d->constants[1] & others) && block_of(d)->first == 0 && block_of(d)->results % volume == 0;
}

static bool accepts_forward(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return accepts_volume(d, y_volume(block_of(d)));
}

static bool accepts_backward(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return accepts_volume(d, x_volume(block_of(d)));
}

static uint64_t planes_forward(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->results / y_volume(block_of(d));
}

static uint64_t planes_backward(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->results / x_volume(block_of(d));
}

static void run_forward(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    for (size_t n = first; n < first + count; n++)
        pool_plane(p, d->constants[0], (const float *)m->at[0] + p->x_first + n * x_volume(p),
                   (float *)m->at[1] + p->y_first + n * y_volume(p));
}

/* A mean's x is not looked at, and not bound. */
static void run_backward(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    for (size_t n = first; n < first + count; n++) {
        float *dx = (float *)m->at[2] + p->dx_first + n * x_volume(p);
        const float *x = m->at[0] ? (const float *)m->at[0] + p->x_first + n * x_volume(p) : dx;
        give_plane(p, d->constants[0], x, (const float *)m->at[1] + p->y_first + n * y_volume(p), dx);
    }
}

const kiln_variant kiln_cpu_pool_planes = {
    .name = "planes", .accepts = accepts_forward, .groups = planes_forward, .run = run_forward, .grain = 8};
const kiln_variant kiln_cpu_pool_grad_planes = {.name = "planes",
                                                .accepts = accepts_backward,
                                                .groups = planes_backward,
                                                .run = run_backward,
                                                .grain = 8};
