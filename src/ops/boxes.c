/*
 * boxes.c - boxes in other formats, clipped, and as differences from boxes that a detector begins with. Compositions: halves of a
 * box, its corners or its centre and size, are worked on two numbers at a time, which fuses.
 *
 * Tests: tests/ops/boxes.c.
 */
#include <math.h>

#include <kiln/detection.h>
#include <kiln/ops.h>

#include "graph/graph.h"

/* The first and the last two numbers of boxes: [.., 2] each. */
struct halves {
    kiln_tensor first, last;
};

/* Whether x has boxes; fails the graph where not. */
static bool are_boxes(kiln_graph *g, kiln_tensor x, const char *what)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    char text[96];
    if (!x.id)
        return false;
    if (shape.rank > 0 && shape.size[shape.rank - 1] == 4)
        return true;
    kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s: boxes %s, wanted [.., 4]", what,
                    kiln_graph_shape_text(g, &shape, text, sizeof text));
    return false;
}

static struct halves split(kiln_graph *g, kiln_tensor boxes)
{
    return (struct halves){kiln_slice(g, boxes, -1, 0, 2, 1), kiln_slice(g, boxes, -1, 2, 4, 1)};
}

static kiln_tensor join(kiln_graph *g, kiln_tensor first, kiln_tensor last)
{
    return kiln_concat(g, (const kiln_tensor[]){first, last}, 2, -1);
}

static struct halves corners_of(kiln_graph *g, struct halves x, kiln_box_format from)
{
    if (from == KILN_BOX_CORNERS)
        return x;
    if (from == KILN_BOX_SIDES)
        return (struct halves){x.first, kiln_add(g, x.first, x.last)};
    const kiln_tensor half = kiln_scale(g, x.last, 0.5);
    return (struct halves){kiln_sub(g, x.first, half), kiln_add(g, x.first, half)};
}

static struct halves centres_of(kiln_graph *g, struct halves x, kiln_box_format from)
{
    if (from == KILN_BOX_CENTRES)
        return x;
    if (from == KILN_BOX_SIDES)
        return (struct halves){kiln_add(g, x.first, kiln_scale(g, x.last, 0.5)), x.last};
    return (struct halves){kiln_scale(g, kiln_add(g, x.first, x.last), 0.5), kiln_sub(g, x.last, x.first)};
}

kiln_tensor kiln_box_convert(kiln_graph *g, kiln_tensor boxes, kiln_box_format from, kiln_box_format to)
{
    if (!are_boxes(g, boxes, "box_convert"))
        return KILN_NONE;
    if (from == to)
        return boxes;
    struct halves x = split(g, boxes);
    if (to == KILN_BOX_CENTRES) {
        x = centres_of(g, x, from);
    } else {
        x = corners_of(g, x, from);
        x.last = to == KILN_BOX_SIDES ? kiln_sub(g, x.last, x.first) : x.last;
    }
    return join(g, x.first, x.last);
}

kiln_tensor kiln_box_area(kiln_graph *g, kiln_tensor boxes)
{
    if (!are_boxes(g, boxes, "box_area"))
        return KILN_NONE;
    const struct halves x = split(g, boxes);
    const kiln_tensor sides = kiln_relu(g, kiln_sub(g, x.last, x.first));
    const kiln_tensor area =
        kiln_mul(g, kiln_slice(g, sides, -1, 0, 1, 1), kiln_slice(g, sides, -1, 1, 2, 1));
    return kiln_squeeze(g, area, -1);
}

/* A constant of reals. */
static kiln_tensor reals(kiln_graph *g, int count, const double *values)
{
    return kiln_constant(
        g, &(kiln_array){.data = (void *)(uintptr_t)values, .type = KILN_F64, .shape = KILN_SHAPE(count)});
}

static kiln_tensor clip(kiln_graph *g, kiln_tensor boxes, kiln_tensor most)
{
    return kiln_min(g, kiln_max(g, boxes, kiln_scalar(g, KILN_F32, 0)), most);
}

kiln_tensor kiln_box_clip(kiln_graph *g, kiln_tensor boxes, double width, double height)
{
    const double most[] = {width, height, width, height};
    return are_boxes(g, boxes, "box_clip") ? clip(g, boxes, kiln_cast(g, reals(g, 4, most), KILN_F32))
                                           : KILN_NONE;
}

kiln_tensor kiln_box_clip_to(kiln_graph *g, kiln_tensor boxes, kiln_tensor sizes)
{
    const int rank = kiln_tensor_shape(g, sizes).rank;
    if (!are_boxes(g, boxes, "box_clip_to") || !sizes.id)
        return KILN_NONE;
    const kiln_tensor most = join(g, sizes, sizes); /* [R.., 4] */
    return clip(g, boxes, rank > 1 ? kiln_unsqueeze(g, most, rank - 1) : most);
}

