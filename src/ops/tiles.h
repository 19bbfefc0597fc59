/*
 * tiles.h - the tiles of shaders/include/tiled.glsl, and of coop_tiled.glsl by matrix units: which suits a product of matrices, and the
 * variants that use them.
 */
#ifndef KILN_OPS_TILES_H
#define KILN_OPS_TILES_H

#include <kiln/extend.h>

/* Results of a workgroup. */
struct kiln_tile {
    uint32_t rows, columns;
};

enum { KILN_TILE_LANES_USUAL = 128, KILN_TILE_LANES_FLAT = 128, KILN_TILE_LANES_LARGE = 256 };

enum { KILN_COOP_LANES = 128 }; /* of matrix units' tiles */

extern const struct kiln_tile kiln_tile_usual, kiln_tile_flat, kiln_tile_large;

/* The products of matrices that a dispatch is: how many at once, and the size of their results. */
struct kiln_products {
    uint64_t count, rows, columns;
};

/* A tile by matrix units, usual or large. */
struct kiln_coop {
    const kiln_caps *caps;
    const struct kiln_tile *tile;
    bool halves; /* of the operands; else floats, which are emulated alone */
    bool emulated;
};

/* Whether a device multiplies by matrix units, or plays some, and has room for the tile. */
bool kiln_coop_suits(const struct kiln_coop *c);
/* Whether that pays for sums over so many terms: on GPUs (and where KILN_LIMITS=gpu plays one), of halves, unless most of a tile were
 * empty. */
bool kiln_coop_pays(const struct kiln_coop *c, struct kiln_products x, uint64_t terms);

/* Workgroups that these take. */
uint64_t kiln_tile_groups(const struct kiln_tile *tile, struct kiln_products x);

/*
 * Whether a driver should see tiles at all: those that run on the CPU have no shared memory to win by, and take minutes and
 * gigabytes to compile the unrolled sums. KILN_LIMITS=gpu shows them there.
 */
bool kiln_tile_usual_suits(const kiln_caps *caps, struct kiln_products x);

bool kiln_tile_flat_suits(const kiln_caps *caps, struct kiln_products x);
/* Besides, whether the device has room for the large tile. */
bool kiln_tile_large_suits(const kiln_caps *caps, struct kiln_products x);

/* Whether the flat tile pays: the usual one would be half empty where it is not; the large one: there is work for a whole device;
 * the usual one does. */
bool kiln_tile_flat_pays(const kiln_caps *caps, struct kiln_products x);
bool kiln_tile_large_pays(const kiln_caps *caps, struct kiln_products x);
bool kiln_tile_usual_pays(const kiln_caps *caps, struct kiln_products x);

/* What a sum is split into: terms of so many products each, which take so many rounds of loops. */
struct kiln_terms {
    uint64_t count, weight, rounds;
};

/*
 * Into how many parts the sum over terms should be split, so that a GPU is busy although there are few tiles, and no driver goes
 * through its loops too often; 1 where neither asks for it. A divisor of the count of terms.
 */
uint64_t kiln_tile_splits(const kiln_caps *caps, struct kiln_products x, struct kiln_terms terms);

/* The variant KERNEL_tiled_TILE of a kernel, given KERNEL_products(d) and KERNEL_rounds(d). */
#define KILN_TILED(kernel, tile, title, spirv_, lanes_)                                     \
    static bool kernel##_##tile##_suits(const kiln_caps *caps, const kiln_dispatch *d)      \
    {                                                                                       \
        return kiln_tile_##tile##_suits(caps, kernel##_products(d));                        \
    }                                                                                       \
    static bool kernel##_##tile##_pays(const kiln_caps *caps, const kiln_dispatch *d)       \
    {                                                                                       \
        return kiln_tile_##tile##_pays(caps, kernel##_products(d));                         \
    }                                                                                       \
    static uint64_t kernel##_##tile##_groups(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                                       \
        (void)caps;                                                                         \
        return kiln_tile_groups(&kiln_tile_##tile, kernel##_products(d));                   \
    }                                                                                       \
    static const kiln_variant kernel##_tiled_##tile = {.name = title,                       \
                                                       .accepts = kernel##_##tile##_suits,  \
                                                       .pays = kernel##_##tile##_pays,      \
                                                       .groups = kernel##_##tile##_groups,  \
                                                       .rounds = kernel##_rounds,           \
                                                       .spirv = &kiln_spirv_##spirv_,       \
                                                       .half = &kiln_spirv_##spirv_##_half, \
                                                       .lanes = lanes_}

