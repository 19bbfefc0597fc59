/* onnx_step.c - a step of training through an ONNX file: a loss and its gradients by all parameters are what they were. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kiln/attention.h>
#include <kiln/import.h>
#include <kiln/nn.h>
#include <kiln/norm.h>
#include <kiln/pool.h>
#include <kiln/train.h>

#include "base/file.h"
#include "support/support.h"

enum { ROWS = 3, CLASSES = 4, MOST_RESULTS = 64 };

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

/* Networks: scores [batch, CLASSES] of pictures or tokens --------------------------------------------------- */

static kiln_tensor pictures(kiln_graph *g, int64_t batch)
{
    return kiln_input(g, "x", KILN_F32, KILN_SHAPE(batch, 2, 10, 10));
}

static kiln_tensor lenet(kiln_graph *g, int64_t batch)
{
    kiln_tensor x = pictures(g, batch);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}});
    x = kiln_max_pool(g, kiln_relu(g, x), &(kiln_pool_params){.size = {2, 2}});
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 6, .size = {2, 2}});
    x = kiln_average_pool(g, kiln_tanh(g, x),
                          &(kiln_pool_params){.size = {3, 3}, .stride = {1, 1}, .pad = {{1, 1}, {1, 1}}});
    x = kiln_relu(g, kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 8}));
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = CLASSES});
}

static kiln_tensor normalized(kiln_graph *g, kiln_tensor x, int filters, int stride, int groups)
{
    const kiln_nn_conv_params p = {.filters = filters,
                                   .size = {3, 3},
                                   .stride = {stride, stride},
                                   .pad = {{1, 1}, {1, 1}},
                                   .groups = groups,
                                   .no_bias = true};
    return kiln_nn_batch_norm(g, kiln_nn_conv(g, x, &p), NULL);
}

static kiln_tensor resnet(kiln_graph *g, int64_t batch)
{
    kiln_tensor x = kiln_relu(g, normalized(g, pictures(g, batch), 4, 1, 1));
    x = kiln_max_pool(g, x, &(kiln_pool_params){.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}});
    kiln_tensor y = kiln_relu(g, normalized(g, x, 4, 1, 2));
    x = kiln_relu(g, kiln_add(g, x, normalized(g, y, 4, 1, 1)));
    y = kiln_relu(g, normalized(g, x, 8, 2, 1));
    const kiln_nn_conv_params across = {.filters = 8, .size = {1, 1}, .stride = {2, 2}, .no_bias = true};
    x = kiln_relu(g, kiln_add(g, kiln_nn_conv(g, x, &across), y));
    x = kiln_flatten(g, kiln_global_average_pool(g, x), 1);
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = CLASSES});
}

static kiln_tensor transformer(kiln_graph *g, int64_t batch)
{
    const kiln_tensor token = kiln_input(g, "x", KILN_I32, KILN_SHAPE(batch, 6));
    kiln_tensor x = kiln_nn_embedding(g, token, &(kiln_nn_embedding_params){.count = 9, .width = 8});
    const kiln_nn_transformer_params p = {.attention = {.heads = 2, .causal = true}, .hidden = 12};
    for (int i = 0; i < 2; i++)
        x = kiln_nn_encoder_layer(g, x, &p);
    x = kiln_nn_layer_norm(g, x, NULL);
    return kiln_nn_dense(g, kiln_mean(g, x, &(kiln_reduce_params){.axes = KILN_AXES(1)}),
                         &(kiln_nn_dense_params){.units = CLASSES});
}

