/* reduce_kernel.c - the contracts of reductions and of place: units, windows, variants. */
#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "reduce/codes.h"
#include "reduce/place.h"
#include "reduce/reduce.h"
#include "shaders.h"

enum { LANES = 64 };

static const struct kiln_params_reduce *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_reduce *)d->block.words;
}

static uint64_t results(const kiln_dispatch *d)
{
    const struct kiln_params_reduce *p = block_of(d);
    return (uint64_t)p->outer * p->kept * p->inner;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->parts * results(d);
}

static double flops(const kiln_dispatch *d)
{
    return (double)results(d) * block_of(d)->first * block_of(d)->second;
}

/* Windows: `x` and `y` elements a unit of the axis. */
static void narrow(kiln_dispatch *d, uint64_t first, uint64_t count, uint64_t x, uint64_t y)
{
    struct kiln_params_reduce *p = (struct kiln_params_reduce *)d->block.words;
    p->x_first = kiln_bind_window(d, 0, p->x_first + first * x, count * x);
    p->y_first = kiln_bind_window(d, 1, p->y_first + first * y, count * y);
}

static uint64_t outer_extent(const kiln_dispatch *d)
{
    return block_of(d)->parts == 1 ? block_of(d)->outer : 1;
}

static void outer_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_reduce *p = (struct kiln_params_reduce *)d->block.words;
    const uint64_t y = (uint64_t)p->kept * p->inner;
    p->outer = (uint32_t)count;
    narrow(d, first, count, y * p->first * p->second, y);
}

static uint64_t kept_extent(const kiln_dispatch *d)
{
    const struct kiln_params_reduce *p = block_of(d);
    return p->parts == 1 && p->outer == 1 && p->first == 1 ? p->kept : 1;
}

static void kept_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_reduce *p = (struct kiln_params_reduce *)d->block.words;
    p->kept = (uint32_t)count;
    narrow(d, first, count, (uint64_t)p->second * p->inner, p->inner);
}

static uint64_t parts_extent(const kiln_dispatch *d)
{
    const struct kiln_params_reduce *p = block_of(d);
    return p->outer == 1 && p->first == 1 && p->kept == 1 ? p->parts : 1;
}

static void parts_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_reduce *p = (struct kiln_params_reduce *)d->block.words;
    const uint64_t from = first * p->part_length, left = p->second - from, most = count * p->part_length;
    p->parts = (uint32_t)count;
    p->second = (uint32_t)(left < most ? left : most);
    narrow(d, first, count, (uint64_t)p->part_length * p->inner, p->inner);
    d->bind[0].bytes = ((uint64_t)p->second * p->inner + p->x_first) * d->element[0];
}

/* Variants ----------------------------------------------------------------------------------------------- */

enum {
    /* a lane alone adds up so many values while a driver on the CPU takes 64 lanes through barriers */
    SHORT = 512,
    BUSY = 8, /* lanes that such a driver runs as one */
};

/* Results side by side, and on drivers on the CPU, whose barriers cost what thousands of additions do, nearly all. */
static bool side_by_side(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_reduce *p = block_of(d);
    return p->inner >= LANES / 4 || (caps->software && (units(d) >= BUSY || p->part_length <= SHORT));
}

static uint64_t a_lane_each(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts(d->kernel->units(d), LANES);
}

/* Reals side by side, read in fours. A last four of x that is not whole must be there to be read. */
static bool fours_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_reduce *p = block_of(d);
    const uint64_t end = p->x_first + results(d) * p->first * p->second;
    return d->constants[0] <= KILN_REDUCE_EXP_F && p->inner == 1 && p->first == 1 &&
           end <= caps->max_texels && (d->bind[0].bytes == 0 || end % 4 == 0);
}

static bool fours_pay(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->software && side_by_side(caps, d);
}

/* A result takes a power of two of lanes, no more than it has values: as width in reduce.comp. */
static uint64_t results_a_group(const kiln_dispatch *d)
{
    const uint32_t values = block_of(d)->part_length;
    uint64_t lanes = 1;

    while (lanes < values && lanes < LANES)
        lanes *= 2;
    return LANES / lanes;
}

static uint64_t lanes_each(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts(d->kernel->units(d), results_a_group(d));
}

