/* planted_bug.c - a whole network is gradient-checked in float64, and a wrong gradient is found by the parameter's name. */
#include "expect.h"

/* y = 2 x with a gradient of 3: an operator of the application, wrong on purpose, made of operators that are right. */
static kiln_tensor forward(kiln_graph *g, kiln_tensor x, bool wrong)
{
    kiln_tensor honest = kiln_scale(g, x, 2);
    return wrong ? kiln_add(g, kiln_scale(g, x, 3), kiln_stop_gradient(g, kiln_neg(g, x))) : honest;
}

static void run(const char *device)
{
    float x[4 * 3], y[4];
    fill(x, 12, 8);
    fill(y, 4, 9);
    (void)device;
    for (int wrong = 0; wrong < 2; wrong++) {
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        char worst[64] = "";
        double error = -1;
        TRY(kiln_graph_create(&g, NULL));
        kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
        kiln_tensor want = kiln_input(g, "y", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
        kiln_tensor h = kiln_nn_dense(g, in, &(kiln_nn_dense_params){.units = 8, .name = "first"});
        h = kiln_tanh(g, forward(g, h, wrong));
        h = kiln_nn_dense(g, h, &(kiln_nn_dense_params){.units = 1, .name = "second"});
        kiln_tensor loss = kiln_mean_squared_error(g, h, want);
        TRY(kiln_weights_create(&w, g, NULL));
        const kiln_array inputs[] = {*FLOATS(x, 4, 3), *FLOATS(y, 4, 1)};
        const kiln_check_params params = {.inputs = inputs,
                                          .input_count = 2,
                                          .train = true,
                                          .worst = worst,
                                          .worst_bytes = sizeof worst,
                                          .error = &error};
        expect_quiet(wrong);
        EXPECT((kiln_check_gradient(g, w, loss, &params) == KILN_OK) == !wrong);
        EXPECT(wrong ? error > 0.1 : error < 1e-6);
        EXPECT(!wrong || !strncmp(worst, "first.", 6));
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
    expect_quiet(0);
}

int main(void)
{
    return expect_on_devices(run);
}
