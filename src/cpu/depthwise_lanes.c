/* depthwise_lanes.c - the sums of depthwise_lanes_body.h for each set of vector instructions, and the choice among them. */
#include "cpu/depthwise_lanes.h"

#include "cpu/simd.h"

#define SUMS(name) name##_generic
#define SUMS_TARGET
#define SUMS_LANES 4
#include "cpu/depthwise_lanes_body.h"

#if defined(__x86_64__)
#define SUMS(name)  name##_avx2
#define SUMS_TARGET __attribute__((target("avx2,fma")))
#define SUMS_LANES  8
#include "cpu/depthwise_lanes_body.h"

#define SUMS(name)  name##_avx512
#define SUMS_TARGET __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))
#define SUMS_LANES  16
#include "cpu/depthwise_lanes_body.h"
#endif

const struct kiln_lanes_sums *kiln_lanes_get(void)
{
#if defined(__x86_64__)
    const struct kiln_cpu_features *features = kiln_cpu_detect();
    if (features->avx512)
        return &sums_avx512;
    if (features->avx2)
        return &sums_avx2;
#endif
    return &sums_generic;
}
