/* cases_select.c - what the data chooses: non-zero, compress, masked select, unique, and axes of sizes that depend on data. */
#include "check/families.h"

/* What was chosen, and what flows back from it: gradients need a size that is known. */
static void chosen(struct check_graph *c, kiln_tensor y, int axis)
{
    check_add(c, y);
    if (kiln_type_is_real(kiln_tensor_type(c->g, y)))
        check_result(c, kiln_whole(c->g, y, axis, 0));
}

/* a: at most so many; 0: all */
static const struct check_attributes bounds[] = {{"all", {0}}, {"bound=3", {3}}, {0}};

/* Whole numbers that are often 0. */
static void non_zero(struct check_graph *c)
{
    const kiln_tensor x = kiln_cast(c->g, check_whole(c, check_shape_of(c), 0, 3), c->type);
    kiln_tensor count;
    check_add(c, kiln_non_zero(c->g, x, c->a[0], &count));
    check_add(c, count);
}

static void masked_select(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    chosen(c, kiln_masked_select(c->g, x, check_truth(c, check_shape_of(c))), 0);
}

/* a: the axis, of two */
static const struct check_shape tables[] = {
    {"1x1", "one number"},    {"7x13", "primes"},           {"0x5", "no row"},
    {"5x0", "no column"},     {"257x2", "many rows"},       {"3x1000", "long rows"},
    {"64x64", "whole tiles"}, {"65x17", "one past a tile"}, {0},
};
static const struct check_attributes axes[] = {{"axis=0", {0}}, {"axis=1", {1}}, {0}};

static void compress(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    chosen(c, kiln_compress(c->g, x, check_truth(c, KILN_SHAPE(c->n[c->a[0]])), (int)c->a[0]), (int)c->a[0]);
}

/* a: by appearance */
static const struct check_attributes orders[] = {{"sorted", {0}}, {"by_appearance", {1}}, {0}};

static const struct check_shape elements[] = {
    {"1", "one number"},
    {"7x13", "primes"},
    {"0x5", "empty"},
    {"257", "one past a block"},
    {"3x1000", "long"},
    {"2x3x5x7", "axes"},
    {"64", "whole block"},
    {"5003", "longer than a workgroup's"},
    {0},
};

static void unique_parts(struct check_graph *c, kiln_tensor x, const kiln_unique_params *p)
{
    kiln_unique_parts parts;
    chosen(c, kiln_unique(c->g, x, p, &parts), 0);
    check_add(c, parts.first);
    check_add(c, parts.inverse);
    check_add(c, parts.counts);
}

static void unique(struct check_graph *c)
{
    unique_parts(c, check_operand(c, check_shape_of(c)), &(kiln_unique_params){.by_appearance = c->a[0]});
}

/* Rows of few elements. */
static const struct check_shape rows[] = {
    {"1x1", "one number"},
    {"7x2", "primes"},
    {"0x3", "no row"},
    {"257x1", "one column"},
    {"1000x2", "many rows"},
    {"64x4", "whole rows"},
    {"33x7", "wide rows"},
    {"2100x1", "longer than a workgroup's"},
    {0},
};

static void unique_rows(struct check_graph *c)
{
    const kiln_tensor x = kiln_cast(c->g, check_whole(c, check_shape_of(c), 0, 3), c->type);
    unique_parts(c, x, &(kiln_unique_params){.along = true, .by_appearance = c->a[0]});
}

/* How many are there, in a mean, a softmax and a sort. */
static void first(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    const kiln_tensor count = check_whole(c, KILN_SCALAR, 0, (double)c->n[0] + 1);
    const kiln_tensor some = kiln_first(c->g, x, count, 0);
    check_result(c, kiln_whole(c->g, kiln_softmax(c->g, some, 0), 0, 0));
    check_result(c, kiln_whole(c->g, kiln_sort(c->g, some, 0, false, NULL), 0, 0));
    check_result(c, kiln_sum(c->g, some, &(kiln_reduce_params){.axes = {1, {0}}}));
}

const struct check_op check_select[] = {
    {.name = "non_zero", .types = CHECK_ANY, .shapes = check_shapes, .attributes = bounds, .build = non_zero},
    {.name = "masked_select", .types = CHECK_ANY, .shapes = check_shapes, .build = masked_select},
    {.name = "compress", .types = CHECK_ANY, .shapes = tables, .attributes = axes, .build = compress},
    {.name = "unique", .types = CHECK_NUMERIC, .shapes = elements, .attributes = orders, .build = unique},
    {.name = "unique_rows",
     .types = CHECK_NUMERIC,
     .shapes = rows,
     .attributes = orders,
     .build = unique_rows},
    {.name = "first", .types = CHECK_REALS, .shapes = tables, .build = first},
    {0},
};
