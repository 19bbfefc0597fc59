/* channels.c - convolutions of bytes with their channels last say what they say with them second. */
#include <kiln/kiln.h>
#include <kiln/quantize.h>

#include "compiler/plans.h"

enum { BATCH = 8, SIZE = 8, MOST = BATCH * 24 * SIZE * SIZE };

static kiln_tensor bytes(kiln_graph *g, kiln_shape shape)
{
    unsigned char values[24 * 24 * 9];
    const int64_t count = kiln_shape_count(&shape);
    cr_assert_leq(count, (int64_t)sizeof values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (unsigned char)(i * 37 % 251);
    return kiln_constant(g, &(kiln_array){.type = KILN_I8, .shape = shape, .data = values});
}

/* Filters, or a bias. All scales are powers of two, so that sums are exact, of floats as well. */
static kiln_tensor filters(kiln_graph *g, int64_t out, int64_t in, int64_t size)
{
    return kiln_dequantize(g, bytes(g, KILN_SHAPE(out, in, size, size)), kiln_scalar(g, KILN_F32, 1.0 / 64),
                           KILN_NONE, NULL);
}

static kiln_tensor number(kiln_graph *g, int value)
{
    return kiln_cast(g, kiln_scalar(g, KILN_I32, value), KILN_U8);
}

/* x, quantized and back. */
static kiln_tensor coarse(kiln_graph *g, kiln_tensor x, double scale, int zero)
{
    const kiln_tensor by = kiln_scalar(g, KILN_F32, scale), z = zero ? number(g, zero) : KILN_NONE;
    return kiln_dequantize(g, kiln_quantize(g, x, by, z, KILN_U8, NULL), by, z, NULL);
}

static kiln_tensor convolved(kiln_graph *g, kiln_tensor x, int64_t out, int64_t in, int64_t size, int stride)
{
    const int pad = (int)size / 2;
    const kiln_tensor bias = kiln_cast(g, bytes(g, KILN_SHAPE(out)), KILN_F32);
    return kiln_conv(g, x, filters(g, out, in, size), bias,
                     &(kiln_conv_params){.stride = {stride, stride}, .pad = {{pad, pad}, {pad, pad}}});
}

/* Counts of nodes that a plan has. */
struct wanted {
    int last, pools, transposes;
};

static void run(const kiln_graph *g, kiln_tensor x, kiln_tensor y, bool dot, const struct wanted *wanted,
                float got[MOST])
{
    kiln_device *dev = kiln_test_open("cpu");
    dev->caps.dot = dot;
    struct planned d = plan_on(dev, g, KILN_RUN(y), false);
    cr_expect_eq(count_nodes(d.plan, "conv_integer_last"), dot ? wanted->last : 0, "%d convolutions of bytes",
                 count_nodes(d.plan, "conv_integer_last"));
    cr_expect_eq(count_nodes(d.plan, "conv_integer"), 0);
    cr_expect_eq(count_nodes(d.plan, "pool_last"), dot ? wanted->pools : 0);
    cr_expect_eq(count_nodes(d.plan, "transpose"), dot ? wanted->transposes : 0, "%d transposes",
                 count_nodes(d.plan, "transpose"));
    write_input(d.p, x, KILN_SHAPE(BATCH, 3, SIZE, SIZE));
    cr_assert_eq(kiln_program_run(d.p), KILN_OK);
    cr_assert_eq(kiln_program_read(d.p, y, &(kiln_array){.data = got, .bytes = MOST * sizeof *got}), KILN_OK);
    planned_finish(&d);
}

/* As bytes with channels last, and as floats with them second: the same numbers. */
static void expect_same(const kiln_graph *g, kiln_tensor x, kiln_tensor y, struct wanted wanted)
{
    float last[MOST] = {0}, second[MOST] = {0};
    int different = 0;
    run(g, x, y, true, &wanted, last);
    run(g, x, y, false, &wanted, second);
    for (int i = 0; i < MOST; i++) {
        cr_assert_eq(last[i], second[i], "element %d is %g, wanted %g", i, last[i], second[i]);
        different += last[i] != last[0];
    }
    cr_expect_gt(different, 10, "nothing to compare");
}

static kiln_tensor picture(kiln_graph *g)
{
    return kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, SIZE, SIZE));
}

/* A first convolution of three channels, the largest of windows, a residual sum, a mean. */
Test(channels, stay_last_through_a_network)
{
    kiln_graph *g = plan_graph();
    const kiln_pool_params window = {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}};
    const kiln_tensor x = picture(g);
    kiln_tensor y = coarse(g, kiln_relu(g, convolved(g, coarse(g, x, 1.0 / 64, 128), 20, 3, 3, 1)), 4, 0);
    y = coarse(g, kiln_max_pool(g, y, &window), 4, 0);
    const kiln_tensor a = coarse(g, convolved(g, y, 24, 20, 1, 1), 16, 100),
                      b = coarse(g, convolved(g, y, 24, 20, 3, 1), 32, 110);
    y = coarse(g, kiln_relu(g, kiln_add(g, a, b)), 32, 0);
    y = kiln_mean(g, y, &(kiln_reduce_params){.axes = KILN_AXES(2, 3), .keep = true});
    expect_same(g, x, y, (struct wanted){.last = 3, .pools = 1, .transposes = 1});
    kiln_graph_destroy(&g);
}

