/* random.c - dropout: its rate, its scale, one mask forward and backward, the same on every device. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>

static kiln_tensor dropped(kiln_graph *g, const void *one_case)
{
    const int64_t count = *(const int64_t *)one_case;
    return kiln_dropout(g, kiln_add(g, kiln_test_input(g, KILN_SHAPE(count)), kiln_scalar(g, KILN_F32, 2)),
                        0.25);
}

/* y and its gradient by x, one behind the other. */
static kiln_tensor dropped_twice(kiln_graph *g, const void *one_case)
{
    kiln_tensor dx;
    const kiln_tensor y = dropped(g, one_case), x = kiln_graph_parameter(g, 0);
    kiln_gradient(g, kiln_sum(g, y, NULL), KILN_NONE, &x, 1, &dx);
    return kiln_concat(g, (const kiln_tensor[]){y, dx}, 2, 0);
}

/* Each evaluation has weights of its own, so that all of them run the first step. */
Test(random, dropout_draws_one_mask_everywhere)
{
    const int64_t counts[] = {1, 3, 4, 255, 1030};
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        for (size_t k = 0; k < KILN_COUNT(counts); k++) {
            double *want = kiln_test_eval(dropped_twice, &counts[k], NULL, NULL);
            double *got = kiln_test_eval(dropped_twice, &counts[k], dev, NULL);
            kiln_expect_close(got, want, 2 * (size_t)counts[k], 1e-6, kiln_test_device(i));
            free(want);
            free(got);
        }
        kiln_test_close(&dev);
    }
    kiln_expect_gradient(dropped, &counts[3], "dropout");
}

Test(random, dropout_drops_its_rate_and_scales_the_rest)
{
    const int64_t count = 40000;
    kiln_shape shape;
    double *y = kiln_test_eval(dropped, &count, NULL, &shape);
    int kept = 0;
    for (int64_t i = 0; i < count; i++) {
        kept += y[i] != 0;
        cr_assert(y[i] == 0 || (y[i] >= 1 / 0.75 - 1e-6 && y[i] <= 3 / 0.75 + 1e-6), "element %d is %g",
                  (int)i, y[i]);
    }
    cr_expect_lt(fabs(kept / (double)count - 0.75), 0.01, "kept %d of %d", kept, (int)count);
    free(y);
}

/* Two nodes, and the same node in a scope that is opened twice. */
static kiln_tensor two(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor ones = kiln_test_values(g, KILN_SCALAR, (const float[]){1});
    const kiln_tensor x = kiln_add(g, ones, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(256)), 0));
    kiln_tensor y[3] = {kiln_dropout(g, x, 0.5)};
    for (int i = 1; i < 3; i++) {
        kiln_scope_open(g, "block");
        y[i] = kiln_dropout(g, x, 0.5);
        kiln_scope_close(g);
    }
    return kiln_concat(g, y, 3, 0);
}

Test(random, every_dropout_draws_for_itself)
{
    kiln_shape shape;
    double *y = kiln_test_eval(two, NULL, NULL, &shape);
    for (int a = 0; a < 3; a++)
        for (int b = a + 1; b < 3; b++) {
            int same = 0;
            for (int i = 0; i < 256; i++)
                same += y[256 * a + i] == y[256 * b + i];
            cr_expect(same > 90 && same < 166, "nodes %d and %d agree on %d of 256 elements", a, b, same);
        }
    free(y);
}

static kiln_tensor masked(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(4), (const float[]){1, 2, 3, 4});
    return kiln_dropout_mask(g, x, kiln_test_values(g, KILN_SHAPE(4), (const float[]){1, 0, 1, 0}), 0.5);
}

Test(random, a_mask_can_be_given)
{
    kiln_expect_values(masked, NULL, (const double[]){2, 0, 6, 0}, 4, 1e-12, "mask");
}
