/* bytes.c - see bytes.h: the tiles for each set of vector instructions, and blocks of them. */
#include "cpu/bytes.h"

#include <string.h>

#include "cpu/cpu.h"
#include "cpu/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Tiles --------------------------------------------------------------------------------------------------- */

/* Two numbers of 16 bits in each word; what every machine has. */
#if defined(__x86_64__)
#define PAIRS(sum, a, b) ((sum) + (vec)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#else
#define LOW(x)           ((vec)((uvec)(x) << 16) >> 16)
#define PAIRS(sum, a, b) ((sum) + LOW(a) * LOW(b) + ((a) >> 16) * ((b) >> 16))
#endif
#define BYTES(name) bytes_##name##_generic
#define BYTES_TARGET
#define BYTES_LANES   4
#define BYTES_VECTORS 2
#define BYTES_MOST    4
#define BYTES_EACH(X) X(1) X(2) X(3) X(4)
#define BYTES_DOT     PAIRS
#define BYTES_QUADS   false
#include "cpu/bytes_body.h"

#if defined(__x86_64__)
#define BYTES(name)          bytes_##name##_avx2
#define BYTES_TARGET         __attribute__((target("avx2,fma")))
#define BYTES_LANES          8
#define BYTES_VECTORS        2
#define BYTES_MOST           6
#define BYTES_EACH(X)        X(1) X(2) X(3) X(4) X(5) X(6)
#define BYTES_DOT(sum, a, b) ((sum) + (vec)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define BYTES_QUADS          false
#include "cpu/bytes_body.h"

#define BYTES(name)   bytes_##name##_vnni
#define BYTES_TARGET  KILN_TARGET_VNNI
#define BYTES_LANES   16
#define BYTES_VECTORS 2
#define BYTES_MOST    12
#define BYTES_EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define BYTES_DOT(sum, a, b) \
    ((vec)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(b), (__m512i)(a))) /* unsigned, signed */
#define BYTES_QUADS true
#include "cpu/bytes_body.h"
#endif

const struct kiln_bytes_tiles *kiln_bytes_tiles_get(void)
{
#if defined(__x86_64__)
    const struct kiln_cpu_features *features = kiln_cpu_detect();
    if (features->vnni)
        return &bytes_tiles_vnni;
    if (features->avx2)
        return &bytes_tiles_avx2;
#endif
    return &bytes_tiles_generic;
}

/* Blocks -------------------------------------------------------------------------------------------------- */

#define COLUMNS KILN_BYTES_COLUMNS
#define QUADS   KILN_BYTES_QUADS

/* Four bytes more than they were by 128: unsigned. */
KILN_INLINE void lift_body(int32_t (*b)[COLUMNS], size_t quads)
{
    for (size_t q = 0; q < quads; q++)
        for (size_t j = 0; j < COLUMNS; j++)
            b[q][j] ^= (int32_t)UINT32_C(0x80808080);
}

static void lift(int32_t (*b)[COLUMNS], size_t quads);
KILN_CLONES(lift, (int32_t(*b)[COLUMNS], size_t quads), (b, quads))

static inline int32_t pair_of(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)low & 0xffff) | (uint32_t)high << 16);
}

/* Byte n of a word, with its sign. */
static inline int32_t byte_of(int32_t word, int n)
{
    return (int32_t)((uint32_t)word << (24 - 8 * n)) >> 24;
}

KILN_INLINE void widen_columns_body(int32_t (*to)[COLUMNS], const int32_t (*from)[COLUMNS], size_t quads)
{
    for (size_t q = 0; q < quads; q++)
        for (size_t j = 0; j < COLUMNS; j++) {
            to[2 * q][j] = pair_of(byte_of(from[q][j], 0), byte_of(from[q][j], 1));
            to[2 * q + 1][j] = pair_of(byte_of(from[q][j], 2), byte_of(from[q][j], 3));
        }
}

static void widen_columns(int32_t (*to)[COLUMNS], const int32_t (*from)[COLUMNS], size_t quads);
KILN_CLONES(widen_columns, (int32_t(*to)[COLUMNS], const int32_t (*from)[COLUMNS], size_t quads),
            (to, from, quads))

KILN_INLINE void widen_row_body(int32_t *to, const uint32_t *from, size_t quads)
{
    for (size_t q = 0; q < quads; q++) {
        to[2 * q] = pair_of(byte_of((int32_t)from[q], 0), byte_of((int32_t)from[q], 1));
        to[2 * q + 1] = pair_of(byte_of((int32_t)from[q], 2), byte_of((int32_t)from[q], 3));
    }
}

static void widen_row(int32_t *to, const uint32_t *from, size_t quads);
KILN_CLONES(widen_row, (int32_t * to, const uint32_t *from, size_t quads), (to, from, quads))

/* What b's numbers are more than they were. */
static int32_t lifted(const struct kiln_bytes_tiles *tiles)
{
    return tiles->quads ? 128 : 0;
}

