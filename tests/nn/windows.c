/* windows.c - a classifier of windows slid over a picture: applied as convolutions, it says of each window what it says of its crop. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW = 32, STRIDE = 8, HIGH = 56, WIDE = 72, CLASSES = 5 };
enum { ROWS = (HIGH - WINDOW) / STRIDE + 1, COLS = (WIDE - WINDOW) / STRIDE + 1 };

static kiln_tensor layer(kiln_graph *g, kiln_tensor x, int filters, int size, int stride)
{
    x = kiln_nn_conv(
        g, x, &(kiln_nn_conv_params){.filters = filters, .size = {size, size}, .stride = {stride, stride}});
    return kiln_relu(g, kiln_nn_batch_norm(g, x, &(kiln_nn_batch_norm_params){.frozen = true}));
}

/* A window of 32 pixels becomes one place, and each 8 pixels more another. */
static kiln_tensor classify(kiln_graph *g, kiln_tensor x)
{
    kiln_scope_open(g, "classifier");
    x = layer(g, x, 8, 4, 2);
    x = layer(g, x, 12, 3, 2);
    x = layer(g, x, 16, 3, 2);
    x = layer(g, x, 24, 3, 1);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = CLASSES, .size = {1, 1}});
    kiln_scope_close(g);
    return x;
}

static kiln_tensor crop(kiln_graph *g, kiln_tensor x, int top, int left)
{
    return kiln_slice(g, kiln_slice(g, x, 2, top, top + WINDOW, 1), 3, left, left + WINDOW, 1);
}

/* What is said of the whole picture [1, C, ROWS, COLS], less what is said of the crops. */
static kiln_tensor differences(kiln_graph *g, const void *one)
{
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(1, 3, HIGH, WIDE));
    kiln_tensor crops[ROWS * COLS];
    const int order[] = {1, 0};
    (void)one;
    for (int i = 0; i < ROWS * COLS; i++)
        crops[i] = crop(g, x, i / COLS * STRIDE, i % COLS * STRIDE);
    const kiln_tensor each = classify(g, kiln_concat(g, crops, ROWS * COLS, 0)); /* [windows, C, 1, 1] */
    const kiln_tensor apart = kiln_transpose(g, kiln_flatten(g, each, 1), order);
    return kiln_sub(g, kiln_reshape(g, classify(g, x), KILN_SHAPE(CLASSES, ROWS * COLS)), apart);
}

static kiln_tensor values(kiln_graph *g, const void *one)
{
    (void)one;
    return classify(g, kiln_test_input(g, KILN_SHAPE(1, 3, HIGH, WIDE)));
}

static double largest(kiln_test_build *build, kiln_device *dev)
{
    kiln_shape shape;
    double *y = kiln_test_eval(build, NULL, dev, &shape), most = 0;
    for (int64_t i = 0; i < kiln_shape_count(&shape); i++)
        most = fmax(most, fabs(y[i]));
    free(y);
    return most;
}

/* A place is a sum of up to 144 products a layer, over five layers: kernels for other sizes add in another order. */
Test(windows, a_classifier_says_of_each_window_of_a_picture_what_it_says_of_the_crop)
{
    cr_expect(largest(differences, NULL) <= 1e-12 * largest(values, NULL), "in float64");
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        const double apart = largest(differences, dev), most = largest(values, dev);
        cr_expect(most > 0.01, "%g at most on %s: nothing is said", most, kiln_test_device(i));
        cr_expect(apart <= 1e-5 * most, "%g apart of %g on %s", apart, most, kiln_test_device(i));
        kiln_test_close(&dev);
    }
}
