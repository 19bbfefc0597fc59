/*
 * quantize_each.c - convolution of bytes with channels last, each channel by a filter of its own: the lowering, the contracts.
 *
 * The filters are spread over words by a dispatch of their own: of weights that stay it goes to the prologue. The contracts have no code for
 * GPUs, and no cuts. The kernels: src/cpu/quantize.c, src/cpu/quantize_each_fast.c.   Tests: tests/cpu/bytes.c, tests/compiler/channels.c.
 */
#include "quantize/conv_each.h"

#include "device/variants.h"
#include "ops/chain.h"
#include "ops/quantize.h"
#include "quantize/pack_each.h"

bool kiln_conv_each_accepts(kiln_plan *plan, const kiln_node *n)
{
    (void)plan;
    return ((const kiln_conv_params *)n->params)->groups > 1;
}

static kiln_status pack(kiln_plan *plan, const kiln_node *n, uint32_t channels, uint32_t taps,
                        kiln_tensor *to)
{
    const kiln_tensor zero = kiln_optional_input(n, 3);
    *to = kiln_plan_temporary(plan, KILN_I32, (int64_t)channels * (taps + 1));
    kiln_dispatch d = {
        .kernel = &kiln_kernel_pack_each,
        .bind = {{.value = n->in[1]}, {.value = zero}, {.value = *to}},
        .block_size = sizeof(struct kiln_params_pack_each),
    };
    *(struct kiln_params_pack_each *)d.block.words =
        (struct kiln_params_pack_each){channels, taps, kiln_zero_step(plan, zero)};
    return kiln_plan_dispatch(plan, &d);
}

kiln_status kiln_conv_each_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_last_sizes(plan, n);
    const struct kiln_conv_axis *i = &s.axis[1], *j = &s.axis[2];
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    kiln_tensor packed;
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    kiln_status status = pack(plan, n, (uint32_t)s.groups, (uint32_t)(i->taps * j->taps), &packed);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_each,
        .bind = {{.value = n->in[0]},
                 {.value = packed},
                 {.value = kiln_optional_input(n, 2)},
                 {.value = KILN_NONE},
                 {.value = n->out[0]}},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_conv_each),
    };
    *(struct kiln_params_conv_each *)d.block.words = (struct kiln_params_conv_each){
        .images = (uint32_t)s.images,
        .channels = (uint32_t)s.groups,
        KILN_CONV_PLANE(&s),
    };
    if (!status)
        status = kiln_finish_write(plan, n, &d, 5);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static uint64_t channels(const kiln_dispatch *d)
{
    return ((const struct kiln_params_pack_each *)d->block.words)->channels;
}

const kiln_kernel kiln_kernel_pack_each = {
    .name = "pack_each",
    .block_size = sizeof(struct kiln_params_pack_each),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .units = channels,
    .reference = kiln_reference_pack_each_f32,
    .reference_f64 = kiln_reference_pack_each_f64,
};

static uint64_t positions(const kiln_dispatch *d)
{
    const struct kiln_params_conv_each *p = (const struct kiln_params_conv_each *)d->block.words;
    return (uint64_t)p->images * p->oh * p->ow;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv_each *p = (const struct kiln_params_conv_each *)d->block.words;
    return 2.0 * (double)positions(d) * p->channels * p->u * p->v;
}

const kiln_kernel kiln_kernel_conv_each = {
    .name = "conv_each",
    .block_size = sizeof(struct kiln_params_conv_each),
    .bindings = 7,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .bytes = 1 << 0 | 1 << 4,
    .units = positions,
    .reference = kiln_reference_conv_each_f32,
    .reference_f64 = kiln_reference_conv_each_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_each_rows, NULL},
    .flops = flops,
};
