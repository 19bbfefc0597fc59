/*
 * matmul_kernel.c - the contract of matmul: its units, its windows and its variants.
 *
 * On a GPU a workgroup shares tiles of results through its own memory (ops/tiles.h). Drivers that run on the CPU
 * have no such memory: there each invocation keeps 8 x 8 results, or more of them, and reads through texel
 * buffers where they are large enough, since those skip the driver's range check of every load. Where elements lie so, it reads
 * four of them at once: that is one load a lane instead of four, and a third of the instructions. So do the tiles. Where lanes
 * may hand on what they loaded, a load serves several of them.
 */
#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/matmul.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/tiles.h"
#include "shaders.h"

static const struct kiln_params_matmul *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul *)d->block.words;
}

/* Elements from the first of an operand to its last, both counted. */
static uint64_t span_of_a(const struct kiln_params_matmul *p)
{
    const uint64_t batch0 = p->batch / (p->batch1 * p->batch2);
    return 1 + (uint64_t)(p->m - 1) * p->a_m + (uint64_t)(p->k ? p->k - 1 : 0) * p->a_k +
           (batch0 - 1) * p->a_batch0 + (uint64_t)(p->batch1 - 1) * p->a_batch1 +
           (uint64_t)(p->batch2 - 1) * p->a_batch2;
}

static uint64_t span_of_b(const struct kiln_params_matmul *p)
{
    const uint64_t batch0 = p->batch / (p->batch1 * p->batch2);
    return 1 + (uint64_t)(p->n - 1) * p->b_n + (uint64_t)(p->k ? p->k - 1 : 0) * p->b_k +
           (batch0 - 1) * p->b_batch0 + (uint64_t)(p->batch1 - 1) * p->b_batch1 +
           (uint64_t)(p->batch2 - 1) * p->b_batch2;
}

static uint64_t span_of_c(const struct kiln_params_matmul *p)
{
    return (uint64_t)(p->batch - 1) * p->c_batch + (uint64_t)(p->m - 1) * p->c_m + p->n;
}

/* Let binding i begin `skip` elements further on and hold `span` of them behind its first. */
static void narrow(kiln_dispatch *d, int i, uint64_t skip, uint64_t span)
{
    d->bind[i].offset += skip * d->element[i];
    d->bind[i].bytes = span * d->element[i];
}

/* Narrow c and the epilogue's operands that are walked like it, along rows or columns. */
static void narrow_result(kiln_dispatch *d, uint64_t skip, uint32_t walk, uint64_t first, uint64_t count)
{
    const struct kiln_params_matmul *p = block_of(d);
    narrow(d, 2, skip, p->c_first + span_of_c(p));
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
        const uint32_t own = d->constants[0] >> (16 + 4 * i) & 15;
        if (d->bind[3 + i].value.id == 0)
            continue;
        if (own == KILN_WALK_FLAT)
            narrow(d, 3 + i, skip, p->c_first + span_of_c(p));
        else if (own == walk)
            narrow(d, 3 + i, first, count);
    }
}

/* Along the batch where it is one axis. */
static uint64_t batch_extent(const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    return p->batch == p->batch2 ? p->batch : 1;
}

/* The fewest matrices behind which all operands are at a multiple of 256 bytes. */
static uint64_t batch_unit(const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    const uint64_t grain = kiln_dispatch_unit(d);
    uint64_t unit = 1;
    while (unit * p->a_batch2 % grain || unit * p->b_batch2 % grain || unit * p->c_batch % grain)
        unit++;
    return unit;
}

static void batch_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_matmul *p = (struct kiln_params_matmul *)d->block.words;
    p->batch = p->batch2 = (uint32_t)count;
    narrow(d, 0, first * p->a_batch2, p->a_first + span_of_a(p));
    narrow(d, 1, first * p->b_batch2, p->b_first + span_of_b(p));
    narrow_result(d, first * p->c_batch, KILN_WALK_STRIDED, 0, 0);
}

static uint64_t m_extent(const kiln_dispatch *d)
{
    return block_of(d)->m;
}

static void m_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_matmul *p = (struct kiln_params_matmul *)d->block.words;
    p->m = (uint32_t)count;
    narrow(d, 0, first * p->a_m, p->a_first + span_of_a(p));
    narrow_result(d, first * p->c_m, KILN_WALK_ROW, first, count);
}

