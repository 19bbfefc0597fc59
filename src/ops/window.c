/*
 * window.c - part of a value at a place that data gives: what loops read and write by their counter, and caches grow by.
 *
 *   slice_at   y = the rows of x from a position on         dx = dy put into zeros
 *   put_at     y = x with rows from a position on replaced   dx = dy with zeros put in, dvalue = those rows of dy
 *
 * put_at writes into x's own memory where nothing reads x any more (compiler/place.c), and copies it first where something does.
 *
 * Kernels: shaders/window/, src/cpu/window.c.   Tests: tests/ops/window.c.
 */
#include <stddef.h>

#include <kiln/control.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "graph/graph.h"
#include "ops/kernels.h"
#include "shaders.h"
#include "window/window.h"

/* Operators ---------------------------------------------------------------------------------------------- */

struct window {
    int64_t axis, count; /* count 0: as many as the node's `like` has */
};

static void map_count(void *params, int64_t (*map)(void *user, int64_t size), void *user)
{
    struct window *p = params;
    p->count = map(user, p->count);
}

static kiln_status check_position(kiln_graph *g, const kiln_node *n, kiln_tensor position)
{
    const kiln_spec spec = kiln_tensor_spec(g, position);
    if ((spec.type == KILN_I32 || spec.type == KILN_I64) && spec.shape.rank == 0)
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_TYPE, "position is %s of rank %d, wanted an i32 or i64 scalar",
                          kiln_type_name(spec.type), spec.shape.rank);
}

/* A part of `count` rows fits `rows` unless both are known and it does not. */
static kiln_status check_count(kiln_graph *g, const kiln_node *n, int64_t count, int64_t rows)
{
    if (count >= 0 && rows >= 0 && count > rows)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%lld rows of an axis that has %lld", (long long)count,
                              (long long)rows);
    return KILN_OK;
}

/* Inputs {x, position} or {x, position, like}. */
static kiln_status slice_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct window *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    const int axis = kiln_axis_of((int)p->axis, out->shape.rank);
    if (axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no axis %d in rank %d", (int)p->axis,
                              out->shape.rank);
    const int64_t rows = out->shape.size[axis],
                  count = n->inputs > 2 ? kiln_tensor_shape(g, n->in[2]).size[axis] : p->count;
    out->shape.size[axis] = count;
    const kiln_status status = check_position(g, n, n->in[1]);
    return status ? status : check_count(g, n, count, rows);
}

/* Inputs {x, value, position}. */
static kiln_status put_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec value = kiln_tensor_spec(g, n->in[1]);
    *out = kiln_tensor_spec(g, n->in[0]);
    const int axis = kiln_axis_of((int)((const struct window *)n->params)->axis, out->shape.rank);
    kiln_shape rest = out->shape;
    char a[96], b[96];
    if (axis >= 0 && axis < value.shape.rank)
        rest.size[axis] = value.shape.size[axis];
    if (axis < 0 || value.type != out->type || !kiln_shape_equal(&rest, &value.shape))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s %s does not fit into %s %s along axis %d",
                              kiln_type_name(value.type), kiln_graph_shape_text(g, &value.shape, a, sizeof a),
                              kiln_type_name(out->type), kiln_graph_shape_text(g, &out->shape, b, sizeof b),
                              (int)((const struct window *)n->params)->axis);
    const kiln_status status = check_position(g, n, n->in[2]);
    return status ? status : check_count(g, n, value.shape.size[axis], out->shape.size[axis]);
}

static void slice_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct window *p = n->params;
    dx[0] = kiln_put_at(g, kiln_zeros_like(g, n->in[0]), dy[0], (int)p->axis, n->in[1]);
}

static void put_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct window *p = n->params;
    dx[0] = kiln_put_at(g, dy[0], kiln_zeros_like(g, n->in[1]), (int)p->axis, n->in[2]);
    dx[1] =
        kiln_append(g, &kiln_op_slice_at, (const kiln_tensor[]){dy[0], n->in[2], n->in[1]}, 3, p, sizeof *p);
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* The one dispatch that moves `part` from or into `whole`. */
static kiln_status move(kiln_plan *plan, kiln_tensor whole, kiln_tensor part, kiln_tensor position, int given,
                        bool put)
{
    const kiln_shape w = kiln_plan_spec(plan, whole).shape, c = kiln_plan_spec(plan, part).shape;
    const int axis = kiln_axis_of(given, w.rank);
    const kiln_shape outer = kiln_shape_of(axis, w.size),
                     inner = kiln_shape_of(w.rank - axis - 1, w.size + axis + 1);
    const uint32_t rows = (uint32_t)w.size[axis], count = (uint32_t)c.size[axis];
    kiln_dispatch d = {
        .kernel = &kiln_kernel_window,
        .bind = {{.value = put ? part : whole}, {.value = position}, {.value = put ? whole : part}},
        .constants = {kiln_plan_words(plan, whole), put},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_window),
    };
    struct kiln_params_window *block = (struct kiln_params_window *)d.block.words;
    *block = (struct kiln_params_window){.outer = (uint32_t)kiln_shape_count(&outer),
                                         .rows = rows,
                                         .bound = rows,
                                         .total = count,
                                         .inner = (uint32_t)kiln_shape_count(&inner)};
    KILN_DIVISOR_SET(block, part, count * block->inner);
    if (!block->outer || !block->part)
        return KILN_OK;
    if (count > rows)
        return kiln_fail(KILN_ERROR_SHAPE, "%u rows of an axis that has %u", count, rows);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status slice_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct window *p = n->params;
    return move(plan, n->in[0], n->out[0], n->in[1], (int)p->axis, false);
}

