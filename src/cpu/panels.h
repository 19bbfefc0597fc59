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

/** How an operand lies: from its first row (of a) or column (of b) on. */
struct kiln_operand {
    const float *at;
    enum {
        KILN_LIES_PACKED, /* as kiln_panels_pack leaves it */
        KILN_LIES_ROWS,   /* rows of a, `step` apart, their terms one behind the other */
        KILN_LIES_TERMS, /* terms, `step` apart, each with the elements of all rows of a, or columns of b, side by side */
    } how;
    size_t step;
};

/**
 * c = a b, or c += a b with `add`, by tiles of `high` rows, at most the tiles'. Panels of a are as high, those of b as wide as the
 * tiles' columns; a b of terms has a whole number of such panels. `edge` has room for a tile that c has no room for.
 */
void kiln_panels_multiply(const struct kiln_tiles *tiles, float *edge, const struct kiln_operand *a,
                          size_t high, const struct kiln_operand *b, size_t rows, size_t columns,
                          size_t depth, float *c, size_t c_row, bool add);

/** Whether rows, or terms, `step` apart are read as fast as packed ones: lines 4 KiB apart share one set of the first cache. */
static inline bool kiln_lies_well(size_t step)
{
    return step % 1024 != 0;
}

#endif
