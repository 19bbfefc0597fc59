/* cases_gather.c - elements by their index. */
#include "check/families.h"

/* Outer, rows, inner; indices. */
static const struct check_shape shapes[] = {
    {"1x1x1,1", "one number"},
    {"3x7x5,19", "rows taken several times"},
    {"1x1000x3,50", "few rows of many"},
    {"2x5x1,300", "few rows, each taken often"},
    {"65x3x2,7", "many outer rows"},
    {"2x3x1000,4", "long rows"},
    {"4x16x64,16", "whole tiles"},
    {"2x3x5,0", "no index"},
    {0},
};

static void gather(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor index = check_whole(c, KILN_SHAPE(n[3]), (double)-n[1], (double)n[1]);

    check_result(c, kiln_gather(c->g, x, index, 1));
}

static void expect_gather(const struct check_case *one, const struct check_values *v, double *y)
{
    const bool real = kiln_type_is_real(one->type);
    const double *x = real ? v->real[0] : v->whole[0], *index = v->whole[real ? 0 : 1];
    const int64_t *n = one->n;

    for (int64_t i = 0; i < n[0]; i++)
        for (int64_t j = 0; j < n[3]; j++)
            for (int64_t k = 0; k < n[2]; k++) {
                const int64_t row = (int64_t)index[j] + (index[j] < 0 ? n[1] : 0);
                y[(i * n[3] + j) * n[2] + k] = x[(i * n[1] + row) * n[2] + k];
            }
}

/* a: the depth */
static const struct check_attributes depths[] = {
    {"depth=1", {1}}, {"depth=10", {10}}, {"depth=257", {257}}, {0}};

static void one_hot(struct check_graph *c)
{
    const double depth = (double)c->a[0];
    check_result(c, kiln_one_hot(c->g, check_operand_in(c, check_shape_of(c), -1, depth + 1), c->a[0]));
}

const struct check_op check_gather[] = {
    {.name = "gather", .types = CHECK_ANY, .shapes = shapes, .build = gather, .expect = expect_gather},
    {.name = "one_hot",
     .types = CHECK_I32 | CHECK_I64,
     .shapes = check_shapes,
     .attributes = depths,
     .build = one_hot},
    {0},
};
