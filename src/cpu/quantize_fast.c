/*
 * quantize_fast.c - products of packed bytes, fast.
 *
 *   c[m, n] = sum of a b - zb * sum of a - za * sum of b + depth * za * zb
 *
 * A unit of work is a tile of results. Its rows are widened to 16 bits, some 512 terms at a time, so that they stay in the first
 * cache; the products of two rows of 16 bits in 32 are one instruction for each pair of vectors (pmaddwd), which compilers find in
 * the plain loop. Integers add up alike in every order.
 */
#include <string.h>

#include "cpu/bytes.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "quantize/matmul_bytes.h"
#include "quantize/pack_bytes.h"

/* pack_bytes ---------------------------------------------------------------------------------------------- */

enum { PACK = 1024 }; /* words of a unit */

static const struct kiln_params_pack_bytes *pack_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_pack_bytes *)d->block.words;
}

static uint64_t pack_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (pack_of(d)->words + PACK - 1) / PACK;
}

static uint32_t packed(const uint32_t *x, size_t step, size_t count, uint32_t flip)
{
    uint32_t word = 0;
    for (size_t j = 0; j < count; j++)
        word |= ((x[j * step] ^ flip) & 0xff) << 8 * j;
    return word;
}

/* Whole quads of a row that lie side by side. */
KILN_INLINE void pack_dense_body(uint32_t *y, const uint32_t *x, size_t quads, uint32_t flip)
{
    const uint32_t flips = flip * 0x01010101u;
    for (size_t q = 0; q < quads; q++)
        y[q] = ((x[4 * q] & 0xff) | (x[4 * q + 1] & 0xff) << 8 | (x[4 * q + 2] & 0xff) << 16 |
                x[4 * q + 3] << 24) ^
               flips;
}

static void pack_dense(uint32_t *y, const uint32_t *x, size_t quads, uint32_t flip);
KILN_CLONES(pack_dense, (uint32_t * y, const uint32_t *x, size_t quads, uint32_t flip), (y, x, quads, flip))

static void pack_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_pack_bytes *p = pack_of(d);
    const bool last = d->constants[0];
    uint32_t *y = m->at[1];
    size_t e = first * PACK;
    const size_t end = (first + count) * PACK < p->words ? (first + count) * PACK : p->words;

    while (e < end) {
        const size_t batch = e / p->second / p->first, f = e / p->second % p->first, s = e % p->second;
        const uint32_t *x = (const uint32_t *)m->at[0] + batch * p->x_batch;
        const size_t left = p->second - s < end - e ? p->second - s : end - e;
        if (last && p->x_depth == 1) { /* a row of y, or what is left of it */
            const size_t whole = p->depth / 4 > s ? (p->depth / 4 - s < left ? p->depth / 4 - s : left) : 0;
            pack_dense(y + e, x + f * p->x_row + 4 * s, whole, p->flip);
            if (whole < left)
                y[e + whole] = packed(x + f * p->x_row + 4 * (s + whole), 1, p->depth % 4, p->flip);
        } else {
            for (size_t i = 0; i < left; i++) {
                const size_t row = last ? f : s + i, quad = last ? s + i : f;
                const size_t there = p->depth - 4 * quad < 4 ? p->depth - 4 * quad : 4;
                y[e + i] = packed(x + row * p->x_row + 4 * quad * p->x_depth, p->x_depth, there, p->flip);
            }
        }
        e += left;
    }
}

const kiln_variant kiln_cpu_pack_bytes_rows = {.name = "rows", .groups = pack_groups, .run = pack_run};

/* matmul_bytes -------------------------------------------------------------------------------------------- */

#define TERMS   KILN_BYTES_TERMS
#define ROWS    KILN_BYTES_ROWS
#define COLUMNS KILN_BYTES_COLUMNS

KILN_INLINE void widen(int16_t *to, const int8_t *from, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] = from[k];
    for (size_t k = count; k % 32; k++)
        to[k] = 0;
}

KILN_INLINE int32_t total(const int16_t *x, size_t count)
{
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k];
    return sum;
}

/* One row with four. */
KILN_INLINE void dots(int32_t *sum, const int16_t *a, const int16_t (*b)[TERMS], size_t count)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (size_t k = 0; k < count; k++) {
        s0 += a[k] * b[0][k];
        s1 += a[k] * b[1][k];
        s2 += a[k] * b[2][k];
        s3 += a[k] * b[3][k];
    }
    sum[0] += s0, sum[1] += s1, sum[2] += s2, sum[3] += s3;
}

