/*
 * normalize.c - normalization by rows: layer, group, instance, RMS, L2 and weight normalization are one kernel.
 *
 *   y = (x - mean) inverse scale + bias,   inverse = 1 / sqrt(variance + epsilon), without a mean for RMS and L2
 *
 * Lowering: x is rows of values that lie `step` apart, each with a scale and a bias of its channel. Layer normalization has a
 * channel a value of the row, group normalization one for `inner` neighbours, weight normalization one a row. mean and inverse
 * are outputs: the gradients by x, again one kernel, and by scale and bias, sums over the rows in parts by sizes alone, read
 * them. Sums by channel over a whole batch (channel_sums), which the gradient of batch normalization takes (norm.c), are the same
 * kernel, whose rows then share their means.
 *
 * The kernels: src/ops/normalize_kernel.c, shaders/normalize/, src/cpu/normalize.c, src/cpu/normalize_fast.c.
 * Tests: tests/ops/normalize.c.
 */
#include "normalize/normalize.h"

#include <kiln/norm.h>

#include "base/number.h"
#include "graph/graph.h"
#include "normalize/sums.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/lower.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

/* Where the rows lie in x, and what has a scale of its own. */
enum form {
    AXES,   /* rows along the axes from `axis` to the last, a scale for each of their values */
    AXIS,   /* rows along one axis, no scale */
    GROUPS, /* x [N, C, ..]: `groups` rows of each of the N, a scale a channel; 0: as many as channels */
    WHOLE,  /* rows along the axes from 1 on, a scale a row */
};

struct params {
    int32_t form, axis, groups;
    uint32_t flags; /* KILN_NORMALIZE_CENTER, KILN_NORMALIZE_LENGTH */
    double epsilon;
};

static const kiln_field fields[] = {
    {"form", KILN_FIELD_INT, offsetof(struct params, form), 1},
    {"axis", KILN_FIELD_INT, offsetof(struct params, axis), 1},
    {"groups", KILN_FIELD_INT, offsetof(struct params, groups), 1},
    {"epsilon", KILN_FIELD_REAL, offsetof(struct params, epsilon), 1},
    {0},
};

/* Inputs of a normalization, and of its gradients. */
enum { X, SCALE, BIAS };
enum { GRAD_X, GRAD_DY, GRAD_MEAN, GRAD_INVERSE, GRAD_SCALE };

/* [from, to): the axes of x that a row walks; of GROUPS, all behind the channels. */
static void axes_of(const struct params *p, int rank, int *from, int *to)
{
    *from = p->form == GROUPS ? 2 : p->axis;
    *to = p->form == AXIS ? p->axis + 1 : rank;
}

/* The shape of mean and inverse. */
static kiln_shape rows_shape(const struct params *p, const kiln_shape *x)
{
    kiln_shape s = *x;
    int from, to;
    if (p->form == GROUPS)
        return KILN_SHAPE(x->size[0], p->groups ? p->groups : x->size[1]);
    axes_of(p, x->rank, &from, &to);
    for (int i = from; i < to; i++)
        s.size[i] = 1;
    return s;
}

/* The shape that scale and bias must have. */
static kiln_shape scale_shape(const struct params *p, const kiln_shape *x)
{
    if (p->form == AXES)
        return kiln_shape_of(x->rank - p->axis, x->size + p->axis);
    return KILN_SHAPE(x->size[p->form == GROUPS ? 1 : 0]);
}

