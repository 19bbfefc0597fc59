/*
 * lines.h - variants for drivers that run on the CPU, where an invocation shares what it reads of each line of a plane among 4 x 4
 * windows (shaders/include/lines.glsl).
 */
#ifndef KILN_OPS_LINES_H
#define KILN_OPS_LINES_H

#include <kiln/extend.h>

#include "device/caps.h"

/* An invocation's work is long: no more of them in a workgroup than such a driver runs as one, so that threads share them evenly. */
enum { LINES_LANES = 8 };

static inline bool kiln_lines_pay(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)d;
    return caps->software;
}

/* Of accepts called as the variant; binding 0 is read in fours, whose lines begin `shift` behind one, or anywhere with 4. */
#define LINES_VARIANT(id, shader, count, texel_bindings, shift, store_ones) \
    static const uint32_t id##_tuning[] = {shift, store_ones};              \
    static const kiln_variant id = {.name = #id,                            \
                                    .accepts = id##_accepts,                \
                                    .pays = kiln_lines_pay,                 \
                                    .groups = count,                        \
                                    .spirv = &shader,                       \
                                    .half = &shader##_half,                 \
                                    .lanes = LINES_LANES,                   \
                                    .texels = texel_bindings,               \
                                    .fours = 1 << 0,                        \
                                    .tuning = id##_tuning,                  \
                                    .tuning_count = 2}

#endif
