/* augment.h - random shifts and mirror images, drawn for a row. */
#ifndef KILN_DATA_AUGMENT_H
#define KILN_DATA_AUGMENT_H

#include <kiln/data.h>

/** What happens to a row's pictures: y[c, i, j] = x[c, i' + down, j' + right], i' and j' mirrored where flipped. {0}: nothing. */
struct kiln_warp {
    int64_t down, right;
    bool flip_x, flip_y, repeat_edge;
};

/** The same draw for the same seed, epoch and row. */
struct kiln_warp kiln_warp_draw(const kiln_augment *augment, uint64_t seed, int64_t epoch, int64_t row);

/** Change an item in place; one whose rank is not 3 stays as it is. */
void kiln_warp_apply(const struct kiln_warp *warp, const kiln_column *column, void *item);

#endif
