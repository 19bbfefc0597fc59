/* cases_norm.c - mean and variance, and what normalizes by them. */
#include "check/families.h"

/* N, C, H, W */
static const struct check_shape shapes[] = {
    {"2x1x1x2", "four numbers a channel"},
    {"4x3x5x7", "primes"},
    {"8x17x16x16", "channels that lanes do not divide"},
    {"64x2x32x32", "sums long enough to be split"},
    {"3x65x2x2", "one channel past a tile"},
    {"130x4x1x1", "no pictures: columns"},
    {"2x1x1x1", "two numbers"},
    {"1x5x3x1000", "long rows"},
    {0},
};

/* a: the axes by bits */
static const struct check_attributes axes[] = {
    {"axes=0,2,3", {13}}, {"axes=0", {1}},   {"axes=1", {2}},        {"axes=3", {8}},
    {"axes=2,3", {12}},   {"axes=0,1", {3}}, {"axes=0,1,2,3", {15}}, {0},
};

static void moments(struct check_graph *c)
{
    kiln_axes over = {0};
    kiln_tensor variance, mean;

    for (int axis = 0; axis < 4; axis++)
        if (c->a[0] >> axis & 1)
            over.axis[over.count++] = axis;
    mean = kiln_moments(c->g, check_operand(c, check_shape_of(c)), over, &variance);
    check_result(c, mean);
    check_result(c, variance);
}

static void batch_norm(struct check_graph *c)
{
    check_result(c, kiln_nn_batch_norm(c->g, check_operand(c, check_shape_of(c)), NULL));
}

const struct check_op check_norm[] = {
    {.name = "moments",
     .types = CHECK_REALS,
     .shapes = shapes,
     .attributes = axes,
     .build = moments,
     .low = -2,
     .high = 5},
    {.name = "batch_norm", .types = CHECK_REALS, .shapes = shapes, .build = batch_norm, .low = -2, .high = 5},
    {0},
};
