/*
 * roi.c - regions of interest: bins of boxes of maps, by mean of samples, by the largest of their parts, by the largest cell.
 *
 *   roi         x, boxes, image                            -> y, place, weight     (AVERAGE y alone, CELLS y and place)
 *   roi_grad    dy, boxes, image, place, weight, x_like    -> dx                   (likewise)
 *
 * The gradient is gathered: each element of dx looks for the boxes, and in them for the bins, that reached it. A place and a weight
 * of each bin keep the largest from being looked for again. Sorting what a scatter would add (src/ops/scatter.c) takes memory and
 * passes for each of a bin's samples and cells, 16 times dy and more.
 *
 * Lowering and contracts: src/ops/roi_kernel.c. Kernels: shaders/roi/, src/cpu/roi.c, src/cpu/roi_fast.c. Tests: tests/ops/roi.c.
 */
#include "ops/roi.h"

#include <kiln/indexing.h>
#include <kiln/ops.h>
#include <kiln/roi.h>

#include "graph/graph.h"
#include "ops/beyond.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

static kiln_status check_params(kiln_graph *g, const kiln_node *n, const struct kiln_roi *p)
{
    enum { MOST = 1 << 14 };
    if (p->size[0] < 1 || p->size[1] < 1 || p->size[0] > MOST || p->size[1] > MOST)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "%d x %d bins, wanted 1 to %d each way", p->size[0],
                              p->size[1], MOST);
    if (p->samples < 0 || p->samples > MOST || !(p->scale > 0))
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT,
                              "%d samples and a scale of %g, wanted 0 to %d and more than 0", p->samples,
                              p->scale, MOST);
    return KILN_OK;
}

static kiln_status check_operands(kiln_graph *g, const kiln_node *n, const kiln_spec *x)
{
    const kiln_spec boxes = kiln_tensor_spec(g, n->in[KILN_ROI_BOXES]),
                    image = kiln_tensor_spec(g, n->in[KILN_ROI_IMAGE]);
    char a[96], b[96];
    if (x->shape.rank != 4 || !kiln_type_is_real(x->type))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s %s, wanted reals [N, C, H, W]",
                              kiln_type_name(x->type), kiln_graph_shape_text(g, &x->shape, a, sizeof a));
    if (boxes.shape.rank != 2 || boxes.shape.size[1] != 4 || !kiln_type_is_real(boxes.type))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "boxes are %s %s, wanted reals [R, 4] with an image each, or [N, K, 4] without",
                              kiln_type_name(boxes.type),
                              kiln_graph_shape_text(g, &boxes.shape, a, sizeof a));
    if ((image.type != KILN_I32 && image.type != KILN_I64) || image.shape.rank != 1 ||
        image.shape.size[0] != boxes.shape.size[0])
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "image is %s %s of boxes %s, wanted i32 or i64 [R]",
                              kiln_type_name(image.type), kiln_graph_shape_text(g, &image.shape, a, sizeof a),
                              kiln_graph_shape_text(g, &boxes.shape, b, sizeof b));
    return KILN_OK;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_roi *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[KILN_ROI_X]);
    if (check_params(g, n, p) || check_operands(g, n, &x))
        return kiln_graph_status(g);
    const int64_t rois = kiln_tensor_shape(g, n->in[KILN_ROI_BOXES]).size[0];
    const kiln_type types[] = {x.type, KILN_I32, KILN_F32};
    for (int i = 0; i < n->outputs; i++)
        out[i] = (kiln_spec){types[i], KILN_SHAPE(rois, x.shape.size[1], p->size[0], p->size[1])};
    return KILN_OK;
}

static int output_count(const void *params)
{
    static const int counts[] = {[KILN_ROI_AVERAGE] = 1, [KILN_ROI_LARGEST] = 3, [KILN_ROI_CELLS] = 2};
    return counts[((const struct kiln_roi *)params)->mode];
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor in[] = {dy[0],
                              n->in[KILN_ROI_BOXES],
                              n->in[KILN_ROI_IMAGE],
                              n->outputs > 1 ? n->out[1] : KILN_NONE,
                              n->outputs > 2 ? n->out[2] : KILN_NONE,
                              n->in[KILN_ROI_X]};
    if (dy[0].id)
        dx[KILN_ROI_X] = kiln_append(g, &kiln_op_roi_grad, in, 6, n->params, n->params_size);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = (kiln_spec){kiln_tensor_spec(g, n->in[KILN_ROI_DY]).type,
                       kiln_tensor_spec(g, n->in[KILN_ROI_X_LIKE]).shape};
    return KILN_OK;
}

