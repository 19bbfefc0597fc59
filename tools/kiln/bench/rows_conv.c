/*
 * rows_conv.c - the convolutions of ResNet-50, VGG-16 and MobileNet v1, each distinct shape once, under the first of these
 * networks that has it; their gradients by the picture and by the filters where filters are 1 x 1 or 3 x 3.
 *
 * GFLOP/s are those of the definition: 2 N O H W C U V over the time. Ways that need fewer, as transformed tiles, may pass the peak.
 */
#include "row.h"

static kiln_status build(struct bench_work *w, const struct bench_row *row)
{
    kiln_graph *g = w->graph;
    const struct bench_conv *c = &row->as.conv;
    const int pad = c->filter / 2, out = (c->picture - 1) / c->stride + 1;
    const kiln_conv_params p = {.stride = {c->stride, c->stride},
                                .pad = {{pad, pad}, {pad, pad}},
                                .groups = c->groups};
    const kiln_shape filters = KILN_SHAPE(c->out, c->in / c->groups, c->filter, c->filter);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(row->size, c->in, c->picture, c->picture));

    if (!c->by) /* filters of a network that predicts: what is made of them is made once */
        return bench_keep(w, kiln_conv(g, x, kiln_parameter(g, "w", filters, NULL), KILN_NONE, &p));
    const kiln_tensor v = kiln_input(g, "w", KILN_F32, filters);
    const kiln_tensor dy = kiln_input(g, "dy", KILN_F32, KILN_SHAPE(row->size, c->out, out, out));
    return bench_keep(w, c->by == 'x' ? kiln_conv_grad_input(g, dy, v, x, &p)
                                      : kiln_conv_grad_filter(g, dy, x, v, &p));
}

#define OUT(picture, stride) (((picture)-1) / (stride) + 1)
#define FLOPS(filter, stride, in, out, picture, groups) \
    (2.0 * OUT(picture, stride) * OUT(picture, stride) * (filter) * (filter) * ((in) / (groups)) * (out))
/* Some 200 MFLOP a sample. */
#define COUNT(flops) ((flops) > 1e8 ? 1 : (flops) > 2e7 ? 4 : 16)

#define NAME(of, filter, step, in, out, picture, more) \
    "conv " of " " #filter "x" #filter step " " #in "-" #out " " #picture "x" #picture more
#define ROW(name, filter, stride, in, out, picture, groups, by)                                 \
    {                                                                                           \
        name, build, 1, COUNT(FLOPS(filter, stride, in, out, picture, groups)), BENCH_OPERATOR, \
            FLOPS(filter, stride, in, out, picture, groups), 0, .as.conv = {                    \
                filter,                                                                         \
                stride,                                                                         \
                in,                                                                             \
                out,                                                                            \
                picture,                                                                        \
                groups,                                                                         \
                by                                                                              \
            }                                                                                   \
    }
#define FORWARD(of, filter, step, stride, in, out, picture, groups) \
    ROW(NAME(of, filter, step, in, out, picture, ""), filter, stride, in, out, picture, groups, 0)
#define ALL(of, filter, step, stride, in, out, picture, groups)                                           \
    FORWARD(of, filter, step, stride, in, out, picture, groups),                                          \
        ROW(NAME(of, filter, step, in, out, picture, ", by x"), filter, stride, in, out, picture, groups, \
            'x'),                                                                                         \
        ROW(NAME(of, filter, step, in, out, picture, ", by w"), filter, stride, in, out, picture, groups, \
            'w')

#define RESNET(filter, in, out, picture)      ALL("resnet50", filter, "", 1, in, out, picture, 1)
#define RESNET_HALF(filter, in, out, picture) ALL("resnet50", filter, "/2", 2, in, out, picture, 1)
#define VGG(in, out, picture)                 ALL("vgg16", 3, "", 1, in, out, picture, 1)
#define MOBILE(in, out, picture)              ALL("mobilenet_v1", 1, "", 1, in, out, picture, 1)
#define DEPTH(in, picture)                    ALL("mobilenet_v1 depthwise", 3, "", 1, in, in, picture, in)
#define DEPTH_HALF(in, picture)               ALL("mobilenet_v1 depthwise", 3, "/2", 2, in, in, picture, in)

static const struct bench_row rows[] = {
    FORWARD("resnet50", 7, "/2", 2, 3, 64, 224, 1),
    RESNET(1, 64, 64, 56),
    RESNET(3, 64, 64, 56),
    RESNET(1, 64, 256, 56),
    RESNET(1, 256, 64, 56),
    RESNET(1, 256, 128, 56),
    RESNET_HALF(3, 128, 128, 56),
    RESNET(1, 128, 512, 28),
    RESNET_HALF(1, 256, 512, 56),
    RESNET(1, 512, 128, 28),
    RESNET(3, 128, 128, 28),
    RESNET(1, 512, 256, 28),
    RESNET_HALF(3, 256, 256, 28),
    RESNET(1, 256, 1024, 14),
    RESNET_HALF(1, 512, 1024, 28),
    RESNET(1, 1024, 256, 14),
    RESNET(3, 256, 256, 14),
    RESNET(1, 1024, 512, 14),
    RESNET_HALF(3, 512, 512, 14),
    RESNET(1, 512, 2048, 7),
    RESNET_HALF(1, 1024, 2048, 14),
    RESNET(1, 2048, 512, 7),
    RESNET(3, 512, 512, 7),
    VGG(3, 64, 224),
    VGG(64, 64, 224),
    VGG(64, 128, 112),
    VGG(128, 128, 112),
    VGG(128, 256, 56),
    VGG(256, 256, 56),
    VGG(256, 512, 28),
    VGG(512, 512, 28),
    VGG(512, 512, 14),
    ALL("mobilenet_v1", 3, "/2", 2, 3, 32, 224, 1),
    DEPTH(32, 112),
    MOBILE(32, 64, 112),
    DEPTH_HALF(64, 112),
    MOBILE(64, 128, 56),
    DEPTH(128, 56),
    MOBILE(128, 128, 56),
    DEPTH_HALF(128, 56),
    MOBILE(128, 256, 28),
    DEPTH(256, 28),
    MOBILE(256, 256, 28),
    DEPTH_HALF(256, 28),
    MOBILE(256, 512, 14),
    DEPTH(512, 14),
    MOBILE(512, 512, 14),
    DEPTH_HALF(512, 14),
    MOBILE(512, 1024, 7),
    DEPTH(1024, 7),
    MOBILE(1024, 1024, 7),
};

const struct bench_rows bench_convs = {rows, sizeof rows / sizeof *rows};
