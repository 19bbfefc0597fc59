/* tiles.c - which tile suits a product of matrices. */
#include "ops/tiles.h"

#include "base/number.h"
#include "device/caps.h"

const struct kiln_tile kiln_tile_usual = {64, 64}, kiln_tile_flat = {32, 128}, kiln_tile_large = {128, 128};

enum {
    LARGE_SHARED = 18 << 10, /* bytes of shared memory that the large tile takes at the most, rounded up */
    BUSY = 128,              /* large tiles that keep a large device busy */
    WANTED = 512,            /* usual tiles that do */
    LEAST_TERMS = 96,        /* of a part, so that adding up is little beside it */
    MANY_TERMS = 384,        /* fewer take less time than one more dispatch */
};

uint64_t kiln_tile_groups(const struct kiln_tile *tile, struct kiln_products x)
{
    return x.count * kiln_parts(x.rows, tile->rows) * kiln_parts(x.columns, tile->columns);
}

enum { AMD = 0x1002, QUALCOMM = 0x5143, APPLE = 0x106b }; /* PCI ids */

/*
 * GPUs on which tiles of 128 x 128 are known to lose: AMD's without matrix units, Apple's, Qualcomm's. The gates of llama.cpp's
 * ggml-vulkan, which never takes large tiles there; a tuner may find otherwise.
 */
static bool avoids_large(const kiln_caps *caps)
{
    return caps->vendor == AMD || caps->vendor == QUALCOMM || caps->vendor == APPLE;
}

/* Results that are computed, those beyond the edges too. */
static double area(const struct kiln_tile *tile, struct kiln_products x)
{
    return (double)kiln_tile_groups(tile, x) * tile->rows * tile->columns;
}

bool kiln_tile_usual_suits(const kiln_caps *caps, struct kiln_products x)
{
    (void)x;
    return caps->unrolls;
}

bool kiln_tile_flat_suits(const kiln_caps *caps, struct kiln_products x)
{
    return kiln_tile_usual_suits(caps, x);
}

bool kiln_tile_large_suits(const kiln_caps *caps, struct kiln_products x)
{
    return kiln_tile_usual_suits(caps, x) && caps->max_invocations >= KILN_TILE_LANES_LARGE &&
           caps->max_shared >= LARGE_SHARED;
}

bool kiln_tile_usual_pays(const kiln_caps *caps, struct kiln_products x)
{
    (void)caps, (void)x;
    return true;
}

bool kiln_tile_flat_pays(const kiln_caps *caps, struct kiln_products x)
{
    (void)caps;
    return area(&kiln_tile_flat, x) <= 0.75 * area(&kiln_tile_usual, x);
}

/* Whether there is work for a whole device in large tiles, of which little sticks out. */
static bool fills_large(struct kiln_products x)
{
    return kiln_tile_groups(&kiln_tile_large, x) >= BUSY &&
           area(&kiln_tile_large, x) <= 1.15 * area(&kiln_tile_usual, x);
}

bool kiln_tile_large_pays(const kiln_caps *caps, struct kiln_products x)
{
    return !avoids_large(caps) && fills_large(x);
}

/* Of the shader: elements between lines of a slab, its terms, strips of a tile, and bytes of what convolution works out ahead
 * (conv/terms.glsl). */
enum { COOP_GAP = 8, COOP_SLAB = 32, COOP_STRIPS = 4, COOP_AHEAD = 2 << 10 };

static uint64_t coop_shared(const struct kiln_coop *c)
{
    const uint64_t elements = (uint64_t)(c->tile->rows + c->tile->columns) * (COOP_SLAB + COOP_GAP),
                   buffers = c->emulated && (c->tile == &kiln_tile_large || !c->halves) ? 1 : 2,
                   sums = (uint64_t)COOP_STRIPS * c->caps->coop_size[0] * c->caps->coop_size[1];
    return buffers * elements * (c->halves ? 2 : 4) + sums * sizeof(float) + COOP_AHEAD;
}

bool kiln_coop_suits(const struct kiln_coop *c)
{
    const bool there =
        c->emulated ? c->caps->coop_emulated && (!c->halves || c->caps->half) : c->caps->coop && c->halves;
    return there && c->caps->max_invocations >= KILN_COOP_LANES && c->caps->max_shared >= coop_shared(c);
}

/* Rows and columns that pay; terms of the large tile, whose stores nothing hides where there are fewer. */
enum { COOP_LEAST = 16, COOP_LARGE_TERMS = 512 };

bool kiln_coop_pays(const struct kiln_coop *c, struct kiln_products x, uint64_t terms)
{
    const bool fits = c->tile == &kiln_tile_usual || (terms >= COOP_LARGE_TERMS && fills_large(x));
    return !c->caps->software && c->halves && x.rows >= COOP_LEAST && x.columns >= COOP_LEAST && fits;
}

/* As many as fill a device, whatever divides the terms. */
static uint64_t filling_splits(const kiln_caps *caps, struct kiln_products x, uint64_t terms, uint64_t weight)
{
    const uint64_t tiles = kiln_tile_groups(&kiln_tile_usual, x);
    if (!caps->unrolls || tiles == 0 || tiles >= WANTED / 2 || terms * weight < MANY_TERMS)
        return 1;
    uint64_t splits = WANTED / tiles;
    if (splits > terms * weight / LEAST_TERMS)
        splits = terms * weight / LEAST_TERMS;
    while (splits > 1 && terms % splits)
        splits--;
    return splits > 1 ? splits : 1;
}

/* As many as leave none of them more rounds than the driver goes. */
static uint64_t least_splits(const kiln_caps *caps, uint64_t terms, uint64_t rounds)
{
    uint64_t splits = 1;
    if (terms > caps->max_rounds / rounds)
        splits = kiln_parts(terms * rounds, caps->max_rounds);
    while (splits < terms && terms % splits)
        splits++;
    return splits;
}

uint64_t kiln_tile_splits(const kiln_caps *caps, struct kiln_products x, struct kiln_terms terms)
{
    const uint64_t least = least_splits(caps, terms.count, terms.rounds),
                   filling = filling_splits(caps, x, terms.count, terms.weight);
    return filling > least ? filling : least;
}
