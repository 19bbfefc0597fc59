/*
 * onnx.c - detectors of others, from ONNX: what they are told and what they say differs, so each kind is a row of a table, known by the
 * shapes of its outputs. Their boxes and scores become findings, and all that follows is as for networks of our own.
 */
#include "detect.h"

#include <stdio.h>
#include <string.h>

static kiln_tensor scaled(kiln_graph *g, kiln_tensor boxes, const struct task *t)
{
    const float size[] = {(float)t->width, (float)t->height, (float)t->width, (float)t->height};
    return kiln_mul(g, boxes, kiln_constant(g, &(kiln_array){.data = (void *)size, .shape = KILN_SHAPE(4)}));
}

/* FastestDet (github.com/dog-qiuqiu/FastestDet) ------------------------------------------------------------- */

/* Things are sure by obj^0.6 class^0.4: rows [1, A, 1], [1, A, C]. */
static kiln_tensor fastest_scores(kiln_graph *g, kiln_tensor something, kiln_tensor classes)
{
    return kiln_mul(g, kiln_pow(g, something, kiln_scalar(g, KILN_F32, 0.6)),
                    kiln_pow(g, classes, kiln_scalar(g, KILN_F32, 0.4)));
}

/*
 * [1, 5 + C, H, W]: whether something is there, where, what. Its centre is the cell's left upper corner moved by tanh(x) cells, its
 * size sigmoid(w) of the picture.
 */
static struct findings fastest(kiln_graph *g, const struct task *task)
{
    const kiln_tensor map = kiln_graph_output(g, 0);
    const kiln_shape shape = kiln_tensor_shape(g, map);
    const int64_t rows = shape.size[2], cols = shape.size[3];
    const double across = (double)task->width / (double)cols, down = (double)task->height / (double)rows;
    const kiln_tensor x = rows_of(g, map, (int)shape.size[1]);
    kiln_anchor_params cell = {.stride = {down, across}};
    kiln_anchor_add(&cell, 0, 0);
    const kiln_tensor corner = columns(g, kiln_anchors(g, rows, cols, &cell), 0, 2);
    const float cells[] = {(float)across, (float)down}, whole[] = {(float)task->width, (float)task->height};
    const kiln_tensor stride = kiln_constant(g, &(kiln_array){.data = (void *)cells, .shape = KILN_SHAPE(2)}),
                      size = kiln_constant(g, &(kiln_array){.data = (void *)whole, .shape = KILN_SHAPE(2)});
    const kiln_tensor parts[] = {kiln_add(g, corner, kiln_mul(g, kiln_tanh(g, columns(g, x, 1, 3)), stride)),
                                 kiln_mul(g, kiln_sigmoid(g, columns(g, x, 3, 5)), size)};
    return (struct findings){
        .boxes = kiln_box_convert(g, kiln_concat(g, parts, 2, 2), KILN_BOX_CENTRES, KILN_BOX_CORNERS),
        .scores = fastest_scores(g, columns(g, x, 0, 1), columns(g, x, 5, (int)shape.size[1]))};
}

/* [1, A, 5 + C]: centre and size in pixels, whether something is there, and what. */
static struct findings fastest_decoded(kiln_graph *g, const struct task *task)
{
    const kiln_tensor x = kiln_graph_output(g, 0);
    const int width = (int)kiln_tensor_shape(g, x).size[2];
    (void)task;
    return (struct findings){.boxes =
                                 kiln_box_convert(g, columns(g, x, 0, 4), KILN_BOX_CENTRES, KILN_BOX_CORNERS),
                             .scores = fastest_scores(g, columns(g, x, 4, 5), columns(g, x, 5, width))};
}

/* Ultra-Light-Fast-Generic-Face-Detector (github.com/Linzaer) ------------------------------------------------- */

/* Scores [1, A, 2], of background and a face, and boxes [1, A, 4] by corners, as shares of the picture. */
static struct findings face(kiln_graph *g, const struct task *task)
{
    return (struct findings){.boxes = scaled(g, kiln_find(g, "boxes"), task),
                             .scores = columns(g, kiln_find(g, "scores"), 1, 2)};
}