/* A mean is linear in x: its gradient's gradient is a mean again. */
static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    const struct kiln_roi *p = n->params;
    if (p->mode != KILN_ROI_AVERAGE) {
        kiln_node_fail(g, n, KILN_ERROR_UNSUPPORTED, "the gradient of a largest has no gradient");
        return;
    }
    const kiln_tensor in[] = {dz[0], n->in[KILN_ROI_BOXES], n->in[KILN_ROI_IMAGE]};
    dx[KILN_ROI_DY] = kiln_append(g, &kiln_op_roi, in, 3, p, n->params_size);
}

/* Boxes and maps are each for themselves. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    return input == KILN_ROI_IMAGE ? KILN_IGNORED : kiln_beyond_in_batch(g, n, input, axis);
}

/* A box that is not there is of no map. */
static kiln_beyond grad_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    return input == KILN_ROI_IMAGE ? KILN_FILLED(KILN_NOWHERE) : kiln_beyond_in_batch(g, n, input, axis);
}

static const kiln_field fields[] = {
    {"scale", KILN_FIELD_REAL, offsetof(struct kiln_roi, scale), 1},
    {"mode", KILN_FIELD_INT, offsetof(struct kiln_roi, mode), 1},
    {"size", KILN_FIELD_INT, offsetof(struct kiln_roi, size), 2},
    {"samples", KILN_FIELD_INT, offsetof(struct kiln_roi, samples), 1},
    {"half_pixel", KILN_FIELD_INT, offsetof(struct kiln_roi, half_pixel), 1},
    {0},
};

const kiln_op kiln_op_roi = {
    .name = "roi",
    .fields = fields,
    .inputs = 3,
    .outputs = 1,
    .output_count = output_count,
    .infer = infer,
    .grad = grad,
    .beyond = beyond,
    .lowerings = kiln_roi_lowerings,
    .lowering_count = 1,
};

const kiln_op kiln_op_roi_grad = {
    .name = "roi_grad",
    .fields = fields,
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1u << KILN_ROI_X_LIKE,
    .infer = grad_infer,
    .grad = grad_grad,
    .beyond = grad_beyond,
    .lowerings = kiln_roi_grad_lowerings,
    .lowering_count = 1,
};

/* Builders ----------------------------------------------------------------------------------------------- */

/* Boxes [N, K, 4] become [N K, 4], and box k of map n is given n. */
static void number_maps(kiln_graph *g, kiln_tensor *boxes, kiln_tensor *image)
{
    const kiln_shape shape = kiln_tensor_shape(g, *boxes);
    if (image->id || shape.rank != 3)
        return;
    const kiln_tensor map = kiln_unsqueeze(g, kiln_positions(g, *boxes, 0), 1);
    const kiln_tensor each = kiln_expand(g, map, KILN_SHAPE(shape.size[0], shape.size[1]));
    *image = kiln_reshape(g, each, KILN_SHAPE(KILN_REST));
    *boxes = kiln_reshape(g, *boxes, KILN_SHAPE(KILN_REST, shape.size[2]));
}

static kiln_tensor append(kiln_graph *g, kiln_tensor x, kiln_tensor boxes, kiln_tensor image, int mode,
                          const kiln_roi_params *params)
{
    const kiln_roi_params none = {0}, *given = params ? params : &none;
    struct kiln_roi p = {.mode = mode,
                         .size = {given->size[0], given->size[1]},
                         .scale = given->scale ? given->scale : 1};
    if (mode != KILN_ROI_CELLS) {
        p.samples = given->samples;
        p.half_pixel = given->half_pixel;
    }
    if (!x.id || !boxes.id)
        return KILN_NONE;
    number_maps(g, &boxes, &image);
    return kiln_append(g, &kiln_op_roi, (const kiln_tensor[]){x, boxes, image}, 3, &p, sizeof p);
}

kiln_tensor kiln_roi_align(kiln_graph *g, kiln_tensor x, kiln_tensor boxes, kiln_tensor image,
                           const kiln_roi_params *params)
{
    return append(g, x, boxes, image, params && params->largest ? KILN_ROI_LARGEST : KILN_ROI_AVERAGE,
                  params);
}

kiln_tensor kiln_roi_pool(kiln_graph *g, kiln_tensor x, kiln_tensor boxes, kiln_tensor image,
                          const kiln_roi_params *params, kiln_tensor *place)
{
    const kiln_tensor y = append(g, x, boxes, image, KILN_ROI_CELLS, params);
    if (place)
        *place = y.id ? kiln_node_output(g, y, 1) : KILN_NONE;
    return y;
}
