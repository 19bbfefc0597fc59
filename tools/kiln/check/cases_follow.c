/* cases_follow.c - what takes its size from another value, and which of two a mode takes. */
#include "check/families.h"

/* Three axes; a: which of them x has one of, by bits. */
static const struct check_shape shapes[] = {
    {"1x1x1", "one number"},
    {"5x7x11", "primes"},
    {"0x3x2", "empty"},
    {"33x4x65", "one past a tile"},
    {"2x2x513", "long rows"},
    {"1000x1x3", "many rows"},
    {"4x8x16", "whole vectors"},
    {"1x257x1", "one past a block"},
    {0},
};
static const struct check_attributes axes[] = {{"axes=0", {1}}, {"axes=1,2", {6}}, {"axes=0,1,2", {7}}, {0}};

static kiln_shape less_shape(const struct check_graph *c)
{
    kiln_shape shape = check_shape_of(c);
    for (int axis = 0; axis < 3; axis++)
        if (c->a[0] >> axis & 1)
            shape.size[axis] = 1;
    return shape;
}

static void sum_to(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_sum_to(c->g, x, check_operand(c, less_shape(c))));
}

/* Of reals in any order, of integers what is left of the sum. */
static void expect_sum_to(const struct check_case *one, const struct check_values *v, double *y)
{
    const bool real = kiln_type_is_real(one->type);
    const double *x = real ? v->real[0] : v->whole[0];
    const int64_t *n = one->n, less = one->a[0];
    const int64_t sizes[] = {less & 1 ? 1 : n[0], less & 2 ? 1 : n[1], less & 4 ? 1 : n[2]};

    for (int64_t i = 0; i < sizes[0] * sizes[1] * sizes[2]; i++)
        y[i] = 0;
    for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++) {
        const int64_t at[] = {i / (n[1] * n[2]) % sizes[0], i / n[2] % n[1] % sizes[1], i % n[2] % sizes[2]};
        double *to = &y[(at[0] * sizes[1] + at[1]) * sizes[2] + at[2]];
        *to = real ? *to + x[i] : (double)check_wrapped((int64_t)(*to + x[i]), one->type);
    }
}

static void expand_to(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, less_shape(c));
    check_result(c, kiln_expand_to(c->g, x, check_operand(c, check_shape_of(c))));
}

/* Behind a transpose, so that there is something to move. */
static void reshape_to(struct check_graph *c)
{
    const kiln_tensor x = kiln_transpose(c->g, check_operand(c, check_shape_of(c)), (const int[]){0, 2, 1});
    check_result(c, kiln_reshape_to(c->g, x, check_operand(c, check_shape_of(c))));
}

/* Added to x, since the number alone is known while compiling. */
static void count_of(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    kiln_axes over = {0};
    for (int axis = 0; axis < 3; axis++)
        if (c->a[0] >> axis & 1)
            over.axis[over.count++] = axis;
    check_result(c, kiln_add(c->g, kiln_cast(c->g, x, KILN_F32), kiln_count_of(c->g, x, over)));
}

/* Likewise: x, 2 x + 1. */
static void ones_like(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_add(c->g, kiln_add(c->g, x, x), kiln_ones_like(c->g, x)));
}

static void zeros_like(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_max(c->g, x, kiln_zeros_like(c->g, x)));
}

/* Cases are programs that train. */
static void by_mode(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)), y = check_operand(c, check_shape_of(c));
    check_result(c, kiln_by_mode(c->g, kiln_mul(c->g, x, y), y));
}

/* The gradient is that of the second factor alone, which differences do not see. */
static void stop_gradient(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)), y = check_operand(c, check_shape_of(c));
    const kiln_tensor product = kiln_mul(c->g, kiln_stop_gradient(c->g, x), y);
    check_add(c, product);
    if (kiln_type_is_real(c->type))
        check_add(c, kiln_sum(c->g, kiln_mul(c->g, product, y), NULL));
}

#define FOLLOW(op, types_, attributes_)                                                        \
    {                                                                                          \
        .name = #op, .types = types_, .shapes = shapes, .attributes = attributes_, .build = op \
    }

const struct check_op check_follow[] = {
    {.name = "sum_to",
     .types = CHECK_NUMERIC,
     .shapes = shapes,
     .attributes = axes,
     .build = sum_to,
     .expect = expect_sum_to},
    FOLLOW(expand_to, CHECK_ANY, axes),
    FOLLOW(reshape_to, CHECK_ANY, NULL),
    FOLLOW(count_of, CHECK_ANY, axes),
    FOLLOW(ones_like, CHECK_NUMERIC, NULL),
    FOLLOW(zeros_like, CHECK_NUMERIC, NULL),
    FOLLOW(by_mode, CHECK_NUMERIC, NULL),
    FOLLOW(stop_gradient, CHECK_NUMERIC, NULL),
    {0},
};
