/* build.c - what builds of cases are made of. See case.h. */
#include <stdio.h>

#include "check/case.h"

const struct check_shape check_shapes[] = {
    {"1", "one number"},
    {"7x13", "primes"},
    {"0x5", "empty"},
    {"257", "one past a block"},
    {"65x17", "one past a tile"},
    {"3x1000", "long rows"},
    {"1000x3", "many rows"},
    {"2x3x5x7", "four axes"},
    {"1x64x1x4", "axes of one"},
    {"64x64", "whole tiles"},
    {0},
};

kiln_shape check_shape_of(const struct check_graph *c)
{
    return kiln_shape_of(c->one->sizes, c->n);
}

/* Operands ------------------------------------------------------------------------------------------------ */

kiln_tensor check_real_in(struct check_graph *c, kiln_shape shape, double low, double high)
{
    char name[32];

    snprintf(name, sizeof name, "x%d", kiln_graph_parameter_count(c->g));
    return kiln_parameter(
        c->g, name, shape,
        &(kiln_init){.kind = KILN_INIT_UNIFORM, .value = (low + high) / 2, .scale = (high - low) / 2});
}

kiln_tensor check_real(struct check_graph *c, kiln_shape shape)
{
    return check_real_in(c, shape, -1, 1);
}

static kiln_tensor input(struct check_graph *c, kiln_type type, kiln_shape shape, double low, double high)
{
    char name[32];
    kiln_tensor x;

    snprintf(name, sizeof name, "i%d", c->inputs);
    x = kiln_input(c->g, name, type, shape);
    if (c->inputs < CHECK_INPUTS)
        c->input[c->inputs++] = (struct check_input){x, low, high};
    return x;
}

kiln_tensor check_whole(struct check_graph *c, kiln_shape shape, double low, double high)
{
    return input(c, KILN_I32, shape, low, high);
}

kiln_tensor check_truth(struct check_graph *c, kiln_shape shape)
{
    return input(c, KILN_BOOL, shape, 0, 2);
}

kiln_tensor check_operand_in(struct check_graph *c, kiln_shape shape, double low, double high)
{
    if (c->type == KILN_BOOL)
        return check_truth(c, shape);
    if (!kiln_type_is_real(c->type))
        return input(c, c->type, shape, low, high);
    return kiln_cast(c->g, check_real_in(c, shape, low, high), c->type);
}

static bool is_unsigned(kiln_type type)
{
    return type == KILN_U8 || type == KILN_U16 || type == KILN_U32 || type == KILN_U64;
}

kiln_tensor check_operand(struct check_graph *c, kiln_shape shape)
{
    const struct check_op *op = c->one->op;

    if (op->low != 0 || op->high != 0)
        return check_operand_in(c, shape, op->low, op->high);
    if (kiln_type_is_real(c->type))
        return check_operand_in(c, shape, -1, 1);
    return check_operand_in(c, shape, is_unsigned(c->type) ? 0 : -9, 9);
}

int64_t check_wrapped(int64_t value, kiln_type type)
{
    const int bits = kiln_type_size(type) > 4 ? 32 : 8 * (int)kiln_type_size(type);
    const int64_t values = INT64_C(1) << bits, rest = value & (values - 1);
    return !kiln_type_is_unsigned(type) && rest >= values / 2 ? rest - values : rest;
}

/* Results ------------------------------------------------------------------------------------------------- */

void check_add(struct check_graph *c, kiln_tensor value)
{
    if (c->count < CHECK_VALUES)
        c->run[c->count++] = value;
}

static void add_gradient(struct check_graph *c, struct check_gradient *of)
{
    const int parameters = kiln_graph_parameter_count(c->g);

    for (int i = 0; i < parameters && of->count < CHECK_INPUTS; i++) {
        const kiln_tensor x = kiln_graph_parameter(c->g, i);
        if (kiln_depends(c->g, of->y, x))
            of->x[of->count++] = x;
    }
    if (!of->count)
        return;
    of->dy = kiln_cast(c->g, check_real(c, kiln_tensor_shape(c->g, of->y)), kiln_tensor_type(c->g, of->y));
    kiln_gradient(c->g, of->y, of->dy, of->x, of->count, of->dx);
    for (int i = 0; i < of->count; i++)
        check_add(c, of->dx[i]);
}

void check_result(struct check_graph *c, kiln_tensor y)
{
    struct check_gradient of = {.y = y};

    check_add(c, y);
    if (!y.id || !kiln_type_is_real(kiln_tensor_type(c->g, y)))
        return;
    add_gradient(c, &of);
    if (of.count && c->gradients < CHECK_VALUES)
        c->gradient[c->gradients++] = of;
}
