/* kernels.h - declares what the rows of ops.def and kernels.def name. */
#ifndef KILN_OPS_KERNELS_H
#define KILN_OPS_KERNELS_H

#include <kiln/extend.h>

#include "device/caps.h"

#define X(name) extern const kiln_op kiln_op_##name;
#include "ops/ops.def"
#undef X

#define X(name)                                  \
    extern const kiln_kernel kiln_kernel_##name; \
    kiln_reference_fn kiln_reference_##name##_f32, kiln_reference_##name##_f64;
#include "ops/kernels.def"
#undef X

/** Of a variant that is for drivers that run on the CPU: its `accepts`, or its `pays`. */
static inline bool kiln_on_software(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)d;
    return caps->software;
}

/* Lanes of a team (shaders/include/team.glsl), a workgroup that is one subgroup; whether a device has such, and what they store by. */
enum { KILN_TEAM_LANES = 8 };

static inline bool kiln_has_teams(const kiln_caps *caps)
{
    return caps->subgroup == KILN_TEAM_LANES && caps->subgroup_ops & KILN_SUBGROUP_SHUFFLE && caps->int64;
}

#endif
