/* onnx_resize.c - Resize, and Upsample before it; GridSample and AffineGrid. */
#include <string.h>

#include <kiln/grid.h>
#include <kiln/resize.h>

#include "import/onnx.h"

/* Where a word stands in a list of them, ended by NULL; 0, and refused, where it does not. */
static int choice(kiln_onnx_node *n, const char *name, const char *otherwise, const char *const *words)
{
    const char *text = kiln_onnx_text(n, name, otherwise);
    for (int i = 0; words[i]; i++)
        if (!strcmp(text, words[i]))
            return i;
    kiln_onnx_refuse(n, "%s \"%s\"", name, text);
    return 0;
}

static void take_modes(kiln_onnx_node *n, kiln_resize_params *p)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const places[] = {"half_pixel",         "half_pixel_symmetric",
                                         "pytorch_half_pixel", "tf_half_pixel_for_nn",
                                         "align_corners",      "asymmetric",
                                         "tf_crop_and_resize", NULL};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    static const char *const aspects[] = {"stretch", "not_larger", "not_smaller", NULL};
    const bool old = n->opset < 11;
    const double cubic = kiln_onnx_real(n, "cubic_coeff_a", -0.75);
    p->mode = (kiln_resize_mode)choice(n, "mode", "nearest", modes);
    p->places = (kiln_resize_places)choice(n, "coordinate_transformation_mode",
                                           old ? "asymmetric" : "half_pixel", places);
    p->rounding =
        (kiln_resize_rounding)choice(n, "nearest_mode", old ? "floor" : "round_prefer_floor", roundings);
    p->aspect = (kiln_resize_aspect)choice(n, "keep_aspect_ratio_policy", "stretch", aspects);
    p->cubic = cubic == 0 ? KILN_ZERO : cubic;
    p->exclude_outside = kiln_onnx_int(n, "exclude_outside", 0);
    p->antialias = kiln_onnx_int(n, "antialias", 0);
    p->outside = kiln_onnx_real(n, "extrapolation_value", 0);
}

/* Input i, a list of as many numbers as are wanted; NULL where it is left out, or empty. Refuses others. */
static const struct kiln_onnx_item *numbers(kiln_onnx_node *n, int i, int wanted)
{
    const kiln_spec spec = kiln_onnx_has(n, i) ? kiln_onnx_spec(n, i) : (kiln_spec){.shape = KILN_SHAPE(0)};
    const int64_t count = kiln_shape_count(&spec.shape);
    if (count == 0)
        return NULL;
    const struct kiln_onnx_item *item = kiln_onnx_items(n->m, n->in[i]);
    if (!item || spec.shape.rank != 1 || count != wanted)
        kiln_onnx_refuse(n, "input %d must be a list of %d numbers that is known before anything runs", i,
                         wanted);
    return n->refused ? NULL : item;
}

/* What a node says of its axes, in their order. */
struct said {
    int axes, axis[KILN_MAX_RANK];
    const float *attribute; /* scales of Upsample's first opsets */
    float picture[4];       /* those of its very first: of height and width */
    const struct kiln_onnx_item *scale, *size, *region;
    struct kiln_onnx_list sizes;
};

/* The sizes, of which a run may compute some. */
static const struct kiln_onnx_item *sizes_of(kiln_onnx_node *n, struct said *s)
{
    if (!kiln_onnx_has(n, 3) || n->in[3]->known)
        return numbers(n, 3, s->axes);
    if (kiln_onnx_sizes(n, "sizes", 11, 3, &s->sizes) && s->sizes.count != s->axes)
        kiln_onnx_refuse(n, "%d sizes for %d axes", s->sizes.count, s->axes);
    return n->refused ? NULL : s->sizes.item;
}

