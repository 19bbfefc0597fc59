/* generate.c - sequences, positions, triangles, identities, one-hot: known values, types, every device alike. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#define EXACT 1e-30

typedef kiln_tensor made(kiln_graph *g);

static kiln_tensor build(kiln_graph *g, const void *fn)
{
    return (*(made *const *)fn)(g);
}

/* A value as a row of reals, on every device; those that compute a real are within a rounding or two. */
static void expect(made *fn, const double *want, size_t count, double tolerance, const char *why)
{
    kiln_expect_values(build, &fn, want, count, 1e-12, why);
    kiln_expect_devices_agree(build, &fn, false, tolerance, why);
}

#define MADE(name, ...)                    \
    static kiln_tensor name(kiln_graph *g) \
    {                                      \
        return __VA_ARGS__;                \
    }

MADE(tenths, kiln_arange(g, KILN_F32, 1, 1.35, 0.1))
MADE(downwards, kiln_arange(g, KILN_I32, 7, -3, -4))
MADE(wrong_way, kiln_arange(g, KILN_I32, 0, 5, -1))
MADE(bytes, kiln_sequence(g, KILN_U8, 3, 2, 4))
MADE(halves, kiln_sequence(g, KILN_F16, 0.5, 0.25, 5))
MADE(long_one, kiln_sum(g, kiln_sequence(g, KILN_I32, 1, 1, 20001), NULL))
MADE(ones_below,
     kiln_triangular(g, kiln_test_values(g, KILN_SHAPE(2, 3), (const float[]){1, 2, 3, 4, 5, 6}), 0, false))
MADE(ones_above,
     kiln_triangular(g, kiln_test_values(g, KILN_SHAPE(2, 3), (const float[]){1, 2, 3, 4, 5, 6}), 1, true))
MADE(identity, kiln_eye(g, KILN_F32, 2, 3, 0))
MADE(beside, kiln_eye(g, KILN_I32, 3, 3, -1))

Test(generate, known_values)
{
    expect(tenths, (const double[]){1, 1.1, 1.2, 1.3}, 4, 1e-6, "by tenths");
    expect(downwards, (const double[]){7, 3, -1}, 3, EXACT, "downwards");
    expect(wrong_way, NULL, 0, EXACT, "the wrong way");
    expect(bytes, (const double[]){3, 5, 7, 9}, 4, EXACT, "bytes");
    expect(halves, (const double[]){0.5, 0.75, 1, 1.25, 1.5}, 5, EXACT, "halves");
    expect(long_one, (const double[]){200030001}, 1, EXACT, "long");
    expect(ones_below, (const double[]){1, 0, 0, 4, 5, 0}, 6, EXACT, "lower triangle");
    expect(ones_above, (const double[]){0, 2, 3, 0, 0, 6}, 6, EXACT, "upper triangle");
    expect(identity, (const double[]){1, 0, 0, 0, 1, 0}, 6, EXACT, "identity");
    expect(beside, (const double[]){0, 0, 0, 1, 0, 0, 0, 1, 0}, 9, EXACT, "beside the diagonal");
}

static const struct triangle_case {
    kiln_shape x;
    int k;
    bool upper;
    const char *why;
} triangles[] = {
    {{2, {1, 1}}, 0, false, "a lone element"}, {{3, {2, 5, 7}}, 1, false, "a batch, above the diagonal"},
    {{2, {65, 33}}, -2, true, "a tall one"},   {{2, {3, 3}}, 5, false, "all of it"},
    {{2, {3, 3}}, 5, true, "none of it"},
};

static kiln_tensor triangle(kiln_graph *g, const void *one_case)
{
    const struct triangle_case *c = one_case;
    return kiln_triangular(g, kiln_test_input(g, c->x), c->k, c->upper);
}

Test(generate, triangles_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(triangles); i++) {
        kiln_expect_gradient(triangle, &triangles[i], triangles[i].why);
        kiln_expect_devices_agree(triangle, &triangles[i], true, EXACT, triangles[i].why);
    }
}

/* Numbers that the run computes -------------------------------------------------------------------------- */

