/* cases_scatter.c - slices read and written at places that an index names, in each of its ways, and caches. */
#include "check/families.h"

/* Outer, rows, inner; indices. */
static const struct check_shape shapes[] = {
    {"1x1x1,1", "one number"},
    {"3x7x5,19", "rows taken several times"},
    {"1x1000x3,50", "few rows of many"},
    {"2x5x1,300", "a list that is sorted, to few places"},
    {"65x3x2,7", "many slabs"},
    {"2x3x130,4", "wide rows"},
    {"1x40x3,2500", "a long list with long runs"},
    {"4x16x64,16", "whole tiles"},
    {"1x9x300,150", "wide rows of a long list"},
    {"2x3x5,0", "no index"},
    {0},
};

/* No more indices than rows. */
static const struct check_shape once[] = {
    {"1x1x1,1", "one number"},        {"3x7x5,6", "primes"},      {"1x1000x3,50", "few rows of many"},
    {"65x3x2,3", "many slabs"},       {"2x3x130,2", "wide rows"}, {"4x16x64,16", "whole tiles"},
    {"1x3001x1,2999", "a long list"}, {"2x3x5,0", "no index"},    {0},
};

/* a: the kind */
static const struct check_attributes kinds[] = {
    {"set", {KILN_SCATTER_SET}}, {"add", {KILN_SCATTER_ADD}}, {"mul", {KILN_SCATTER_MUL}},
    {"min", {KILN_SCATTER_MIN}}, {"max", {KILN_SCATTER_MAX}}, {0},
};

/* Reals near 1, so that products of many stay numbers. */
static kiln_tensor operand(struct check_graph *c, kiln_shape shape)
{
    const bool factors = c->a[0] == KILN_SCATTER_MUL && kiln_type_is_real(c->type);
    return factors ? check_operand_in(c, shape, 0.9, 1.1) : check_operand(c, shape);
}

static kiln_scatter_params kind_of(const struct check_graph *c)
{
    return (kiln_scatter_params){.kind = (kiln_scatter_kind)c->a[0]};
}

/* Truth values can only be set. */
static bool has_kind(const struct check_case *one)
{
    return one->type != KILN_BOOL || one->a[0] == KILN_SCATTER_SET;
}

static void scatter(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_scatter_params p = kind_of(c);
    const kiln_tensor x = operand(c, KILN_SHAPE(n[0], n[1], n[2])),
                      u = operand(c, KILN_SHAPE(n[0], n[3], n[2]));
    const kiln_tensor index = check_whole(c, KILN_SHAPE(n[3]), (double)-n[1], (double)n[1]);
    check_result(c, kiln_scatter(c->g, x, index, u, 1, &p));
}

static void scatter_elements(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_scatter_params p = kind_of(c);
    const kiln_shape updates = KILN_SHAPE(n[0], n[3], n[2]);
    const kiln_tensor x = operand(c, KILN_SHAPE(n[0], n[1], n[2])), u = operand(c, updates);
    const kiln_tensor index = check_whole(c, updates, (double)-n[1], (double)n[1]);
    check_result(c, kiln_scatter_elements(c->g, x, index, u, 1, &p));
}

/* Pairs that name rows of [outer, rows, inner]. */
static kiln_tensor pairs(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor first = check_whole(c, KILN_SHAPE(n[3], 1), (double)-n[0], (double)n[0]);
    const kiln_tensor second = check_whole(c, KILN_SHAPE(n[3], 1), (double)-n[1], (double)n[1]);
    return kiln_concat(c->g, (const kiln_tensor[]){first, second}, 2, 1);
}

static void scatter_nd(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_scatter_params p = kind_of(c);
    const kiln_tensor x = operand(c, KILN_SHAPE(n[0], n[1], n[2])), u = operand(c, KILN_SHAPE(n[3], n[2]));
    check_result(c, kiln_scatter_nd(c->g, x, pairs(c), u, &p));
}

/* A stride that has no common divisor with the rows names each once. */
static void scatter_distinct(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_scatter_params p = {.kind = (kiln_scatter_kind)c->a[0], .distinct = true};
    const kiln_tensor x = operand(c, KILN_SHAPE(n[0], n[1], n[2])),
                      u = operand(c, KILN_SHAPE(n[0], n[3], n[2]));
    const kiln_tensor place = kiln_sequence(c->g, KILN_I32, 0, n[1] % 7 ? 7 : 1, n[3]);
    const kiln_tensor index = kiln_mod(c->g, place, kiln_scalar(c->g, KILN_I32, (double)n[1]));
    check_result(c, kiln_scatter(c->g, x, index, u, 1, &p));
}

static bool has_rows(const struct check_case *one)
{
    return one->n[3] <= one->n[1] && has_kind(one);
}

