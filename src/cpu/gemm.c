/*
 * gemm.c - matmul from packed panels.
 *
 * A unit of work is a block of c, over all of k. For each slab of k it packs its rows of a in panels as
 * high as a tile, its columns of b in panels as wide, and multiplies panel by panel: a tile then reads
 * both operands as they lie, b's panel from the first cache, a's block from the second. Packing is
 * repeated by the blocks of a row or a column of blocks, which costs a few percent and lets threads work
 * without waiting for one another.
 *
 * Blocks depend on sizes alone; a sum is never split: results do not depend on the number of threads.
 */
#include <string.h>

#include "base/number.h"
#include "cpu/epilogue_fast.h"
#include "cpu/simd.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/matmul.h"

#define DEPTH   256 /* of a slab, at most */
#define ROWS    144 /* of a block, at most */
#define COLUMNS 512
#define BLOCKS  8   /* at least, where each still has WORK multiplications, */
#define WORK    5e5 /* some 10 microseconds: smaller ones spend their time on packing */
#define WIDE    2   /* most columns of a block for a row of it: nearly square blocks pack least */
#define GROUP   16  /* rows of k that are packed side by side */

struct blocks {
    size_t depth, rows,
        columns;         /* of a slab; of a block: multiples of the largest tile's, whatever the machine */
    size_t down, across; /* blocks of a matrix */
};

struct panels {
    float *a, *b; /* packed */
    float *edge;  /* a tile that c has no room for */
};

static size_t parts(size_t count, size_t size)
{
    return (count + size - 1) / size;
}

/* The size of equal parts, of `most` at most, in multiples of `step`. */
static size_t even(size_t count, size_t most, size_t step)
{
    return kiln_round_up(parts(count, parts(count, most)), step);
}

static struct blocks blocks_of(const struct kiln_params_matmul *p)
{
    size_t rows = ROWS, columns = COLUMNS;
    struct blocks b;
    for (;;) {
        b.rows = even(p->m, rows, KILN_TILE_ROWS);
        b.columns = even(p->n, columns, KILN_TILE_COLUMNS);
        b.down = parts(p->m, b.rows);
        b.across = parts(p->n, b.columns);
        if (p->batch * b.down * b.across >= BLOCKS || (double)b.rows * b.columns * p->k < 2 * WORK)
            break;
        if (b.columns > WIDE * b.rows && b.columns > KILN_TILE_COLUMNS)
            columns = b.columns / 2;
        else if (b.rows > KILN_TILE_ROWS)
            rows = b.rows / 2;
        else if (b.columns > KILN_TILE_COLUMNS)
            columns = b.columns / 2;
        else
            break;
    }
    b.depth = p->k ? parts(p->k, parts(p->k, DEPTH)) : 0;
    return b;
}

/* Floats of one worker's panels. */
static size_t room_of(const struct blocks *b)
{
    return b->rows * b->depth + b->columns * b->depth + KILN_TILE_ROWS * KILN_TILE_COLUMNS;
}

/* Packing ------------------------------------------------------------------------------------------------ */

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
static inline void copy_few(float *to, const float *from, size_t count)
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

