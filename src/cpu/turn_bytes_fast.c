/*
 * turn_bytes_fast.c - matrices of bytes turned by squares of 16 x 16, whose rows become columns in four steps: each lays the bytes of two
 * rows side by side in turn.
 */
#include <string.h>

#include "cpu/byte_rows.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "layout/turn_bytes.h"

enum { SIDE = 16 };

typedef uint8_t row_of_bytes __attribute__((vector_size(SIDE)));

KILN_INLINE void zip(row_of_bytes *low, row_of_bytes *high, row_of_bytes a, row_of_bytes b)
{
    *low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *high = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

KILN_INLINE void turn_square(uint8_t *y, size_t y_row, const uint8_t *x, size_t x_row)
{
    row_of_bytes a[SIDE], b[SIDE];
    for (int i = 0; i < SIDE; i++)
        memcpy(&a[i], x + (size_t)i * x_row, sizeof a[i]);
    for (int step = 0; step < 4; step++) {
        for (int i = 0; i < SIDE / 2; i++)
            zip(&b[2 * i], &b[2 * i + 1], a[i], a[i + SIDE / 2]);
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < SIDE; i++)
        memcpy(y + (size_t)i * y_row, &a[i], sizeof a[i]);
}

/* Few rows, as a picture's colours. */
KILN_INLINE void turn_few(uint8_t *restrict y, const uint8_t *restrict x, size_t rows, size_t columns)
{
    for (size_t j = 0; j < columns; j++)
        for (size_t i = 0; i < rows; i++)
            y[j * rows + i] = x[i * columns + j];
}

/* y[j, i] = x[i, j] for columns [from, to): squares, of which the last in each direction may overlap the one before. */
KILN_INLINE void turn_columns_body(uint8_t *y, const uint8_t *x, size_t rows, size_t columns, size_t from,
                                   size_t to)
{
    for (size_t j = from; j < to; j += SIDE) {
        const size_t column = j + SIDE <= to ? j : to - SIDE;
        for (size_t i = 0; i < rows; i += SIDE) {
            const size_t row = i + SIDE <= rows ? i : rows - SIDE;
            turn_square(y + column * rows + row, rows, x + row * columns + column, columns);
        }
    }
}

static void turn_columns(uint8_t *y, const uint8_t *x, size_t rows, size_t columns, size_t from, size_t to);
KILN_CLONES(turn_columns,
            (uint8_t * y, const uint8_t *x, size_t rows, size_t columns, size_t from, size_t to),
            (y, x, rows, columns, from, to))

KILN_INLINE void turn_narrow_body(uint8_t *y, const uint8_t *x, size_t rows, size_t columns)
{
    if (rows == 3)
        turn_few(y, x, 3, columns);
    else if (columns == 3)
        turn_few(y, x, rows, 3);
    else
        turn_few(y, x, rows, columns);
}

static void turn_narrow(uint8_t *y, const uint8_t *x, size_t rows, size_t columns);
KILN_WIDE_CLONES(turn_narrow, (uint8_t * y, const uint8_t *x, size_t rows, size_t columns),
                 (y, x, rows, columns))

/* Units ---------------------------------------------------------------------------------------------------- */

enum { STRIP = 128 }; /* columns of a unit */

static const struct kiln_params_turn_bytes *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_turn_bytes *)d->block.words;
}

static bool is_narrow(const struct kiln_params_turn_bytes *p)
{
    return p->rows < SIDE || p->columns < SIDE;
}

/* Strips of a matrix; a narrow one is one. The last is as wide as a square at the least. */
static size_t strips_of(const struct kiln_params_turn_bytes *p)
{
    return is_narrow(p) || p->columns < STRIP ? 1 : p->columns / STRIP;
}

static uint64_t units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (uint64_t)block_of(d)->batch * strips_of(block_of(d));
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_turn_bytes *p = block_of(d);
    const size_t strips = strips_of(p), matrix = (size_t)p->rows * p->columns;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t batch = unit / strips, strip = unit % strips, from = strip * STRIP,
                     to = strip + 1 == strips ? p->columns : from + STRIP;
        const uint8_t *x = (const uint8_t *)m->at[0] + batch * matrix;
        uint8_t *y = (uint8_t *)m->at[1] + batch * matrix;
        if (is_narrow(p))
            turn_narrow(y, x, p->rows, p->columns);
        else
            turn_columns(y, x, p->rows, p->columns, from, to);
    }
}

const kiln_variant kiln_cpu_turn_bytes_squares = {
    .name = "squares", .accepts = kiln_takes_bytes_alone, .groups = units, .run = run, .bytes = true};
