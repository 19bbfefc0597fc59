/* cases_loss.c - losses and the metrics that a program computes. */
#include "check/families.h"

/* Rows, classes. */
static const struct check_shape shapes[] = {
    {"1x2", "one row"},       {"7x10", "ten classes"}, {"65x257", "one past a block"},
    {"1000x3", "many rows"},  {"2x1000", "long rows"}, {"3x1", "one class"},
    {"64x64", "whole tiles"}, {"13x129", "primes"},    {0},
};

static kiln_tensor scores(struct check_graph *c)
{
    return check_operand_in(c, check_shape_of(c), -9, 9);
}

static kiln_tensor classes(struct check_graph *c)
{
    return check_whole(c, KILN_SHAPE(c->n[0]), 0, (double)c->n[1]);
}

static void cross_entropy_each(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_result(c, kiln_cross_entropy_each(c->g, s, classes(c)));
}

static const struct check_attributes targets[] = {{"classes", {0}}, {"probabilities", {1}}, {0}};

static void cross_entropy(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    const kiln_tensor target =
        c->a[0] ? kiln_softmax(c->g, check_operand(c, check_shape_of(c)), 1) : classes(c);
    check_result(c, kiln_cross_entropy(c->g, s, target));
}

static void binary_cross_entropy(struct check_graph *c)
{
    const kiln_tensor s = scores(c), target = check_operand_in(c, check_shape_of(c), 0, 1);
    check_result(c, kiln_binary_cross_entropy(c->g, s, target));
}

static void mean_squared_error(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_result(c, kiln_mean_squared_error(c->g, s, check_operand(c, check_shape_of(c))));
}

static void accuracy(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_add(c, kiln_accuracy(c->g, s, classes(c)));
}

/* a: k */
static const struct check_attributes best[] = {{"k=1", {1}}, {"k=2", {2}}, {"k=5", {5}}, {0}};

static bool has_k(const struct check_case *one)
{
    return one->n[1] >= one->a[0];
}

static void top_k_accuracy(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_add(c, kiln_top_k_accuracy(c->g, s, classes(c), (int)c->a[0]));
}

#define LOSS(op) .name = #op, .types = CHECK_REALS, .shapes = shapes, .build = op

const struct check_op check_loss[] = {
    {LOSS(cross_entropy_each)},
    {LOSS(cross_entropy), .attributes = targets},
    {LOSS(binary_cross_entropy)},
    {LOSS(mean_squared_error)},
    {LOSS(accuracy)},
    {LOSS(top_k_accuracy), .attributes = best, .fits = has_k},
    {0},
};