static const struct range_case {
    float start, limit, delta;
    bool whole;
    int count;
} ranges[] = {
    {0, 5, 1, true, 5},     {0, 5, 2, true, 3},        {5, 0, -2, true, 3},    {5, 0, 2, true, 0},
    {0, 6, 2, true, 3},     {-3, 4, 3, true, 3},       {4, -3, -3, true, 3},   {0, 100, 1, true, 20},
    {1, 2, 0.25, false, 4}, {1, 2.1f, 0.25, false, 5}, {2, 1, -0.5, false, 2},
};

static kiln_tensor number(kiln_graph *g, float value, bool whole)
{
    const kiln_tensor t = kiln_reshape(g, kiln_test_values(g, KILN_SHAPE(1), &value), KILN_SCALAR);
    return whole ? kiln_cast(g, t, KILN_I32) : t;
}

static kiln_tensor between(kiln_graph *g, const void *one_case)
{
    const struct range_case *c = one_case;
    return kiln_range_between(g, number(g, c->start, c->whole), number(g, c->limit, c->whole),
                              number(g, c->delta, c->whole), 20);
}

Test(generate, ranges_between_numbers_of_the_run)
{
    for (size_t i = 0; i < KILN_COUNT(ranges); i++) {
        double want[20];
        for (int k = 0; k < ranges[i].count; k++)
            want[k] = (double)ranges[i].start + k * (double)ranges[i].delta;
        kiln_expect_values(between, &ranges[i], want, (size_t)ranges[i].count, 1e-12, "between");
        kiln_expect_devices_agree(between, &ranges[i], false, EXACT, "between");
    }
}

/* One-hot ------------------------------------------------------------------------------------------------ */

static kiln_tensor hot(kiln_graph *g, const void *axis)
{
    const int32_t index[] = {0, -1, 7, 1};
    const kiln_array array = {.data = (void *)(uintptr_t)index, .type = KILN_I32, .shape = KILN_SHAPE(4)};
    return kiln_one_hot_between(g, kiln_constant(g, &array), 3, *(const int *)axis,
                                kiln_scalar(g, KILN_F32, -1),
                                kiln_test_values(g, KILN_SCALAR, (const float[]){2}));
}

Test(generate, one_hot_between_two_values)
{
    const int first = 0, last = -1;
    const double rows[4][3] = {{2, -1, -1}, {-1, -1, 2}, {-1, -1, -1}, {-1, 2, -1}};
    double columns[3][4];
    for (int i = 0; i < 12; i++)
        columns[i % 3][i / 3] = rows[i / 3][i % 3];
    kiln_expect_values(hot, &last, rows[0], 12, 0, "the last axis");
    kiln_expect_values(hot, &first, columns[0], 12, 0, "the first axis");
    kiln_expect_devices_agree(hot, &last, true, 0, "the last axis");
}

/* A sequence as long as a batch -------------------------------------------------------------------------- */

Test(generate, positions_follow_a_symbol)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        kiln_program *p = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2));
        kiln_output(g, "p", kiln_positions(g, x, 0));
        kiln_output(g, "s", kiln_sequence(g, KILN_I32, 1, 2, KILN_BATCH));
        kiln_output(g, "x2", kiln_scale(g, x, 2));
        cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
        cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
        for (int size = 3; size <= 5000; size += 4997) {
            static float in[10000];
            static int32_t out[5000], odd[5000];
            kiln_array to = {.data = out, .bytes = sizeof out}, too = {.data = odd, .bytes = sizeof odd};
            cr_assert_eq(kiln_program_write(p, x, &(kiln_array){.data = in, .shape = KILN_SHAPE(size, 2)}),
                         KILN_OK);
            cr_assert_eq(kiln_program_run(p), KILN_OK);
            cr_assert_eq(kiln_program_read(p, kiln_find(g, "p"), &to), KILN_OK);
            cr_assert_eq(kiln_program_read(p, kiln_find(g, "s"), &too), KILN_OK);
            cr_assert_eq(to.shape.size[0], size);
            cr_assert_eq(too.shape.size[0], size);
            for (int i = 0; i < size; i++)
                cr_assert(out[i] == i && odd[i] == 1 + 2 * i);
        }
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
}
