/*
 * gemm.c - matmul from packed panels.
 *
 * A unit of work is a block of c, over all of k. For each slab of k it packs its rows of a in panels as
 * high as a tile, its columns of b in panels as wide, unless they lie as tiles can read them, and
 * multiplies panel by panel: a tile then reads b's panel from the first cache, a's block from the second.
 * Packing is repeated by the blocks of a row or a column of blocks, which costs a few percent and lets
 * threads work without waiting for one another.
 *
 * Blocks depend on sizes alone; a sum is never split: results do not depend on the number of threads.
 */
#include "base/number.h"
#include "cpu/epilogue_fast.h"
#include "cpu/panels.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/matmul.h"

#define DEPTH   384 /* of a slab, at most */
#define ROWS    288 /* of a block, at most */
#define COLUMNS 512
#define BLOCKS  8   /* at least, where each still has WORK multiplications, */
#define WORK    5e5 /* some 10 microseconds: smaller ones spend their time on packing */
#define LYING   24  /* tiles that read an operand where it lies, at most: for more its packing pays */
#define WIDE    2   /* most columns of a block for a row of it: nearly square blocks pack least */

struct blocks {
    size_t depth, rows,
        columns;         /* of a slab; of a block: multiples of the largest tile's, whatever the machine */
    size_t down, across; /* blocks of a matrix */
};

struct panels {
    float *a, *b; /* packed */
    float *edge;  /* of kiln_panels_multiply */
};

static struct blocks blocks_of(const struct kiln_params_matmul *p)
{
    size_t rows = ROWS, columns = COLUMNS;
    struct blocks b;
    for (;;) {
        b.rows = kiln_even(p->m, rows, KILN_TILE_ROWS);
        b.columns = kiln_even(p->n, columns, KILN_TILE_COLUMNS);
        b.down = kiln_parts(p->m, b.rows);
        b.across = kiln_parts(p->n, b.columns);
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
    b.depth = p->k ? kiln_parts(p->k, kiln_parts(p->k, DEPTH)) : 0;
    return b;
}

/* Floats of one worker's panels. */
static size_t room_of(const struct blocks *b)
{
    return b->rows * b->depth + b->columns * b->depth + KILN_TILE_ROWS * KILN_TILE_COLUMNS;
}

/* Multiplying -------------------------------------------------------------------------------------------- */

/* A block's rows of a where they lie, or packed. */
static struct kiln_operand left_of(const struct kiln_params_matmul *p, const struct kiln_tiles *tiles,
                                   const float *a, size_t rows, size_t columns, size_t depth, float *room)
{
    if (p->a_k == 1 && p->a_m && kiln_lies_well(p->a_m))
        return (struct kiln_operand){a, KILN_LIES_ROWS, p->a_m};
    if (p->a_m == 1 && columns <= LYING * (size_t)tiles->columns && kiln_lies_well(p->a_k))
        return (struct kiln_operand){a, KILN_LIES_TERMS, p->a_k};
    kiln_panels_pack(room, (size_t)tiles->rows, true, a, p->a_m, p->a_k, rows, depth);
    return (struct kiln_operand){room, KILN_LIES_PACKED, 0};
}

/* How many of a block's columns are read where they lie: whole panels. */
static size_t lying_of(const struct kiln_params_matmul *p, const struct kiln_tiles *tiles, size_t rows,
                       size_t columns)
{
    const bool lies = p->b_n == 1 && rows <= LYING * (size_t)tiles->rows && kiln_lies_well(p->b_k);
    return lies ? columns - columns % (size_t)tiles->columns : 0;
}

/* The block of c whose first result is (row, column) of matrix `batch`. */
static void multiply_block(const struct kiln_params_matmul *p, const struct kiln_tiles *tiles,
                           const struct blocks *blocks, const struct panels *panels, const kiln_memory *m,
                           struct kiln_row_epilogue *epilogue, size_t batch, size_t row, size_t column)
{
    const float *a = (const float *)m->at[0] + p->a_first + KILN_MATRIX_AT(*p, a, batch) + row * p->a_m;
    const float *b = (const float *)m->at[1] + p->b_first + KILN_MATRIX_AT(*p, b, batch) + column * p->b_n;
    const size_t c_at = p->c_first + batch * p->c_batch + row * p->c_m + column;
    float *c = (float *)m->at[2] + c_at;
    const size_t rows = p->m - row < blocks->rows ? p->m - row : blocks->rows;
    const size_t columns = p->n - column < blocks->columns ? p->n - column : blocks->columns;

    const size_t wide = (size_t)tiles->columns, high = (size_t)tiles->rows,
                 lying = lying_of(p, tiles, rows, columns);
    size_t k = 0;
    do { /* once at least: where k is 0, c is 0 */
        const size_t depth = p->k - k < blocks->depth ? p->k - k : blocks->depth;
        const float *terms = b + k * p->b_k, *others = terms + lying * p->b_n;
        const struct kiln_operand left = left_of(p, tiles, a + k * p->a_k, rows, columns, depth, panels->a),
                                  right = {terms, KILN_LIES_TERMS, p->b_k},
                                  rest = {panels->b, KILN_LIES_PACKED, 0};
        kiln_panels_multiply(tiles, panels->edge, &left, high, &right, rows, lying, depth, c, p->c_m, k > 0);
        kiln_panels_pack(panels->b, wide, false, others, p->b_n, p->b_k, columns - lying, depth);
        kiln_panels_multiply(tiles, panels->edge, &left, high, &rest, rows, columns - lying, depth, c + lying,
                             p->c_m, k > 0);
        k += depth;
    } while (k < p->k);

    kiln_row_epilogue_rows(epilogue, c, p->c_m, c, p->c_m, c_at, row, column, rows, columns);
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
    (void)caps;
    const struct blocks b = blocks_of(block_of(d));
    return room_of(&b) * sizeof(float);
}

static void packed_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_matmul *p = block_of(d);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const struct blocks blocks = blocks_of(p);
    float *room = m->scratch;
    const struct panels panels = {
        .a = room,
        .b = room + blocks.rows * blocks.depth,
        .edge = room + (blocks.rows + blocks.columns) * blocks.depth,
    };
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, p->immediate, m->at + 3, false);

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