/* Grouped heads, squashed scores, and the other normalizations. */
static kiln_tensor decoder(kiln_graph *g, int64_t batch)
{
    const kiln_tensor token = kiln_input(g, "x", KILN_I32, KILN_SHAPE(batch, 6));
    kiln_tensor x = kiln_nn_embedding(g, token, &(kiln_nn_embedding_params){.count = 9, .width = 16});
    kiln_tensor y = kiln_nn_rms_norm(g, x, NULL);
    const kiln_tensor q = kiln_nn_dense(g, y, &(kiln_nn_dense_params){.units = 16}),
                      k = kiln_nn_dense(g, y, &(kiln_nn_dense_params){.units = 8}),
                      v = kiln_nn_dense(g, y, &(kiln_nn_dense_params){.units = 8});
    const kiln_attention_params p = {.heads = 4, .kv_heads = 2, .causal = true, .softcap = 2};
    x = kiln_add(g, x, kiln_attention(g, q, k, v, &p));
    x = kiln_reshape(g, x, KILN_SHAPE(0, 6, 4, 4));
    x = kiln_nn_group_norm(g, x, &(kiln_nn_group_norm_params){.groups = 2});
    x = kiln_l2_normalize(g, kiln_flatten(g, x, 1), 1, 0);
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = CLASSES});
}

/* Gates of both directions, and a state that comes before. */
static kiln_tensor recurrent(kiln_graph *g, int64_t batch)
{
    const kiln_tensor token = kiln_input(g, "x", KILN_I32, KILN_SHAPE(batch, 6));
    kiln_tensor x = kiln_nn_embedding(g, token, &(kiln_nn_embedding_params){.count = 9, .width = 8});
    kiln_recurrent_states last;
    x = kiln_move_axis(g, x, 0, 1);
    x = kiln_nn_lstm(g, x, &(kiln_nn_recurrent_params){.units = 5, .cell = {.direction = KILN_BIDIRECTIONAL}},
                     &last);
    x = kiln_nn_gru(g, x, &(kiln_nn_recurrent_params){.units = 6}, &last);
    x = kiln_nn_rnn(g, x, &(kiln_nn_recurrent_params){.units = 4}, NULL);
    const kiln_tensor both[] = {kiln_mean(g, x, &(kiln_reduce_params){.axes = KILN_AXES(0)}),
                                kiln_squeeze(g, last.h, 0)};
    return kiln_nn_dense(g, kiln_concat(g, both, 2, 1), &(kiln_nn_dense_params){.units = CLASSES});
}

/* A step ------------------------------------------------------------------------------------------------------ */

typedef kiln_tensor network(kiln_graph *g, int64_t batch);

struct step {
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor result[MOST_RESULTS + 1]; /* the loss, and gradients; ended by KILN_NONE */
    int count;
};

static struct step build(network *net, int64_t batch)
{
    struct step s = {.g = NULL};
    ok(kiln_graph_create(&s.g, NULL));
    const kiln_tensor scores = net(s.g, batch);
    const kiln_tensor wanted = kiln_input(s.g, "wanted", KILN_I32, KILN_SHAPE(batch));
    kiln_tensor parameter[MOST_RESULTS];
    const int parameters = kiln_graph_parameter_count(s.g);
    cr_assert(parameters < MOST_RESULTS);
    s.result[0] = kiln_cross_entropy(s.g, scores, wanted);
    for (int i = 0; i < parameters; i++)
        parameter[i] = kiln_graph_parameter(s.g, i);
    kiln_gradient(s.g, s.result[0], KILN_NONE, parameter, parameters, &s.result[1]);
    s.count = 1 + parameters;
    ok(kiln_graph_status(s.g));
    ok(kiln_weights_create(&s.w, s.g, &(kiln_weights_params){.seed = 3}));
    return s;
}

static struct step read_back(const char *path, int count)
{
    struct step s = {.count = count};
    ok(kiln_onnx_load(&s.g, &s.w, path, NULL));
    cr_assert_eq(kiln_graph_output_count(s.g), count);
    for (int i = 0; i < count; i++)
        s.result[i] = kiln_graph_output(s.g, i);
    return s;
}

static void finish(struct step *s)
{
    kiln_weights_destroy(&s->w);
    kiln_graph_destroy(&s->g);
}

