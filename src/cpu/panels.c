/* panels.c - packing matrices into panels, and multiplying panel by panel. */
#include "cpu/panels.h"

#include <string.h>

#include "base/number.h"
#include "cpu/simd.h"

#define GROUP 16 /* rows of k that are packed side by side */
#define LINE  16 /* floats of a cache's line */

/* to[k * width + i] = from[i * step + k] for i < 4. */
static void transpose_four(float *to, size_t width, const float *from, size_t step, size_t depth)
{
    size_t k = 0;
    for (; k + 4 <= depth; k += 4, to += 4 * width, from += 4) {
        kiln_four row[4];
        for (size_t i = 0; i < 4; i++)
            row[i] = kiln_four_load(from + i * step);
        kiln_four_transpose(row);
        for (size_t i = 0; i < 4; i++)
            kiln_four_store(to + i * width, row[i]);
    }
    for (; k < depth; k++, to += width, from++)
        for (size_t i = 0; i < 4; i++)
            to[i] = from[i * step];
}

/* The same for i < 2: what is left of a panel of six. */
static void transpose_two(float *to, size_t width, const float *from, size_t step, size_t depth)
{
    size_t k = 0;
    for (; k + 4 <= depth; k += 4, to += 4 * width, from += 4) {
        float pair[8];
        kiln_four_zip(pair, kiln_four_load(from), kiln_four_load(from + step));
        for (size_t i = 0; i < 4; i++)
            memcpy(to + i * width, pair + 2 * i, 2 * sizeof *to);
    }
    for (; k < depth; k++, to += width, from++)
        for (size_t i = 0; i < 2; i++)
            to[i] = from[i * step];
}

/* memcpy in pieces of a size that the compiler knows: a call costs more than the few floats of a panel's row. */
KILN_INLINE void copy_few(float *to, const float *from, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        memcpy(to + i, from + i, 8 * sizeof *to);
    if (count & 4)
        memcpy(to + i, from + i, 4 * sizeof *to);
    i += count & 4;
    if (count & 2)
        memcpy(to + i, from + i, 2 * sizeof *to);
    i += count & 2;
    if (count & 1)
        to[i] = from[i];
}

/* Rows of `count` floats, step_k apart, become rows `width` apart; the next group's are asked for. Whole panels of the tiles' sizes
 * have loops of their own. */
KILN_INLINE void copy_rows_of(float *to, size_t width, const float *from, size_t step_k, size_t count,
                              size_t depth)
{
    for (size_t k = 0; k < depth; k++, from += step_k, to += width) {
        __builtin_prefetch(from + GROUP * step_k);
        if (count > 16)
            __builtin_prefetch(from + GROUP * step_k + 16);
        copy_few(to, from, count);
    }
}

KILN_INLINE void copy_rows_body(float *to, size_t width, const float *from, size_t step_k, size_t count,
                                size_t depth)
{
    if (count == 32)
        copy_rows_of(to, width, from, step_k, 32, depth);
    else if (count == 16)
        copy_rows_of(to, width, from, step_k, 16, depth);
    else if (count == 12)
        copy_rows_of(to, width, from, step_k, 12, depth);
    else if (count == 6)
        copy_rows_of(to, width, from, step_k, 6, depth);
    else
        copy_rows_of(to, width, from, step_k, count, depth);
}

static void copy_rows(float *to, size_t width, const float *from, size_t step_k, size_t count, size_t depth);
KILN_CLONES(copy_rows,
            (float *to, size_t width, const float *from, size_t step_k, size_t count, size_t depth),
            (to, width, from, step_k, count, depth))

/* to[k * width + i] = from[i * step + k * step_k] for i < count; 0 for i up to width. */
static void pack_panel(float *to, size_t width, const float *from, size_t step, size_t step_k, size_t count,
                       size_t depth)
{
    size_t i = 0;
    if (count < width)
        memset(to, 0, width * depth * sizeof *to);
    if (step == 1) {
        copy_rows(to, width, from, step_k, count, depth);
        return;
    }
    for (; step_k == 1 && i + 4 <= count; i += 4)
        transpose_four(to + i, width, from + i * step, step, depth);
    for (; step_k == 1 && i + 2 <= count; i += 2)
        transpose_two(to + i, width, from + i * step, step, depth);
    for (; i < count; i++)
        for (size_t k = 0; k < depth; k++)
            to[k * width + i] = from[i * step + k * step_k];
}

/*
 * Where panels run along the rows of memory, a few rows are read side by side and go to all panels before the
 * next: panel after panel would read single lines a row apart, which no prefetcher follows, and which share a few
 * sets of the caches where rows are a power of two long.
 */
void kiln_panels_pack(float *to, size_t width, bool tight, const float *from, size_t step, size_t step_k,
                      size_t count, size_t depth)
{
    const size_t group = step == 1 ? GROUP : depth;
    for (size_t k = 0; k < depth; k += group)
        for (size_t i = 0; i < count; i += width) {
            const size_t here = count - i < width ? count - i : width, panel = tight ? here : width;
            pack_panel(to + i * depth + k * panel, panel, from + i * step + k * step_k, step, step_k, here,
                       depth - k < group ? depth - k : group);
        }
}

/* Rows from `first` on times the columns of one panel; all tiles of the panel ask for what lies `ahead`, a share each. */
static void run_tile(const struct kiln_tiles *tiles, const struct kiln_operand *a, size_t first, size_t rows,
                     const float *b, size_t b_row, size_t depth, float *c, size_t c_row, bool add,
                     const float *ahead, size_t share)
{
    if (a->how == KILN_LIES_ROWS)
        tiles->lying[rows](depth, a->at + first * a->step, a->step, b, b_row, c, c_row, add, ahead, share);
    else if (a->how == KILN_LIES_TERMS)
        tiles->packed[rows](depth, a->at + first, a->step, b, b_row, c, c_row, add);
    else
        tiles->packed[rows](depth, a->at + first * depth, rows, b, b_row, c, c_row, add);
}

void kiln_panels_multiply(const struct kiln_tiles *tiles, float *edge, const struct kiln_operand *a,
                          size_t high, const struct kiln_operand *b, size_t rows, size_t columns,
                          size_t depth, float *c, size_t c_row, bool add)
{
    const size_t wide = (size_t)tiles->columns;
    const bool terms = b->how == KILN_LIES_TERMS;
    for (size_t j = 0; j < columns; j += wide) {
        const size_t left = columns - j, b_row = terms ? b->step : wide;
        const float *panel = b->at + j * (terms ? 1 : depth);
        const struct kiln_tiles *narrow = kiln_tiles_across(tiles, left);
        const bool apart = b_row > KILN_TILE_COLUMNS; /* in a larger matrix: what follows lies elsewhere */
        const size_t share = apart ? 0 : kiln_parts(b_row, kiln_parts(rows, high));
        const float *ahead = panel + (apart ? 0 : depth * b_row);
        for (size_t i = 0; i < rows; i += high, ahead += depth * share) {
            const size_t here = rows - i < high ? rows - i : high;
            float *to = c + i * c_row + j;
            if (left >= (size_t)narrow->columns) {
                run_tile(narrow, a, i, here, panel, b_row, depth, to, c_row, add, ahead, share);
                continue;
            }
            run_tile(narrow, a, i, here, panel, b_row, depth, edge, wide, false, ahead, share);
            for (size_t y = 0; y < here; y++)
                for (size_t x = 0; x < left; x++)
                    to[y * c_row + x] = edge[y * wide + x] + (add ? to[y * c_row + x] : 0);
        }
    }
}
