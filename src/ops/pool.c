/*
 * pool.c - the largest value, the mean or the sum of windows, where the largest stands, and the gradients.
 *
 *   pool                 x           -> y                     pool_grad            x, dy               -> dx
 *   pool_index           x           -> y, index              pool_grad_index      dy, index, x_like   -> dx
 *
 * pool_grad finds the largest again, so that nothing has to be kept for it but x. Norms are sums of powers; unpooling scatters
 * by an index; windows over whole axes are reductions.
 *
 * Lowering and contracts: src/ops/pool_kernel.c. Kernels: shaders/pool/, src/cpu/pool.c, src/cpu/pool_fast.c. Tests:
 * tests/cpu/pool.c, tests/ops/pool.c.
 */
#include "ops/pool.h"

#include <kiln/elementwise.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/beyond.h"

/* Params ------------------------------------------------------------------------------------------------- */

static struct kiln_pool pool_of(int mode, const kiln_pool_params *params)
{
    const kiln_pool_params none = {0}, *given = params ? params : &none;
    struct kiln_pool p = {
        .mode = mode, .same = given->same, .ceil = given->ceil, .column_major = given->column_major};
    for (int i = 0; i < KILN_POOL_AXES; i++) {
        p.size[i] = given->size[i];
        p.stride[i] = given->stride[i] ? given->stride[i] : given->size[i];
        p.dilation[i] = given->dilation[i] ? given->dilation[i] : 1;
        p.pad[i][0] = given->same ? 0 : given->pad[i][0];
        p.pad[i][1] = given->same ? 0 : given->pad[i][1];
    }
    return p;
}

/* Windows that divide the axes of x. */
static struct kiln_pool adaptive_of(kiln_graph *g, kiln_tensor x, int mode, const int64_t *size)
{
    const int axes = x.id ? kiln_tensor_shape(g, x).rank - 2 : 0;
    struct kiln_pool p = {.mode = mode, .adaptive = true};
    for (int i = 0; i < axes && i < KILN_POOL_AXES; i++)
        p.size[i] = size[i] < 0 || size[i] > INT32_MAX ? -1 : (int)size[i];
    return p;
}

static kiln_status check_axis(kiln_graph *g, const kiln_node *n, const struct kiln_pool *p, int i,
                              int64_t size)
{
    const int64_t reach = kiln_pool_reach(p, i);
    if (p->adaptive && p->size[i] >= 0)
        return KILN_OK;
    if (p->size[i] < 1 || p->stride[i] < 1 || p->dilation[i] < 1)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "axis %d: size %d, stride %d, dilation %d", i,
                              p->size[i], p->stride[i], p->dilation[i]);
    if (p->pad[i][0] < 0 || p->pad[i][1] < 0 || p->pad[i][0] >= reach || p->pad[i][1] >= reach)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT,
                              "axis %d: padding %d and %d, a window reaches over %lld", i, p->pad[i][0],
                              p->pad[i][1], (long long)reach);
    if (!p->same && size >= 0 && size + p->pad[i][0] + p->pad[i][1] < reach)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "axis %d: a window reaches over %lld, the padded x has %lld", i,
                              (long long)reach, (long long)(size + p->pad[i][0] + p->pad[i][1]));
    return KILN_OK;
}

static kiln_status check(kiln_graph *g, const kiln_node *n, const struct kiln_pool *p, const kiln_spec *x)
{
    char text[96];
    if (x->shape.rank < 3 || x->shape.rank > 2 + KILN_POOL_AXES || !kiln_type_is_real(x->type))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s %s, wanted reals [N, C, 1 to 3 sizes]",
                              kiln_type_name(x->type),
                              kiln_graph_shape_text(g, &x->shape, text, sizeof text));
    kiln_status status = KILN_OK;
    for (int i = 0; i < x->shape.rank - 2 && !status; i++)
        status = check_axis(g, n, p, i, x->shape.size[2 + i]);
    return status;
}

