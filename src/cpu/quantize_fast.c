/*
 * quantize_fast.c - products of packed bytes, fast.
 *
 *   c[m, n] = sum of a b - zb * sum of a - za * sum of b + depth * za * zb
 *
 * A unit of work is a block of results (bytes.h).
 */
#include <string.h>

#include "base/number.h"
#include "cpu/bytes.h"
#include "cpu/bytes_finish.h"
#include "cpu/simd.h"
#include "cpu/turn.h"
#include "device/variants.h"
#include "quantize/matmul_bytes.h"
#include "quantize/pack_bytes.h"

/* pack_bytes ---------------------------------------------------------------------------------------------- */

enum { PACK = 4096, TURNED = 64 }; /* words of a unit; rows that are turned together */

static const struct kiln_params_pack_bytes *pack_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_pack_bytes *)d->block.words;
}

static uint64_t pack_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (pack_of(d)->words + PACK - 1) / PACK;
}

/* What is packed: low bytes of words, or bytes. */
struct source {
    const void *x;
    bool bytes;
};

static struct source source_at(struct source from, size_t at)
{
    const size_t element = from.bytes ? 1 : sizeof(uint32_t);
    return (struct source){(const char *)from.x + at * element, from.bytes};
}

KILN_INLINE uint32_t low_byte(const void *x, size_t at, bool bytes)
{
    return bytes ? ((const uint8_t *)x)[at] : ((const uint32_t *)x)[at] & 0xff;
}

/* Four elements, or fewer, `step` apart. */
static uint32_t packed(struct source from, size_t step, size_t count, uint32_t flip)
{
    uint32_t word = 0;
    for (size_t j = 0; j < count; j++)
        word |= (low_byte(from.x, j * step, from.bytes) ^ flip) << 8 * j;
    return word;
}

KILN_INLINE uint32_t quad_at(const void *x, size_t at, size_t step, bool bytes)
{
    return low_byte(x, at, bytes) | low_byte(x, at + step, bytes) << 8 |
           low_byte(x, at + 2 * step, bytes) << 16 | low_byte(x, at + 3 * step, bytes) << 24;
}

KILN_INLINE void pack_dense_of(uint32_t *restrict y, const void *restrict x, bool bytes, size_t quads,
                               uint32_t flips)
{
    for (size_t q = 0; q < quads; q++)
        y[q] = quad_at(x, 4 * q, 1, bytes) ^ flips;
}

/* Whole quads of a row that lie side by side. */
KILN_INLINE void pack_dense_body(uint32_t *y, struct source from, size_t quads, uint32_t flip)
{
    if (from.bytes)
        pack_dense_of(y, from.x, true, quads, flip * 0x01010101u);
    else
        pack_dense_of(y, from.x, false, quads, flip * 0x01010101u);
}

static void pack_dense(uint32_t *y, struct source from, size_t quads, uint32_t flip);
KILN_CLONES(pack_dense, (uint32_t * y, struct source from, size_t quads, uint32_t flip),
            (y, from, quads, flip))

KILN_INLINE void pack_turned_of(uint32_t *restrict y, size_t y_row, const void *restrict x, bool bytes,
                                size_t step, size_t rows, uint32_t flips)
{
    uint32_t word[TURNED];
    for (size_t r = 0; r < rows; r++)
        word[r] = quad_at(x, r, step, bytes) ^ flips;
    for (size_t r = 0; r < rows; r++)
        y[r * y_row] = word[r];
}

/* A quad of rows that lie side by side. */
KILN_INLINE void pack_turned_body(uint32_t *y, size_t y_row, struct source from, size_t step, size_t rows,
                                  uint32_t flip)
{
    if (from.bytes)
        pack_turned_of(y, y_row, from.x, true, step, rows, flip * 0x01010101u);
    else
        pack_turned_of(y, y_row, from.x, false, step, rows, flip * 0x01010101u);
}

static void pack_turned(uint32_t *y, size_t y_row, struct source from, size_t step, size_t rows,
                        uint32_t flip);
KILN_WIDE_CLONES(pack_turned,
                 (uint32_t * y, size_t y_row, struct source from, size_t step, size_t rows, uint32_t flip),
                 (y, y_row, from, step, rows, flip))

/* Words from quad s of a row on, whose elements lie side by side. */
static void pack_row(const struct kiln_params_pack_bytes *p, struct source x, uint32_t *y, size_t s,
                     size_t words)
{
    const size_t whole = kiln_least(p->depth / 4 > s ? p->depth / 4 - s : 0, words);
    pack_dense(y, source_at(x, 4 * s), whole, p->flip);
    if (whole < words)
        y[whole] = packed(source_at(x, 4 * (s + whole)), 1, p->depth % 4, p->flip);
}

/* A quad of some rows, which lie side by side; words of y are y_row apart. */
static void pack_quad(const struct kiln_params_pack_bytes *p, struct source x, uint32_t *y, size_t y_row,
                      size_t quad, size_t rows)
{
    const struct source from = source_at(x, 4 * quad * p->x_depth);
    if (4 * quad + 4 <= p->depth)
        pack_turned(y, y_row, from, p->x_depth, rows, p->flip);
    else
        for (size_t r = 0; r < rows; r++)
            y[r * y_row] = packed(source_at(from, r), p->x_depth, p->depth - 4 * quad, p->flip);
}

