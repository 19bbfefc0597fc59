/*
 * deform.c - deformable convolution: the elements that windows read, sampled by kiln_grid_sample, times the filters, a matmul.
 *
 * Tests: tests/ops/fold.c.
 */
#include <kiln/elementwise.h>
#include <kiln/extend.h>
#include <kiln/fold.h>
#include <kiln/grid.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"

enum { AXES = 3 };

/* Sizes of one call: D groups of offsets, K places of a filter, y's sizes. */
struct deform {
    kiln_shape x, w;
    int axes;
    int64_t offset_groups, groups, places;
    int64_t stride[AXES], before[AXES], dilation[AXES], size[AXES];
};

static int64_t or_one(int value)
{
    return value ? value : 1;
}

static bool take_sizes(kiln_graph *g, kiln_tensor x, kiln_tensor w, int offset_groups,
                       const kiln_conv_params *p, struct deform *d)
{
    *d = (struct deform){.x = kiln_tensor_shape(g, x),
                         .w = kiln_tensor_shape(g, w),
                         .offset_groups = offset_groups ? offset_groups : 1,
                         .groups = or_one(p->groups),
                         .places = 1};
    d->axes = d->x.rank - 2;
    if (d->axes < 2 || d->axes > AXES || d->w.rank != d->x.rank || d->groups < 1 || d->offset_groups < 1 ||
        d->x.size[1] < 1 || d->x.size[1] % d->groups || d->x.size[1] % d->offset_groups ||
        d->w.size[1] != d->x.size[1] / d->groups || d->w.size[0] < 1 || d->w.size[0] % d->groups)
        return false;
    for (int i = 0; i < d->axes; i++) {
        const int64_t taps = d->w.size[2 + i], reach = or_one(p->dilation[i]) * (taps - 1) + 1;
        if (taps < 1 || taps > INT16_MAX || p->stride[i] < 0 || p->dilation[i] < 0)
            return false;
        d->stride[i] = or_one(p->stride[i]);
        d->dilation[i] = or_one(p->dilation[i]);
        d->before[i] = p->pad[i][0];
        d->places *= taps;
        const int64_t room =
            kiln_dim_sub(g, kiln_dim_add(g, d->x.size[2 + i], p->pad[i][0] + (int64_t)p->pad[i][1]), reach);
        d->size[i] = kiln_dim_add(g, kiln_dim_div(g, room, d->stride[i]), 1);
    }
    return d->places <= INT16_MAX;
}

/* [K, 1, ..]: where a filter's places lie along an axis, from the window's place on. */
static kiln_tensor within(kiln_graph *g, const struct deform *d, kiln_type type, int axis)
{
    kiln_shape one = {.rank = d->axes}, all = one;
    for (int i = 0; i < d->axes; i++) {
        all.size[i] = d->w.size[2 + i];
        one.size[i] = i == axis ? all.size[i] : 1;
    }
    const kiln_tensor steps =
        kiln_sequence(g, type, -(double)d->before[axis], (double)d->dilation[axis], all.size[axis]);
    kiln_shape column = {.rank = 1 + d->axes, .size = {d->places, 1, 1, 1}};
    return kiln_reshape(g, kiln_expand(g, kiln_reshape(g, steps, one), all), column);
}

/* Of offset [N D, K, axes, sizes] one coordinate of each place: [N D, K, sizes, 1]. */
static kiln_tensor coordinate(kiln_graph *g, const struct deform *d, kiln_tensor offset, int axis)
{
    const kiln_type type = kiln_tensor_type(g, offset);
    const kiln_tensor at = kiln_squeeze(g, kiln_slice(g, offset, 2, axis, axis + 1, 1), 2);
    kiln_tensor window = kiln_sequence(g, type, 0, (double)d->stride[axis], d->size[axis]);
    for (int i = axis + 1; i < d->axes; i++)
        window = kiln_unsqueeze(g, window, -1);
    window = kiln_add(g, within(g, d, type, axis), window);
    return kiln_unsqueeze(g, kiln_add(g, at, window), -1);
}

