/*
 * onnx_save_gradient_grid.c - what gradients of sampling on a grid are made of: which elements have a part at each place, and how much.
 *
 * Places and parts are computed as shaders/grid/grid.h says it, for each axis [N, places, taps], then for all axes together. The gradient
 * by the grid is that of the parts.
 */
#include <math.h>

#include <kiln/grid.h>
#include <kiln/indexing.h>

#include "import/onnx_save_row.h"

/* Taps of a place: their elements in 32 bits, whether there is such an element, and their parts. */
struct taps {
    kiln_tensor at, there, weight;
};

static kiln_tensor number_of(kiln_graph *g, double value)
{
    return kiln_scalar(g, KILN_F32, value);
}

/* u within an axis of n elements, by its border, or mirrored. */
static kiln_tensor inside(kiln_graph *g, const kiln_node *n, kiln_tensor u, double size)
{
    const bool align = integer(n, "align_corners");
    const double low = align ? 0 : -0.5, span = align ? size - 1 : size;
    if (integer(n, "padding") == KILN_GRID_REFLECTION && span > 0) {
        const kiln_tensor way = kiln_abs(g, kiln_shift(g, u, -low)),
                          turns = kiln_stop_gradient(g, kiln_floor(g, kiln_scale(g, way, 1 / span)));
        const kiln_tensor back = kiln_equal(g, kiln_mod(g, turns, number_of(g, 2)), number_of(g, 1));
        const kiln_tensor rest = kiln_sub(g, way, kiln_scale(g, turns, span));
        u = kiln_shift(g, kiln_where(g, back, kiln_shift(g, kiln_neg(g, rest), span), rest), low);
    }
    return kiln_clip(g, u, 0, size - 1);
}

/* Keys's curve at a distance of 0 to 1, or of 1 to 2. */
static kiln_tensor curve(kiln_graph *g, kiln_tensor t, bool near)
{
    const double a = -0.75;
    if (near) {
        const kiln_tensor bend = kiln_shift(g, kiln_scale(g, t, a + 2), -(a + 3));
        return kiln_shift(g, kiln_mul(g, bend, kiln_square(g, t)), 1);
    }
    const kiln_tensor bend = kiln_shift(g, kiln_mul(g, kiln_shift(g, t, -5), t), 8);
    return kiln_scale(g, kiln_shift(g, kiln_mul(g, bend, t), -4), a);
}

/* Where coordinates v [N, places] lie along an axis. */
static kiln_tensor along(kiln_graph *g, const kiln_node *n, kiln_tensor v, double size)
{
    const bool align = integer(n, "align_corners");
    kiln_tensor u = v;
    if (!integer(n, "elements"))
        u = kiln_shift(g, kiln_scale(g, kiln_shift(g, v, 1), (align ? size - 1 : size) / 2),
                       align ? 0 : -0.5);
    u = kiln_where(g, kiln_is_nan(g, u), number_of(g, -100), u);
    u = kiln_clip(g, u, -1e9, 1e9);
    const bool brought = integer(n, "padding") != KILN_GRID_ZEROS && integer(n, "mode") != KILN_GRID_CUBIC;
    return brought ? inside(g, n, u, size) : u;
}

static kiln_tensor element(kiln_graph *g, const kiln_node *n, kiln_tensor place, double size)
{
    if (integer(n, "mode") == KILN_GRID_CUBIC && integer(n, "padding") != KILN_GRID_ZEROS)
        place = kiln_round(g, inside(g, n, place, size));
    return kiln_stop_gradient(g, kiln_unsqueeze(g, place, 2));
}

static struct taps taps_of(kiln_graph *g, const kiln_node *n, kiln_tensor v, double size)
{
    enum { MOST = 4 };
    const int64_t mode = integer(n, "mode");
    const int count = mode == KILN_GRID_CUBIC ? 4 : mode == KILN_GRID_NEAREST ? 1 : 2;
    const kiln_tensor u = along(g, n, v, size);
    const kiln_tensor first = kiln_stop_gradient(g, count == 1 ? kiln_round(g, u) : kiln_floor(g, u));
    kiln_tensor at[MOST], weight[MOST];
    for (int i = 0; i < count; i++) {
        const bool before = i < count / 2, near = count < 4 || i == 1 || i == 2;
        const kiln_tensor place = kiln_shift(g, first, count == 1 ? 0 : i - (count / 2 - 1));
        const kiln_tensor t = before ? kiln_sub(g, u, place) : kiln_sub(g, place, u);
        at[i] = element(g, n, place, size);
        weight[i] = kiln_unsqueeze(g,
                                   count == 1   ? kiln_ones_like(g, t)
                                   : count == 2 ? one_less(g, t)
                                                : curve(g, t, near),
                                   2);
    }
    const kiln_tensor all = count > 1 ? kiln_concat(g, at, count, 2) : at[0];
    return (struct taps){
        .at = kiln_cast(g, kiln_clip(g, all, 0, size - 1), KILN_I32),
        .there = kiln_and(g, kiln_less_equal(g, number_of(g, 0), all), kiln_less(g, all, number_of(g, size))),
        .weight = count > 1 ? kiln_concat(g, weight, count, 2) : weight[0],
    };
}

