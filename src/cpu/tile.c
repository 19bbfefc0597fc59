/* tile.c - the tiles of tile_body.h for each set of vector instructions and several widths, and the choice among them. */
#include "cpu/tile.h"

#include "cpu/cpu.h"

/* What every machine has: vectors of four. */
#define TILE(name) name##_generic_4
#define TILE_TARGET
#define TILE_LANES   4
#define TILE_VECTORS 1
#define TILE_MOST    4
#define TILE_ROWS(X) X(1) X(2) X(3) X(4)
#define TILE_NARROW  NULL
#include "cpu/tile_body.h"

#define TILE(name) name##_generic
#define TILE_TARGET
#define TILE_LANES   4
#define TILE_VECTORS 2
#define TILE_MOST    4
#define TILE_ROWS(X) X(1) X(2) X(3) X(4)
#define TILE_NARROW  &tiles_generic_4
#include "cpu/tile_body.h"

#if defined(__aarch64__)
#define TILE(name) name##_neon_8
#define TILE_TARGET
#define TILE_LANES   4
#define TILE_VECTORS 2
#define TILE_MOST    6
#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define TILE_NARROW  NULL
#include "cpu/tile_body.h"

#define TILE(name) name##_neon
#define TILE_TARGET
#define TILE_LANES   4
#define TILE_VECTORS 4
#define TILE_MOST    6
#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define TILE_NARROW  &tiles_neon_8
#include "cpu/tile_body.h"
#endif

#if defined(__x86_64__)
#define AVX2   __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))

#define TILE(name)   name##_avx2_8
#define TILE_TARGET  AVX2
#define TILE_LANES   8
#define TILE_VECTORS 1
#define TILE_MOST    6
#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define TILE_NARROW  NULL
#include "cpu/tile_body.h"

#define TILE(name)   name##_avx2
#define TILE_TARGET  AVX2
#define TILE_LANES   8
#define TILE_VECTORS 2
#define TILE_MOST    6
#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define TILE_NARROW  &tiles_avx2_8
#include "cpu/tile_body.h"

#define TWELVE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

#define TILE(name)   name##_avx512_8
#define TILE_TARGET  AVX512
#define TILE_LANES   8
#define TILE_VECTORS 1
#define TILE_MOST    12
#define TILE_ROWS(X) TWELVE(X)
#define TILE_NARROW  NULL
#include "cpu/tile_body.h"

#define TILE(name)   name##_avx512_16
#define TILE_TARGET  AVX512
#define TILE_LANES   16
#define TILE_VECTORS 1
#define TILE_MOST    12
#define TILE_ROWS(X) TWELVE(X)
#define TILE_NARROW  &tiles_avx512_8
#include "cpu/tile_body.h"

#define TILE(name)   name##_avx512
#define TILE_TARGET  AVX512
#define TILE_LANES   16
#define TILE_VECTORS 2
#define TILE_MOST    12
#define TILE_ROWS(X) TWELVE(X)
#define TILE_NARROW  &tiles_avx512_16
#include "cpu/tile_body.h"
#endif

const struct kiln_tiles *kiln_tiles_get(void)
{
    const struct kiln_cpu_features *features = kiln_cpu_detect();
#if defined(__x86_64__)
    if (features->avx512)
        return &tiles_avx512;
    if (features->avx2)
        return &tiles_avx2;
#elif defined(__aarch64__)
    if (features->neon)
        return &tiles_neon;
#endif
    return &tiles_generic;
}
