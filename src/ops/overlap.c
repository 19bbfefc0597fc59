/*
 * overlap.c - how well boxes fit one another: intersection over union, and what losses make of it.
 *
 *   overlap        y[r, i, j] = f(a[r, i], b[r, j])
 *   overlap_grad   what flows back to one of the two
 *
 * Boxes pair by pair are rows of one box each.
 *
 * Kernels: shaders/overlap/, src/cpu/overlap.c.   Tests: tests/ops/overlap.c.
 */
#include "overlap/overlap.h"

#include <kiln/detection.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct overlap {
    int64_t kind;
    int64_t of_b; /* overlap_grad: dy's last axis is that of `own` */
};

static bool are_boxes(const kiln_spec *s)
{
    return kiln_type_is_real(s->type) && s->shape.rank >= 2 && s->shape.size[s->shape.rank - 1] == 4;
}

/* Whether two values' axes but the last two are the same, or one of them has none. */
static bool share_rows(const kiln_shape *a, const kiln_shape *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank - 2; i++)
        same = a->size[i] == b->size[i];
    return same || a->rank == 2 || b->rank == 2;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec a = kiln_tensor_spec(g, n->in[0]), b = kiln_tensor_spec(g, n->in[1]);
    char one[96], other[96];
    if (!are_boxes(&a) || !are_boxes(&b) || !share_rows(&a.shape, &b.shape))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "boxes %s and %s, wanted reals [.., N, 4] and [.., M, 4]",
                              kiln_graph_shape_text(g, &a.shape, one, sizeof one),
                              kiln_graph_shape_text(g, &b.shape, other, sizeof other));
    out->type = KILN_F32;
    out->shape = a.shape.rank >= b.shape.rank ? a.shape : b.shape;
    out->shape.size[out->shape.rank - 2] = a.shape.size[a.shape.rank - 2];
    out->shape.size[out->shape.rank - 1] = b.shape.size[b.shape.rank - 2];
    return KILN_OK;
}

/* {dy, own, other}: [dy's rows.., own's boxes, 4] */
static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_shape own = kiln_tensor_shape(g, n->in[1]);
    *out = (kiln_spec){KILN_F32, kiln_tensor_shape(g, n->in[0])};
    out->shape.size[out->shape.rank - 2] = own.size[own.rank - 2];
    out->shape.size[out->shape.rank - 1] = 4;
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    for (int i = 0; i < 2 && dy[0].id; i++) {
        const struct overlap p = {((const struct overlap *)n->params)->kind, i};
        const kiln_tensor in[] = {dy[0], n->in[i], n->in[!i]};
        if (kiln_gradient_wanted(g, n->in[i]))
            dx[i] = kiln_sum_to(g, kiln_append(g, &kiln_op_overlap_grad, in, 3, &p, sizeof p), n->in[i]);
    }
}

/* A sum over the others: of those that are not there dy is 0. */
static kiln_beyond grad_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const struct overlap *p = n->params;
    const int rank = kiln_tensor_shape(g, n->in[0]).rank;
    return input == 0 && axis == rank - (p->of_b ? 2 : 1) ? KILN_FILLED(0) : KILN_IGNORED;
}

/* Dispatches --------------------------------------------------------------------------------------------- */

static uint32_t boxes_of(const kiln_shape *s)
{
    return (uint32_t)s->size[s->rank - 2];
}

/* Of y, or dy, and the boxes whose index is n and m; of_b: y's last axis is that of n. */
static struct kiln_params_overlap block_of(const kiln_plan *plan, kiln_tensor y, kiln_tensor of_n,
                                           kiln_tensor of_m, bool of_b)
{
    const kiln_shape shape = kiln_plan_spec(plan, y).shape, n = kiln_plan_spec(plan, of_n).shape,
                     m = kiln_plan_spec(plan, of_m).shape;
    struct kiln_params_overlap block = {.rows = 1};
    for (int i = 0; i < shape.rank - 2; i++)
        block.rows *= (uint32_t)shape.size[i];
    KILN_DIVISOR_SET(&block, n, boxes_of(&n));
    KILN_DIVISOR_SET(&block, m, boxes_of(&m));
    block.n_step = n.rank == shape.rank ? block.n : 0;
    block.m_step = m.rank == shape.rank ? block.m : 0;
    block.y_row = block.n * block.m;
    block.y_n = of_b ? 1 : block.m;
    block.y_m = of_b ? block.n : 1;
    return block;
}

static kiln_status dispatch(kiln_plan *plan, const kiln_node *n, const kiln_kernel *kernel,
                            const struct kiln_params_overlap *block)
{
    const struct overlap *p = n->params;
    kiln_dispatch d = {
        .kernel = kernel,
        .constants = {(uint32_t)p->kind},
        .constant_count = 1,
        .block_size = sizeof *block,
    };
    for (int i = 0; i < n->inputs; i++)
        d.bind[i].value = n->in[i];
    d.bind[n->inputs].value = n->out[0];
    *(struct kiln_params_overlap *)d.block.words = *block;
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_overlap block = block_of(plan, n->out[0], n->in[0], n->in[1], false);
    return dispatch(plan, n, &kiln_kernel_overlap, &block);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct overlap *p = n->params;
    const struct kiln_params_overlap block = block_of(plan, n->in[0], n->in[1], n->in[2], p->of_b);
    if (!block.m)
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
    return dispatch(plan, n, &kiln_kernel_overlap_grad, &block);
}

static const kiln_field fields[] = {
    {"kind", KILN_FIELD_I64, offsetof(struct overlap, kind), 1},
    {"of_b", KILN_FIELD_I64, offsetof(struct overlap, of_b), 1},
    {0},
};