/* Windows along an axis. With ceil the last one may reach beyond the padding, but begins before x ends. */
int64_t kiln_pool_windows(kiln_graph *g, const struct kiln_pool *p, int i, int64_t size)
{
    const int64_t reach = kiln_pool_reach(p, i), stride = p->stride[i];
    if (p->adaptive)
        return p->size[i] ? p->size[i] : size;
    if (p->same)
        return kiln_dim_ceil_div(g, size, stride);
    if (!p->ceil) {
        const int64_t padded = kiln_dim_add(g, size, p->pad[i][0] + p->pad[i][1]);
        return kiln_dim_add(g, kiln_dim_div(g, kiln_dim_sub(g, padded, reach), stride), 1);
    }
    const int64_t more = stride + p->pad[i][1] - reach, from = kiln_dim_add(g, size, p->pad[i][0]);
    return kiln_dim_ceil_div(g, more < 0 ? kiln_dim_sub(g, from, -more) : from, stride);
}

/* The operators ------------------------------------------------------------------------------------------ */

static kiln_status pool_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_pool *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    if (check(g, n, p, out))
        return kiln_graph_status(g);
    for (int i = 0; i < out->shape.rank - 2; i++)
        out->shape.size[2 + i] = kiln_pool_windows(g, p, i, out->shape.size[2 + i]);
    if (n->outputs > 1)
        out[1] = (kiln_spec){KILN_I32, out->shape};
    return KILN_OK;
}

static kiln_tensor like(kiln_graph *g, const kiln_node *n, const kiln_op *op, const kiln_tensor *in,
                        int inputs)
{
    return kiln_append(g, op, in, inputs, n->params, n->params_size);
}

static void pool_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = like(g, n, &kiln_op_pool_grad, (const kiln_tensor[]){n->in[0], dy[0]}, 2);
}

static void index_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = like(g, n, &kiln_op_pool_grad_index, (const kiln_tensor[]){dy[0], n->out[1], n->in[0]}, 3);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_status grad_index_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = (kiln_spec){kiln_tensor_spec(g, n->in[0]).type, kiln_tensor_spec(g, n->in[2]).shape};
    return KILN_OK;
}

/* [N C, places]. */
static kiln_tensor planes(kiln_graph *g, kiln_tensor t)
{
    return kiln_flatten(g, t, 2);
}

/* The values of z at the places of an index, as dy. */
static kiln_tensor pick(kiln_graph *g, kiln_tensor z, kiln_tensor index, bool column_major)
{
    const int rank = kiln_tensor_shape(g, index).rank;
    int order[KILN_MAX_RANK] = {0, 1};
    for (int i = 2; i < rank; i++)
        order[i] = rank + 1 - i;
    const kiln_tensor turned = column_major ? kiln_transpose(g, z, order) : z;
    return kiln_reshape_to(g, kiln_gather_elements(g, planes(g, turned), planes(g, index), 1), index);
}

/* By dy: what the windows hold of dz; of the largest, what stands where it was. */
static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    struct kiln_pool p = *(const struct kiln_pool *)n->params;
    p.column_major = false;
    if (p.mode != KILN_POOL_MAX) {
        dx[1] = like(g, n, &kiln_op_pool, dz, 1);
        return;
    }
    const kiln_tensor y = kiln_append(g, &kiln_op_pool_index, n->in, 1, &p, sizeof p);
    dx[1] = pick(g, dz[0], kiln_node_output(g, y, 1), false);
}

static void grad_index_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    dx[0] = pick(g, dz[0], n->in[1], ((const struct kiln_pool *)n->params)->column_major);
}

const kiln_field kiln_pool_fields[] = {
    {"mode", KILN_FIELD_INT, offsetof(struct kiln_pool, mode), 1},
    {"size", KILN_FIELD_INT, offsetof(struct kiln_pool, size), 3},
    {"stride", KILN_FIELD_INT, offsetof(struct kiln_pool, stride), 3},
    {"pad", KILN_FIELD_INT, offsetof(struct kiln_pool, pad), 6},
    {"same", KILN_FIELD_INT, offsetof(struct kiln_pool, same), 1},
    {"dilation", KILN_FIELD_INT, offsetof(struct kiln_pool, dilation), 3},
    {"ceil", KILN_FIELD_INT, offsetof(struct kiln_pool, ceil), 1},
    {"adaptive", KILN_FIELD_INT, offsetof(struct kiln_pool, adaptive), 1},
    {"column_major", KILN_FIELD_INT, offsetof(struct kiln_pool, column_major), 1},
    {0},
};

const kiln_op kiln_op_pool = {
    .name = "pool",
    .fields = kiln_pool_fields,
    .inputs = 1,
    .outputs = 1,
    .infer = pool_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = pool_grad,
    .lowerings = kiln_pool_lowerings,
    .lowering_count = 1,
};

