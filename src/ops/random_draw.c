/*
 * random_draw.c - numbers that are drawn, and their sources.
 *
 * The one operator has the shape of a value that nothing reads; sizes may be symbols.
 *
 * Kernel: shaders/random/random.comp, src/cpu/random.c, src/cpu/random_fast.c.   Tests: tests/ops/random_draw.c.
 */
#include <stddef.h>

#include <kiln/indexing.h>
#include <kiln/ops.h>
#include <kiln/random.h>

#include "base/rng.h"
#include "device/variants.h"
#include "graph/graph.h"
#include "graph/random.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/random.h"
#include "random/random.h"
#include "shaders.h"

/* The operator: {source, like} ---------------------------------------------------------------------------- */

struct draws {
    double a, b;
    int64_t low, count; /* of WHOLE */
    uint32_t code, stream;
    int64_t type;
};

static const kiln_field fields[] = {
    {"a", KILN_FIELD_REAL, offsetof(struct draws, a), 1},
    {"b", KILN_FIELD_REAL, offsetof(struct draws, b), 1},
    {"low", KILN_FIELD_I64, offsetof(struct draws, low), 1},
    {"count", KILN_FIELD_I64, offsetof(struct draws, count), 1},
    {"code", KILN_FIELD_UINT, offsetof(struct draws, code), 1},
    {0},
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct draws *p = n->params;
    const kiln_spec source = kiln_tensor_spec(g, n->in[0]);
    char a[96];
    *out = (kiln_spec){(kiln_type)p->type, kiln_tensor_shape(g, n->in[1])};
    if (source.type != KILN_I32 || source.shape.rank != 1 || source.shape.size[0] != 2)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the source is %s %s, wanted {seed, step}, i32 [2]",
                              kiln_type_name(source.type),
                              kiln_graph_shape_text(g, &source.shape, a, sizeof a));
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct draws *p = n->params;
    const kiln_shape shape = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&shape) == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_random,
        .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
        .constants = {p->code},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_random),
    };
    struct kiln_params_random *block = (struct kiln_params_random *)d.block.words;
    block->elements = (uint32_t)kiln_shape_count(&shape);
    block->stream = p->stream;
    block->low = (uint32_t)p->low;
    block->count = (uint32_t)p->count;
    KILN_REAL_SET(block, a, p->a);
    KILN_REAL_SET(block, b, p->b);
    return kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_random = {
    .name = "random",
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1 << 1,
    .infer = infer,
    .grad = grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "philox", .lower = lower}},
    .lowering_count = 1,
    .fields = fields,
};

/* Builders ------------------------------------------------------------------------------------------------ */

static kiln_tensor append(kiln_graph *g, struct draws p, kiln_tensor like, const kiln_random_params *params)
{
    const kiln_random_params usual = {0}, *r = params ? params : &usual;
    if (!like.id)
        return KILN_NONE;
    p.stream = r->stream ? (uint32_t)kiln_rng_stream(r->stream) : kiln_random_stream(g, "random");
    const kiln_tensor in[] = {r->source.id ? r->source : kiln_random_counter(g), like};
    return kiln_append(g, &kiln_op_random, in, 2, &p, sizeof p);
}

/* What nothing reads, of that shape. */
static kiln_tensor of_shape(kiln_graph *g, kiln_shape shape)
{
    return kiln_expand(g, kiln_scalar(g, KILN_F32, 0), shape);
}

static kiln_tensor reals(kiln_graph *g, uint32_t code, double a, double b, kiln_type type, kiln_tensor like,
                         const kiln_random_params *params)
{
    if (!g->status && !kiln_type_is_real(type)) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "random: wanted a real type, not %s", kiln_type_name(type));
        return KILN_NONE;
    }
    return append(g, (struct draws){.a = a, .b = b, .code = code, .type = type}, like, params);
}

static kiln_type type_of(const kiln_random_params *params)
{
    return params ? params->type : KILN_F32;
}

static kiln_type type_like(kiln_graph *g, kiln_tensor x, const kiln_random_params *params)
{
    const kiln_type own = x.id ? kiln_tensor_type(g, x) : KILN_F32;
    return kiln_type_is_real(own) ? own : type_of(params);
}

kiln_tensor kiln_random_uniform(kiln_graph *g, kiln_shape shape, double low, double high,
                                const kiln_random_params *params)
{
    return reals(g, KILN_RANDOM_UNIFORM, low, high - low, type_of(params), of_shape(g, shape), params);
}