/* There are no cuts of what lies channels last. */
Test(channels, stay_second_where_operands_would_be_cut)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = picture(g), y = convolved(g, coarse(g, x, 1.0 / 64, 128), 24, 3, 3, 1);
    for (int small = 0; small < 2; small++) {
        kiln_device *dev = kiln_test_open("cpu");
        dev->caps.dot = true;
        if (small)
            dev->caps.max_binding = 1 << 15;
        struct planned d = plan_on(dev, g, KILN_RUN(y), false);
        cr_expect_eq(count_nodes(d.plan, "conv_integer_last"), !small);
        cr_expect_eq(count_nodes(d.plan, "conv_integer"), small);
        planned_finish(&d);
    }
    kiln_graph_destroy(&g);
}

/* Filters of one channel each. */
Test(channels, stay_last_through_filters_of_one_channel)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = picture(g);
    kiln_tensor y = coarse(g, kiln_relu(g, convolved(g, coarse(g, x, 1.0 / 64, 128), 24, 3, 3, 1)), 4, 0);
    y = kiln_conv(g, y, filters(g, 24, 1, 3), KILN_NONE,
                  &(kiln_conv_params){.stride = {2, 1}, .pad = {{1, 1}, {0, 1}}, .groups = 24});
    y = coarse(g, convolved(g, coarse(g, y, 8, 99), 20, 24, 1, 1), 64, 120);
    expect_same(g, x, y, (struct wanted){.last = 3, .transposes = 2});
    kiln_graph_destroy(&g);
}

/* Each part of a concatenation has scales of its own: it is quantized by those of the whole, and joined as bytes. */
Test(channels, stay_last_through_a_concatenation)
{
    kiln_graph *g = plan_graph();
    const kiln_pool_params window = {.size = {2, 2}, .stride = {2, 2}};
    const kiln_tensor x = picture(g);
    const kiln_tensor y =
        coarse(g, kiln_relu(g, convolved(g, coarse(g, x, 1.0 / 64, 128), 24, 3, 3, 1)), 4, 0);
    const kiln_tensor both[] = {coarse(g, kiln_relu(g, convolved(g, y, 9, 24, 1, 1)), 16, 0),
                                coarse(g, convolved(g, y, 11, 24, 3, 1), 32, 120)};
    const kiln_tensor all = kiln_concat(g, both, 2, 1),
                      pooled = coarse(g, kiln_max_pool(g, coarse(g, all, 32, 100), &window), 32, 100);
    expect_same(g, x, coarse(g, convolved(g, pooled, 20, 20, 1, 1), 1024, 120),
                (struct wanted){.last = 4, .pools = 1, .transposes = 2});
    /* as reals that something else reads, and joined as such for a product with what is not a number */
    expect_same(g, x, kiln_softmax(g, kiln_scale(g, all, 1.0 / 65536), 2),
                (struct wanted){.last = 3, .transposes = 3});
    expect_same(g, x, kiln_average_pool(g, kiln_mul(g, all, all), &window),
                (struct wanted){.last = 3, .transposes = 3});
    kiln_graph_destroy(&g);
}

/* Reals whose channels are scaled, and what else is read with channels second: bytes change places before they are dequantized. */
Test(channels, go_back_where_something_else_reads_them)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = picture(g);
    const kiln_tensor scale =
        kiln_reshape(g, kiln_cast(g, bytes(g, KILN_SHAPE(24)), KILN_F32), KILN_SHAPE(24, 1, 1));
    kiln_tensor y = kiln_mul(g, convolved(g, coarse(g, x, 1.0 / 64, 128), 24, 3, 3, 2), scale);
    y = coarse(g, y, 1024, 120);
    y = kiln_softmax(g, kiln_scale(g, y, 1.0 / 65536), 2);
    expect_same(g, x, y, (struct wanted){.last = 1, .transposes = 2});
    kiln_graph_destroy(&g);
}

/* The mean of windows is computed of reals, with channels second: there are no bytes that stand for what it is of. */
Test(channels, go_back_as_reals_where_there_are_no_bytes)
{
    kiln_graph *g = plan_graph();
    const kiln_pool_params window = {.size = {2, 2}};
    const kiln_tensor x = picture(g);
    const kiln_tensor y = convolved(g, coarse(g, x, 1.0 / 64, 128), 24, 3, 3, 1);
    expect_same(g, x, kiln_average_pool(g, kiln_relu(g, y), &window),
                (struct wanted){.last = 1, .transposes = 2});
    kiln_graph_destroy(&g);
}
