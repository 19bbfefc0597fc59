/* cases_layout.c - what moves elements and computes nothing. */
#include "check/families.h"

/* Three axes. */
static const struct check_shape shapes[] = {
    {"1x1x1", "one number"},   {"5x7x11", "primes"},      {"33x65x17", "one past a tile"},
    {"2x3x1000", "long rows"}, {"1000x3x2", "many rows"}, {"4x8x16", "whole vectors"},
    {"1x64x1", "axes of one"}, {"0x3x5", "empty"},        {0},
};

static kiln_tensor operand(struct check_graph *c)
{
    return check_operand(c, check_shape_of(c));
}

/* a: the order */
static const struct check_attributes orders[] = {
    {"order=0,2,1", {0, 2, 1}}, {"order=1,0,2", {1, 0, 2}}, {"order=2,1,0", {2, 1, 0}},
    {"order=1,2,0", {1, 2, 0}}, {"order=2,0,1", {2, 0, 1}}, {0},
};

static void transpose(struct check_graph *c)
{
    const int order[] = {(int)c->a[0], (int)c->a[1], (int)c->a[2]};
    check_result(c, kiln_transpose(c->g, operand(c), order));
}

/* a: the axis, the first element in sixteenths of the size (-1: the last), the step */
static const struct check_attributes parts[] = {
    {"axis=0,step=2", {0, 5, 2}},
    {"axis=1,step=2", {1, 5, 2}},
    {"axis=2,step=2", {2, 5, 2}},
    {"axis=1,step=1", {1, 3, 1}},
    {"axis=2,step=-1", {2, -1, -1}},
    {"axis=0,step=-3", {0, -1, -3}},
    {0},
};

static void slice(struct check_graph *c)
{
    const int64_t size = c->n[c->a[0]], first = c->a[1] < 0 ? size - 1 : size * c->a[1] / 16;
    check_result(c, kiln_slice(c->g, operand(c), (int)c->a[0], first, KILN_END, c->a[2]));
}

static bool has_axis(const struct check_case *one)
{
    return one->n[one->a[0]] > 0;
}

/* a: before and after the three axes */
static const struct check_attributes pads[] = {
    {"rows", {0, 0, 0, 0, 2, 1}}, {"all", {1, 0, 2, 0, 3, 1}}, {"none", {0}}, {"front", {2, 0, 0}}, {0},
};

static void pad(struct check_graph *c)
{
    check_result(c, kiln_pad(c->g, operand(c), &c->a[0], &c->a[3], c->type == KILN_F32 ? 0.5 : 1));
}

static const struct check_attributes three_axes[] = {{"axis=0", {0}}, {"axis=1", {1}}, {"axis=2", {2}}, {0}};

/* One operand twice, and one of another size between. */
static void concat(struct check_graph *c)
{
    kiln_shape other = check_shape_of(c);
    kiln_tensor x[3];

    other.size[c->a[0]] = 3;
    x[0] = x[2] = operand(c);
    x[1] = check_operand(c, other);
    check_result(c, kiln_concat(c->g, x, 3, (int)c->a[0]));
}

static void expand(struct check_graph *c)
{
    kiln_shape shape = check_shape_of(c);
    const int axis = (int)c->a[0];

    shape.size[axis] = 1;
    const kiln_tensor x = check_operand(c, shape);
    check_result(c, kiln_expand(c->g, x, check_shape_of(c)));
}

/* Views: after a transpose, so that there is something to move. */
static kiln_tensor turned(struct check_graph *c)
{
    return kiln_transpose(c->g, operand(c), (const int[]){0, 2, 1});
}

static void flatten(struct check_graph *c)
{
    check_result(c, kiln_flatten(c->g, turned(c), (int)c->a[0]));
}

static void reshape(struct check_graph *c)
{
    check_result(c, kiln_reshape(c->g, turned(c), KILN_SHAPE(KILN_REST, 1)));
}

static void unsqueeze(struct check_graph *c)
{
    check_result(c, kiln_unsqueeze(c->g, turned(c), (int)c->a[0]));
}

static void squeeze(struct check_graph *c)
{
    check_result(c, kiln_squeeze(c->g, kiln_unsqueeze(c->g, turned(c), (int)c->a[0]), (int)c->a[0]));
}

#define MOVE(op) .name = #op, .types = CHECK_ANY, .shapes = shapes, .build = op

const struct check_op check_layout[] = {
    {MOVE(transpose), .attributes = orders},
    {MOVE(slice), .attributes = parts, .fits = has_axis},
    {MOVE(pad), .attributes = pads},
    {MOVE(concat), .attributes = three_axes},
    {MOVE(expand), .attributes = three_axes},
    {MOVE(flatten), .attributes = three_axes},
    {MOVE(reshape)},
    {MOVE(unsqueeze), .attributes = three_axes},
    {MOVE(squeeze), .attributes = three_axes},
    {0},
};
