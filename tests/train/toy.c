/* toy.c - see toy.h. */
#include "train/toy.h"

#include <math.h>
#include <stdio.h>

#include "base/own_folder.h"

float toy_feature(int r, int c)
{
    const int class = r % TOY_CLASSES;
    return (float)(sin(1.7 * r + 2.9 * c) * 0.8 + (c % TOY_CLASSES == class ? 1.0 : 0.0));
}

static void open_data(struct toy *t)
{
    static float x[TOY_ROWS * TOY_FEATURES];
    static int32_t label[TOY_ROWS];

    for (int r = 0; r < TOY_ROWS; r++) {
        label[r] = r % TOY_CLASSES;
        for (int c = 0; c < TOY_FEATURES; c++)
            x[r * TOY_FEATURES + c] = toy_feature(r, c);
    }
    const kiln_named_array arrays[] = {
        {.name = "x", .array = {.data = x, .shape = KILN_SHAPE(TOY_ROWS, TOY_FEATURES)}},
        {.name = "label",
         .array = {.data = label, .type = KILN_I32, .shape = KILN_SHAPE(TOY_ROWS)},
         .classes = 3}};
    cr_assert_eq(kiln_arrays_open(&t->data, arrays, 2, NULL), KILN_OK);
    cr_assert_eq(kiln_dataset_set_params(t->data, &(kiln_dataset_params){.shuffle = true, .seed = 5}),
                 KILN_OK);
}

/* 0.9 of the state and 0.1 of the batch's mean: rounded to 11 bits each time, so that no other state goes on alike. */
static kiln_tensor see(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor seen = kiln_state(g, "seen", KILN_F16, KILN_SHAPE(TOY_FEATURES), KILN_STORE_WEIGHTS);
    const kiln_tensor mean = kiln_mean(g, x, &(kiln_reduce_params){.axes = KILN_AXES(0)});
    const kiln_tensor next =
        kiln_add(g, kiln_scale(g, kiln_cast(g, seen, KILN_F32), 0.9), kiln_scale(g, mean, 0.1));
    return kiln_assign(g, seen, kiln_cast(g, next, KILN_F16));
}

static void build(struct toy *t, double rate, bool halves)
{
    kiln_graph *g;

    cr_assert_eq(kiln_graph_create(&t->graph, NULL), KILN_OK);
    g = t->graph;
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, TOY_FEATURES));
    const kiln_tensor label = kiln_input(g, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor h = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 16}));
    h = kiln_nn_dense(g, kiln_dropout(g, h, 0.2), &(kiln_nn_dense_params){.units = TOY_CLASSES});
    t->loss = kiln_output(g, "loss", kiln_cross_entropy(g, h, label));
    t->accuracy = kiln_output(g, "accuracy", kiln_accuracy(g, h, label));
    t->mean = kiln_output(g, "mean", kiln_mean(g, x, NULL));
    /* the scale doubles every few steps: a state more that checkpoints hold, and no bit of the others */
    const kiln_minimize_params how = {
        .by = KILN_ADAM, .rate = rate, .dynamic_scale = true, .loss_scale = 4, .scale_interval = 7};
    t->step = kiln_minimize(g, t->loss, &how);
    t->seen = halves ? see(g, x) : KILN_NONE;
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
}

static void open_as(struct toy *t, const char *device, double rate, bool halves)
{
    *t = (struct toy){.dev = kiln_test_open(device)};
    open_data(t);
    build(t, rate, halves);
    const kiln_program_params learn = {.train = true,
                                       .precision = halves ? KILN_PRECISION_F16 : KILN_PRECISION_F32,
                                       .run = KILN_RUN(t->step, t->loss, t->accuracy, t->seen)};
    cr_assert_eq(kiln_weights_create(&t->weights, t->graph, &(kiln_weights_params){.seed = 3}), KILN_OK);
    cr_assert_eq(kiln_program_create(&t->learn, t->dev, t->graph, t->weights, &learn), KILN_OK);
    cr_assert_eq(kiln_program_create(&t->grade, t->dev, t->graph, t->weights,
                                     &(kiln_program_params){.run = KILN_RUN(t->accuracy, t->loss, t->mean)}),
                 KILN_OK);
}

void toy_open(struct toy *t, const char *device, double rate)
{
    open_as(t, device, rate, false);
}

void toy_open_halves(struct toy *t, const char *device, double rate)
{
    open_as(t, device, rate, true);
}

void toy_close(struct toy *t)
{
    kiln_program_destroy(&t->grade);
    kiln_program_destroy(&t->learn);
    kiln_weights_destroy(&t->weights);
    kiln_graph_destroy(&t->graph);
    kiln_dataset_close(&t->data);
    kiln_test_close(&t->dev);
}

static int paths_given;

const char *toy_path(const char *name)
{
    static char paths[8][128];

    if (!paths_given)
        open_folder();
    cr_assert_lt(paths_given, 8);
    snprintf(paths[paths_given], sizeof *paths, "%s/%s", folder, name);
    return paths[paths_given++];
}

void toy_clean(void)
{
    if (paths_given)
        leave_folder();
}