static uint64_t n_extent(const kiln_dispatch *d)
{
    return block_of(d)->n;
}

static void n_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_matmul *p = (struct kiln_params_matmul *)d->block.words;
    p->n = (uint32_t)count;
    narrow(d, 1, first * p->b_n, p->b_first + span_of_b(p));
    narrow_result(d, first, KILN_WALK_COLUMN, first, count);
}

static uint64_t matmul_units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->batch * block_of(d)->m;
}

static double matmul_flops(const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    return 2.0 * p->batch * p->m * p->n * p->k;
}

/* Variants ----------------------------------------------------------------------------------------------- */

static uint64_t tiles(const struct kiln_params_matmul *p, uint32_t rows, uint32_t columns)
{
    return (uint64_t)p->batch * ((p->m + rows - 1) / rows) * ((p->n + columns - 1) / columns);
}

static uint64_t direct_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (tiles(block_of(d), 8, 8) + 63) / 64;
}

enum { SWIFTSHADER = 0x1ae0 }; /* PCI id */

/* SwiftShader reads texels slower than buffers: what fits its 65,536 takes 1.6 times as long. kiln tune found it. */
static bool texels_pay(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)d;
    return caps->software && caps->vendor != SWIFTSHADER;
}

static bool fits_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    return p->a_first + span_of_a(p) <= caps->max_texels && p->b_first + span_of_b(p) <= caps->max_texels;
}

static bool whole_fours(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    return ((a | b | c | d) & 3) == 0;
}

/* Whether a is read in fours, of rows or of terms, each at a multiple of four elements. */
static bool a_fours(const struct kiln_params_matmul *p, bool rows)
{
    return p->k > 0 && p->k % 4 == 0 && whole_fours(p->a_first, p->a_batch0, p->a_batch1, p->a_batch2) &&
           (rows ? p->a_m == 1 && p->m % 4 == 0 && p->a_k % 4 == 0 : p->a_k == 1 && p->a_m % 4 == 0);
}

/* Likewise b, of terms or of columns. Columns may end within a four if the rest of it is there to be read. */
static bool b_fours(const kiln_dispatch *d, bool terms)
{
    const struct kiln_params_matmul *p = block_of(d);
    return whole_fours(p->b_first, p->b_batch0, p->b_batch1, p->b_batch2) &&
           (terms ? p->b_k == 1 && p->b_n % 4 == 0
                  : p->b_n == 1 && p->b_k % 4 == 0 && p->b_k >= p->n &&
                        (p->n % 4 == 0 || d->bind[1].bytes == 0));
}

/* Whether rows of b's columns lie densely, so that every fourth begins at a four and the next one `shift` elements behind one. */
static bool b_shifted(const kiln_dispatch *d, uint32_t shift)
{
    const struct kiln_params_matmul *p = block_of(d);
    return whole_fours(p->b_first, p->b_batch0, p->b_batch1, p->b_batch2) && p->b_n == 1 && p->b_k == p->n &&
           p->n % 4 == shift;
}

static bool c_fours(const struct kiln_params_matmul *p)
{
    return whole_fours(p->c_first, p->c_batch, p->c_m, p->n);
}

/*
 * Tiles of fours: the larger, the less is loaded for each product; but of what a tile sticks out the rest is lost, and few tiles leave
 * threads without any.
 */
enum { FOURS_LANES = KILN_TEAM_LANES, TALL_GROUPS = 16 };

#define FOURS_TILE(name, rows, columns)                                          \
    static uint64_t name##_results(const kiln_dispatch *d)                       \
    {                                                                            \
        return tiles(block_of(d), rows, columns) * (rows) * (columns);           \
    }                                                                            \
    static uint64_t name##_groups(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                            \
        (void)caps;                                                              \
        return kiln_parts(tiles(block_of(d), rows, columns), FOURS_LANES);       \
    }
FOURS_TILE(square, 8, 8)
FOURS_TILE(tall, 16, 16)
FOURS_TILE(narrow, 32, 4)

static bool square_pays(const kiln_caps *caps, const kiln_dispatch *d)
{
    return kiln_on_software(caps, d);
}

