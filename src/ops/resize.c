/*
 * resize.c - other sizes of axes, by weighted sums of neighbours.
 *
 *   resize        y = x along each axis by the weights of its mode      dx = resize_grad(dy, x)
 *   resize_grad   the same weights the other way                        ddy = resize(ddx)
 *
 * Sizes that depend on data: src/ops/resize_counted.c. Weights: src/ops/resize_table.c. Lowering and contract:
 * src/ops/resize_kernel.c. Kernels: shaders/resize/, src/cpu/resize.c, src/cpu/resize_fast.c. Tests: tests/ops/resize.c.
 */
#include "ops/resize.h"

#include <math.h>
#include <stddef.h>

#include "base/number.h"
#include "graph/graph.h"

/* Operators ---------------------------------------------------------------------------------------------- */

static void map_sizes(void *params, int64_t (*map)(void *user, int64_t size), void *user)
{
    struct kiln_resize *p = params;
    for (int i = 0; i < KILN_MAX_RANK; i++)
        p->size[i] = map(user, p->size[i]);
}

static bool is_resized(const struct kiln_resize *p, int axis)
{
    return p->axes >> axis & 1;
}

static kiln_status check_axis(kiln_graph *g, const kiln_node *n, int axis, int64_t from, int64_t to)
{
    if (from == 0 && to > 0)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "axis %d of x is empty, wanted %lld elements of y",
                              axis, (long long)to);
    return KILN_OK;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_resize *p = n->params;
    kiln_status status = KILN_OK;
    *out = kiln_tensor_spec(g, n->in[0]);
    if (!kiln_type_is_real(out->type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type",
                              kiln_type_name(out->type));
    for (int i = 0; i < out->shape.rank && !status; i++) {
        const int64_t from = out->shape.size[i];
        if (!is_resized(p, i))
            continue;
        out->shape.size[i] =
            p->size[i] ? p->size[i] : kiln_dim_div(g, kiln_dim_mul(g, from, p->up[i]), p->down[i]);
        status = check_axis(g, n, i, from, out->shape.size[i]);
    }
    return status ? status : kiln_graph_status(g);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = (kiln_spec){kiln_tensor_spec(g, n->in[0]).type, kiln_tensor_spec(g, n->in[1]).shape};
    return KILN_OK;
}

static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    return (kiln_beyond){.kind = is_resized(n->params, axis) ? KILN_BEYOND_REFUSED : KILN_BEYOND_IGNORED};
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_resize_grad, (const kiln_tensor[]){dy[0], n->in[0]}, 2, n->params,
                        n->params_size);
}

/* What lies outside of x adds to y, but not to its change. */
static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    struct kiln_resize p = *(const struct kiln_resize *)n->params;
    p.outside = 0;
    dx[0] = kiln_append(g, &kiln_op_resize, dz, 1, &p, sizeof p);
}

static const kiln_field fields[] = {
    {"mode", KILN_FIELD_INT, offsetof(struct kiln_resize, mode), 1},
    {"places", KILN_FIELD_INT, offsetof(struct kiln_resize, places), 1},
    {"rounding", KILN_FIELD_INT, offsetof(struct kiln_resize, rounding), 1},
    {"aspect", KILN_FIELD_INT, offsetof(struct kiln_resize, aspect), 1},
    {"axes", KILN_FIELD_I64, offsetof(struct kiln_resize, axes), 1},
    {"asked", KILN_FIELD_I64, offsetof(struct kiln_resize, asked), KILN_MAX_RANK},
    {"size", KILN_FIELD_I64, offsetof(struct kiln_resize, size), KILN_MAX_RANK},
    {"up", KILN_FIELD_I64, offsetof(struct kiln_resize, up), KILN_MAX_RANK},
    {"down", KILN_FIELD_I64, offsetof(struct kiln_resize, down), KILN_MAX_RANK},
    {"crop", KILN_FIELD_REAL, offsetof(struct kiln_resize, crop), 2 * KILN_MAX_RANK},
    {"cubic", KILN_FIELD_REAL, offsetof(struct kiln_resize, cubic), 1},
    {"outside", KILN_FIELD_REAL, offsetof(struct kiln_resize, outside), 1},
    {"exclude_outside", KILN_FIELD_INT, offsetof(struct kiln_resize, exclude_outside), 1},
    {"antialias", KILN_FIELD_INT, offsetof(struct kiln_resize, antialias), 1},
    {0},
};

const kiln_op kiln_op_resize = {
    .name = "resize",
    .fields = fields,
    .inputs = 1,
    .outputs = 1,
    .infer = infer,
    .beyond = beyond,
    .grad = grad,
    .sizes = map_sizes,
    .lowerings = &kiln_resize_lowering,
    .lowering_count = 1,
};

const kiln_op kiln_op_resize_grad = {
    .name = "resize_grad",
    .fields = fields,
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1u << 1,
    .infer = grad_infer,
    .beyond = beyond,
    .grad = grad_grad,
    .sizes = map_sizes,
    .lowerings = &kiln_resize_grad_lowering,
    .lowering_count = 1,
};

/* The builder -------------------------------------------------------------------------------------------- */

