/*
 * philox.h - Philox 4x32-10 on many counters side by side, so that its rounds are vectors.
 *
 * Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 */
#ifndef KILN_CPU_PHILOX_H
#define KILN_CPU_PHILOX_H

#include <stdint.h>

/** Counters of a call. */
enum { KILN_PHILOX = 64 };

/**
 * bits[4 i + j] = word j of Philox 4x32-10 with counter {four[i], row[i], step, stream} and key {seed, 0}, for i < KILN_PHILOX.
 */
void kiln_cpu_philox(const uint32_t *four, const uint32_t *row, uint32_t step, uint32_t stream, uint32_t seed,
                     uint32_t *bits);

#endif