static bool tall_pays(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->software && 4 * tall_results(d) <= 5 * square_results(d) &&
           tall_groups(caps, d) >= TALL_GROUPS;
}

static bool narrow_pays(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->software && 3 * narrow_results(d) <= 2 * square_results(d);
}

static uint64_t matmul_terms(const kiln_dispatch *d)
{
    return block_of(d)->k;
}

/* Of the variants that go term by term. */
static uint64_t matmul_rounds(const kiln_dispatch *d)
{
    return matmul_terms(d);
}

/*
 * Teams of lanes that load for each other: `across` tiles stand side by side, the others below. Costs are processor time by result on
 * lavapipe, in products of 512 terms, over the cheapest's: the fewer loads and the larger the tiles, the less; but of what sticks out the
 * rest is lost, and so is what threads without a team could do.
 */
enum { TEAM_16x128, TEAM_32x64, TEAM_64x32, TEAM_128x16, TEAM_8x64, TEAM_16x32, TEAMS };

static const struct team {
    uint32_t rows, columns; /* of the team's results */
    uint32_t across;
    uint32_t cost; /* in hundredths */
} teams[TEAMS] = {
    [TEAM_16x128] = {16, 128, 8, 100}, [TEAM_32x64] = {32, 64, 4, 104}, [TEAM_64x32] = {64, 32, 2, 109},
    [TEAM_128x16] = {128, 16, 1, 137}, [TEAM_8x64] = {8, 64, 8, 130},   [TEAM_16x32] = {16, 32, 4, 120},
};

enum {
    TEAM_THREADS = 4, /* among which teams are shared out */
    ALONE_COST = 160, /* of lanes that load for themselves */
};

/* Results that do not lie in fours are stored so that a lane has one edge: its team's to the left or right, or where rows end. */
static bool team_stores(const kiln_dispatch *d, int team)
{
    const struct team *t = &teams[team];
    const uint32_t rest = block_of(d)->n % t->columns;
    return c_fours(block_of(d)) || (t->across > 1 && (rest == 0 || rest >= t->columns / t->across));
}

static bool team_accepts(const kiln_caps *caps, const kiln_dispatch *d, int team)
{
    return kiln_has_teams(caps) && team_stores(d, team);
}

static uint64_t team_groups(const kiln_dispatch *d, int team)
{
    return tiles(block_of(d), teams[team].rows, teams[team].columns);
}

static uint64_t team_cost(const kiln_dispatch *d, int team)
{
    const struct team *t = &teams[team];
    return kiln_round_up(team_groups(d, team), TEAM_THREADS) * t->rows * t->columns * t->cost;
}

static bool team_pays(const kiln_caps *caps, const kiln_dispatch *d, int team)
{
    const uint64_t cost = team_cost(d, team);
    for (int other = 0; other < TEAMS; other++)
        if (team_stores(d, other) && team_cost(d, other) < cost)
            return false;
    return caps->software && cost <= ALONE_COST * square_results(d);
}

