/*
 * grid.c - pictures and volumes sampled at any places.
 *
 *   grid_sample        x, grid        -> y                      dx = what falls on each element, added by scatter
 *   grid_sample_grad   x, grid, dy    -> dgrid
 *   grid_taps          grid, x_like   -> index, weight: of the elements that have a part at each place
 *
 * Lowering and contracts: src/ops/grid_kernel.c. Kernels: shaders/grid/, src/cpu/grid.c. Tests: tests/ops/grid.c.
 */
#include "ops/grid.h"

#include <stddef.h>

#include <kiln/elementwise.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/beyond.h"

/* Operators ---------------------------------------------------------------------------------------------- */

static kiln_status check(kiln_graph *g, const kiln_node *n, const kiln_spec *x, const kiln_spec *grid)
{
    const int axes = x->shape.rank - 2, last = grid->shape.rank - 1;
    char a[96], b[96];
    if (kiln_type_is_real(x->type) && kiln_type_is_real(grid->type) && (axes == 2 || axes == 3) &&
        last == axes + 1 && grid->shape.size[last] == axes && x->shape.size[0] == grid->shape.size[0])
        return KILN_OK;
    return kiln_node_fail(
        g, n, KILN_ERROR_SHAPE,
        "x is %s %s and grid %s %s, wanted reals [N, C, 2 or 3 sizes] and [N, sizes, as many]",
        kiln_type_name(x->type), kiln_graph_shape_text(g, &x->shape, a, sizeof a), kiln_type_name(grid->type),
        kiln_graph_shape_text(g, &grid->shape, b, sizeof b));
}

static kiln_status check_modes(kiln_graph *g, const kiln_node *n)
{
    const struct kiln_grid *p = n->params;
    if ((uint32_t)p->mode <= KILN_GRID_CUBIC && (uint32_t)p->padding <= KILN_GRID_REFLECTION)
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "mode %d, padding %d", (int)p->mode, (int)p->padding);
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]), grid = kiln_tensor_spec(g, n->in[1]);
    const kiln_status status = check(g, n, &x, &grid);
    *out = x;
    for (int i = 2; i < x.shape.rank && !status; i++)
        out->shape.size[i] = grid.shape.size[i - 1];
    for (int i = 2; i < x.shape.rank && !status; i++)
        if (x.shape.size[i] == 0)
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "axis %d of x is empty", i);
    return status ? status : check_modes(g, n);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[1]);
    return KILN_OK;
}

static kiln_status taps_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const int64_t taps = kiln_grid_taps(n->params);
    kiln_shape shape = kiln_tensor_shape(g, n->in[0]);
    shape.size[shape.rank - 1] = shape.size[shape.rank - 1] == 3 ? taps * taps * taps : taps * taps;
    out[0] = (kiln_spec){KILN_I32, shape};
    out[1] = (kiln_spec){KILN_F32, shape};
    return KILN_OK;
}

static kiln_tensor channels_to(kiln_graph *g, kiln_tensor x, bool last)
{
    const int rank = kiln_tensor_shape(g, x).rank;
    int order[KILN_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        order[i] = last ? i % (rank - 1) + 1 : i == 1 ? rank - 1 : i - 1;
    return kiln_transpose(g, x, order);
}

static kiln_tensor as_float(kiln_graph *g, kiln_tensor x)
{
    return kiln_cast(g, x, KILN_F32);
}

/* Each place adds its parts of dy to rows of dx, the elements, of channels side by side. */
static kiln_tensor grad_by_x(kiln_graph *g, const kiln_node *n, kiln_tensor dy)
{
    const kiln_tensor x = n->in[0];
    const int rank = kiln_tensor_shape(g, x).rank;
    const kiln_tensor index =
        kiln_append(g, &kiln_op_grid_taps, (const kiln_tensor[]){n->in[1], x}, 2, n->params, n->params_size);
    const kiln_tensor weight = kiln_node_output(g, index, 1);
    const kiln_tensor pull = kiln_unsqueeze(g, channels_to(g, as_float(g, dy), true), rank - 1);
    const kiln_tensor parts = kiln_mul(g, pull, kiln_unsqueeze(g, weight, rank));
    const kiln_tensor like = channels_to(g, as_float(g, x), true);
    const kiln_tensor none = kiln_zeros_like(g, kiln_flatten(g, like, rank - 1));
    const kiln_tensor dx =
        kiln_scatter(g, none, index, parts, 0, &(kiln_scatter_params){.kind = KILN_SCATTER_ADD});
    return kiln_cast(g, channels_to(g, kiln_reshape_to(g, dx, like), false), kiln_tensor_type(g, x));
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    if (kiln_gradient_wanted(g, n->in[0]))
        dx[0] = grad_by_x(g, n, dy[0]);
    if (kiln_gradient_wanted(g, n->in[1]))
        dx[1] = kiln_append(g, &kiln_op_grid_sample_grad, (const kiln_tensor[]){n->in[0], n->in[1], dy[0]}, 3,
                            n->params, n->params_size);
}

/* x is there for its shape; what is asked for by the grid would be a second derivative. */
static void taps_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)dy, (void)dx;
    if (kiln_gradient_wanted(g, n->in[0]))
        kiln_node_fail(g, n, KILN_ERROR_UNSUPPORTED, "the gradient by x has no gradient by the grid");
}