KILN_INLINE void kiln_bytes_add_body(struct kiln_bytes_tile *t, const int8_t *a, const int8_t *b,
                                     size_t a_row, size_t b_row, size_t rows, size_t columns, size_t count)
{
    const size_t padded = (count + 31) / 32 * 32;
    for (size_t i = 0; i < rows; i++) {
        widen(t->a[i], a + i * a_row, count);
        t->a_sum[i] += total(t->a[i], padded);
    }
    for (size_t j = 0; j < columns; j++) {
        widen(t->b[j], b + j * b_row, count);
        t->b_sum[j] += total(t->b[j], padded);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j += 4)
            dots(&t->sum[i][j], t->a[i], (const int16_t(*)[TERMS])t->b + j, padded);
}

KILN_CLONES(kiln_bytes_add,
            (struct kiln_bytes_tile * t, const int8_t *a, const int8_t *b, size_t a_row, size_t b_row,
             size_t rows, size_t columns, size_t count),
            (t, a, b, a_row, b_row, rows, columns, count))

/* Columns are taken by fours: those that are not there are 0. */
void kiln_bytes_clear(struct kiln_bytes_tile *t, size_t columns)
{
    memset(t->sum, 0, sizeof t->sum);
    memset(t->a_sum, 0, sizeof t->a_sum);
    memset(t->b_sum, 0, sizeof t->b_sum);
    for (size_t j = columns; j % 4; j++)
        memset(t->b[j], 0, sizeof t->b[j]);
}

static const struct kiln_params_matmul_bytes *matmul_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul_bytes *)d->block.words;
}

static size_t parts(size_t size, size_t of)
{
    return (size + of - 1) / of;
}

static uint64_t tiles(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_matmul_bytes *p = matmul_of(d);
    return (uint64_t)p->batch * parts(p->m, ROWS) * parts(p->n, COLUMNS);
}

static int32_t zero_at(const kiln_memory *m, int binding, size_t i, uint32_t flip)
{
    return (m->at[binding] ? ((const int32_t *)m->at[binding])[i] : 0) - (int32_t)flip;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The results of rows and columns from m0 and n0 on. */
static void store(const struct kiln_params_matmul_bytes *p, const kiln_memory *m,
                  const struct kiln_bytes_tile *t, int32_t *c, size_t m0, size_t n0, size_t rows,
                  size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[(m0 + i) * p->c_m + n0 + j] =
                kiln_bytes_result(t, i, j, zero_at(m, 2, (m0 + i) * p->a_step, p->a_flip),
                                  zero_at(m, 3, (n0 + j) * p->b_step, p->b_flip), p->depth);
}

static void run_tile(const struct kiln_params_matmul_bytes *p, const kiln_memory *m, size_t unit)
{
    const size_t across = parts(p->n, COLUMNS), down = parts(p->m, ROWS);
    const size_t n0 = unit % across * COLUMNS, m0 = unit / across % down * ROWS, batch = unit / across / down;
    const size_t b2 = batch % p->batch2, b1 = batch / p->batch2 % p->batch1,
                 b0 = batch / p->batch2 / p->batch1;
    const uint32_t *a = (const uint32_t *)m->at[0] + b0 * p->a_batch0 + b1 * p->a_batch1 + b2 * p->a_batch2;
    const uint32_t *b = (const uint32_t *)m->at[1] + b0 * p->b_batch0 + b1 * p->b_batch1 + b2 * p->b_batch2;
    const size_t rows = smaller(ROWS, p->m - m0), columns = smaller(COLUMNS, p->n - n0);
    const size_t bytes = 4 * (size_t)p->quads;
    struct kiln_bytes_tile t;
    kiln_bytes_clear(&t, columns);
    for (size_t k = 0; k < bytes; k += TERMS)
        kiln_bytes_add(&t, (const int8_t *)(a + m0 * p->quads) + k, (const int8_t *)(b + n0 * p->quads) + k,
                       bytes, bytes, rows, columns, smaller(TERMS, bytes - k));
    store(p, m, &t, (int32_t *)m->at[4] + batch * p->c_batch, m0, n0, rows, columns);
}

static void matmul_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++)
        run_tile(matmul_of(d), m, unit);
}

const kiln_variant kiln_cpu_matmul_bytes_tiles = {.name = "tiles", .groups = tiles, .run = matmul_run};
