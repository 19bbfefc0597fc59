/*
 * reference.h - under every reference: the meaning of a kernel, in plain C.
 *
 * A file of references (kiln_references in meson.build) is compiled twice: with `real` float and with `real` double.
 * Both accumulate in double; integers and truth values are int32_t in both. KILN_REFERENCE(matmul) is the function's
 * name in the build at hand.
 */
#ifndef KILN_CPU_REFERENCE_H
#define KILN_CPU_REFERENCE_H

#include <kiln/extend.h>

#define X(name) kiln_reference_fn kiln_reference_##name##_f32, kiln_reference_##name##_f64;
#include "ops/kernels.def"
#undef X

#if KILN_REAL_IS_DOUBLE
typedef double real;
#define KILN_REFERENCE(name) kiln_reference_##name##_f64
#else
typedef float real;
#define KILN_REFERENCE(name) kiln_reference_##name##_f32
#endif

/** A register of a chain (chain/codes.h). */
typedef union kiln_register {
    real f;
    int32_t i;
    uint32_t u;
} kiln_register;

/** One step of a chain on registers[24]; the caller stores the result in the step's own. */
kiln_register KILN_REFERENCE(step)(uint32_t step, const kiln_register *registers);
#define kiln_cpu_step KILN_REFERENCE(step)

#endif