static void write_inputs(const struct step *s, kiln_program *p)
{
    float pixels[ROWS * 200];
    int32_t tokens[ROWS * 6], wanted[ROWS] = {2, 0, 3};
    const kiln_tensor x = kiln_find(s->g, "x");
    const bool real = kiln_type_is_real(kiln_tensor_type(s->g, x));
    for (int i = 0; i < ROWS * 200; i++)
        pixels[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int i = 0; i < ROWS * 6; i++)
        tokens[i] = i * 7 % 9;
    ok(kiln_program_write(
        p, x,
        real ? &(kiln_array){.data = pixels, .shape = KILN_SHAPE(ROWS, 2, 10, 10)}
             : &(kiln_array){.data = tokens, .type = KILN_I32, .shape = KILN_SHAPE(ROWS, 6)}));
    ok(kiln_program_write(p, kiln_find(s->g, "wanted"),
                          &(kiln_array){.data = wanted, .type = KILN_I32, .shape = KILN_SHAPE(ROWS)}));
}

static void run(const struct step *s, const char *device, kiln_array *out)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_program *p = NULL;
    ok(kiln_program_create(&p, dev, s->g, s->w, &(kiln_program_params){.run = s->result, .train = true}));
    write_inputs(s, p);
    ok(kiln_program_run(p));
    for (int i = 0; i < s->count; i++) {
        out[i] = (kiln_array){.type = KILN_F32};
        ok(kiln_program_shape(p, s->result[i], &out[i].shape));
        out[i].bytes = (size_t)kiln_shape_count(&out[i].shape) * sizeof(float);
        out[i].data = malloc(out[i].bytes);
        ok(kiln_program_read(p, s->result[i], &out[i]));
    }
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

/* Sums are taken in another order: off by roundings of the largest element. */
static void compare(const char *name, const kiln_array *a, const kiln_array *b)
{
    const float *x = a->data, *y = b->data;
    double largest = 1e-3, apart = 0;
    cr_assert(kiln_shape_equal(&a->shape, &b->shape), "%s has another shape", name);
    for (int64_t i = 0; i < kiln_shape_count(&a->shape); i++) {
        largest = fmax(largest, fabs((double)x[i]));
        apart = fmax(apart, fabs((double)x[i] - (double)y[i]));
        cr_assert(isfinite(y[i]), "%s is not finite", name);
    }
    cr_expect(apart <= 2e-5 * largest, "%s is off by %g of %g", name, apart, largest);
}

static void comes_back(network *net, int64_t batch, int opset)
{
    struct step s = build(net, batch);
    kiln_array want[MOST_RESULTS], got[MOST_RESULTS];
    char path[64];
    snprintf(path, sizeof path, "/tmp/kiln_step_%ld.onnx", (long)getpid());
    ok(kiln_onnx_save(s.g, s.w, path,
                      &(kiln_onnx_save_params){.outputs = s.result, .opset = opset, .train = true}));
    struct step again = read_back(path, s.count);
    run(&s, "cpu", want);
    run(&again, "cpu", got);
    for (int i = 0; i < s.count; i++) {
        compare(i ? kiln_tensor_name(s.g, kiln_graph_parameter(s.g, i - 1)) : "loss", &want[i], &got[i]);
        kiln_array_free(&want[i]);
        kiln_array_free(&got[i]);
    }
    finish(&s);
    finish(&again);
    unlink(path);
}

static void comes_back_in_all_ways(network *net)
{
    comes_back(net, ROWS, 0);
    comes_back(net, KILN_BATCH, 0);
    comes_back(net, KILN_BATCH, 25);
}

Test(onnx_step, of_lenet_comes_back)
{
    comes_back_in_all_ways(lenet);
}

Test(onnx_step, of_a_residual_network_comes_back_by_the_statistics_of_its_batch)
{
    comes_back_in_all_ways(resnet);
}

Test(onnx_step, of_a_transformer_comes_back)
{
    comes_back_in_all_ways(transformer);
}

Test(onnx_step, of_recurrent_cells_comes_back)
{
    comes_back_in_all_ways(recurrent);
}

