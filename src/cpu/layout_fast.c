/*
 * layout_fast.c - copy by tiles of the last two axes: rows that are dense on both sides move whole, a
 * transposition goes by blocks that stay in the first cache.
 */
#include <string.h>

#include "device/variants.h"
#include "layout/copy.h"

enum { TILE_ROWS = 64, TILE_COLUMNS = 1024, BLOCK = 16 };

/* One rectangle: rows with steps xr and yr, columns with steps xc and yc. */
struct tile {
    const uint32_t *x;
    uint32_t *y;
    int64_t rows, columns, xr, xc, yr, yc;
};

static const struct kiln_params_copy *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_copy *)d->block.words;
}

static uint32_t tiles(uint32_t size, uint32_t tile)
{
    return (size + tile - 1) / tile;
}

static uint64_t tile_count(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_copy *p = block_of(d);
    const uint32_t rank = d->constants[1], rows = p->size[rank - 2], columns = p->size[rank - 1];
    return (uint64_t)(p->count / rows / columns) * tiles(rows, TILE_ROWS) * tiles(columns, TILE_COLUMNS);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static struct tile tile_of(const kiln_dispatch *d, const kiln_memory *m, size_t unit)
{
    const struct kiln_params_copy *p = block_of(d);
    const uint32_t r = d->constants[1] - 2, c = r + 1;
    const size_t across = tiles(p->size[c], TILE_COLUMNS), down = tiles(p->size[r], TILE_ROWS);
    const int64_t column = (int64_t)(unit % across) * TILE_COLUMNS,
                  row = (int64_t)(unit / across % down) * TILE_ROWS;
    struct tile t = {
        .rows = least(p->size[r] - row, TILE_ROWS),
        .columns = least(p->size[c] - column, TILE_COLUMNS),
        .xr = (int32_t)p->x_step[r],
        .xc = (int32_t)p->x_step[c],
        .yr = (int32_t)p->y_step[r],
        .yc = (int32_t)p->y_step[c],
    };
    int64_t from = p->x_start + row * t.xr + column * t.xc, to = p->y_start + row * t.yr + column * t.yc;
    size_t rest = unit / across / down;
    for (uint32_t a = r; a-- > 0; rest /= p->size[a]) {
        const int64_t i = (int64_t)(rest % p->size[a]);
        from += i * (int32_t)p->x_step[a];
        to += i * (int32_t)p->y_step[a];
    }
    t.x = (const uint32_t *)m->at[0] + from;
    t.y = (uint32_t *)m->at[1] + to;
    return t;
}

static void move_rows(const struct tile *t)
{
    for (int64_t r = 0; r < t->rows; r++)
        memcpy(t->y + r * t->yr, t->x + r * t->xr, (size_t)t->columns * sizeof *t->y);
}

/* y is dense along columns, x along rows. */
static void transpose(const struct tile *t)
{
    for (int64_t c0 = 0; c0 < t->columns; c0 += BLOCK)
        for (int64_t r0 = 0; r0 < t->rows; r0 += BLOCK) {
            const int64_t c1 = least(c0 + BLOCK, t->columns), r1 = least(r0 + BLOCK, t->rows);
            for (int64_t r = r0; r < r1; r++)
                for (int64_t c = c0; c < c1; c++)
                    t->y[r * t->yr + c] = t->x[r + c * t->xc];
        }
}

static void move_any(const struct tile *t)
{
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->columns; c++)
            t->y[r * t->yr + c * t->yc] = t->x[r * t->xr + c * t->xc];
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++) {
        const struct tile t = tile_of(d, m, unit);
        if (t.xc == 1 && t.yc == 1)
            move_rows(&t);
        else if (t.xr == 1 && t.yc == 1)
            transpose(&t);
        else
            move_any(&t);
    }
}

/* Float64 programs run the references, so an element is a word here. */
const kiln_variant kiln_cpu_copy_tiles = {.name = "tiles", .groups = tile_count, .run = run, .grain = 4};