static void set_zeros(int32_t *zero, size_t count, struct kiln_bytes_zeros z)
{
    for (size_t i = 0; i < count; i++)
        zero[i] = (z.at ? z.at[i * z.step] : 0) - (int32_t)z.flip;
}

static bool has_other(const int32_t *zero, size_t count, int32_t than)
{
    for (size_t i = 0; i < count; i++)
        if (zero[i] != than)
            return true;
    return false;
}

void kiln_bytes_begin(struct kiln_bytes_block *t, const struct kiln_bytes_tiles *tiles, size_t rows,
                      size_t columns, struct kiln_bytes_zeros a, struct kiln_bytes_zeros b)
{
    t->tiles = tiles;
    t->rows = rows;
    t->columns = columns;
    set_zeros(t->za, rows, a);
    set_zeros(t->zb, columns, b);
    t->row_sums = has_other(t->zb, columns, -lifted(tiles));
    t->column_sums = has_other(t->za, rows, 0);
    if (columns < COLUMNS) { /* tiles and vectors are whole */
        memset(t->b, 0, sizeof t->b);
        memset(t->zb + columns, 0, (COLUMNS - columns) * sizeof *t->zb);
    }
    memset(t->sum, 0, rows * sizeof *t->sum);
    memset(t->a_sum, 0, sizeof t->a_sum);
    memset(t->b_sum, 0, sizeof t->b_sum);
}

/* The sums of b's columns are its products with ones. */
static void add_columns(struct kiln_bytes_block *t, const int32_t *b, size_t depth, size_t quads)
{
    int32_t ones[2 * QUADS];
    const int32_t more = lifted(t->tiles) * 4 * (int32_t)quads;
    for (size_t k = 0; k < depth; k++)
        ones[k] = t->tiles->quads ? 0x01010101 : 0x00010001;
    for (size_t j = 0; j < t->columns; j += (size_t)t->tiles->columns)
        t->tiles->tile[1](depth, ones, depth, b + j, t->b_sum + j);
    for (size_t j = 0; j < COLUMNS; j++)
        t->b_sum[j] -= more;
}

void kiln_bytes_add(struct kiln_bytes_block *t, const uint32_t *a, size_t a_row, size_t quads)
{
    const struct kiln_bytes_tiles *tiles = t->tiles;
    const size_t depth = tiles->quads ? quads : 2 * quads, most = (size_t)tiles->rows;
    const int32_t *b = tiles->quads ? t->b[0] : t->b_pairs[0];
    if (tiles->quads)
        lift(t->b, quads);
    else
        widen_columns(t->b_pairs, (const int32_t(*)[COLUMNS])t->b, quads);
    if (t->column_sums)
        add_columns(t, b, depth, quads);
    for (size_t row = 0; row < t->rows; row += most) {
        const size_t rows = t->rows - row < most ? t->rows - row : most;
        for (size_t i = row; i < row + rows; i++) {
            if (!tiles->quads)
                widen_row(t->a_pairs[i - row], a + i * a_row, quads);
            if (t->row_sums)
                t->a_sum[i] +=
                    tiles->sum(depth, tiles->quads ? (const int32_t *)a + i * a_row : t->a_pairs[i - row]);
        }
        const int32_t *at = tiles->quads ? (const int32_t *)a + row * a_row : t->a_pairs[0];
        for (size_t j = 0; j < t->columns; j += (size_t)tiles->columns)
            tiles->tile[rows](depth, at, tiles->quads ? a_row : 2 * QUADS, b + j, &t->sum[row][j]);
    }
}

KILN_INLINE void take_off_body(int32_t *sum, const int32_t *b_sum, const int32_t *zb, uint32_t of_row,
                               uint32_t of_each, uint32_t za)
{
    for (size_t j = 0; j < COLUMNS; j++)
        sum[j] = (int32_t)((uint32_t)sum[j] - of_row - of_each * (uint32_t)zb[j] - za * (uint32_t)b_sum[j]);
}

static void take_off(int32_t *sum, const int32_t *b_sum, const int32_t *zb, uint32_t of_row, uint32_t of_each,
                     uint32_t za);
KILN_CLONES(take_off,
            (int32_t * sum, const int32_t *b_sum, const int32_t *zb, uint32_t of_row, uint32_t of_each,
             uint32_t za),
            (sum, b_sum, zb, of_row, of_each, za))

void kiln_bytes_end(struct kiln_bytes_block *t, size_t depth)
{
    for (size_t i = 0; i < t->rows && (t->row_sums || t->column_sums); i++) {
        const uint32_t a_sum = (uint32_t)t->a_sum[i], za = (uint32_t)t->za[i];
        take_off(t->sum[i], t->b_sum, t->zb, (uint32_t)lifted(t->tiles) * a_sum, a_sum - (uint32_t)depth * za,
                 za);
    }
}