static kiln_status put_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct window *p = n->params;
    kiln_status status = KILN_OK;
    if (!kiln_plan_in_place(plan, n->in[0], n->out[0]))
        status = kiln_plan_copy(plan, (kiln_binding){.value = n->in[0]}, (kiln_binding){.value = n->out[0]});
    return status ? status : move(plan, n->out[0], n->in[1], n->in[2], (int)p->axis, true);
}

static const kiln_field fields[] = {
    {"axis", KILN_FIELD_I64, offsetof(struct window, axis), 1},
    {"count", KILN_FIELD_I64, offsetof(struct window, count), 1},
    {0},
};

const kiln_op kiln_op_slice_at = {
    .name = "slice_at",
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1u << 2,
    .infer = slice_infer,
    .grad = slice_grad,
    .lowerings = (const kiln_lowering[]){{.name = "window", .lower = slice_lower}},
    .lowering_count = 1,
    .sizes = map_count,
    .fields = fields,
};

const kiln_op kiln_op_put_at = {
    .name = "put_at",
    .inputs = 3,
    .outputs = 1,
    .infer = put_infer,
    .grad = put_grad,
    .lowerings = (const kiln_lowering[]){{.name = "window", .lower = put_lower}},
    .lowering_count = 1,
    .over = 1,
    .fields = fields,
};

kiln_tensor kiln_slice_at(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor position, int64_t count)
{
    const struct window p = {axis, count};
    return kiln_append(g, &kiln_op_slice_at, (const kiln_tensor[]){x, position}, 2, &p, sizeof p);
}

kiln_tensor kiln_put_at(kiln_graph *g, kiln_tensor x, kiln_tensor value, int axis, kiln_tensor position)
{
    const struct window p = {.axis = axis};
    return kiln_append(g, &kiln_op_put_at, (const kiln_tensor[]){x, value, position}, 3, &p, sizeof p);
}

kiln_tensor kiln_assign_slice(kiln_graph *g, kiln_tensor state, kiln_tensor value, int axis,
                              kiln_tensor position)
{
    return kiln_assign(g, state, kiln_put_at(g, state, value, axis, position));
}

/* The kernel --------------------------------------------------------------------------------------------- */

static const struct kiln_params_window *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_window *)d->block.words;
}

static struct kiln_params_window *block_to_cut(kiln_dispatch *d)
{
    return (struct kiln_params_window *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->part / block_of(d)->inner;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((uint64_t)block_of(d)->outer * block_of(d)->part + 63) / 64;
}

/* The part is read and written: what else is bound is not touched. */
static uint64_t traffic(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->part * 2 * d->element[0];
}

/* Narrow a binding to `count` elements, from `first` on: from a multiple of 256 bytes, and `start` elements into it. */
static void narrow(const kiln_dispatch *d, kiln_binding *b, uint32_t *start, uint64_t first, uint64_t count)
{
    const uint64_t grain = kiln_dispatch_unit(d), element = d->element[0], at = *start + first;
    b->offset += at / grain * grain * element;
    *start = (uint32_t)(at % grain);
    b->bytes = (*start + count) * element;
}

static void narrow_part(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    narrow(d, &d->bind[d->constants[1] ? 0 : 2], &block_to_cut(d)->part_start, first, count);
}

static void narrow_whole(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    narrow(d, &d->bind[d->constants[1] ? 2 : 0], &block_to_cut(d)->whole_start, first, count);
}

static uint64_t any(const kiln_dispatch *d)
{
    (void)d;
    return 1;
}

static uint64_t outer_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer;
}

static void take_outer(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_window *p = block_to_cut(d);
    const uint64_t whole = (uint64_t)p->bound * p->inner;
    p->outer = (uint32_t)count;
    narrow_part(d, first * p->part, count * p->part);
    narrow_whole(d, first * whole, count * whole);
}

/* Rows of the part, where they lie one behind the other. */
static uint64_t part_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer == 1 ? block_of(d)->part / block_of(d)->inner : 1;
}

static void take_part(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_window *p = block_to_cut(d);
    p->skip += (uint32_t)first;
    KILN_DIVISOR_SET(p, part, (uint32_t)count * p->inner);
    narrow_part(d, first * p->inner, count * p->inner);
}

/* Rows of the whole: each dispatch looks whether the position lies in its own. */
static uint64_t whole_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer == 1 ? block_of(d)->bound : 1;
}

static void take_whole(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_window *p = block_to_cut(d);
    p->first += (uint32_t)first;
    p->bound = (uint32_t)count;
    narrow_whole(d, first * p->inner, count * p->inner);
}

static const kiln_variant flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_window, .half = &kiln_spirv_window_half};

const kiln_kernel kiln_kernel_window = {
    .name = "window",
    .block_size = sizeof(struct kiln_params_window),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1u << 0 | 1u << 2,
    .units = units,
    .reference = kiln_reference_window_f32,
    .reference_f64 = kiln_reference_window_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cuts = (const kiln_cut[]){{outer_extent, take_outer, any},
                               {part_extent, take_part, any},
                               {whole_extent, take_whole, any}},
    .cut_count = 3,
    .traffic = traffic,
};
