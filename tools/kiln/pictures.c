/* pictures.c - networks of pictures, written as an application would. */
#include "pictures.h"

/* Parts ----------------------------------------------------------------------------------------------------- */

static int64_t channels_of(kiln_graph *g, kiln_tensor x)
{
    return x.id ? kiln_tensor_shape(g, x).size[1] : 0;
}

/* Filters of size x size that keep the picture's size, over the stride. */
static kiln_tensor plain(kiln_graph *g, kiln_tensor x, int filters, int size, int stride, int groups,
                         bool no_bias)
{
    const int pad = size / 2;
    const kiln_nn_conv_params p = {.filters = filters,
                                   .size = {size, size},
                                   .stride = {stride, stride},
                                   .pad = {{pad, pad}, {pad, pad}},
                                   .groups = groups,
                                   .no_bias = no_bias};
    return kiln_nn_conv(g, x, &p);
}

/* With batch norm, and relu where active. */
static kiln_tensor conv(kiln_graph *g, kiln_tensor x, int filters, int size, int stride, int groups,
                        bool active)
{
    x = kiln_nn_batch_norm(g, plain(g, x, filters, size, stride, groups, true), NULL);
    return active ? kiln_relu(g, x) : x;
}

static kiln_tensor dense(kiln_graph *g, kiln_tensor x, int units)
{
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = units});
}

static kiln_tensor max_pool(kiln_graph *g, kiln_tensor x, int size, int stride, int pad, bool ceil)
{
    const kiln_pool_params p = {
        .size = {size, size}, .stride = {stride, stride}, .pad = {{pad, pad}, {pad, pad}}, .ceil = ceil};
    return kiln_max_pool(g, x, &p);
}

/* Mean over the picture, then a linear layer. */
static kiln_tensor scores(kiln_graph *g, kiln_tensor x, int classes)
{
    return dense(g, kiln_global_average_pool(g, x), classes);
}

/* A stage: blocks of one width, the first of which takes the stride. */
struct stage {
    int width, blocks, stride;
};

typedef kiln_tensor block(kiln_graph *g, kiln_tensor x, int width, int stride);

static kiln_tensor stages(kiln_graph *g, kiln_tensor x, block *of, const struct stage *stage, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < stage[i].blocks; k++)
            x = of(g, x, stage[i].width, k == 0 ? stage[i].stride : 1);
    return x;
}

/* Residual networks ----------------------------------------------------------------------------------------- */

/* y + x, projected where the shape changes. */
static kiln_tensor add_skip(kiln_graph *g, kiln_tensor y, kiln_tensor x, int width, int stride)
{
    if (stride != 1 || channels_of(g, x) != width)
        x = conv(g, x, width, 1, stride, 1, false);
    return kiln_relu(g, kiln_add(g, y, x));
}

static kiln_tensor basic(kiln_graph *g, kiln_tensor x, int width, int stride)
{
    const kiln_tensor y = conv(g, conv(g, x, width, 3, stride, 1, true), width, 3, 1, 1, false);
    return add_skip(g, y, x, width, stride);
}

static kiln_tensor bottleneck(kiln_graph *g, kiln_tensor x, int width, int stride)
{
    const kiln_tensor narrow = conv(g, conv(g, x, width / 4, 1, 1, 1, true), width / 4, 3, stride, 1, true);
    return add_skip(g, conv(g, narrow, width, 1, 1, 1, false), x, width, stride);
}

static kiln_tensor stem(kiln_graph *g, kiln_tensor x)
{
    return max_pool(g, conv(g, x, 64, 7, 2, 1, true), 3, 2, 1, false);
}

kiln_tensor resnet18(kiln_graph *g, kiln_tensor x)
{
    static const struct stage plan[] = {{64, 2, 1}, {128, 2, 2}, {256, 2, 2}, {512, 2, 2}};
    return scores(g, stages(g, stem(g, x), basic, plan, 4), 1000);
}

kiln_tensor resnet50(kiln_graph *g, kiln_tensor x)
{
    static const struct stage plan[] = {{256, 3, 1}, {512, 4, 2}, {1024, 6, 2}, {2048, 3, 2}};
    return scores(g, stages(g, stem(g, x), bottleneck, plan, 4), 1000);
}

kiln_tensor resnet20(kiln_graph *g, kiln_tensor x)
{
    static const struct stage plan[] = {{16, 3, 1}, {32, 3, 2}, {64, 3, 2}};
    return scores(g, stages(g, conv(g, x, 16, 3, 1, 1, true), basic, plan, 3), 10);
}

/* Plain ones ------------------------------------------------------------------------------------------------ */

