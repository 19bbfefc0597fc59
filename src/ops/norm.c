/*
 * norm.c - moments (mean and variance) and batch normalization.
 *
 * Moments are one kernel, in parts where they are long and few, and another that merges the parts. The gradient is composed:
 *
 *   dx = dmean / n + 2 (x - mean) dvariance / n
 *
 * Batch normalization is composed too. Training computes (x - mean) a + bias with a = scale / sqrt(variance + epsilon), which
 * loses nothing where the mean is large; inference computes x a + b with a and b of the channels alone, which the compiler
 * fuses behind a convolution and keeps in the prologue. What is composed in training passes through a node (batch_norm) that
 * adds nothing but the gradient as a whole, of two passes over x and dy: with h = (x - mean) inverse, sums over the batch, and n
 *
 *   dscale = sum of dy h,   dbias = sum of dy,   dx = a (dy - dbias / n - h dscale / n)
 *
 * The kernels: src/ops/norm_kernel.c, shaders/norm/, src/cpu/norm.c, src/cpu/norm_fast.c.   Tests: tests/ops/norm.c.
 */
#include <math.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "norm/merge.h"
#include "norm/moments.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/lower.h"

/* Moments ------------------------------------------------------------------------------------------------ */

static kiln_status moments_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const uint32_t axes = *(const uint32_t *)n->params;
    out[0] = kiln_tensor_spec(g, n->in[0]);
    if (!kiln_type_is_real(out[0].type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type",
                              kiln_type_name(out[0].type));
    if (axes >> out[0].shape.rank)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "an axis is out of range, x has rank %d",
                              out[0].shape.rank);
    for (int i = 0; i < out[0].shape.rank; i++)
        if (axes >> i & 1)
            out[0].shape.size[i] = 1;
    out[0].type = kiln_sum_type(out[0].type);
    out[1] = out[0];
    return KILN_OK;
}

static void moments_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const uint32_t mask = *(const uint32_t *)n->params;
    kiln_axes axes = {0};
    for (int i = 0; i < KILN_MAX_RANK; i++)
        if (mask >> i & 1)
            axes.axis[axes.count++] = i;
    const kiln_tensor x = kiln_cast(g, n->in[0], kiln_tensor_type(g, n->out[0]));
    const kiln_tensor count = kiln_count_of(g, x, axes);
    kiln_tensor by_mean = KILN_NONE, by_variance = KILN_NONE;
    if (dy[0].id)
        by_mean = kiln_div(g, dy[0], count);
    if (dy[1].id)
        by_variance = kiln_mul(g, kiln_sub(g, x, n->out[0]), kiln_scale(g, kiln_div(g, dy[1], count), 2));
    dx[0] = !by_variance.id ? kiln_expand_to(g, by_mean, x)
            : by_mean.id    ? kiln_add(g, by_variance, by_mean)
                            : by_variance;
    dx[0] = kiln_cast(g, dx[0], kiln_tensor_type(g, n->in[0]));
}

/* The sizes of the block of moments, and what m2 is scaled by: of parts it is the merge that divides. */
static void set_block(struct kiln_params_moments *block, const struct kiln_view *v, int64_t parts,
                      int64_t part)
{
    block->outer = (uint32_t)v->outer;
    block->first = (uint32_t)v->first;
    block->kept = (uint32_t)v->kept;
    block->second = (uint32_t)v->second;
    block->inner = (uint32_t)v->inner;
    block->parts = (uint32_t)parts;
    block->part_length = (uint32_t)part;
    KILN_REAL_SET(block, scale, parts > 1 ? 1 : 1 / (double)(v->first * v->second));
}

