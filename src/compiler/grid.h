/* grid.h - one logical count of workgroups as x, y, z within a device's limit, in as many commands as that takes. */
#ifndef KILN_COMPILER_GRID_H
#define KILN_COMPILER_GRID_H

#include <kiln/extend.h>

/** How many workgroups (CPU: units of work) the dispatch has in all. */
uint64_t kiln_grid_total(const kiln_caps *caps, const kiln_dispatch *d);

/** Set groups for one command that begins `count` of them; returns how many it holds, at most count. */
uint64_t kiln_grid_fold(const kiln_caps *caps, uint64_t count, uint32_t groups[3]);

/** How many commands the dispatch takes. */
int kiln_grid_parts(const kiln_caps *caps, const kiln_dispatch *d);

#endif