/* What begins at (first, second) of y, `words` at the most; returns how many. */
static size_t pack_some(const struct kiln_params_pack_bytes *p, struct source x, uint32_t *y, bool last,
                        size_t f, size_t s, size_t words)
{
    const size_t left = kiln_least(p->second - s, words), rows = kiln_least(words / p->second, p->first - f);
    if (last && p->x_depth == 1) {
        pack_row(p, source_at(x, f * p->x_row), y, s, left);
        return left;
    }
    if (!last) {
        const size_t count = kiln_least(left, TURNED);
        pack_quad(p, source_at(x, s), y, 1, f, count);
        return count;
    }
    if (s == 0 && rows) {
        const size_t count = kiln_least(rows, TURNED);
        for (size_t q = 0; q < p->second; q++)
            pack_quad(p, source_at(x, f), y + q, p->second, q, count);
        return count * p->second;
    }
    for (size_t i = 0; i < left; i++)
        pack_quad(p, source_at(x, f), y + i, p->second, s + i, 1);
    return left;
}

static void pack_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_pack_bytes *p = pack_of(d);
    size_t e = first * PACK;
    const size_t end = kiln_least((first + count) * PACK, p->words);
    const struct source x = {m->at[0], d->bytes & 1};
    while (e < end) {
        const size_t batch = e / p->second / p->first, f = e / p->second % p->first, s = e % p->second;
        e += pack_some(p, source_at(x, batch * p->x_batch), (uint32_t *)m->at[1] + e, d->constants[0], f, s,
                       end - e);
    }
}

const kiln_variant kiln_cpu_pack_bytes_rows = {
    .name = "rows", .groups = pack_groups, .run = pack_run, .bytes = true};

/* matmul_bytes -------------------------------------------------------------------------------------------- */

#define ROWS    KILN_BYTES_ROWS
#define COLUMNS KILN_BYTES_COLUMNS
#define QUADS   KILN_BYTES_QUADS

static const struct kiln_params_matmul_bytes *matmul_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul_bytes *)d->block.words;
}

static uint64_t tiles(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_matmul_bytes *p = matmul_of(d);
    return (uint64_t)p->batch * kiln_parts(p->m, ROWS) * kiln_parts(p->n, COLUMNS);
}

typedef float loose __attribute__((vector_size(32), aligned(4), may_alias)); /* in memory */

/* Words of `columns` of b's rows, which become columns: by eights, and what is left one by one. */
KILN_INLINE void turn_body(int32_t (*to)[COLUMNS], const uint32_t *b, size_t b_row, size_t columns,
                           size_t quads)
{
    const size_t across = columns / 8 * 8, down = quads / 8 * 8;
    for (size_t j = 0; j < across; j += 8)
        for (size_t q = 0; q < down; q += 8) {
            kiln_eight row[8];
            _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) row[i] =
                *(const loose *)(const void *)(b + (j + i) * b_row + q);
            kiln_turn_eight(row);
            _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) * (loose *)(void *)&to[q + i][j] = row[i];
        }
    for (size_t j = 0; j < columns; j++)
        for (size_t q = j < across ? down : 0; q < quads; q++)
            to[q][j] = (int32_t)b[j * b_row + q];
}

static void turn(int32_t (*to)[COLUMNS], const uint32_t *b, size_t b_row, size_t columns, size_t quads);
KILN_CLONES(turn, (int32_t(*to)[COLUMNS], const uint32_t *b, size_t b_row, size_t columns, size_t quads),
            (to, b, b_row, columns, quads))

static void run_block(const struct kiln_params_matmul_bytes *p, const kiln_memory *m,
                      const struct kiln_bytes_tiles *tiles, struct kiln_bytes_finish *finish, size_t unit)
{
    const size_t across = kiln_parts(p->n, COLUMNS), down = kiln_parts(p->m, ROWS);
    const size_t n0 = unit % across * COLUMNS, m0 = unit / across % down * ROWS, batch = unit / across / down;
    const size_t b2 = batch % p->batch2, b1 = batch / p->batch2 % p->batch1,
                 b0 = batch / p->batch2 / p->batch1;
    const uint32_t *a = (const uint32_t *)m->at[0] + b0 * p->a_batch0 + b1 * p->a_batch1 + b2 * p->a_batch2;
    const uint32_t *b = (const uint32_t *)m->at[1] + b0 * p->b_batch0 + b1 * p->b_batch1 + b2 * p->b_batch2;
    struct kiln_bytes_block t;
    kiln_bytes_begin(&t, tiles, kiln_least(ROWS, p->m - m0), kiln_least(COLUMNS, p->n - n0),
                     kiln_bytes_zeros_from(m->at[2], m0, p->a_step, p->a_flip),
                     kiln_bytes_zeros_from(m->at[3], n0, p->b_step, p->b_flip));
    for (size_t q = 0; q < p->quads; q += QUADS) {
        const size_t quads = kiln_least(QUADS, p->quads - q);
        turn(t.b, b + n0 * p->quads + q, p->quads, t.columns, quads);
        kiln_bytes_add(&t, a + m0 * p->quads + q, p->quads, quads);
    }
    _Static_assert(COLUMNS == KILN_FINISH_MOST, "rows are finished at once");
    kiln_bytes_end(&t, p->depth);
    kiln_bytes_finish_store(finish, m->at[4], batch * p->c_batch + m0 * p->c_m + n0, p->c_m, t.sum[0], t.rows,
                            n0, t.columns);
}

static void matmul_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_bytes_tiles *tiles = kiln_bytes_tiles_get();
    struct kiln_bytes_finish finish;
    kiln_bytes_finish_init(&finish, d, m, false);
    for (size_t unit = first; unit < first + count; unit++)
        run_block(matmul_of(d), m, tiles, &finish, unit);
}

const kiln_variant kiln_cpu_matmul_bytes_tiles = {
    .name = "tiles", .groups = tiles, .run = matmul_run, .bytes = true};
