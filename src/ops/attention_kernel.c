/*
 * attention_kernel.c - the contracts of attention and its gradients: units, windows, variants.
 *
 * On a GPU a workgroup goes along the others through shared memory, by matrix units where it has them and operands are halves. Drivers
 * that run on the CPU have no such memory: there an invocation keeps 4 rows of the result in registers, or lanes that may hand on what they
 * loaded keep 32 of them together.
 */
#include "attention/attention.h"

#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

static const struct kiln_params_attention *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_attention *)d->block.words;
}

static bool is_grad(const kiln_dispatch *d)
{
    return d->kernel == &kiln_kernel_attention_grad;
}

static bool own_is_key(const kiln_dispatch *d)
{
    return is_grad(d) && (d->constants[1] == KILN_ATTENTION_KEY || d->constants[1] == KILN_ATTENTION_VALUE);
}

/* Rows of the result, by heads and along each of them. */
static uint64_t heads_of(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->count * (own_is_key(d) ? 1 : block_of(d)->group);
}

static uint64_t rows_of(const kiln_dispatch *d)
{
    return own_is_key(d) ? block_of(d)->keys : block_of(d)->queries;
}

static uint64_t units(const kiln_dispatch *d)
{
    return heads_of(d) * rows_of(d);
}

/* Columns that workgroups share out; those of SCORES are what they go along. */
static uint64_t columns_of(const kiln_dispatch *d)
{
    const struct kiln_params_attention *p = block_of(d);
    const uint32_t mode = d->constants[1];
    if (is_grad(d) && mode == KILN_ATTENTION_SCORES)
        return 1;
    return !is_grad(d) || mode == KILN_ATTENTION_VALUE ? p->width : p->depth;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_attention *p = block_of(d);
    const double pairs = (double)p->count * p->group * p->queries * p->keys;
    const bool one_product = !is_grad(d) || d->constants[1] == KILN_ATTENTION_VALUE;
    const bool seen = d->constants[0] & KILN_ATTENTION_CAUSAL;
    return pairs * (2.0 * p->depth + (one_product ? 0 : 2.0 * p->width) + 2.0 * (double)columns_of(d) + 20) *
           (seen ? 0.5 : 1);
}

/* Windows of whole pairs, or where heads lie within rows of whole batches ---------------------------------- */

static uint64_t pairs_a_unit(const kiln_dispatch *d)
{
    return d->constants[0] & KILN_ATTENTION_ROWS_FIRST ? block_of(d)->kv_heads : 1;
}

static uint64_t extent(const kiln_dispatch *d)
{
    return block_of(d)->count / pairs_a_unit(d);
}

/* Elements of a pair: of binding i, or 0 where it stays whole. */
static uint64_t pair_of(const kiln_dispatch *d, int i)
{
    const struct kiln_params_attention *p = block_of(d);
    const bool packed = d->constants[0] & KILN_ATTENTION_PACKED;
    const bool paired = packed || d->constants[0] & KILN_ATTENTION_PAIRED;
    const uint64_t of_k = packed ? p->group + 2 : paired ? 2 : 1, of_q = packed ? of_k : p->group;
    const uint64_t q = of_q * p->queries * p->depth, k = of_k * p->keys * p->depth;
    const uint64_t y = (uint64_t)p->group * p->queries * p->width, v = of_k * p->keys * p->width;
    const uint64_t scores = (uint64_t)p->group * p->queries * p->keys;
    const uint64_t grad[] = {q, k, v, scores}; /* by mode */
    if (d->kernel == &kiln_kernel_attention_delta)
        return i < 2 ? y : 0;
    const uint64_t of[] = {q, k, v, 0, 0, y, 0, is_grad(d) ? grad[d->constants[1]] : 0};
    return of[i];
}

