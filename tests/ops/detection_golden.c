/* detection_golden.c - boxes against torchvision's (tools/golden/detection.py): formats, codes, overlaps, anchors, suppression. */
#include <stdlib.h>
#include <string.h>

#include "support/golden_case.h"

static kiln_tensor x_of(kiln_golden_case *c)
{
    return kiln_golden_leaf(c, "x");
}

/* "FROM_to_TO" */
static kiln_tensor convert(kiln_golden_case *c)
{
    static const char *const names[] = {"corners", "centres", "sides"};
    kiln_box_format from = KILN_BOX_CORNERS, to = KILN_BOX_CORNERS;
    for (int i = 0; i < 3; i++) {
        from = strncmp(c->name, names[i], strlen(names[i])) ? from : (kiln_box_format)i;
        to = strcmp(strstr(c->name, "_to_") + 4, names[i]) ? to : (kiln_box_format)i;
    }
    return kiln_box_convert(c->g, x_of(c), from, to);
}

static kiln_tensor clip(kiln_golden_case *c)
{
    return kiln_box_clip(c->g, x_of(c), 0.75, 0.5);
}

static const kiln_box_code weighted = {.weights = {10, 10, 5, 5}};

static const kiln_box_code *code_of(const kiln_golden_case *c)
{
    return strstr(c->name, "weighted") ? &weighted : NULL;
}

static kiln_tensor encode(kiln_golden_case *c)
{
    const kiln_tensor x = x_of(c);
    return kiln_box_encode(c->g, x, kiln_golden_leaf(c, "w"), code_of(c));
}

static kiln_tensor decode(kiln_golden_case *c)
{
    const kiln_tensor x = x_of(c);
    return kiln_box_decode(c->g, x, kiln_golden_leaf(c, "w"), code_of(c));
}

static kiln_tensor yolo(kiln_golden_case *c)
{
    const kiln_yolo kind = strstr(c->name, "exponential") ? KILN_YOLO_EXPONENTIAL
                           : strstr(c->name, "square")    ? KILN_YOLO_SQUARE
                                                          : KILN_YOLO_DISTANCES;
    const kiln_tensor x = x_of(c);
    return kiln_yolo_decode(c->g, x, kiln_golden_leaf(c, "w"), 8, kind);
}

static kiln_overlap kind_of(const kiln_golden_case *c)
{
    return strstr(c->name, "giou")   ? KILN_GIOU
           : strstr(c->name, "diou") ? KILN_DIOU
           : strstr(c->name, "ciou") ? KILN_CIOU
                                     : KILN_IOU;
}

static kiln_tensor pairs(kiln_golden_case *c)
{
    const kiln_tensor x = x_of(c);
    return kiln_box_overlap(c->g, x, kiln_golden_leaf(c, "w"), kind_of(c));
}

static kiln_tensor loss(kiln_golden_case *c)
{
    const kiln_tensor x = x_of(c);
    return kiln_box_loss(c->g, x, kiln_golden_leaf(c, "w"), kind_of(c));
}

/* "nms_COUNT" or "nms_classes_COUNT" */
static kiln_tensor suppress(kiln_golden_case *c)
{
    const char *count = strrchr(c->name, '_') + 1;
    const kiln_nms_params p = {.overlap = strcmp(count, "40") ? strcmp(count, "97") ? 0.3 : 0.7 : 0.5};
    const kiln_tensor x = x_of(c), scores = kiln_golden_fixed(c, "scores"),
                      classes = strstr(c->name, "classes") ? kiln_golden_fixed(c, "classes") : KILN_NONE;
    return kiln_gather(c->g, x, kiln_nms(c->g, x, scores, classes, &p, NULL), 0);
}

static kiln_tensor proposals(kiln_golden_case *c)
{
    const kiln_proposal_params p = {
        .sizes = kiln_test_values(c->g, KILN_SHAPE(2), (const float[]){1, 1.25f}),
        .level_count = 2,
        .level = {40, 17},
        .candidates = 12,
        .most = 10,
        .least = 0.15,
        .overlap = 0.6,
    };
    return kiln_proposals(c->g, kiln_golden_fixed(c, "scores"), x_of(c), kiln_golden_fixed(c, "anchors"), &p,
                          NULL, NULL);
}

static const kiln_golden_row rows[] = {
    {"corners_to_centres", convert},
    {"corners_to_sides", convert},
    {"centres_to_corners", convert},
    {"centres_to_sides", convert},
    {"sides_to_corners", convert},
    {"sides_to_centres", convert},
    {"area", .unary = kiln_box_area},
    {"clip", clip},
    {"encode_plain", encode},
    {"encode_weighted", encode},
    {"decode_plain", decode},
    {"decode_weighted", decode},
    {"yolo_exponential", yolo},
    {"yolo_square", yolo},
    {"yolo_distances", yolo},
    {"pairs_iou", pairs},
    {"pairs_giou", pairs},
    {"pairs_diou", pairs},
    {"pairs_ciou", pairs},
    {"loss_giou", loss},
    {"loss_diou", loss},
    {"loss_ciou", loss},
    {"equal_edges_giou", loss},
    {"equal_edges_diou", loss},
    {"equal_edges_ciou", loss},
    {"nms_40", suppress},
    {"nms_200", suppress},
    {"nms_97", suppress},
    {"nms_classes_40", suppress},
    {"nms_classes_200", suppress},
    {"nms_classes_97", suppress},
    {"proposals", proposals},
};

Test(detection_golden, in_float64_as_torchvision)
{
    kiln_expect_golden("detection.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(detection_golden, on_every_device_close_to_torchvision)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("detection.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}

/* Anchors ------------------------------------------------------------------------------------------------ */

static kiln_tensor anchors(kiln_graph *g, const void *cells)
{
    const int *n = cells;
    kiln_anchor_params p = {.stride = {16, 8}, .whole = true};
    kiln_anchor_add_ratios(&p, (const double[]){16, 32, 64}, 3, (const double[]){0.5, 1, 2}, 3);
    return kiln_anchors(g, n[0], n[1], &p);
}

static kiln_tensor priors(kiln_graph *g, const void *cells)
{
    const int *n = cells;
    kiln_anchor_params p = {.stride = {0.25}, .offset = 0.5};
    kiln_anchor_add_priors(&p, 0.2, 0.4, (const double[]){2, 3}, 2);
    return kiln_anchors(g, n[0], n[1], &p);
}

static void expect_record(kiln_test_build *build, const int *cells, const char *name, double tolerance)
{
    kiln_safetensors *file = kiln_golden_open("detection.safetensors");
    const kiln_array want = kiln_golden_find(file, name, "y");
    double *values = kiln_test_doubles(&want);
    kiln_expect_values(build, cells, values, (size_t)kiln_shape_count(&want.shape), tolerance, name);
    kiln_expect_devices_agree(build, cells, false, 0, name);
    free(values);
    kiln_safetensors_close(&file);
}

Test(detection_golden, anchors_as_torchvision)
{
    expect_record(anchors, (const int[]){3, 5}, "anchors", 0);
    expect_record(anchors, (const int[]){1, 1}, "anchors_one", 0);
    expect_record(priors, (const int[]){4, 4}, "priors", 1e-6); /* recorded in float32 */
}
