/*
 * chain.h - the steps of a chain, run on blocks of elements by loops that vectorize. References run them one element at a
 * time by kiln_cpu_step (reference.h).
 */
#ifndef KILN_CPU_CHAIN_H
#define KILN_CPU_CHAIN_H

#include <stdint.h>

/** Elements of a block at the most. */
#define KILN_CHAIN_BLOCK 256

/** Registers of a chain: operands, results of steps, immediates (chain/codes.h). */
#define KILN_CHAIN_REGISTERS 24

/**
 * Run steps on `count` elements: step s reads its registers and writes register 8 + s.
 *
 * registers[r] points to count words of 4 bytes, reals or int32_t as the codes say; it is needed for registers that are read or
 * written only, and what a step writes may overlap nothing else. Immediates are registers as well: the caller fills
 * them. A result never depends on count or on the element's place in the block.
 * Accuracy: exp, log, sigmoid, tanh, asin, acos, atan, atan2, erf 3 ulp, expm1, log1p, softplus, tan 4 ulp, asinh, acosh, mish
 * 5 ulp, sinh, cosh, atanh, gelu 6 ulp, sin, cos 2^-23 absolute, pow as the C library's powf; silu and the gradients of
 * activations as shaders/include/activations.glsl says; all others as C.
 */
void kiln_chain_run_f32(const uint32_t *step, int steps, float *const registers[KILN_CHAIN_REGISTERS],
                        int count);

#endif
