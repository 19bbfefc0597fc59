/*
 * generate.c - values that are made of their places: sequences, positions along an axis, and what is composed of them.
 *
 * Lowering: one kernel for sequences; elementwise work for the rest, which fuses with what uses it.
 * Kernel: shaders/generate/, src/cpu/generate.c.   Tests: tests/ops/generate.c.
 */
#include "generate/sequence.h"

#include <math.h>

#include <kiln/elementwise.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/narrow.h"
#include "shaders.h"

/* Sequences ---------------------------------------------------------------------------------------------- */

struct sequence {
    int64_t count, type;
    double start, delta;
};

static kiln_status sequence_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct sequence *p = n->params;
    (void)g;
    *out = (kiln_spec){(kiln_type)p->type, KILN_SHAPE(p->count)};
    return KILN_OK;
}

static kiln_status lower_sequence(kiln_plan *plan, kiln_tensor y, double start, double delta)
{
    const kiln_spec spec = kiln_plan_spec(plan, y);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_sequence,
        .bind = {{.value = y}},
        .constants = {kiln_type_is_real(spec.type)},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_sequence),
    };
    struct kiln_params_sequence *block = (struct kiln_params_sequence *)d.block.words;
    block->count = (uint32_t)spec.shape.size[0];
    if (kiln_type_is_real(spec.type)) {
        KILN_REAL_SET(block, start, start);
        KILN_REAL_SET(block, delta, delta);
    } else {
        block->whole_start = (uint32_t)(int64_t)start;
        block->whole_delta = (uint32_t)(int64_t)delta;
    }
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status sequence_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct sequence *p = n->params;
    return lower_sequence(plan, n->out[0], p->start, p->delta);
}

static void sequence_sizes(void *params, int64_t (*map)(void *user, int64_t size), void *user)
{
    struct sequence *p = params;
    p->count = map(user, p->count);
}

const kiln_op kiln_op_sequence = {
    .name = "sequence",
    .outputs = 1,
    .infer = sequence_infer,
    .lowerings = (const kiln_lowering[]){{.name = "sequence", .lower = sequence_lower}},
    .lowering_count = 1,
    .sizes = sequence_sizes,
    .fields = (const kiln_field[]){{"start", KILN_FIELD_REAL, offsetof(struct sequence, start), 1},
                                   {"delta", KILN_FIELD_REAL, offsetof(struct sequence, delta), 1},
                                   {0}},
};

kiln_tensor kiln_sequence(kiln_graph *g, kiln_type type, double start, double delta, int64_t count)
{
    const struct sequence p = {count, type, start, delta};
    if (g->status)
        return KILN_NONE;
    if (type == KILN_BOOL || !kiln_type_size(type) ||
        (!kiln_type_is_real(type) && (start != rint(start) || delta != rint(delta)))) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "sequence: from %g by %g in %s", start, delta,
                        kiln_type_name(type));
        return KILN_NONE;
    }
    return kiln_is_narrow(type) ? kiln_cast(g, kiln_sequence(g, KILN_I32, start, delta, count), type)
                                : kiln_append(g, &kiln_op_sequence, NULL, 0, &p, sizeof p);
}

kiln_tensor kiln_arange(kiln_graph *g, kiln_type type, double start, double limit, double delta)
{
    const double count = ceil((limit - start) / delta);
    if (g->status)
        return KILN_NONE;
    if (!(delta != 0 && count <= INT32_MAX)) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "arange: from %g to %g by %g", start, limit, delta);
        return KILN_NONE;
    }
    return kiln_sequence(g, type, start, delta, count > 0 ? (int64_t)count : 0);
}

/* ceil((limit - start) / delta) of integers rounds away from what division towards zero drops. */
kiln_tensor kiln_range_count(kiln_graph *g, kiln_tensor start, kiln_tensor limit, kiln_tensor delta)
{
    if (!start.id || !limit.id || !delta.id)
        return KILN_NONE;
    const kiln_type type = kiln_tensor_type(g, start);
    const kiln_tensor span = kiln_sub(g, limit, start), steps = kiln_div(g, span, delta);
    if (kiln_type_is_real(type))
        return kiln_cast(g, kiln_ceil(g, steps), KILN_I32);
    const kiln_tensor rest = kiln_sub(g, span, kiln_mul(g, steps, delta));
    const kiln_tensor zero = kiln_scalar(g, type, 0);
    const kiln_tensor same_side = kiln_equal(g, kiln_less(g, rest, zero), kiln_less(g, delta, zero));
    const kiln_tensor more = kiln_and(g, kiln_not_equal(g, rest, zero), same_side);
    return kiln_add(g, kiln_cast(g, steps, KILN_I32), kiln_cast(g, more, KILN_I32));
}

kiln_tensor kiln_range_between(kiln_graph *g, kiln_tensor start, kiln_tensor limit, kiln_tensor delta,
                               int64_t bound)
{
    const kiln_type type = kiln_tensor_type(g, start);
    if (!start.id || !limit.id || !delta.id)
        return KILN_NONE;
    const kiln_tensor all = kiln_add(g, kiln_mul(g, kiln_sequence(g, type, 0, 1, bound), delta), start);
    return kiln_first(g, all, kiln_range_count(g, start, limit, delta), 0);
}