static void listen(kiln_onnx_node *n, bool crop, struct said *s)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank, scales = n->opset < 11 ? 1 : 2;
    const int64_t *axes = kiln_onnx_ints(n, "axes", &s->axes);
    int count;
    if (s->axes > KILN_MAX_RANK)
        kiln_onnx_refuse(n, "%d axes", s->axes);
    for (int i = 0; axes && i < s->axes && !n->refused; i++)
        s->axis[i] = kiln_onnx_axis(n, axes[i], rank);
    for (int i = 0; !axes && i < rank; i++)
        s->axis[i] = i;
    s->axes = axes ? s->axes : rank;
    s->attribute = kiln_onnx_reals(n, "scales", &count);
    if (kiln_onnx_has_attribute(n, "height_scale") && rank == 4) {
        s->picture[2] = (float)kiln_onnx_real(n, "height_scale", 1);
        s->picture[3] = (float)kiln_onnx_real(n, "width_scale", 1);
        s->attribute = s->picture;
        count = rank;
    }
    if (s->attribute && count != s->axes)
        kiln_onnx_refuse(n, "%d scales of rank %d", count, s->axes);
    s->scale = numbers(n, scales, s->axes);
    s->size = n->opset < 11 ? NULL : sizes_of(n, s);
    s->region = crop ? numbers(n, 1, 2 * s->axes) : NULL;
    if (!n->refused && !s->attribute && !s->scale && !s->size)
        kiln_onnx_refuse(n, "neither scales nor sizes");
}

/* Axis i of what is said becomes the next of p, unless it stays as it is. */
static void take_axis(kiln_onnx_node *n, const struct said *s, int i, kiln_resize_params *p)
{
    const int64_t x = kiln_onnx_spec(n, 0).shape.size[s->axis[i]], size = s->size ? s->size[i].i : 0;
    const double scale = s->attribute ? (double)s->attribute[i] : s->scale ? s->scale[i].r : 1;
    const bool crop = p->places == KILN_RESIZE_CROP && s->region;
    const double from = crop ? s->region[i].r : 0, to = crop ? s->region[s->axes + i].r : 1;
    if (s->size && !s->size[i].symbol && (size < 1 || size > KILN_ONNX_MOST_SIZE))
        kiln_onnx_refuse(n, "size %lld of axis %d", (long long)size, s->axis[i]);
    if ((s->size ? size == x : scale == 1) && from == 0 && to == 1 && !p->aspect)
        return;
    const int k = p->axes.count++;
    p->axes.axis[k] = s->axis[i];
    p->size[k] = size;
    p->scale[k] = scale;
    p->crop[k][0] = from;
    p->crop[k][1] = to;
}

/* Whole numbers are resized as reals: up to 24 bits the nearest is unchanged. */
void kiln_onnx_build_resize(kiln_onnx_node *n)
{
    kiln_resize_params p = {0};
    struct said s = {.picture = {1, 1, 1, 1}};
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    const kiln_tensor x = kiln_onnx_in(n, 0);
    take_modes(n, &p);
    listen(n, p.places == KILN_RESIZE_CROP, &s);
    for (int i = 0; i < s.axes && !n->refused; i++)
        take_axis(n, &s, i, &p);
    if (n->refused)
        return;
    if (p.axes.count == 0)
        kiln_onnx_out(n, 0, x);
    else if (kiln_type_is_real(type))
        kiln_onnx_out(n, 0, kiln_resize(n->g, x, &p));
    else
        kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_resize(n->g, kiln_cast(n->g, x, KILN_F32), &p), type));
}

/* Grids -------------------------------------------------------------------------------------------------- */

/* Before opset 20 the modes had other names. */
void kiln_onnx_build_grid_sample(kiln_onnx_node *n)
{
    static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
    static const char *const old_modes[] = {"bilinear", "nearest", "bicubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    const bool old = n->opset < 20;
    const kiln_grid_params p = {.mode = (kiln_grid_mode)choice(n, "mode", old ? "bilinear" : "linear",
                                                               old ? old_modes : modes),
                                .padding = (kiln_grid_padding)choice(n, "padding_mode", "zeros", paddings),
                                .align_corners = kiln_onnx_int(n, "align_corners", 0)};
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_grid_sample(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), &p));
}

/* The size lists images and channels too. */
void kiln_onnx_build_affine_grid(kiln_onnx_node *n)
{
    struct kiln_onnx_list list;
    kiln_shape shape;
    if (!kiln_onnx_list(n, "size", 1, 1, &list) || !kiln_onnx_shape(n, &list, &shape))
        return;
    if (shape.rank != 4 && shape.rank != 5)
        kiln_onnx_refuse(n, "a size of %d numbers, wanted 4 or 5", shape.rank);
    else
        kiln_onnx_out(n, 0,
                      kiln_affine_grid(n->g, kiln_onnx_in(n, 0), shape.size + 2,
                                       kiln_onnx_int(n, "align_corners", 0)));
}
