/* onnx_save.c - a network through an ONNX file and back: the same outputs, the same parts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kiln/arrange.h>
#include <kiln/control.h>
#include <kiln/detection.h>
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/nn.h>
#include <kiln/quantize.h>
#include <kiln/resize.h>
#include <kiln/roi.h>
#include <kiln/train.h>

#include "import/onnx_save.h"
#include "ops/table.h"
#include "support/support.h"

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

/* Convolution with a bias, batch normalization, dropout, a matrix product with a bias: [batch, 2, 6, 6] -> [batch, 3]. */
static kiln_tensor network(kiln_graph *g, kiln_tensor x)
{
    const kiln_init counted = {.kind = KILN_INIT_UNIFORM, .value = 1, .scale = 0.5};
    const kiln_tensor w = kiln_parameter(g, "conv.weight", KILN_SHAPE(4, 2, 3, 3), NULL);
    const kiln_tensor b = kiln_parameter(g, "conv.bias", KILN_SHAPE(4), &counted);
    x = kiln_conv(g, x, w, b, &(kiln_conv_params){.pad = {{1, 1}, {1, 1}}});
    const kiln_tensor mean = kiln_state(g, "bn.mean", KILN_F32, KILN_SHAPE(4), KILN_STORE_WEIGHTS);
    const kiln_tensor variance =
        kiln_state_init(g, "bn.variance", KILN_F32, KILN_SHAPE(4), KILN_STORE_WEIGHTS,
                        &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 2});
    x = kiln_batch_norm(g, x, kiln_parameter(g, "bn.scale", KILN_SHAPE(4), &counted),
                        kiln_parameter(g, "bn.bias", KILN_SHAPE(4), &counted), mean, variance, NULL);
    x = kiln_max_pool(g, kiln_relu(g, x), &(kiln_pool_params){.size = {2, 2}});
    x = kiln_dropout(g, kiln_flatten(g, x, 1), 0.5);
    x = kiln_matmul(g, x, kiln_parameter(g, "dense.weight", KILN_SHAPE(3, 36), NULL),
                    &(kiln_matmul_params){.transpose_b = true});
    return kiln_softmax(g, kiln_add(g, x, kiln_parameter(g, "dense.bias", KILN_SHAPE(3), &counted)), -1);
}

enum { ROWS = 5, INPUTS = ROWS * 2 * 36, OUTPUTS = ROWS * 3 };

static void predict(const kiln_graph *g, kiln_weights *w, kiln_tensor y, float *out)
{
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    float x[INPUTS];
    for (int i = 0; i < INPUTS; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    const kiln_array from = {.data = x, .shape = KILN_SHAPE(ROWS, 2, 6, 6)};
    kiln_array to = {.data = out, .bytes = OUTPUTS * sizeof *out};
    ok(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}));
    ok(kiln_program_write(p, kiln_graph_input(g, 0), &from));
    ok(kiln_program_run(p));
    ok(kiln_program_read(p, y, &to));
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

static void run(const kiln_graph *g, kiln_weights *w, float *out)
{
    predict(g, w, kiln_graph_output(g, 0), out);
}

static const char *scratch_file(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/kiln_onnx_%ld.onnx", (long)getpid());
    return path;
}

Test(onnx_save, a_network_comes_back_with_its_parameters_states_and_outputs)
{
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL, *read = NULL;
    float want[OUTPUTS], got[OUTPUTS];
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    kiln_output(g, "scores", network(g, kiln_input(g, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 6, 6))));
    ok(kiln_weights_create(&w, g, NULL));
    run(g, w, want);

    ok(kiln_onnx_save(g, w, path, NULL));
    ok(kiln_onnx_load(&again, &read, path, &(kiln_onnx_params){.train = true}));
    run(again, read, got);
    for (int i = 0; i < OUTPUTS; i++)
        cr_expect(got[i] - want[i] < 1e-6f && want[i] - got[i] < 1e-6f, "%d: %g, wanted %g", i,
                  (double)got[i], (double)want[i]);

    cr_expect(kiln_graph_parameter_count(again) == kiln_graph_parameter_count(g));
    for (int i = 0; i < kiln_graph_parameter_count(g); i++) {
        const char *name = kiln_tensor_name(g, kiln_graph_parameter(g, i));
        cr_expect(kiln_weights_is_parameter(read, name), "%s is no parameter", name);
    }
    cr_expect(kiln_find(again, "bn.mean").id && !kiln_weights_is_parameter(read, "bn.mean"));
    cr_expect(kiln_tensor_shape(again, kiln_graph_input(again, 0)).size[0] == KILN_BATCH);

    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
}