static const kiln_variant fours = {.name = "fours",
                                   .accepts = fours_accepts,
                                   .pays = fours_pay,
                                   .groups = a_lane_each,
                                   .spirv = &kiln_spirv_reduce_fours,
                                   .half = &kiln_spirv_reduce_fours_half,
                                   .lanes = LANES,
                                   .texels = 1 << 0,
                                   .fours = 1 << 0};
static const kiln_variant columns = {.name = "columns",
                                     .pays = side_by_side,
                                     .groups = a_lane_each,
                                     .spirv = &kiln_spirv_reduce_columns,
                                     .half = &kiln_spirv_reduce_columns_half,
                                     .lanes = LANES};
static const kiln_variant rows = {.name = "rows",
                                  .groups = lanes_each,
                                  .spirv = &kiln_spirv_reduce_rows,
                                  .half = &kiln_spirv_reduce_rows_half,
                                  .lanes = LANES};

const kiln_kernel kiln_kernel_reduce = {
    .name = "reduce",
    .block_size = sizeof(struct kiln_params_reduce),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 1,
    .sums = true,
    .units = units,
    .reference = kiln_reference_reduce_f32,
    .reference_f64 = kiln_reference_reduce_f64,
    .gpu = (const kiln_variant *const[]){&fours, &columns, &rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_reduce_lanes, NULL},
    .cuts = (const kiln_cut[]){{outer_extent, outer_take, kiln_cut_anywhere},
                               {kept_extent, kept_take, kiln_cut_anywhere},
                               {parts_extent, parts_take, kiln_cut_anywhere}},
    .cut_count = 3,
    .flops = flops,
};

/* place -------------------------------------------------------------------------------------------------- */

static const struct kiln_params_place *place_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_place *)d->block.words;
}

static uint64_t place_units(const kiln_dispatch *d)
{
    return place_block(d)->elements;
}

/* The outermost axis of dx along which more than one index is left (outer, first, kept or second), and its elements a step. */
static int place_axis(const struct kiln_params_place *p, uint64_t *step)
{
    const uint64_t steps[] = {(uint64_t)p->first * p->kept * p->second * p->inner,
                              (uint64_t)p->kept * p->second * p->inner, (uint64_t)p->second * p->inner,
                              p->inner};
    int axis = 0;
    while (axis < 3 && p->elements <= steps[axis])
        axis++;
    *step = steps[axis];
    return axis;
}

static uint64_t place_extent(const kiln_dispatch *d)
{
    uint64_t step;
    place_axis(place_block(d), &step);
    return place_block(d)->elements / step;
}

/* Windows of dx in whole steps, and of the results that these look at. */
static void place_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_place *p = (struct kiln_params_place *)d->block.words;
    uint64_t step;
    const int axis = place_axis(p, &step);
    p->begin += (uint32_t)(first * step);
    p->elements = (uint32_t)(count * step);

    const uint64_t row = (uint64_t)p->kept * p->inner, whole = row * p->first * p->second;
    const uint64_t o = p->begin / whole, k = p->begin / ((uint64_t)p->second * p->inner) % p->kept;
    const uint64_t from = o * row + (axis >= 2 ? k * p->inner : 0);
    const uint64_t results = axis == 0   ? count * row
                             : axis == 1 ? row
                             : axis == 2 ? count * p->inner
                                         : p->inner;
    uint32_t index_first = p->result_first;
    kiln_bind_elements(d, 0, &p->result_first, from, from + results);
    kiln_bind_elements(d, 1, &index_first, from, from + results);
    kiln_bind_elements(d, 2, &p->dx_first, p->begin, (uint64_t)p->begin + p->elements);
}

static const kiln_cut place_cut = {place_extent, place_take, kiln_cut_anywhere};

static const kiln_variant place_flat = {.name = "flat",
                                        .groups = a_lane_each,
                                        .spirv = &kiln_spirv_place,
                                        .half = &kiln_spirv_place_half,
                                        .lanes = LANES};

const kiln_kernel kiln_kernel_place = {
    .name = "place",
    .block_size = sizeof(struct kiln_params_place),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 2,
    .units = place_units,
    .reference = kiln_reference_place_f32,
    .reference_f64 = kiln_reference_place_f64,
    .gpu = (const kiln_variant *const[]){&place_flat, NULL},
    .cuts = &place_cut,
    .cut_count = 1,
};