/* No attributes: c->a is 0, as for a set. */
static void gather_elements(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor index = check_whole(c, KILN_SHAPE(n[0], n[3], n[2]), (double)-n[1], (double)n[1]);
    check_result(c, kiln_gather_elements(c->g, x, index, 1));
}

static void gather_nd(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(n[0], n[1], n[2]));
    check_result(c, kiln_gather_nd(c->g, x, pairs(c), 0));
}

static void gather_batched(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor index = check_whole(c, KILN_SHAPE(n[0], n[3]), (double)-n[1], (double)n[1]);
    check_result(c, kiln_gather_batched(c->g, x, index, 1, 1));
}

/* Batch, heads, room, width; steps. */
static const struct check_shape caches[] = {
    {"1x1x1x1,1", "one number"},     {"2x3x7x5,2", "primes"},       {"1x4x64x64,1", "one step"},
    {"3x1x33x8,33", "all of it"},    {"2x2x5x3,0", "no step"},      {"65x1x4x2,3", "many sequences"},
    {"2x2x300x4,100", "many steps"}, {"2x2x8x130,3", "wide steps"}, {0},
};

/* a: circular */
static const struct check_attributes ends[] = {{"to_the_end", {0}}, {"circular", {1}}, {0}};

static void tensor_scatter(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor cache = check_operand(c, KILN_SHAPE(n[0], n[1], n[2], n[3]));
    const kiln_tensor steps = check_operand(c, KILN_SHAPE(n[0], n[1], n[4], n[3]));
    const kiln_tensor at = check_whole(c, KILN_SHAPE(n[0]), 0, (double)n[2]);
    check_result(c, kiln_tensor_scatter(c->g, cache, steps, at, 2, c->a[0]));
}

/* Values; bins. */
static const struct check_shape counted[] = {
    {"1,1", "one number"},   {"7x13,5", "primes"},        {"3x1000,257", "many bins"},
    {"5000,3", "long runs"}, {"65x17,64", "whole block"}, {"1000,1", "one bin"},
    {"0x5,4", "empty"},      {"257,1000", "empty bins"},  {0},
};

static kiln_shape values_shape(const struct check_graph *c)
{
    return kiln_shape_of(c->one->sizes - 1, c->n);
}

static void bincount(struct check_graph *c)
{
    const double bins = (double)c->n[c->one->sizes - 1];
    const kiln_tensor index = check_operand_in(c, values_shape(c), -1, bins + 1);
    check_result(c, kiln_bincount(c->g, index, KILN_NONE, (int64_t)bins));
}

static void expect_bincount(const struct check_case *one, const struct check_values *v, double *y)
{
    const int64_t bins = one->n[one->sizes - 1];
    int64_t count = 1;

    for (int i = 0; i < one->sizes - 1; i++)
        count *= one->n[i];
    for (int64_t i = 0; i < bins; i++)
        y[i] = 0;
    for (int64_t i = 0; i < count; i++)
        if (v->whole[0][i] >= 0 && v->whole[0][i] < (double)bins)
            y[(int64_t)v->whole[0][i]]++;
}

static void histogram(struct check_graph *c)
{
    check_result(c, kiln_histogram(c->g, check_operand(c, values_shape(c)), -0.75, 0.75,
                                   c->n[c->one->sizes - 1]));
}

const struct check_op check_scatter[] = {
    {.name = "gather_elements", .types = CHECK_ANY, .shapes = shapes, .build = gather_elements},
    {.name = "gather_nd", .types = CHECK_ANY, .shapes = shapes, .build = gather_nd},
    {.name = "gather_batched", .types = CHECK_ANY, .shapes = shapes, .build = gather_batched},
    {.name = "scatter",
     .types = CHECK_ANY,
     .shapes = shapes,
     .attributes = kinds,
     .fits = has_kind,
     .build = scatter},
    {.name = "scatter_elements",
     .types = CHECK_ANY,
     .shapes = shapes,
     .attributes = kinds,
     .fits = has_kind,
     .build = scatter_elements},
    {.name = "scatter_nd",
     .types = CHECK_ANY,
     .shapes = shapes,
     .attributes = kinds,
     .fits = has_kind,
     .build = scatter_nd},
    {.name = "scatter_distinct",
     .types = CHECK_ANY,
     .shapes = once,
     .attributes = kinds,
     .fits = has_rows,
     .build = scatter_distinct},
    {.name = "tensor_scatter",
     .types = CHECK_ANY,
     .shapes = caches,
     .attributes = ends,
     .build = tensor_scatter},
    {.name = "bincount",
     .types = CHECK_I32 | CHECK_I64,
     .shapes = counted,
     .build = bincount,
     .expect = expect_bincount},
    {.name = "histogram", .types = CHECK_REALS, .shapes = counted, .build = histogram},
    {0},
};
