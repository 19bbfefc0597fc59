/* window.h - cutting a dispatch along an axis of which every binding takes so many bytes a unit (kiln_cut). */
#ifndef KILN_OPS_WINDOW_H
#define KILN_OPS_WINDOW_H

#include <kiln/extend.h>

/** Move each binding's window to the units [first, first + count), of unit[i] bytes in binding i. */
static inline void kiln_narrow(kiln_dispatch *d, uint64_t first, uint64_t count, const uint64_t *unit)
{
    for (int i = 0; i < d->kernel->bindings; i++) {
        d->bind[i].offset += first * unit[i];
        d->bind[i].bytes = count * unit[i];
    }
}

/** The fewest units that keep the offset of each binding a multiple of 256. Units are of whole words. */
static inline uint64_t kiln_narrow_unit(const kiln_dispatch *d, const uint64_t *unit)
{
    uint64_t least = 1;
    for (int i = 0; i < d->kernel->bindings; i++)
        while (d->bind[i].value.id && unit[i] * least % 256)
            least *= 2;
    return least;
}

#endif
