/*
 * matmul_packed_fast.c - matmul by a matrix that is packed as columns: nothing but tiles and epilogues where a lies as a tile can
 * read it.
 *
 * A unit of work is a block of c. Its rows of a stay in the second cache while the panels pass by, each in the first for all of
 * the rows. Long sums go in slabs. Blocks are numbered down the columns: threads then share b, of which each mostly reads what it
 * packed itself or read in the last run, and the lower blocks of the last row.
 *
 * Blocks depend on sizes alone; a sum is never split: results do not depend on the number of threads.
 */
#include "base/number.h"
#include "cpu/epilogue_fast.h"
#include "cpu/panels.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/matmul_packed.h"
#include "matmul/pack_columns.h"

#define PANEL   KILN_PACKED_COLUMNS
#define DEPTH   768 /* of a slab, at most */
#define ROWS    128 /* of a block, at most */
#define STEP    4   /* of a block's rows: even blocks are worth more than whole tiles */
#define COLUMNS 1024
#define BLOCKS  16 /* at least, where each still has WORK multiplications */
#define WORK    4e5

struct blocks {
    size_t rows, columns, depth; /* of a block: in multiples of STEP, whole panels; of a slab */
    size_t down, across;
    bool lies; /* tiles read a where it lies */
};

static struct blocks blocks_of(const struct kiln_params_matmul_packed *p)
{
    size_t rows = ROWS, columns = COLUMNS;
    struct blocks b = {
        .depth = kiln_parts(p->k, kiln_parts(p->k, DEPTH)),
        .lies = kiln_lies_well(p->a_k == 1 ? p->a_m : p->a_k),
    };
    for (;;) {
        b.rows = kiln_even(p->m, rows, STEP);
        b.columns = kiln_even(p->n, columns, PANEL);
        b.down = kiln_parts(p->m, b.rows);
        b.across = kiln_parts(p->n, b.columns);
        if (b.down * b.across >= BLOCKS || (double)b.rows * b.columns * p->k < 2 * WORK)
            return b;
        if (b.columns > ROWS || (b.columns > PANEL && b.rows <= ROWS / 2))
            columns = b.columns / 2;
        else if (b.rows > KILN_TILE_ROWS)
            rows = b.rows / 2;
        else
            return b;
    }
}

/* Floats of a worker's rows of a, if they must be packed. */
static size_t room_of(const struct blocks *b)
{
    return b->lies ? 0 : b->rows * b->depth;
}

static struct kiln_operand left_of(const struct kiln_params_matmul_packed *p, const struct blocks *b,
                                   size_t high, const float *a, size_t rows, size_t depth, float *room)
{
    if (b->lies)
        return p->a_k == 1 ? (struct kiln_operand){a, KILN_LIES_ROWS, p->a_m}
                           : (struct kiln_operand){a, KILN_LIES_TERMS, p->a_k};
    kiln_panels_pack(room, high, true, a, p->a_m, p->a_k, rows, depth);
    return (struct kiln_operand){room, KILN_LIES_PACKED, 0};
}

/* Rows and columns of c. */
struct area {
    size_t row, column, rows, columns;
};

/* What tiles leave: results where they belong, or, where one slab makes them and an epilogue follows, a panel's side by side. */
struct results {
    float *at;
    size_t row;
};

/* The epilogue on a panel that is done, of one matrix after the other. */
static void finish(const struct kiln_params_matmul_packed *p, struct kiln_row_epilogue *epilogue, float *c,
                   const struct results *from, const struct area *area)
{
    const float *x = from->at;
    for (size_t i = area->row, end = i + area->rows; i < end;) {
        const size_t row = i % p->rows, left = p->rows - row, rows = end - i < left ? end - i : left;
        const size_t at = i * p->n + area->column;
        kiln_row_epilogue_rows(epilogue, c + at, p->n, x, from->row, at, row, area->column, rows,
                               area->columns);
        i += rows, x += rows * from->row;
    }
}

/* A block of c; the epilogue runs on a panel's columns while the first cache has them. */
static void multiply_block(const struct kiln_params_matmul_packed *p, const struct blocks *blocks,
                           const kiln_memory *m, const struct area *area, struct kiln_row_epilogue *epilogue)
{
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const size_t high = (size_t)tiles->rows;
    const bool aside = epilogue->steps > 0 && p->k <= blocks->depth;
    const float *a = (const float *)m->at[0] + area->row * p->a_m, *b = m->at[1];
    float *c = m->at[2];
    _Alignas(64) float edge[KILN_TILE_ROWS * KILN_TILE_COLUMNS], done[ROWS * PANEL];
    for (size_t k = 0; k < p->k; k += blocks->depth) {
        const size_t depth = p->k - k < blocks->depth ? p->k - k : blocks->depth;
        const struct kiln_operand left =
            left_of(p, blocks, high, a + k * p->a_k, area->rows, depth, m->scratch);
        for (size_t j = 0; j < area->columns; j += PANEL) {
            const size_t column = area->column + j, rest = area->columns - j;
            const struct area panel = {area->row, column, area->rows, rest < PANEL ? rest : PANEL};
            const struct kiln_operand right = {b + column * p->k + k * PANEL, KILN_LIES_TERMS, PANEL};
            const struct results to =
                aside ? (struct results){done, PANEL} : (struct results){c + panel.row * p->n + column, p->n};
            kiln_panels_multiply(tiles, edge, &left, high, &right, panel.rows, panel.columns, depth, to.at,
                                 to.row, k > 0);
            if (k + depth == p->k)
                finish(p, epilogue, c, &to, &panel);
        }
    }
}

/* The variant -------------------------------------------------------------------------------------------- */

static const struct kiln_params_matmul_packed *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul_packed *)d->block.words;
}

static uint64_t blocks_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct blocks b = blocks_of(block_of(d));
    (void)caps;
    return (uint64_t)b.down * b.across;
}

static uint64_t blocks_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct blocks b = blocks_of(block_of(d));
    return room_of(&b) * sizeof(float);
}

static void blocks_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_matmul_packed *p = block_of(d);
    const struct blocks b = blocks_of(p);
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, p->immediate, m->at + 3, false);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit % b.down * b.rows, column = unit / b.down * b.columns;
        const struct area area = {row, column, p->m - row < b.rows ? p->m - row : b.rows,
                                  p->n - column < b.columns ? p->n - column : b.columns};
        multiply_block(p, &b, m, &area, &epilogue);
    }
}

const kiln_variant kiln_cpu_matmul_packed_blocks = {
    .name = "blocks",
    .groups = blocks_units,
    .scratch = blocks_scratch,
    .run = blocks_run,
};