/* Positions ---------------------------------------------------------------------------------------------- */

/* params: the axis. Of {x}, looked at for its shape. */
static kiln_status positions_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]);
    const int32_t axis = *(const int32_t *)n->params;
    if (axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "the axis is out of range, x has rank %d", x.rank);
    *out = (kiln_spec){KILN_I32, KILN_SHAPE(x.size[axis])};
    return KILN_OK;
}

static kiln_status positions_lower(kiln_plan *plan, const kiln_node *n)
{
    return lower_sequence(plan, n->out[0], 0, 1);
}

static kiln_status positions_fold(const kiln_graph *g, const kiln_node *n, const kiln_array *in,
                                  kiln_array *out)
{
    (void)g, (void)n, (void)in;
    for (int64_t i = 0; i < out->shape.size[0]; i++)
        ((int64_t *)out->data)[i] = i;
    return KILN_OK;
}

static void no_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

const kiln_op kiln_op_positions = {
    .name = "positions",
    .inputs = 1,
    .outputs = 1,
    .shape_inputs = 1u << 0,
    .infer = positions_infer,
    .grad = no_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "sequence", .lower = positions_lower}},
    .lowering_count = 1,
    .fold = positions_fold,
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_INT, 0, 1}, {0}},
};

kiln_tensor kiln_positions(kiln_graph *g, kiln_tensor x, int axis)
{
    const int32_t p = kiln_axis_of(axis, kiln_tensor_shape(g, x).rank);
    return x.id ? kiln_append(g, &kiln_op_positions, &x, 1, &p, sizeof p) : KILN_NONE;
}

/* Matrices ----------------------------------------------------------------------------------------------- */

/* column - row, of x's last two axes or of a matrix of those sizes. */
static kiln_tensor diagonal_of(kiln_graph *g, kiln_tensor rows, kiln_tensor columns)
{
    return kiln_sub(g, columns, kiln_unsqueeze(g, rows, 1));
}

kiln_tensor kiln_triangular(kiln_graph *g, kiln_tensor x, int k, bool upper)
{
    const kiln_tensor diagonal = diagonal_of(g, kiln_positions(g, x, -2), kiln_positions(g, x, -1));
    const kiln_tensor at = kiln_scalar(g, KILN_I32, k), zero = kiln_scalar(g, KILN_I32, 0);
    if (!x.id)
        return KILN_NONE;
    const kiln_tensor kept = upper ? kiln_less_equal(g, at, diagonal) : kiln_less_equal(g, diagonal, at);
    return kiln_where(g, kept, x, kiln_cast(g, zero, kiln_tensor_type(g, x)));
}

kiln_tensor kiln_eye(kiln_graph *g, kiln_type type, int64_t rows, int64_t columns, int k)
{
    const kiln_tensor diagonal =
        diagonal_of(g, kiln_sequence(g, KILN_I32, 0, 1, rows), kiln_sequence(g, KILN_I32, 0, 1, columns));
    return kiln_cast(g, kiln_equal(g, diagonal, kiln_scalar(g, KILN_I32, k)), type);
}

kiln_tensor kiln_one_hot_between(kiln_graph *g, kiln_tensor index, int64_t depth, int axis, kiln_tensor off,
                                 kiln_tensor on)
{
    const int rank = kiln_tensor_shape(g, index).rank, at = kiln_axis_of(axis, rank + 1);
    if (!index.id || !off.id || !on.id)
        return KILN_NONE;
    if (at < 0) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "one_hot: no axis %d beside %d", axis, rank);
        return KILN_NONE;
    }
    kiln_shape along = {.rank = rank + 1};
    for (int i = 0; i <= rank; i++)
        along.size[i] = i == at ? depth : 1;
    const kiln_tensor whole = kiln_cast(g, index, KILN_I32), zero = kiln_scalar(g, KILN_I32, 0);
    const kiln_tensor from_end = kiln_add(g, whole, kiln_scalar(g, KILN_I32, (double)depth));
    const kiln_tensor place =
        kiln_unsqueeze(g, kiln_where(g, kiln_less(g, whole, zero), from_end, whole), at);
    const kiln_tensor all = kiln_reshape(g, kiln_sequence(g, KILN_I32, 0, 1, depth), along);
    return kiln_where(g, kiln_equal(g, place, all), on, off);
}

/* The contract ------------------------------------------------------------------------------------------- */

static const struct kiln_params_sequence *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_sequence *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->count;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

static const kiln_variant flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_sequence, .half = &kiln_spirv_sequence_half};

const kiln_kernel kiln_kernel_sequence = {
    .name = "sequence",
    .block_size = sizeof(struct kiln_params_sequence),
    .bindings = 1,
    .access = {KILN_WRITE},
    .mixed = 1 << 0,
    .units = units,
    .reference = kiln_reference_sequence_f32,
    .reference_f64 = kiln_reference_sequence_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
};
