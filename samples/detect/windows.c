/*
 * windows.c - the oldest way: a classifier of windows of 32 pixels slides over the picture at several sizes. Its convolutions do not
 * pad, so that applied to a whole picture they say at each place what they would say of the window alone, and share what windows have
 * in common. Boxes are the windows themselves: it says what is where, but not how large exactly.
 */
#include "detect.h"

enum {
    WINDOW = 32, /* pixels that a place of the map has seen ... */
    CELL = 8,    /* ... and from one place to the next */
    SIZES = 8,
};
static const double step = 1.4; /* from one size of windows to the next */

/* Convolution without padding, batch normalization, SiLU. */
static kiln_tensor layer(kiln_graph *g, kiln_tensor x, int filters, int size, int stride)
{
    x = kiln_nn_conv(g, x,
                     &(kiln_nn_conv_params){.filters = filters,
                                            .size = {size, size},
                                            .stride = {stride, stride},
                                            .no_bias = true});
    return kiln_silu(g, kiln_nn_batch_norm(g, x, NULL));
}

/* Background and classes of each window: [N, 1 + C, rows, columns]. Opening the scope again shares the weights. */
static kiln_tensor classify(kiln_graph *g, kiln_tensor x, int classes)
{
    kiln_scope_open(g, "classifier");
    x = layer(g, x, 16, 4, 2);
    x = layer(g, x, 32, 3, 2);
    x = layer(g, x, 64, 3, 2);
    x = layer(g, x, 128, 3, 1);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 1 + classes, .size = {1, 1}});
    kiln_scope_close(g);
    return x;
}

/* Windows of a size [A, 4], and what is said of them [N, A, 1 + C]. */
static void look(kiln_graph *g, const struct task *task, kiln_tensor image, double size, kiln_tensor *windows,
                 kiln_tensor *said)
{
    const int64_t height = (int64_t)(task->height * WINDOW / size),
                  width = (int64_t)(task->width * WINDOW / size);
    const double down = (double)task->height / (double)height, across = (double)task->width / (double)width;
    kiln_anchor_params p = {.stride = {CELL * down, CELL * across}, .offset = 0.5 * WINDOW / CELL};
    kiln_anchor_add(&p, WINDOW * across, WINDOW * down);
    *windows = kiln_anchors(g, (height - WINDOW) / CELL + 1, (width - WINDOW) / CELL + 1, &p);
    const kiln_resize_params resize = {.size = {height, width},
                                       .mode = KILN_RESIZE_LINEAR,
                                       .antialias = true};
    *said = rows_of(g, classify(g, kiln_resize(g, image, &resize), task->classes), 1 + task->classes);
}

static kiln_tensor loss_of(kiln_graph *g, kiln_tensor windows, kiln_tensor said, const struct batch *batch)
{
    const kiln_tensor match =
        match_with(g, windows, batch, &(kiln_assign_params){.negative = 0.4, .claim = KILN_CLAIM_OWN});
    const kiln_tensor positive = positives_of(g, match);
    const kiln_tensor each = class_loss(g, said, match, batch);
    const kiln_tensor hard = kiln_hard_negatives(g, kiln_stop_gradient(g, each), match, 3, 8);
    return kiln_div(g, sum_where(g, kiln_or(g, positive, hard), each), count_where(g, positive));
}

static struct findings build(kiln_graph *g, const struct task *task, const struct batch *batch)
{
    const double most = task->height < task->width ? task->height : task->width;
    kiln_tensor windows[SIZES], said[SIZES];
    double size = 24;
    int count = 0;
    for (; count < SIZES && size < most; count++, size *= step)
        look(g, task, batch->image, size, &windows[count], &said[count]);
    const kiln_tensor all = kiln_concat(g, windows, count, 0), rows = kiln_concat(g, said, count, 1);
    const int64_t places = kiln_tensor_shape(g, all).size[0];
    return (struct findings){.boxes =
                                 kiln_expand(g, kiln_unsqueeze(g, all, 0), KILN_SHAPE(KILN_BATCH, places, 4)),
                             .scores = class_scores(g, rows, task->classes),
                             .loss = loss_of(g, all, rows, batch)};
}

const struct network windows_network = {.name = "windows", .build = build};