const kiln_op kiln_op_pool_index = {
    .name = "pool_index",
    .fields = kiln_pool_fields,
    .inputs = 1,
    .outputs = 2,
    .infer = pool_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = index_grad,
    .lowerings = kiln_pool_lowerings,
    .lowering_count = 1,
};

const kiln_op kiln_op_pool_grad = {
    .name = "pool_grad",
    .fields = kiln_pool_fields,
    .inputs = 2,
    .outputs = 1,
    .infer = grad_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = grad_grad,
    .lowerings = kiln_pool_grad_lowerings,
    .lowering_count = 2,
};

const kiln_op kiln_op_pool_grad_index = {
    .name = "pool_grad_index",
    .fields = kiln_pool_fields,
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1u << 2,
    .infer = grad_index_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = grad_index_grad,
    .lowerings = &kiln_pool_grad_lowerings[1],
    .lowering_count = 1,
};

/* Builders ----------------------------------------------------------------------------------------------- */

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, const struct kiln_pool *p,
                          kiln_tensor *index)
{
    const kiln_tensor y = kiln_append(g, op, &x, 1, p, sizeof *p);
    if (index)
        *index = y.id ? kiln_node_output(g, y, 1) : KILN_NONE;
    return y;
}

kiln_tensor kiln_max_pool(kiln_graph *g, kiln_tensor x, const kiln_pool_params *params)
{
    const struct kiln_pool p = pool_of(KILN_POOL_MAX, params);
    return append(g, &kiln_op_pool, x, &p, NULL);
}

kiln_tensor kiln_max_pool_index(kiln_graph *g, kiln_tensor x, const kiln_pool_params *params,
                                kiln_tensor *index)
{
    const struct kiln_pool p = pool_of(KILN_POOL_MAX, params);
    return append(g, &kiln_op_pool_index, x, &p, index);
}

kiln_tensor kiln_average_pool(kiln_graph *g, kiln_tensor x, const kiln_pool_params *params)
{
    const struct kiln_pool p =
        pool_of(params && params->count_pad ? KILN_POOL_MEAN_PADDED : KILN_POOL_MEAN, params);
    return append(g, &kiln_op_pool, x, &p, NULL);
}

kiln_tensor kiln_adaptive_average_pool(kiln_graph *g, kiln_tensor x, const int64_t *size)
{
    const struct kiln_pool p = adaptive_of(g, x, KILN_POOL_MEAN, size);
    return append(g, &kiln_op_pool, x, &p, NULL);
}

kiln_tensor kiln_adaptive_max_pool(kiln_graph *g, kiln_tensor x, const int64_t *size, kiln_tensor *index)
{
    const struct kiln_pool p = adaptive_of(g, x, KILN_POOL_MAX, size);
    return append(g, index ? &kiln_op_pool_index : &kiln_op_pool, x, &p, index);
}

/* |x|^power. */
static kiln_tensor powers(kiln_graph *g, kiln_tensor x, double power)
{
    const kiln_tensor size = kiln_abs(g, x);
    return power == 1   ? size
           : power == 2 ? kiln_square(g, x)
                        : kiln_pow(g, size, kiln_scalar(g, kiln_tensor_type(g, x), power));
}

/* sum^(1 / power), whose slope at 0 is infinite: there the gradient is none. */
static kiln_tensor root(kiln_graph *g, kiln_tensor sum, double power)
{
    if (power == 1 || !sum.id)
        return sum;
    const kiln_type type = kiln_tensor_type(g, sum);
    const kiln_tensor zero = kiln_scalar(g, type, 0), some = kiln_less(g, zero, sum);
    const kiln_tensor safe = kiln_where(g, some, sum, kiln_scalar(g, type, 1));
    const kiln_tensor y =
        power == 2 ? kiln_sqrt(g, safe) : kiln_pow(g, safe, kiln_scalar(g, type, 1 / power));
    return kiln_where(g, some, y, zero);
}

static bool power_fits(kiln_graph *g, const char *what, double power)
{
    if (power > 0)
        return true;
    kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "%s: the power is %g, wanted more than 0", what, power);
    return false;
}

kiln_tensor kiln_lp_pool(kiln_graph *g, kiln_tensor x, double power, const kiln_pool_params *params)
{
    const struct kiln_pool p = pool_of(KILN_POOL_SUM, params);
    if (!x.id || !power_fits(g, "lp_pool", power))
        return KILN_NONE;
    return root(g, append(g, &kiln_op_pool, powers(g, x, power), &p, NULL), power);
}

