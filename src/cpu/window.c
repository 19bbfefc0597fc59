/* window.c - the meaning of window, whose units are rows (o, j) of the part. */
#include <string.h>

#include "cpu/reference.h"
#include "window/window.h"

static int64_t clamp(int64_t at, int64_t low, int64_t high)
{
    return at < low ? low : at > high ? high : at;
}

void KILN_REFERENCE(window)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_window *p = block;
    const size_t element = 4 * (size_t)constants[0], bytes = p->inner * element, rows = p->part / p->inner;
    const int64_t given = *(const int32_t *)m->at[1];
    const int64_t at = clamp(given < 0 ? given + p->rows : given, 0, (int64_t)p->rows - p->total);

    for (size_t unit = first; unit < first + count; unit++) {
        const int64_t row = at + p->skip + (int64_t)(unit % rows) - p->first;
        if (row < 0 || row >= p->bound)
            continue;
        const size_t whole = p->whole_start * element + (unit / rows * p->bound + (size_t)row) * bytes;
        const size_t part = p->part_start * element + unit * bytes;
        if (constants[1])
            memcpy((char *)m->at[2] + whole, (const char *)m->at[0] + part, bytes);
        else
            memcpy((char *)m->at[2] + part, (const char *)m->at[0] + whole, bytes);
    }
}