#define TEAM(size)                                                                      \
    static uint64_t team_##size##_groups(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                                   \
        (void)caps;                                                                     \
        return team_groups(d, TEAM_##size);                                             \
    }                                                                                   \
    static bool team_##size##_pays(const kiln_caps *caps, const kiln_dispatch *d)       \
    {                                                                                   \
        return team_pays(caps, d, TEAM_##size);                                         \
    }
TEAM(16x128)
TEAM(32x64)
TEAM(64x32)
TEAM(128x16)
TEAM(8x64)
TEAM(16x32)

/* Fours of a along rows or terms, and of b along terms or columns, unless it is read one by one; results in fours or alone. */
#define FOURS_OF(id, tile, shader, texel_fours, ...)                     \
    static const uint32_t id##_tuning[] = {__VA_ARGS__};                 \
    static const kiln_variant id = {.name = #id,                         \
                                    .accepts = id##_accepts,             \
                                    .pays = tile##_pays,                 \
                                    .groups = tile##_groups,             \
                                    .rounds = matmul_rounds,             \
                                    .spirv = &kiln_spirv_##shader,       \
                                    .half = &kiln_spirv_##shader##_half, \
                                    .lanes = FOURS_LANES,                \
                                    .texels = 1 << 0 | 1 << 1,           \
                                    .fours = texel_fours,                \
                                    .tuning = id##_tuning,               \
                                    .tuning_count = sizeof id##_tuning / sizeof id##_tuning[0]}
#define FOURS(id, rows, b_accepts, terms, alone, shift, shader, texel_fours, tile)  \
    static bool id##_accepts(const kiln_caps *caps, const kiln_dispatch *d)         \
    {                                                                               \
        return fits_texels(caps, d) && a_fours(block_of(d), rows) && (b_accepts) && \
               ((alone) || c_fours(block_of(d)));                                   \
    }                                                                               \
    FOURS_OF(id, tile, shader, texel_fours, rows, terms, alone, shift)
#define TEAM_OF(id, size, shader, across, rows, terms, alone, shift)                 \
    static bool id##_##size##_accepts(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                                \
        return team_accepts(caps, d, TEAM_##size) && id##_accepts(caps, d);          \
    }                                                                                \
    FOURS_OF(id##_##size, team_##size, shader, 1 << 0 | 1 << 1, rows, terms, alone, shift, across)
/* The same in tiles of both sizes, and by teams. */
#define ALL(id, rows, b_accepts, terms, alone, shift)                                                 \
    FOURS(id, rows, b_accepts, terms, alone, shift, matmul_fours, 1 << 0 | 1 << 1, square);           \
    FOURS(id##_tall, rows, b_accepts, terms, alone, shift, matmul_fours_tall, 1 << 0 | 1 << 1, tall); \
    TEAM_OF(id, 16x128, matmul_team_tall, 8, rows, terms, alone, shift);                              \
    TEAM_OF(id, 32x64, matmul_team_tall, 4, rows, terms, alone, shift);                               \
    TEAM_OF(id, 64x32, matmul_team_tall, 2, rows, terms, alone, shift);                               \
    TEAM_OF(id, 128x16, matmul_team_tall, 1, rows, terms, alone, shift);                              \
    TEAM_OF(id, 8x64, matmul_team, 8, rows, terms, alone, shift);                                     \
    TEAM_OF(id, 16x32, matmul_team, 4, rows, terms, alone, shift)
ALL(fours_terms_columns, false, b_fours(d, false), false, false, 0);
ALL(fours_terms_columns_alone, false, b_fours(d, false), false, true, 0);
ALL(fours_terms_shifted1, false, b_shifted(d, 1), false, true, 1);
ALL(fours_terms_shifted2, false, b_shifted(d, 2), false, true, 2);
ALL(fours_terms_shifted3, false, b_shifted(d, 3), false, true, 3);
ALL(fours_terms_terms, false, b_fours(d, true), true, false, 0);
ALL(fours_terms_terms_alone, false, b_fours(d, true), true, true, 0);
ALL(fours_rows_columns, true, b_fours(d, false), false, false, 0);
ALL(fours_rows_terms, true, b_fours(d, true), true, false, 0);
FOURS(fours_rows_columns_narrow, true, b_fours(d, false), false, false, 0, matmul_fours_narrow,
      1 << 0 | 1 << 1, narrow);
FOURS(fours_terms_ones, false, true, false, true, 0, matmul_fours_ones, 1 << 0, square);
FOURS(fours_rows_ones, true, true, false, true, 0, matmul_fours_ones, 1 << 0, square);

static const kiln_variant direct_texels = {
    .name = "direct_texels",
    .accepts = fits_texels,
    .pays = texels_pay,
    .groups = direct_groups,
    .rounds = matmul_rounds,
    .spirv = &kiln_spirv_matmul_direct_texels,
    .half = &kiln_spirv_matmul_direct_texels_half,
    .texels = 1 << 0 | 1 << 1,
};

static const kiln_variant direct = {
    .name = "direct",
    .pays = kiln_on_software,
    .groups = direct_groups,
    .rounds = matmul_rounds,
    .spirv = &kiln_spirv_matmul_direct,
    .half = &kiln_spirv_matmul_direct_half,
};

static struct kiln_products matmul_products(const kiln_dispatch *d)
{
    const struct kiln_params_matmul *p = block_of(d);
    return (struct kiln_products){p->batch, p->m, p->n};
}

KILN_TILED_VARIANTS(matmul, matmul_tiled);

/* Whether fours lie along an axis of so many elements, in steps of `side` and from the others' beginnings. */
static bool along_fours(uint32_t size, uint32_t side, uint32_t first, const uint32_t batch[3])
{
    return size % 4 == 0 && side % 4 == 0 && whole_fours(first, batch[0], batch[1], batch[2]);
}

/* Whether the tiles can read both operands in fours, which lie along terms or across. Across, they may end anywhere. */
static bool tile_fours(const kiln_dispatch *d, bool a_terms, bool b_terms)
{
    const struct kiln_params_matmul *p = block_of(d);
    const uint32_t a[] = {p->a_batch0, p->a_batch1, p->a_batch2},
                   b[] = {p->b_batch0, p->b_batch1, p->b_batch2};
    return (p->a_k == 1) == a_terms && (p->b_k == 1) == b_terms && (a_terms || p->a_m == 1) &&
           (b_terms || p->b_n == 1) &&
           along_fours(a_terms ? p->k : p->m, a_terms ? p->a_m : p->a_k, p->a_first, a) &&
           along_fours(b_terms ? p->k : p->n, b_terms ? p->b_n : p->b_k, p->b_first, b);
}

/* The tiles above with operands read in fours. */
#define TILED_FOURS(tile, title, shader, lanes_, layout)                                             \
    static bool tile##_##layout##_suits(const kiln_caps *caps, const kiln_dispatch *d)               \
    {                                                                                                \
        return matmul_##tile##_suits(caps, d) && tile_fours(d, layout[0], layout[1]);                \
    }                                                                                                \
    static const kiln_variant matmul_tiled_##tile##_##layout = {.name = title "_" #layout,           \
                                                                .accepts = tile##_##layout##_suits,  \
                                                                .pays = matmul_##tile##_pays,        \
                                                                .groups = matmul_##tile##_groups,    \
                                                                .rounds = matmul_rounds,             \
                                                                .spirv = &kiln_spirv_##shader,       \
                                                                .half = &kiln_spirv_##shader##_half, \
                                                                .lanes = lanes_,                     \
                                                                .tuning = layout,                    \
                                                                .tuning_count = 2}

/* By how fours of a and b lie: along terms, or a's along rows and b's along columns. */
static const uint32_t terms_terms[] = {true, true}, terms_columns[] = {true, false},
                      rows_terms[] = {false, true}, rows_columns[] = {false, false};
#define LAID(layout)                                                                          \
    TILED_FOURS(large, "tiled_128", matmul_tiled_large_fours, KILN_TILE_LANES_LARGE, layout); \
    TILED_FOURS(flat, "tiled_32", matmul_tiled_flat_fours, KILN_TILE_LANES_FLAT, layout);     \
    TILED_FOURS(usual, "tiled_64", matmul_tiled_fours, KILN_TILE_LANES_USUAL, layout);        \
    KILN_COOP_VARIANTS(matmul, layout, matmul_coop, tile_fours(d, layout[0], layout[1]))
LAID(terms_terms);
LAID(terms_columns);
LAID(rows_terms);
LAID(rows_columns);
#define BY_LAYOUT(id) &id##_terms_terms, &id##_terms_columns, &id##_rows_terms, &id##_rows_columns

/* Few rows: as fast as b can be read. */
enum { VECTOR_LANES = 128, VECTOR_COLUMNS = 4, ROW_LANES = 64 };

static uint64_t vector_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->batch * kiln_parts(block_of(d)->n, VECTOR_COLUMNS);
}

static uint64_t vector_rounds(const kiln_dispatch *d)
{
    return kiln_parts(block_of(d)->k, 4 * VECTOR_LANES);
}

/* For drivers on the CPU whose texel buffers do not hold b: a row by itself, four columns an invocation. */
static bool row_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return tile_fours(d, true, true) && block_of(d)->m == 1;
}

static uint64_t row_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    return kiln_parts(vector_groups(caps, d), ROW_LANES);
}

