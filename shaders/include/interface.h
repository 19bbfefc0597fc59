/*
 * interface.h - the one header that is both C and GLSL: how a kernel's parameter block is declared.
 *
 *   KILN_PARAMS(softmax) {
 *       uint rows;
 *       KILN_REAL(epsilon);
 *   } KILN_PARAMS_END;
 *
 * In C this is struct kiln_params_softmax; in GLSL the block is `p`. Members are 4-byte scalars only, so that both sides
 * lay them out alike. A block of more than 120 bytes ends in KILN_END_UNIFORM, begins with its KILN_QUADS and is read from a
 * uniform buffer; the others are push constants, behind the recorder's two words.
 */
#ifdef KILN_GLSL

#define KILN_PARAMS(kernel) struct kiln_params
#define KILN_PARAMS_END                                                                                                     \
    ;                                                                                                                \
    layout(push_constant) uniform kiln_push                                                                          \
    {                                                                                                                \
        uint kiln_first_group, kiln_group_end;                                                                       \
        kiln_params p;                                                                                               \
    }
#define KILN_END_UNIFORM                                                                                             \
    ;                                                                                                                \
    layout(push_constant) uniform kiln_push                                                                          \
    {                                                                                                                \
        uint kiln_first_group, kiln_group_end;                                                                       \
    };                                                                                                               \
    layout(std140, set = 0, binding = 8) uniform kiln_block                                                          \
    {                                                                                                                \
        kiln_params p;                                                                                               \
    }
/* A real number: float here; the float64 reference adds the rest. */
#define KILN_REAL(name) float name, name##_rest
/* 4 * n words in a row; KILN_WORD(p.name, i) reads word i. */
#define KILN_QUADS(name, n) uvec4 name[n]
#define KILN_WORD(name, i) name[(i) >> 2][(i) & 3]

#else

#ifndef KILN_INTERFACE_H
#define KILN_INTERFACE_H
#include <stdint.h>
typedef uint32_t uint;
#define KILN_PARAMS(kernel) struct kiln_params_##kernel
#define KILN_PARAMS_END
#define KILN_END_UNIFORM
#define KILN_REAL(name) float name, name##_rest
#define KILN_QUADS(name, n) uint name[4 * (n)]
#define KILN_WORD(name, i) name[i]
/* Store and read a real of a block: all but the last 5 bits of a double survive. */
#define KILN_REAL_SET(block, name, value)                                                                            \
    ((block)->name = (float)(value), (block)->name##_rest = (float)((value) - (double)(block)->name))
#define KILN_REAL_GET(block, name) ((double)(block)->name + (double)(block)->name##_rest)
#endif

#endif