static const kiln_field fields[] = {
    {"mode", KILN_FIELD_INT, offsetof(struct kiln_grid, mode), 1},
    {"padding", KILN_FIELD_INT, offsetof(struct kiln_grid, padding), 1},
    {"align_corners", KILN_FIELD_INT, offsetof(struct kiln_grid, align_corners), 1},
    {"elements", KILN_FIELD_INT, offsetof(struct kiln_grid, elements), 1},
    {0},
};

const kiln_op kiln_op_grid_sample = {
    .name = "grid_sample",
    .fields = fields,
    .inputs = 2,
    .outputs = 1,
    .infer = infer,
    .beyond = kiln_beyond_in_batch,
    .grad = grad,
    .lowerings = &kiln_grid_sample_lowering,
    .lowering_count = 1,
};

const kiln_op kiln_op_grid_sample_grad = {
    .name = "grid_sample_grad",
    .fields = fields,
    .inputs = 3,
    .outputs = 1,
    .infer = grad_infer,
    .beyond = kiln_beyond_in_batch,
    .lowerings = &kiln_grid_sample_grad_lowering,
    .lowering_count = 1,
};

const kiln_op kiln_op_grid_taps = {
    .name = "grid_taps",
    .fields = fields,
    .inputs = 2,
    .outputs = 2,
    .infer = taps_infer,
    .grad = taps_grad,
    .beyond = kiln_beyond_in_batch,
    .lowerings = &kiln_grid_taps_lowering,
    .lowering_count = 1,
};

kiln_tensor kiln_grid_sample(kiln_graph *g, kiln_tensor x, kiln_tensor grid, const kiln_grid_params *params)
{
    const kiln_grid_params none = {0}, *given = params ? params : &none;
    const struct kiln_grid p = {(int32_t)given->mode, (int32_t)given->padding, given->align_corners,
                                given->elements};
    return x.id && grid.id
               ? kiln_append(g, &kiln_op_grid_sample, (const kiln_tensor[]){x, grid}, 2, &p, sizeof p)
               : KILN_NONE;
}

/* Affine grids ------------------------------------------------------------------------------------------- */

/* Coordinates of `size` places along an axis: centres of equal parts of [-1, 1], or from -1 to 1; one place lies at 0. */
static kiln_tensor coordinates(kiln_graph *g, kiln_type type, int64_t size, bool align_corners)
{
    const kiln_tensor twice = kiln_sequence(g, KILN_F32, 0, 2, size);
    const kiln_tensor one = kiln_scalar(g, KILN_F32, 1);
    const kiln_tensor count =
        size >= 0 ? kiln_scalar(g, KILN_F32, (double)size) : kiln_count_of(g, twice, (kiln_axes){0});
    const kiln_tensor less = kiln_sub(g, count, one);
    return kiln_cast(g, kiln_div(g, kiln_sub(g, twice, less), align_corners ? kiln_max(g, less, one) : count),
                     type);
}

/* Column `column` of theta, [N, 1, .., 1, rows]. */
static kiln_tensor column_of(kiln_graph *g, kiln_tensor theta, int column, int axes)
{
    kiln_tensor t = kiln_squeeze(g, kiln_slice(g, theta, 2, column, column + 1, 1), 2);
    for (int i = 0; i < axes; i++)
        t = kiln_unsqueeze(g, t, 1);
    return t;
}

kiln_tensor kiln_affine_grid(kiln_graph *g, kiln_tensor theta, const int64_t *size, bool align_corners)
{
    const kiln_shape shape = theta.id ? kiln_tensor_shape(g, theta) : KILN_SCALAR;
    const int axes = shape.rank == 3 && shape.size[1] > 0 && shape.size[1] < 8 ? (int)shape.size[1] : 0;
    if (!theta.id)
        return KILN_NONE;
    if (!kiln_type_is_real(kiln_tensor_type(g, theta)) || (axes != 2 && axes != 3) ||
        shape.size[2] != axes + 1) {
        char text[96];
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "affine_grid: theta is %s %s, wanted reals [N, 2, 3] or [N, 3, 4]",
                        kiln_type_name(kiln_tensor_type(g, theta)),
                        kiln_graph_shape_text(g, &shape, text, sizeof text));
        return KILN_NONE;
    }
    kiln_tensor sum = column_of(g, theta, axes, axes);
    for (int i = 0; i < axes; i++) { /* coordinate i runs along the i'th axis from the last */
        kiln_tensor at = coordinates(g, kiln_tensor_type(g, theta), size[axes - 1 - i], align_corners);
        for (int k = 0; k < i + 1; k++)
            at = kiln_unsqueeze(g, at, k + 1);
        sum = kiln_add(g, sum, kiln_mul(g, column_of(g, theta, i, axes), at));
    }
    return sum;
}