/* All of them, of the shaders SPIRV, SPIRV_flat and SPIRV_large. */
#define KILN_TILED_VARIANTS(kernel, spirv)                                        \
    KILN_TILED(kernel, large, "tiled_128", spirv##_large, KILN_TILE_LANES_LARGE); \
    KILN_TILED(kernel, flat, "tiled_32", spirv##_flat, KILN_TILE_LANES_FLAT);     \
    KILN_TILED(kernel, usual, "tiled_64", spirv, KILN_TILE_LANES_USUAL)

/* Rounds that played units take for a term, at the most. */
enum { KILN_COOP_ROUNDS = 160 };

/* The variant KERNEL_ID of a kernel, given KERNEL_products(d), KERNEL_terms(d), whether its operands, 0 and 1, lie as the shader reads
 * them, and the pair of tuning constants that says how. */
#define KILN_COOP(kernel, id, title, tile, played, lie, single, half_, layout)                \
    static struct kiln_coop kernel##_##id##_of(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                                         \
        return (struct kiln_coop){caps, &kiln_tile_##tile, (d->halves & 3) == 3, played};     \
    }                                                                                         \
    static bool kernel##_##id##_suits(const kiln_caps *caps, const kiln_dispatch *d)          \
    {                                                                                         \
        const struct kiln_coop c = kernel##_##id##_of(caps, d);                               \
        return kiln_coop_suits(&c) && (lie);                                                  \
    }                                                                                         \
    static bool kernel##_##id##_pays(const kiln_caps *caps, const kiln_dispatch *d)           \
    {                                                                                         \
        const struct kiln_coop c = kernel##_##id##_of(caps, d);                               \
        return kiln_coop_pays(&c, kernel##_products(d), kernel##_terms(d));                   \
    }                                                                                         \
    static uint64_t kernel##_##id##_rounds(const kiln_dispatch *d)                            \
    {                                                                                         \
        return kernel##_terms(d) * ((played) ? KILN_COOP_ROUNDS : 1);                         \
    }                                                                                         \
    static const kiln_variant kernel##_##id = {.name = title,                                 \
                                               .accepts = kernel##_##id##_suits,              \
                                               .pays = kernel##_##id##_pays,                  \
                                               .groups = kernel##_##tile##_groups,            \
                                               .rounds = kernel##_##id##_rounds,              \
                                               .spirv = single,                               \
                                               .half = &kiln_spirv_##half_,                   \
                                               .lanes = KILN_COOP_LANES,                      \
                                               .tuning = layout,                              \
                                               .tuning_count = 2}

/* All of them for a layout, of the shaders SPIRV and SPIRV_large; the emulated ones are for checks. KILN_COOP_LIST lists them. */
#define KILN_COOP_VARIANTS(kernel, layout, spirv, lie)                                                  \
    KILN_COOP(kernel, coop_large_##layout, "coop_128_" #layout, large, false, lie, NULL, spirv##_large, \
              layout);                                                                                  \
    KILN_COOP(kernel, coop_usual_##layout, "coop_64_" #layout, usual, false, lie, NULL, spirv, layout); \
    KILN_COOP(kernel, coop_large_emulated_##layout, "coop_128_emulated_" #layout, large, true, lie,     \
              &kiln_spirv_##spirv##_large_emulated, spirv##_large_emulated_half, layout);               \
    KILN_COOP(kernel, coop_usual_emulated_##layout, "coop_64_emulated_" #layout, usual, true, lie,      \
              &kiln_spirv_##spirv##_emulated, spirv##_emulated_half, layout)
#define KILN_COOP_LIST(kernel, layout)                                                                    \
    &kernel##_coop_large_##layout, &kernel##_coop_usual_##layout, &kernel##_coop_large_emulated_##layout, \
        &kernel##_coop_usual_emulated_##layout

#endif
