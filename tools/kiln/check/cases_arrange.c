/* cases_arrange.c - values made of their places, and arrangements along an axis. */
#include "check/families.h"

static const struct check_shape lengths[] = {
    {"1", "one number"},
    {"7", "a prime"},
    {"0", "empty"},
    {"64", "a whole block"},
    {"65", "one past a block"},
    {"1000", "long"},
    {"5003", "longer"},
    {"257", "one past a block of the CPU"},
    {"128", "two blocks"},
    {"2", "two numbers"},
    {"33", "one past half a block"},
    {"100", "no whole blocks"},
    {0},
};

/* a: start and delta, in quarters */
static const struct check_attributes steps[] = {{"from=0,by=1", {0, 4}}, {"from=5,by=3", {20, 12}}, {0}};

static void sequence(struct check_graph *c)
{
    check_result(c, kiln_sequence(c->g, c->type, (double)c->a[0] / 4, (double)c->a[1] / 4, c->n[0]));
}

/* A half holds no more than 2048 whole numbers in a row. */
static bool stays_exact(const struct check_case *one)
{
    const int64_t after = one->n[0] > 0 ? one->n[0] - 1 : 0;
    return one->type != KILN_F16 || (double)(one->a[0] + after * one->a[1]) / 4 <= 2048;
}

static void expect_sequence(const struct check_case *one, const struct check_values *v, double *y)
{
    (void)v;
    for (int64_t i = 0; i < one->n[0]; i++) {
        const int64_t quarters = one->a[0] + i * one->a[1];
        y[i] = kiln_type_is_real(one->type) ? (double)quarters / 4
                                            : (double)check_wrapped(quarters / 4, one->type);
    }
}

/* a: the first, the step: values before the length, which the run computes. */
static const struct check_attributes strides[] = {{"from=0,by=1", {0, 1}}, {"from=3,by=2", {3, 2}}, {0}};

static bool stays_below(const struct check_case *one)
{
    return kiln_type_size(one->type) > 1 || one->n[0] < 128;
}

static void range_between(struct check_graph *c)
{
    const kiln_tensor limit = check_operand_in(c, KILN_SCALAR, (double)c->n[0] * 0.75, (double)c->n[0] + 0.5);
    const kiln_tensor from = kiln_scalar(c->g, c->type, (double)c->a[0]),
                      by = kiln_scalar(c->g, c->type, (double)c->a[1]);
    check_add(c, kiln_range_between(c->g, from, limit, by, c->n[0]));
}

/* Rows, columns; a: the diagonal. */
static const struct check_shape squares[] = {
    {"1x1", "one number"},   {"7x13", "primes"},           {"0x5", "no row"},
    {"5x0", "no column"},    {"65x17", "one past a tile"}, {"64x64", "whole tiles"},
    {"3x1000", "long rows"}, {"1000x3", "many rows"},      {0},
};
static const struct check_attributes offsets[] = {{"k=0", {0}}, {"k=2", {2}}, {"k=-3", {-3}}, {0}};

/* Added to x, since ones and zeros alone are known while compiling. */
static void eye(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_add(c->g, x, kiln_eye(c->g, c->type, c->n[0], c->n[1], (int)c->a[0])));
}

static void expect_eye(const struct check_case *one, const struct check_values *v, double *y)
{
    const double *x = kiln_type_is_real(one->type) ? v->real[0] : v->whole[0];

    for (int64_t i = 0; i < one->n[0]; i++)
        for (int64_t j = 0; j < one->n[1]; j++)
            y[i * one->n[1] + j] = x[i * one->n[1] + j] + (j - i == one->a[0]);
}

static void positions(struct check_graph *c)
{
    check_result(c, kiln_add(c->g, kiln_positions(c->g, check_operand(c, check_shape_of(c)), 0),
                             check_whole(c, KILN_SHAPE(c->n[0]), 0, 2)));
}

/* a: k, upper */
static const struct check_attributes diagonals[] = {
    {"lower,k=0", {0, 0}}, {"lower,k=-2", {-2, 0}}, {"upper,k=1", {1, 1}}, {0}};

static const struct check_shape matrices[] = {
    {"1x1x1", "one number"},
    {"2x7x13", "primes"},
    {"0x5x5", "no matrix"},
    {"2x0x5", "no row"},
    {"1x65x17", "one past a tile"},
    {"3x64x64", "whole tiles"},
    {"1x3x1000", "long rows"},
    {"9x100x3", "many rows"},
    {"257x1x2", "one past a block"},
    {"4x8x16", "whole vectors"},
    {0},
};

static void triangular(struct check_graph *c)
{
    check_result(c, kiln_triangular(c->g, check_operand(c, check_shape_of(c)), (int)c->a[0], c->a[1]));
}

static void one_hot_between(struct check_graph *c)
{
    const kiln_tensor index = check_whole(c, check_shape_of(c), -9, 9);
    const kiln_tensor off = check_operand(c, KILN_SCALAR), on = check_operand(c, KILN_SCALAR);
    check_result(c, kiln_one_hot_between(c->g, index, 7, -1, off, on));
}

