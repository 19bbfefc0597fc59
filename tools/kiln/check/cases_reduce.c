/* cases_reduce.c - sums, means, extrema and where they are. */
#include <math.h>

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
    {"257x3x9", "one past a block"},
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

/* The element of the result that x[i, j, k] belongs to. */
static size_t result_of(const struct check_case *one, const int64_t at[3])
{
    size_t to = 0;

    for (int axis = 0; axis < 3; axis++)
        if (!(one->a[0] >> axis & 1))
            to = to * (size_t)one->n[axis] + (size_t)at[axis];
    return to;
}

/* Of nothing: sum 0, mean NaN, extrema the farthest of the type. */
static void expect_reduce(const struct check_case *one, const struct check_values *v, double *y)
{
    const union check_call how = one->op->call;
    const bool most = how.reduce == kiln_reduce_max, extreme = most || how.reduce == kiln_reduce_min;
    const bool real = kiln_type_is_real(one->type);
    const double *x = real ? v->real[0] : v->whole[0];
    const double farthest = real ? INFINITY : most ? -(double)INT32_MIN : INT32_MAX;
    const int64_t *n = one->n, count = n[0] * n[1] * n[2];
    int64_t results = 1;

    for (int axis = 0; axis < 3; axis++)
        results *= one->a[0] >> axis & 1 ? 1 : n[axis];
    for (int64_t i = 0; i < results; i++)
        y[i] = !extreme ? 0 : most ? -farthest : farthest;
    for (int64_t i = 0; i < count; i++) {
        double *to = y + result_of(one, (const int64_t[]){i / (n[1] * n[2]), i / n[2] % n[1], i % n[2]});
        *to = !extreme ? *to + x[i] : most ? fmax(*to, x[i]) : fmin(*to, x[i]);
    }
    for (int64_t i = 0; i < results && how.reduce == kiln_mean; i++)
        y[i] /= (double)count / (double)results;
}

#define REDUCE(op, types_)                                                                   \
    {                                                                                        \
        .name = #op, .types = types_, .shapes = shapes, .attributes = axes, .build = reduce, \
        .expect = expect_reduce, .call.reduce = kiln_##op                                    \
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

/* The first of equals. */
static void expect_argmax(const struct check_case *one, const struct check_values *v, double *y)
{
    const double *x = kiln_type_is_real(one->type) ? v->real[0] : v->whole[0];
    const int along = (int)(one->a[0] < 0 ? 2 : one->a[0]);
    int64_t inner = 1, outer = 1;

    for (int i = 0; i < 3; i++)
        *(i < along ? &outer : &inner) *= i == along ? 1 : one->n[i];
    for (int64_t r = 0; r < outer * inner; r++) {
        const double *row = x + r / inner * one->n[along] * inner + r % inner;
        int64_t best = 0;
        for (int64_t i = 1; i < one->n[along]; i++)
            best = row[i * inner] > row[best * inner] ? i : best;
        y[r] = (double)best;
    }
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
     .build = argmax,
     .expect = expect_argmax},
    {0},
};