/* Rows that begin above 0, and behind them rows of -1. */
static kiln_tensor kept_rows(kiln_graph *g)
{
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(6, 2));
    const kiln_tensor first = kiln_squeeze(g, kiln_slice(g, x, 1, 0, 1, 1), 1);
    const kiln_tensor places = kiln_non_zero(g, kiln_greater(g, first, kiln_scalar(g, KILN_F32, 0)), 0, NULL);
    return kiln_output(g, "rows", kiln_whole(g, kiln_gather(g, x, kiln_squeeze(g, places, 1), 0), 0, -1));
}

static void keep_rows(const kiln_graph *g, kiln_weights *w, const char *device, float got[12])
{
    const float x[12] = {1, 2, -3, 4, 5, 6, -7, 8, -9, 10, 11, 12};
    kiln_device *dev = kiln_test_open(device);
    kiln_program *p = NULL;
    ok(kiln_program_create(&p, dev, g, w, NULL));
    ok(kiln_program_write(p, kiln_graph_input(g, 0),
                          &(kiln_array){.data = (void *)(uintptr_t)x, .shape = KILN_SHAPE(6, 2)}));
    ok(kiln_program_run(p));
    ok(kiln_program_read(p, kiln_graph_output(g, 0), &(kiln_array){.data = got, .bytes = 12 * sizeof *got}));
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

Test(onnx_save, what_fills_up_counted_rows_comes_back)
{
    static const float want[12] = {1, 2, 5, 6, 11, 12, -1, -1, -1, -1, -1, -1};
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL, *read = NULL;
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    kept_rows(g);
    ok(kiln_weights_create(&w, g, NULL));
    ok(kiln_onnx_save(g, w, path, NULL));
    ok(kiln_onnx_load(&again, &read, path, NULL));
    cr_expect_eq(kiln_tensor_shape(again, kiln_graph_output(again, 0)).size[0], 6);
    for (int d = 0; kiln_test_device(d); d++) {
        float got[2][12];
        keep_rows(g, w, kiln_test_device(d), got[0]);
        keep_rows(again, read, kiln_test_device(d), got[1]);
        cr_expect_arr_eq(got[0], want, sizeof want, "%s", kiln_test_device(d));
        cr_expect_arr_eq(got[1], want, sizeof want, "%s, from the file", kiln_test_device(d));
    }
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
}

/* 10, 10.5, .. as often as n says, at most 5 times, and behind them -1. */
static void count_up(kiln_graph *g)
{
    const kiln_tensor n = kiln_input(g, "n", KILN_F32, KILN_SCALAR), half = kiln_scalar(g, KILN_F32, 0.5);
    const kiln_tensor zero = kiln_scalar(g, KILN_F32, 0);
    const int64_t count = kiln_dim_bounded(g, kiln_range_count(g, zero, kiln_mul(g, n, half), half), 5);
    const kiln_tensor steps = kiln_mul(g, kiln_sequence(g, KILN_F32, 0, 1, count), half);
    kiln_output(g, "y", kiln_whole(g, kiln_shift(g, steps, 10), 0, -1));
}

Test(onnx_save, what_is_filled_up_keeps_its_size_wherever_there_is_room_for_more_or_less)
{
    static const float want[5] = {10, 10.5, 11, -1, -1}, n = 3;
    const char *path = scratch_file();
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    ok(kiln_graph_create(&g, NULL));
    count_up(g);
    ok(kiln_weights_create(&w, g, NULL));
    ok(kiln_onnx_save(g, w, path, NULL));
    for (int most = 3; most < 8; most += 2) {
        kiln_graph *again = NULL;
        kiln_weights *read = NULL;
        kiln_program *p = NULL;
        kiln_device *dev = kiln_test_open("cpu");
        float got[5] = {0};
        ok(kiln_onnx_load(&again, &read, path, &(kiln_onnx_params){.most_size = most}));
        const kiln_tensor y = kiln_graph_output(again, 0);
        cr_assert_eq(kiln_tensor_shape(again, y).size[0], 5, "room for %d", most);
        ok(kiln_program_create(&p, dev, again, read, NULL));
        ok(kiln_program_write(p, kiln_graph_input(again, 0), &(kiln_array){.data = (void *)(uintptr_t)&n}));
        ok(kiln_program_run(p));
        ok(kiln_program_read(p, y, &(kiln_array){.data = got, .bytes = sizeof got}));
        cr_expect_arr_eq(got, want, sizeof want, "room for %d", most);
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
        kiln_weights_destroy(&read);
        kiln_graph_destroy(&again);
    }
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

/* A loss of the network with another last layer, by which its new layer learns fast, its normalization slowly, and its
   convolution not at all. */
static kiln_tensor learns_again(kiln_graph *g, kiln_tensor *scores, kiln_tensor *loss)
{
    static const kiln_param_group groups[] = {{.match = "head.*"},
                                              {.match = "conv.*", .frozen = true},
                                              {.match = "*", .rate = 0.1}};
    const kiln_tensor wanted = kiln_input(g, "wanted", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_node *n = kiln_node_of(g, kiln_graph_output(g, 0));
    while (strcmp(n->op->name, "matmul"))
        n = kiln_node_of(g, n->in[0]);
    *scores =
        kiln_name(g, kiln_nn_dense(g, n->in[0], &(kiln_nn_dense_params){.name = "head", .units = 3}), "new");
    *loss = kiln_cross_entropy(g, *scores, wanted);
    return kiln_minimize(
        g, *loss, &(kiln_minimize_params){.by = KILN_ADAM, .rate = 0.05, .groups = groups, .group_count = 3});
}

/* The loss before and after some steps on the same rows. */
static void learn(const kiln_graph *g, kiln_weights *w, kiln_tensor step, kiln_tensor loss, float *first,
                  float *last)
{
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    float x[INPUTS];
    int32_t wanted[ROWS] = {0, 1, 2, 1, 0};
    for (int i = 0; i < INPUTS; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    ok(kiln_program_create(&p, dev, g, w,
                           &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)}));
    ok(kiln_program_write(p, kiln_graph_input(g, 0),
                          &(kiln_array){.data = x, .shape = KILN_SHAPE(ROWS, 2, 6, 6)}));
    ok(kiln_program_write(p, kiln_find(g, "wanted"),
                          &(kiln_array){.data = wanted, .type = KILN_I32, .shape = KILN_SHAPE(ROWS)}));
    for (int i = 0; i < 30; i++) {
        ok(kiln_program_run(p));
        ok(kiln_program_read(p, loss, &(kiln_array){.data = i ? last : first, .bytes = sizeof *first}));
    }
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

/* How far a tensor of one store is from that of another, at the most. */
static double apart(kiln_weights *a, kiln_weights *b, const char *name)
{
    float x[256], y[256];
    double most = 0;
    kiln_array one = {.data = x, .bytes = sizeof x}, other = {.data = y, .bytes = sizeof y};
    ok(kiln_weights_read(a, name, &one));
    ok(kiln_weights_read(b, name, &other));
    for (int64_t i = 0; i < kiln_shape_count(&one.shape); i++)
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

Test(onnx_save, an_imported_network_learns_with_another_last_layer_and_is_exported_again)
{
    kiln_graph *g = NULL, *again = NULL, *third = NULL;
    kiln_weights *w = NULL, *read = NULL, *last_read = NULL;
    kiln_tensor scores, loss;
    float first, last, want[OUTPUTS], got[OUTPUTS];
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    kiln_output(g, "scores", network(g, kiln_input(g, "image", KILN_F32, KILN_SHAPE(ROWS, 2, 6, 6))));
    ok(kiln_weights_create(&w, g, NULL));
    ok(kiln_onnx_save(g, w, path, NULL));

    ok(kiln_onnx_load(&again, &read, path, &(kiln_onnx_params){.train = true, .free_batch = true}));
    const kiln_tensor step = learns_again(again, &scores, &loss);
    ok(kiln_weights_add(read, again));
    learn(again, read, step, loss, &first, &last);
    cr_expect(last < first / 2, "the loss went from %g to %g", (double)first, (double)last);
    cr_expect(apart(w, read, "conv.weight") == 0, "what is frozen has moved");
    cr_expect(apart(w, read, "bn.scale") > 1e-4, "what learns slowly has not moved");
    cr_expect(apart(w, read, "bn.mean") > 1e-4, "running statistics have not moved");

    ok(kiln_onnx_save(again, read, path, &(kiln_onnx_save_params){.outputs = KILN_RUN(scores)}));
    ok(kiln_onnx_load(&third, &last_read, path, NULL));
    cr_expect(kiln_weights_is_parameter(last_read, "head.weight"));
    cr_expect(kiln_find(third, "dense.weight").id == 0, "the old layer was written, too");
    predict(again, read, scores, want);
    predict(third, last_read, kiln_graph_output(third, 0), got);
    for (int i = 0; i < OUTPUTS; i++)
        cr_expect(fabs((double)got[i] - (double)want[i]) < 1e-5, "%d: %g, wanted %g", i, (double)got[i],
                  (double)want[i]);
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_weights_destroy(&last_read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
    kiln_graph_destroy(&third);
}

static void keep_line(void *user, kiln_log_level level, const char *line)
{
    (void)level;
    snprintf(user, 1024, "%s", line);
}

static kiln_status same(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

/* An operator that the application adds. */
static const kiln_op own_op = {.name = "own", .inputs = 1, .outputs = 1, .infer = same};

Test(onnx_save, what_onnx_has_nothing_for_is_named_and_no_file_is_written)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(4, 4)),
                      one = kiln_append(g, &own_op, &x, 1, NULL, 0);
    char line[1024] = "";
    kiln_output(g, "one", one);
    kiln_output(g, "other", kiln_append(g, &own_op, &one, 1, NULL, 0));
    kiln_log_to(keep_line, line, KILN_LOG_ERROR);
    ok(kiln_weights_create(&w, g, NULL));
    cr_expect(kiln_onnx_save(g, w, path, NULL) == KILN_ERROR_UNSUPPORTED);
    cr_expect(access(path, F_OK) != 0);
    static const char *const said[] = {"cannot be written, 2 nodes: ",
                                       "own \"one\": ONNX has nothing like it",
                                       "own \"other\": ONNX has nothing like it"};
    for (size_t i = 0; i < KILN_COUNT(said); i++)
        cr_expect(strstr(line, said[i]) != NULL, "wanted \"%s\", got \"%s\"", said[i], line);
    cr_expect(kiln_onnx_save(g, w, path, &(kiln_onnx_save_params){.opset = 9}) == KILN_ERROR_ARGUMENT);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

/* Operators that ONNX has nothing for. */
static const struct {
    const char *name, *why;
} unwritten[] = {
    {"chain", "made while a program is compiled"},
    {"conv_integer_last", "made while a program is compiled"},
    {"pool_last", "made while a program is compiled"},
    {"recurrent", "written as a group (onnx_save_recurrent.c)"},
};

static bool stays_unwritten(const char *op)
{
    bool found = false;
    for (size_t i = 0; i < KILN_COUNT(unwritten); i++)
        found = found || !strcmp(unwritten[i].name, op);
    return found;
}

Test(onnx_save, every_operator_is_written_but_for_those_named_here)
{
    for (int i = 0; kiln_ops[i]; i++) {
        const char *op = kiln_ops[i]->name;
        const bool written = kiln_onnx_writer_row_of(op) != NULL;
        cr_expect(written != stays_unwritten(op), "%s is %s", op,
                  written ? "written after all" : "not written");
    }
}

/* Every activation, and what rounds: [batch, 2, 6, 6] -> [batch, 3], through its sums. */
static kiln_tensor activated(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor slope = kiln_parameter(g, "slope", KILN_SHAPE(2, 1, 1), NULL);
    const kiln_tensor two = kiln_scalar(g, KILN_F32, 2);
    const kiln_tensor all[] = {
        kiln_elu(g, x, 0.5),
        kiln_celu(g, x, 0.5),
        kiln_selu(g, x),
        kiln_gelu(g, x),
        kiln_gelu_tanh(g, x),
        kiln_silu(g, x),
        kiln_swish(g, x, 1.5),
        kiln_mish(g, x),
        kiln_hard_swish(g, x),
        kiln_softsign(g, x),
        kiln_shrink(g, x, 0.25, 0.125),
        kiln_thresholded_relu(g, x, 0.25),
        kiln_prelu(g, x, slope),
        kiln_erf(g, x),
        kiln_hard_sigmoid(g, x, 0.2, 0.5),
        kiln_leaky_relu(g, x, 0.25),
        kiln_trunc(g, kiln_mul(g, x, two)),
        kiln_mod(g, x, two),
        kiln_fmod(g, x, two),
        kiln_round(g, kiln_mul(g, x, two)),
        kiln_atan(g, x),
    };
    const kiln_tensor sum = kiln_add_all(g, all, (int)(sizeof all / sizeof *all));
    const kiln_tensor halves = kiln_slice(g, kiln_flatten(g, sum, 1), 1, 0, 3, 1);
    return halves;
}

/* What `build` makes of [batch, 2, 6, 6], saved by an opset and loaded again, computes the same [batch, 3]. */
static void comes_back(kiln_tensor (*build)(kiln_graph *g, kiln_tensor x), int opset)
{
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL, *read = NULL;
    float want[OUTPUTS], got[OUTPUTS];
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    kiln_output(g, "y", build(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 6, 6))));
    ok(kiln_weights_create(&w, g, NULL));
    run(g, w, want);
    ok(kiln_onnx_save(g, w, path, &(kiln_onnx_save_params){.opset = opset}));
    ok(kiln_onnx_load(&again, &read, path, NULL));
    run(again, read, got);
    for (int i = 0; i < OUTPUTS; i++)
        cr_expect(got[i] - want[i] < 1e-5f && want[i] - got[i] < 1e-5f, "opset %d, %d: %g, wanted %g", opset,
                  i, (double)got[i], (double)want[i]);
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
}

/* Some are nodes of their own from a later opset on, and composed before. */
Test(onnx_save, activations_come_back_at_every_opset)
{
    for (int opset = 17; opset <= 21; opset++)
        comes_back(activated, opset);
}

/* What flows back through activations, parts and filters, also of groups and strides: [batch, 3]. */
static kiln_tensor pulled_back(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(4, 1, 3, 2), NULL),
                      v = kiln_parameter(g, "v", KILN_SHAPE(3, 4, 2, 2), NULL),
                      image = kiln_parameter(g, "image", KILN_SHAPE(2, 2, 6, 6), NULL);
    const int64_t before[] = {0, 0, 1, 0}, after[] = {0, 0, 2, 3};
    const kiln_tensor wide =
        kiln_conv(g, image, w, KILN_NONE, &(kiln_conv_params){.groups = 2, .stride = {2, 1}, .same = true});
    const kiln_tensor far =
        kiln_conv(g, wide, v, KILN_NONE, &(kiln_conv_params){.dilation = {2, 3}, .pad = {{1, 0}, {0, 2}}});
    const kiln_tensor both[] = {x, kiln_square(g, x)}, two = kiln_concat(g, both, 2, 1);
    const kiln_tensor parts[] = {
        activated(g, x),
        kiln_softplus(g, x),
        kiln_sigmoid(g, x),
        kiln_tanh(g, x),
        kiln_relu(g, x),
        kiln_square(g, far),
        kiln_square(g, kiln_pad(g, x, before, after, 0.5)),
        kiln_exp(g, kiln_slice(g, two, 1, -1, KILN_END, -2)),
        kiln_square(g, kiln_slice(g, two, 3, 1, -1, 2)),
    };
    kiln_tensor loss = kiln_scalar(g, KILN_F32, 0), d[3];
    for (size_t i = 0; i < KILN_COUNT(parts); i++)
        loss = kiln_add(g, loss, kiln_mean(g, parts[i], NULL));
    kiln_gradient(g, loss, KILN_NONE, (const kiln_tensor[]){x, w, v}, 3, d);
    kiln_tensor y = kiln_slice(g, kiln_flatten(g, d[0], 1), 1, 20, 23, 1);
    for (int i = 1; i < 3; i++)
        y = kiln_add(g, y,
                     kiln_slice(g, kiln_reshape(g, kiln_square(g, d[i]), KILN_SHAPE(KILN_REST)), 0, 5, 8, 1));
    return y;
}

Test(onnx_save, gradients_come_back)
{
    comes_back(pulled_back, 17);
    comes_back(pulled_back, 21);
}

/* Order, places and tuples along an axis of symbolic size. */
static kiln_tensor arranged(kiln_graph *g, kiln_tensor x)
{
    x = kiln_slice(g, kiln_flatten(g, x, 1), 1, 0, 3, 1); /* [batch, 3] */
    kiln_tensor order, best;
    const kiln_tensor sorted = kiln_sort(g, x, 0, true, &order), place = kiln_positions(g, x, 0);
    kiln_top_k(g, x, 1, 1, NULL, &best); /* [batch, 1] */
    const kiln_tensor rows = kiln_unsqueeze(g, place, 1), pairs[] = {rows, best};
    const kiln_tensor tuple = kiln_concat(g, pairs, 2, 1);
    const kiln_tensor largest = kiln_gather_nd(g, x, tuple, 0);
    const kiln_tensor steps = kiln_sequence(g, KILN_F32, 0.5, 0.25, KILN_BATCH);
    const kiln_tensor marked = kiln_scatter_nd(g, x, tuple, kiln_mul(g, largest, steps),
                                               &(kiln_scatter_params){.kind = KILN_SCATTER_ADD});
    const kiln_tensor at = kiln_cast(g, order, KILN_F32);
    const kiln_tensor all[] = {sorted, marked, at, kiln_cumsum(g, x, 1, NULL)};
    return kiln_add_all(g, all, 4);
}

Test(onnx_save, what_names_places_comes_back_at_symbolic_sizes)
{
    comes_back(arranged, 17);
    comes_back(arranged, 21);
}

/* How little four frames of three classes spell a label: [batch, 1]. */
static kiln_tensor spelled(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor frames = kiln_slice(g, kiln_flatten(g, x, 1), 1, 0, 12, 1);
    const kiln_tensor said = kiln_move_axis(g, kiln_reshape(g, frames, KILN_SHAPE(0, 4, 3)), 1, 0);
    const kiln_tensor one =
        kiln_expand(g, kiln_scalar(g, KILN_I32, 1), KILN_SHAPE(kiln_tensor_shape(g, x).size[0]));
    const kiln_ctc_params p = {.logits = true, .reduction = KILN_LOSS_EACH};
    return kiln_unsqueeze(g, kiln_ctc_loss(g, said, kiln_unsqueeze(g, one, 1), KILN_NONE, one, &p), 1);
}

/* What ONNX lacks, composed of what it has: [batch, 3], by sequences, borders, windows and boxes. */
static kiln_tensor composed(kiln_graph *g, kiln_tensor x)
{
    const int64_t two[2] = {0, 2}, size[] = {4, 1};
    const kiln_tensor rows = kiln_slice(g, kiln_flatten(g, x, 1), 1, 0, 3, 1); /* [batch, 3] */
    const kiln_tensor border = kiln_pad_border(g, rows, two, two, KILN_BORDER_SYMMETRIC);
    const kiln_tensor pool = kiln_adaptive_average_pool(g, x, size); /* [batch, 2, 4, 1] */
    const kiln_tensor four = kiln_slice(g, kiln_flatten(g, pool, 1), 1, 0, 4, 1);
    const kiln_tensor fit = kiln_box_overlap(g, four, kiln_slice(g, four, 0, 0, 1, 1), KILN_CIOU);
    const kiln_tensor at = kiln_search_sorted(g, kiln_sequence(g, KILN_F32, -1, 0.25, 8), rows, false);
    const kiln_tensor one = kiln_scalar(g, KILN_I32, -1);
    const kiln_tensor cut = kiln_slice_at(g, border, 1, one, 3);
    kiln_tensor where, places;
    const kiln_tensor peaks = kiln_adaptive_max_pool(g, x, size, &places);
    const kiln_tensor most = kiln_cummax(g, rows, 0, NULL, &where);
    const kiln_tensor all[] = {
        kiln_cumprod(g, rows, 0, NULL),
        kiln_linear_scan(g, rows, rows, 1, true),
        most,
        kiln_cast(g, where, KILN_F32),
        kiln_atan2(g, rows, kiln_cumsum(g, rows, 1, NULL)),
        kiln_cast(g, at, KILN_F32),
        cut,
        kiln_put_at(g, rows, kiln_square(g, rows), 0, one),
        kiln_sum_to(g, kiln_add(g, kiln_unsqueeze(g, rows, 0), rows), rows),
        kiln_add(g, rows, fit),
        kiln_add(g, rows, spelled(g, x)),
        kiln_slice(g, kiln_flatten(g, kiln_add(g, peaks, kiln_cast(g, places, KILN_F32)), 1), 1, 0, 3, 1),
    };
    return kiln_add_all(g, all, (int)(sizeof all / sizeof *all));
}

Test(onnx_save, what_onnx_lacks_comes_back_composed)
{
    comes_back(composed, 17);
    comes_back(composed, 21);
}

/* Boxes of the maps, cut out in every way: [batch, 2, 6, 6] -> [batch, 3]. */
static kiln_tensor regions(kiln_graph *g, kiln_tensor x)
{
    const float box[] = {1, 0.5f, 9, 10};
    const kiln_tensor one = kiln_constant(g, &(kiln_array){.data = (void *)box, .shape = KILN_SHAPE(4)});
    const kiln_tensor boxes = kiln_expand(g, one, KILN_SHAPE(kiln_tensor_shape(g, x).size[0], 4));
    const kiln_roi_params p = {.size = {1, 3}, .scale = 0.5, .samples = 2},
                          half = {.size = {1, 3}, .scale = 0.4, .half_pixel = true},
                          most = {.size = {1, 3}, .scale = 0.5, .largest = true};
    const kiln_tensor row = kiln_positions(g, x, 0), third = kiln_equal(g, row, kiln_scalar(g, KILN_I32, 2)),
                      map = kiln_where(g, third, kiln_scalar(g, KILN_I32, KILN_NOWHERE), row);
    const kiln_tensor all[] = {kiln_roi_align(g, x, boxes, map, &p), kiln_roi_align(g, x, boxes, map, &half),
                               kiln_roi_align(g, x, boxes, map, &most),
                               kiln_roi_pool(g, x, boxes, map, &p, NULL)};
    const kiln_tensor sum = kiln_add_all(g, all, 4);
    return kiln_reshape(g, kiln_slice(g, sum, 1, 1, 2, 1), KILN_SHAPE(KILN_REST, 3));
}

/* Each element by a weight of its own: [batch, 72] -> [batch, 3]. */
static kiln_tensor weighed(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor parts = kiln_reshape(g, x, KILN_SHAPE(KILN_REST, 3, 24));
    return kiln_sum(g, kiln_mul(g, parts, kiln_sequence(g, KILN_F32, 0.5, 0.1, 24)),
                    &(kiln_reduce_params){.axes = KILN_AXES(2)});
}

/* What comes back to x from each kind of region: the mean, of as many samples as are asked for and of as many as cells, and the largest. */
static kiln_tensor regions_pull(kiln_graph *g, kiln_tensor x)
{
    kiln_tensor dx;
    kiln_gradient(g, kiln_sum(g, kiln_square(g, regions(g, x)), NULL), KILN_NONE, &x, 1, &dx);
    return weighed(g, dx);
}

static void expect_back(kiln_tensor (*build)(kiln_graph *g, kiln_tensor x), float tolerance)
{
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL, *read = NULL;
    float want[OUTPUTS], got[OUTPUTS];
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    kiln_output(g, "y", build(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 6, 6))));
    ok(kiln_weights_create(&w, g, NULL));
    run(g, w, want);
    ok(kiln_onnx_save(g, w, path, NULL));
    ok(kiln_onnx_load(&again, &read, path, &(kiln_onnx_params){.most_steps = 64}));
    run(again, read, got);
    for (int i = 0; i < OUTPUTS; i++)
        cr_expect(got[i] - want[i] < tolerance && want[i] - got[i] < tolerance, "%d: %g, wanted %g", i,
                  (double)got[i], (double)want[i]);
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
}

