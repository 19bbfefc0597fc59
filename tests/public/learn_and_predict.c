/* learn_and_predict.c - one graph compiled to learn and to predict, on one store: what is prepared from the weights follows
 * every step, also in the ways that a tuner chose; and a second graph reads the same weights by name. */
#include "expect.h"

static kiln_tensor network(kiln_graph *g, kiln_tensor x)
{
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}, .name = "conv"});
    x = kiln_relu(g, kiln_nn_batch_norm(g, x, &(kiln_nn_batch_norm_params){.name = "norm"}));
    x = kiln_dropout(g, x, 0.25);
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 3, .name = "out"});
}

/* Neither steps nor keeps anything beyond the device. */
static void tune(kiln_program *p)
{
    const kiln_tune_params params = {.budget = 5, .again = true, .forget = true};
    kiln_tune_report report;
    TRY(kiln_program_tune(p, &params, &report));
    EXPECT(report.wrong == 0);
}

static void follow(const char *device, bool tuned)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL;
    kiln_program *learn = NULL, *predict = NULL, *fresh = NULL, *other = NULL;
    float x[6 * 36], scores[6 * 3], expected[6 * 3], foreign[6 * 3];
    int32_t label[6] = {0, 1, 2, 0, 1, 2};
    fill(x, 6 * 36, 5);

    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 6, 6));
    kiln_tensor target = kiln_input(g, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor out = network(g, in), loss = kiln_cross_entropy(g, out, target);
    kiln_tensor step = kiln_minimize(g, loss, &(kiln_minimize_params){.by = KILN_MOMENTUM, .rate = 0.1});
    TRY(kiln_weights_create(&w, g, &(kiln_weights_params){.seed = 3}));
    TRY(kiln_program_create(&learn, dev, g, w,
                            &(kiln_program_params){.run = KILN_RUN(step, loss), .train = true}));
    TRY(kiln_program_create(&predict, dev, g, w, &(kiln_program_params){.run = KILN_RUN(out)}));
    TRY(kiln_program_write(learn, in, FLOATS(x, 6, 1, 6, 6)));
    TRY(kiln_program_write(learn, target, INTS(label, 6)));
    TRY(kiln_program_write(predict, in, FLOATS(x, 6, 1, 6, 6)));
    if (tuned) {
        tune(learn);
        tune(predict);
    }
    for (int i = 0; i < 3; i++) {
        TRY(kiln_program_run(learn));
        TRY(kiln_program_run(predict));
        TRY(kiln_program_read(predict, out, INTO(scores)));
        TRY(kiln_program_create(&fresh, dev, g, w, &(kiln_program_params){.run = KILN_RUN(out)}));
        TRY(kiln_program_write(fresh, in, FLOATS(x, 6, 1, 6, 6)));
        TRY(kiln_program_run(fresh));
        TRY(kiln_program_read(fresh, out, INTO(expected)));
        EXPECT(!memcmp(scores, expected, sizeof scores));
        kiln_program_destroy(&fresh);
    }
    EXPECT(read_scalar(learn, loss) < 2);

    TRY(kiln_graph_create(&again, NULL));
    kiln_tensor in2 = kiln_input(again, "picture", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 6, 6));
    kiln_tensor out2 = network(again, in2);
    TRY(kiln_program_create(&other, dev, again, w, &(kiln_program_params){.run = KILN_RUN(out2)}));
    TRY(kiln_program_write(other, in2, FLOATS(x, 6, 1, 6, 6)));
    TRY(kiln_program_run(other));
    TRY(kiln_program_read(other, out2, INTO(foreign)));
    EXPECT(!memcmp(scores, foreign, sizeof scores));

    kiln_program_destroy(&learn);
    kiln_program_destroy(&predict);
    kiln_program_destroy(&other);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
    kiln_device_close(&dev);
}

static void run(const char *device)
{
    follow(device, false);
    follow(device, true);
}

int main(void)
{
    return expect_on_devices(run);
}
