/* grid.c - see grid.h. The CPU takes units of work as they are. */
#include "compiler/grid.h"

#include "device/caps.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t kiln_grid_total(const kiln_caps *caps, const kiln_dispatch *d)
{
    return d->variant && d->variant->groups ? d->variant->groups(caps, d) : d->kernel->units(d);
}

/* x * y * z >= count with little to spare. */
uint64_t kiln_grid_fold(const kiln_caps *caps, uint64_t count, uint32_t groups[3])
{
    groups[0] = groups[1] = groups[2] = 1;
    if (caps->backend == KILN_BACKEND_CPU)
        return count;
    const uint64_t most = caps->max_groups;
    const uint64_t x = smaller(count, most), rows = (count + x - 1) / x;
    const uint64_t y = smaller(rows, most), layers = (rows + y - 1) / y;
    const uint64_t z = smaller(layers, most);
    groups[0] = (uint32_t)x;
    groups[1] = (uint32_t)y;
    groups[2] = (uint32_t)z;
    return smaller(count, x * y * z);
}

int kiln_grid_parts(const kiln_caps *caps, const kiln_dispatch *d)
{
    uint32_t groups[3];
    int parts = 0;
    for (uint64_t left = kiln_grid_total(caps, d); left; parts++)
        left -= kiln_grid_fold(caps, left, groups);
    return parts;
}