const kiln_op kiln_op_overlap = {
    .name = "overlap",
    .inputs = 2,
    .outputs = 1,
    .infer = infer,
    .grad = grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "pairs", .lower = lower}},
    .lowering_count = 1,
    .fields = fields,
};

const kiln_op kiln_op_overlap_grad = {
    .name = "overlap_grad",
    .inputs = 3,
    .outputs = 1,
    .infer = grad_infer,
    .beyond = grad_beyond,
    .lowerings = (const kiln_lowering[]){{.name = "boxes", .lower = grad_lower}},
    .lowering_count = 1,
    .fields = fields,
};

/* Builders ----------------------------------------------------------------------------------------------- */

kiln_tensor kiln_box_overlap(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_overlap kind)
{
    const struct overlap p = {.kind = kind};
    return a.id && b.id ? kiln_append(g, &kiln_op_overlap, (const kiln_tensor[]){a, b}, 2, &p, sizeof p)
                        : KILN_NONE;
}

kiln_tensor kiln_box_overlap_each(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_overlap kind)
{
    const kiln_shape x = kiln_tensor_shape(g, a), y = kiln_tensor_shape(g, b);
    char one[96], other[96];
    if (!a.id || !b.id)
        return KILN_NONE;
    if (!kiln_shape_equal(&x, &y) || x.rank < 1) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "overlap: boxes %s and %s, wanted one shape [.., 4]",
                        kiln_graph_shape_text(g, &x, one, sizeof one),
                        kiln_graph_shape_text(g, &y, other, sizeof other));
        return KILN_NONE;
    }
    const kiln_tensor each =
        kiln_box_overlap(g, kiln_unsqueeze(g, a, x.rank - 1), kiln_unsqueeze(g, b, x.rank - 1), kind);
    return kiln_squeeze(g, kiln_squeeze(g, each, -1), -1);
}

kiln_tensor kiln_box_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_overlap kind)
{
    const kiln_tensor overlap = kiln_mean(g, kiln_box_overlap_each(g, a, b, kind), NULL);
    return kiln_shift(g, kiln_neg(g, overlap), 1);
}

/* The contracts ------------------------------------------------------------------------------------------ */

static struct kiln_params_overlap *params_of(const kiln_dispatch *d)
{
    return (struct kiln_params_overlap *)d->block.words;
}

static uint64_t boxes(const kiln_dispatch *d)
{
    return (uint64_t)params_of(d)->rows * params_of(d)->n;
}

static uint64_t pairs(const kiln_dispatch *d)
{
    return boxes(d) * params_of(d)->m;
}

static uint64_t a_lane_each(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + 63) / 64;
}

static double flops(const kiln_dispatch *d)
{
    return 30.0 * (double)pairs(d);
}

static uint64_t row_extent(const kiln_dispatch *d)
{
    return params_of(d)->rows;
}

/* Let binding i begin `skip` elements on and have `span` of them. */
static void move(kiln_dispatch *d, int i, uint64_t skip, uint64_t span)
{
    struct kiln_params_overlap *p = params_of(d);
    p->first[i] = kiln_bind_window(d, i, p->first[i] + skip, span);
}

/* Boxes in binding i: shared ones stay. */
static void move_boxes(kiln_dispatch *d, int i, uint64_t step, uint64_t first, uint64_t count)
{
    if (step)
        move(d, i, 4 * first * step, 4 * count * step);
}

static void row_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_overlap *p = params_of(d);
    const bool backward = d->kernel == &kiln_kernel_overlap_grad;
    move(d, backward ? 0 : 2, first * p->y_row, count * p->y_row);
    move_boxes(d, backward ? 1 : 0, p->n_step, first, count);
    move_boxes(d, backward ? 2 : 1, p->m_step, first, count);
    if (backward)
        move_boxes(d, 3, p->n, first, count);
    p->rows = (uint32_t)count;
}

/* The boxes of a lone row; where y's last axis is theirs, all of y stays in reach. */
static uint64_t box_extent(const kiln_dispatch *d)
{
    return params_of(d)->rows == 1 && params_of(d)->y_n != 1 ? params_of(d)->n : 1;
}

static void box_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_overlap *p = params_of(d);
    const bool backward = d->kernel == &kiln_kernel_overlap_grad;
    move(d, backward ? 0 : 2, first * p->m, count * p->m);
    move_boxes(d, backward ? 1 : 0, 1, first, count);
    if (backward)
        move_boxes(d, 3, 1, first, count);
    KILN_DIVISOR_SET(p, n, (uint32_t)count);
}

static const kiln_cut cuts[] = {{row_extent, row_take, kiln_cut_anywhere},
                                {box_extent, box_take, kiln_cut_anywhere}};

static const kiln_variant flat = {.name = "flat", .groups = a_lane_each, .spirv = &kiln_spirv_overlap};
static const kiln_variant grad_flat = {.name = "flat",
                                       .groups = a_lane_each,
                                       .spirv = &kiln_spirv_overlap_grad};

const kiln_kernel kiln_kernel_overlap = {
    .name = "overlap",
    .block_size = sizeof(struct kiln_params_overlap),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .units = pairs,
    .reference = kiln_reference_overlap_f32,
    .reference_f64 = kiln_reference_overlap_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cuts = cuts,
    .cut_count = 2,
    .flops = flops,
};

const kiln_kernel kiln_kernel_overlap_grad = {
    .name = "overlap_grad",
    .block_size = sizeof(struct kiln_params_overlap),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .units = boxes,
    .reference = kiln_reference_overlap_grad_f32,
    .reference_f64 = kiln_reference_overlap_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_flat, NULL},
    .cuts = cuts,
    .cut_count = 2,
    .flops = flops,
};
