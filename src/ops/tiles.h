/* tiles.h - which tile of shaders/include/tiled.glsl suits a product of matrices, for the variants that use it. */
#ifndef KILN_OPS_TILES_H
#define KILN_OPS_TILES_H

#include <kiln/extend.h>

/* Results of a workgroup. */
struct kiln_tile {
    uint32_t rows, columns;
};

enum { KILN_TILE_LANES = 128, KILN_LARGE_TILE_LANES = 256 };

extern const struct kiln_tile kiln_tile_usual, kiln_tile_flat, kiln_tile_large;

/* Workgroups of that many products at once. */
uint64_t kiln_tile_count(const struct kiln_tile *tile, uint64_t products, uint64_t rows, uint64_t columns);

/*
 * Whether a driver should see tiles at all: those that run on the CPU have no shared memory to win by, and take minutes and
 * gigabytes to compile the unrolled sums. KILN_LIMITS=gpu shows them there.
 */
bool kiln_tile_suits(const kiln_caps *caps);

/* Whether the large tile has work for a whole device, and the device room for it. */
bool kiln_tile_large_suits(const kiln_caps *caps, uint64_t products, uint64_t rows, uint64_t columns);

/* Whether the usual tile would be half empty where the flat one is not. */
bool kiln_tile_flat_suits(const kiln_caps *caps, uint64_t rows, uint64_t columns);

/*
 * Into how many parts the sum over terms should be split, so that a device is busy although there are few tiles; 1 where it is.
 * A divisor of `terms`, each of which stands for `weight` products.
 */
uint64_t kiln_tile_splits(const kiln_caps *caps, uint64_t products, uint64_t rows, uint64_t columns,
                          uint64_t terms, uint64_t weight);

#endif
