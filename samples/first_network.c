/* first_network.c - learn to read digits.   usage: first_network [MNIST_DIR] */
#include <kiln/kiln.h>

#include <stdio.h>
#include <string.h>

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

static kiln_tensor reader(kiln_graph *g, kiln_tensor x) /* x: [batch, 1, 28, 28] */
{
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {3, 3}});
    x = kiln_max_pool(g, kiln_relu(g, x), &(kiln_pool_params){.size = {2, 2}});
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 10});
}

static int usage(bool asked)
{
    fprintf(asked ? stdout : stderr, "usage: first_network [MNIST_DIR]\n");
    return asked ? 0 : 2;
}

int main(int argc, char **argv)
{
    kiln_device *dev = NULL;
    kiln_dataset *train = NULL, *test = NULL; /* columns: image, label */
    kiln_graph *net = NULL;
    kiln_weights *weights = NULL;
    kiln_program *learn = NULL, *grade = NULL;
    double accuracy = -1;

    if (argc > 2 || (argc > 1 && argv[1][0] == '-'))
        return usage(!strcmp(argv[1], "--help"));
    const char *dir = argc > 1 ? argv[1] : "mnist";
    TRY(kiln_device_open(&dev, NULL)); /* the best GPU, else the CPU */
    TRY(kiln_mnist_open(&train, dir, KILN_SPLIT_TRAIN));
    TRY(kiln_mnist_open(&test, dir, KILN_SPLIT_TEST));

    TRY(kiln_graph_create(&net, NULL));
    kiln_tensor image = kiln_input(net, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 28, 28));
    kiln_tensor label = kiln_input(net, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor guess = reader(net, image);
    kiln_tensor right = kiln_output(net, "accuracy", kiln_accuracy(net, guess, label));
    kiln_tensor loss = kiln_output(net, "loss", kiln_cross_entropy(net, guess, label));
    kiln_tensor step = kiln_minimize(net, loss, &(kiln_minimize_params){.by = KILN_ADAMW});

    TRY(kiln_weights_create(&weights, net, NULL));
    TRY(kiln_program_create(&learn, dev, net, weights,
                            &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)}));
    TRY(kiln_program_create(&grade, dev, net, weights, &(kiln_program_params){.run = KILN_RUN(right)}));
    TRY(kiln_fit(learn, train, &(kiln_fit_params){.epochs = 3}));
    TRY(kiln_evaluate(grade, test, right, &accuracy));
    printf("test accuracy %.2f%%\n", 100 * accuracy);

out:
    kiln_program_destroy(&grade);
    kiln_program_destroy(&learn);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&net);
    kiln_dataset_close(&test);
    kiln_dataset_close(&train);
    kiln_device_close(&dev);
    return accuracy < 0;
}
