/* accumulate.c - four batches gathered by kiln_backward and one kiln_update equal one large batch; a group is frozen, another
 * has its own rate; an all-reduce fits between the two halves. */
#include "expect.h"

enum { PARTS = 4, ROWS = 8 };

static kiln_tensor network(kiln_graph *g, kiln_tensor x, kiln_tensor y)
{
    kiln_tensor h = kiln_tanh(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 16, .name = "hidden"}));
    kiln_tensor out = kiln_nn_dense(g, h, &(kiln_nn_dense_params){.units = 1, .name = "out"});
    return kiln_mean_squared_error(g, out, y);
}

static const kiln_param_group groups[] = {{.match = "hidden.bias", .frozen = true},
                                          {.match = "out.*", .rate = 0.5}};

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *parts = NULL, *whole = NULL, *start = NULL;
    kiln_program *gather = NULL, *update = NULL, *once = NULL;
    float x[PARTS * ROWS * 5], y[PARTS * ROWS], chunk[4096];
    fill(x, PARTS * ROWS * 5, 3);
    fill(y, PARTS * ROWS, 4);

    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 5));
    kiln_tensor want = kiln_input(g, "y", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
    kiln_tensor loss = network(g, in, want);
    kiln_minimize_params params = {.by = KILN_ADAM, .rate = 0.01, .groups = groups, .group_count = 2};
    kiln_tensor step = kiln_minimize(g, loss, &params);
    params.scale =
        1.0 / PARTS; /* the same optimizer in two halves: they share its step, whichever a program runs */
    kiln_tensor backward = kiln_backward(g, loss, &params), apply = kiln_update(g, &params);
    TRY(kiln_weights_create(&parts, g, NULL));
    TRY(kiln_weights_create(&whole, g, NULL));
    TRY(kiln_weights_create(&start, g, NULL));
    TRY(kiln_program_create(&gather, dev, g, parts,
                            &(kiln_program_params){.run = KILN_RUN(backward), .train = true}));
    TRY(kiln_program_create(&update, dev, g, parts,
                            &(kiln_program_params){.run = KILN_RUN(apply), .train = true}));
    TRY(kiln_program_create(&once, dev, g, whole,
                            &(kiln_program_params){.run = KILN_RUN(step), .train = true}));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PARTS; i++) {
            TRY(kiln_program_write(gather, in, FLOATS(x + i * ROWS * 5, ROWS, 5)));
            TRY(kiln_program_write(gather, want, FLOATS(y + i * ROWS, ROWS, 1)));
            TRY(kiln_program_run(gather));
        }
        for (int c = 0; c < kiln_weights_gradient_chunks(parts); c++) { /* where MPI would sum */
            EXPECT(kiln_weights_gradient_count(parts, c) <= 4096);
            TRY(kiln_weights_gradient_read(parts, c, chunk));
            TRY(kiln_weights_gradient_write(parts, c, chunk));
        }
        TRY(kiln_program_run(update));
        TRY(kiln_program_write(once, in, FLOATS(x, PARTS * ROWS, 5)));
        TRY(kiln_program_write(once, want, FLOATS(y, PARTS * ROWS, 1)));
        TRY(kiln_program_run(once));
    }
    EXPECT(weights_apart(parts, whole, "hidden.weight") < 2e-5);
    EXPECT(weights_apart(parts, whole, "out.weight") < 2e-5);
    EXPECT(weights_apart(parts, start, "hidden.weight") > 1e-3);
    EXPECT(weights_apart(parts, start, "hidden.bias") == 0);

    kiln_program_destroy(&gather);
    kiln_program_destroy(&update);
    kiln_program_destroy(&once);
    kiln_weights_destroy(&parts);
    kiln_weights_destroy(&whole);
    kiln_weights_destroy(&start);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
