/*
 * rotary.c - what tells positions apart: tables of sines and cosines, and rotary embedding by them.
 *
 *   y[.., a] = x[.., a] cos - x[.., b] sin,   y[.., b] = x[.., b] cos + x[.., a] sin
 *
 * The tables are compositions. Turning back is the gradient, by the same kernel.
 *
 * Kernels: shaders/rotary/, src/cpu/rotary.c, src/cpu/rotary_fast.c.   Tests: tests/ops/rotary.c.
 */
#include "rotary/rotary.h"

#include <math.h>
#include <stdlib.h>

#include <kiln/attention.h>

#include "device/variants.h"
#include "graph/graph.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* Tables ------------------------------------------------------------------------------------------------- */

/* Angles [positions' shape, count]: position * base^(-i / count). */
static kiln_tensor angles(kiln_graph *g, kiln_tensor positions, int64_t count, double base)
{
    double *rate = count > 0 ? malloc((size_t)count * sizeof *rate) : NULL;
    if (!rate) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "positions: a table of %lld columns", (long long)count);
        return KILN_NONE;
    }
    for (int64_t i = 0; i < count; i++)
        rate[i] = pow(base, -(double)i / (double)count);
    const kiln_tensor rates =
        kiln_cast(g,
                  kiln_constant(g, &(kiln_array){.data = rate, .type = KILN_F64, .shape = KILN_SHAPE(count)}),
                  KILN_F32);
    free(rate);
    return kiln_mul(g, kiln_unsqueeze(g, kiln_cast(g, positions, KILN_F32), -1), rates);
}

static bool fits_table(kiln_graph *g, kiln_tensor positions, int size)
{
    if (!positions.id)
        return false;
    if (size > 0 && size % 2 == 0)
        return true;
    kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "positions: a size of %d, wanted an even number", size);
    return false;
}

kiln_tensor kiln_sinusoidal(kiln_graph *g, kiln_tensor positions, int width, double base)
{
    if (!fits_table(g, positions, width))
        return KILN_NONE;
    const kiln_tensor angle = angles(g, positions, width / 2, base ? base : 10000);
    const kiln_tensor pair[] = {kiln_unsqueeze(g, kiln_sin(g, angle), -1),
                                kiln_unsqueeze(g, kiln_cos(g, angle), -1)};
    kiln_shape shape = kiln_tensor_shape(g, positions);
    if (shape.rank >= KILN_MAX_RANK - 1) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "positions: rank %d leaves no room for columns", shape.rank);
        return KILN_NONE;
    }
    shape.size[shape.rank++] = width;
    return kiln_reshape(g, kiln_concat(g, pair, 2, -1), shape);
}

kiln_tensor kiln_rotary_table(kiln_graph *g, kiln_tensor positions, int size, double base, kiln_tensor *sine)
{
    *sine = KILN_NONE;
    if (!fits_table(g, positions, size))
        return KILN_NONE;
    const kiln_tensor angle = angles(g, positions, size / 2, base ? base : 10000);
    *sine = kiln_sin(g, angle);
    return kiln_cos(g, angle);
}

/* The operator ------------------------------------------------------------------------------------------- */

struct params {
    int32_t heads, size; /* of x of rank 3; how many elements turn, 0 all */
    uint32_t flags;
};

static const kiln_field fields[] = {
    {"heads", KILN_FIELD_INT, offsetof(struct params, heads), 1},
    {"size", KILN_FIELD_INT, offsetof(struct params, size), 1},
    {"flags", KILN_FIELD_UINT, offsetof(struct params, flags), 1},
    {0},
};

enum { X, COSINE, SINE };

/* Elements of a head; negative where x has another rank, or the heads do not divide it. */
static int64_t depth_of(const struct params *p, const kiln_shape *x)
{
    if (x->rank == 4)
        return x->size[3];
    return x->rank == 3 && p->heads > 0 && x->size[2] % p->heads == 0 ? x->size[2] / p->heads : -1;
}

