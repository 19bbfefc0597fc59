/* cases_pool.c - the largest, the mean and the norm of windows over one to three axes, and unpooling. */
#include "check/families.h"

/* N, C, sizes */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "one number"},
    {"2x3x8x8", "halves"},
    {"2x3x11x7", "primes"},
    {"1x5x9x13", "primes"},
    {"1x2x7x7", "one large window"},
    {"3x65x4x4", "one channel past a tile"},
    {"1x1x65x129", "a large picture"},
    {"2x3x9x27", "thirteen threes at every second place"},
    {"0x2x8x8", "no pictures"},
    {"2x3x131", "one axis"},
    {"3x1x2", "one axis of two"},
    {"2x2x5x6x7", "three axes"},
    {"1x3x1x8x9", "three axes, the first of one"},
    {0},
};

/* a: window, stride, pad, dilation, ceil, count_pad, same */
static const struct check_attributes windows[] = {
    {"size=1", {1, 1, 0, 1}},
    {"size=2", {2, 2, 0, 1}},
    {"size=3,stride=2,pad=1", {3, 2, 1, 1}},
    {"size=4,stride=3,pad=2", {4, 3, 2, 1}},
    {"size=7", {7, 7, 0, 1}},
    {"size=5,stride=1,pad=2", {5, 1, 2, 1}},
    {"size=2,dilation=2", {2, 1, 0, 2}},
    {"size=3,stride=2,ceil", {3, 2, 0, 1, 1}},
    {"size=3,stride=2,pad=1,count_pad", {3, 2, 1, 1, 0, 1}},
    {"size=3,stride=2,same", {3, 2, 0, 1, 0, 0, KILN_SAME_UPPER}},
    {"size=4,stride=1,same_lower", {4, 1, 0, 1, 0, 0, KILN_SAME_LOWER}},
    {0},
};

/* a: of y along each axis */
static const struct check_attributes divided[] = {
    {"to=1", {1}}, {"to=2", {2}}, {"to=3", {3}}, {"to=7", {7}}, {0},
};

static const struct check_attributes powers[] = {{"power=1", {1}}, {"power=2", {2}}, {"power=3", {3}}, {0}};

static bool window_fits(const struct check_case *one)
{
    const int64_t span = one->a[3] * (one->a[0] - 1) + 1 - 2 * one->a[2];
    bool fits = true;

    for (int i = 2; i < one->sizes && fits; i++)
        fits = one->a[6] || one->n[i] >= span;
    return fits;
}

static kiln_pool_params params_of(const struct check_graph *c)
{
    kiln_pool_params p = {.ceil = c->a[4], .count_pad = c->a[5], .same = (kiln_same)c->a[6]};

    for (int i = 0; i < c->one->sizes - 2; i++) {
        p.size[i] = (int)c->a[0];
        p.stride[i] = (int)c->a[1];
        p.pad[i][0] = p.pad[i][1] = (int)c->a[2];
        p.dilation[i] = (int)c->a[3];
    }
    return p;
}

static kiln_tensor picture(struct check_graph *c)
{
    return check_operand(c, check_shape_of(c));
}

static void max_pool(struct check_graph *c)
{
    const kiln_pool_params p = params_of(c);
    check_result(c, kiln_max_pool(c->g, picture(c), &p));
}

static void max_pool_index(struct check_graph *c)
{
    kiln_pool_params p = params_of(c);
    kiln_tensor index;

    p.column_major = c->n[0] == 1;
    check_result(c, kiln_max_pool_index(c->g, picture(c), &p, &index));
    check_add(c, index);
}

static void average_pool(struct check_graph *c)
{
    const kiln_pool_params p = params_of(c);
    check_result(c, kiln_average_pool(c->g, picture(c), &p));
}

static void lp_pool(struct check_graph *c)
{
    const kiln_pool_params p = params_of(c);
    check_result(c, kiln_lp_pool(c->g, picture(c), 2, &p));
}

/* Back to the shape of what was pooled. */
static void max_unpool(struct check_graph *c)
{
    const kiln_pool_params p = params_of(c);
    kiln_tensor index;

    kiln_max_pool_index(c->g, picture(c), &p, &index);
    check_result(c, kiln_max_unpool(c->g, check_operand(c, kiln_tensor_shape(c->g, index)), index, &p,
                                    &c->n[2]));
}

static void adaptive_average_pool(struct check_graph *c)
{
    const int64_t size[] = {c->a[0], c->a[0], c->a[0]};
    check_result(c, kiln_adaptive_average_pool(c->g, picture(c), size));
}

static void adaptive_max_pool(struct check_graph *c)
{
    const int64_t size[] = {c->a[0], c->a[0], c->a[0]};
    kiln_tensor index;

    check_result(c, kiln_adaptive_max_pool(c->g, picture(c), size, &index));
    check_add(c, index);
}

static void global_pool(struct check_graph *c)
{
    check_result(c, c->one->op->call.unary(c->g, picture(c)));
}

static void global_lp_pool(struct check_graph *c)
{
    check_result(c, kiln_global_lp_pool(c->g, picture(c), (double)c->a[0]));
}

#define POOL(op, list, fit)                                                                               \
    {                                                                                                     \
        .name = #op, .types = CHECK_REALS, .shapes = shapes, .attributes = list, .fits = fit, .build = op \
    }
#define GLOBAL(op)                                                                                         \
    {                                                                                                      \
        .name = #op, .types = CHECK_REALS, .shapes = shapes, .build = global_pool, .call.unary = kiln_##op \
    }

const struct check_op check_pool[] = {
    POOL(max_pool, windows, window_fits),
    POOL(max_pool_index, windows, window_fits),
    POOL(average_pool, windows, window_fits),
    POOL(lp_pool, windows, window_fits),
    POOL(max_unpool, windows, window_fits),
    POOL(adaptive_average_pool, divided, NULL),
    POOL(adaptive_max_pool, divided, NULL),
    GLOBAL(global_average_pool),
    GLOBAL(global_max_pool),
    POOL(global_lp_pool, powers, NULL),
    {0},
};
