/*
 * toy.h - a small problem for the tests of training: points of three clusters, and a network with dropout that tells them
 * apart.
 */
#ifndef KILN_TESTS_TRAIN_TOY_H
#define KILN_TESTS_TRAIN_TOY_H

#include "support/support.h"

enum { TOY_ROWS = 330, TOY_FEATURES = 6, TOY_CLASSES = 3 };

struct toy {
    kiln_device *dev;
    kiln_dataset *data; /* columns x, label */
    kiln_graph *graph;
    kiln_tensor loss, accuracy, mean, step; /* mean: of all features */
    kiln_tensor seen;                       /* KILN_NONE: no such state */
    kiln_weights *weights;
    kiln_program *learn, *grade;
};

/** Make it on a device of this run; `rate` as in kiln_minimize_params. */
void toy_open(struct toy *t, const char *device, double rate);
/** The same whose values are halves (KILN_PRECISION_F16), with a state of halves besides, "seen", which each step moves. */
void toy_open_halves(struct toy *t, const char *device, double rate);
void toy_close(struct toy *t);

/** The value of row r, feature c. */
float toy_feature(int r, int c);

/** A path in the test's own folder, which is made when first asked for. Lent until the process ends. */
const char *toy_path(const char *name);
/** Remove the folder: a suite's .fini. */
void toy_clean(void);

#endif
