/* cases_grid.c - x at the places of a grid, and affine grids. */
#include "check/families.h"

/* x, and the places of each image. */
static const struct check_shape shapes[] = {
    {"1x1x1x1,1x1", "one number"},
    {"2x3x11x7,5x3", "primes"},
    {"1x2x8x8,5x13", "one past a block of places"},
    {"3x65x4x4,2x2", "many channels"},
    {"1x1x65x129,30x31", "a large picture"},
    {"1x3x2x3,61x67", "many places on few elements"},
    {"0x2x8x8,3x3", "no pictures"},
    {"2x3x1x31,1x9", "one row"},
    {"2x2x5x6x7,2x3x4", "three axes"},
    {"1x3x1x8x9,5x1x13", "three axes, the first of one"},
    {0},
};

/* Images and places. */
static const struct check_shape affine_shapes[] = {
    {"1x1x1", "one place"},
    {"2x7x11", "primes"},
    {"3x8x8", "halves"},
    {"65x2x3", "one image past a tile"},
    {"1x65x129", "many places"},
    {"0x4x4", "no images"},
    {"2x1x31", "one row"},
    {"2x5x6x7", "three axes"},
    {"3x1x1x2", "three axes, two of one"},
    {0},
};

/* a: mode, padding, align_corners, elements */
static const struct check_attributes ways[] = {
    {"linear,zeros", {KILN_GRID_LINEAR, KILN_GRID_ZEROS}},
    {"linear,border,corners", {KILN_GRID_LINEAR, KILN_GRID_BORDER, 1}},
    {"linear,reflection", {KILN_GRID_LINEAR, KILN_GRID_REFLECTION}},
    {"linear,reflection,corners", {KILN_GRID_LINEAR, KILN_GRID_REFLECTION, 1}},
    {"nearest,zeros,corners", {KILN_GRID_NEAREST, KILN_GRID_ZEROS, 1}},
    {"nearest,reflection", {KILN_GRID_NEAREST, KILN_GRID_REFLECTION}},
    {"cubic,zeros", {KILN_GRID_CUBIC, KILN_GRID_ZEROS}},
    {"cubic,border", {KILN_GRID_CUBIC, KILN_GRID_BORDER}},
    {"cubic,reflection,corners", {KILN_GRID_CUBIC, KILN_GRID_REFLECTION, 1}},
    {"linear,zeros,elements", {KILN_GRID_LINEAR, KILN_GRID_ZEROS, 0, 1}},
    {"cubic,reflection,elements", {KILN_GRID_CUBIC, KILN_GRID_REFLECTION, 0, 1}},
    {0},
};

static const struct check_attributes corners[] = {{"edges", {0}}, {"corners", {1}}, {0}};

static void grid_sample(struct check_graph *c)
{
    const int axes = c->one->sizes == 6 ? 2 : 3;
    const kiln_grid_params p = {.mode = (kiln_grid_mode)c->a[0],
                                .padding = (kiln_grid_padding)c->a[1],
                                .align_corners = c->a[2],
                                .elements = c->a[3]};
    kiln_shape grid = {.rank = axes + 2, .size = {c->n[0]}};

    for (int i = 0; i < axes; i++)
        grid.size[i + 1] = c->n[axes + 2 + i];
    grid.size[axes + 1] = axes;
    const kiln_tensor x = check_operand(c, kiln_shape_of(axes + 2, c->n));
    check_result(c, kiln_grid_sample(c->g, x, check_real_in(c, grid, -1.4, c->a[3] ? 6.5 : 1.4), &p));
}

static void affine_grid(struct check_graph *c)
{
    const int axes = c->one->sizes - 1;
    const kiln_tensor theta = check_operand(c, KILN_SHAPE(c->n[0], axes, axes + 1));
    check_result(c, kiln_affine_grid(c->g, theta, c->n + 1, c->a[0]));
}

const struct check_op check_grid[] = {
    {.name = "grid_sample", .types = CHECK_REALS, .shapes = shapes, .attributes = ways, .build = grid_sample},
    {.name = "affine_grid",
     .types = CHECK_REALS,
     .shapes = affine_shapes,
     .attributes = corners,
     .build = affine_grid},
    {0},
};
