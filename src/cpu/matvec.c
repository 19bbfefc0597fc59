/*
 * matvec.c - matmul of a few rows of a, where b is read once and its packing would cost more than the products.
 *
 * A unit of work is a block of columns of all rows. Where b's columns lie as rows in memory, as weights [out, in] do, they are
 * multiplied by a's in tiles of dots, or, by a single row, a few at a time; where they lie side by side, some rows of b at a time are
 * added up in the block, or all of them, if sums are short, in tiles. All read memory in a few long runs.
 */
#include <string.h>

#include "base/number.h"
#include "cpu/epilogue_fast.h"
#include "cpu/panels.h"
#include "cpu/simd.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/matmul.h"

#define ROWS   8    /* of a, at most: beyond, packing pays, */
#define SOME   16   /* or with short sums beyond so many */
#define BLOCK  256  /* columns of a unit, */
#define WIDE   1024 /* of one of short sums, */
#define DOTS   64   /* or where they lie as rows */
#define GROUP  8    /* rows of b that are added up side by side */
#define ACROSS 4    /* columns of one row's dots */
#define SHORT  64   /* terms of a sum */

static const struct kiln_params_matmul *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul *)d->block.words;
}

/* Whether sums are short enough for tiles, which take b as it lies. */
static bool is_short(const struct kiln_params_matmul *p)
{
    return p->b_n == 1 && p->k <= SHORT && p->b_k <= INT32_MAX / SHORT;
}

static size_t columns_of(const struct kiln_params_matmul *p)
{
    return p->b_k == 1 ? DOTS : is_short(p) ? WIDE : BLOCK;
}

/* Columns that lie as rows ------------------------------------------------------------------------------- */

/* The last terms, fewer than a tile of dots takes. */
static float rest_of(const float *a, const float *b, size_t from, size_t k)
{
    float sum = 0;
    for (; from < k; from++)
        sum += a[from] * b[from];
    return sum;
}

/* Up to DOTS_A rows by DOTS_B columns; what is missing of a tile is done twice and thrown away. */
static void multiply_dots(const struct kiln_params_matmul *p, kiln_tile_dots *dots, const float *a,
                          size_t rows, const float *b, size_t columns, float *c)
{
    const float *a_row[KILN_DOTS_A], *b_row[KILN_DOTS_B];
    float sum[KILN_DOTS_A * KILN_DOTS_B];
    const size_t whole = p->k / KILN_DOTS_DEPTH * KILN_DOTS_DEPTH;
    for (size_t i = 0; i < KILN_DOTS_A; i++)
        a_row[i] = a + (i < rows ? i : 0) * p->a_m;
    for (size_t j = 0; j < KILN_DOTS_B; j++)
        b_row[j] = b + (j < columns ? j : 0) * p->b_n;
    dots(whole, 1, a_row, 0, b_row, 0, sum);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[i * p->c_m + j] = sum[i * KILN_DOTS_B + j] + rest_of(a_row[i], b_row[j], whole, p->k);
}

typedef float eight __attribute__((vector_size(32)));

/* Sixteen terms more of a column's two vectors of sums. By pointers, since the baseline has no way to pass such vectors. */
KILN_INLINE void add_terms(eight *s, eight *t, const eight *x, const eight *y, const float *row)
{
    eight u, v;
    memcpy(&u, row, sizeof u);
    memcpy(&v, row + 8, sizeof v);
    *s += *x * u;
    *t += *y * v;
}

KILN_INLINE float sum_of(const eight *s, const eight *t)
{
    const eight both = *s + *t;
    float sum = 0;
    for (int l = 0; l < 8; l++)
        sum += both[l];
    return sum;
}

/*
 * Of one row: ACROSS columns, each of which keeps two vectors of sums; what is missing of the last few is done twice. Each asks for a
 * line of the next ones with each line of its own: columns are pages apart, to which no prefetcher follows.
 */
KILN_INLINE void by_one_body(const struct kiln_params_matmul *p, const float *a, const float *b,
                             size_t columns, float *c)
{
    const size_t whole = p->k / 16 * 16;
    for (size_t j = 0; j < columns; j += ACROSS) {
        const size_t left = columns - j;
        const float *row[ACROSS] = {b + j * p->b_n, b + (j + (left > 1)) * p->b_n,
                                    b + (j + 2 * (left > 2)) * p->b_n, b + (j + 3 * (left > 3)) * p->b_n};
        eight s0 = {0}, s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
        for (size_t k = 0; k < whole; k += 16) {
            eight x, y;
            for (size_t u = 0; u < ACROSS; u++)
                __builtin_prefetch(row[u] + ACROSS * p->b_n + k);
            memcpy(&x, a + k, sizeof x);
            memcpy(&y, a + k + 8, sizeof y);
            add_terms(&s0, &t0, &x, &y, row[0] + k);
            add_terms(&s1, &t1, &x, &y, row[1] + k);
            add_terms(&s2, &t2, &x, &y, row[2] + k);
            add_terms(&s3, &t3, &x, &y, row[3] + k);
        }
        const float sum[ACROSS] = {sum_of(&s0, &t0), sum_of(&s1, &t1), sum_of(&s2, &t2), sum_of(&s3, &t3)};
        for (size_t u = 0; u < ACROSS && u < left; u++)
            c[j + u] = sum[u] + rest_of(a, row[u], whole, p->k);
    }
}

static void by_one(const struct kiln_params_matmul *p, const float *a, const float *b, size_t columns,
                   float *c);