/* The simplified export leaves boxes as they differ from squares around cells of four maps. */
static struct findings face_differences(kiln_graph *g, const struct task *task)
{
    static const double sides[][3] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    kiln_tensor anchors[COUNT(sides)];
    for (int i = 0; i < COUNT(sides); i++) {
        const int stride = 8 << i, rows = (task->height + stride - 1) / stride,
                  cols = (task->width + stride - 1) / stride;
        kiln_anchor_params cell = {.stride = {(double)task->height / rows, (double)task->width / cols},
                                   .offset = 0.5};
        for (int k = 0; k < COUNT(sides[i]) && sides[i][k] > 0; k++)
            kiln_anchor_add(&cell, sides[i][k], sides[i][k]);
        anchors[i] = kiln_anchors(g, rows, cols, &cell);
    }
    return (struct findings){.boxes = boxes_from(g, kiln_find(g, "boxes"),
                                                 kiln_concat(g, anchors, COUNT(sides), 0)),
                             .scores = columns(g, kiln_find(g, "scores"), 1, 2)};
}

/* The kinds --------------------------------------------------------------------------------------------------- */

#define FACE                      \
    .classes = 1, .overlap = 0.3, \
    .image = {.bytes = true, .mean = {127, 127, 127}, .deviation = {128, 128, 128}}
#define FASTEST .classes = 80, .overlap = 0.45, .image = {.bgr = true}

static const struct kind {
    const char *name;
    int outputs, rank, axis, size; /* the first output's rank, and the size of one of its axes */
    int classes;
    kiln_image_params image; /* but for the shape */
    double overlap;          /* above which its boxes compete */
    struct findings (*build)(kiln_graph *g, const struct task *task);
} kinds[] = {
    {"fastestdet", .outputs = 1, .rank = 4, .axis = 1, .size = 85, .build = fastest, FASTEST},
    {"fastestdet-decoded", .outputs = 1, .rank = 3, .axis = 2, .size = 85, .build = fastest_decoded, FASTEST},
    {"ultraface", .outputs = 2, .rank = 3, .axis = 2, .size = 2, .build = face, FACE},
    {"ultraface-simplified", .outputs = 2, .rank = 3, .axis = 2, .size = 2, .build = face_differences, FACE},
};

#undef FACE
#undef FASTEST

static bool fits(const kiln_graph *g, const struct kind *k)
{
    if (kiln_graph_output_count(g) != k->outputs || kiln_graph_input_count(g) != 1)
        return false;
    const kiln_shape shape = kiln_tensor_shape(g, kiln_graph_output(g, 0)),
                     image = kiln_tensor_shape(g, kiln_graph_input(g, 0));
    return shape.rank == k->rank && shape.size[k->axis] == k->size && image.rank == 4 && image.size[2] > 0 &&
           image.size[3] > 0;
}

/* The kind of that name, or without a name the first whose shapes are the graph's. */
static const struct kind *kind_of(const kiln_graph *g, const char *name)
{
    for (int i = 0; i < COUNT(kinds); i++)
        if (fits(g, &kinds[i]) && (!name || !strcmp(name, kinds[i].name)))
            return &kinds[i];
    return NULL;
}

kiln_status onnx_load(struct model *m, kiln_device *dev, const struct options *o)
{
    kiln_status status = kiln_onnx_load(&m->graph, &m->weights, o->model, NULL);
    if (status)
        return status;
    const struct kind *kind = kind_of(m->graph, o->kind);
    if (!kind) {
        fprintf(stderr, "detect: %s: its inputs and outputs are not those of %s\n", o->model,
                o->kind ? o->kind : "a known detector");
        return KILN_ERROR_UNSUPPORTED;
    }
    m->batch.image = kiln_graph_input(m->graph, 0);
    const kiln_shape shape = kiln_tensor_shape(m->graph, m->batch.image);
    m->task = (struct task){
        .height = (int)shape.size[2], .width = (int)shape.size[3], .classes = kind->classes, .most = 1};
    m->image = kind->image;
    m->image.shape = KILN_SHAPE(3, m->task.height, m->task.width);
    m->overlap = kind->overlap;
    m->findings = kind->build(m->graph, &m->task);
    if ((status = name_classes(m, o->names)))
        return status;
    return model_finish(m, dev);
}