/* Units behind which every operand is at a multiple of 256 bytes, be it of halves. */
static uint64_t unit(const kiln_dispatch *d)
{
    uint64_t most = 1;
    for (int i = 0; i < d->kernel->bindings; i++) {
        const uint64_t units = kiln_value_unit(pair_of(d, i) * pairs_a_unit(d));
        most = units > most ? units : most;
    }
    return most;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_attention *p = (struct kiln_params_attention *)d->block.words;
    const uint64_t from = first * pairs_a_unit(d), pairs = count * pairs_a_unit(d);
    for (int i = 0; i < d->kernel->bindings; i++) {
        const uint64_t bytes = pair_of(d, i) * d->element[i];
        if (!bytes || !d->bind[i].value.id)
            continue;
        d->bind[i].offset += from * bytes;
        d->bind[i].bytes = pairs * bytes;
    }
    p->first += (uint32_t)from;
    p->count = (uint32_t)pairs;
}

static const kiln_cut cut = {extent, take, unit};

/* Variants ----------------------------------------------------------------------------------------------- */

enum {
    TILE_ROWS = 64,
    TILE_CHUNK = 64,
    TILE_LANES = 128,
    DIRECT_ROWS = 4,
    DIRECT_CHUNK = 16,
    DIRECT_LANES = 64,
    TEAM_ROWS = 32,
    TEAM_KEYS = 32,
    TEAM_CHUNK = 64,
    TEAM_GAIN = 8, /* of a team over the direct way, where nothing sticks out */
};

static uint64_t tiled_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return heads_of(d) * kiln_parts(rows_of(d), TILE_ROWS) * kiln_parts(columns_of(d), TILE_CHUNK);
}

static uint64_t direct_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts(heads_of(d) * kiln_parts(rows_of(d), DIRECT_ROWS) *
                          kiln_parts(columns_of(d), DIRECT_CHUNK),
                      DIRECT_LANES);
}

/* What a row of the result goes along, and the terms of its products with each of them. */
static uint64_t others_of(const kiln_dispatch *d)
{
    return own_is_key(d) ? (uint64_t)block_of(d)->group * block_of(d)->queries : block_of(d)->keys;
}

static uint64_t terms_of(const kiln_dispatch *d)
{
    return block_of(d)->depth + (is_grad(d) ? block_of(d)->width : 0);
}

/* Blocks of 4 others: their terms, and loops over 4 x 4 pairs. */
static uint64_t direct_rounds(const kiln_dispatch *d)
{
    return (others_of(d) + 3 * (uint64_t)block_of(d)->group) / 4 * (terms_of(d) + 48);
}

/* Blocks of 32 others, or half as many, by slabs of 16 terms, and what follows in shared memory. */
static uint64_t tiled_rounds(const kiln_dispatch *d)
{
    return (others_of(d) / 32 + block_of(d)->group) * (terms_of(d) + terms_of(d) / 8 + 100);
}

/* Teams of lanes read rows in fours, each of which begins at a multiple of four elements. */
static bool team_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_attention *p = block_of(d);
    for (int i = 0; i < 3; i++)
        if (pair_of(d, i) * p->count > caps->max_texels)
            return false;
    return kiln_has_teams(caps) && p->depth % 4 == 0 && p->width % 4 == 0 && p->depth && p->width &&
           !(d->constants[0] & KILN_ATTENTION_DROPPED);
}

/* Products of rows and keys, and of weights and columns, in tiles of these sizes. */
static uint64_t products(const struct kiln_params_attention *p, uint64_t rows, uint64_t keys, uint64_t chunk)
{
    const uint64_t pairs = kiln_round_up(p->queries, rows) * kiln_round_up(p->keys, keys);
    return pairs * kiln_parts(p->width, chunk) * (p->depth + chunk);
}

static bool team_pays(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_attention *p = block_of(d);
    return caps->software && products(p, TEAM_ROWS, TEAM_KEYS, TEAM_CHUNK) <=
                                 TEAM_GAIN * products(p, DIRECT_ROWS, DIRECT_ROWS, DIRECT_CHUNK);
}

