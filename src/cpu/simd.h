/*
 * simd.h - the one place where compilers' extensions are used: loops compiled two or three times, for the common denominator of
 * the architecture and for what the machine has.
 */
#ifndef KILN_CPU_SIMD_H
#define KILN_CPU_SIMD_H

#include <stdbool.h>

#include "cpu/cpu.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define KILN_HAVE_AVX2   1
#define KILN_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define KILN_INLINE      static inline __attribute__((always_inline))
#ifdef __clang__
#define KILN_TARGET_AVX512 \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"), min_vector_width(512)))
#else
#define KILN_TARGET_AVX512 \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")))
#endif
#define KILN_TARGET_VNNI __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")))
/** Whether this machine runs code compiled for KILN_TARGET_AVX2; for KILN_TARGET_AVX512. */
#define kiln_has_avx2()   (kiln_cpu_detect()->avx2)
#define kiln_has_avx512() (kiln_cpu_detect()->avx512)
#else
#define KILN_HAVE_AVX2 0
#define KILN_TARGET_AVX2
#define KILN_TARGET_AVX512
#define KILN_TARGET_VNNI
#define KILN_INLINE       static inline
#define kiln_has_avx2()   false
#define kiln_has_avx512() false
#endif

/** Keep what was loaded in its register: GCC would load it anew for each use. */
#if defined(__GNUC__) && defined(__x86_64__)
#define KILN_KEEP(vector) __asm__("" : "+v"(vector))
#else
#define KILN_KEEP(vector) (void)(vector)
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

/**
 * The same, and for AVX-512: for loops of long chains of arithmetic, as exp is. They wait for their own results, so that wider
 * vectors take no longer than narrow ones.
 */
#define KILN_WIDE_CLONES(name, parameters, arguments)       \
    KILN_TARGET_AVX512 static void name##_avx512 parameters \
    {                                                       \
        name##_body arguments;                              \
    }                                                       \
    KILN_TARGET_AVX2 static void name##_avx2 parameters     \
    {                                                       \
        name##_body arguments;                              \
    }                                                       \
    static void name##_plain parameters                     \
    {                                                       \
        name##_body arguments;                              \
    }                                                       \
    void name parameters                                    \
    {                                                       \
        if (kiln_has_avx512())                              \
            name##_avx512 arguments;                        \
        else if (kiln_has_avx2())                           \
            name##_avx2 arguments;                          \
        else                                                \
            name##_plain arguments;                         \
    }

/* Four floats, for what every machine has. */
typedef float kiln_four __attribute__((vector_size(16)));

KILN_INLINE kiln_four kiln_four_load(const float *from)
{
    kiln_four x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
}

KILN_INLINE void kiln_four_store(float *to, kiln_four x)
{
    __builtin_memcpy(to, &x, sizeof x);
}

/** Rows become columns. */
KILN_INLINE void kiln_four_transpose(kiln_four row[4])
{
    const kiln_four a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const kiln_four b = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const kiln_four c = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const kiln_four d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    row[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    row[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    row[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    row[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

typedef int kiln_four_mask __attribute__((vector_size(16)));

/** Elements 0, 2, 4, 6, or 1, 3, 5, 7, of the eight at `at`. */
KILN_INLINE kiln_four kiln_four_even(const float *at)
{
    return __builtin_shufflevector(kiln_four_load(at), kiln_four_load(at + 4), 0, 2, 4, 6);
}

KILN_INLINE kiln_four kiln_four_odd(const float *at)
{
    return __builtin_shufflevector(kiln_four_load(at), kiln_four_load(at + 4), 1, 3, 5, 7);
}

/** Store eight elements, even[0], odd[0], even[1], odd[1], ... */
KILN_INLINE void kiln_four_zip(float *at, kiln_four even, kiln_four odd)
{
    kiln_four_store(at, __builtin_shufflevector(even, odd, 0, 4, 1, 5));
    kiln_four_store(at + 4, __builtin_shufflevector(even, odd, 2, 6, 3, 7));
}

/** Four floats where the mask is set, else zeros. */
KILN_INLINE kiln_four kiln_four_masked(const float *from, const int *mask)
{
    kiln_four_mask m, x;
    __builtin_memcpy(&m, mask, sizeof m);
    __builtin_memcpy(&x, from, sizeof x);
    return (kiln_four)(m & x);
}

/** a where the mask is set, else b. */
KILN_INLINE kiln_four kiln_four_choose(kiln_four_mask mask, kiln_four a, kiln_four b)
{
    return (kiln_four)((mask & (kiln_four_mask)a) | (~mask & (kiln_four_mask)b));
}

#endif
