/* cpu.h - which vector instructions this processor has, for the kernels that use them. */
#ifndef KILN_CPU_CPU_H
#define KILN_CPU_CPU_H

#include <stdbool.h>

struct kiln_cpu_features {
    bool avx2;   /* AVX2 with FMA */
    bool avx512; /* AVX-512 F, BW, DQ and VL; implies avx2 */
    bool vnni;   /* AVX-512 VNNI: products of bytes; implies avx512 */
    bool neon;   /* AArch64's vectors */
};

/**
 * What the processor and the system support, less what the environment's KILN_CPU hides: "generic" hides all,
 * "avx2" hides AVX-512, "avx512" hides VNNI. Found out once: any thread may ask.
 */
const struct kiln_cpu_features *kiln_cpu_detect(void);

/** "AVX-512", "AVX2", "NEON" or "generic". */
const char *kiln_cpu_name(const struct kiln_cpu_features *features);

#endif
