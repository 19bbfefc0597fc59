/* gradient_by_input.c - saliency: the gradient by an input, beside a frozen network; and the gradient of a gradient. */
#include "expect.h"

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    float x[5], slope[5], bend[5];
    fill(x, 5, 7);

    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(5)), first, second;
    kiln_tensor y = kiln_sum(g, kiln_mul(g, kiln_tanh(g, in), in), NULL); /* f = sum x tanh x */
    kiln_gradient(g, y, KILN_NONE, &in, 1, &first);
    kiln_gradient(g, kiln_sum(g, first, NULL), KILN_NONE, &in, 1, &second);
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(first, second)}));
    TRY(kiln_program_write(p, in, FLOATS(x, 5)));
    TRY(kiln_program_run(p));
    TRY(kiln_program_read(p, first, INTO(slope)));
    TRY(kiln_program_read(p, second, INTO(bend)));
    for (int i = 0; i < 5; i++) {
        const double t = tanh(x[i]), d = 1 - t * t;
        EXPECT_NEAR(slope[i], t + x[i] * d, 1e-5);
        EXPECT_NEAR(bend[i], 2 * d - 2 * x[i] * t * d, 1e-5);
    }

    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