KILN_CLONES(by_one,
            (const struct kiln_params_matmul *p, const float *a, const float *b, size_t columns, float *c),
            (p, a, b, columns, c))

static void by_dots(const struct kiln_params_matmul *p, const float *a, const float *b, size_t columns,
                    float *c)
{
    kiln_tile_dots *dots = kiln_tiles_get()->dots;
    for (size_t j = 0; j < columns; j += KILN_DOTS_B)
        for (size_t i = 0; i < p->m; i += KILN_DOTS_A)
            multiply_dots(p, dots, a + i * p->a_m, p->m - i < KILN_DOTS_A ? p->m - i : KILN_DOTS_A,
                          b + j * p->b_n, columns - j < KILN_DOTS_B ? columns - j : KILN_DOTS_B,
                          c + i * p->c_m + j);
}

/* Columns side by side ----------------------------------------------------------------------------------- */

/* c += GROUP rows of b, each by a number. */
KILN_INLINE void add_group(float *restrict c, const float *restrict number, const float *restrict b,
                           size_t step, size_t columns)
{
    for (size_t j = 0; j < columns; j++) {
        float sum = c[j];
        for (size_t u = 0; u < GROUP; u++)
            sum += number[u] * b[u * step + j];
        c[j] = sum;
    }
}

KILN_INLINE void by_rows_body(const struct kiln_params_matmul *p, const float *a, const float *b,
                              size_t columns, float *c)
{
    size_t k = 0;
    for (size_t i = 0; i < p->m; i++)
        memset(c + i * p->c_m, 0, columns * sizeof *c);
    for (; k + GROUP <= p->k; k += GROUP)
        for (size_t i = 0; i < p->m; i++) {
            float number[GROUP];
            for (size_t u = 0; u < GROUP; u++)
                number[u] = a[i * p->a_m + (k + u) * p->a_k];
            add_group(c + i * p->c_m, number, b + k * p->b_k, p->b_k, columns);
        }
    for (; k < p->k; k++)
        for (size_t i = 0; i < p->m; i++)
            for (size_t j = 0; j < columns; j++)
                c[i * p->c_m + j] += a[i * p->a_m + k * p->a_k] * b[k * p->b_k + j];
}

static void by_rows(const struct kiln_params_matmul *p, const float *a, const float *b, size_t columns,
                    float *c);
KILN_CLONES(by_rows,
            (const struct kiln_params_matmul *p, const float *a, const float *b, size_t columns, float *c),
            (p, a, b, columns, c))

/*
 * Short sums of some rows: a tile's registers hold them, so that b goes by once, as it lies, whatever lines of its rows share a set of a
 * cache; a is packed again for each block.
 */
static void by_tiles(const struct kiln_params_matmul *p, const float *a, const float *b, size_t columns,
                     float *c)
{
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const size_t wide = (size_t)tiles->columns, whole = columns / wide * wide,
                 high = kiln_even(p->m, (size_t)tiles->rows, 1);
    const struct kiln_tile_finish nothing = {0};
    float panels[SOME * SHORT];
    int32_t terms[SHORT];
    kiln_panels_pack(panels, high, true, a, p->a_m, p->a_k, p->m, p->k);
    for (size_t k = 0; k < p->k; k++)
        terms[k] = (int32_t)(k * p->b_k);
    for (size_t j = 0; j < whole; j += wide)
        for (size_t i = 0; i < p->m; i += high) {
            const size_t rows = p->m - i < high ? p->m - i : high;
            tiles->finished[rows](p->k, panels + i * p->k, rows, b + j, terms, c + i * p->c_m + j, p->c_m,
                                  &nothing, 0, 0);
        }
    if (whole < columns)
        by_rows(p, a, b + whole, columns - whole, c + whole);
}

/* How the product of these sizes is made. */
static void (*way_of(const struct kiln_params_matmul *p))(const struct kiln_params_matmul *, const float *,
                                                          const float *, size_t, float *)
{
    if (p->b_k == 1 && p->a_k == 1)
        return p->m > 1 ? by_dots : by_one;
    return p->m > 1 && is_short(p) ? by_tiles : by_rows;
}

/* The variant -------------------------------------------------------------------------------------------- */

static bool few_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    (void)caps;
    return p->m <= (is_short(p) ? SOME : ROWS) && (p->b_n == 1 || (p->b_k == 1 && p->a_k == 1));
}

static uint64_t few_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    (void)caps;
    return (uint64_t)p->batch * kiln_parts(p->n, columns_of(p));
}

static void few_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct kiln_params_matmul *p = block_of(d);
    const size_t wide = columns_of(p), across = kiln_parts(p->n, wide);
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, p->immediate, m->at + 3, false);
    (void)worker;

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t column = unit % across * wide, batch = unit / across;
        const size_t columns = p->n - column < wide ? p->n - column : wide;
        const float *a = (const float *)m->at[0] + p->a_first + KILN_MATRIX_AT(*p, a, batch);
        const float *b =
            (const float *)m->at[1] + p->b_first + KILN_MATRIX_AT(*p, b, batch) + column * p->b_n;
        const size_t at = p->c_first + batch * p->c_batch + column;
        float *c = (float *)m->at[2] + at;
        way_of(p)(p, a, b, columns, c);
        for (size_t i = 0; i < p->m; i++)
            kiln_row_epilogue_run(&epilogue, c + i * p->c_m, at + i * p->c_m, i, column, columns);
    }
}

const kiln_variant kiln_cpu_matmul_few = {
    .name = "few",
    .accepts = few_accepts,
    .groups = few_units,
    .run = few_run,
};
