/* nets.h - networks that several rooms test with, and one as a training step on generated digits. */
#ifndef KILN_TESTS_SUPPORT_NETS_H
#define KILN_TESTS_SUPPORT_NETS_H

#include "support/support.h"

/**
 * LeNet's scores [N, 10] of pictures [N, 1, 28, 28]; parameters conv1.weight .. fc3.bias, as
 * tools/golden/lenet.py has them.
 */
kiln_tensor kiln_test_lenet(kiln_graph *g, kiln_tensor x);

/**
 * A small network, [N, 1, 28, 28] -> [N, 10], with all that depends on training: convolution, batch norm,
 * relu, pooling, dropout.
 */
kiln_tensor kiln_test_noisy(kiln_graph *g, kiln_tensor x);

/**
 * A graph that learns to classify pictures: inputs "image" and "label", outputs "scores" and "loss", and
 * the step.
 */
struct kiln_test_learner {
    kiln_graph *g;
    kiln_weights *weights;
    kiln_tensor image, label, scores, loss, step;
};

/** Build it around a network; weights of seed 1. */
struct kiln_test_learner kiln_test_learner(kiln_tensor network(kiln_graph *g, kiln_tensor x),
                                           const kiln_minimize_params *how);
void kiln_test_learner_finish(struct kiln_test_learner *l);

/** Train `steps` steps on batches of generated digits, a new batch each, and store the losses. */
void kiln_test_train(struct kiln_test_learner *l, kiln_program *p, int batch, int steps, double *loss);

/** A hash of every tensor of the weights, and of the losses. */
uint64_t kiln_test_bits(const struct kiln_test_learner *l, const double *loss, int losses);

#endif
