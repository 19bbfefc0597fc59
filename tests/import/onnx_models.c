/* onnx_models.c - pretrained models that the project did not make, on data that they were not trained on. */
#include <stdio.h>
#include <string.h>

#include "support/external.h"
#include "support/support.h"

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

static int largest(const float *x, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/* The CNTK classifier of ONNX's model zoo, opset 7: it takes samples of 0 .. 255 and was published with a batch of 1. */
static void read_digits(kiln_program *p, const kiln_graph *g, kiln_dataset *digits, int rows)
{
    kiln_batch batch;
    float scores[64 * 10];
    ok(kiln_dataset_next(digits, rows, &batch));
    kiln_array image = batch.column[kiln_dataset_find(digits, "image")];
    const int32_t *label = batch.column[kiln_dataset_find(digits, "label")].data;
    for (int i = 0; i < rows * 28 * 28; i++)
        ((float *)image.data)[i] *= 255;
    ok(kiln_program_write(p, kiln_graph_input(g, 0), &image));
    ok(kiln_program_run(p));
    ok(kiln_program_read(p, kiln_graph_output(g, 0), &(kiln_array){.data = scores, .bytes = sizeof scores}));
    for (int i = 0; i < rows; i++)
        cr_expect(largest(scores + 10 * i, 10) == label[i], "digit %d is a %d, read as %d", i, label[i],
                  largest(scores + 10 * i, 10));
}

Test(onnx_models, the_first_60_digits_are_read_right_one_at_a_time_and_all_at_once)
{
    char path[512];
    kiln_dataset *digits = NULL;
    const char *dir = kiln_test_external("models");
    if (!dir)
        cr_skip("models is not at hand");
    snprintf(path, sizeof path, "%s/models/mnist8/mnist-8.onnx", dir);
    if (!(dir = kiln_test_external("mnist")))
        cr_skip("mnist is not at hand");
    char data[512];
    snprintf(data, sizeof data, "%s/mnist", dir);
    ok(kiln_mnist_open(&digits, data, KILN_SPLIT_TEST));

    for (int batch = 1; batch <= 60; batch += 59) {
        kiln_device *dev = kiln_test_open("cpu");
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        kiln_program *p = NULL;
        ok(kiln_onnx_load(&g, &w, path, &(kiln_onnx_params){.free_batch = batch > 1}));
        ok(kiln_program_create(&p, dev, g, w, NULL));
        kiln_dataset_rewind(digits);
        for (int first = 0; first < 60; first += batch)
            read_digits(p, g, digits, batch);
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
    kiln_dataset_close(&digits);
}
