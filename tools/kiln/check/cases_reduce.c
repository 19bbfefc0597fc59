/* cases_reduce.c - sums, means, extrema and where they are. */
#include "check/families.h"

#define INTEGERS (CHECK_I32 | CHECK_I64)

/* Three axes. */
static const struct check_shape shapes[] = {
    {"1x1x1", "one number"},
    {"5x7x11", "primes"},
    {"3x129x65", "one past a tile"},
    {"2x3x5003", "rows long enough to be split"},
    {"1000x2x3", "many rows"},
    {"4x64x16", "whole vectors"},
    {"1x300x1", "one axis"},
    {"2x0x3", "empty"},
    {0},
};

/* a: the axes by bits */
static const struct check_attributes axes[] = {
    {"axes=2", {4}},
    {"axes=0", {1}},
    {"axes=1", {2}},
    {"axes=0,2", {5}},
    {"axes=1,2", {6}},
    {"axes=0,1,2", {7}},
    {0},
};

static void reduce(struct check_graph *c)
{
    kiln_reduce_params how = {0};

    for (int axis = 0; axis < 3; axis++)
        if (c->a[0] >> axis & 1)
            how.axes.axis[how.axes.count++] = axis;
    check_result(c, c->one->op->call.reduce(c->g, check_operand(c, check_shape_of(c)), &how));
}

#define REDUCE(op, types_)                                                                   \
    {                                                                                        \
        .name = #op, .types = types_, .shapes = shapes, .attributes = axes, .build = reduce, \
        .call.reduce = kiln_##op                                                             \
    }

/* a: the axis, kept */
static const struct check_attributes axis[] = {
    {"axis=0", {0}}, {"axis=1", {1}}, {"axis=-1", {-1}}, {"axis=1,keep", {1, 1}}, {0},
};

/* There is no index in an empty row. */
static bool has_elements(const struct check_case *one)
{
    return one->n[0] * one->n[1] * one->n[2] > 0;
}

static void argmax(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_argmax(c->g, x, (int)c->a[0], c->a[1]));
}

const struct check_op check_reduce[] = {
    REDUCE(sum, CHECK_REALS | INTEGERS),
    REDUCE(mean, CHECK_REALS),
    REDUCE(reduce_max, CHECK_REALS | INTEGERS),
    REDUCE(reduce_min, CHECK_REALS | INTEGERS),
    {.name = "argmax",
     .types = CHECK_REALS | INTEGERS,
     .shapes = shapes,
     .attributes = axis,
     .fits = has_elements,
     .build = argmax},
    {0},
};
