/*
 * finetune.c - somebody's ONNX classifier learns other classes: its last layer is replaced, the rest learns slowly or not at all.
 *
 * usage: finetune MODEL.onnx DIR [EPOCHS [OUT.onnx]]      DIR/CLASS/NAME.png or .jpg
 */
#include <kiln/kiln.h>

#include <stdio.h>
#include <string.h>

enum { MOST_OUTPUTS = 16 };

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

/* What the model's last layer sees of an image. The model becomes a part of net, its parameters under their names. */
static kiln_tensor features_of(kiln_graph *net, const kiln_graph *model, kiln_tensor image)
{
    kiln_tensor out[MOST_OUTPUTS] = {KILN_NONE};

    if (kiln_graph_input_count(model) == 1 && kiln_graph_output_count(model) <= MOST_OUTPUTS)
        kiln_call(net, model, &image, out);
    const kiln_tensor features = kiln_nn_features(net, out[0]);
    if (kiln_tensor_shape(net, features).rank != 2) {
        fprintf(stderr, "wanted a model of one input, whose output is that of a matrix product\n");
        return KILN_NONE;
    }
    return features;
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
    const char *to = argc > 4 ? argv[4] : "finetuned.onnx";
    kiln_device *dev = NULL;
    kiln_dataset *whole = NULL, *parts[2] = {NULL, NULL};
    kiln_graph *model = NULL, *net = NULL;
    kiln_weights *weights = NULL;
    kiln_program *learn = NULL, *grade = NULL;
    int epochs = 5, classes = 0, code = 1;
    char rest; /* of an argument */

    if (argc < 3 || argc > 5 || (argc > 3 && sscanf(argv[3], "%d%c", &epochs, &rest) != 1) || epochs < 1) {
        const bool asked = argc > 1 && !strcmp(argv[1], "--help");
        fprintf(asked ? stdout : stderr, "usage: finetune MODEL.onnx DIR [EPOCHS [OUT.onnx]]\n");
        return asked ? 0 : 2;
    }
    TRY(kiln_device_open(&dev, NULL));
    TRY(kiln_onnx_load(&model, &weights, argv[1], &(kiln_onnx_params){.train = true, .free_batch = true}));
    const kiln_tensor old = kiln_graph_input(model, 0);
    TRY(open_data(&whole, parts, argv[2], kiln_tensor_shape(model, old), &classes));

    /* Another last layer on the old one's features. The data's columns are "image" and "label", and feed the inputs of these names. */
    TRY(kiln_graph_create(&net, NULL));
    kiln_tensor image = kiln_input(net, "image", kiln_tensor_type(model, old), kiln_tensor_shape(model, old));
    kiln_tensor label = kiln_input(net, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor features = features_of(net, model, image);
    if (!features.id)
        goto out;
    kiln_tensor scores =
        kiln_nn_dense(net, features, &(kiln_nn_dense_params){.name = "head", .units = classes});
    kiln_tensor loss = kiln_output(net, "loss", kiln_cross_entropy(net, scores, label));
    kiln_tensor right = kiln_output(net, "accuracy", kiln_accuracy(net, scores, label));

    /* The new layer learns at the full rate, the old ones at a tenth of it. */
    const kiln_param_group groups[] = {{.match = "head.*"}, {.match = "*", .rate = 0.1}};
    kiln_tensor step = kiln_minimize(
        net, loss,
        &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3, .groups = groups, .group_count = 2});

    TRY(kiln_weights_add(weights, net));
    TRY(kiln_program_create(&learn, dev, net, weights,
                            &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)}));
    TRY(kiln_program_create(&grade, dev, net, weights, &(kiln_program_params){.run = KILN_RUN(right)}));
    TRY(kiln_fit(learn, parts[0],
                 &(kiln_fit_params){.epochs = epochs, .batch = 16, .validation = parts[1], .grade = grade}));

    /* The network with its new layer, for whoever runs ONNX. */
    kiln_name(net, scores, "scores");
    TRY(kiln_onnx_save(net, weights, to, &(kiln_onnx_save_params){.outputs = KILN_RUN(scores)}));
    printf("%s: %d classes\n", to, classes);
    code = 0;

out:
    kiln_program_destroy(&grade);
    kiln_program_destroy(&learn);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&net);
    kiln_graph_destroy(&model);
    kiln_dataset_close(&parts[1]);
    kiln_dataset_close(&parts[0]);
    kiln_dataset_close(&whole);
    kiln_device_close(&dev);
    return code;
}