Test(onnx_step, of_grouped_heads_and_other_normalizations_comes_back)
{
    comes_back_in_all_ways(decoder);
}

/* Optimizers -------------------------------------------------------------------------------------------------- */

/* The network's program of that effect, for so many steps. */
static void make_steps(const struct step *s, kiln_tensor effect, int steps)
{
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    ok(kiln_program_create(&p, dev, s->g, s->w,
                           &(kiln_program_params){.run = KILN_RUN(effect), .train = true}));
    write_inputs(s, p);
    for (int i = 0; i < steps; i++)
        ok(kiln_program_run(p));
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

/* What the weights hold under the name of an output without ".next"; false where it is none. */
static bool read_stored(kiln_weights *w, const char *output, char *name, kiln_array *out)
{
    snprintf(name, 200, "%s", output);
    char *end = strstr(name, ".next");
    *out = (kiln_array){.type = KILN_F32};
    if (!end)
        return false;
    *end = 0;
    kiln_type type;
    cr_assert(kiln_weights_find(w, name, &type, &out->shape), "\"%s\" is nothing that is stored", name);
    out->bytes = (size_t)kiln_shape_count(&out->shape) * sizeof(float);
    out->data = calloc(1, out->bytes + 1);
    out->type = type;
    ok(kiln_weights_read(w, name, out));
    return true;
}

/* Behind two steps: what the third one stores, by the program and by the file: `each` tensors a parameter, and others. */
static void third_step_comes_back(network *net, const kiln_minimize_params *how, bool gathers, int each,
                                  int others)
{
    struct step s = build(net, ROWS);
    const int stored = each * kiln_graph_parameter_count(s.g) + others;
    kiln_array got[MOST_RESULTS], want;
    char path[64], name[200];
    int found = 0;
    const kiln_tensor parts[] = {gathers ? kiln_backward(s.g, s.result[0], how)
                                         : kiln_minimize(s.g, s.result[0], how),
                                 gathers ? kiln_update(s.g, how) : KILN_NONE};
    const kiln_tensor effect = kiln_group(s.g, parts, 2);
    ok(kiln_weights_add(s.w, s.g));
    make_steps(&s, effect, 2);
    snprintf(path, sizeof path, "/tmp/kiln_step_%ld.onnx", (long)getpid());
    ok(kiln_onnx_save(s.g, s.w, path,
                      &(kiln_onnx_save_params){.outputs = KILN_RUN(s.result[0], effect), .train = true}));
    make_steps(&s, effect, 1);

    struct step again = {.count = 1 + stored};
    ok(kiln_onnx_load(&again.g, &again.w, path, NULL));
    cr_assert_eq(kiln_graph_output_count(again.g), again.count, "%d outputs, wanted %d",
                 kiln_graph_output_count(again.g), again.count);
    for (int i = 0; i < again.count; i++)
        again.result[i] = kiln_cast(again.g, kiln_graph_output(again.g, i), KILN_F32);
    run(&again, "cpu", got);
    for (int i = 0; i < again.count; i++) {
        if (read_stored(s.w, kiln_tensor_name(again.g, kiln_graph_output(again.g, i)), name, &want)) {
            if (want.type == KILN_I32)
                *(float *)want.data = (float)*(const int32_t *)want.data;
            compare(name, &want, &got[i]);
            found++;
        }
        kiln_array_free(&want);
        kiln_array_free(&got[i]);
    }
    cr_expect_eq(found, stored);
    finish(&s);
    finish(&again);
    unlink(path);
}

Test(onnx_step, of_each_optimizer_stores_what_the_file_makes)
{
    const kiln_param_group group = {.match = "*bias", .rate = 0.5, .decay = 0.1};
    for (int by = KILN_SGD; by <= KILN_ADAMW; by++) {
        const int states[] = {0, 1, 1, 1, 2, 2};
        const kiln_minimize_params how = {.by = (kiln_optimizer)by,
                                          .decay = 0.01,
                                          .groups = &group,
                                          .group_count = 1},
                                   cut = {.by = (kiln_optimizer)by, .clip_norm = 0.1, .clip_value = 0.01},
                                   scaled = {.by = (kiln_optimizer)by,
                                             .dynamic_scale = true,
                                             .clip_norm = 0.1};
        third_step_comes_back(lenet, &how, false, 1 + states[by], 1);
        third_step_comes_back(lenet, &cut, false, 1 + states[by], 1);
        third_step_comes_back(lenet, &scaled, false, 1 + states[by], 3);
        third_step_comes_back(lenet, &cut, true, 2 + states[by], 1);
    }
}

/* Means and variances of four normalizations are stored by themselves. */
Test(onnx_step, of_a_residual_network_stores_its_running_statistics)
{
    third_step_comes_back(resnet, &(kiln_minimize_params){.by = KILN_SGD}, false, 1, 1 + 2 * 4);
}

/* What is dropped is drawn anew, once for the values and their gradient. */
Test(onnx_step, drops_the_gradients_of_what_it_drops)
{
    enum { COUNT = 400 };
    float x[COUNT], y[COUNT], dx[COUNT];
    char path[64];
    struct step s = {.count = 2}, again;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    int kept = 0;
    ok(kiln_graph_create(&s.g, NULL));
    const kiln_tensor in = kiln_input(s.g, "x", KILN_F32, KILN_SHAPE(COUNT));
    s.result[0] = kiln_dropout(s.g, in, 0.25);
    kiln_gradient(s.g, kiln_sum(s.g, s.result[0], NULL), KILN_NONE, &in, 1, &s.result[1]);
    ok(kiln_weights_create(&s.w, s.g, NULL));
    snprintf(path, sizeof path, "/tmp/kiln_step_%ld.onnx", (long)getpid());
    ok(kiln_onnx_save(s.g, s.w, path, &(kiln_onnx_save_params){.outputs = s.result, .train = true}));
    again = (struct step){.count = 2};
    ok(kiln_onnx_load(&again.g, &again.w, path, &(kiln_onnx_params){.train = true}));
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i + 1);
    ok(kiln_program_create(&p, dev, again.g, again.w, &(kiln_program_params){.train = true}));
    ok(kiln_program_write(p, kiln_graph_input(again.g, 0),
                          &(kiln_array){.data = x, .shape = KILN_SHAPE(COUNT)}));
    ok(kiln_program_run(p));
    ok(kiln_program_read(p, kiln_graph_output(again.g, 0), &(kiln_array){.data = y, .bytes = sizeof y}));
    ok(kiln_program_read(p, kiln_graph_output(again.g, 1), &(kiln_array){.data = dx, .bytes = sizeof dx}));
    for (int i = 0; i < COUNT; i++) {
        kept += y[i] != 0;
        cr_expect(fabsf(y[i] - x[i] * dx[i]) < 1e-4f * x[i], "%d: %g, and a gradient of %g", i, (double)y[i],
                  (double)dx[i]);
    }
    cr_expect(kept > COUNT / 2 && kept < COUNT, "%d of %d are kept", kept, COUNT);
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
    finish(&s);
    finish(&again);
    unlink(path);
}

