/* onnx_save_pool.c - pooling, of all of a map and of regions. */
#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* Whether windows divide x's sizes evenly, so that they are windows of a size. */
static bool has_even_windows(writer *w, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    for (int i = 2; i < x.rank; i++)
        if (x.size[i] < 0 || y.size[i] < 1 || x.size[i] % y.size[i])
            return false;
    return true;
}

static void put_even_windows(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t size[KILN_MAX_RANK];
    for (int i = 2; i < x.rank; i++)
        size[i - 2] = x.size[i] / y.size[i];
    kiln_onnx_put_ints(w, o, "kernel_shape", size, x.rank - 2);
    kiln_onnx_put_ints(w, o, "strides", size, x.rank - 2);
}

/* Whether a last window that begins behind x is left out, which ONNX's rule of shapes knows since opset 22. */
static bool leaves_window_out(writer *w, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t size[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pad[3][2] = {{0}};
    kiln_node_integers(n, "size", size, 3);
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "pad", pad[0], 6);
    for (int i = 0; i + 2 < x.rank && integer(n, "ceil"); i++) {
        const int64_t room = x.size[i + 2] + pad[i][0] + pad[i][1] - dilation[i] * (size[i] - 1) - 1;
        if (x.size[i + 2] >= 0 && y.size[i + 2] < (room + stride[i] - 1) / stride[i] + 1)
            return true;
    }
    return false;
}

/* ONNX counts places through the whole tensor, kiln through each map. */
static void write_places(writer *w, const kiln_node *n, const char *places)
{
    const kiln_shape x = spec(w, n->in[0]).shape;
    const char *map = NULL;
    for (int i = 2; i < x.rank; i++) {
        const char *size = kiln_onnx_size_name(w, n, x.size[i]);
        map = map ? kiln_onnx_step(w, "Mul", IN(map, size)) : size;
    }
    const char *rest = kiln_onnx_new_name(w);
    kiln_onnx_write(w, "Mod", rest, IN(places, map));
    cast(w, rest, kiln_onnx_name(w, n->out[1]), KILN_I32);
}

/* A sum, of what is not negative, is a norm. */
static void write_pool(writer *w, const kiln_node *n, const row *r)
{
    enum { MAX, MEAN, MEAN_PADDED, SUM };
    static const char *const names[] = {"MaxPool", "AveragePool", "AveragePool", "LpPool"};
    const int64_t mode = integer(n, "mode");
    int64_t dilation[3] = {1, 1, 1};
    (void)r;
    kiln_node_integers(n, "dilation", dilation, 3);
    if (integer(n, "adaptive") && !has_even_windows(w, n)) {
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_adaptive_pool);
        return;
    }
    if (leaves_window_out(w, n))
        kiln_onnx_writer_needs(w, n, 22);
    const char *places = n->outputs > 1 ? kiln_onnx_new_name(w) : NULL;
    Onnx__NodeProto *o = kiln_onnx_write(w, names[mode], out(w, n), IN(in(w, n, 0)));
    if (places) {
        kiln_onnx_put_output(w, o, places);
        kiln_onnx_put_int(w, o, "storage_order", integer(n, "column_major"));
        write_places(w, n, places);
    }
    if (integer(n, "adaptive")) {
        put_even_windows(w, o, n);
        return;
    }
    put_field(w, o, n, "size", "kernel_shape");
    put_field(w, o, n, "stride", "strides");
    put_padding(w, o, n);
    if (integer(n, "ceil") && (mode != SUM || kiln_onnx_writer_needs(w, n, 18)))
        kiln_onnx_put_int(w, o, "ceil_mode", 1);
    if (mode == MEAN_PADDED)
        kiln_onnx_put_int(w, o, "count_include_pad", 1);
    if (mode == SUM)
        kiln_onnx_put_int(w, o, "p", 1);
    bool dilated = false;
    for (int i = 0; i < axes_behind(w, n); i++)
        dilated |= dilation[i] != 1;
    if (dilated && kiln_onnx_writer_needs(w, n, mode == MAX ? 17 : mode == SUM ? 18 : 19))
        kiln_onnx_put_ints(w, o, "dilations", dilation, axes_behind(w, n));
}

/* Regions ------------------------------------------------------------------------------------------------ */

