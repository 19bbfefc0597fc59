/*
 * window.h - narrowing bindings, for the cuts of a kernel (kiln_cut): along an axis of which every binding takes so many bytes a
 * unit; or to any elements, where the block tells how many of them behind its beginning a binding's operand begins.
 */
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

/** The fewest units, of so many values each, behind which values are at a multiple of 256 bytes, be they halves. */
static inline uint64_t kiln_value_unit(uint64_t values)
{
    uint64_t least = 128;
    for (; least > 1 && values % 2 == 0; values /= 2)
        least /= 2;
    return least;
}

/**
 * Let binding i cover `span` elements from the one on that lies `skip` behind its beginning; returns how many elements behind
 * its new beginning that one lies: for equal skips the same in every binding. An unbound one stays so.
 */
static inline uint32_t kiln_bind_window(kiln_dispatch *d, int i, uint64_t skip, uint64_t span)
{
    const uint64_t rest = skip % kiln_dispatch_unit(d);
    if (d->bind[i].value.id) {
        d->bind[i].offset += (skip - rest) * d->element[i];
        d->bind[i].bytes = (rest + span) * d->element[i];
    }
    return (uint32_t)rest;
}

/**
 * Let binding i cover elements [from, end) of its operand, and *first, which the kernel adds modulo 2^32 to an element, find
 * them there.
 */
static inline void kiln_bind_elements(kiln_dispatch *d, int i, uint32_t *first, uint64_t from, uint64_t end)
{
    const uint32_t behind = *first + (uint32_t)from; /* its present beginning */
    *first = kiln_bind_window(d, i, behind, end - from) - (uint32_t)from;
}

/** The unit of such cuts: they may fall anywhere. */
static inline uint64_t kiln_cut_anywhere(const kiln_dispatch *d)
{
    (void)d;
    return 1;
}

#endif
