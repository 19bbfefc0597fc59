/* cases_roi.c - regions of interest: boxes of maps by samples and by whole cells. */
#include "check/families.h"

/* N, C, H, W, boxes */
static const struct check_shape shapes[] = {
    {"1x1x1x1,1", "one cell"},
    {"2x3x8x8,4", "whole tiles"},
    {"2x3x9x17,5", "one past a tile"},
    {"3x5x7x11,13", "primes"},
    {"1x4x16x40,64", "as many boxes as lanes"},
    {"2x2x24x13,65", "one box past the lanes"},
    {"1x67x9x7,3", "many channels"},
    {"1x2x50x61,6", "a large map"},
    {"5x1x6x6,40", "many maps"},
    {"2x3x5x4,0", "no boxes"},
    {"0x3x5x4,2", "no maps"},
    {0},
};

/* a: bins down and across, samples, half_pixel, scale in hundredths, largest */
static const struct check_attributes samples[] = {
    {"size=1x1,samples=1", {1, 1, 1, 0, 13}},
    {"size=3x2,samples=2", {3, 2, 2, 0, 13}},
    {"size=7x7", {7, 7, 0, 0, 37}},
    {"size=2x5,half_pixel", {2, 5, 0, 1, 9}},
    {"size=4x4,samples=3,half_pixel", {4, 4, 3, 1, 21}},
    {"size=3x2,samples=2,largest", {3, 2, 2, 0, 13, 1}},
    {"size=7x7,half_pixel,largest", {7, 7, 0, 1, 37, 1}},
    {0},
};

static const struct check_attributes cells[] = {
    {"size=1x1", {1, 1, 0, 0, 13}},
    {"size=3x2", {3, 2, 0, 0, 23}},
    {"size=7x7", {7, 7, 0, 0, 37}},
    {0},
};

/* Corners from 20 before the map on; whole numbers, which have no gradient, times a scale that leaves no sample at an edge. */
static kiln_tensor boxes_of(struct check_graph *c)
{
    const kiln_tensor from = check_whole(c, KILN_SHAPE(c->n[4], 2), -20, 100),
                      size = check_whole(c, KILN_SHAPE(c->n[4], 2), 0, 150);
    const kiln_tensor corner[] = {from, kiln_add(c->g, from, size)};

    return kiln_cast(c->g, kiln_concat(c->g, corner, 2, 1), KILN_F32);
}

static kiln_roi_params params_of(const struct check_graph *c)
{
    return (kiln_roi_params){.size = {(int)c->a[0], (int)c->a[1]},
                             .samples = (int)c->a[2],
                             .half_pixel = c->a[3] != 0,
                             .scale = (double)c->a[4] / 100,
                             .largest = c->a[5] != 0};
}

/* Map -1 and the one behind the last are none. */
static kiln_tensor maps_of(struct check_graph *c)
{
    return check_whole(c, KILN_SHAPE(c->n[4]), -1, (double)c->n[0] + 1);
}

static kiln_tensor picture(struct check_graph *c)
{
    return check_operand(c, KILN_SHAPE(c->n[0], c->n[1], c->n[2], c->n[3]));
}

static void roi_align(struct check_graph *c)
{
    const kiln_roi_params p = params_of(c);
    const kiln_tensor boxes = boxes_of(c), image = maps_of(c);

    check_result(c, kiln_roi_align(c->g, picture(c), boxes, image, &p));
}

static void roi_pool(struct check_graph *c)
{
    const kiln_roi_params p = params_of(c);
    const kiln_tensor boxes = boxes_of(c), image = maps_of(c);
    kiln_tensor place;

    check_result(c, kiln_roi_pool(c->g, picture(c), boxes, image, &p, &place));
    check_add(c, place);
}

const struct check_op check_roi[] = {
    {.name = "roi_align", .types = CHECK_REALS, .shapes = shapes, .attributes = samples, .build = roi_align},
    {.name = "roi_pool", .types = CHECK_REALS, .shapes = shapes, .attributes = cells, .build = roi_pool},
    {0},
};
