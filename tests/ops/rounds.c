/*
 * rounds.c - loops that go around more often than a driver may let them (kiln_caps.max_rounds): llvmpipe leaves a shader's loops for
 * good after 65,535 rounds, without a word.
 *
 * What is summed here is long enough for that, along the axes that programs make long: terms of a product and rows behind its
 * gradient, steps of a recurrent network, keys, windows and channels.
 */
#include "base/lines.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

static kiln_tensor product(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_matmul(g, kiln_test_input(g, KILN_SHAPE(5, 70001)), kiln_test_input(g, KILN_SHAPE(70001, 3)),
                       NULL);
}

/* Of a batch, with an epilogue. */
static kiln_tensor products(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor y = kiln_matmul(g, kiln_test_input(g, KILN_SHAPE(2, 3, 65537)),
                                      kiln_test_input(g, KILN_SHAPE(2, 65537, 4)), NULL);
    return kiln_relu(g, kiln_add(g, y, kiln_test_input(g, KILN_SHAPE(4))));
}

/* Its gradient by the second operand sums over the rows. */
static kiln_tensor tall(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_matmul(g, kiln_test_input(g, KILN_SHAPE(131072, 4)), kiln_test_input(g, KILN_SHAPE(4, 3)),
                       NULL);
}

static kiln_tensor taps(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_conv(g, kiln_test_input(g, KILN_SHAPE(2, 1031, 9, 10)),
                     kiln_test_input(g, KILN_SHAPE(3, 1031, 9, 9)), kiln_test_input(g, KILN_SHAPE(3)), NULL);
}

static kiln_tensor places(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_conv(g, kiln_test_input(g, KILN_SHAPE(3, 2, 257, 129)),
                     kiln_test_input(g, KILN_SHAPE(3, 2, 3, 3)), KILN_NONE, NULL);
}

static kiln_tensor gru(kiln_graph *g, const void *one_case)
{
    enum { STEPS = 500, HIDDEN = 128 };
    (void)one_case;
    const kiln_recurrent_weights w = {
        .input = kiln_test_input_in(g, KILN_SHAPE(3 * HIDDEN, 2), -0.1, 0.1),
        .hidden = kiln_test_input_in(g, KILN_SHAPE(3 * HIDDEN, HIDDEN), -0.1, 0.1),
    };
    return kiln_gru(g, kiln_test_input(g, KILN_SHAPE(STEPS, 1, 2)), &w, &(kiln_recurrent_params){0}, NULL);
}

/* As many steps as one dispatch may take, by its count of rounds. */
static kiln_tensor lstm(kiln_graph *g, const void *one_case)
{
    enum { STEPS = 400, HIDDEN = 64 };
    (void)one_case;
    const kiln_recurrent_weights w = {
        .input = kiln_test_input_in(g, KILN_SHAPE(4 * HIDDEN, 2), -0.1, 0.1),
        .hidden = kiln_test_input_in(g, KILN_SHAPE(4 * HIDDEN, HIDDEN), -0.1, 0.1),
    };
    return kiln_lstm(g, kiln_test_input(g, KILN_SHAPE(STEPS, 9, 2)), &w, &(kiln_recurrent_params){0}, NULL);
}

static kiln_tensor keys(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor all = kiln_test_input(g, KILN_SHAPE(1, 1, 4096, 32));
    return kiln_attention(g, kiln_test_input(g, KILN_SHAPE(1, 1, 3, 32)), all, all, NULL);
}

static kiln_tensor window(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_average_pool(g, kiln_test_input(g, KILN_SHAPE(1, 1, 201, 251)),
                             &(kiln_pool_params){.size = {200, 250}});
}

static kiln_tensor column(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_softmax(g, kiln_test_input(g, KILN_SHAPE(30011, 33)), 0);
}

/* Float32 rounds each of some 100,000 additions by up to 6e-8 of the sum so far; of random signs, 1e-5 of the largest result. */
#define EVERYWHERE(name, gradient)                                    \
    Test(rounds, name##_on_every_device)                              \
    {                                                                 \
        kiln_expect_devices_agree(name, NULL, gradient, 5e-5, #name); \
    }
EVERYWHERE(product, true)
EVERYWHERE(products, true)
EVERYWHERE(tall, true)
EVERYWHERE(taps, true)
EVERYWHERE(places, true)
EVERYWHERE(gru, true)
EVERYWHERE(lstm, true)
EVERYWHERE(keys, true)
EVERYWHERE(window, false)
EVERYWHERE(column, true)

/* A window is not divided: where it is too large for a driver, no result is better than part of one. */
Test(rounds, what_no_kernel_gets_through_is_refused)
{
    kiln_graph *g = NULL;
    kiln_program *p = NULL;
    kiln_weights *weights = NULL;
    catch_lines();
    setenv("KILN_LIMITS", "max_rounds=1000", 1);
    kiln_device *dev = kiln_test_open("null");
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 1, 50, 50));
    const kiln_tensor y = kiln_average_pool(g, x, &(kiln_pool_params){.size = {50, 50}});
    cr_assert_eq(kiln_weights_create(&weights, g, NULL), KILN_OK);
    cr_expect_eq(kiln_program_create(&p, dev, g, weights, &(kiln_program_params){.run = KILN_RUN(y)}),
                 KILN_ERROR_UNSUPPORTED);
    cr_expect(strstr(lines.newest, "loops") != NULL, "%s", lines.newest);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}