static uint64_t team_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return heads_of(d) * kiln_parts(rows_of(d), TEAM_ROWS) * kiln_parts(columns_of(d), TEAM_CHUNK);
}

/* Blocks of 32 keys: fours of their terms, and of themselves. */
static uint64_t team_rounds(const kiln_dispatch *d)
{
    return kiln_parts(block_of(d)->keys, TEAM_KEYS) * (terms_of(d) / 4 + TEAM_KEYS / 4 + 4);
}

/* Matrix units: columns that a workgroup has sums of, and strips of 16 rows. */
enum {
    COOP_STRIP = 16,
    COOP_OTHERS = 32,
    COOP_GAP = 8,     /* elements between lines in shared memory; of scores half as many */
    COOP_GRAIN = 8,   /* what depth and width are multiples of */
    COOP_LANES = 128, /* a subgroup of 32 for each of four strips; twice as many for subgroups of 64 */
    COOP_LEAST = 16,  /* depth and width that pay */
    COOP_HELD = 1536, /* bytes of shared memory for what invocations exchange */
};

struct coop {
    uint32_t side, strips, lanes;
    bool emulated;
};

/* Of the shader: own operands and weights, which share their room unless units are emulated; others; products. */
static uint64_t coop_shared(const struct coop *c, bool halves, bool grad)
{
    const uint64_t own = (uint64_t)c->strips * COOP_STRIP, pitch = c->side + COOP_GAP, rows = own * pitch,
                   weights = (halves ? 2 : 1) * own * (COOP_OTHERS + COOP_GAP),
                   both = c->emulated      ? (grad ? 2 : 1) * rows + weights
                          : rows > weights ? rows
                                           : weights;
    return (both + 2 * COOP_OTHERS * pitch) * (halves ? 2 : 4) +
           own * (COOP_OTHERS + COOP_GAP / 2) * sizeof(float) + COOP_HELD;
}

static bool coop_there(const kiln_caps *caps, const struct coop *c, bool halves)
{
    return c->emulated ? caps->coop_emulated && (!halves || caps->half)
                       : caps->coop && halves && caps->coop_size[0] <= COOP_STRIP && caps->subgroup >= 16 &&
                             (c->lanes == COOP_LANES ? caps->subgroup <= 32 : caps->subgroup == 64);
}

/* Dropped gradients by keys want a draw for every key of a row; the scores themselves are no sums. */
static bool coop_knows(const kiln_dispatch *d)
{
    return !is_grad(d) ||
           (!(d->constants[0] & KILN_ATTENTION_DROPPED) && d->constants[1] != KILN_ATTENTION_SCORES);
}

static bool coop_takes(const kiln_caps *caps, const kiln_dispatch *d, const struct coop *c)
{
    const struct kiln_params_attention *p = block_of(d);
    const bool halves = (d->halves & 7) == 7;
    return coop_there(caps, c, halves) && coop_knows(d) && p->depth && p->width &&
           p->depth % COOP_GRAIN == 0 && p->width % COOP_GRAIN == 0 && p->depth <= c->side &&
           p->width <= c->side && caps->max_invocations >= c->lanes &&
           caps->max_shared >= coop_shared(c, halves, is_grad(d));
}

static bool coop_pays(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_attention *p = block_of(d);
    return !caps->software && (d->halves & 7) == 7 && p->depth >= COOP_LEAST && p->width >= COOP_LEAST;
}

static uint64_t coop_groups(const kiln_dispatch *d, const struct coop *c)
{
    return heads_of(d) * kiln_parts(rows_of(d), (uint64_t)c->strips * COOP_STRIP);
}

/* Blocks of 32 others; played units go along each product's terms, lane by lane. */
static uint64_t coop_rounds(const kiln_dispatch *d, const struct coop *c)
{
    const uint64_t blocks = others_of(d) / COOP_OTHERS + 2 * (uint64_t)block_of(d)->group,
                   products = (uint64_t)c->side / 16 * 2 * (is_grad(d) ? 4 : 3),
                   played = products * 150 + 2 * c->side * COOP_OTHERS / c->lanes + 400;
    return c->emulated ? blocks * played * c->strips * 32 / c->lanes : blocks;
}

