/*
 * lines.h - variants for drivers that run on the CPU, where an invocation shares what it reads of each line of a plane among 4 x 4
 * windows (shaders/include/lines.glsl).
 */
#ifndef KILN_OPS_LINES_H
#define KILN_OPS_LINES_H

#include <kiln/extend.h>

#include "ops/kernels.h"

/* An invocation's work is long: no more of them in a workgroup than such a driver runs as one, so that threads share them evenly. */
enum { LINES_LANES = 8 };

/*
 * Of accepts called as the variant. Binding 0 is read in fours; of the tuning constants the shaders tell. `halves` is the shader for
 * them, or NULL.
 */
#define LINES_VARIANT(id, shader, halves, count, texel_bindings, ...) \
    static const uint32_t id##_tuning[] = {__VA_ARGS__};              \
    static const kiln_variant id = {.name = #id,                      \
                                    .accepts = id##_accepts,          \
                                    .pays = kiln_on_software,         \
                                    .groups = count,                  \
                                    .spirv = &shader,                 \
                                    .half = halves,                   \
                                    .lanes = LINES_LANES,             \
                                    .texels = texel_bindings,         \
                                    .fours = 1 << 0,                  \
                                    .tuning = id##_tuning,            \
                                    .tuning_count = sizeof id##_tuning / sizeof *id##_tuning}

#endif