static uint64_t row_rounds(const kiln_dispatch *d)
{
    return block_of(d)->k / 4;
}

static const kiln_variant row = {.name = "row",
                                 .accepts = row_accepts,
                                 .pays = kiln_on_software,
                                 .groups = row_groups,
                                 .rounds = row_rounds,
                                 .spirv = &kiln_spirv_matmul_row,
                                 .half = &kiln_spirv_matmul_row_half,
                                 .lanes = ROW_LANES};

#define VECTOR(id, rows, least)                                                           \
    static bool id##_accepts(const kiln_caps *caps, const kiln_dispatch *d)               \
    {                                                                                     \
        return caps->unrolls && tile_fours(d, true, true) && block_of(d)->m >= (least) && \
               block_of(d)->m <= (rows);                                                  \
    }                                                                                     \
    static const uint32_t id##_tuning[] = {rows};                                         \
    static const kiln_variant id = {.name = #id,                                          \
                                    .accepts = id##_accepts,                              \
                                    .groups = vector_groups,                              \
                                    .rounds = vector_rounds,                              \
                                    .spirv = &kiln_spirv_matmul_vector,                   \
                                    .half = &kiln_spirv_matmul_vector_half,               \
                                    .lanes = VECTOR_LANES,                                \
                                    .tuning = id##_tuning,                                \
                                    .tuning_count = 1}