static void expect_one_hot(const struct check_case *one, const struct check_values *v, double *y)
{
    const bool real = kiln_type_is_real(one->type);
    const double off = real ? v->real[0][0] : v->whole[1][0], on = real ? v->real[1][0] : v->whole[2][0];
    int64_t count = 1;

    for (int i = 0; i < one->sizes; i++)
        count *= one->n[i];
    for (int64_t i = 0; i < 7 * count; i++) {
        const int64_t index = (int64_t)v->whole[0][i / 7];
        y[i] = (index < 0 ? index + 7 : index) == i % 7 ? on : off;
    }
}

/* a: times along each of three axes */
static const struct check_attributes tiles[] = {
    {"times=1x1x3", {1, 1, 3}}, {"times=2x3x1", {2, 3, 1}}, {"times=2x2x2", {2, 2, 2}}, {0}};

static void tile(struct check_graph *c)
{
    check_result(c, kiln_tile(c->g, check_operand(c, check_shape_of(c)), c->a));
}

/* a: the axis, how often or how far */
static const struct check_attributes along[] = {{"axis=0,by=2", {0, 2}}, {"axis=2,by=3", {2, 3}}, {0}};

static void repeat(struct check_graph *c)
{
    check_result(c, kiln_repeat(c->g, check_operand(c, check_shape_of(c)), c->a[1], (int)c->a[0]));
}

static void roll(struct check_graph *c)
{
    check_result(c, kiln_roll(c->g, check_operand(c, check_shape_of(c)), c->a[1], (int)c->a[0]));
}

static void flip(struct check_graph *c)
{
    check_result(c, kiln_flip(c->g, check_operand(c, check_shape_of(c)), (int)c->a[0]));
}

static bool has_two(const struct check_case *one)
{
    return one->n[one->a[0]] > 0;
}

static void diff(struct check_graph *c)
{
    check_result(c, kiln_diff(c->g, check_operand(c, check_shape_of(c)), (int)c->a[0]));
}

/* a: the time axis, of the first two */
static const struct check_attributes times[] = {{"time=0", {0}}, {"time=1", {1}}, {0}};

static void reverse_sequence(struct check_graph *c)
{
    const int64_t longest = c->n[c->a[0]], sequences = c->n[1 - c->a[0]];
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    const kiln_tensor length = check_whole(c, KILN_SHAPE(sequences), 0, (double)longest + 1);
    check_result(c, kiln_reverse_sequence(c->g, x, length, (int)c->a[0]));
}

static bool has_elements(const struct check_case *one)
{
    return one->n[0] && one->n[1] && one->n[2];
}

static void index_of(struct check_graph *c)
{
    const kiln_tensor x = kiln_cast(c->g, check_whole(c, check_shape_of(c), 0, 2), c->type);
    check_add(c, kiln_index_of_first(c->g, x, (int)c->a[0]));
    check_add(c, kiln_index_of_last(c->g, x, (int)c->a[0]));
}

const struct check_op check_arrange[] = {
    {.name = "sequence",
     .types = CHECK_NUMERIC,
     .shapes = lengths,
     .attributes = steps,
     .fits = stays_exact,
     .build = sequence,
     .expect = expect_sequence},
    {.name = "range_between",
     .types = CHECK_F32 | CHECK_INTEGERS,
     .shapes = lengths,
     .attributes = strides,
     .fits = stays_below,
     .build = range_between},
    {.name = "eye",
     .types = CHECK_NUMERIC,
     .shapes = squares,
     .attributes = offsets,
     .build = eye,
     .expect = expect_eye},
    {.name = "positions", .types = CHECK_F32, .shapes = check_shapes, .build = positions},
    {.name = "triangular",
     .types = CHECK_ANY,
     .shapes = matrices,
     .attributes = diagonals,
     .build = triangular},
    {.name = "one_hot_between",
     .types = CHECK_NUMERIC,
     .shapes = check_shapes,
     .build = one_hot_between,
     .expect = expect_one_hot},
    {.name = "tile", .types = CHECK_ANY, .shapes = matrices, .attributes = tiles, .build = tile},
    {.name = "repeat", .types = CHECK_ANY, .shapes = matrices, .attributes = along, .build = repeat},
    {.name = "roll", .types = CHECK_ANY, .shapes = matrices, .attributes = along, .build = roll},
    {.name = "flip", .types = CHECK_ANY, .shapes = matrices, .attributes = along, .build = flip},
    {.name = "diff",
     .types = CHECK_NUMERIC,
     .shapes = matrices,
     .attributes = along,
     .fits = has_two,
     .build = diff},
    {.name = "reverse_sequence",
     .types = CHECK_ANY,
     .shapes = matrices,
     .attributes = times,
     .fits = has_elements,
     .build = reverse_sequence},
    {.name = "index_of_first",
     .types = CHECK_ANY,
     .shapes = matrices,
     .attributes = along,
     .fits = has_elements,
     .build = index_of},
    {0},
};