/* The maps' numbers as ONNX takes them, in that type, 0 where there is no such map; *there: where there is. */
static const char *maps_as(writer *w, const kiln_node *n, kiln_type type, const char **there)
{
    const char *maps = kiln_onnx_size_name(w, n, spec(w, n->in[0]).shape.size[0]),
               *image = cast(w, in(w, n, 2), NULL, KILN_I64), *zero = kiln_onnx_new_scalar(w, KILN_I64, 0);
    const char *above = kiln_onnx_step(w, "GreaterOrEqual", IN(image, zero)),
               *below = kiln_onnx_step(w, "Less", IN(image, maps));
    *there = kiln_onnx_step(w, "And", IN(above, below));
    const char *known = kiln_onnx_step(w, "Where", IN(*there, image, zero));
    return type == KILN_I64 ? known : cast(w, known, NULL, type);
}

/* Boxes of the maps' type. */
static const char *boxes_as(writer *w, const kiln_node *n)
{
    const kiln_type type = spec(w, n->in[0]).type;
    return spec(w, n->in[1]).type == type ? in(w, n, 1) : cast(w, in(w, n, 1), NULL, type);
}

static Onnx__NodeProto *write_roi_pool(writer *w, const kiln_node *n, const char *y, const char **there)
{
    const char *boxes = kiln_onnx_new_name(w),
               *maps = kiln_onnx_step(w, "Unsqueeze",
                                      IN(maps_as(w, n, spec(w, n->in[0]).type, there),
                                         kiln_onnx_new_list(w, (const int64_t[]){1}, 1)));
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", boxes, IN(maps, boxes_as(w, n))), "axis", 1);
    Onnx__NodeProto *o = kiln_onnx_write(w, "MaxRoiPool", y, IN(in(w, n, 0), boxes));
    int64_t size[2] = {0};
    kiln_node_integers(n, "size", size, 2);
    kiln_onnx_put_ints(w, o, "pooled_shape", size, 2);
    return o;
}

static Onnx__NodeProto *write_roi_align(writer *w, const kiln_node *n, const char *y, bool largest,
                                        const char **there)
{
    int64_t size[2] = {0};
    kiln_node_integers(n, "size", size, 2);
    Onnx__NodeProto *o =
        kiln_onnx_write(w, "RoiAlign", y, IN(in(w, n, 0), boxes_as(w, n), maps_as(w, n, KILN_I64, there)));
    kiln_onnx_put_int(w, o, "output_height", size[0]);
    kiln_onnx_put_int(w, o, "output_width", size[1]);
    kiln_onnx_put_int(w, o, "sampling_ratio", integer(n, "samples"));
    kiln_onnx_put_text(w, o, "mode", largest ? "max" : "avg");
    kiln_onnx_put_text(w, o, "coordinate_transformation_mode",
                       integer(n, "half_pixel") ? "half_pixel" : "output_half_pixel");
    return o;
}

static bool are_places_needed(const writer *w, const kiln_node *n)
{
    for (int i = 1; i < n->outputs; i++)
        if (w->needed[n->out[i].id])
            return true;
    return false;
}

/* A region of no map is 0. */
static void write_roi(writer *w, const kiln_node *n, const row *r)
{
    enum { AVERAGE, LARGEST, CELLS };
    const int64_t mode = integer(n, "mode");
    const char *y = kiln_onnx_new_name(w), *there;
    (void)r;
    if (are_places_needed(w, n)) {
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_roi_places);
        return;
    }
    Onnx__NodeProto *o =
        mode == CELLS ? write_roi_pool(w, n, y, &there) : write_roi_align(w, n, y, mode == LARGEST, &there);
    kiln_onnx_put_real(w, o, "spatial_scale", number(n, "scale"));
    const char *bins =
        kiln_onnx_step(w, "Unsqueeze", IN(there, kiln_onnx_new_list(w, (const int64_t[]){1, 2, 3}, 3)));
    kiln_onnx_write(w, "Where", out(w, n), IN(bins, y, scalar(w, n, 0)));
}

const row kiln_onnx_writer_pool[] = {
    {"pool", NULL, write_pool, 0},
    {"pool_index", NULL, write_pool, 0},
    {"roi", NULL, write_roi, 0, .lacks = HALVES},
    {0},
};