/* Whether a file has these letters somewhere. */
static bool holds(const char *path, const char *name)
{
    struct kiln_file file;
    bool found = false;
    ok(kiln_file_map(&file, path));
    for (size_t i = 0; i + strlen(name) <= file.size && !found; i++)
        found = !memcmp((const char *)file.data + i, name, strlen(name));
    kiln_file_unmap(&file);
    return found;
}

/* By the batch's statistics none of those that run are read, nor is what inference would make of them; and the other way around. */
Test(onnx_step, leaves_out_what_the_other_mode_computes)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/kiln_step_%ld.onnx", (long)getpid());
    for (int train = 0; train < 2; train++) {
        struct step s = {.count = 1};
        ok(kiln_graph_create(&s.g, NULL));
        const kiln_tensor x = kiln_input(s.g, "x", KILN_F32, KILN_SHAPE(4, 2, 3, 3));
        const kiln_tensor mean = kiln_state(s.g, "mean", KILN_F32, KILN_SHAPE(2), KILN_STORE_WEIGHTS),
                          variance = kiln_state(s.g, "variance", KILN_F32, KILN_SHAPE(2), KILN_STORE_WEIGHTS);
        const kiln_tensor y = kiln_batch_norm(s.g, x, KILN_NONE, KILN_NONE, mean, variance, NULL);
        kiln_gradient(s.g, kiln_sum(s.g, kiln_square(s.g, y), NULL), KILN_NONE, &x, 1, s.result);
        ok(kiln_weights_create(&s.w, s.g, NULL));
        ok(kiln_onnx_save(s.g, s.w, path, &(kiln_onnx_save_params){.outputs = s.result, .train = train}));
        cr_expect(holds(path, "variance") != train, "running statistics, while it %s",
                  train ? "learns" : "does not learn");
        cr_expect(holds(path, "ReduceMean") == train, "the batch's, while it %s",
                  train ? "learns" : "does not learn");
        finish(&s);
    }
    unlink(path);
}