/* The tables: [L, size / 2], or one a batch, [N, L, size / 2]. */
static bool table_fits(const kiln_shape *x, const kiln_shape *table, int64_t pairs)
{
    const int64_t length = x->size[x->rank - 2];
    const int at = table->rank - 2;
    return (table->rank == 2 || (table->rank == 3 && table->size[0] == x->size[0])) &&
           table->size[at] == length && table->size[at + 1] == pairs;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct params *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[X]);
    char a[96], b[96];
    if (!kiln_type_is_real(x.type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type", kiln_type_name(x.type));
    const int64_t depth = depth_of(p, &x.shape), turned = p->size ? p->size : depth;
    if (depth < 1 || turned < 2 || turned > depth || turned % 2)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "x is %s with %d heads, of which %lld elements turn; wanted [N, H, L, D] or "
                              "[N, L, heads D], and an even number up to D",
                              kiln_graph_shape_text(g, &x.shape, a, sizeof a), p->heads, (long long)turned);
    for (int i = COSINE; i <= SINE; i++) {
        const kiln_spec table = kiln_tensor_spec(g, n->in[i]);
        if (kiln_type_is_real(table.type) && table_fits(&x.shape, &table.shape, turned / 2))
            continue;
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "x is %s and its %s %s %s, wanted a real [L, %lld] or [N, L, %lld]",
                              kiln_graph_shape_text(g, &x.shape, a, sizeof a), i == SINE ? "sine" : "cosine",
                              kiln_type_name(table.type), kiln_graph_shape_text(g, &table.shape, b, sizeof b),
                              (long long)(turned / 2), (long long)(turned / 2));
    }
    *out = x;
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    struct params p = *(const struct params *)n->params;
    p.flags ^= KILN_ROTARY_INVERSE;
    for (int i = COSINE; i <= SINE; i++)
        if (kiln_gradient_wanted(g, n->in[i]))
            kiln_node_fail(g, n, KILN_ERROR_UNSUPPORTED, "its angles have no gradient");
    dx[X] = kiln_append(g, &kiln_op_rotary, (const kiln_tensor[]){dy[0], n->in[COSINE], n->in[SINE]}, 3, &p,
                        sizeof p);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct params *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[X]).shape,
                     table = kiln_plan_spec(plan, n->in[COSINE]).shape;
    const bool rows_first = x.rank == 3;
    const uint32_t depth = (uint32_t)depth_of(p, &x), heads = (uint32_t)(rows_first ? p->heads : x.size[1]);
    const uint32_t length = (uint32_t)x.size[x.rank - 2];
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_rotary,
        .bind = {{.value = n->in[X]}, {.value = n->in[COSINE]}, {.value = n->in[SINE]}, {.value = n->out[0]}},
        .constants = {p->flags | (rows_first ? KILN_ROTARY_ROWS_FIRST : 0)},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_rotary),
    };
    struct kiln_params_rotary *block = (struct kiln_params_rotary *)d.block.words;
    block->rows = (uint32_t)x.size[0] * heads * length;
    block->turned = p->size ? (uint32_t)p->size : depth;
    KILN_DIVISOR_SET(block, depth, depth);
    KILN_DIVISOR_SET(block, inner, rows_first ? heads : length);
    KILN_DIVISOR_SET(block, outer, rows_first ? length : heads);
    block->table_batch = table.rank == 3 ? length * (block->turned / 2) : 0;
    return kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_rotary = {
    .name = "rotary",
    .fields = fields,
    .inputs = 3,
    .outputs = 1,
    .infer = infer,
    .grad = grad,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_rotary(kiln_graph *g, kiln_tensor x, kiln_tensor cosine, kiln_tensor sine,
                        const kiln_rotary_params *params)
{
    const kiln_rotary_params none = {0}, *given = params ? params : &none;
    const struct params p = {.heads = kiln_tensor_shape(g, x).rank == 3 ? given->heads : 0,
                             .size = given->size,
                             .flags = given->interleaved ? KILN_ROTARY_INTERLEAVED : 0};
    if (!x.id || !cosine.id || !sine.id)
        return KILN_NONE;
    return kiln_append(g, &kiln_op_rotary, (const kiln_tensor[]){x, cosine, sine}, 3, &p, sizeof p);
}

/* The kernel --------------------------------------------------------------------------------------------- */

enum { LANES = 64 };

static const struct kiln_params_rotary *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_rotary *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->rows;
}

/* Windows of whole batches; the tables stay as they are. */
static uint64_t batch_of(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->inner * block_of(d)->outer * block_of(d)->depth;
}

static uint64_t extent(const kiln_dispatch *d)
{
    return units(d) * block_of(d)->depth / batch_of(d);
}

static uint64_t unit(const kiln_dispatch *d)
{
    return kiln_value_unit(batch_of(d));
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_rotary *p = (struct kiln_params_rotary *)d->block.words;
    const uint64_t values = batch_of(d);
    p->rows = (uint32_t)(count * values / p->depth);
    p->first_batch += (uint32_t)first;
    for (int i = 0; i < 4; i += 3) {
        d->bind[i].offset += first * values * d->element[i];
        d->bind[i].bytes = count * values * d->element[i];
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) * block_of(d)->depth + LANES - 1) / LANES;
}

static const kiln_variant flat = {.name = "flat",
                                  .groups = groups,
                                  .spirv = &kiln_spirv_rotary,
                                  .half = &kiln_spirv_rotary_half,
                                  .lanes = LANES};

const kiln_kernel kiln_kernel_rotary = {
    .name = "rotary",
    .block_size = sizeof(struct kiln_params_rotary),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 3,
    .mixed = 1 << 1 | 1 << 2,
    .units = units,
    .reference = kiln_reference_rotary_f32,
    .reference_f64 = kiln_reference_rotary_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_rotary_rows, NULL},
    .cuts = (const kiln_cut[]){{extent, take, unit}},
    .cut_count = 1,
};
