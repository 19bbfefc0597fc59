/*
 * rows_peak.c - what the device can do at the best, measured: multiplications and additions by a kernel of nothing else, written
 * as an application would (kiln/extend.h), and memory by kiln's own kernels on arrays that no cache holds.
 */
#include <string.h>

#include "peak.h"
#include "peak/peak.h"
#include "row.h"
#include "shaders.h"

/* Multiplying and adding ----------------------------------------------------------------------------------- */

static const struct kiln_params_peak *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_peak *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->count;
}

static void reference(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                      size_t count)
{
    const struct kiln_params_peak *p = block;
    const float *start = m->at[0];
    float *y = m->at[1];

    (void)constants;
    for (size_t i = first; i < first + count; i++) {
        y[i] = 0;
        for (int c = 0; c < PEAK_CHAINS; c++) {
            float x = (float)c + (float)i / 1048576 + start[0];
            for (uint turn = 0; turn < p->turns; turn++)
                x = x * p->scale + p->shift;
            y[i] += x;
        }
    }
}

static uint64_t gpu_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

static uint64_t cpu_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return units(d) / BENCH_PEAK_TOGETHER;
}

static double single_flops(const kiln_dispatch *d)
{
    return 2.0 * PEAK_CHAINS * block_of(d)->turns * block_of(d)->count;
}

static double half_flops(const kiln_dispatch *d)
{
    return 2 * single_flops(d);
}

static const kiln_variant single_gpu = {.name = "flat", .groups = gpu_groups, .spirv = &kiln_spirv_peak};
static const kiln_variant half_gpu = {.name = "f16", .groups = gpu_groups, .spirv = &kiln_spirv_peak_f16};
static const kiln_variant cpu = {.name = "vectors", .groups = cpu_units, .run = bench_peak_cpu};

#define KERNEL(title, variant, arithmetic)                                           \
    {                                                                                \
        .name = title, .block_size = sizeof(struct kiln_params_peak), .bindings = 2, \
        .access = {KILN_READ, KILN_WRITE}, .units = units, .reference = reference,   \
        .gpu = (const kiln_variant *const[]){&(variant), NULL},                      \
        .cpu = (const kiln_variant *const[]){&cpu, NULL}, .flops = (arithmetic),     \
    }

static const kiln_kernel kernels[] = {KERNEL("peak", single_gpu, single_flops),
                                      KERNEL("peak_f16", half_gpu, half_flops)};

/* The operator's params: how much it does, and in which precision. */
struct peak_params {
    int64_t count, turns;
    int64_t half;
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    (void)g;
    out[0] = (kiln_spec){KILN_F32, KILN_SHAPE(((const struct peak_params *)n->params)->count)};
    return KILN_OK;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct peak_params *p = n->params;
    const struct kiln_params_peak block = {
        .count = (uint32_t)p->count, .turns = (uint32_t)p->turns, .scale = 0.999f, .shift = 0.001f};
    kiln_dispatch d = {.kernel = &kernels[p->half],
                       .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                       .block_size = sizeof block};
    memcpy(d.block.bytes, &block, sizeof block);
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_lowering lowerings[] = {{.name = "peak", .lower = lower}};
static const kiln_op peak = {
    .name = "peak", .inputs = 1, .outputs = 1, .infer = infer, .lowerings = lowerings, .lowering_count = 1};

/* Whether the processor does the work, and there are but a few cores. */
static bool is_small(const struct bench_work *w)
{
    const kiln_device_info *info = kiln_device_get_info(w->dev);
    return info->software || info->backend == KILN_BACKEND_CPU;
}

/* Some 3 GFLOP, or 100 for a GPU. */
static kiln_status build_fma(struct bench_work *w, const struct bench_row *row)
{
    const struct peak_params p = {.count = is_small(w) ? 1 << 14 : 1 << 20,
                                  .turns = is_small(w) ? 8192 : 4096,
                                  .half = row->as.half};
    const kiln_tensor first = bench_matrix(w, "first", 1, 1); /* what depends on no input runs once */
    w->flops = (row->as.half ? 4.0 : 2.0) * PEAK_CHAINS * (double)p.turns * (double)p.count;
    return bench_keep(w, kiln_append(w->graph, &peak, &first, 1, &p, sizeof p));
}

/* Memory --------------------------------------------------------------------------------------------------- */

/* An array that no cache holds. */
static kiln_tensor array(struct bench_work *w, const char *name)
{
    return bench_matrix(w, name, is_small(w) ? 4096 : 16384, 4096);
}

static double bytes_of(struct bench_work *w)
{
    return (is_small(w) ? 64 : 256) * BENCH_MIB;
}

static kiln_status build_copy(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    w->bytes = 2 * bytes_of(w);
    return bench_keep(w, array(w, "a"));
}

static kiln_status build_stream(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    w->bytes = 3 * bytes_of(w);
    return bench_keep(w, kiln_add(w->graph, array(w, "a"), kiln_scale(w->graph, array(w, "b"), 3)));
}

static kiln_status build_read(struct bench_work *w, const struct bench_row *row)
{
    const kiln_reduce_params rows = {.axes = KILN_AXES(1)};
    (void)row;
    w->bytes = bytes_of(w);
    return bench_keep(w, kiln_sum(w->graph, array(w, "a"), &rows));
}

static const struct bench_row peaks[] = {
    {"peak fma f32", build_fma, 0, 1, BENCH_PEAK_FMA},
    {"peak fma f16", build_fma, 0, 1, BENCH_PEAK_FMA, .as.half = true},
    {"peak copy", build_copy, 0, 1, BENCH_PEAK_BANDWIDTH},
    {"peak stream a + 3 b", build_stream, 0, 1, BENCH_PEAK_BANDWIDTH},
    {"peak read", build_read, 0, 1, BENCH_PEAK_BANDWIDTH},
};

const struct bench_rows bench_peaks = {peaks, sizeof peaks / sizeof *peaks};