static kiln_status check_x(kiln_graph *g, const kiln_node *n, const kiln_spec *x)
{
    const struct params *p = n->params;
    if (!kiln_type_is_real(x->type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type", kiln_type_name(x->type));
    if (p->axis < 0 || p->axis >= x->shape.rank)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the axis is out of range, x has rank %d",
                              x->shape.rank);
    if (p->form == GROUPS && x->shape.rank < 2)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x has rank %d, wanted [N, C, ..]", x->shape.rank);
    if (p->form == GROUPS && p->groups && x->shape.size[1] >= 0 && x->shape.size[1] % p->groups)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%lld channels in %d groups",
                              (long long)x->shape.size[1], p->groups);
    return KILN_OK;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct params *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[X]);
    const kiln_status status = check_x(g, n, &x);
    if (status)
        return status;
    const kiln_shape wanted = scale_shape(p, &x.shape);
    for (int i = SCALE; i <= BIAS; i++) {
        const kiln_spec s = kiln_tensor_spec(g, n->in[i]);
        char a[96], b[96];
        if (!n->in[i].id || (kiln_type_is_real(s.type) && kiln_shape_equal(&s.shape, &wanted)))
            continue;
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s is %s %s, wanted a real %s",
                              i == SCALE ? "scale" : "bias", kiln_type_name(s.type),
                              kiln_graph_shape_text(g, &s.shape, a, sizeof a),
                              kiln_graph_shape_text(g, &wanted, b, sizeof b));
    }
    out[0] = x;
    out[1] = out[2] = (kiln_spec){KILN_F32, rows_shape(p, &x.shape)};
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct params *p = n->params;
    const kiln_tensor mean = p->flags & KILN_NORMALIZE_CENTER ? n->out[1] : KILN_NONE;
    if (dy[1].id || dy[2].id)
        kiln_node_fail(g, n, KILN_ERROR_UNSUPPORTED, "mean and deviation have no gradient");
    if (!dy[0].id)
        return;
    const kiln_tensor in[] = {n->in[X], dy[0], mean, n->out[2], n->in[SCALE]};
    dx[X] = kiln_append(g, &kiln_op_normalize_grad, in, 5, n->params, n->params_size);
    if (!n->in[SCALE].id && !n->in[BIAS].id)
        return;
    const kiln_tensor like = n->in[SCALE].id ? n->in[SCALE] : n->in[BIAS];
    const kiln_tensor sums[] = {n->in[X], dy[0], mean, n->out[2], like};
    const kiln_tensor by_scale = kiln_append(g, &kiln_op_normalize_sums, sums, 5, n->params, n->params_size);
    dx[SCALE] = n->in[SCALE].id ? by_scale : KILN_NONE;
    dx[BIAS] = n->in[BIAS].id && by_scale.id ? kiln_node_output(g, by_scale, 1) : KILN_NONE;
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[GRAD_X]);
    return KILN_OK;
}

static kiln_status sums_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = out[1] = kiln_tensor_spec(g, n->in[GRAD_SCALE]);
    return KILN_OK;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

static uint32_t product(const kiln_shape *s, int from, int to)
{
    int64_t count = 1;
    for (int i = from; i < to; i++)
        count *= s->size[i];
    return (uint32_t)count;
}

static struct kiln_params_normalize block_for(const struct params *p, const kiln_shape *x)
{
    struct kiln_params_normalize block = {.groups = 1, .channels = 1};
    int from, to;
    axes_of(p, x->rank, &from, &to);
    block.rows = product(x, 0, from) * product(x, to, x->rank);
    block.cols = product(x, from, to);
    block.step = product(x, to, x->rank);
    uint32_t inner = 1;
    if (p->form == AXES)
        block.channels = block.cols;
    if (p->form == WHOLE)
        block.groups = block.rows, inner = block.cols;
    if (p->form == GROUPS) {
        inner = block.cols;
        block.groups = (uint32_t)(p->groups ? p->groups : x->size[1]);
        block.channels = block.groups ? (uint32_t)x->size[1] / block.groups : 0;
        block.rows = (uint32_t)x->size[0] * block.groups;
        block.cols = block.channels * inner;
    }
    KILN_DIVISOR_SET(&block, inner, inner);
    KILN_REAL_SET(&block, share, p->flags & KILN_NORMALIZE_LENGTH ? 1 : 1 / (double)block.cols);
    KILN_REAL_SET(&block, epsilon, p->epsilon);
    return block;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct params *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[X]).shape;
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_normalize,
        .bind = {{.value = n->in[X]},
                 {.value = n->in[SCALE]},
                 {.value = n->in[BIAS]},
                 {.value = n->out[0]},
                 {.value = p->flags & KILN_NORMALIZE_CENTER ? n->out[1] : KILN_NONE},
                 {.value = n->out[2]}},
        .constants = {p->flags | (n->in[SCALE].id ? KILN_NORMALIZE_SCALED : 0) |
                      (n->in[BIAS].id ? KILN_NORMALIZE_SHIFTED : 0)},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_normalize),
    };
    *(struct kiln_params_normalize *)d.block.words = block_for(p, &x);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct params *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[GRAD_X]).shape;
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_normalize_grad,
        .bind = {{.value = n->in[GRAD_X]},
                 {.value = n->in[GRAD_DY]},
                 {.value = n->in[GRAD_SCALE]},
                 {.value = n->in[GRAD_MEAN]},
                 {.value = n->in[GRAD_INVERSE]},
                 {.value = n->out[0]}},
        .constants = {p->flags | (n->in[GRAD_SCALE].id ? KILN_NORMALIZE_SCALED : 0)},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_normalize),
    };
    *(struct kiln_params_normalize *)d.block.words = block_for(p, &x);
    return kiln_plan_dispatch(plan, &d);
}

