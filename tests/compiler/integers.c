/* integers.c - products of dequantized bytes become products of integers where a device multiplies these fast, and say the same. */
#include <math.h>

#include <kiln/kiln.h>
#include <kiln/quantize.h>

#include "compiler/plans.h"
#include "ops/chain.h"

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
    const int count = count_nodes(d.plan, "conv_integer") + count_nodes(d.plan, "conv_integer_last") +
                      count_nodes(d.plan, "matmul_integer");
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
        kiln_dequantize(g, bytes(g, KILN_I8, KILN_SHAPE(CHANNELS, 2, 3, 3)), scales(g, 1), KILN_NONE, NULL);
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
    expect_reals(g, x, shape, kiln_conv(g, q, few, KILN_NONE, &(kiln_conv_params){.groups = CHANNELS / 2}),
                 false, "two channels a group");
    kiln_graph_destroy(&g);
}

/* What follows products --------------------------------------------------------------------------------------- */

/* The chain that a product of integers ends with; NULL: none. */
static const kiln_chain *finish_of(const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->graph->node.count; i++)
        if (plan->graph->node.data[i]->op->flags & KILN_OP_FINISH)
            return plan->graph->node.data[i]->epilogue;
    return NULL;
}

/* What a program on the CPU gives for y, and for the sum if it is asked for as well: nothing is fused behind that. */
static void run_with(const kiln_graph *g, kiln_tensor x, kiln_shape shape, kiln_tensor y, kiln_tensor sum,
                     float got[MOST])
{
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y, sum), false);
    cr_expect_eq(finish_of(d.plan) != NULL, sum.id == 0);
    write_input(d.p, x, shape);
    cr_assert_eq(kiln_program_run(d.p), KILN_OK);
    cr_assert_eq(kiln_program_read(d.p, y, &(kiln_array){.data = got, .bytes = MOST * sizeof *got}), KILN_OK);
    planned_finish(&d);
}

/* As one dispatch and as two: the same bits. */
static void expect_finish(const kiln_graph *g, kiln_tensor x, kiln_shape shape, kiln_tensor y,
                          kiln_tensor sum, const char *why)
{
    float one[MOST] = {0}, two[MOST] = {0};
    int different = 0;
    run_with(g, x, shape, y, KILN_NONE, one);
    run_with(g, x, shape, y, sum, two);
    for (int i = 0; i < MOST; i++) {
        cr_expect(one[i] == two[i], "%s: element %d is %g, wanted %g", why, i, one[i], two[i]);
        different += one[i] != one[0];
    }
    cr_expect_gt(different, 10, "%s: nothing to compare", why);
}

static const struct finish {
    bool more, plus, relu, rounds, zero, by_filter, turned, other;
    kiln_type type;
    const char *why;
} finishes[] = {
    {.by_filter = true, .why = "scaled"},
    {.plus = true, .relu = true, .why = "scaled by one number, with a bias and relu"},
    {.more = true, .rounds = true, .zero = true, .by_filter = true, .type = KILN_U8, .why = "QOperator's"},
    {.plus = true, .relu = true, .rounds = true, .by_filter = true, .type = KILN_U8, .why = "QDQ's"},
    {.plus = true, .rounds = true, .zero = true, .by_filter = true, .type = KILN_I8, .why = "signed bytes"},
    {.rounds = true, .type = KILN_I16, .why = "16 bits"},
    {.relu = true,
     .rounds = true,
     .by_filter = true,
     .turned = true,
     .type = KILN_U8,
     .why = "one scale each"},
    {.plus = true, .rounds = true, .by_filter = true, .other = true, .type = KILN_U8, .why = "other steps"},
};

/* Numbers of filters as they broadcast to y: one is not a number, one negative. */
static kiln_tensor along(kiln_graph *g, kiln_type type, int filters, bool channels)
{
    float real[FILTERS];
    int32_t whole[FILTERS];
    for (int i = 0; i < filters; i++) {
        real[i] = i == 1 ? NAN : 0.0004f * (float)(i - 3);
        whole[i] = 700 * i - 2100;
    }
    return kiln_constant(g, &(kiln_array){.type = type,
                                          .shape = channels ? KILN_SHAPE(filters, 1, 1) : KILN_SHAPE(filters),
                                          .data = type == KILN_F32 ? (void *)real : (void *)whole});
}