/* y's sizes behind `front`, the first one times K: what is sampled, a picture K times as high. */
static kiln_shape tall(kiln_graph *g, const struct deform *d, kiln_shape front)
{
    for (int i = 0; i < d->axes; i++)
        front.size[front.rank + i] = i ? d->size[i] : kiln_dim_mul(g, d->places, d->size[0]);
    front.rank += d->axes;
    return front;
}

static kiln_tensor grid_of(kiln_graph *g, const struct deform *d, kiln_tensor offset)
{
    kiln_shape apart = {.rank = 3 + d->axes, .size = {KILN_REST, d->places, d->axes}};
    kiln_tensor part[AXES];
    for (int i = 0; i < d->axes; i++)
        apart.size[3 + i] = d->size[i];
    offset = kiln_reshape(g, offset, apart);
    for (int i = 0; i < d->axes; i++) /* grids list the last axis first */
        part[d->axes - 1 - i] = coordinate(g, d, offset, i);
    kiln_shape shape = tall(g, d, KILN_SHAPE(kiln_dim_mul(g, d->x.size[0], d->offset_groups)));
    shape.size[shape.rank++] = d->axes;
    return kiln_reshape(g, kiln_concat(g, part, d->axes, -1), shape);
}

/* [N, groups, C / groups K, windows]: what the filters meet. */
static kiln_tensor columns_of(kiln_graph *g, const struct deform *d, kiln_tensor x, kiln_tensor offset,
                              kiln_tensor mask)
{
    const kiln_grid_params linear = {.mode = KILN_GRID_LINEAR, .elements = true};
    const int64_t pictures = kiln_dim_mul(g, d->x.size[0], d->offset_groups);
    kiln_shape shape = d->x;
    const int64_t windows = kiln_dim_product(g, d->size, d->axes);
    shape.size[0] = pictures;
    shape.size[1] = d->x.size[1] / d->offset_groups;
    kiln_tensor y = kiln_grid_sample(g, kiln_reshape(g, x, shape),
                                     grid_of(g, d, kiln_cast(g, offset, KILN_F32)), &linear);
    if (mask.id)
        y = kiln_mul(g, y, kiln_reshape(g, mask, tall(g, d, KILN_SHAPE(pictures, 1))));
    return kiln_reshape(g, y,
                        KILN_SHAPE(d->x.size[0], d->groups, d->x.size[1] / d->groups * d->places, windows));
}

kiln_tensor kiln_deform_conv(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                             kiln_tensor offset, kiln_tensor mask, int offset_groups,
                             const kiln_conv_params *params)
{
    const kiln_conv_params none = {{0}};
    struct deform d;
    char a[96], b[96];
    if (!x.id || !w.id || !offset.id)
        return KILN_NONE;
    if (!take_sizes(g, x, w, offset_groups, params ? params : &none, &d)) {
        kiln_graph_fail(
            g, KILN_ERROR_SHAPE,
            "deform_conv: x is %s, w %s, wanted [N, C, 2 or 3 sizes] and [O, C / groups, as many]",
            kiln_graph_shape_text(g, &d.x, a, sizeof a), kiln_graph_shape_text(g, &d.w, b, sizeof b));
        return KILN_NONE;
    }
    const int64_t filters = d.w.size[0], depth = d.x.size[1] / d.groups * d.places;
    const kiln_tensor by = kiln_reshape(g, w, KILN_SHAPE(d.groups, filters / d.groups, depth));
    kiln_shape shape = {.rank = d.x.rank, .size = {d.x.size[0], filters}};
    for (int i = 0; i < d.axes; i++)
        shape.size[2 + i] = d.size[i];
    kiln_tensor y = kiln_matmul(g, by, columns_of(g, &d, x, offset, mask), NULL);
    y = kiln_reshape(g, y, shape);
    for (int i = 0; bias.id && i < d.axes; i++)
        bias = kiln_unsqueeze(g, bias, -1);
    return bias.id ? kiln_add(g, y, bias) : y;
}
