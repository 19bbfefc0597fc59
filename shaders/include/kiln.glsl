/*
 * kiln.glsl - the thin layer under every compute shader: bindings, group index, group reductions.
 *
 * Include it first, then the kernel's parameter block. Specialization constant 0 is the workgroup's size (LANES), 1 to 24 are
 * the contract's (KILN_CONSTANT), 32 and up the variant's tuning (KILN_TUNING). Nothing here needs an optional feature.
 */
#define KILN_GLSL 1
#include "interface.h"

layout(local_size_x_id = 0) in;
#define LANES gl_WorkGroupSize.x
#define LANE gl_LocalInvocationID.x

#define KILN_CONSTANT(index, name) layout(constant_id = 1 + (index)) const uint name = 0
#define KILN_TUNING(index, name, usual) layout(constant_id = 32 + (index)) const uint name = usual

/* Bindings: 4-byte elements of type `type`; outputs may alias inputs, so nothing is restrict. */
#define KILN_IN(slot, type, name)                                                                                    \
    layout(std430, set = 0, binding = slot) readonly buffer kiln_in_##name { type name[]; }
#define KILN_OUT(slot, type, name)                                                                                   \
    layout(std430, set = 0, binding = slot) writeonly buffer kiln_out_##name { type name[]; }
#define KILN_INOUT(slot, type, name)                                                                                 \
    layout(std430, set = 0, binding = slot) buffer kiln_inout_##name { type name[]; }
/* A read through a texel buffer (kiln_variant.texels): texelFetch(name, int(i)). */
#define KILN_TEXELS(slot, name) layout(set = 0, binding = slot) uniform textureBuffer name

/* The logical index of this workgroup; the recorder folds large grids into x, y, z and several dispatches. Returns from
 * main past the end, so every invocation of the group returns. */
#define KILN_GROUP(name)                                                                                             \
    const uint name = kiln_first_group + gl_WorkGroupID.x +                                                          \
                      gl_NumWorkGroups.x * (gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z);               \
    if (name >= kiln_group_end)                                                                                      \
        return

const uint KILN_INFINITY_BITS = 0x7f800000u;
#define KILN_INFINITY uintBitsToFloat(KILN_INFINITY_BITS)
#define KILN_MINUS_INFINITY uintBitsToFloat(0xff800000u)

/* NaN by its bits: drivers may assume that there is none. */
bool kiln_is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > KILN_INFINITY_BITS; }

/* max and min that pass NaN on, as the references do. */
float kiln_max(float a, float b) { return kiln_is_nan(a) ? a : kiln_is_nan(b) ? b : max(a, b); }
float kiln_min(float a, float b) { return kiln_is_nan(a) ? a : kiln_is_nan(b) ? b : min(a, b); }
