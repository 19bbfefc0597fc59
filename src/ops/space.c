/* space.c - channels as blocks of places: axes taken apart, put in another order, and joined. Tests: tests/ops/space.c. */
#include <stdlib.h>

#include <kiln/arrange.h>
#include <kiln/extend.h>
#include <kiln/ops.h>

#include "graph/graph.h"

/* x [N, C, H, W] whose channels, or sides, are whole blocks of `size`; false after a failure. */
static bool fits(kiln_graph *g, const char *what, kiln_tensor x, int size, int64_t channels)
{
    char text[96];
    const kiln_shape shape = x.id ? kiln_tensor_shape(g, x) : (kiln_shape){0};
    if (!x.id)
        return false;
    if (size >= 1 && size <= INT16_MAX && shape.rank == 4 && shape.size[1] >= 0 &&
        shape.size[1] % channels == 0)
        return true;
    kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s: x is %s, wanted [N, C, H, W] with C in blocks of %d x %d", what,
                    kiln_graph_shape_text(g, &shape, text, sizeof text), size, size);
    return false;
}

static kiln_tensor to_places(kiln_graph *g, const char *what, kiln_tensor x, int size, bool behind)
{
    static const int order[2][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}};
    const int64_t b = size, block = b * b;
    if (!fits(g, what, x, size, block ? block : 1))
        return KILN_NONE;
    const kiln_shape s = kiln_tensor_shape(g, x);
    const int64_t n = s.size[0], c = s.size[1] / block, h = s.size[2], w = s.size[3];
    const kiln_shape apart = behind ? KILN_SHAPE(n, c, b, b, h, w) : KILN_SHAPE(n, b, b, c, h, w);
    const kiln_shape joined = KILN_SHAPE(n, c, kiln_dim_mul(g, h, b), kiln_dim_mul(g, w, b));
    return kiln_reshape(g, kiln_transpose(g, kiln_reshape(g, x, apart), order[behind]), joined);
}

static kiln_tensor to_channels(kiln_graph *g, const char *what, kiln_tensor x, int size, bool behind)
{
    static const int order[2][6] = {{0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}};
    const int64_t b = size;
    if (!fits(g, what, x, size, 1))
        return KILN_NONE;
    const kiln_shape s = kiln_tensor_shape(g, x);
    const int64_t n = s.size[0], c = s.size[1], h = kiln_dim_div(g, s.size[2], b),
                  w = kiln_dim_div(g, s.size[3], b);
    if ((s.size[2] >= 0 && s.size[2] % b) || (s.size[3] >= 0 && s.size[3] % b)) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s: %lld x %lld places in blocks of %d", what,
                        (long long)s.size[2], (long long)s.size[3], size);
        return KILN_NONE;
    }
    const kiln_tensor apart = kiln_reshape(g, x, KILN_SHAPE(n, c, h, b, w, b));
    return kiln_reshape(g, kiln_transpose(g, apart, order[behind]), KILN_SHAPE(n, c * b * b, h, w));
}

kiln_tensor kiln_pixel_shuffle(kiln_graph *g, kiln_tensor x, int size)
{
    return to_places(g, "pixel_shuffle", x, size, true);
}

kiln_tensor kiln_depth_to_space(kiln_graph *g, kiln_tensor x, int size)
{
    return to_places(g, "depth_to_space", x, size, false);
}

kiln_tensor kiln_pixel_unshuffle(kiln_graph *g, kiln_tensor x, int size)
{
    return to_channels(g, "pixel_unshuffle", x, size, true);
}

kiln_tensor kiln_space_to_depth(kiln_graph *g, kiln_tensor x, int size)
{
    return to_channels(g, "space_to_depth", x, size, false);
}