enum { MOST = 1 << 24 }; /* of a fraction's parts: sizes times it stay far from overflow */

/* The simplest fraction within 2^-24 of a scale, by continued fractions; false where there is none. */
static bool fraction_of(double scale, int64_t *up, int64_t *down)
{
    double rest = scale;
    int64_t a = 1, b = 0, before_a = 0, before_b = 1;
    for (int i = 0; i < 40; i++) {
        const double whole = floor(rest);
        if (!(whole * (double)a + (double)before_a <= MOST && whole * (double)b + (double)before_b <= MOST))
            return false;
        const int64_t next_a = (int64_t)whole * a + before_a, next_b = (int64_t)whole * b + before_b;
        before_a = a, before_b = b;
        a = next_a, b = next_b;
        if (fabs((double)a / (double)b - scale) <= scale * 0x1p-24)
            break;
        rest = 1 / (rest - whole);
    }
    *up = a, *down = b;
    return a > 0;
}

/* The axes that are resized, in the order in which params list them; how many, or -1 after a failure. */
static int axes_of(kiln_graph *g, const kiln_resize_params *given, int rank, struct kiln_resize *p, int *axes)
{
    const int listed = given->axes.count, count = listed ? listed : rank - 2;
    if (count < 1 || count > rank) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "resize: %d axes of x, which has rank %d", count, rank);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        axes[i] = listed ? kiln_axis_of(given->axes.axis[i], rank) : i + 2;
        if (axes[i] < 0 || is_resized(p, axes[i])) {
            kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "resize: axis %d is not one of rank %d, or listed twice",
                            given->axes.axis[i], rank);
            return -1;
        }
        p->axes |= INT64_C(1) << axes[i];
    }
    return count;
}

static kiln_status set_scale(kiln_graph *g, struct kiln_resize *p, int axis, double scale, int64_t size)
{
    p->size[axis] = size;
    if (size)
        return KILN_OK;
    if (scale < 0 || !fraction_of(scale ? scale : 1, &p->up[axis], &p->down[axis]))
        return kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "resize: axis %d has scale %g", axis, scale);
    return KILN_OK;
}

/* One scale for all axes: the least or the most that a size asks for. */
static kiln_status keep_aspect(kiln_graph *g, struct kiln_resize *p, const kiln_shape *x, const int *axes,
                               int count, bool larger)
{
    int64_t up = 0, down = 1;
    for (int i = 0; i < count; i++) {
        const int64_t to = p->size[axes[i]], from = x->size[axes[i]];
        if (to <= 0 || from <= 0 || to > MOST || from > MOST)
            return kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                                   "resize: to keep the aspect of axis %d, its sizes must be numbers",
                                   axes[i]);
        if (up == 0 || (larger ? to * down > up * from : to * down < up * from))
            up = to, down = from;
    }
    for (int i = 0; i < count; i++) {
        p->up[axes[i]] = up, p->down[axes[i]] = down;
        p->asked[axes[i]] = p->size[axes[i]];
        p->size[axes[i]] = (2 * x->size[axes[i]] * up + down) / (2 * down); /* halves up */
    }
    return KILN_OK;
}

static kiln_status check_modes(kiln_graph *g, const kiln_resize_params *p)
{
    if ((unsigned)p->mode <= KILN_RESIZE_CUBIC && (unsigned)p->places <= KILN_RESIZE_CROP &&
        (unsigned)p->rounding <= KILN_RESIZE_CEIL && (unsigned)p->aspect <= KILN_RESIZE_NOT_SMALLER)
        return KILN_OK;
    return kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "resize: mode %d, places %d, rounding %d, aspect %d",
                           (int)p->mode, (int)p->places, (int)p->rounding, (int)p->aspect);
}

kiln_tensor kiln_resize(kiln_graph *g, kiln_tensor x, const kiln_resize_params *params)
{
    const kiln_resize_params none = {0}, *given = params ? params : &none;
    struct kiln_resize p = {.mode = given->mode,
                            .places = given->places,
                            .rounding = given->rounding,
                            .aspect = given->aspect,
                            .cubic = kiln_real_or(given->cubic, -0.75),
                            .outside = given->outside,
                            .exclude_outside = given->exclude_outside,
                            .antialias = given->antialias};
    int axes[KILN_MAX_RANK];
    if (!x.id || check_modes(g, given))
        return KILN_NONE;
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int count = axes_of(g, given, shape.rank, &p, axes);
    for (int i = 0; i < count; i++) {
        p.crop[axes[i]][0] = given->crop[i][0];
        p.crop[axes[i]][1] = given->crop[i][1];
        if (set_scale(g, &p, axes[i], given->scale[i], given->size[i]))
            return KILN_NONE;
    }
    if (count < 0 ||
        (given->aspect && keep_aspect(g, &p, &shape, axes, count, given->aspect == KILN_RESIZE_NOT_SMALLER)))
        return KILN_NONE;
    if (kiln_resize_is_counted(g, &p, &shape))
        return kiln_resize_counted(g, x, &p);
    return kiln_append(g, &kiln_op_resize, &x, 1, &p, sizeof p);
}