kiln_tensor vgg16(kiln_graph *g, kiln_tensor x)
{
    static const struct stage plan[] = {{64, 2, 0}, {128, 2, 0}, {256, 3, 0}, {512, 3, 0}, {512, 3, 0}};

    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < plan[i].blocks; k++)
            x = kiln_relu(g, plain(g, x, plan[i].width, 3, 1, 1, false));
        x = max_pool(g, x, 2, 2, 0, false);
    }
    x = kiln_relu(g, dense(g, x, 4096));
    x = kiln_relu(g, dense(g, x, 4096));
    return dense(g, x, 1000);
}

/* 1x1 down to `narrow`, then 1x1 and 3x3 of `wide` side by side. */
static kiln_tensor fire(kiln_graph *g, kiln_tensor x, int narrow, int wide)
{
    x = kiln_relu(g, plain(g, x, narrow, 1, 1, 1, false));
    const kiln_tensor sides[] = {kiln_relu(g, plain(g, x, wide, 1, 1, 1, false)),
                                 kiln_relu(g, plain(g, x, wide, 3, 1, 1, false))};
    return kiln_concat(g, sides, 2, 1);
}

kiln_tensor squeezenet(kiln_graph *g, kiln_tensor x)
{
    static const struct {
        int narrow, wide;
        bool pool; /* first; its windows at the edge may hang over */
    } plan[] = {{16, 64, true},  {16, 64, false},  {32, 128, true},  {32, 128, false},
                {48, 192, true}, {48, 192, false}, {64, 256, false}, {64, 256, false}};

    x = kiln_relu(g, kiln_nn_conv(g, x,
                                  &(kiln_nn_conv_params){.filters = 64, .size = {3, 3}, .stride = {2, 2}}));
    for (int i = 0; i < 8; i++)
        x = fire(g, plan[i].pool ? max_pool(g, x, 3, 2, 0, true) : x, plan[i].narrow, plan[i].wide);
    x = kiln_relu(g, plain(g, x, 1000, 1, 1, 1, false));
    return kiln_flatten(g, kiln_global_average_pool(g, x), 1);
}

/* MobileNets ------------------------------------------------------------------------------------------------ */

/* Depthwise 3x3, then pointwise. */
static kiln_tensor separable(kiln_graph *g, kiln_tensor x, int width, int stride)
{
    const int all = (int)channels_of(g, x);
    return conv(g, conv(g, x, all, 3, stride, all, true), width, 1, 1, 1, true);
}

kiln_tensor mobilenet_v1(kiln_graph *g, kiln_tensor x)
{
    static const struct stage plan[] = {{64, 1, 1}, {128, 2, 2}, {256, 2, 2}, {512, 6, 2}, {1024, 2, 2}};
    return scores(g, stages(g, conv(g, x, 32, 3, 2, 1, true), separable, plan, 5), 1000);
}

/* 1x1 up, depthwise 3x3, 1x1 down; added to its input where the shapes agree. */
static kiln_tensor inverted_by(kiln_graph *g, kiln_tensor x, int width, int stride, int factor)
{
    const int all = (int)channels_of(g, x) * factor;
    kiln_tensor y = factor > 1 ? conv(g, x, all, 1, 1, 1, true) : x;
    y = conv(g, conv(g, y, all, 3, stride, all, true), width, 1, 1, 1, false);
    return stride == 1 && channels_of(g, x) == width ? kiln_add(g, y, x) : y;
}

static kiln_tensor inverted(kiln_graph *g, kiln_tensor x, int width, int stride)
{
    return inverted_by(g, x, width, stride, 6);
}

kiln_tensor mobilenet_v2(kiln_graph *g, kiln_tensor x)
{
    static const struct stage plan[] = {{24, 2, 2}, {32, 3, 2},  {64, 4, 2},
                                        {96, 3, 1}, {160, 3, 2}, {320, 1, 1}};
    x = inverted_by(g, conv(g, x, 32, 3, 2, 1, true), 16, 1, 1);
    return scores(g, conv(g, stages(g, x, inverted, plan, 6), 1280, 1, 1, 1, true), 1000);
}

/* U-Net ----------------------------------------------------------------------------------------------------- */

static kiln_tensor level(kiln_graph *g, kiln_tensor x, int width)
{
    return conv(g, conv(g, x, width, 3, 1, 1, true), width, 3, 1, 1, true);
}

kiln_tensor unet(kiln_graph *g, kiln_tensor x)
{
    enum { LEVELS = 4 };
    static const int width[LEVELS] = {16, 32, 64, 128};
    kiln_tensor kept[LEVELS];

    for (int i = 0; i < LEVELS; i++)
        kept[i] = x = level(g, i ? max_pool(g, x, 2, 2, 0, false) : x, width[i]);
    for (int i = LEVELS - 2; i >= 0; i--) {
        const kiln_nn_conv_params up = {.filters = width[i], .size = {2, 2}, .stride = {2, 2}};
        const kiln_tensor sides[] = {kiln_nn_conv_transpose(g, x, &up), kept[i]};
        x = level(g, kiln_concat(g, sides, 2, 1), width[i]);
    }
    return plain(g, x, 4, 1, 1, 1, false);
}