static kiln_tensor finish(kiln_graph *g, const struct finish *f, kiln_tensor y, int filters, bool channels)
{
    if (f->more)
        y = kiln_add(g, y, along(g, KILN_I32, filters, channels));
    y = kiln_cast(g, y, KILN_F32);
    y = kiln_mul(g, f->by_filter ? along(g, KILN_F32, filters, channels) : y,
                 f->by_filter ? y : kiln_scalar(g, KILN_F32, 0.0003));
    if (f->plus)
        y = kiln_add(g, y, kiln_scale(g, along(g, KILN_F32, filters, channels), 30));
    if (f->relu)
        y = kiln_relu(g, y);
    if (f->other)
        y = kiln_tanh(g, y);
    if (!f->rounds)
        return kiln_where(g, kiln_equal(g, y, y), y, kiln_scalar(g, KILN_F32, 5)); /* not a number */
    const kiln_shape shape = channels ? KILN_SHAPE(filters, 1, 1) : KILN_SHAPE(filters);
    y = kiln_round(g, kiln_div(g, y,
                               f->turned ? kiln_reshape(g, scales(g, filters), shape)
                                         : kiln_scalar(g, KILN_F32, 0.005)));
    if (f->zero)
        y = kiln_add(g, y, kiln_scalar(g, KILN_F32, 3));
    return kiln_cast(g, kiln_cast(g, y, f->type), KILN_F32); /* as what is read */
}

Test(integers, take_their_sums_through_a_chain)
{
    const kiln_shape pictures = KILN_SHAPE(BATCH, CHANNELS, SIZE, SIZE), rows = KILN_SHAPE(BATCH, CHANNELS);
    for (size_t k = 0; k < KILN_COUNT(finishes); k++) {
        kiln_graph *g = plan_graph();
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, CHANNELS, SIZE, SIZE));
        const kiln_tensor q = kiln_quantize(g, x, scales(g, 1), KILN_NONE, KILN_I8, NULL);
        const kiln_tensor w = bytes(g, KILN_I8, KILN_SHAPE(FILTERS, CHANNELS, 3, 3));
        const kiln_tensor sum = kiln_conv_integer(g, q, w, KILN_NONE, KILN_NONE, NULL);
        expect_finish(g, x, pictures, finish(g, &finishes[k], sum, FILTERS, true), sum, finishes[k].why);
        kiln_graph_destroy(&g);

        g = plan_graph();
        const kiln_tensor v = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, CHANNELS));
        const kiln_tensor p = kiln_quantize(g, v, scales(g, 1), KILN_NONE, KILN_I8, NULL);
        const kiln_tensor product =
            kiln_matmul_integer(g, p, bytes(g, KILN_I8, KILN_SHAPE(CHANNELS, FILTERS)), KILN_NONE, KILN_NONE,
                                NULL);
        expect_finish(g, v, rows, finish(g, &finishes[k], product, FILTERS, false), product, finishes[k].why);
        kiln_graph_destroy(&g);
    }
}

/* Quantized, convolved, quantized and convolved: bytes lie between, and no dispatch is in between but transposes around both. */
Test(integers, leave_bytes_for_the_next_product)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_U8, KILN_SHAPE(KILN_BATCH, CHANNELS, SIZE, SIZE));
    const kiln_tensor one = scales(g, 1), zero = kiln_cast(g, kiln_scalar(g, KILN_I32, 3), KILN_U8);
    const kiln_tensor w =
        kiln_dequantize(g, bytes(g, KILN_I8, KILN_SHAPE(CHANNELS, CHANNELS, 1, 1)), one, KILN_NONE, NULL);
    kiln_tensor y = x;
    for (int i = 0; i < 2; i++) {
        y = kiln_conv(g, kiln_dequantize(g, y, one, i ? KILN_NONE : zero, NULL), w, scales(g, CHANNELS),
                      NULL);
        y = kiln_quantize(g, i ? y : kiln_relu(g, y), one, i ? zero : KILN_NONE, KILN_U8, NULL);
    }
    kiln_device *dev = kiln_test_open("cpu");
    dev->caps.dot = true;
    struct planned d = plan_on(dev, g, KILN_RUN(y), false);
    int prologue = 0;
    for (int i = 0; i < d.plan->step.count; i++)
        prologue += d.plan->step.data[i].prologue;
    cr_expect_eq(count_dispatches(d.plan, "conv_panels"), 2);
    cr_expect_eq(count_dispatches(d.plan, "turn_bytes"), 2);
    cr_expect_eq(d.plan->step.count - prologue, 4, "%d steps in each run", d.plan->step.count - prologue);
    const struct kiln_step *last = &d.plan->step.data[d.plan->step.count - 2];
    cr_expect_eq(last->dispatch->bytes, 1u << 0 | 1u << 4);
    cr_expect_eq(last->touch[4].bytes, (uint64_t)BATCH * CHANNELS * SIZE * SIZE);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
