/* two_optimizers.c - adversarial training: two losses, two optimizers, each moving its own parameters in one run. */
#include "expect.h"

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL, *start = NULL;
    kiln_program *both = NULL, *first = NULL;
    float noise[8 * 4], real[8 * 6];
    fill(noise, 8 * 4, 1);
    fill(real, 8 * 6, 2);

    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor z = kiln_input(g, "noise", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    kiln_tensor x = kiln_input(g, "real", KILN_F32, KILN_SHAPE(KILN_BATCH, 6));
    kiln_scope_open(g, "generator");
    kiln_tensor fake = kiln_nn_dense(g, z, &(kiln_nn_dense_params){.units = 6, .name = "out"});
    kiln_scope_close(g);
    kiln_scope_open(g, "critic");
    kiln_tensor scores_fake = kiln_nn_dense(g, fake, &(kiln_nn_dense_params){.units = 1, .name = "out"});
    kiln_tensor scores_real = kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 1, .name = "out"});
    kiln_scope_close(g);
    kiln_tensor zero = kiln_zeros_like(g, scores_fake), one = kiln_ones_like(g, scores_fake);
    kiln_tensor critic = kiln_add(g, kiln_binary_cross_entropy(g, scores_real, one),
                                  kiln_binary_cross_entropy(g, scores_fake, zero));
    kiln_tensor fool = kiln_binary_cross_entropy(g, scores_fake, one);
    kiln_tensor a =
        kiln_minimize(g, critic, &(kiln_minimize_params){.by = KILN_ADAM, .only = "critic.*", .name = "a"});
    kiln_tensor b = kiln_minimize(
        g, fool, &(kiln_minimize_params){.by = KILN_SGD, .rate = 0.1, .only = "generator.*", .name = "b"});
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_weights_create(&start, g, NULL));
    TRY(kiln_program_create(&first, dev, g, w, &(kiln_program_params){.run = KILN_RUN(a), .train = true}));
    TRY(kiln_program_write(first, z, FLOATS(noise, 8, 4)));
    TRY(kiln_program_write(first, x, FLOATS(real, 8, 6)));
    TRY(kiln_program_run(first));
    EXPECT(weights_apart(w, start, "critic.out.weight") > 1e-4);
    EXPECT(weights_apart(w, start, "generator.out.weight") == 0);

    TRY(kiln_program_create(&both, dev, g, w,
                            &(kiln_program_params){.run = KILN_RUN(a, b, critic, fool), .train = true}));
    TRY(kiln_program_write(both, z, FLOATS(noise, 8, 4)));
    TRY(kiln_program_write(both, x, FLOATS(real, 8, 6)));
    TRY(kiln_program_run(both));
    EXPECT(weights_apart(w, start, "generator.out.weight") > 1e-4);
    EXPECT(isfinite(read_scalar(both, critic)) && read_scalar(both, fool) > 0);

    kiln_program_destroy(&first);
    kiln_program_destroy(&both);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&start);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
