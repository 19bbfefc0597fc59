/*
 * agreement.c - LeNet trained on generated digits stays close to the float64 run, on every device.
 *
 * Plain descent keeps a rounding a rounding: 1e-5 after 100 steps. Adam divides each gradient by the root of
 * its mean square, so a small gradient's rounding becomes a step of full size: 1e-5 for ten steps, 2e-3 after
 * a hundred. What both cannot bear is a tie: where a relu's input or the lead in a pooling window is nearer
 * to 0 than a rounding, a gradient goes another way. A hundred steps take some ten million such decisions, so
 * the numbers of digits and steps are of those that meet none.
 */
#include <math.h>

#include "support/nets.h"

enum { BATCH = 4, MOST = 100 };

/* Losses of a run; dev NULL: in float64 on the CPU. */
static void train(kiln_device *dev, const kiln_minimize_params *how, int steps, double *loss)
{
    struct kiln_test_learner l = kiln_test_learner(kiln_test_lenet, how);
    kiln_device *cpu = dev ? NULL : kiln_test_open("cpu");
    kiln_program *p = NULL;
    const kiln_program_params params = {.run = KILN_RUN(l.step, l.loss),
                                        .train = true,
                                        .precision = dev ? KILN_PRECISION_F32 : KILN_PRECISION_F64};
    cr_assert_eq(kiln_program_create(&p, dev ? dev : cpu, l.g, l.weights, &params), KILN_OK);
    kiln_test_train(&l, p, BATCH, steps, loss);
    kiln_program_destroy(&p);
    kiln_test_learner_finish(&l);
    kiln_device_close(&cpu);
}

/* The largest relative distance of losses first .. end - 1. */
static double worst(const double *got, const double *want, int first, int end)
{
    double most = 0;
    for (int i = first; i < end; i++)
        most = fmax(most, fabs(got[i] - want[i]) / want[i]);
    return most;
}

static void expect_agreement(const kiln_minimize_params *how, double ten, double hundred)
{
    double want[MOST], got[MOST];
    train(NULL, how, MOST, want);
    cr_expect(want[MOST - 1] < want[0], "the loss did not fall: %g, then %g", want[0], want[MOST - 1]);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        train(dev, how, MOST, got);
        const double early = worst(got, want, 0, 10), late = worst(got, want, 10, MOST);
        cr_expect(early <= ten, "%s: ten losses are off by %.3g, allowed %.3g", kiln_test_device(d), early,
                  ten);
        cr_expect(late <= hundred, "%s: a hundred losses are off by %.3g, allowed %.3g", kiln_test_device(d),
                  late, hundred);
        kiln_test_close(&dev);
    }
}

Test(agreement, adam_keeps_every_device_near_the_float64_run)
{
    expect_agreement(&(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3}, 1e-5, 2e-3);
}

Test(agreement, plain_descent_keeps_every_device_near_the_float64_run)
{
    expect_agreement(&(kiln_minimize_params){.by = KILN_SGD, .rate = 0.02}, 1e-5, 1e-5);
}
