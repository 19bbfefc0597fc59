/*
 * panels.h - matrices as tiles read them: packed in panels, of a as high as a tile, of b as wide. A tile then reads both as they
 * lie.
 */
#ifndef KILN_CPU_PANELS_H
#define KILN_CPU_PANELS_H

#include "cpu/tile.h"

/**
 * Pack `count` rows of a, or columns of b, `step` apart, whose `depth` terms lie step_k apart, in panels of `width`: to[k * width +
 * i] within a panel, panels one behind the other. The last one is as narrow as what is left (`tight`, of a), or padded with zeros.
 */
void kiln_panels_pack(float *to, size_t width, bool tight, const float *from, size_t step, size_t step_k,
                      size_t count, size_t depth);

/**
 * c = a b, or c += a b with `add`, where a is packed in panels of `high` rows, at most the tiles', and b in panels of the tiles'
 * columns. `edge` has room for a tile that c has no room for.
 */
void kiln_panels_multiply(const struct kiln_tiles *tiles, float *edge, const float *a, size_t high,
                          const float *b, size_t rows, size_t columns, size_t depth, float *c, size_t c_row,
                          bool add);

#endif
