/*
 * fold.c - windows as columns and back: convolution with, and transposed convolution by, filters of a single one each.
 *
 * Tests: tests/ops/fold.c.
 */
#include <kiln/elementwise.h>
#include <kiln/extend.h>
#include <kiln/fold.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"

enum { AXES = 3 };

static int or_one(int value)
{
    return value ? value : 1;
}

/* Places of a window of that many axes; 0 where it is none. */
static int64_t places_of(const kiln_fold_params *p, int axes)
{
    int64_t count = 1;
    for (int i = 0; i < axes; i++) {
        if (p->size[i] < 1 || p->size[i] > INT16_MAX || p->stride[i] < 0 || p->dilation[i] < 0 ||
            p->pad[i][0] < 0 || p->pad[i][1] < 0)
            return 0;
        count *= p->size[i];
    }
    return count <= INT16_MAX ? count : 0;
}

static kiln_conv_params conv_of(const kiln_fold_params *p, int axes)
{
    kiln_conv_params conv = {0};
    for (int i = 0; i < axes; i++) {
        conv.stride[i] = p->stride[i];
        conv.dilation[i] = p->dilation[i];
        conv.pad[i][0] = p->pad[i][0];
        conv.pad[i][1] = p->pad[i][1];
    }
    return conv;
}

/* [places, 1, window]: filter i is 1 at place i. */
static kiln_tensor filters(kiln_graph *g, kiln_type type, int64_t places, const kiln_fold_params *p, int axes)
{
    kiln_shape shape = {.rank = 2 + axes, .size = {places, 1}};
    for (int i = 0; i < axes; i++)
        shape.size[2 + i] = p->size[i];
    return kiln_reshape(g, kiln_eye(g, type, places, places, 0), shape);
}

kiln_tensor kiln_unfold(kiln_graph *g, kiln_tensor x, const kiln_fold_params *params)
{
    const kiln_fold_params none = {{0}}, *p = params ? params : &none;
    const kiln_spec spec = kiln_tensor_spec(g, x);
    const int axes = spec.shape.rank - 2;
    const int64_t places = axes < 1 || axes > AXES ? 0 : places_of(p, axes);
    char text[96];
    if (!x.id)
        return KILN_NONE;
    if (!places || spec.shape.size[1] < 0) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "unfold: x is %s, wanted [N, C, 1 to 3 sizes], C known, and a window of as many",
                        kiln_graph_shape_text(g, &spec.shape, text, sizeof text));
        return KILN_NONE;
    }
    const kiln_conv_params conv = conv_of(p, axes);
    kiln_shape apart = spec.shape;
    apart.size[0] = kiln_dim_mul(g, spec.shape.size[0], spec.shape.size[1]);
    apart.size[1] = 1;
    const kiln_tensor y =
        kiln_conv(g, kiln_reshape(g, x, apart), filters(g, spec.type, places, p, axes), KILN_NONE, &conv);
    const kiln_shape windows = kiln_tensor_shape(g, y);
    return kiln_reshape(g, y,
                        KILN_SHAPE(spec.shape.size[0], spec.shape.size[1] * places,
                                   kiln_dim_product(g, windows.size + 2, windows.rank - 2)));
}

/* Windows along axis i of a picture of that size; *rest: places behind the last one. */
static int64_t windows_along(const kiln_fold_params *p, int i, int64_t size, int *rest)
{
    const int64_t reach = or_one(p->dilation[i]) * (int64_t)(p->size[i] - 1) + 1,
                  room = size + p->pad[i][0] + p->pad[i][1] - reach;
    *rest = room < 0 ? 0 : (int)(room % or_one(p->stride[i]));
    return room < 0 ? 0 : room / or_one(p->stride[i]) + 1;
}

kiln_tensor kiln_fold(kiln_graph *g, kiln_tensor x, const int64_t *size, int axes,
                      const kiln_fold_params *params)
{
    const kiln_fold_params none = {{0}}, *p = params ? params : &none;
    const kiln_spec spec = kiln_tensor_spec(g, x);
    const int64_t places = axes < 1 || axes > AXES ? 0 : places_of(p, axes);
    const int64_t columns = spec.shape.rank == 3 ? spec.shape.size[1] : -1;
    int64_t windows = 1;
    char text[96];
    if (!x.id)
        return KILN_NONE;
    kiln_conv_params conv = places ? conv_of(p, axes) : (kiln_conv_params){0};
    kiln_shape apart = {.rank = 2 + axes}, joined = {.rank = 2 + axes, .size = {spec.shape.size[0]}};
    for (int i = 0; places && i < axes; i++) {
        joined.size[2 + i] = size[i];
        apart.size[2 + i] = size[i] < 1 ? 0 : windows_along(p, i, size[i], &conv.output_pad[i]);
        windows *= apart.size[2 + i];
    }
    if (!places || columns < 0 || columns % places || windows < 1 ||
        (spec.shape.size[2] >= 0 && spec.shape.size[2] != windows)) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "fold: x is %s, wanted [N, C times %lld, %lld] by the sizes and the window",
                        kiln_graph_shape_text(g, &spec.shape, text, sizeof text), (long long)places,
                        (long long)windows);
        return KILN_NONE;
    }
    joined.size[1] = columns / places;
    apart.size[0] = kiln_dim_mul(g, spec.shape.size[0], joined.size[1]);
    apart.size[1] = places;
    return kiln_reshape(g,
                        kiln_conv_transpose(g, kiln_reshape(g, x, apart),
                                            filters(g, spec.type, places, p, axes), KILN_NONE, &conv),
                        joined);
}
