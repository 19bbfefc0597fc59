/* cpu.c - asks the processor through the compiler's run-time support, which knows what the system saves, too. */
#include "cpu/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct kiln_cpu_features probe(void)
{
    struct kiln_cpu_features f = {0};

#if defined(__x86_64__) && defined(__GNUC__)
    f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    f.vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    f.neon = true;
#endif
    return f;
}

static struct kiln_cpu_features found;
static atomic_bool is_found;

static void find(void)
{
    const char *hide = getenv("KILN_CPU");

    found = probe();
    if (hide && strcmp(hide, "generic") == 0)
        found = (struct kiln_cpu_features){0};
    else if (hide && strcmp(hide, "avx2") == 0)
        found.avx512 = found.vnni = false;
    else if (hide && strcmp(hide, "avx512") == 0)
        found.vnni = false;
    atomic_store_explicit(&is_found, true, memory_order_release);
}

const struct kiln_cpu_features *kiln_cpu_detect(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!atomic_load_explicit(&is_found, memory_order_acquire)) /* kernels ask within their loops */
        pthread_once(&once, find);
    return &found;
}

const char *kiln_cpu_name(const struct kiln_cpu_features *features)
{
    if (features->avx512)
        return "AVX-512";
    if (features->avx2)
        return "AVX2";
    return features->neon ? "NEON" : "generic";
}
