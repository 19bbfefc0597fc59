/* cases_reduce.c - sums, means, extrema and where they are. */
#include <math.h>

#include "check/families.h"

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

/* What a formula starts from, what x does to it, and what is made of it in the end. */
static double begin(const struct check_case *one)
{
    const union check_call how = one->op->call;
    const bool real = kiln_type_is_real(one->type), natural = kiln_type_is_unsigned(one->type);
    const double values = ldexp(1, kiln_type_size(one->type) > 4 ? 32 : 8 * (int)kiln_type_size(one->type));
    const double infinity = INFINITY, most = natural ? values - 1 : values / 2 - 1,
                 least = natural ? 0 : -values / 2;

    if (how.reduce == kiln_reduce_max)
        return real ? -infinity : least;
    if (how.reduce == kiln_reduce_min)
        return real ? infinity : most;
    return how.reduce == kiln_product || how.reduce == kiln_all;
}

static double take(const struct check_case *one, double y, double x)
{
    const union check_call how = one->op->call;
    if (how.reduce == kiln_reduce_max || how.reduce == kiln_any)
        return fmax(y, x);
    if (how.reduce == kiln_reduce_min || how.reduce == kiln_all)
        return fmin(y, x);
    if (how.reduce == kiln_product)
        return y * x;
    if (how.reduce == kiln_reduce_l1)
        return y + fabs(x);
    if (how.reduce == kiln_sum_square || how.reduce == kiln_reduce_l2)
        return y + x * x;
    return y + (how.reduce == kiln_log_sum_exp ? exp(x) : x);
}

static double end(const struct check_case *one, double y, double count)
{
    const union check_call how = one->op->call;
    if (how.reduce == kiln_log_sum || how.reduce == kiln_log_sum_exp)
        return log(y);
    if (!kiln_type_is_real(one->type) && one->type != KILN_BOOL)
        return (double)check_wrapped((int64_t)y, one->type);
    return how.reduce == kiln_mean ? y / count : how.reduce == kiln_reduce_l2 ? sqrt(y) : y;
}

static void expect_reduce(const struct check_case *one, const struct check_values *v, double *y)
{
    const double *x = kiln_type_is_real(one->type) ? v->real[0] : v->whole[0];
    const int64_t *n = one->n, count = n[0] * n[1] * n[2];
    int64_t results = 1;

    for (int axis = 0; axis < 3; axis++)
        results *= one->a[0] >> axis & 1 ? 1 : n[axis];
    for (int64_t i = 0; i < results; i++)
        y[i] = begin(one);
    for (int64_t i = 0; i < count; i++) {
        double *to = y + result_of(one, (const int64_t[]){i / (n[1] * n[2]), i / n[2] % n[1], i % n[2]});
        *to = take(one, *to, x[i]);
    }
    for (int64_t i = 0; i < results; i++)
        y[i] = end(one, y[i], (double)count / (double)results);
}

#define REDUCE(op, types_) REDUCE_IN(op, types_, 0, 0)
#define REDUCE_IN(op, types_, low_, high_)                                                   \
    {                                                                                        \
        .name = #op, .types = types_, .shapes = shapes, .attributes = axes, .build = reduce, \
        .expect = expect_reduce, .call.reduce = kiln_##op, .low = low_, .high = high_        \
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

static void place(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, c->one->op->call.place(c->g, x, (int)c->a[0], c->a[1]));
}

/* The first of equals, or the last. */
static void expect_place(const struct check_case *one, const struct check_values *v, double *y)
{
    const union check_call how = one->op->call;
    const double *x = kiln_type_is_real(one->type) ? v->real[0] : v->whole[0];
    const bool least = how.place == kiln_argmin || how.place == kiln_argmin_last;
    const bool last = how.place == kiln_argmax_last || how.place == kiln_argmin_last;
    const int along = (int)(one->a[0] < 0 ? 2 : one->a[0]);
    int64_t inner = 1, outer = 1;

    for (int i = 0; i < 3; i++)
        *(i < along ? &outer : &inner) *= i == along ? 1 : one->n[i];
    for (int64_t r = 0; r < outer * inner; r++) {
        const double *row = x + r / inner * one->n[along] * inner + r % inner;
        int64_t best = 0;
        for (int64_t i = 1; i < one->n[along]; i++) {
            const double a = row[best * inner], b = row[i * inner];
            best = (least ? b < a : b > a) || (last && a == b) ? i : best;
        }
        y[r] = (double)best;
    }
}

#define PLACE(op, types_)                                                                         \
    {                                                                                             \
        .name = #op, .types = types_, .shapes = shapes, .attributes = axis, .fits = has_elements, \
        .build = place, .expect = expect_place, .call.place = kiln_##op                           \
    }

/* a: the axes by bits, the correction */
static const struct check_attributes estimates[] = {
    {"axes=2,biased", {4, 0}}, {"axes=0,1", {3, 1}}, {"axes=0,1,2", {7, 1}}, {0}};

/* More than one value each. */
static bool has_estimates(const struct check_case *one)
{
    double count = 1;
    for (int i = 0; i < 3; i++)
        count *= one->a[0] >> i & 1 ? (double)one->n[i] : 1;
    return count > 1;
}

static void estimate(struct check_graph *c)
{
    kiln_reduce_params how = {.keep = true};

    for (int i = 0; i < 3; i++)
        if (c->a[0] >> i & 1)
            how.axes.axis[how.axes.count++] = i;
    check_result(c,
                 c->one->op->call.estimate(c->g, check_operand(c, check_shape_of(c)), &how, (double)c->a[1]));
}

/* Enough shapes with estimates. */
static const struct check_shape estimated[] = {
    {"1x2x2", "few numbers"},     {"5x7x11", "primes"},          {"3x129x65", "one past a tile"},
    {"2x3x5003", "long rows"},    {"1000x2x3", "many rows"},     {"4x64x16", "whole vectors"},
    {"2x300x2", "one long axis"}, {"33x2x33", "parts to merge"}, {0},
};

#define ESTIMATE(op)                                                                     \
    {                                                                                    \
        .name = #op, .types = CHECK_REALS, .shapes = estimated, .attributes = estimates, \
        .fits = has_estimates, .build = estimate, .call.estimate = kiln_##op             \
    }

const struct check_op check_reduce[] = {
    REDUCE(sum, CHECK_NUMERIC),
    REDUCE(mean, CHECK_REALS),
    REDUCE_IN(product, CHECK_REALS, 0.98, 1.02),
    REDUCE_IN(product, CHECK_INTEGERS, 0, 2),
    REDUCE(reduce_l1, CHECK_NUMERIC),
    REDUCE(reduce_l2, CHECK_REALS),
    REDUCE(sum_square, CHECK_NUMERIC),
    REDUCE_IN(log_sum, CHECK_REALS, 0.1, 1),
    REDUCE(log_sum_exp, CHECK_REALS),
    REDUCE(reduce_max, CHECK_NUMERIC),
    REDUCE(reduce_min, CHECK_NUMERIC),
    REDUCE(any, CHECK_BOOL),
    REDUCE(all, CHECK_BOOL),
    PLACE(argmax, CHECK_NUMERIC),
    PLACE(argmin, CHECK_NUMERIC),
    PLACE(argmax_last, CHECK_NUMERIC),
    PLACE(argmin_last, CHECK_NUMERIC),
    ESTIMATE(variance),
    ESTIMATE(deviation),
    {0},
};
