/* cases_cumulative.c - what accumulates along an axis. */
#include <math.h>

#include "check/families.h"

/* Three axes, the middle one cumulated. */
static const struct check_shape shapes[] = {
    {"1x1x1", "one number"},
    {"5x7x3", "primes"},
    {"2x32x1", "a lane a row"},
    {"3x33x1", "one past a lane a row"},
    {"2x130x20", "rows side by side"},
    {"1x513x1", "one past a block of a workgroup"},
    {"2x8193x1", "one past a whole row: parts"},
    {"200x4x1", "many rows"},
    {"3x0x2", "empty"},
    {0},
};

/* a: exclusive, reverse */
static const struct check_attributes ways[] = {
    {"forth", {0, 0}}, {"exclusive", {1, 0}}, {"reverse", {0, 1}}, {"exclusive,reverse", {1, 1}}, {0},
};

static kiln_cumulative_params how(const struct check_graph *c)
{
    return (kiln_cumulative_params){.exclusive = c->a[0], .reverse = c->a[1]};
}

static void cumsum(struct check_graph *c)
{
    const kiln_cumulative_params p = how(c);
    check_result(c, kiln_cumsum(c->g, check_operand(c, check_shape_of(c)), 1, &p));
}

typedef int64_t combine_fn(int64_t a, int64_t b);

static int64_t plus(int64_t a, int64_t b)
{
    return a + b;
}

static int64_t times(int64_t a, int64_t b)
{
    return a * b;
}

/* Integers, element by element. */
static void expect_integers(const struct check_case *one, const struct check_values *v, double *y,
                            combine_fn *combine, int64_t nothing)
{
    const int64_t *n = one->n;
    for (int64_t r = 0; r < n[0] * n[2]; r++) {
        int64_t state = nothing;
        for (int64_t t = 0; t < n[1]; t++) {
            const int64_t at = (r / n[2] * n[1] + (one->a[1] ? n[1] - 1 - t : t)) * n[2] + r % n[2];
            const int64_t next = check_wrapped(combine(state, (int64_t)v->whole[0][at]), one->type);
            y[at] = (double)(one->a[0] ? state : next);
            state = next;
        }
    }
}

/* Of any type; of nothing, the farthest number that it is computed with. */
static void expect_extreme(const struct check_case *one, const struct check_values *v, double *y, bool most)
{
    const int64_t *n = one->n;
    const bool real = kiln_type_is_real(one->type), natural = kiln_type_is_unsigned(one->type);
    const double *x = real ? v->real[0] : v->whole[0];
    const double values = ldexp(1, one->type == KILN_I64 ? 32 : 8 * (int)kiln_type_size(one->type));
    const double least = real ? -INFINITY : natural ? 0 : -values / 2;
    const double largest = real ? INFINITY : natural ? values - 1 : values / 2 - 1;
    for (int64_t r = 0; r < n[0] * n[2]; r++) {
        double state = most ? least : largest;
        for (int64_t t = 0; t < n[1]; t++) {
            const int64_t at = (r / n[2] * n[1] + (one->a[1] ? n[1] - 1 - t : t)) * n[2] + r % n[2];
            const double next = most ? fmax(state, x[at]) : fmin(state, x[at]);
            y[at] = one->a[0] ? state : next;
            state = next;
        }
    }
}

static void expect_sum(const struct check_case *one, const struct check_values *v, double *y)
{
    expect_integers(one, v, y, plus, 0);
}

static void expect_product(const struct check_case *one, const struct check_values *v, double *y)
{
    expect_integers(one, v, y, times, 1);
}

static void expect_most(const struct check_case *one, const struct check_values *v, double *y)
{
    expect_extreme(one, v, y, true);
}

static void expect_least(const struct check_case *one, const struct check_values *v, double *y)
{
    expect_extreme(one, v, y, false);
}

/* Factors near 1, so that products of many stay numbers. */
static void cumprod(struct check_graph *c)
{
    const kiln_cumulative_params p = how(c);
    const bool real = kiln_type_is_real(c->type);
    const kiln_tensor x =
        real ? check_operand_in(c, check_shape_of(c), 0.98, 1.02) : check_operand(c, check_shape_of(c));
    check_result(c, kiln_cumprod(c->g, x, 1, &p));
}

typedef kiln_tensor extreme_fn(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params,
                               kiln_tensor *index);

/* Of what is exclusive there is no gradient, and no index of nothing. */
static void extreme(struct check_graph *c, extreme_fn *fn)
{
    const kiln_cumulative_params p = how(c);
    kiln_tensor index;
    const kiln_tensor y = fn(c->g, check_operand(c, check_shape_of(c)), 1, &p, &index);
    if (p.exclusive) {
        check_add(c, y);
        return;
    }
    check_result(c, y);
    check_add(c, index);
}

static void cummax(struct check_graph *c)
{
    extreme(c, kiln_cummax);
}

static void cummin(struct check_graph *c)
{
    extreme(c, kiln_cummin);
}

/* a: reverse */
static const struct check_attributes directions[] = {{"forth", {0}}, {"reverse", {1}}, {0}};

static void linear_scan(struct check_graph *c)
{
    const kiln_tensor a = check_operand(c, check_shape_of(c)), x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_linear_scan(c->g, a, x, 1, c->a[0]));
}

const struct check_op check_cumulative[] = {
    {.name = "cumsum", .types = CHECK_REALS, .shapes = shapes, .attributes = ways, .build = cumsum},
    {.name = "cumsum",
     .types = CHECK_INTEGERS,
     .shapes = shapes,
     .attributes = ways,
     .build = cumsum,
     .expect = expect_sum},
    {.name = "cumprod", .types = CHECK_REALS, .shapes = shapes, .attributes = ways, .build = cumprod},
    {.name = "cumprod",
     .types = CHECK_INTEGERS,
     .shapes = shapes,
     .attributes = ways,
     .build = cumprod,
     .expect = expect_product},
    {.name = "cummax",
     .types = CHECK_REALS | CHECK_INTEGERS,
     .shapes = shapes,
     .attributes = ways,
     .build = cummax,
     .expect = expect_most},
    {.name = "cummin",
     .types = CHECK_REALS | CHECK_INTEGERS,
     .shapes = shapes,
     .attributes = ways,
     .build = cummin,
     .expect = expect_least},
    {.name = "linear_scan",
     .types = CHECK_REALS,
     .shapes = shapes,
     .attributes = directions,
     .build = linear_scan},
    {0},
};