#define COOP(id, title, side, strips, lanes_, emulated, single, half_)         \
    static const struct coop id##_of = {side, strips, lanes_, emulated};       \
    static bool id##_accepts(const kiln_caps *caps, const kiln_dispatch *d)    \
    {                                                                          \
        return coop_takes(caps, d, &id##_of);                                  \
    }                                                                          \
    static uint64_t id##_groups(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                          \
        (void)caps;                                                            \
        return coop_groups(d, &id##_of);                                       \
    }                                                                          \
    static uint64_t id##_rounds(const kiln_dispatch *d)                        \
    {                                                                          \
        return coop_rounds(d, &id##_of);                                       \
    }                                                                          \
    static const uint32_t id##_tuning[] = {side, strips};                      \
    static const kiln_variant id = {.name = title,                             \
                                    .accepts = id##_accepts,                   \
                                    .pays = coop_pays,                         \
                                    .groups = id##_groups,                     \
                                    .rounds = id##_rounds,                     \
                                    .spirv = single,                           \
                                    .half = &kiln_spirv_##half_,               \
                                    .lanes = lanes_,                           \
                                    .tuning = id##_tuning,                     \
                                    .tuning_count = 2}
/* By the columns that there is room for. Emulated ones are for checks: of subgroups that take turns, of some at once, and of what fits
 * the shared memory of drivers on the CPU. */
#define COOP_BOTH(id, title, side, spirv)                     \
    COOP(id, title, side, 4, COOP_LANES, false, NULL, spirv); \
    COOP(id##_wide, title "_wide", side, 4, 2 * COOP_LANES, false, NULL, spirv)
#define COOP_EMULATED(id, title, side, strips, lanes, spirv)                                          \
    COOP(id##_emulated, title "_emulated", side, strips, lanes, true, &kiln_spirv_##spirv##_emulated, \
         spirv##_emulated_half)
#define COOP_ALL(id, spirv)                              \
    COOP_BOTH(id##_32, "coop_32", 32, spirv);            \
    COOP_BOTH(id##_64, "coop_64", 64, spirv);            \
    COOP_BOTH(id##_96, "coop_96", 96, spirv);            \
    COOP_BOTH(id##_128, "coop_128", 128, spirv);         \
    COOP_EMULATED(id##_32, "coop_32", 32, 2, 32, spirv); \
    COOP_EMULATED(id##_64, "coop_64", 64, 2, 64, spirv); \
    COOP_EMULATED(id##_128, "coop_128", 128, 1, 32, spirv)
#define COOP_LIST(id)                                                                                     \
    &id##_32, &id##_32_wide, &id##_64, &id##_64_wide, &id##_96, &id##_96_wide, &id##_128, &id##_128_wide, \
        &id##_32_emulated, &id##_64_emulated, &id##_128_emulated
COOP_ALL(coop, attention_coop);
COOP_ALL(coop_grad, attention_grad_coop);

static const kiln_variant team = {.name = "team",
                                  .accepts = team_accepts,
                                  .pays = team_pays,
                                  .groups = team_groups,
                                  .rounds = team_rounds,
                                  .spirv = &kiln_spirv_attention_team,
                                  .half = &kiln_spirv_attention_team_half,
                                  .lanes = KILN_TEAM_LANES,
                                  .texels = 1 << 0 | 1 << 1 | 1 << 2,
                                  .fours = 1 << 0 | 1 << 1 | 1 << 2};
static const kiln_variant direct = {.name = "direct",
                                    .pays = kiln_on_software,
                                    .groups = direct_groups,
                                    .rounds = direct_rounds,
                                    .spirv = &kiln_spirv_attention_direct,
                                    .half = &kiln_spirv_attention_direct_half,
                                    .lanes = DIRECT_LANES};
static const kiln_variant direct_grad = {.name = "direct",
                                         .pays = kiln_on_software,
                                         .groups = direct_groups,
                                         .rounds = direct_rounds,
                                         .spirv = &kiln_spirv_attention_grad_direct,
                                         .half = &kiln_spirv_attention_grad_direct_half,
                                         .lanes = DIRECT_LANES};

/* Tiles of so many others; in fours where rows lie so, and of 32 where there is no more shared memory than that takes, or where the
 * others take long to compile. */
enum { TILED_SHARED = 26 << 10 };

static bool tiled_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)d;
    return caps->unrolls && caps->max_shared >= TILED_SHARED;
}

static bool tiled_fours_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    return tiled_accepts(caps, d) && block_of(d)->depth % 4 == 0 && block_of(d)->width % 4 == 0;
}

#define TILED(id, title, spirv_, accepts_, others, fours_)               \
    static const uint32_t id##_tuning[] = {others, fours_};              \
    static const kiln_variant id = {.name = title,                       \
                                    .accepts = accepts_,                 \
                                    .groups = tiled_groups,              \
                                    .rounds = tiled_rounds,              \
                                    .spirv = &kiln_spirv_##spirv_,       \
                                    .half = &kiln_spirv_##spirv_##_half, \
                                    .lanes = TILE_LANES,                 \
                                    .tuning = id##_tuning,               \
                                    .tuning_count = 2}
#define TILED_ALL(id, spirv)                                             \
    TILED(id##_fours, "tiled_fours", spirv, tiled_fours_accepts, 64, 1); \
    TILED(id, "tiled", spirv, tiled_accepts, 64, 0);                     \
    TILED(id##_small, "tiled_small", spirv, NULL, 32, 0)
TILED_ALL(tiled, attention_tiled);
TILED_ALL(tiled_grad, attention_grad_tiled);

const kiln_kernel kiln_kernel_attention = {
    .name = "attention",
    .block_size = sizeof(struct kiln_params_attention),
    .bindings = 7,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5,
    .mixed = 1 << 3,
    .units = units,
    .reference = kiln_reference_attention_f32,
    .reference_f64 = kiln_reference_attention_f64,
    .gpu = (const kiln_variant *const[]){&team, &direct, COOP_LIST(coop), &tiled_fours, &tiled, &tiled_small,
                                         NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_attention_panels, NULL},
    .cuts = &cut,
    .cut_count = 1,
    .flops = flops,
};

const kiln_kernel kiln_kernel_attention_grad = {
    .name = "attention_grad",
    .block_size = sizeof(struct kiln_params_attention),
    .bindings = 8,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 7,
    .mixed = 1 << 3,
    .units = units,
    .reference = kiln_reference_attention_grad_f32,
    .reference_f64 = kiln_reference_attention_grad_f64,
    .gpu = (const kiln_variant *const[]){&direct_grad, COOP_LIST(coop_grad), &tiled_grad_fours, &tiled_grad,
                                         &tiled_grad_small, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_attention_grad_panels, NULL},
    .cuts = &cut,
    .cut_count = 1,
    .flops = flops,
};

/* attention_delta ---------------------------------------------------------------------------------------- */

static uint64_t delta_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts(units(d), 64);
}

static const kiln_variant delta_flat = {.name = "flat",
                                        .groups = delta_groups,
                                        .spirv = &kiln_spirv_attention_delta,
                                        .half = &kiln_spirv_attention_delta_half};

const kiln_kernel kiln_kernel_attention_delta = {
    .name = "attention_delta",
    .block_size = sizeof(struct kiln_params_attention),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_attention_delta_f32,
    .reference_f64 = kiln_reference_attention_delta_f64,
    .gpu = (const kiln_variant *const[]){&delta_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_attention_delta_rows, NULL},
    .cuts = &cut,
    .cut_count = 1,
};