/* to[k * width + i] = from[i * step + k * step_k] for i < count; 0 for i up to width. */
static void pack_panel(float *to, size_t width, const float *from, size_t step, size_t step_k, size_t count,
                       size_t depth)
{
    size_t i = 0;
    if (count < width)
        memset(to, 0, width * depth * sizeof *to);
    if (step == 1) {
        for (size_t k = 0; k < depth; k++, from += step_k, to += width)
            copy_few(to, from, count);
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
 * All panels of a block; the last one is as narrow as what is left of a (`tight`), or padded with zeros.
 *
 * Where panels run along the rows of memory, a few rows are read side by side and go to all panels before the
 * next: panel after panel would read single lines a row apart, which no prefetcher follows, and which share a few
 * sets of the caches where rows are a power of two long.
 */
static void pack(float *to, size_t width, bool tight, const float *from, size_t step, size_t step_k,
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

/* Multiplying -------------------------------------------------------------------------------------------- */

/* One tile; where c has fewer columns than a tile, through the edge. */
static void multiply_tile(const struct kiln_tiles *tiles, const struct panels *panels, const float *a,
                          const float *b, size_t rows, size_t columns, size_t depth, float *c, size_t c_row,
                          bool add)
{
    const size_t width = (size_t)tiles->columns;
    if (columns == width) {
        tiles->packed[rows](depth, a, b, c, c_row, add);
        return;
    }
    tiles->packed[rows](depth, a, b, panels->edge, width, false);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[i * c_row + j] = panels->edge[i * width + j] + (add ? c[i * c_row + j] : 0);
}

static void multiply_panels(const struct kiln_tiles *tiles, const struct panels *panels, size_t rows,
                            size_t columns, size_t depth, float *c, size_t c_row, bool add)
{
    const size_t high = (size_t)tiles->rows, wide = (size_t)tiles->columns;
    for (size_t j = 0; j < columns; j += wide)
        for (size_t i = 0; i < rows; i += high)
            multiply_tile(tiles, panels, panels->a + i * depth, panels->b + j * depth,
                          rows - i < high ? rows - i : high, columns - j < wide ? columns - j : wide, depth,
                          c + i * c_row + j, c_row, add);
}

/* The block of c whose first result is (row, column) of matrix `batch`. */
static void multiply_block(const struct kiln_params_matmul *p, const struct kiln_tiles *tiles,
                           const struct blocks *blocks, const struct panels *panels, const kiln_memory *m,
                           struct kiln_row_epilogue *epilogue, size_t batch, size_t row, size_t column)
{
    const size_t b0 = batch / p->batch2 / p->batch1, b1 = batch / p->batch2 % p->batch1,
                 b2 = batch % p->batch2;
    const float *a = (const float *)m->at[0] + p->a_first + b0 * p->a_batch0 + b1 * p->a_batch1 +
                     b2 * p->a_batch2 + row * p->a_m;
    const float *b = (const float *)m->at[1] + p->b_first + b0 * p->b_batch0 + b1 * p->b_batch1 +
                     b2 * p->b_batch2 + column * p->b_n;
    const size_t c_at = p->c_first + batch * p->c_batch + row * p->c_m + column;
    float *c = (float *)m->at[2] + c_at;
    const size_t rows = p->m - row < blocks->rows ? p->m - row : blocks->rows;
    const size_t columns = p->n - column < blocks->columns ? p->n - column : blocks->columns;

    size_t k = 0;
    do { /* once at least: where k is 0, c is 0 */
        const size_t depth = p->k - k < blocks->depth ? p->k - k : blocks->depth;
        pack(panels->a, (size_t)tiles->rows, true, a + k * p->a_k, p->a_m, p->a_k, rows, depth);
        pack(panels->b, (size_t)tiles->columns, false, b + k * p->b_k, p->b_n, p->b_k, columns, depth);
        multiply_panels(tiles, panels, rows, columns, depth, c, p->c_m, k > 0);
        k += depth;
    } while (k < p->k);

    for (size_t i = 0; i < rows; i++)
        kiln_row_epilogue_run(epilogue, c + i * p->c_m, c_at + i * p->c_m, row + i, column, columns);
}

/* The variant -------------------------------------------------------------------------------------------- */

static const struct kiln_params_matmul *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul *)d->block.words;
}

static uint64_t packed_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct blocks b = blocks_of(block_of(d));
    (void)caps;
    return (uint64_t)block_of(d)->batch * b.down * b.across;
}

static uint64_t packed_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct blocks b = blocks_of(block_of(d));
    return (uint64_t)caps->threads * room_of(&b) * sizeof(float);
}

static void packed_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct kiln_params_matmul *p = block_of(d);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const struct blocks blocks = blocks_of(p);
    float *room = (float *)m->scratch + (size_t)worker * room_of(&blocks);
    const struct panels panels = {
        .a = room,
        .b = room + blocks.rows * blocks.depth,
        .edge = room + (blocks.rows + blocks.columns) * blocks.depth,
    };
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d, p->immediate, m, false);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t across = unit % blocks.across, down = unit / blocks.across % blocks.down;
        multiply_block(p, tiles, &blocks, &panels, m, &epilogue, unit / blocks.across / blocks.down,
                       down * blocks.rows, across * blocks.columns);
    }
}

const kiln_variant kiln_cpu_matmul_packed = {
    .name = "packed",
    .groups = packed_units,
    .scratch = packed_scratch,
    .run = packed_run,
};
