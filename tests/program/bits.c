/* bits.c - the same seed gives the same bits: twice on one device, and with any number of threads. */
#include "program/rig.h"
#include "support/nets.h"

enum { BATCH = 16, STEPS = 6 };

/* Train and compute a hash of every tensor of the weights and of the losses. */
static uint64_t train(const char *device, int threads, kiln_tensor network(kiln_graph *g, kiln_tensor x))
{
    struct kiln_test_learner l =
        kiln_test_learner(network, &(kiln_minimize_params){.by = KILN_ADAM, .clip_norm = 1});
    kiln_device *dev = NULL;
    double loss[STEPS];
    if (threads)
        TRY(kiln_device_open(&dev, &(kiln_device_params){.name = device, .threads = threads}));
    else
        dev = kiln_test_open(device);
    kiln_program *p = new_program(dev, l.g, l.weights, KILN_RUN(l.step, l.loss), true);
    kiln_test_train(&l, p, BATCH, STEPS, loss);
    const uint64_t hash = kiln_test_bits(&l, loss, STEPS);
    kiln_program_destroy(&p);
    kiln_test_learner_finish(&l);
    kiln_test_close(&dev);
    return hash;
}

Test(bits, training_twice_gives_the_same_ones_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++) {
        const char *device = kiln_test_device(d);
        cr_expect_eq(train(device, 0, kiln_test_noisy), train(device, 0, kiln_test_noisy), "%s", device);
        cr_expect_eq(train(device, 0, kiln_test_lenet), train(device, 0, kiln_test_lenet), "%s", device);
    }
}

Test(bits, one_two_and_three_threads_give_the_same_ones)
{
    const uint64_t noisy = train("cpu", 1, kiln_test_noisy), lenet = train("cpu", 1, kiln_test_lenet);
    for (int threads = 2; threads <= 3; threads++) {
        cr_expect_eq(train("cpu", threads, kiln_test_noisy), noisy, "%d threads", threads);
        cr_expect_eq(train("cpu", threads, kiln_test_lenet), lenet, "%d threads", threads);
    }
    setenv("KILN_THREADS", "2", 1);
    cr_expect_eq(train("cpu", 0, kiln_test_noisy), noisy);
}

Test(bits, a_random_stream_moves_on_in_training_alone_and_can_be_set_back)
{
    kiln_graph *g = new_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1000)), y = kiln_dropout(g, x, 0.5);
    static float ones[1000], first[1000], second[1000], again[1000];
    int32_t before[2];
    for (int i = 0; i < 1000; i++)
        ones[i] = 1;
    kiln_weights *w = new_weights(g, 8);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *learn = new_program(dev, g, w, KILN_RUN(y), true),
                     *use = new_program(dev, g, w, KILN_RUN(y), false);
        TRY(kiln_program_write(learn, x, FLOATS(ones, 1000)));
        TRY(kiln_program_write(use, x, FLOATS(ones, 1000)));
        TRY(kiln_weights_read(w, kiln_weights_name(w, 0), INTO(before)));
        TRY(kiln_program_run(learn));
        TRY(kiln_program_read(learn, y, INTO(first)));
        TRY(kiln_program_run(use));
        TRY(kiln_program_read(use, y, INTO(second)));
        cr_expect_eq(memcmp(second, ones, sizeof ones), 0, "nothing is dropped outside of training");
        TRY(kiln_program_run(learn));
        TRY(kiln_program_read(learn, y, INTO(second)));
        cr_expect_neq(memcmp(first, second, sizeof first), 0);
        TRY(kiln_weights_write(w, kiln_weights_name(w, 0),
                               &(kiln_array){.data = before, .type = KILN_I32, .shape = KILN_SHAPE(2)}));
        TRY(kiln_program_run(learn));
        TRY(kiln_program_read(learn, y, INTO(again)));
        cr_expect_eq(memcmp(first, again, sizeof first), 0);
        kiln_program_destroy(&learn);
        kiln_program_destroy(&use);
        kiln_test_close(&dev);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(bits, running_statistics_move_in_training_alone)
{
    kiln_graph *g = new_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(4, 1)), y = kiln_nn_batch_norm(g, x, NULL);
    const float values[] = {1, 2, 3, 6};
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_weights *w = new_weights(g, 8);
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *learn = new_program(dev, g, w, KILN_RUN(y), true),
                     *use = new_program(dev, g, w, KILN_RUN(y), false);
        TRY(kiln_program_write(learn, x, FLOATS(values, 4, 1)));
        TRY(kiln_program_write(use, x, FLOATS(values, 4, 1)));
        TRY(kiln_program_run(use));
        cr_expect(fabsf(result(use, y) - 1) < 1e-4f && weight(w, "norm1.running_mean") == 0);
        TRY(kiln_program_run(learn));
        cr_expect(fabsf(result(learn, y) + 2 / sqrtf(3.5f)) < 1e-4f, "%g", result(learn, y));
        cr_expect(fabsf(weight(w, "norm1.running_mean") - 0.3f) < 1e-6f);
        cr_expect(fabsf(weight(w, "norm1.running_var") - (0.9f + 0.1f * 14 / 3)) < 1e-6f, "unbiased");
        TRY(kiln_program_run(use));
        cr_expect(fabsf(result(use, y) - 0.7f / sqrtf(0.9f + 0.1f * 14 / 3)) < 1e-4f);
        kiln_program_destroy(&learn);
        kiln_program_destroy(&use);
        kiln_weights_destroy(&w);
        kiln_test_close(&dev);
    }
    kiln_graph_destroy(&g);
}
