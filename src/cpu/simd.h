/*
 * simd.h - the one place where compilers' extensions are used: loops compiled twice, for the common denominator of the
 * architecture and for what the machine has.
 */
#ifndef KILN_CPU_SIMD_H
#define KILN_CPU_SIMD_H

#include <stdbool.h>

#if defined(__GNUC__) && defined(__x86_64__)
#define KILN_HAVE_AVX2   1
#define KILN_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define KILN_INLINE      static inline __attribute__((always_inline))
/** Whether this machine runs code compiled for KILN_TARGET_AVX2. */
#define kiln_has_avx2() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define KILN_HAVE_AVX2 0
#define KILN_TARGET_AVX2
#define KILN_INLINE     static inline
#define kiln_has_avx2() false
#endif

/**
 * Define `void name parameters` as name_body, an earlier KILN_INLINE function of the same parameters, compiled for AVX2
 * where the machine has it and for the baseline elsewhere.
 */
#define KILN_CLONES(name, parameters, arguments)        \
    KILN_TARGET_AVX2 static void name##_avx2 parameters \
    {                                                   \
        name##_body arguments;                          \
    }                                                   \
    static void name##_plain parameters                 \
    {                                                   \
        name##_body arguments;                          \
    }                                                   \
    void name parameters                                \
    {                                                   \
        if (kiln_has_avx2())                            \
            name##_avx2 arguments;                      \
        else                                            \
            name##_plain arguments;                     \
    }

#endif
