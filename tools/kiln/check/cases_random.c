/* cases_random.c - what draws random numbers. */
#include "check/families.h"

/* a: the rate in percent */
static const struct check_attributes rates[] = {{"rate=0.3", {30}}, {"rate=0.9", {90}}, {0}};

static void dropout(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_dropout(c->g, x, (double)c->a[0] / 100));
}

static void dropout_mask(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    const kiln_tensor mask = kiln_cast(c->g, check_truth(c, check_shape_of(c)), c->type);
    check_result(c, kiln_dropout_mask(c->g, x, mask, (double)c->a[0] / 100));
}

/* A source and a stream that stay the same. */
static kiln_random_params source(struct check_graph *c, kiln_type type)
{
    return (kiln_random_params){.source = check_whole(c, KILN_SHAPE(2), 0, 1000),
                                .stream = "check",
                                .type = type};
}

static void random_uniform(struct check_graph *c)
{
    const kiln_random_params p = source(c, c->type);
    check_add(c, kiln_random_uniform(c->g, check_shape_of(c), -1.5, 3, &p));
}

static void random_normal(struct check_graph *c)
{
    const kiln_random_params p = source(c, c->type);
    check_add(c, kiln_random_normal(c->g, check_shape_of(c), 0.5, 2, &p));
}

static void random_uniform_like(struct check_graph *c)
{
    const kiln_random_params p = source(c, KILN_F32);
    check_add(c, kiln_random_uniform_like(c->g, check_operand(c, check_shape_of(c)), 0, 1, &p));
}

static void random_normal_like(struct check_graph *c)
{
    const kiln_random_params p = source(c, KILN_F32);
    check_add(c, kiln_random_normal_like(c->g, check_operand(c, check_shape_of(c)), 0, 1, &p));
}

static void random_whole(struct check_graph *c)
{
    const kiln_random_params p = source(c, KILN_F32);
    check_add(c, kiln_random_whole(c->g, check_shape_of(c), -100, 1 << 20, &p));
}

/* Of probabilities that every type holds: by others a narrow type decides otherwise than the reference, which rounds none. */
static void bernoulli(struct check_graph *c)
{
    const kiln_random_params p = source(c, KILN_F32);
    const kiln_tensor sixty_fourths = kiln_cast(c->g, check_whole(c, check_shape_of(c), 0, 65), c->one->type);
    check_add(c, kiln_bernoulli(c->g, kiln_scale(c->g, sixty_fourths, 1.0 / 64), &p));
}

static const struct check_shape orders[] = {
    {"1", "one"},
    {"2", "two"},
    {"3", "odd"},
    {"257", "one past a block"},
    {"1021", "a prime"},
    {"4096", "a power"},
    {"10007", "many"},
    {"0", "none"},
    {0},
};

static void random_permutation(struct check_graph *c)
{
    const kiln_random_params p = source(c, KILN_F32);
    check_add(c, kiln_random_permutation(c->g, c->n[0], &p));
}

/* a: the axis */
static const struct check_attributes axes[] = {{"axis=0", {0}}, {"axis=1", {1}}, {0}};

/* Rows, classes. */
static const struct check_shape rows[] = {
    {"1x1", "ones"},
    {"7x13", "primes"},
    {"65x33", "one past a tile"},
    {"1000x3", "many rows"},
    {"2x1000", "long rows"},
    {"64x64", "whole tiles"},
    {"3x257", "one past a block"},
    {"1x50000", "a vocabulary"},
    {0},
};

static void shuffle(struct check_graph *c)
{
    const kiln_random_params p = source(c, KILN_F32);
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_shuffle(c->g, x, (int)c->a[0], &p));
}

/* a: temperature in tenths, top_k, top_p in hundredths, choices, distinct */
static const struct check_attributes choices[] = {
    {"all", {10, 0, 0, 1, 0}},
    {"warm,count=3", {25, 0, 0, 3, 0}},
    {"top_k=5", {10, 5, 0, 2, 0}},
    {"top_p=0.9", {7, 0, 90, 1, 0}},
    {"top_k=9,top_p=0.5", {10, 9, 50, 1, 0}},
    {"distinct", {10, 0, 0, 3, 1}},
    {0},
};

static bool has_choices(const struct check_case *one)
{
    return !one->a[4] || one->n[1] >= one->a[3];
}

static void multinomial(struct check_graph *c)
{
    const kiln_choice_params p = {.temperature = (double)c->a[0] / 10,
                                  .top_k = c->a[1],
                                  .top_p = (double)c->a[2] / 100,
                                  .distinct = c->a[4],
                                  .random = source(c, KILN_F32)};
    check_add(c, kiln_multinomial(c->g, check_operand_in(c, check_shape_of(c), -9, 9), c->a[3], &p));
}

/* a: top_k; whether some have ended */
static const struct check_attributes steps[] = {{"plain", {0, 0}}, {"top_k=4,last", {4, 1}}, {0}};

static void sample_step(struct check_graph *c)
{
    const kiln_tensor last = check_whole(c, KILN_SHAPE(c->n[0]), 0, 2);
    const kiln_sample_params p = {.choice = {.top_k = c->a[0], .random = source(c, KILN_F32)},
                                  .last = c->a[1] ? last : KILN_NONE};
    const kiln_tensor scores = check_operand_in(c, check_shape_of(c), -3, 3);
    const kiln_sample sample = kiln_sample_step(c->g, scores, KILN_NONE, &p);
    check_add(c, sample.token);
    check_result(c, sample.score);
}

#define DRAWS(op) .name = #op, .types = CHECK_REALS, .shapes = check_shapes, .build = op

const struct check_op check_random[] = {
    {DRAWS(random_uniform)},
    {DRAWS(random_normal)},
    {DRAWS(random_uniform_like)},
    {DRAWS(random_normal_like)},
    {DRAWS(bernoulli)},
    {.name = "random_whole", .types = CHECK_I32, .shapes = check_shapes, .build = random_whole},
    {.name = "random_permutation", .types = CHECK_I32, .shapes = orders, .build = random_permutation},
    {.name = "shuffle",
     .types = CHECK_REALS | CHECK_I32,
     .shapes = rows,
     .attributes = axes,
     .build = shuffle},
    {.name = "multinomial",
     .types = CHECK_REALS,
     .shapes = rows,
     .attributes = choices,
     .fits = has_choices,
     .build = multinomial},
    {.name = "sample_step", .types = CHECK_REALS, .shapes = rows, .attributes = steps, .build = sample_step},
    {.name = "dropout", .types = CHECK_REALS, .shapes = check_shapes, .attributes = rates, .build = dropout},
    {.name = "dropout_mask",
     .types = CHECK_REALS,
     .shapes = check_shapes,
     .attributes = rates,
     .build = dropout_mask},
    {0},
};
