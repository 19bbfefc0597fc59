/*
 * border.c - an axis that goes on beyond its ends: by its last element, turned round, or from the start again.
 *
 *   border        x           -> y       along one axis; kiln_pad_border is one node an axis
 *   border_grad   dy, x_like  -> dx
 *
 * The gradient is gathered: an element of x is in y once, and once more for each time that the axis comes back to it.
 *
 * Kernels: shaders/border/, src/cpu/border.c, src/cpu/border_fast.c.   Tests: tests/ops/border.c.
 */
#include "border/border.h"

#include <stddef.h>

#include <kiln/arrange.h>
#include <kiln/extend.h>

#include "base/log.h"
#include "device/variants.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct border {
    int64_t before, after;
    int32_t axis, kind;
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct border *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    int64_t *size = &out->shape.size[p->axis];
    if (p->before < 0 || p->after < 0 || p->before > INT32_MAX || p->after > INT32_MAX || !*size)
        return kiln_node_fail(
            g, n, KILN_ERROR_ARGUMENT,
            "axis %d of size %lld: %lld before and %lld after, wanted none negative, and an "
            "element to go on from",
            p->axis, (long long)*size, (long long)p->before, (long long)p->after);
    *size = kiln_dim_add(g, kiln_dim_add(g, *size, p->before), p->after);
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_border_grad, (const kiln_tensor[]){dy[0], n->in[0]}, 2, n->params,
                        n->params_size);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = (kiln_spec){kiln_tensor_spec(g, n->in[0]).type, kiln_tensor_spec(g, n->in[1]).shape};
    return KILN_OK;
}

static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_border, dz, 1, n->params, n->params_size);
}

/* Where an axis ends, data decides; it cannot go on there. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    return axis == ((const struct border *)n->params)->axis ? KILN_REFUSED : KILN_IGNORED;
}

static kiln_status dispatch(kiln_plan *plan, const kiln_kernel *kernel, const kiln_node *n)
{
    const struct border *p = n->params;
    const kiln_shape from = kiln_plan_spec(plan, n->in[0]).shape, to = kiln_plan_spec(plan, n->out[0]).shape;
    const kiln_shape outer = kiln_shape_of(p->axis, to.size),
                     inner = kiln_shape_of(to.rank - p->axis - 1, to.size + p->axis + 1);
    kiln_dispatch d = {
        .kernel = kernel,
        .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
        .constants = {(uint32_t)p->kind, kiln_plan_words(plan, n->out[0])},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_border),
    };
    struct kiln_params_border *b = (struct kiln_params_border *)d.block.words;
    if (!kiln_shape_count(&to))
        return KILN_OK;
    if (!from.size[p->axis])
        return kiln_fail(KILN_ERROR_SHAPE, "border: axis %d has no element to go on from", p->axis);
    b->outer = (uint32_t)kiln_shape_count(&outer);
    b->before = (uint32_t)p->before;
    b->other = (uint32_t)from.size[p->axis];
    KILN_DIVISOR_SET(b, rows, (uint32_t)to.size[p->axis]);
    KILN_DIVISOR_SET(b, inner, (uint32_t)kiln_shape_count(&inner));
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    return dispatch(plan, &kiln_kernel_border, n);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    return dispatch(plan, &kiln_kernel_border_grad, n);
}

static const kiln_field fields[] = {
    {"before", KILN_FIELD_I64, offsetof(struct border, before), 1},
    {"after", KILN_FIELD_I64, offsetof(struct border, after), 1},
    {"axis", KILN_FIELD_INT, offsetof(struct border, axis), 1},
    {"kind", KILN_FIELD_INT, offsetof(struct border, kind), 1},
    {0},
};

const kiln_op kiln_op_border = {
    .name = "border",
    .fields = fields,
    .inputs = 1,
    .outputs = 1,
    .infer = infer,
    .grad = grad,
    .beyond = beyond,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_border_grad = {
    .name = "border_grad",
    .fields = fields,
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1u << 1,
    .infer = grad_infer,
    .grad = grad_grad,
    .beyond = beyond,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = grad_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_pad_border(kiln_graph *g, kiln_tensor x, const int64_t *before, const int64_t *after,
                            kiln_border border)
{
    static const uint32_t codes[] = {[KILN_BORDER_EDGE] = KILN_BORDER_CODE_EDGE,
                                     [KILN_BORDER_REFLECT] = KILN_BORDER_CODE_REFLECT,
                                     [KILN_BORDER_SYMMETRIC] = KILN_BORDER_CODE_SYMMETRIC,
                                     [KILN_BORDER_WRAP] = KILN_BORDER_CODE_WRAP};
    const int rank = x.id ? kiln_tensor_shape(g, x).rank : 0;
    for (int i = rank - 1; i >= 0; i--) {
        const struct border p = {before[i], after[i], i, (int32_t)codes[border]};
        if (p.before || p.after)
            x = kiln_append(g, &kiln_op_border, &x, 1, &p, sizeof p);
    }
    return x;
}

/* The kernels -------------------------------------------------------------------------------------------- */

enum { LANES = 64 };

static const struct kiln_params_border *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_border *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->rows;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) * block_of(d)->inner + LANES - 1) / LANES;
}

static uint64_t extent(const kiln_dispatch *d)
{
    return block_of(d)->outer;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_border *p = (struct kiln_params_border *)d->block.words;
    const uint64_t read = (uint64_t)p->other * p->inner, write = (uint64_t)p->rows * p->inner;
    const uint64_t from = p->first_outer + first, end = from + count;
    p->first_outer = (uint32_t)from;
    p->outer = (uint32_t)count;
    kiln_bind_elements(d, 0, &p->read_first, from * read, end * read);
    kiln_bind_elements(d, 1, &p->write_first, from * write, end * write);
}

static const kiln_cut cuts[] = {{extent, take, kiln_cut_anywhere}};

static const kiln_variant flat = {.name = "flat",
                                  .groups = groups,
                                  .spirv = &kiln_spirv_border,
                                  .half = &kiln_spirv_border_half,
                                  .lanes = LANES};
static const kiln_variant flat_grad = {.name = "flat",
                                       .groups = groups,
                                       .spirv = &kiln_spirv_border_grad,
                                       .half = &kiln_spirv_border_grad_half,
                                       .lanes = LANES};

const kiln_kernel kiln_kernel_border = {
    .name = "border",
    .block_size = sizeof(struct kiln_params_border),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_border_f32,
    .reference_f64 = kiln_reference_border_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_border_rows, NULL},
    .cuts = cuts,
    .cut_count = 1,
};

const kiln_kernel kiln_kernel_border_grad = {
    .name = "border_grad",
    .block_size = sizeof(struct kiln_params_border),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_border_grad_f32,
    .reference_f64 = kiln_reference_border_grad_f64,
    .gpu = (const kiln_variant *const[]){&flat_grad, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_border_grad_rows, NULL},
    .cuts = cuts,
    .cut_count = 1,
};
