/* onnx_save_resize.c - resizing, and sampling on a grid. */
#include <kiln/grid.h>
#include <kiln/resize.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* A resize node's params; by axes of x. */
struct resized {
    int64_t axes, size[KILN_MAX_RANK], up[KILN_MAX_RANK], down[KILN_MAX_RANK], asked[KILN_MAX_RANK];
    double crop[KILN_MAX_RANK][2];
};

static struct resized resized_of(const kiln_node *n)
{
    struct resized p = {.axes = integer(n, "axes")};
    kiln_node_integers(n, "size", p.size, KILN_MAX_RANK);
    kiln_node_integers(n, "up", p.up, KILN_MAX_RANK);
    kiln_node_integers(n, "down", p.down, KILN_MAX_RANK);
    kiln_node_integers(n, "asked", p.asked, KILN_MAX_RANK);
    kiln_node_reals(n, "crop", &p.crop[0][0], 2 * KILN_MAX_RANK);
    return p;
}

/* The name of a list of floats that a function of the axis gives. */
static const char *floats_name(writer *w, const struct resized *p, int count, int rank,
                               float (*value)(const struct resized *p, int i, int rank))
{
    const char *name = kiln_onnx_new_name(w);
    float *data = kiln_onnx_new_tensor(w, name, KILN_F32, &KILN_SHAPE(count));
    for (int i = 0; data && i < count; i++)
        data[i] = value(p, i, rank);
    return name;
}

static float scale_of(const struct resized *p, int i, int rank)
{
    (void)rank;
    return p->axes >> i & 1 ? (float)((double)p->up[i] / (double)p->down[i]) : 1;
}

/* All beginnings, then all ends. */
static float region_of(const struct resized *p, int i, int rank)
{
    return p->axes >> i % rank & 1 ? (float)p->crop[i % rank][i / rank] : (float)(i / rank);
}

/* Whether y's sizes are given, and say all that the scales do; by scales alone: false. */
static bool is_by_size(writer *w, const kiln_node *n, const struct resized *p)
{
    const kiln_shape x = spec(w, n->in[0]).shape;
    bool by_size = false, exact = true;
    for (int i = 0; i < x.rank; i++) {
        const bool resized = p->axes >> i & 1;
        by_size |= resized && p->size[i];
        exact &= !resized || p->size[i] || (x.size[i] >= 0 && x.size[i] * p->up[i] % p->down[i] == 0);
    }
    if (by_size && !exact)
        kiln_onnx_writer_refuse(w, n, "some axes by size, some by a scale that leaves a rest");
    return by_size;
}

/* The sizes that were asked for, of the resized axes, of which ONNX then keeps the aspect. */
static Onnx__NodeProto *write_by_aspect(writer *w, const kiln_node *n, const struct resized *p)
{
    int64_t axes[KILN_MAX_RANK], sizes[KILN_MAX_RANK];
    int count = 0;
    if (integer(n, "places") == KILN_RESIZE_CROP)
        kiln_onnx_writer_refuse(w, n, "keeps the aspect of a part");
    for (int i = 0; i < KILN_MAX_RANK; i++)
        if (p->axes >> i & 1) {
            axes[count] = i;
            sizes[count++] = p->asked[i];
        }
    Onnx__NodeProto *o =
        kiln_onnx_write(w, "Resize", out(w, n), IN(in(w, n, 0), "", "", kiln_onnx_new_list(w, sizes, count)));
    kiln_onnx_put_ints(w, o, "axes", axes, count);
    kiln_onnx_put_text(w, o, "keep_aspect_ratio_policy",
                       integer(n, "aspect") == KILN_RESIZE_NOT_LARGER ? "not_larger" : "not_smaller");
    return o;
}

static Onnx__NodeProto *write_by_numbers(writer *w, const kiln_node *n, const struct resized *p)
{
    const kiln_shape y = spec(w, n->out[0]).shape;
    const bool crop = integer(n, "places") == KILN_RESIZE_CROP;
    const char *region = crop ? floats_name(w, p, 2 * y.rank, y.rank, region_of) : "";
    if (is_by_size(w, n, p))
        return kiln_onnx_write(w, "Resize", out(w, n),
                               IN(in(w, n, 0), region, "", kiln_onnx_sizes_name(w, n, &y)));
    return kiln_onnx_write(w, "Resize", out(w, n),
                           IN(in(w, n, 0), region, floats_name(w, p, y.rank, y.rank, scale_of)));
}

static void put_places(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    static const struct {
        const char *name;
        int since;
    } places[] = {{"half_pixel", 0},         {"half_pixel_symmetric", 19},
                  {"pytorch_half_pixel", 0}, {"", 0},
                  {"align_corners", 0},      {"asymmetric", 0},
                  {"tf_crop_and_resize", 0}};
    const int64_t place = integer(n, "places");
    const bool late = integer(n, "antialias") || integer(n, "aspect");
    kiln_onnx_writer_needs(w, n, places[place].since > 18 || !late ? places[place].since : 18);
    kiln_onnx_put_text(w, o, "coordinate_transformation_mode", places[place].name);
    if (integer(n, "antialias"))
        kiln_onnx_put_int(w, o, "antialias", 1);
}