/* A part has some thousand values of a channel, and there are not too many of them. */
enum { PART = 2048, LEAST = 32, MOST_PARTS = 256 };

static uint32_t parts_of(uint32_t count, uint32_t length)
{
    return (count + length - 1) / length;
}

static void set_parts(struct kiln_params_normalize_sums *block)
{
    const uint32_t usual = block->inner < PART / LEAST ? LEAST : parts_of(PART, block->inner);
    const uint32_t least = parts_of(block->count, MOST_PARTS);
    block->part_length = usual > least ? usual : least;
    block->parts = parts_of(block->count, block->part_length);
}

/* Sums of one kernel, in parts that others add up; of a mean that is none or in[GRAD_MEAN]. */
static kiln_status lower_sums(kiln_plan *plan, const kiln_node *n, bool centered,
                              struct kiln_params_normalize_sums block)
{
    set_parts(&block);
    kiln_tensor to[2] = {n->out[0], n->out[1]};
    for (int i = 0; i < 2 && block.parts > 1; i++)
        to[i] = kiln_plan_temporary(plan, KILN_F32, (int64_t)block.parts * block.channels);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_normalize_sums,
        .bind = {{.value = n->in[GRAD_X]},
                 {.value = n->in[GRAD_DY]},
                 {.value = n->in[GRAD_MEAN]},
                 {.value = n->in[GRAD_INVERSE]},
                 {.value = to[0]},
                 {.value = to[1]}},
        .constants = {centered, block.groups == 0},
        .constant_count = 2,
        .block_size = sizeof block,
    };
    *(struct kiln_params_normalize_sums *)d.block.words = block;
    kiln_status status = kiln_plan_dispatch(plan, &d);
    const kiln_shape parts = KILN_SHAPE(block.parts, block.channels);
    for (int i = 0; i < 2 && block.parts > 1 && !status; i++)
        status = kiln_lower_sum(plan, to[i], &parts, 1, n->out[i]);
    return status;
}

static kiln_status no_sums(kiln_plan *plan, const kiln_node *n)
{
    const kiln_status status = kiln_lower_constant(plan, n->out[0], 0);
    return status ? status : kiln_lower_constant(plan, n->out[1], 0);
}

static kiln_status sums_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct params *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[GRAD_X]).shape;
    if (kiln_shape_count(&x) == 0)
        return no_sums(plan, n);
    const struct kiln_params_normalize rows = block_for(p, &x);
    return lower_sums(plan, n, p->flags & KILN_NORMALIZE_CENTER,
                      (struct kiln_params_normalize_sums){
                          .count = rows.rows / rows.groups,
                          .channels = rows.groups * rows.channels,
                          .inner = rows.inner,
                          .groups = rows.groups,
                          .group = rows.channels,
                      });
}

