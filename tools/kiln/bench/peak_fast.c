/* peak_fast.c - multiplications and additions that only registers hold up, in the widest vectors that the processor has. */
#include "peak.h"

#include <string.h>

#include "cpu/cpu.h"
#include "cpu/simd.h"
#include "peak/peak.h"

/*
 * Define `name`: as many elements as a vector has lanes, their chains in PEAK_CHAINS registers. The vectors are extensions of the
 * compiler's, as in simd.h.
 */
#define PEAK(name, lanes, target)                                                                      \
    typedef float name##_vector __attribute__((vector_size(4 * (lanes))));                             \
    target static void name(const struct kiln_params_peak *p, float first, float *y, size_t at)        \
    {                                                                                                  \
        for (size_t i = 0; i < BENCH_PEAK_TOGETHER; i += (lanes)) {                                    \
            name##_vector x[PEAK_CHAINS], sum = {0};                                                   \
            for (int c = 0; c < PEAK_CHAINS; c++)                                                      \
                for (int l = 0; l < (lanes); l++)                                                      \
                    x[c][l] = (float)c + (float)(at + i + (size_t)l) / 1048576 + first;                \
            name##_vector x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5], x6 = x[6], \
                          x7 = x[7], x8 = x[8], x9 = x[9], xa = x[10], xb = x[11];                     \
            const name##_vector scale = p->scale - (name##_vector){0},                                 \
                                shift = p->shift - (name##_vector){0};                                 \
            for (uint turn = 0; turn < p->turns; turn++) {                                             \
                x0 = x0 * scale + shift, x1 = x1 * scale + shift, x2 = x2 * scale + shift;             \
                x3 = x3 * scale + shift, x4 = x4 * scale + shift, x5 = x5 * scale + shift;             \
                x6 = x6 * scale + shift, x7 = x7 * scale + shift, x8 = x8 * scale + shift;             \
                x9 = x9 * scale + shift, xa = xa * scale + shift, xb = xb * scale + shift;             \
            }                                                                                          \
            sum = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + xa + xb;                           \
            memcpy(y + at + i, &sum, sizeof sum);                                                      \
        }                                                                                              \
    }

PEAK(peak_plain, 4, )
#if KILN_HAVE_AVX2
PEAK(peak_avx2, 8, KILN_TARGET_AVX2)
PEAK(peak_avx512, 16, __attribute__((target("avx512f,avx2,fma"))))
#endif

typedef void peak_fn(const struct kiln_params_peak *p, float first, float *y, size_t at);

static peak_fn *widest(void)
{
#if KILN_HAVE_AVX2
    const struct kiln_cpu_features *has = kiln_cpu_detect();
    if (has->avx2)
        return has->avx512 ? peak_avx512 : peak_avx2;
#endif
    return peak_plain;
}

void bench_peak_cpu(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    peak_fn *const run = widest();
    (void)worker;
    for (size_t i = first; i < first + count; i++)
        run((const struct kiln_params_peak *)d->block.words, *(const float *)m->at[0], m->at[1],
            i * BENCH_PEAK_TOGETHER);
}