static kiln_status merge(kiln_plan *plan, int64_t results, int64_t parts, int64_t part, int64_t count,
                         const kiln_tensor *from, const kiln_tensor *to)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_moments_merge,
        .bind = {{.value = from[0]}, {.value = from[1]}, {.value = to[0]}, {.value = to[1]}},
        .block_size = sizeof(struct kiln_params_moments_merge),
    };
    struct kiln_params_moments_merge *block = (struct kiln_params_moments_merge *)d.block.words;
    block->results = (uint32_t)results;
    block->parts = (uint32_t)parts;
    block->part_length = (uint32_t)part;
    block->count = (uint32_t)count;
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status moments_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]);
    struct kiln_view v;
    if (!kiln_view_of(&x.shape, *(const uint32_t *)n->params, &v))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "moments: more than 2 groups of axes");
    const int64_t results = v.outer * v.kept * v.inner, length = v.first * v.second;
    if (results == 0)
        return KILN_OK;
    if (length == 0) { /* as the mean over nothing */
        const kiln_status status = kiln_lower_constant(plan, n->out[0], NAN);
        return status ? status : kiln_lower_constant(plan, n->out[1], NAN);
    }
    int64_t parts = kiln_parts_of(kiln_plan_caps(plan), length, results, v.inner > 1);
    const int64_t part = (length + parts - 1) / parts;
    parts = part ? (length + part - 1) / part : 1;

    kiln_tensor to[2] = {n->out[0], n->out[1]};
    for (int i = 0; i < 2 && parts > 1; i++)
        to[i] = kiln_plan_temporary(plan, kiln_sum_type(x.type), parts * results);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_moments,
        .bind = {{.value = n->in[0]}, {.value = to[0]}, {.value = to[1]}},
        .block_size = sizeof(struct kiln_params_moments),
    };
    set_block((struct kiln_params_moments *)d.block.words, &v, parts, part);
    const kiln_status status = kiln_plan_dispatch(plan, &d);
    return status || parts == 1 ? status : merge(plan, results, parts, part, length, to, n->out);
}

const kiln_op kiln_op_moments = {
    .name = "moments",
    .fields = (const kiln_field[]){{"axes", KILN_FIELD_UINT, 0, 1}, {0}},
    .inputs = 1,
    .outputs = 2,
    .infer = moments_infer,
    .grad = moments_grad,
    .lowerings = (const kiln_lowering[]){{.name = "two_pass", .lower = moments_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_moments(kiln_graph *g, kiln_tensor x, kiln_axes axes, kiln_tensor *variance)
{
    if (variance)
        *variance = KILN_NONE;
    if (!x.id)
        return KILN_NONE;
    const uint32_t mask = kiln_axes_mask(&axes, kiln_tensor_shape(g, x).rank);
    const kiln_tensor mean = kiln_append(g, &kiln_op_moments, &x, 1, &mask, sizeof mask);
    if (variance && mean.id)
        *variance = kiln_node_output(g, mean, 1);
    return mean;
}

/* Batch normalization ------------------------------------------------------------------------------------ */

/* A value of the channels [C] under x [N, C, ..]: [C, 1, ..]. */
static kiln_tensor per_channel(kiln_graph *g, kiln_tensor t, int rank)
{
    for (int i = 1; i < rank - 1 && t.id; i++)
        t = kiln_unsqueeze(g, t, i);
    return t;
}

/* All but the channels'. */
static kiln_axes batch_axes(int rank)
{
    kiln_axes axes = {.count = 1};
    for (int i = 2; i < rank; i++)
        axes.axis[axes.count++] = i;
    return axes;
}

/* scale / sqrt(variance + epsilon) */
static kiln_tensor gain(kiln_graph *g, kiln_tensor scale, kiln_tensor variance, double epsilon)
{
    const kiln_tensor rate = kiln_rsqrt(g, kiln_shift(g, variance, epsilon));
    return scale.id ? kiln_mul(g, scale, rate) : rate;
}

/* By the running statistics: x a + (bias - mean a). */
static kiln_tensor by_running(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor bias,
                              kiln_tensor mean, kiln_tensor variance, double epsilon)
{
    const int rank = kiln_tensor_shape(g, x).rank;
    const kiln_tensor a = gain(g, scale, variance, epsilon), pull = kiln_mul(g, mean, a);
    const kiln_tensor b = bias.id ? kiln_sub(g, bias, pull) : kiln_neg(g, pull);
    return kiln_add(g, kiln_mul(g, x, per_channel(g, a, rank)), per_channel(g, b, rank));
}

/* Inputs of the node that has the gradient; scale and bias may be none. */
enum { Y, X, MEAN, INVERSE, SCALE, BIAS };

static kiln_status batch_norm_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[Y]);
    return KILN_OK;
}

/* sum in the shape and type of `like`; none where that is none. */
static kiln_tensor laid_as(kiln_graph *g, kiln_tensor sum, kiln_tensor like)
{
    return like.id ? kiln_cast(g, kiln_reshape_to(g, sum, like), kiln_tensor_type(g, like)) : KILN_NONE;
}

static void batch_norm_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor x = n->in[X], mean = n->in[MEAN], inverse = n->in[INVERSE], scale = n->in[SCALE];
    const int rank = kiln_tensor_shape(g, x).rank;
    const kiln_tensor in[] = {x, dy[0], mean, inverse};
    const kiln_tensor by_scale = kiln_append(g, &kiln_op_channel_sums, in, 4, NULL, 0);
    const kiln_tensor by_bias = by_scale.id ? kiln_node_output(g, by_scale, 1) : KILN_NONE;
    dx[SCALE] = laid_as(g, by_scale, scale);
    dx[BIAS] = laid_as(g, by_bias, n->in[BIAS]);

    const kiln_tensor count = kiln_count_of(g, x, batch_axes(rank)), center = kiln_div(g, by_bias, count);
    const kiln_tensor pull = kiln_mul(g, inverse, kiln_div(g, by_scale, count));
    const kiln_tensor apart =
        kiln_sub(g, kiln_sub(g, dy[0], center), kiln_mul(g, kiln_sub(g, x, mean), pull));
    const kiln_tensor a = scale.id ? kiln_mul(g, per_channel(g, scale, rank), inverse) : inverse;
    dx[X] = kiln_mul(g, apart, a);
}