kiln_tensor kiln_random_normal(kiln_graph *g, kiln_shape shape, double mean, double deviation,
                               const kiln_random_params *params)
{
    return reals(g, KILN_RANDOM_NORMAL, mean, deviation, type_of(params), of_shape(g, shape), params);
}

kiln_tensor kiln_random_uniform_like(kiln_graph *g, kiln_tensor x, double low, double high,
                                     const kiln_random_params *params)
{
    return reals(g, KILN_RANDOM_UNIFORM, low, high - low, type_like(g, x, params), x, params);
}

kiln_tensor kiln_random_normal_like(kiln_graph *g, kiln_tensor x, double mean, double deviation,
                                    const kiln_random_params *params)
{
    return reals(g, KILN_RANDOM_NORMAL, mean, deviation, type_like(g, x, params), x, params);
}

kiln_tensor kiln_random_gumbel_like(kiln_graph *g, kiln_tensor x, const kiln_random_params *params)
{
    return reals(g, KILN_RANDOM_GUMBEL, 0, 1, KILN_F32, x, params);
}

kiln_tensor kiln_random_whole(kiln_graph *g, kiln_shape shape, int64_t low, int64_t high,
                              const kiln_random_params *params)
{
    if (!g->status && (low < INT32_MIN || high - 1 > INT32_MAX || high <= low)) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "random_whole: from %lld to below %lld, wanted a range of i32", (long long)low,
                        (long long)high);
        return KILN_NONE;
    }
    const struct draws p = {.low = low, .count = high - low, .code = KILN_RANDOM_WHOLE, .type = KILN_I32};
    return append(g, p, of_shape(g, shape), params);
}

kiln_tensor kiln_bernoulli(kiln_graph *g, kiln_tensor p, const kiln_random_params *params)
{
    if (!p.id)
        return KILN_NONE;
    const kiln_tensor wide = kiln_cast(g, p, KILN_F32);
    const kiln_tensor u = reals(g, KILN_RANDOM_UNIFORM, 0, 1, KILN_F32, wide, params);
    return kiln_cast(g, kiln_less(g, u, wide), kiln_tensor_type(g, p));
}

/* The order of random words; equal ones, two in 2^32, stay as they stand. */
static kiln_tensor order_like(kiln_graph *g, kiln_tensor row, const kiln_random_params *params)
{
    const struct draws p = {.code = KILN_RANDOM_BITS, .type = KILN_U32};
    return kiln_argsort(g, append(g, p, row, params), 0, false);
}

kiln_tensor kiln_random_permutation(kiln_graph *g, int64_t count, const kiln_random_params *params)
{
    return order_like(g, of_shape(g, KILN_SHAPE(count)), params);
}

kiln_tensor kiln_shuffle(kiln_graph *g, kiln_tensor x, int axis, const kiln_random_params *params)
{
    return x.id ? kiln_gather(g, x, order_like(g, kiln_positions(g, x, axis), params), axis) : KILN_NONE;
}

/* Sources ------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_random_source(kiln_graph *g, const char *name)
{
    return kiln_state(g, name, KILN_I32, KILN_SHAPE(2), KILN_STORE_SESSION);
}

kiln_tensor kiln_random_advance(kiln_graph *g, kiln_tensor source)
{
    const int32_t one_step[2] = {0, 1};
    const kiln_array values = {.data = (void *)(uintptr_t)one_step, .type = KILN_I32, .shape = KILN_SHAPE(2)};
    return source.id ? kiln_assign(g, source, kiln_add(g, source, kiln_constant(g, &values))) : KILN_NONE;
}

/* The kernel ---------------------------------------------------------------------------------------------- */

enum { LANES = 64, PER_LANE = 4 };

static const struct kiln_params_random *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_random *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->elements;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_random *p = (struct kiln_params_random *)d->block.words;
    p->first += (uint32_t)first;
    p->elements = (uint32_t)count;
    d->bind[1].offset += first * d->element[1];
    d->bind[1].bytes = count * d->element[1];
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + PER_LANE * LANES - 1) / (PER_LANE * LANES);
}

static const kiln_variant flat = {.name = "flat",
                                  .groups = groups,
                                  .spirv = &kiln_spirv_random,
                                  .half = &kiln_spirv_random_half,
                                  .lanes = LANES};

const kiln_kernel kiln_kernel_random = {
    .name = "random",
    .block_size = sizeof(struct kiln_params_random),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .mixed = 1 << 1,
    .units = units,
    .reference = kiln_reference_random_f32,
    .reference_f64 = kiln_reference_random_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_random_blocks, NULL},
    .cuts = (const kiln_cut[]){{units, take}},
    .cut_count = 1,
};
