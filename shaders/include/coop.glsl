/*
 * coop.glsl - what matrix units do, in a handful of operations (cooperative matrices): fragments of COOP_M x COOP_N sums in floats, to
 * which COOP_K products each are added at a time, of the elements of two slabs in shared memory. A subgroup holds a fragment together.
 *
 *   COOP_SHARED(a, b, sums)                    declare slab_a, slab_b, of so many elements, and coop_out, of so many sums
 *   COOP_A x; COOP_B x; COOP_SUM x             fragments: rows x terms, terms x columns, rows x columns
 *   COOP_LOAD_A(x, at, pitch, layout)          from slab_a, whose element `at` is the fragment's first and whose rows (COOP_ROWS) or
 *   COOP_LOAD_B(x, at, pitch, layout)          columns (COOP_COLUMNS) are `pitch` elements apart
 *   COOP_CLEAR(sum)
 *   COOP_MULTIPLY(a, b, sum)                   sum += a b
 *   COOP_DIVIDE(sum, by)                       each sum by that of another fragment in its place
 *   COOP_STORE(sum, at)                        to coop_out, row by row
 *   COOP_STORE_ROWS(sum, at, pitch)            the same with rows `pitch` apart
 *   COOP_LOAD_SUM(sum, at, pitch)              and back
 *   COOP_ID, COOP_COUNT                        which subgroup this is, and of how many
 *   COOP_LANE, COOP_LANES                      which of its invocations, and of how many
 *   COOP_MEET                                  what its invocations wrote to coop_out before, all of them read behind
 *
 * Sizes are the device's (kiln_caps.coop_size). Elements are halves, and LOADED is four of them side by side, as -DFOURS has it. In shared
 * memory STORED of them, 16 bytes, are one, as units read them: NVIDIA's do so row by row where that is what a slab's type promises. `at` and
 * `pitch` are multiples of it; STORE makes one of the loads i and so on. coop_out is of floats; with COOP_FOURS defined, of
 * fours, as words, since NVIDIA's units know no vectors of floats.
 *
 * -DCOOP_KHR   GL_KHR_cooperative_matrix
 * otherwise    GL_NV_cooperative_matrix, for compilers that know no other; tools/cooperative.py makes KHR's words of it
 * -DEMULATED   neither: lanes in groups of 32 stand for a subgroup and read the slabs element by element, which any device can do. It
 *              proves all that is built on these operations where there are no matrix units; without -DHALF, on floats.
 */
layout(constant_id = 26) const uint COOP_M = 16;
layout(constant_id = 27) const uint COOP_N = 16;
layout(constant_id = 28) const uint COOP_K = 16;

#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
#define FOURS
#ifdef HALF
#define LOADED uvec2
#define STORED 8u
#define STORED_TYPE uvec4
#define STORE(loaded, i) uvec4(loaded[i], loaded[(i) + 1u])
#else
#define LOADED vec4
#define STORED 4u
#define STORED_TYPE vec4
#define STORE(loaded, i) loaded[i]
#endif

#ifdef COOP_FOURS
#define COOP_OUT_STORED 4u
#define COOP_OUT_TYPE uvec4
#else
#define COOP_OUT_STORED 1u
#define COOP_OUT_TYPE float
#endif

/* Fragments want registers and so unrolled loops; for what is emulated, drivers on the CPU would need minutes to compile them. */
#ifdef EMULATED
#define COOP_UNROLL dont_unroll
#else
#define COOP_UNROLL unroll
#endif

#ifdef EMULATED

#define COOP_ID (LANE / 32u)
#define COOP_COUNT (LANES / 32u)
#define COOP_LANE (LANE % 32u)
#define COOP_LANES 32u
#define COOP_MEET barrier()
const uint COOP_PART = COOP_M * COOP_N / 32u;       /* sums of a lane */

/* A fragment stays where it was read. */
struct coop_operand {
    uint at, row, column;       /* of a slab: its first element, and how far apart rows and columns are */
};
#define COOP_A coop_operand
#define COOP_B coop_operand
#define COOP_ROWS true
#define COOP_COLUMNS false
#define COOP_LOAD_A(x, first, pitch, by_rows) x = coop_operand(first, by_rows ? pitch : 1u, by_rows ? 1u : pitch)
#define COOP_LOAD_B(x, first, pitch, by_rows) COOP_LOAD_A(x, first, pitch, by_rows)

struct coop_sum {
    float part[COOP_PART];
};
#define COOP_SUM coop_sum
#define COOP_CLEAR(sum)                                                                                              \
    for (uint coop_n = 0; coop_n < COOP_PART; coop_n++)                                                              \
        sum.part[coop_n] = 0.0
#ifdef COOP_FOURS
#define COOP_WRITE(i, x) coop_out[(i) / 4u][(i) % 4u] = floatBitsToUint(x)
#define COOP_READ(i) uintBitsToFloat(coop_out[(i) / 4u][(i) % 4u])
#else
#define COOP_WRITE(i, x) coop_out[i] = x
#define COOP_READ(i) coop_out[i]
#endif
#define COOP_PLACE(at, pitch, n) ((at) + ((n) * 32u + COOP_LANE) / COOP_N * (pitch) + ((n) * 32u + COOP_LANE) % COOP_N)
#define COOP_STORE_ROWS(sum, at, pitch)                                                                              \
    for (uint coop_n = 0; coop_n < COOP_PART; coop_n++)                                                              \
        COOP_WRITE(COOP_PLACE(at, pitch, coop_n), sum.part[coop_n])
