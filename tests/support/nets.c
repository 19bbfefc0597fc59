/* nets.c - see nets.h. */
#include "support/nets.h"

kiln_tensor kiln_test_lenet(kiln_graph *g, kiln_tensor x)
{
    const kiln_pool_params half = {.size = {2, 2}};
    x = kiln_nn_conv(
        g, x, &(kiln_nn_conv_params){.filters = 6, .size = {5, 5}, .pad = {{2, 2}, {2, 2}}, .name = "conv1"});
    x = kiln_max_pool(g, kiln_relu(g, x), &half);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {5, 5}, .name = "conv2"});
    x = kiln_max_pool(g, kiln_relu(g, x), &half);
    x = kiln_flatten(g, x, 1);
    x = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 120, .name = "fc1"}));
    x = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 84, .name = "fc2"}));
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 10, .name = "fc3"});
}

kiln_tensor kiln_test_noisy(kiln_graph *g, kiln_tensor x)
{
    x = kiln_nn_conv(g, x,
                     &(kiln_nn_conv_params){
                         .filters = 8, .size = {5, 5}, .stride = {2, 2}, .no_bias = true, .name = "conv"});
    x = kiln_relu(g, kiln_nn_batch_norm(g, x, &(kiln_nn_batch_norm_params){.name = "norm"}));
    x = kiln_max_pool(g, x, &(kiln_pool_params){.size = {2, 2}});
    x = kiln_dropout(g, kiln_flatten(g, x, 1), 0.25);
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 10, .name = "out"});
}

struct kiln_test_learner kiln_test_learner(kiln_tensor network(kiln_graph *g, kiln_tensor x),
                                           const kiln_minimize_params *how)
{
    struct kiln_test_learner l = {0};
    cr_assert_eq(kiln_graph_create(&l.g, NULL), KILN_OK);
    l.image = kiln_input(l.g, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 28, 28));
    l.label = kiln_input(l.g, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    l.scores = kiln_output(l.g, "scores", network(l.g, l.image));
    l.loss = kiln_output(l.g, "loss", kiln_cross_entropy(l.g, l.scores, l.label));
    l.step = kiln_minimize(l.g, l.loss, how);
    cr_assert_eq(kiln_graph_status(l.g), KILN_OK, "%s", kiln_graph_error(l.g));
    cr_assert_eq(kiln_weights_create(&l.weights, l.g, &(kiln_weights_params){.seed = 1}), KILN_OK);
    return l;
}

void kiln_test_learner_finish(struct kiln_test_learner *l)
{
    kiln_weights_destroy(&l->weights);
    kiln_graph_destroy(&l->g);
}

void kiln_test_train(struct kiln_test_learner *l, kiln_program *p, int batch, int steps, double *loss)
{
    kiln_dataset *digits = NULL;
    cr_assert_eq(kiln_digits_open(&digits, &(kiln_digits_params){.rows = (int64_t)batch * steps, .seed = 8}),
                 KILN_OK);
    const int image = kiln_dataset_find(digits, "image"), label = kiln_dataset_find(digits, "label");
    for (int i = 0; i < steps; i++) {
        kiln_batch b;
        cr_assert_eq(kiln_dataset_next(digits, batch, &b), KILN_OK);
        cr_assert_eq(kiln_program_write(p, l->image, &b.column[image]), KILN_OK);
        cr_assert_eq(kiln_program_write(p, l->label, &b.column[label]), KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_read(p, l->loss, &(kiln_array){.type = KILN_F64, .data = &loss[i]}),
                     KILN_OK);
    }
    kiln_dataset_close(&digits);
}

static uint64_t add_bytes(uint64_t hash, const void *data, size_t count)
{
    const unsigned char *bytes = data;
    for (size_t k = 0; k < count; k++)
        hash = (hash ^ bytes[k]) * 1099511628211u;
    return hash;
}

uint64_t kiln_test_bits(const struct kiln_test_learner *l, const double *loss, int losses)
{
    static unsigned char bytes[1 << 20];
    uint64_t hash = add_bytes(14695981039346656037u, loss, (size_t)losses * sizeof *loss);
    for (int i = 0; i < kiln_weights_count(l->weights); i++) {
        kiln_array a = {.data = bytes, .bytes = sizeof bytes};
        cr_assert_eq(kiln_weights_read(l->weights, kiln_weights_name(l->weights, i), &a), KILN_OK);
        hash = add_bytes(hash, bytes, (size_t)kiln_shape_count(&a.shape) * kiln_type_size(a.type));
    }
    return hash;
}
