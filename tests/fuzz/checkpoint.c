/*
 * checkpoint.c - any bytes as a file of weights, and as a checkpoint: loaded into a small network that goes on training, or refused.
 * Weights, program and data are made anew each time, so that what a file does ends with it.
 */
#include <kiln/kiln.h>

#include "fuzz/fuzz.h"

enum { ROWS = 6, FEATURES = 2, CLASSES = 3 };

static kiln_device *dev;
static kiln_graph *graph;
static kiln_tensor step, loss;

static void build(void)
{
    if (kiln_device_open(&dev, &(kiln_device_params){.name = "cpu", .threads = 1, .cache = ""}) ||
        kiln_graph_create(&graph, NULL))
        abort();
    const kiln_tensor x = kiln_input(graph, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, FEATURES));
    const kiln_tensor label = kiln_input(graph, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor scores = kiln_nn_dense(graph, kiln_dropout(graph, x, 0.1),
                                             &(kiln_nn_dense_params){.units = CLASSES, .name = "fc"});
    const kiln_minimize_params how = {.by = KILN_ADAM, .rate = 1e-3, .dynamic_scale = true};
    loss = kiln_output(graph, "loss", kiln_cross_entropy(graph, scores, label));
    step = kiln_minimize(graph, loss, &how);
    if (kiln_graph_status(graph))
        abort();
}

static void clean(void)
{
    kiln_graph_destroy(&graph);
    kiln_device_close(&dev);
}

static kiln_dataset *data_of(void)
{
    static float x[ROWS * FEATURES] = {0, 1, 2, 3};
    static int32_t label[ROWS] = {0, 1, 2, 0, 1, 2};
    const kiln_named_array arrays[] = {{.name = "x",
                                        .array = {.data = x, .shape = KILN_SHAPE(ROWS, FEATURES)}},
                                       {.name = "label",
                                        .array = {.data = label, .type = KILN_I32, .shape = KILN_SHAPE(ROWS)},
                                        .classes = CLASSES}};
    kiln_dataset *ds;

    if (kiln_arrays_open(&ds, arrays, 2, NULL))
        abort();
    return ds;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    const kiln_fit_params params = {
        .epochs = 2, .batch = 4, .checkpoint = path, .resume = true, .quiet = true};
    kiln_weights *weights, *learned;
    kiln_program *learn;
    kiln_dataset *ds;

    be_silent();
    if (!dev) {
        build();
        atexit(clean);
    }
    if (kiln_weights_create(&weights, graph, NULL) || kiln_weights_create(&learned, graph, NULL) ||
        kiln_program_create(&learn, dev, graph, learned,
                            &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)}))
        abort();
    ds = data_of();
    kiln_weights_load(weights, path, NULL);
    kiln_fit(learn, ds, &params);
    kiln_dataset_close(&ds);
    kiln_program_destroy(&learn);
    kiln_weights_destroy(&learned);
    kiln_weights_destroy(&weights);
    return 0;
}