#define COOP_LOAD_SUM(sum, at, pitch)                                                                                \
    for (uint coop_n = 0; coop_n < COOP_PART; coop_n++)                                                              \
        sum.part[coop_n] = COOP_READ(COOP_PLACE(at, pitch, coop_n))
#define COOP_DIVIDE(sum, by)                                                                                         \
    for (uint coop_n = 0; coop_n < COOP_PART; coop_n++)                                                              \
        sum.part[coop_n] /= by.part[coop_n]

#ifdef HALF
#define COOP_ELEMENT(slab, i) unpackHalf2x16(slab[(i) / 8u][(i) / 2u % 4u])[(i) % 2u]
#else
#define COOP_ELEMENT(slab, i) slab[(i) / 4u][(i) % 4u]
#endif

#define COOP_MULTIPLY(a, b, sum)                                                                                     \
    [[dont_unroll]] for (uint coop_n = 0; coop_n < COOP_PART; coop_n++) {                                            \
        const uint coop_i = (coop_n * 32u + COOP_LANE) / COOP_N, coop_j = (coop_n * 32u + COOP_LANE) % COOP_N;       \
        [[dont_unroll]] for (uint coop_t = 0; coop_t < COOP_K; coop_t++)                                             \
            sum.part[coop_n] += COOP_ELEMENT(slab_a, a.at + coop_i * a.row + coop_t * a.column) *                    \
                           COOP_ELEMENT(slab_b, b.at + coop_t * b.row + coop_j * b.column);                          \
    }

#else

#pragma use_vulkan_memory_model
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#define COOP_ID gl_SubgroupID
#define COOP_COUNT gl_NumSubgroups
#define COOP_LANE gl_SubgroupInvocationID
#define COOP_LANES gl_SubgroupSize
#define COOP_MEET subgroupBarrier()

#ifdef COOP_KHR
#extension GL_KHR_cooperative_matrix : require
#define COOP_A coopmat<float16_t, gl_ScopeSubgroup, COOP_M, COOP_K, gl_MatrixUseA>
#define COOP_B coopmat<float16_t, gl_ScopeSubgroup, COOP_K, COOP_N, gl_MatrixUseB>
#define COOP_SUM coopmat<float, gl_ScopeSubgroup, COOP_M, COOP_N, gl_MatrixUseAccumulator>
#define COOP_ROWS gl_CooperativeMatrixLayoutRowMajor
#define COOP_COLUMNS gl_CooperativeMatrixLayoutColumnMajor
#define COOP_LOAD(x, slab, at, pitch, layout) coopMatLoad(x, slab, (at) / STORED, (pitch) / STORED, layout)
#define COOP_MULTIPLY(a, b, sum) sum = coopMatMulAdd(a, b, sum)
#define COOP_STORE_ROWS(sum, at, pitch)                                                                              \
    coopMatStore(sum, coop_out, (at) / COOP_OUT_STORED, (pitch) / COOP_OUT_STORED, COOP_ROWS)
#define COOP_LOAD_SUM(sum, at, pitch)                                                                                \
    coopMatLoad(sum, coop_out, (at) / COOP_OUT_STORED, (pitch) / COOP_OUT_STORED, COOP_ROWS)
#else
#extension GL_NV_cooperative_matrix : require
#define COOP_A fcoopmatNV<16, gl_ScopeSubgroup, COOP_M, COOP_K>
#define COOP_B fcoopmatNV<16, gl_ScopeSubgroup, COOP_K, COOP_N>
#define COOP_SUM fcoopmatNV<32, gl_ScopeSubgroup, COOP_M, COOP_N>
#define COOP_ROWS false
#define COOP_COLUMNS true
#define COOP_LOAD(x, slab, at, pitch, layout) coopMatLoadNV(x, slab, (at) / STORED, (pitch) / STORED, layout)
#define COOP_MULTIPLY(a, b, sum) sum = coopMatMulAddNV(a, b, sum)
#define COOP_STORE_ROWS(sum, at, pitch)                                                                              \
    coopMatStoreNV(sum, coop_out, (at) / COOP_OUT_STORED, (pitch) / COOP_OUT_STORED, COOP_ROWS)
#define COOP_LOAD_SUM(sum, at, pitch)                                                                                \
    coopMatLoadNV(sum, coop_out, (at) / COOP_OUT_STORED, (pitch) / COOP_OUT_STORED, COOP_ROWS)
#endif
#define COOP_LOAD_A(x, at, pitch, layout) COOP_LOAD(x, slab_a, at, pitch, layout)
#define COOP_LOAD_B(x, at, pitch, layout) COOP_LOAD(x, slab_b, at, pitch, layout)
#define COOP_CLEAR(sum) sum = COOP_SUM(0.0)
#define COOP_DIVIDE(sum, by) sum = sum / by

#endif

#define COOP_STORE(sum, at) COOP_STORE_ROWS(sum, at, COOP_N)

#define COOP_SHARED(a, b, sums)                                                                                      \
    shared STORED_TYPE slab_a[(a) / STORED], slab_b[(b) / STORED];                                                   \
    shared COOP_OUT_TYPE coop_out[(sums) / COOP_OUT_STORED]
