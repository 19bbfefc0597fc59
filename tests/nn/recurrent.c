/* recurrent.c - recurrent layers: the names of their weights, and a stack by PyTorch's numbers. */
#include <stdlib.h>

#include "nn/named.h"
#include "support/golden.h"

Test(recurrent_layers, declare_their_weights_as_pytorch_does)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(kiln_dim(g, "length"), KILN_BATCH, 5));
    kiln_recurrent_states last;
    kiln_tensor y = kiln_nn_lstm(
        g, x, &(kiln_nn_recurrent_params){.units = 6, .layers = 2, .cell = {.direction = KILN_BIDIRECTIONAL}},
        &last);
    y = kiln_nn_gru(g, y, &(kiln_nn_recurrent_params){.units = 3, .no_bias = true, .name = "top"}, NULL);
    y = kiln_nn_rnn(g, y, &(kiln_nn_recurrent_params){.units = 2, .cell = {.f = {KILN_SQUASH_RELU}}}, NULL);

    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    expect_named(g, "lstm1.weight_ih_l0", KILN_SHAPE(24, 5));
    expect_named(g, "lstm1.weight_hh_l0_reverse", KILN_SHAPE(24, 6));
    expect_named(g, "lstm1.weight_ih_l1", KILN_SHAPE(24, 12));
    expect_named(g, "lstm1.bias_hh_l1_reverse", KILN_SHAPE(24));
    expect_named(g, "top.weight_hh_l0", KILN_SHAPE(9, 3));
    expect_named(g, "rnn1.bias_ih_l0", KILN_SHAPE(2));
    cr_expect_eq(kiln_find(g, "top.bias_ih_l0").id, 0);
    const kiln_shape h = kiln_tensor_shape(g, last.h), wanted = KILN_SHAPE(4, KILN_BATCH, 6);
    cr_expect(kiln_shape_equal(&h, &wanted));
    kiln_graph_destroy(&g);
}

static kiln_tensor constant(kiln_graph *g, const kiln_safetensors *file, const char *name)
{
    const kiln_array values = kiln_golden_find(file, "lstm_two_layers", name);
    return kiln_cast(g, kiln_constant(g, &values), KILN_F32);
}

/* A layer called by the case's name takes its weights from the file. */
Test(recurrent_layers, stacked_are_those_of_pytorch)
{
    kiln_safetensors *file = kiln_golden_open("recurrent.safetensors");
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_nn_recurrent_params params = {
        .units = 4,
        .layers = 2,
        .cell = {.direction = KILN_BIDIRECTIONAL,
                 .initial = {constant(g, file, "h0"), constant(g, file, "c0")}},
        .name = "lstm",
    };
    const kiln_tensor y = kiln_nn_lstm(g, constant(g, file, "x"), &params, NULL);
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK, "%s", kiln_graph_error(g));
    for (int i = 0; i < kiln_graph_parameter_count(g); i++) {
        const char *name = kiln_tensor_name(g, kiln_graph_parameter(g, i));
        const kiln_array values = kiln_golden_find(file, "lstm_two_layers", name + sizeof "lstm." - 1);
        cr_assert_eq(kiln_weights_write(w, name, &values), KILN_OK);
    }
    cr_assert_eq(kiln_program_create(&p, dev, g, w,
                                     &(kiln_program_params){.run = (kiln_tensor[]){y, KILN_NONE},
                                                            .precision = 1}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    double got[5 * 4 * 8];
    kiln_array to = {.data = got, .bytes = sizeof got, .type = KILN_F64};
    cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK);
    const kiln_array recorded = kiln_golden_find(file, "lstm_two_layers", "y");
    kiln_expect_close(got, recorded.data, KILN_COUNT(got), 1e-12, "two layers, both ways");
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
    kiln_safetensors_close(&file);
}
