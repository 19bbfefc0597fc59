/* rows.h - a value as rows along one of its axes, for softmax and the losses. */
#ifndef KILN_OPS_ROWS_H
#define KILN_OPS_ROWS_H

#include <kiln/base.h>

/** Row r begins at element (r / step) * length * step + r % step; its values lie step apart. */
struct kiln_rows {
    uint32_t count, length, step;
};

static inline struct kiln_rows kiln_rows_of(const kiln_shape *shape, int axis)
{
    struct kiln_rows rows = {1, (uint32_t)shape->size[axis], 1};
    for (int i = 0; i < shape->rank; i++) {
        rows.count *= i == axis ? 1 : (uint32_t)shape->size[i];
        rows.step *= i > axis ? (uint32_t)shape->size[i] : 1;
    }
    return rows;
}

/** Lanes of a workgroup in the shaders of rows. */
#define KILN_ROW_LANES 64

/** Whether a lane a row does better than a workgroup a row: short rows, and rows that lie side by side. */
static inline bool kiln_rows_suit_lanes(uint32_t length, uint32_t step)
{
    return length <= 32 || step >= 16;
}

#endif
