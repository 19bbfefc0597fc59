/* cases_update.c - steps of the optimizers over whole arenas, and gradients gathered before one. */
#include <math.h>

#include "check/families.h"

/* Rows, columns. */
static const struct check_shape shapes[] = {
    {"1x1", "one number"},
    {"13x7", "primes"},
    {"65x67", "one past a tile"},
    {"31x37", "primes"},
    {"129x65", "more than one block"},
    {"1x5000", "one long row"},
    {"1000x3", "many rows"},
    {"64x64", "whole blocks"},
    {0},
};

/* a: the optimizer, clipped, the loss scaled by 2^.. */
static const struct check_attributes rules[] = {
    {"sgd", {KILN_SGD}},
    {"sgd,clip", {KILN_SGD, 1}},
    {"momentum", {KILN_MOMENTUM}},
    {"nesterov", {KILN_NESTEROV}},
    {"nesterov,clip", {KILN_NESTEROV, 1}},
    {"rmsprop", {KILN_RMSPROP}},
    {"adam", {KILN_ADAM}},
    {"adamw", {KILN_ADAMW}},
    {"adamw,clip", {KILN_ADAMW, 1}},
    {"sgd,scaled", {KILN_SGD, 0, 10}},
    {"nesterov,scaled", {KILN_NESTEROV, 0, 10}},
    {"adam,clip,scaled", {KILN_ADAM, 1, 10}},
    {0},
};

static kiln_tensor loss_of(struct check_graph *c)
{
    const kiln_tensor x = check_real(c, check_shape_of(c)), bias = check_real(c, KILN_SHAPE(c->n[1]));
    return kiln_mean(c->g, kiln_square(c->g, kiln_add(c->g, x, bias)), NULL);
}

static void minimize(struct check_graph *c)
{
    const kiln_tensor loss = loss_of(c);
    const kiln_param_group group = {.match = "x1", .rate = 0.5, .decay = 0.1};
    const kiln_minimize_params how = {.by = (kiln_optimizer)c->a[0],
                                      .decay = 0.01,
                                      .groups = &group,
                                      .group_count = 1,
                                      .clip_norm = c->a[1] ? 0.01 : 0,
                                      .clip_value = c->a[1] ? 0.005 : 0,
                                      .loss_scale = c->a[2] ? exp2((double)c->a[2]) : 0,
                                      .dynamic_scale = c->a[2] != 0};
    check_add(c, loss);
    check_add(c, kiln_minimize(c->g, loss, &how));
}

static void backward(struct check_graph *c)
{
    const kiln_minimize_params how = {.by = (kiln_optimizer)c->a[0],
                                      .loss_scale = c->a[2] ? exp2((double)c->a[2]) : 0,
                                      .dynamic_scale = c->a[2] != 0};
    check_add(c, kiln_backward(c->g, loss_of(c), &how));
    check_add(c, kiln_update(c->g, &how));
}

static bool is_unclipped(const struct check_case *one)
{
    return !one->a[1];
}

const struct check_op check_update[] = {
    {.name = "minimize", .types = CHECK_F32, .shapes = shapes, .attributes = rules, .build = minimize},
    {.name = "backward",
     .types = CHECK_F32,
     .shapes = shapes,
     .attributes = rules,
     .fits = is_unclipped,
     .build = backward},
    {0},
};