/* Attention and its gradient drop the same probabilities: values of ones say what share of each row is kept, whose slope by them is dv. */
Test(onnx_step, drops_the_gradients_of_the_probabilities_that_it_drops)
{
    enum { L = 6, HEADS = 4, WIDTH = 8, COUNT = HEADS * L * WIDTH };
    float q[COUNT], v[COUNT], y[COUNT], dv[COUNT];
    char path[64];
    struct step s = {.count = 2}, again = {.count = 2};
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    double rows = 0, columns = 0;
    ok(kiln_graph_create(&s.g, NULL));
    const kiln_tensor x = kiln_input(s.g, "q", KILN_F32, KILN_SHAPE(1, HEADS, L, WIDTH)),
                      values = kiln_input(s.g, "v", KILN_F32, KILN_SHAPE(1, HEADS, L, WIDTH));
    s.result[0] = kiln_attention(s.g, x, x, values, &(kiln_attention_params){.dropout = 0.5});
    kiln_gradient(s.g, s.result[0], KILN_NONE, &values, 1, &s.result[1]);
    ok(kiln_weights_create(&s.w, s.g, NULL));
    snprintf(path, sizeof path, "/tmp/kiln_step_%ld.onnx", (long)getpid());
    ok(kiln_onnx_save(s.g, s.w, path, &(kiln_onnx_save_params){.outputs = s.result, .train = true}));
    ok(kiln_onnx_load(&again.g, &again.w, path, &(kiln_onnx_params){.train = true}));
    for (int i = 0; i < COUNT; i++) {
        q[i] = (float)(i * 37 % 101) / 50 - 1;
        v[i] = 1;
    }
    const kiln_shape shape = KILN_SHAPE(1, HEADS, L, WIDTH);
    ok(kiln_program_create(&p, dev, again.g, again.w, &(kiln_program_params){.train = true}));
    ok(kiln_program_write(p, kiln_find(again.g, "q"), &(kiln_array){.data = q, .shape = shape}));
    ok(kiln_program_write(p, kiln_find(again.g, "v"), &(kiln_array){.data = v, .shape = shape}));
    ok(kiln_program_run(p));
    ok(kiln_program_read(p, kiln_graph_output(again.g, 0), &(kiln_array){.data = y, .bytes = sizeof y}));
    ok(kiln_program_read(p, kiln_graph_output(again.g, 1), &(kiln_array){.data = dv, .bytes = sizeof dv}));
    for (int i = 0; i < COUNT; i++) {
        rows += (double)y[i];
        columns += (double)dv[i];
    }
    cr_expect(fabs(rows - columns) < 1e-4 * rows, "%g is kept, with a slope of %g", rows, columns);
    cr_expect(fabs(rows - COUNT) > 1, "nothing is dropped");
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
    finish(&s);
    finish(&again);
    unlink(path);
}