/* Differences from anchors ------------------------------------------------------------------------------- */

/* Weights of the centre's, or the size's, differences; none where they are 1. */
static kiln_tensor weights_of(kiln_graph *g, const kiln_box_code *p, int first, bool inverse)
{
    double w[2];
    bool plain = true;
    for (int i = 0; i < 2; i++) {
        w[i] = p->weights[first + i] != 0 ? p->weights[first + i] : 1;
        plain = plain && w[i] == 1;
        w[i] = inverse ? 1 / w[i] : w[i];
    }
    return plain ? KILN_NONE : kiln_cast(g, reals(g, 2, w), KILN_F32);
}

static kiln_tensor weighted(kiln_graph *g, kiln_tensor x, kiln_tensor weights)
{
    return weights.id ? kiln_mul(g, x, weights) : x;
}

kiln_tensor kiln_box_encode(kiln_graph *g, kiln_tensor boxes, kiln_tensor anchors,
                            const kiln_box_code *params)
{
    const kiln_box_code p = params ? *params : (kiln_box_code){0};
    if (!are_boxes(g, boxes, "box_encode") || !are_boxes(g, anchors, "box_encode"))
        return KILN_NONE;
    const struct halves box = centres_of(g, split(g, boxes), p.boxes),
                        anchor = centres_of(g, split(g, anchors), p.anchors);
    const kiln_tensor away = kiln_div(g, kiln_sub(g, box.first, anchor.first), anchor.last);
    const kiln_tensor larger = kiln_log(g, kiln_div(g, box.last, anchor.last));
    return join(g, weighted(g, away, weights_of(g, &p, 0, false)),
                weighted(g, larger, weights_of(g, &p, 2, false)));
}

/* A centre and a size as the format that is wanted. */
static kiln_tensor boxes_of(kiln_graph *g, struct halves centres, kiln_box_format to)
{
    if (to == KILN_BOX_CENTRES)
        return join(g, centres.first, centres.last);
    const struct halves x = corners_of(g, centres, KILN_BOX_CENTRES);
    return join(g, x.first, to == KILN_BOX_SIDES ? centres.last : x.last);
}

kiln_tensor kiln_box_decode(kiln_graph *g, kiln_tensor deltas, kiln_tensor anchors,
                            const kiln_box_code *params)
{
    const kiln_box_code p = params ? *params : (kiln_box_code){0};
    const double most = p.most != 0 ? p.most : log(1000. / 16);
    if (!are_boxes(g, deltas, "box_decode") || !are_boxes(g, anchors, "box_decode"))
        return KILN_NONE;
    const struct halves delta = split(g, deltas), anchor = centres_of(g, split(g, anchors), p.anchors);
    const kiln_tensor away = weighted(g, delta.first, weights_of(g, &p, 0, true));
    const kiln_tensor larger = weighted(g, delta.last, weights_of(g, &p, 2, true));
    const struct halves box = {kiln_add(g, kiln_mul(g, away, anchor.last), anchor.first),
                               kiln_mul(g, kiln_exp(g, kiln_clip(g, larger, -INFINITY, most)), anchor.last)};
    return boxes_of(g, box, p.boxes);
}

kiln_tensor kiln_yolo_decode(kiln_graph *g, kiln_tensor x, kiln_tensor anchors, double stride, kiln_yolo kind)
{
    if (!are_boxes(g, x, "yolo_decode") || !are_boxes(g, anchors, "yolo_decode"))
        return KILN_NONE;
    const struct halves t = split(g, x), anchor = centres_of(g, split(g, anchors), KILN_BOX_CORNERS);
    if (kind == KILN_YOLO_DISTANCES)
        return join(g, kiln_sub(g, anchor.first, kiln_scale(g, t.first, stride)),
                    kiln_add(g, anchor.first, kiln_scale(g, t.last, stride)));
    const bool exponential = kind == KILN_YOLO_EXPONENTIAL; /* else a square */
    const kiln_tensor share = kiln_shift(g, kiln_sigmoid(g, t.first), -0.5);
    const kiln_tensor centre =
        kiln_add(g, anchor.first, kiln_scale(g, share, exponential ? stride : 2 * stride));
    const kiln_tensor factor =
        exponential ? kiln_exp(g, t.last) : kiln_square(g, kiln_scale(g, kiln_sigmoid(g, t.last), 2));
    return boxes_of(g, (struct halves){centre, kiln_mul(g, factor, anchor.last)}, KILN_BOX_CORNERS);
}