const kiln_op kiln_op_batch_norm = {
    .name = "batch_norm",
    .inputs = 6,
    .outputs = 1,
    .flags = KILN_OP_FOLLOWS,
    .infer = batch_norm_infer,
    .grad = batch_norm_grad,
    .beyond = kiln_beyond_ignored,
};

/* By the batch's own statistics: (x - mean) a + bias. */
static kiln_tensor by_batch(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor bias,
                            kiln_tensor mean, kiln_tensor variance, double epsilon)
{
    const int rank = kiln_tensor_shape(g, x).rank;
    const kiln_tensor inverse = kiln_rsqrt(g, kiln_shift(g, variance, epsilon));
    const kiln_tensor a = scale.id ? kiln_mul(g, per_channel(g, scale, rank), inverse) : inverse;
    kiln_tensor y = kiln_mul(g, kiln_sub(g, x, mean), a);
    if (bias.id)
        y = kiln_add(g, y, per_channel(g, bias, rank));
    const kiln_tensor in[] = {y, x, mean, inverse, scale, bias};
    return kiln_append(g, &kiln_op_batch_norm, in, 6, NULL, 0);
}

/* state + momentum (value - state), stored by training programs that compute `with`. */
static void follow(kiln_graph *g, kiln_tensor state, kiln_tensor value, double momentum, kiln_tensor with)
{
    const kiln_tensor step = kiln_sub(g, kiln_reshape_to(g, value, state), state);
    kiln_assign_with(g, state, kiln_add(g, state, kiln_scale(g, step, momentum)), with);
}

/* var n / (n - 1), and var for a single value */
static kiln_tensor unbiased(kiln_graph *g, kiln_tensor variance, kiln_tensor count)
{
    const kiln_tensor less = kiln_max(g, kiln_shift(g, count, -1), kiln_scalar(g, KILN_F32, 1));
    return kiln_mul(g, variance, kiln_div(g, count, less));
}

kiln_tensor kiln_batch_norm(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor bias,
                            kiln_tensor mean, kiln_tensor variance, const kiln_batch_norm_params *params)
{
    const kiln_batch_norm_params p = params ? *params : (kiln_batch_norm_params){0};
    const double epsilon = p.epsilon ? p.epsilon : 1e-5, momentum = p.momentum ? p.momentum : 0.1;
    if (!x.id || !mean.id || !variance.id)
        return KILN_NONE;
    const int rank = kiln_tensor_shape(g, x).rank;
    const kiln_type type = kiln_tensor_type(g, x);
    x = kiln_cast(g, x, kiln_sum_type(type));
    if (rank < 2) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "batch_norm: x has rank %d, wanted [N, C, ..]", rank);
        return KILN_NONE;
    }
    const kiln_tensor infer = by_running(g, x, scale, bias, mean, variance, epsilon);
    if (p.frozen)
        return kiln_cast(g, infer, type);

    const kiln_axes axes = batch_axes(rank);
    kiln_tensor batch_variance;
    const kiln_tensor batch_mean = kiln_moments(g, x, axes, &batch_variance);
    const kiln_tensor train = by_batch(g, x, scale, bias, batch_mean, batch_variance, epsilon);
    const kiln_tensor y = kiln_by_mode(g, train, infer);
    follow(g, mean, batch_mean, momentum, y);
    follow(g, variance, unbiased(g, batch_variance, kiln_count_of(g, x, axes)), momentum, y);
    return kiln_cast(g, y, type);
}