/* Channel sums ------------------------------------------------------------------------------------------- */

static kiln_status channel_sums_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = out[1] = kiln_tensor_spec(g, n->in[GRAD_MEAN]);
    return KILN_OK;
}

/* With h = (x - mean) inverse the outputs are the sums of dy h and of dy. */
static void channel_sums_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *by, kiln_tensor *dx)
{
    const kiln_tensor x = n->in[GRAD_X], dy = n->in[GRAD_DY], inverse = n->in[GRAD_INVERSE];
    const kiln_tensor apart = kiln_sub(g, x, n->in[GRAD_MEAN]);
    if (by[1].id)
        dx[GRAD_DY] = kiln_expand_to(g, by[1], dy);
    if (!by[0].id)
        return;
    const kiln_tensor rate = kiln_mul(g, by[0], inverse), more = kiln_mul(g, apart, rate);
    dx[GRAD_DY] = dx[GRAD_DY].id ? kiln_add(g, dx[GRAD_DY], more) : more;
    dx[GRAD_X] = kiln_mul(g, dy, rate);
    dx[GRAD_MEAN] = kiln_neg(g, kiln_mul(g, rate, n->out[1]));
    dx[GRAD_INVERSE] = kiln_mul(g, by[0], kiln_div(g, n->out[0], inverse));
}

static kiln_status channel_sums_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[GRAD_X]).shape;
    if (kiln_shape_count(&x) == 0)
        return no_sums(plan, n);
    return lower_sums(plan, n, true,
                      (struct kiln_params_normalize_sums){
                          .count = (uint32_t)x.size[0],
                          .channels = (uint32_t)x.size[1],
                          .inner = product(&x, 2, x.rank),
                          .group = 1, /* and no groups: all rows share the channels' means */
                      });
}

/* What is not there adds nothing: both factors are 0, so that no infinity meets the other. */
static kiln_beyond channel_sums_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n;
    return input <= GRAD_DY && axis != 1 ? KILN_FILLED(0) : KILN_IGNORED;
}

/* Operators ---------------------------------------------------------------------------------------------- */

/* One meaning under the names that people know. */
#define OP(name_)                                                               \
    const kiln_op kiln_op_##name_ = {                                           \
        .name = #name_,                                                         \
        .fields = fields,                                                       \
        .inputs = 3,                                                            \
        .outputs = 3,                                                           \
        .infer = infer,                                                         \
        .grad = grad,                                                           \
        .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = lower}}, \
        .lowering_count = 1,                                                    \
    }

OP(group_norm);
OP(l2_normalize);
OP(layer_norm);
OP(rms_norm);
OP(weight_norm);
#undef OP

