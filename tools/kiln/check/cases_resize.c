/* cases_resize.c - other sizes by the nearest, by lines and by curves. */
#include "check/families.h"

/* N, C, sizes of x */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "one number"},
    {"2x3x8x8", "halves"},
    {"2x3x11x7", "primes"},
    {"1x2x5x33", "one past whole vectors"},
    {"3x65x4x4", "one channel past a tile"},
    {"1x1x65x129", "a large picture"},
    {"0x2x8x8", "no pictures"},
    {"2x3x131", "one axis"},
    {"3x1x2", "one axis of two"},
    {"2x2x5x6x7", "three axes"},
    {"1x3x1x8x9", "three axes, the first of one"},
    {0},
};

enum { BY_SIZE, DOUBLED, HALVED, LARGER, SMALLER };

/* a: mode, places, how the sizes change, rounding, exclude_outside, antialias, crop, channels behind */
static const struct check_attributes ways[] = {
    {"nearest,doubled", {KILN_RESIZE_NEAREST, KILN_RESIZE_HALF_PIXEL, DOUBLED}},
    {"nearest,halved,ceil", {KILN_RESIZE_NEAREST, KILN_RESIZE_HALF_PIXEL, HALVED, KILN_RESIZE_CEIL}},
    {"nearest,larger,floor", {KILN_RESIZE_NEAREST, KILN_RESIZE_ASYMMETRIC, LARGER, KILN_RESIZE_FLOOR}},
    {"nearest,smaller,prefer_ceil",
     {KILN_RESIZE_NEAREST, KILN_RESIZE_TF_HALF_PIXEL, SMALLER, KILN_RESIZE_PREFER_CEIL}},
    {"nearest,crop", {KILN_RESIZE_NEAREST, KILN_RESIZE_CROP, BY_SIZE, 0, 0, 0, 1}},
    {"nearest,larger,behind", {KILN_RESIZE_NEAREST, KILN_RESIZE_HALF_PIXEL, LARGER, 0, 0, 0, 0, 1}},
    {"linear,doubled", {KILN_RESIZE_LINEAR, KILN_RESIZE_HALF_PIXEL, DOUBLED}},
    {"linear,halved,antialias", {KILN_RESIZE_LINEAR, KILN_RESIZE_HALF_PIXEL, HALVED, 0, 0, 1}},
    {"linear,larger,corners", {KILN_RESIZE_LINEAR, KILN_RESIZE_ALIGN_CORNERS, LARGER}},
    {"linear,smaller,symmetric", {KILN_RESIZE_LINEAR, KILN_RESIZE_HALF_PIXEL_SYMMETRIC, SMALLER}},
    {"linear,crop", {KILN_RESIZE_LINEAR, KILN_RESIZE_CROP, BY_SIZE, 0, 0, 0, 1}},
    {"linear,larger,behind", {KILN_RESIZE_LINEAR, KILN_RESIZE_HALF_PIXEL, LARGER, 0, 0, 0, 0, 1}},
    {"cubic,doubled", {KILN_RESIZE_CUBIC, KILN_RESIZE_HALF_PIXEL, DOUBLED}},
    {"cubic,halved,antialias,inside", {KILN_RESIZE_CUBIC, KILN_RESIZE_HALF_PIXEL, HALVED, 0, 1, 1}},
    {"cubic,larger,inside", {KILN_RESIZE_CUBIC, KILN_RESIZE_PYTORCH_HALF_PIXEL, LARGER, 0, 1}},
    {"cubic,smaller,antialias", {KILN_RESIZE_CUBIC, KILN_RESIZE_ASYMMETRIC, SMALLER, 0, 0, 1}},
    {0},
};

/* Halving leaves something of every axis. */
static bool fits(const struct check_case *one)
{
    bool large = true;

    for (int i = 2; i < one->sizes; i++)
        large &= (one->a[2] != HALVED && one->a[2] != SMALLER) || one->n[i] > 2;
    return large;
}

static void resize(struct check_graph *c)
{
    static const double scales[] = {[DOUBLED] = 2, [HALVED] = 0.5, [LARGER] = 1.7, [SMALLER] = 0.4};
    kiln_shape shape = check_shape_of(c);
    kiln_resize_params p = {.mode = (kiln_resize_mode)c->a[0],
                            .places = (kiln_resize_places)c->a[1],
                            .rounding = (kiln_resize_rounding)c->a[3],
                            .exclude_outside = c->a[4],
                            .antialias = c->a[5],
                            .outside = 2,
                            .axes.count = shape.rank - 2};

    for (int i = 0; i < shape.rank - 2; i++) {
        p.axes.axis[i] = c->a[7] ? i + 1 : i + 2;
        p.scale[i] = scales[c->a[2]];
        p.size[i] = c->a[2] == BY_SIZE ? 5 : 0;
        p.crop[i][0] = -0.1;
        p.crop[i][1] = 0.8;
    }
    for (int i = 1; i < shape.rank && c->a[7]; i++)
        shape.size[i] = i < shape.rank - 1 ? c->n[i + 1] : c->n[1];
    check_result(c, kiln_resize(c->g, check_operand(c, shape), &p));
}

const struct check_op check_resize[] = {
    {.name = "resize",
     .types = CHECK_REALS,
     .shapes = shapes,
     .attributes = ways,
     .fits = fits,
     .build = resize},
    {0},
};