/*
 * ONNX has no places (i + 1/2) / scale any more: they are those of (2 i + 1) / (2 scale), every second one of a map twice as large. What
 * is averaged before it is made smaller would be so by the wrong scale.
 */
static void compose_twice(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const struct resized p = resized_of(n);
    kiln_resize_params twice = {.mode = (kiln_resize_mode)integer(n, "mode"),
                                .places = KILN_RESIZE_ASYMMETRIC,
                                .rounding = (kiln_resize_rounding)integer(n, "rounding"),
                                .cubic = number(n, "cubic"),
                                .exclude_outside = integer(n, "exclude_outside")};
    if (integer(n, "antialias") || integer(n, "aspect"))
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED,
                        "places that ONNX has no more, antialiased or by an aspect");
    for (int i = 0; i < KILN_MAX_RANK; i++)
        if (p.axes >> i & 1) {
            const int at = twice.axes.count++;
            if (p.size[i] < 0)
                kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED,
                                "places that ONNX has no more, by a symbolic size");
            twice.axes.axis[at] = i;
            twice.size[at] = 2 * p.size[i];
            twice.scale[at] = p.size[i] ? 0 : 2 * (double)p.up[i] / (double)p.down[i];
        }
    out[0] = kiln_resize(g, in[0], &twice);
    for (int i = 0; i < twice.axes.count; i++)
        out[0] = kiln_slice(g, out[0], twice.axes.axis[i], 1, KILN_END, 2);
}

static void write_resize(writer *w, const kiln_node *n, const row *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const struct resized p = resized_of(n);
    if (integer(n, "places") == KILN_RESIZE_TF_HALF_PIXEL) {
        kiln_onnx_write_composed(w, n, compose_twice);
        return;
    }
    Onnx__NodeProto *o = integer(n, "aspect") ? write_by_aspect(w, n, &p) : write_by_numbers(w, n, &p);
    (void)r;
    kiln_onnx_put_text(w, o, "mode", modes[integer(n, "mode")]);
    kiln_onnx_put_text(w, o, "nearest_mode", roundings[integer(n, "rounding")]);
    kiln_onnx_put_real(w, o, "cubic_coeff_a", number(n, "cubic"));
    kiln_onnx_put_real(w, o, "extrapolation_value", number(n, "outside"));
    kiln_onnx_put_int(w, o, "exclude_outside", integer(n, "exclude_outside"));
    put_places(w, o, n);
}

/* Places that count elements as ones from -1 to 1 between x's edges, (2 e + 1) / size - 1, the last axis first. */
static const char *between_edges(writer *w, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape;
    const kiln_type type = spec(w, n->in[1]).type;
    const char *size[KILN_MAX_RANK], *all = kiln_onnx_new_name(w), *one = kiln_onnx_new_scalar(w, type, 1);
    for (int i = 0; i < axes_behind(w, n); i++)
        size[i] = kiln_onnx_size_name(w, n, x.size[x.rank - 1 - i]);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", all, axes_behind(w, n), size), "axis", 0);
    const char *twice = kiln_onnx_step(w, "Mul", IN(in(w, n, 1), kiln_onnx_new_scalar(w, type, 2)));
    const char *from = kiln_onnx_step(w, "Add", IN(twice, one));
    return kiln_onnx_step(w, "Sub", IN(kiln_onnx_step(w, "Div", IN(from, cast(w, all, NULL, type))), one));
}

/* Before opset 20 the modes had other names, and pictures alone were sampled. */
static void write_grid_sample(writer *w, const kiln_node *n, const row *r)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const old_modes[] = {"bilinear", "nearest", "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const int64_t mode = integer(n, "mode"), elements = integer(n, "elements");
    if (elements && integer(n, "padding") == KILN_GRID_REFLECTION && integer(n, "align_corners"))
        kiln_onnx_writer_refuse(w, n, "coordinates that count elements, mirrored at the centres of the last");
    if (axes_behind(w, n) > 2 && !kiln_onnx_writer_needs(w, n, 20))
        return;
    const char *grid = elements ? between_edges(w, n) : in(w, n, 1);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), grid));
    kiln_onnx_put_text(w, o, "mode", w->opset < 20 ? old_modes[mode] : modes[mode]);
    kiln_onnx_put_text(w, o, "padding_mode", paddings[integer(n, "padding")]);
    kiln_onnx_put_int(w, o, "align_corners", !elements && integer(n, "align_corners"));
}

const row kiln_onnx_writer_resize[] = {
    {"grid_sample", "GridSample", write_grid_sample, 0},
    {"resize", "Resize", write_resize, 0},
    {0},
};
