/* recompute.c - kiln_program_params.recompute: the same training in less memory. */
#include "program/program.h"
#include "program/rig.h"
#include "support/nets.h"

enum { BATCH = 16, STEPS = 4, BLOCKS = 9 };

/* Residual blocks of convolution, normalization and relu, with dropout: [N, 1, 28, 28] -> [N, 10]. */
static kiln_tensor deep(kiln_graph *g, kiln_tensor x)
{
    const kiln_nn_conv_params three = {
        .filters = 8, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}, .no_bias = true};
    x = kiln_nn_conv(g, x, &three);
    for (int i = 0; i < BLOCKS; i++) {
        const kiln_tensor y = kiln_relu(g, kiln_nn_batch_norm(g, kiln_nn_conv(g, x, &three), NULL));
        x = kiln_add(g, x, i % 3 ? y : kiln_dropout(g, y, 0.25));
    }
    x = kiln_flatten(g, kiln_max_pool(g, x, &(kiln_pool_params){.size = {4, 4}}), 1);
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 10});
}

/* Rows of a picture as steps, in loops that are not unrolled. */
static kiln_tensor recurrent(kiln_graph *g, kiln_tensor x)
{
    x = kiln_reshape(g, x, KILN_SHAPE(KILN_BATCH, 28, 28));
    x = kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 16});
    x = kiln_nn_lstm(g, kiln_tanh(g, x), &(kiln_nn_recurrent_params){.units = 12}, NULL);
    x = kiln_nn_lstm(g, x, &(kiln_nn_recurrent_params){.units = 12}, NULL);
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 10});
}

static kiln_program *learner(kiln_device *dev, const struct kiln_test_learner *l, bool recompute)
{
    const kiln_size sizes[] = {{KILN_BATCH, BATCH}};
    kiln_program *p = NULL;
    TRY(kiln_program_create(&p, dev, l->g, l->weights,
                            &(kiln_program_params){.run = KILN_RUN(l->step, l->loss),
                                                   .train = true,
                                                   .recompute = recompute,
                                                   .sizes = sizes,
                                                   .size_count = 1}));
    return p;
}

static uint64_t train(const char *device, kiln_tensor network(kiln_graph *g, kiln_tensor x), bool recompute)
{
    struct kiln_test_learner l = kiln_test_learner(network, &(kiln_minimize_params){.by = KILN_ADAM});
    kiln_device *dev = kiln_test_open(device);
    kiln_program *p = learner(dev, &l, recompute);
    double loss[STEPS];
    kiln_test_train(&l, p, BATCH, STEPS, loss);
    const uint64_t bits = kiln_test_bits(&l, loss, STEPS);
    kiln_program_destroy(&p);
    kiln_test_learner_finish(&l);
    kiln_test_close(&dev);
    return bits;
}

Test(recompute, training_keeps_its_bits_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++) {
        const char *device = kiln_test_device(d);
        cr_expect_eq(train(device, deep, true), train(device, deep, false), "%s", device);
        cr_expect_eq(train(device, recurrent, true), train(device, recurrent, false), "%s", device);
        cr_expect_eq(train(device, kiln_test_lenet, true), train(device, kiln_test_lenet, false), "%s",
                     device);
    }
}

/* What lies between in a step of training, and how many convolutions are computed again for it. */
static uint64_t scratch_of(kiln_tensor network(kiln_graph *g, kiln_tensor x), bool recompute, int *again)
{
    struct kiln_test_learner l = kiln_test_learner(network, &(kiln_minimize_params){.by = KILN_ADAM});
    kiln_device *dev = kiln_test_open("null");
    kiln_program *p = learner(dev, &l, recompute);
    kiln_program_memory used;
    TRY(kiln_program_memory_used(p, &used));
    const kiln_graph *plan = p->ready.data[0]->plan->graph;
    *again = 0;
    for (int i = 0; i < plan->node.count; i++)
        *again +=
            plan->node.data[i]->pass == KILN_PASS_AGAIN && !strcmp(plan->node.data[i]->op->name, "conv");
    kiln_program_destroy(&p);
    kiln_test_learner_finish(&l);
    kiln_test_close(&dev);
    return used.scratch;
}

/* Nine blocks of two values that the backward pass reads: in three stretches of three, 3 + 2 * 3 of 18 are there at one time. */
Test(recompute, a_deep_network_takes_little_more_than_half_of_the_memory)
{
    int none, again;
    const uint64_t whole = scratch_of(deep, false, &none), less = scratch_of(deep, true, &again);
    cr_expect_eq(none, 0);
    cr_expect(again >= BLOCKS / 3 && again <= BLOCKS, "%d convolutions of %d", again, BLOCKS + 1);
    cr_expect_leq((double)less, 0.6 * (double)whole, "%llu bytes, without it %llu", (unsigned long long)less,
                  (unsigned long long)whole);
}

Test(recompute, a_program_that_only_predicts_is_what_it_was)
{
    kiln_graph *g = new_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 28, 28)), y = deep(g, x);
    kiln_weights *w = new_weights(g, 3);
    kiln_device *dev = kiln_test_open("null");
    const kiln_size sizes[] = {{KILN_BATCH, BATCH}};
    uint64_t scratch[2];
    for (int i = 0; i < 2; i++) {
        kiln_program *p = NULL;
        kiln_program_memory used;
        TRY(kiln_program_create(&p, dev, g, w,
                                &(kiln_program_params){.run = KILN_RUN(y),
                                                       .recompute = i == 1,
                                                       .sizes = sizes,
                                                       .size_count = 1}));
        TRY(kiln_program_memory_used(p, &used));
        scratch[i] = used.scratch;
        kiln_program_destroy(&p);
    }
    cr_expect_eq(scratch[0], scratch[1]);
    kiln_weights_destroy(&w);
    kiln_test_close(&dev);
    kiln_graph_destroy(&g);
}