const kiln_op kiln_op_normalize_grad = {
    .name = "normalize_grad",
    .fields = fields,
    .inputs = 5,
    .outputs = 1,
    .infer = grad_infer,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = grad_lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_normalize_sums = {
    .name = "normalize_sums",
    .fields = fields,
    .inputs = 5,
    .outputs = 2,
    .shape_inputs = 1u << GRAD_SCALE,
    .infer = sums_infer,
    .lowerings = (const kiln_lowering[]){{.name = "parts", .lower = sums_lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_channel_sums = {
    .name = "channel_sums",
    .inputs = 4,
    .outputs = 2,
    .infer = channel_sums_infer,
    .grad = channel_sums_grad,
    .beyond = channel_sums_beyond,
    .lowerings = (const kiln_lowering[]){{.name = "parts", .lower = channel_sums_lower}},
    .lowering_count = 1,
};

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, kiln_tensor scale,
                          kiln_tensor bias, const struct params *p)
{
    return x.id ? kiln_append(g, op, (const kiln_tensor[]){x, scale, bias}, 3, p, sizeof *p) : KILN_NONE;
}

/* t broadcast to x's axes from `axis` on. */
static kiln_tensor spread(kiln_graph *g, kiln_tensor t, kiln_tensor x, int axis)
{
    const kiln_shape s = kiln_tensor_shape(g, x), own = kiln_tensor_shape(g, t);
    if (!t.id || axis < 0)
        return t;
    const kiln_shape tail = kiln_shape_of(s.rank - axis, s.size + axis);
    return kiln_shape_equal(&own, &tail) ? t : kiln_expand(g, t, tail);
}

kiln_tensor kiln_layer_norm(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor scale, kiln_tensor bias,
                            double epsilon)
{
    const int at = kiln_axis_of(axis, kiln_tensor_shape(g, x).rank);
    return append(g, &kiln_op_layer_norm, x, spread(g, scale, x, at), spread(g, bias, x, at),
                  &(struct params){.form = AXES,
                                   .axis = at,
                                   .flags = KILN_NORMALIZE_CENTER,
                                   .epsilon = kiln_real_or(epsilon, 1e-5)});
}

kiln_tensor kiln_rms_norm(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor scale, double epsilon)
{
    const int at = kiln_axis_of(axis, kiln_tensor_shape(g, x).rank);
    return append(g, &kiln_op_rms_norm, x, spread(g, scale, x, at), KILN_NONE,
                  &(struct params){.form = AXES, .axis = at, .epsilon = kiln_real_or(epsilon, 1e-5)});
}

kiln_tensor kiln_l2_normalize(kiln_graph *g, kiln_tensor x, int axis, double epsilon)
{
    return append(g, &kiln_op_l2_normalize, x, KILN_NONE, KILN_NONE,
                  &(struct params){.form = AXIS,
                                   .axis = kiln_axis_of(axis, kiln_tensor_shape(g, x).rank),
                                   .flags = KILN_NORMALIZE_LENGTH,
                                   .epsilon = kiln_real_or(epsilon, 1e-12)});
}

kiln_tensor kiln_group_norm(kiln_graph *g, kiln_tensor x, int groups, kiln_tensor scale, kiln_tensor bias,
                            double epsilon)
{
    if (groups < 1 && x.id)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "group_norm: %d groups, wanted at least 1", groups);
    return append(g, &kiln_op_group_norm, x, scale, bias,
                  &(struct params){.form = GROUPS,
                                   .groups = groups,
                                   .flags = KILN_NORMALIZE_CENTER,
                                   .epsilon = kiln_real_or(epsilon, 1e-5)});
}

kiln_tensor kiln_instance_norm(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor bias,
                               double epsilon)
{
    return append(g, &kiln_op_group_norm, x, scale, bias,
                  &(struct params){.form = GROUPS,
                                   .flags = KILN_NORMALIZE_CENTER,
                                   .epsilon = kiln_real_or(epsilon, 1e-5)});
}

kiln_tensor kiln_weight_norm(kiln_graph *g, kiln_tensor v, kiln_tensor scale)
{
    const kiln_shape s = kiln_tensor_shape(g, v);
    if (!v.id || !scale.id)
        return KILN_NONE;
    if (s.rank && kiln_tensor_shape(g, scale).rank > 1)
        scale = kiln_reshape(g, scale, KILN_SHAPE(s.size[0]));
    return append(g, &kiln_op_weight_norm, v, scale, KILN_NONE,
                  &(struct params){.form = WHOLE, .axis = 1, .flags = KILN_NORMALIZE_LENGTH});
}

kiln_tensor kiln_mean_variance_norm(kiln_graph *g, kiln_tensor x, kiln_axes axes)
{
    kiln_tensor variance;
    const kiln_tensor mean = kiln_moments(g, x, axes, &variance);
    if (!mean.id)
        return KILN_NONE;
    const kiln_type type = kiln_tensor_type(g, x); /* of F16 too the moments are F32 */
    const kiln_tensor apart = kiln_sub(g, kiln_cast(g, x, kiln_tensor_type(g, mean)), mean);
    return kiln_cast(g, kiln_div(g, apart, kiln_shift(g, kiln_sqrt(g, variance), 1e-9)), type);
}