/* Each of a with each of b, an axis of so many elements: the last counts fastest. */
static struct taps combined(kiln_graph *g, const struct taps *a, const struct taps *b, int64_t size)
{
    const kiln_shape flat = KILN_SHAPE(0, 0, KILN_REST);
    const kiln_tensor begin =
        kiln_mul(g, kiln_unsqueeze(g, a->at, 3), kiln_scalar(g, KILN_I32, (double)size));
    return (struct taps){
        .at = kiln_reshape(g, kiln_add(g, begin, kiln_unsqueeze(g, b->at, 2)), flat),
        .there = kiln_reshape(g, kiln_and(g, kiln_unsqueeze(g, a->there, 3), kiln_unsqueeze(g, b->there, 2)),
                              flat),
        .weight =
            kiln_reshape(g, kiln_mul(g, kiln_unsqueeze(g, a->weight, 3), kiln_unsqueeze(g, b->weight, 2)),
                         flat),
    };
}

/* Of x and a grid [N, .., axes], at counted through all images: [N, places, taps]. */
static struct taps all_taps(kiln_graph *g, const kiln_node *n, kiln_tensor x, kiln_tensor grid)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int axes = shape.rank - 2;
    const kiln_tensor rows = kiln_reshape(g, as_float(g, grid), KILN_SHAPE(0, KILN_REST, axes));
    struct taps all = {KILN_NONE, KILN_NONE, KILN_NONE};
    int64_t volume = 1;
    for (int i = 0; i < axes; i++) {
        const int64_t size = shape.size[i + 2];
        if (size < 1) {
            kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "a gradient of samples from maps of symbolic sizes");
            return all;
        }
        const kiln_tensor v = kiln_squeeze(g, kiln_slice(g, rows, 2, axes - 1 - i, axes - i, 1), 2);
        const struct taps own = taps_of(g, n, v, (double)size);
        all = i ? combined(g, &all, &own, size) : own;
        volume *= size;
    }
    const kiln_tensor image = kiln_reshape(g, kiln_positions(g, grid, 0), KILN_SHAPE(KILN_REST, 1, 1));
    all.at = kiln_add(g, all.at, kiln_mul(g, image, kiln_scalar(g, KILN_I32, (double)volume)));
    return all;
}

static void compose_taps(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const struct taps all = all_taps(g, n, in[1], in[0]);
    kiln_shape shape = kiln_tensor_shape(g, in[0]);
    if (kiln_graph_status(g))
        return;
    shape.size[shape.rank - 1] = kiln_tensor_shape(g, all.at).size[2];
    out[0] = kiln_reshape(g, kiln_where(g, all.there, all.at, kiln_scalar(g, KILN_I32, KILN_NOWHERE)), shape);
    out[1] = kiln_reshape(g, kiln_where(g, all.there, all.weight, number_of(g, 0)), shape);
}

/* [N, C, ..] as [N, places, C]. */
static kiln_tensor channels_last(kiln_graph *g, kiln_tensor x)
{
    const int64_t channels = kiln_tensor_shape(g, x).size[1];
    const kiln_tensor rows = kiln_reshape(g, as_float(g, x), KILN_SHAPE(0, channels, KILN_REST));
    return kiln_transpose(g, rows, (const int[]){0, 2, 1});
}

/* Each part changes the sum by what x has there, times dy. */
static void compose_by_grid(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor x = in[0], grid = in[1], dy = in[2];
    const int64_t channels = kiln_tensor_shape(g, x).size[1];
    const struct taps all = all_taps(g, n, x, grid);
    if (kiln_graph_status(g))
        return;
    const kiln_tensor rows = kiln_reshape(g, channels_last(g, x), KILN_SHAPE(KILN_REST, channels));
    const kiln_tensor pulled =
        kiln_mul(g, kiln_gather(g, rows, all.at, 0), kiln_unsqueeze(g, channels_last(g, dy), 2));
    const kiln_tensor value = kiln_sum(g, pulled, &(kiln_reduce_params){.axes = KILN_AXES(-1)});
    const kiln_tensor parts = kiln_where(g, all.there, kiln_mul(g, all.weight, value), number_of(g, 0));
    kiln_gradient(g, kiln_sum(g, parts, NULL), KILN_NONE, &grid, 1, out);
}

const row kiln_onnx_writer_gradient_grid[] = {
    {"grid_sample_grad", .compose = compose_by_grid},
    {"grid_taps", .compose = compose_taps},
    {0},
};
