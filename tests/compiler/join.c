/* join.c - a node is computed together with its only reader where nothing comes between, and gives the same bits as by itself. */
#include <float.h>
#include <math.h>
#include <string.h>

#include <kiln/kiln.h>

#include "compiler/plans.h"
#include "support/sanitized.h"

enum { CHANNELS = 5, FILTERS = 40, FEW = 32, HIGH = 14, WIDE = 13 };

static const kiln_shape picture = {4, {2, CHANNELS, HIGH, WIDE}};

static kiln_tensor points(kiln_graph *g, kiln_tensor x)
{
    return kiln_relu(g, kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = FILTERS, .size = {1, 1}}));
}

static kiln_tensor strided(kiln_graph *g, kiln_tensor x, int filters)
{
    return kiln_relu(g, kiln_nn_conv(g, x,
                                     &(kiln_nn_conv_params){.filters = filters,
                                                            .size = {3, 3},
                                                            .stride = {2, 2},
                                                            .pad = {{1, 1}, {1, 1}}}));
}

static kiln_tensor depthwise(kiln_graph *g, kiln_tensor z)
{
    const int filters = (int)kiln_tensor_shape(g, z).size[1];
    return kiln_relu(g, kiln_nn_conv(g, z,
                                     &(kiln_nn_conv_params){.filters = filters,
                                                            .size = {3, 3},
                                                            .pad = {{1, 1}, {1, 1}},
                                                            .groups = filters}));
}

static int count_pairs(const struct planned *d)
{
    return count_dispatches(d->plan, "conv_pair");
}

/* How many pairs a plan of y on the CPU has, beside it what else is wanted. */
static int pairs_of(kiln_graph *g, const kiln_tensor *run, bool train)
{
    struct planned d = plan_on(kiln_test_open("cpu"), g, run, train);
    const int count = count_pairs(&d);
    planned_finish(&d);
    return count;
}

Test(join, a_value_with_one_reader_is_never_written)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, picture), y = depthwise(g, points(g, x));
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    cr_expect_eq(count_pairs(&d), 1);
    cr_expect_eq(count_dispatches(d.plan, "conv_packed") + count_dispatches(d.plan, "conv"), 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(join, not_where_a_result_or_a_second_reader_wants_it)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, picture), z = points(g, x), y = depthwise(g, z);
    const kiln_tensor sum = kiln_add(g, y, z), loss = kiln_sum(g, y, NULL);
    kiln_tensor dx;
    kiln_gradient(g, loss, KILN_NONE, &x, 1, &dx);
    cr_expect_eq(pairs_of(g, KILN_RUN(y), false), 1);
    cr_expect_eq(pairs_of(g, KILN_RUN(y, z), false), 0);
    cr_expect_eq(pairs_of(g, KILN_RUN(sum), false), 0);
    cr_expect_eq(pairs_of(g, KILN_RUN(dx), false), 0);
    kiln_graph_destroy(&g);
}

/* Those of one block alone meet what is copied of x for it. */
Test(join, a_strided_one_of_few_filters)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, picture);
    cr_expect_eq(pairs_of(g, KILN_RUN(depthwise(g, strided(g, x, FEW))), false), 1);
    cr_expect_eq(pairs_of(g, KILN_RUN(depthwise(g, strided(g, x, FILTERS))), false), 0);
    kiln_graph_destroy(&g);
}

Test(join, not_where_a_finish_reads_a_value_for_each_result)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, picture), z = points(g, x),
                      other = kiln_input(g, "other", KILN_F32, kiln_tensor_shape(g, z)),
                      y = depthwise(g, kiln_add(g, z, other));
    cr_expect_eq(pairs_of(g, KILN_RUN(y), false), 0);
    kiln_graph_destroy(&g);
}

/* What reads x last may be written over it, and must not be where a pair reads x later. */
Test(join, not_where_something_between_has_to_do_with_what_it_reads)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, picture), x = kiln_softmax(g, in, 1),
                      z = points(g, x), other = kiln_exp(g, x), y = depthwise(g, z);
    cr_expect_eq(pairs_of(g, KILN_RUN(other, y), false), 0);
    cr_expect_eq(pairs_of(g, KILN_RUN(y), false), 1);
    kiln_graph_destroy(&g);
}

/* The values of y, with z or without. */
static void run(kiln_graph *g, kiln_tensor x, const kiln_tensor *list, int threads, float *y, size_t bytes,
                int pairs)
{
    kiln_device *dev = NULL;
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = "cpu", .threads = threads}), KILN_OK);
    struct planned d = plan_on(dev, g, list, false);
    cr_expect_eq(count_pairs(&d), pairs);
    write_input(d.p, x, picture);
    cr_assert_eq(kiln_program_run(d.p), KILN_OK);
    cr_assert_eq(kiln_program_read(d.p, list[0], &(kiln_array){.data = y, .bytes = bytes}), KILN_OK);
    planned_finish(&d);
}

/*
 * The same bits; within the rounding of nine terms of about 1 where a sanitizer's checks stand between products and their sums, so
 * that compilers contract some of them and others not.
 */
static bool agree(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count && SANITIZED; i++)
        if (!(fabsf(a[i] - b[i]) <= 9 * FLT_EPSILON))
            return false;
    return SANITIZED || memcmp(a, b, count * sizeof *a) == 0;
}

/* The bits of a depthwise convolution of z are the same with z and without. */
static void expect_bits(kiln_graph *g, kiln_tensor x, kiln_tensor z, const char *what)
{
    static float apart[2 * FILTERS * HIGH * WIDE], joined[2 * FILTERS * HIGH * WIDE];
    const kiln_tensor y = depthwise(g, z);
    const kiln_shape shape = kiln_tensor_shape(g, y);
    const size_t count = (size_t)(shape.size[0] * shape.size[1] * shape.size[2] * shape.size[3]);
    run(g, x, KILN_RUN(y, z), 1, apart, count * sizeof *apart, 0);
    for (int threads = 1; threads <= 3; threads++) {
        run(g, x, KILN_RUN(y), threads, joined, count * sizeof *joined, 1);
        cr_expect(agree(apart, joined, count), "%s, %d threads", what, threads);
    }
}

Test(join, bits_are_those_of_both_by_themselves_with_any_number_of_threads)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, picture);
    expect_bits(g, x, points(g, x), "points");
    expect_bits(g, x, strided(g, x, FEW), "a stride");
    kiln_graph_destroy(&g);
}