/* All axes behind the channels, kept. */
static kiln_reduce_params behind_channels(kiln_graph *g, kiln_tensor x)
{
    const int rank = x.id ? kiln_tensor_shape(g, x).rank : 0;
    kiln_reduce_params p = {.keep = true};
    if (x.id && rank < 3)
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "global pool: x has rank %d, wanted [N, C, sizes]", rank);
    for (int i = 2; i < rank; i++)
        p.axes.axis[p.axes.count++] = i;
    return p;
}

kiln_tensor kiln_global_average_pool(kiln_graph *g, kiln_tensor x)
{
    const kiln_reduce_params p = behind_channels(g, x);
    return kiln_mean(g, x, &p);
}

kiln_tensor kiln_global_max_pool(kiln_graph *g, kiln_tensor x)
{
    const kiln_reduce_params p = behind_channels(g, x);
    return kiln_reduce_max(g, x, &p);
}

kiln_tensor kiln_global_lp_pool(kiln_graph *g, kiln_tensor x, double power)
{
    const kiln_reduce_params p = behind_channels(g, x);
    if (!x.id || !power_fits(g, "global_lp_pool", power))
        return KILN_NONE;
    return root(g, kiln_sum(g, powers(g, x, power), &p), power);
}

/* Unpooling ---------------------------------------------------------------------------------------------- */

/* Whether no two windows have a value in common, so that no two indices are equal. */
static bool apart(const struct kiln_pool *p, int axes)
{
    bool all = true;
    for (int i = 0; i < axes; i++)
        all &= p->stride[i] >= kiln_pool_reach(p, i);
    return all;
}

/* The sizes of what was pooled; false after a failure. */
static bool unpooled(kiln_graph *g, const struct kiln_pool *p, const kiln_shape *x, const int64_t *size,
                     kiln_shape *y)
{
    *y = *x;
    for (int i = 0; i < x->rank - 2; i++) {
        const int64_t rest = p->size[i] - p->stride[i] - p->pad[i][0] - p->pad[i][1];
        const int64_t spread = kiln_dim_mul(g, x->size[2 + i], p->stride[i]);
        y->size[2 + i] = size       ? size[i]
                         : rest < 0 ? kiln_dim_sub(g, spread, -rest)
                                    : kiln_dim_add(g, spread, rest);
        if (p->size[i] < 1 || p->stride[i] < 1 || y->size[2 + i] == 0) {
            kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "max_unpool: axis %d has window %d, stride %d, size %lld",
                            i, p->size[i], p->stride[i], (long long)y->size[2 + i]);
            return false;
        }
    }
    return !kiln_graph_status(g);
}

kiln_tensor kiln_max_unpool(kiln_graph *g, kiln_tensor x, kiln_tensor index, const kiln_pool_params *params,
                            const int64_t *size)
{
    const struct kiln_pool p = pool_of(KILN_POOL_MAX, params);
    if (!x.id || !index.id)
        return KILN_NONE;
    const kiln_shape from = kiln_tensor_shape(g, x), same = kiln_tensor_shape(g, index);
    kiln_shape to;
    if (from.rank < 3 || from.rank > 2 + KILN_POOL_AXES || !kiln_shape_equal(&from, &same)) {
        char a[96], b[96];
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "max_unpool: x is %s and index %s, wanted [N, C, 1 to 3 sizes] alike",
                        kiln_graph_shape_text(g, &from, a, sizeof a),
                        kiln_graph_shape_text(g, &same, b, sizeof b));
        return KILN_NONE;
    }
    if (!unpooled(g, &p, &from, size, &to))
        return KILN_NONE;
    int64_t places = 1;
    for (int i = 2; i < to.rank; i++)
        places = kiln_dim_mul(g, places, to.size[i]);
    const kiln_shape flat = KILN_SHAPE(kiln_dim_mul(g, to.size[0], to.size[1]), places);
    const kiln_tensor zeros = kiln_expand(g, kiln_scalar(g, kiln_tensor_type(g, x), 0), flat);
    const kiln_scatter_params how = {.distinct = apart(&p, to.rank - 2)};
    return kiln_reshape(g, kiln_scatter_elements(g, zeros, planes(g, index), planes(g, x), 1, &how), to);
}
