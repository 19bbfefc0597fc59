/*
 * finetune.c - somebody's ONNX classifier learns other classes: its last layer is replaced, the rest learns slowly or not at all.
 *
 * usage: finetune MODEL.onnx DIR [EPOCHS [OUT.onnx]]      DIR/CLASS/NAME.png or .jpg
 */
#include <kiln/extend.h>
#include <kiln/kiln.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16 };

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

/* What the last matrix product before t works on: the features that a classifier's last layer sees. */
static kiln_tensor features_of(const kiln_graph *g, kiln_tensor t)
{
    for (const kiln_node *n; (n = kiln_node_of(g, t)) && n->inputs; t = n->in[0])
        if (!strcmp(n->op->name, "matmul"))
            return n->in[0];
    return KILN_NONE;
}

/* The data, and the classes it has; the last 1 in 5 pictures of a random order judges. */
static kiln_status open_data(kiln_dataset **whole, kiln_dataset *parts[2], const char *dir, kiln_shape image,
                             int *classes)
{
    const kiln_image_params as = {.shape = kiln_shape_of(image.rank - 1, image.size + 1)};
    kiln_status status = kiln_image_folder_open(whole, dir, &as);

    if (!status)
        status = kiln_dataset_split(parts, *whole, (const double[]){0.8, 0.2}, 2, 1);
    if (!status)
        status = kiln_dataset_set_params(parts[0], &(kiln_dataset_params){.shuffle = true, .seed = 1});
    if (!status)
        *classes = kiln_dataset_column(*whole, kiln_dataset_find(*whole, "label"))->classes;
    return status;
}

int main(int argc, char **argv)
{
    const int epochs = argc > 3 ? atoi(argv[3]) : 5;
    const char *to = argc > 4 ? argv[4] : "finetuned.onnx";
    kiln_device *dev = NULL;
    kiln_dataset *whole = NULL, *parts[2] = {NULL, NULL};
    kiln_graph *net = NULL;
    kiln_weights *weights = NULL;
    kiln_program *learn = NULL, *grade = NULL;
    kiln_batch batch;
    double accuracy = -1;
    int classes = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: finetune MODEL.onnx DIR [EPOCHS [OUT.onnx]]\n");
        return 2;
    }
    TRY(kiln_device_open(&dev, NULL));
    TRY(kiln_onnx_load(&net, &weights, argv[1], &(kiln_onnx_params){.train = true, .free_batch = true}));

    /* Another last layer on the old one's features. */
    kiln_tensor image = kiln_graph_input(net, 0);
    kiln_tensor features = features_of(net, kiln_graph_output(net, 0));
    if (!features.id) {
        fprintf(stderr, "%s: its output is not that of a matrix product\n", argv[1]);
        goto out;
    }
    TRY(open_data(&whole, parts, argv[2], kiln_tensor_shape(net, image), &classes));
    kiln_tensor scores =
        kiln_nn_dense(net, features, &(kiln_nn_dense_params){.name = "head", .units = classes});
    kiln_tensor label = kiln_input(net, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor loss = kiln_cross_entropy(net, scores, label), right = kiln_accuracy(net, scores, label);

    /* The new layer learns at the full rate, the old ones at a tenth of it. */
    const kiln_param_group groups[] = {{.match = "head.*"}, {.match = "*", .rate = 0.1}};
    kiln_tensor step = kiln_minimize(
        net, loss,
        &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3, .groups = groups, .group_count = 2});

    TRY(kiln_weights_add(weights, net));
    TRY(kiln_program_create(&learn, dev, net, weights,
                            &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)}));
    TRY(kiln_program_create(&grade, dev, net, weights, &(kiln_program_params){.run = KILN_RUN(right)}));
    for (int epoch = 1; epoch <= epochs; epoch++) {
        float last = 0;
        for (;;) {
            TRY(kiln_dataset_next(parts[0], BATCH, &batch));
            if (batch.rows == 0)
                break;
            TRY(kiln_program_write(learn, image, &batch.column[0]));
            TRY(kiln_program_write(learn, label, &batch.column[1]));
            TRY(kiln_program_run(learn));
        }
        TRY(kiln_program_read(learn, loss, &(kiln_array){.data = &last, .bytes = sizeof last}));
        double sum = 0, rows = 0;
        for (;;) {
            float share = 0;
            TRY(kiln_dataset_next(parts[1], BATCH, &batch));
            if (batch.rows == 0)
                break;
            TRY(kiln_program_write(grade, image, &batch.column[0]));
            TRY(kiln_program_write(grade, label, &batch.column[1]));
            TRY(kiln_program_run(grade));
            TRY(kiln_program_read(grade, right, &(kiln_array){.data = &share, .bytes = sizeof share}));
            sum += (double)share * (double)batch.rows;
            rows += (double)batch.rows;
        }
        accuracy = sum / rows;
        printf("epoch %d: loss %.4f, accuracy %.1f%%\n", epoch, (double)last, 100 * accuracy);
    }

    /* The network with its new layer, for whoever runs ONNX. */
    kiln_name(net, scores, "scores");
    TRY(kiln_onnx_save(net, weights, to, &(kiln_onnx_save_params){.outputs = KILN_RUN(scores)}));
    printf("%s: %d classes\n", to, classes);

out:
    kiln_program_destroy(&grade);
    kiln_program_destroy(&learn);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&net);
    kiln_dataset_close(&parts[1]);
    kiln_dataset_close(&parts[0]);
    kiln_dataset_close(&whole);
    kiln_device_close(&dev);
    return accuracy < 0;
}
