/* integers.c - products of dequantized bytes become products of integers where a device multiplies these fast, and say the same. */
#include <math.h>

#include <kiln/kiln.h>
#include <kiln/quantize.h>

#include "compiler/plans.h"

enum { BATCH = 8, CHANNELS = 20, FILTERS = 6, SIZE = 5, MOST = BATCH * CHANNELS * SIZE * SIZE };

static kiln_tensor bytes(kiln_graph *g, kiln_type type, kiln_shape shape)
{
    unsigned char values[FILTERS * CHANNELS * 9];
    const int64_t count = kiln_shape_count(&shape);
    cr_assert_leq(count, (int64_t)sizeof values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (unsigned char)(i * 37 % 251);
    return kiln_constant(g, &(kiln_array){.type = type, .shape = shape, .data = values});
}

static kiln_tensor scales(kiln_graph *g, int64_t count)
{
    float values[CHANNELS];
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.01f * (float)(i + 1);
    return kiln_constant(g, &(kiln_array){.type = KILN_F32, .shape = KILN_SHAPE(count), .data = values});
}

/* x, quantized and back, with one scale or one for each channel. */
static kiln_tensor coarse(kiln_graph *g, kiln_tensor x, kiln_type type, bool by_channel)
{
    const kiln_quantize_params along = {.axis = 1};
    const kiln_tensor scale = scales(g, by_channel ? CHANNELS : 1);
    const kiln_tensor zero = by_channel ? KILN_NONE : kiln_cast(g, kiln_scalar(g, KILN_I32, 3), type);
    return kiln_dequantize(g, kiln_quantize(g, x, scale, zero, type, &along), scale, zero, &along);
}

/* What a program gives on the CPU, as if it multiplied bytes in one instruction or not; returns how many nodes multiply integers. */
static int run(const kiln_graph *g, kiln_tensor x, kiln_shape shape, kiln_tensor y, bool dot, bool train,
               float got[MOST])
{
    kiln_device *dev = kiln_test_open("cpu");
    dev->caps.dot = dot;
    struct planned d = plan_on(dev, g, KILN_RUN(y), train);
    const int count = count_nodes(d.plan, "conv_integer") + count_nodes(d.plan, "matmul_integer");
    cr_expect_eq(count + count_nodes(d.plan, "conv") + count_nodes(d.plan, "matmul"), 1);
    write_input(d.p, x, shape);
    cr_assert_eq(kiln_program_run(d.p), KILN_OK);
    cr_assert_eq(kiln_program_read(d.p, y, &(kiln_array){.data = got, .bytes = MOST * sizeof *got}), KILN_OK);
    planned_finish(&d);
    return count;
}

/* Both ways: the same numbers, up to the rounding of their sums. */
static void expect_integers(const kiln_graph *g, kiln_tensor x, kiln_shape shape, kiln_tensor y,
                            const char *why)
{
    float integers[MOST] = {0}, reals[MOST] = {0}, largest = 0;
    cr_expect_eq(run(g, x, shape, y, true, false, integers), 1, "%s: no product of integers", why);
    cr_expect_eq(run(g, x, shape, y, false, false, reals), 0, "%s: a product of integers", why);
    for (int i = 0; i < MOST; i++)
        largest = fabsf(reals[i]) > largest ? fabsf(reals[i]) : largest;
    for (int i = 0; i < MOST; i++) /* CHANNELS * 9 terms round: sqrt(180) ulp, and some */
        cr_expect_float_eq(integers[i], reals[i], 1e-6f * largest, "%s: element %d", why, i);
    cr_expect_gt(largest, 0.1f, "%s: nothing to compare", why);
}

static void expect_reals(const kiln_graph *g, kiln_tensor x, kiln_shape shape, kiln_tensor y, bool train,
                         const char *why)
{
    float got[MOST];
    cr_expect_eq(run(g, x, shape, y, true, train, got), 0, "%s: a product of integers", why);
}

struct filters {
    kiln_type type, x_type;
    bool by_filter, zero;
    const char *why;
};

Test(integers, convolve)
{
    static const struct filters rows[] = {
        {KILN_I8, KILN_U8, true, false, "a scale for each filter"},
        {KILN_I8, KILN_I8, false, false, "one scale"},
        {KILN_U8, KILN_U8, true, true, "zero points of filters"},
    };
    for (size_t k = 0; k < KILN_COUNT(rows); k++) {
        kiln_graph *g = plan_graph();
        const kiln_shape shape = KILN_SHAPE(BATCH, CHANNELS, SIZE, SIZE);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, CHANNELS, SIZE, SIZE));
        const kiln_tensor zero = rows[k].zero ? bytes(g, rows[k].type, KILN_SHAPE(FILTERS)) : KILN_NONE;
        const kiln_tensor w = kiln_dequantize(g, bytes(g, rows[k].type, KILN_SHAPE(FILTERS, CHANNELS, 3, 3)),
                                              scales(g, rows[k].by_filter ? FILTERS : 1), zero, NULL);
        const kiln_tensor y =
            kiln_relu(g, kiln_conv(g, coarse(g, x, rows[k].x_type, false), w, scales(g, FILTERS),
                                   &(kiln_conv_params){.pad = {{1, 1}, {1, 1}}}));
        expect_integers(g, x, shape, y, rows[k].why);
        kiln_graph_destroy(&g);
    }
}

