/* join_bytes_fast.c - rows of bytes as parts of longer rows. */
#include <string.h>

#include "cpu/byte_rows.h"
#include "device/variants.h"
#include "layout/join_bytes.h"

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_join_bytes *p = (const struct kiln_params_join_bytes *)d->block.words;
    const uint8_t *x = (const uint8_t *)m->at[0] + first * p->x_row;
    uint8_t *y = (uint8_t *)m->at[1] + first * p->y_row + p->first;
    for (size_t row = 0; row < count; row++, x += p->x_row, y += p->y_row)
        memcpy(y, x, p->x_row);
}

const kiln_variant kiln_cpu_join_bytes_rows = {
    .name = "rows", .accepts = kiln_takes_bytes_alone, .run = run, .grain = 64, .bytes = true};