VECTOR(vector, 1, 1);
VECTOR(vectors, 4, 2);

#define SIZES(id) \
    &id##_16x128, &id##_32x64, &id##_64x32, &id##_128x16, &id##_8x64, &id##_16x32, &id##_tall, &id
const kiln_kernel kiln_kernel_matmul = {
    .name = "matmul",
    .block_size = sizeof(struct kiln_params_matmul),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .halves = 1 << 0 | 1 << 1,
    .mixed = 1 << 2 | 1 << 3 | 1 << 4,
    .units = matmul_units,
    .reference = kiln_reference_matmul_f32,
    .reference_f64 = kiln_reference_matmul_f64,
    .gpu = (const kiln_variant *const[]){SIZES(fours_terms_columns),
                                         SIZES(fours_terms_columns_alone),
                                         SIZES(fours_terms_shifted1),
                                         SIZES(fours_terms_shifted2),
                                         SIZES(fours_terms_shifted3),
                                         SIZES(fours_terms_terms),
                                         SIZES(fours_terms_terms_alone),
                                         &fours_rows_columns_narrow,
                                         SIZES(fours_rows_columns),
                                         SIZES(fours_rows_terms),
                                         &fours_terms_ones,
                                         &fours_rows_ones,
                                         &direct_texels,
                                         &row,
                                         &direct,
                                         &vector,
                                         &vectors,
                                         KILN_COOP_LIST(matmul, terms_terms),
                                         KILN_COOP_LIST(matmul, terms_columns),
                                         KILN_COOP_LIST(matmul, rows_terms),
                                         KILN_COOP_LIST(matmul, rows_columns),
                                         BY_LAYOUT(matmul_tiled_large),
                                         &matmul_tiled_large,
                                         BY_LAYOUT(matmul_tiled_flat),
                                         &matmul_tiled_flat,
                                         BY_LAYOUT(matmul_tiled_usual),
                                         &matmul_tiled_usual,
                                         NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_matmul_few, &kiln_cpu_matmul_packed, NULL},
    .cuts =
        (const kiln_cut[]){{batch_extent, batch_take, batch_unit}, {m_extent, m_take}, {n_extent, n_take}},
    .cut_count = 3,
    .flops = matmul_flops,
};

/* split_sum ---------------------------------------------------------------------------------------------- */

static uint64_t sum_units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_split_sum *)d->block.words)->count;
}

static uint64_t sum_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (sum_units(d) + 63) / 64;
}

static const kiln_variant sum_flat = {
    .name = "flat",
    .groups = sum_groups,
    .spirv = &kiln_spirv_split_sum,
    .half = &kiln_spirv_split_sum_half,
};

const kiln_kernel kiln_kernel_split_sum = {
    .name = "split_sum",
    .block_size = sizeof(struct kiln_params_split_sum),
    .bindings = 4,
    .access = {KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .mixed = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3,
    .units = sum_units,
    .reference = kiln_reference_split_sum_f32,
    .reference_f64 = kiln_reference_split_sum_f64,
    .gpu = (const kiln_variant *const[]){&sum_flat, NULL},
};