Test(integers, multiply_matrices)
{
    for (int transposed = 0; transposed < 2; transposed++) {
        kiln_graph *g = plan_graph();
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, CHANNELS));
        const kiln_shape shape = transposed ? KILN_SHAPE(FILTERS, CHANNELS) : KILN_SHAPE(CHANNELS, FILTERS);
        const kiln_tensor w = kiln_dequantize(g, bytes(g, KILN_I8, shape), scales(g, FILTERS), KILN_NONE,
                                              &(kiln_quantize_params){.axis = !transposed});
        const kiln_tensor y =
            kiln_matmul(g, coarse(g, x, KILN_U8, false), w, &(kiln_matmul_params){.transpose_b = transposed});
        expect_integers(g, x, KILN_SHAPE(BATCH, CHANNELS), y, transposed ? "transposed" : "as it is");
        kiln_graph_destroy(&g);
    }
}

Test(integers, leave_alone_what_they_do_not_say_or_do_not_pay_for)
{
    kiln_graph *g = plan_graph();
    const kiln_shape shape = KILN_SHAPE(BATCH, CHANNELS, SIZE, SIZE);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, CHANNELS, SIZE, SIZE));
    const kiln_tensor few =
        kiln_dequantize(g, bytes(g, KILN_I8, KILN_SHAPE(CHANNELS, 1, 3, 3)), scales(g, 1), KILN_NONE, NULL);
    const kiln_tensor w = kiln_dequantize(g, bytes(g, KILN_I8, KILN_SHAPE(FILTERS, CHANNELS, 3, 3)),
                                          scales(g, 1), KILN_NONE, NULL);
    const kiln_tensor each =
        kiln_dequantize(g, bytes(g, KILN_I8, KILN_SHAPE(FILTERS, CHANNELS, 1, 1)), scales(g, CHANNELS),
                        KILN_NONE, &(kiln_quantize_params){.axis = 1});
    const kiln_tensor q = coarse(g, x, KILN_U8, false);
    expect_reals(g, x, shape, kiln_conv(g, coarse(g, x, KILN_I8, true), w, KILN_NONE, NULL), false,
                 "a scale for each channel of x");
    expect_reals(g, x, shape, kiln_conv(g, q, each, KILN_NONE, NULL), false, "a scale for each channel of w");
    expect_reals(g, x, shape, kiln_conv(g, x, w, KILN_NONE, NULL), false, "x as it is");
    expect_reals(g, x, shape, kiln_conv(g, q, w, KILN_NONE, NULL), true, "a program that trains");
    expect_reals(g, x, shape, kiln_conv(g, q, few, KILN_NONE, &(kiln_conv_params){.groups = CHANNELS}), false,
                 "depthwise");
    kiln_graph_destroy(&g);
}
