/*
 * train_cnn.c - the training loop in hand: batch normalization, dropout, a schedule, batches written and results read.
 *
 * usage: train_cnn [EPOCHS [MNIST_DIR]]      without a folder it reads digits that kiln draws itself
 */
#include <kiln/kiln.h>

#include <stdio.h>
#include <string.h>

enum { BATCH = 128 };

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

static kiln_tensor block(kiln_graph *g, kiln_tensor x, int filters)
{
    x = kiln_nn_conv(
        g, x, &(kiln_nn_conv_params){.filters = filters, .size = {3, 3}, .same = true, .no_bias = true});
    x = kiln_relu(g, kiln_nn_batch_norm(g, x, NULL));
    return kiln_max_pool(g, x, &(kiln_pool_params){.size = {2, 2}});
}

static kiln_tensor reader(kiln_graph *g, kiln_tensor x)
{
    x = block(g, x, 8);  /* [batch, 8, 14, 14] */
    x = block(g, x, 16); /* [batch, 16, 7, 7] */
    x = kiln_relu(g, kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 64}));
    return kiln_nn_dense(g, kiln_dropout(g, x, 0.25), &(kiln_nn_dense_params){.units = 10});
}

static kiln_status open_data(kiln_dataset **train, kiln_dataset **test, const char *dir)
{
    kiln_status status;

    if (dir)
        status = kiln_mnist_open(train, dir, KILN_SPLIT_TRAIN);
    else
        status = kiln_digits_open(train, &(kiln_digits_params){.rows = 6000, .seed = 1});
    if (status)
        return status;
    return dir ? kiln_mnist_open(test, dir, KILN_SPLIT_TEST)
               : kiln_digits_open(test, &(kiln_digits_params){.rows = 1000, .seed = 2});
}

int main(int argc, char **argv)
{
    char rest; /* of an argument */
    int epochs = 2;
    kiln_device *dev = NULL;
    kiln_dataset *train = NULL, *test = NULL;
    kiln_graph *net = NULL;
    kiln_weights *weights = NULL;
    kiln_program *learn = NULL, *grade = NULL;
    kiln_batch batch;
    float last = 0;
    double accuracy = -1;
    int steps = 0;

    if (argc > 3 || (argc > 1 && sscanf(argv[1], "%d%c", &epochs, &rest) != 1) || epochs < 1) {
        const bool asked = !strcmp(argv[1], "--help");
        fprintf(asked ? stdout : stderr, "usage: train_cnn [EPOCHS [MNIST_DIR]]\n");
        return asked ? 0 : 2;
    }
    TRY(kiln_device_open(&dev, NULL));
    TRY(open_data(&train, &test, argc > 2 ? argv[2] : NULL));
    TRY(kiln_dataset_set_params(train, &(kiln_dataset_params){.shuffle = true, .seed = 1}));

    TRY(kiln_graph_create(&net, NULL));
    kiln_tensor image = kiln_input(net, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 28, 28));
    kiln_tensor label = kiln_input(net, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor guess = reader(net, image);
    kiln_tensor loss = kiln_cross_entropy(net, guess, label);
    kiln_tensor right = kiln_accuracy(net, guess, label);
    kiln_tensor rate = kiln_schedule_exponential(net, kiln_step(net, NULL), 3e-3, 0.999);
    kiln_tensor step = kiln_minimize(net, loss, &(kiln_minimize_params){.by = KILN_ADAM, .rate_from = rate});

    TRY(kiln_weights_create(&weights, net, NULL));
    TRY(kiln_program_create(&learn, dev, net, weights,
                            &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)}));
    TRY(kiln_program_create(&grade, dev, net, weights, &(kiln_program_params){.run = KILN_RUN(right)}));

    for (int epoch = 1; epoch <= epochs; epoch++) {
        for (;;) {
            TRY(kiln_dataset_next(train, BATCH, &batch)); /* the next one is prepared meanwhile */
            if (batch.rows == 0)
                break;
            TRY(kiln_program_write(learn, image, &batch.column[0]));
            TRY(kiln_program_write(learn, label, &batch.column[1]));
            TRY(kiln_program_run(learn));
            if (++steps % 20 == 0) { /* a read waits: not every step */
                TRY(kiln_program_read(learn, loss, &(kiln_array){.data = &last, .bytes = sizeof last}));
                printf("step %d: loss %.4f\n", steps, last);
            }
        }
        TRY(kiln_evaluate(grade, test, right, &accuracy));
        printf("epoch %d: test accuracy %.2f%%\n", epoch, 100 * accuracy);
    }
    TRY(kiln_weights_save(weights, "train_cnn.safetensors"));

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
