/*
 * reference.h - under every reference: the meaning of a kernel, in plain C.
 *
 * A file of references (kiln_references in meson.build) is compiled twice: with `real` float and with `real` double.
 * Both accumulate in double. KILN_REFERENCE(matmul) is the function's name in the build at hand.
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

#endif
