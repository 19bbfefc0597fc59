/*
 * random.c - dropout: each element is kept with probability 1 - rate and scaled by 1 / (1 - rate), in training.
 *
 *   y[i] = draw(seed, stream, step, i) >= rate ? x[i] / (1 - rate) : 0
 *
 * The draw is a counter's (Philox): the stream is the node's, taken from its scope's name when it is built; seed and step are a
 * state of the weights. Equal nodes are therefore equal values, and the gradient is the same operator on dy.
 *
 * Kernels: shaders/random/, src/cpu/random.c, src/cpu/random_fast.c.   Tests: tests/ops/random.c.
 */
#include <stddef.h>

#include <kiln/ops.h>

#include "device/variants.h"
#include "graph/graph.h"
#include "graph/random.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "random/dropout.h"
#include "shaders.h"

/* The operator ------------------------------------------------------------------------------------------- */

struct dropout_params {
    double rate;
    uint64_t stream;
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct dropout_params *p = n->params;
    out[0] = kiln_tensor_spec(g, n->in[0]);
    if (!(p->rate >= 0 && p->rate < 1))
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "rate is %g, wanted 0 to below 1", p->rate);
    if (!kiln_type_is_real(out[0].type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type",
                              kiln_type_name(out[0].type));
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_dropout, (const kiln_tensor[]){dy[0], n->in[1]}, 2, n->params,
                        n->params_size);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct dropout_params *p = n->params;
    const kiln_shape shape = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&shape) == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_dropout,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof(struct kiln_params_dropout),
    };
    struct kiln_params_dropout *block = (struct kiln_params_dropout *)d.block.words;
    block->elements = (uint32_t)kiln_shape_count(&shape);
    block->stream = (uint32_t)p->stream;
    block->threshold = (uint32_t)(p->rate * 4294967296.0);
    KILN_REAL_SET(block, scale, 1 / (1 - p->rate));
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_field fields[] = {
    {"rate", KILN_FIELD_REAL, offsetof(struct dropout_params, rate), 1},
    {"stream", KILN_FIELD_I64, offsetof(struct dropout_params, stream), 1},
    {0},
};

const kiln_op kiln_op_dropout = {
    .name = "dropout",
    .fields = fields,
    .inputs = 2,
    .outputs = 1,
    .infer = infer,
    .beyond = kiln_beyond_ignored,
    .grad = grad,
    .lowerings = (const kiln_lowering[]){{.name = "philox", .lower = lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_dropout(kiln_graph *g, kiln_tensor x, double rate)
{
    if (!x.id || rate == 0)
        return x;
    const struct dropout_params p = {.rate = rate, .stream = kiln_random_stream(g, "dropout")};
    const kiln_tensor in[] = {x, kiln_random_counter(g)};
    return kiln_by_mode(g, kiln_append(g, &kiln_op_dropout, in, 2, &p, sizeof p), x);
}

kiln_tensor kiln_dropout_mask(kiln_graph *g, kiln_tensor x, kiln_tensor mask, double rate)
{
    if (!x.id || !mask.id)
        return KILN_NONE;
    if (!(rate >= 0 && rate < 1)) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "dropout_mask: rate is %g, wanted 0 to below 1", rate);
        return KILN_NONE;
    }
    return kiln_by_mode(g, kiln_scale(g, kiln_mul(g, x, mask), 1 / (1 - rate)), x);
}

/* The kernel --------------------------------------------------------------------------------------------- */

enum { LANES = 64, PER_LANE = 4 };

static const struct kiln_params_dropout *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_dropout *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->elements;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_dropout *p = (struct kiln_params_dropout *)d->block.words;
    p->first += (uint32_t)first;
    p->elements = (uint32_t)count;
    for (int i = 0; i < 3; i += 2) {
        d->bind[i].offset += first * d->element[i];
        d->bind[i].bytes = count * d->element[i];
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + PER_LANE * LANES - 1) / (PER_LANE * LANES);
}

static const kiln_variant flat = {.name = "flat",
                                  .groups = groups,
                                  .spirv = &kiln_spirv_dropout,
                                  .half = &kiln_spirv_dropout_half,
                                  .lanes = LANES};

const kiln_kernel kiln_kernel_dropout = {
    .name = "dropout",
    .block_size = sizeof(struct kiln_params_dropout),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 2,
    .units = units,
    .reference = kiln_reference_dropout_f32,
    .reference_f64 = kiln_reference_dropout_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_dropout_blocks, NULL},
    .cuts = (const kiln_cut[]){{units, take}},
    .cut_count = 1,
};
