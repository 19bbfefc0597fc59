/*
 * kiln.glsl - the thin layer under every compute shader: bindings, group index, group reductions.
 *
 * Include it first, then the kernel's parameter block. Specialization constant 0 is the workgroup's size (LANES), 1 to 24 are
 * the contract's (KILN_CONSTANT), 25 says which bindings hold halves, 32 and up are the variant's tuning (KILN_TUNING). Nothing
 * here needs an optional feature, except that HALF wants buffers of 16-bit elements.
 *
 * A real operand has elements of type T: float, or half in what -DHALF compiles. Half is a type of memory alone, there is no
 * arithmetic on it: read float(x[i]), compute in float, write y[i] = T(value). Integers and truth values are 32-bit words.
 */
#define KILN_GLSL 1
#ifdef HALF
#extension GL_EXT_shader_16bit_storage : require
#endif
#ifdef PAIRS
#extension GL_ARB_gpu_shader_int64 : require
#endif
#include "interface.h"

layout(local_size_x_id = 0) in;
#define LANES gl_WorkGroupSize.x
#define LANE gl_LocalInvocationID.x

#define KILN_CONSTANT(index, name) layout(constant_id = 1 + (index)) const uint name = 0
#define KILN_TUNING(index, name, usual) layout(constant_id = 32 + (index)) const uint name = usual

#ifdef HALF
#define T float16_t
#define WORD uint16_t           /* an element that is moved as it is */
#else
#define T float
#define WORD uint
#endif

/* Bindings: elements of type `type`; outputs may alias inputs, so nothing is restrict. */
#define KILN_IN(slot, type, name)                                                                                    \
    layout(std430, set = 0, binding = slot) readonly buffer kiln_in_##name { type name[]; }
#define KILN_OUT(slot, type, name)                                                                                   \
    layout(std430, set = 0, binding = slot) writeonly buffer kiln_out_##name { type name[]; }
#define KILN_INOUT(slot, type, name)                                                                                 \
    layout(std430, set = 0, binding = slot) buffer kiln_inout_##name { type name[]; }
/* A read through a texel buffer (kiln_variant.texels): texelFetch(name, int(i)). */
#define KILN_TEXELS(slot, name) layout(set = 0, binding = slot) uniform textureBuffer name
/* The scratch through an image of four floats an element (kiln_variant.scratch_fours). What one lane stores another may load behind
 * memoryBarrierImage() and barrier(). */
#define KILN_SCRATCH_FOURS(name) layout(rgba32f, set = 0, binding = 9) coherent uniform imageBuffer name

/* A binding whose elements are halves in one dispatch and 32-bit words in the next, whatever the others are: bit `slot` of
 * KILN_HALVES says which. KILN_LOAD gives an element as the 32 bits of a float or a word, and KILN_SAVE takes them. */
#ifdef HALF
layout(constant_id = 25) const uint KILN_HALVES = 0;
#define KILN_IS_HALF(slot) ((KILN_HALVES >> (slot) & 1u) != 0u)
#define KILN_IN_ANY(slot, name)                                                                                      \
    KILN_IN(slot, uint, name);                                                                                       \
    KILN_IN(slot, float16_t, name##_half)
#define KILN_OUT_ANY(slot, name)                                                                                     \
    KILN_OUT(slot, uint, name);                                                                                      \
    KILN_OUT(slot, float16_t, name##_half)
#define KILN_LOAD(slot, name, i) (KILN_IS_HALF(slot) ? floatBitsToUint(float(name##_half[i])) : name[i])
#define KILN_SAVE(slot, name, i, bits)                                                                               \
    if (KILN_IS_HALF(slot))                                                                                          \
        name##_half[i] = float16_t(uintBitsToFloat(bits));                                                           \
    else                                                                                                             \
        name[i] = bits
/* Elements 4 i to 4 i + 3 at once, of a binding that is declared both ways. -DPAIRS stores words as pairs, in integers of 64 bits: for
 * llvmpipe, which stores component by component, lane by lane. */
#define KILN_OUT_FOURS(slot, name)                                                                                   \
    KILN_OUT(slot, KILN_FOUR, name##_fours);                                                                             \
    KILN_OUT(slot, f16vec4, name##_half_fours)
#define KILN_SAVE_FOUR(slot, name, i, bits)                                                                          \
    if (KILN_IS_HALF(slot))                                                                                          \
        name##_half_fours[i] = f16vec4(uintBitsToFloat(bits));                                                       \
    else                                                                                                             \
        name##_fours[i] = kiln_four(bits)
#else
#define KILN_IS_HALF(slot) false
#define KILN_OUT_FOURS(slot, name) KILN_OUT(slot, KILN_FOUR, name##_fours)
#define KILN_SAVE_FOUR(slot, name, i, bits) name##_fours[i] = kiln_four(bits)
#define KILN_IN_ANY(slot, name) KILN_IN(slot, uint, name)
#define KILN_OUT_ANY(slot, name) KILN_OUT(slot, uint, name)
#define KILN_LOAD(slot, name, i) name[i]
#define KILN_SAVE(slot, name, i, bits) name[i] = bits
#endif

#ifdef PAIRS
#define KILN_FOUR u64vec2
u64vec2 kiln_four(uvec4 bits) { return u64vec2(packUint2x32(bits.xy), packUint2x32(bits.zw)); }
#else
#define KILN_FOUR uvec4
uvec4 kiln_four(uvec4 bits) { return bits; }
#endif

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