Test(onnx_save, regions_come_back)
{
    expect_back(regions, 1e-6f);
    expect_back(regions_pull, 1e-5f);
}

/* The first elements of each row of the batch. */
static kiln_tensor first(kiln_graph *g, kiln_tensor x)
{
    return kiln_slice(g, kiln_flatten(g, x, 1), 1, 0, 18, 1);
}

/* A transposed convolution whose windows leave places between, resizing to places that ONNX has no more, a vector of zero points for the rows of stacked matrices, anchors claimed by boxes. */
static kiln_tensor rewritten(kiln_graph *g, kiln_tensor x)
{
    const uint8_t zeros[] = {7, 130, 255, 0, 90, 1};
    const kiln_tensor twice = kiln_resize(g, x,
                                          &(kiln_resize_params){.scale = {1.5, 0.5},
                                                                .places = KILN_RESIZE_TF_HALF_PIXEL,
                                                                .mode = KILN_RESIZE_LINEAR});
    const kiln_tensor codes = kiln_cast(g, kiln_shift(g, kiln_scale(g, x, 100), 120), KILN_U8),
                      zero = kiln_constant(
                          g, &(kiln_array){.data = (void *)zeros, .type = KILN_U8, .shape = KILN_SHAPE(6)});
    const kiln_tensor product =
        kiln_cast(g, kiln_matmul_integer(g, codes, codes, zero, KILN_NONE, NULL), KILN_F32);
    const kiln_tensor overlap = kiln_reshape(g, x, KILN_SHAPE(0, 2, 36)), count = kiln_scalar(g, KILN_I32, 2);
    const kiln_tensor owner =
        kiln_assign_truths(g, overlap, kiln_expand(g, count, KILN_SHAPE(kiln_tensor_shape(g, x).size[0])),
                           &(kiln_assign_params){.claim = KILN_CLAIM_OWN});
    const float filters[] = {1, -2, 0.5f, 3};
    const kiln_tensor w =
        kiln_constant(g, &(kiln_array){.data = (void *)filters, .shape = KILN_SHAPE(2, 2, 1, 1)});
    const kiln_tensor sparse =
        kiln_conv_transpose(g, x, w, KILN_NONE,
                            &(kiln_conv_params){.stride = {2, 2}, .same = KILN_SAME_UPPER});
    const kiln_tensor all[] = {first(g, sparse), first(g, twice), kiln_scale(g, first(g, product), 1e-4),
                               first(g, kiln_cast(g, owner, KILN_F32))};
    return weighed(g, kiln_concat(g, all, 4, 1));
}

Test(onnx_save, what_onnx_says_otherwise_comes_back)
{
    expect_back(rewritten, 1e-5f);
}

/* What only a later opset has raises it, unless one is asked for. */
Test(onnx_save, the_opset_follows_the_network)
{
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL, *read = NULL;
    const char *path = scratch_file();
    ok(kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "x", KILN_I32, KILN_SHAPE(4));
    kiln_output(g, "y", kiln_bit_and(g, x, kiln_bit_not(g, x)));
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    ok(kiln_weights_create(&w, g, NULL));
    cr_expect(kiln_onnx_save(g, w, path, &(kiln_onnx_save_params){.opset = 17}) == KILN_ERROR_UNSUPPORTED);
    ok(kiln_onnx_save(g, w, path, NULL));
    ok(kiln_onnx_load(&again, &read, path, NULL));
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
}
