/*
 * cmd_bench.c - kiln bench: how long this device takes, row by row.
 *
 * A row is a program that runs again and again on data that stays on the device. Small ones run several times a sample. The
 * rows that tools/peers/torch.py has too bear its names, so that its output compares: kiln bench --compare FILE.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kiln/kiln.h>

#include "args.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"
#include "classifier.h"
#include "commands.h"
#include "config.h"
#include "json.h"
#include "networks.h"
#include "pictures.h"
#include "profile.h"

#if KILN_HAVE_JSON
#include <cjson/cJSON.h>
#endif

/* Rows --------------------------------------------------------------------------------------------------- */

/* What a row runs. */
struct work {
    kiln_graph *graph;
    kiln_tensor run[3];       /* the list, ended by none */
    picture_network *network; /* the row's */
    recurrent_layer *layer;   /* likewise */
    bool train;
    int classes;           /* that its labels are below; 0 means 10 */
    struct classifier net; /* of LeNet's rows: owns the graph */
};

struct row {
    const char *name;
    kiln_status (*build)(struct work *w, int64_t size);
    int64_t size;
    int count;                /* runs a sample */
    double flops;             /* of a run; 0: not what the row is about */
    double bytes;             /* that a run must move; 0: likewise */
    picture_network *network; /* of build_prediction */
    recurrent_layer *layer;   /* of texts and sequences */
};

static kiln_tensor matrix(kiln_graph *g, const char *name, int64_t rows, int64_t columns)
{
    return kiln_input(g, name, KILN_F32, KILN_SHAPE(rows, columns));
}

/* Results go to a state: reading them back is no part of a row. */
static kiln_status keep(struct work *w, kiln_tensor result)
{
    kiln_graph *g = w->graph;
    const kiln_tensor kept =
        kiln_state(g, "kept", KILN_F32, kiln_tensor_shape(g, result), KILN_STORE_WEIGHTS);
    w->run[0] = kiln_assign(g, kept, result);
    return kiln_graph_status(g);
}

static kiln_status build_matmul(struct work *w, int64_t n)
{
    return keep(w, kiln_matmul(w->graph, matrix(w->graph, "a", n, n), matrix(w->graph, "b", n, n), NULL));
}

static kiln_status build_add(struct work *w, int64_t n)
{
    return keep(w, kiln_add(w->graph, matrix(w->graph, "a", 1024, n), matrix(w->graph, "b", 1024, n)));
}

static kiln_status build_tanh(struct work *w, int64_t n)
{
    return keep(w, kiln_tanh(w->graph, matrix(w->graph, "a", 1024, n)));
}

static kiln_status build_sum(struct work *w, int64_t n)
{
    return keep(w, kiln_sum(w->graph, matrix(w->graph, "a", 1024, n),
                            &(kiln_reduce_params){.axes = KILN_AXES(1)}));
}

static kiln_status build_softmax(struct work *w, int64_t n)
{
    return keep(w, kiln_softmax(w->graph, matrix(w->graph, "a", 1024, n), 1));
}

static kiln_status build_transpose(struct work *w, int64_t n)
{
    return keep(w, kiln_transpose(w->graph, matrix(w->graph, "a", 1024, n), (const int[]){1, 0}));
}

static kiln_status build_lenet(struct work *w, kiln_tensor (*pick)(struct work *w))
{
    const struct classifier_params params = {.image = KILN_SHAPE(1, 28, 28), .classes = 10};
    const kiln_status status = classifier_build(&w->net, &params);

    kiln_graph_destroy(&w->graph);
    w->graph = w->net.graph;
    if (!status)
        w->run[0] = pick(w);
    return status;
}

static kiln_tensor pick_step(struct work *w)
{
    w->train = true;
    return w->net.step;
}

static kiln_tensor pick_scores(struct work *w)
{
    return w->net.scores;
}

static kiln_status build_training(struct work *w, int64_t size)
{
    (void)size;
    return build_lenet(w, pick_step);
}

static kiln_status build_forward(struct work *w, int64_t size)
{
    (void)size;
    return build_lenet(w, pick_scores);
}

/* Characters of 60 symbols, texts of 40, a state of 256. */
static kiln_status build_text(struct work *w, bool train)
{
    enum { SYMBOLS = 60, LENGTH = 40, WIDTH = 256 };
    kiln_graph *g = w->graph;
    const kiln_tensor text = kiln_input(g, "text", KILN_I32, KILN_SHAPE(KILN_BATCH, LENGTH));
    const kiln_tensor scores = characters(g, text, w->layer, SYMBOLS, WIDTH);

    w->train = train;
    w->run[0] = scores;
    if (train) {
        const kiln_tensor target = kiln_reshape(g, text, KILN_SHAPE(KILN_REST));
        w->run[0] = kiln_minimize(g, kiln_cross_entropy(g, scores, target),
                                  &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3});
    }
    return kiln_graph_status(g);
}

static kiln_status build_text_training(struct work *w, int64_t size)
{
    (void)size;
    return build_text(w, true);
}

static kiln_status build_text_forward(struct work *w, int64_t size)
{
    (void)size;
    return build_text(w, false);
}

/* `size` units through 40 steps of 16 sequences, and with `train` back; what they take comes from no input. */
static kiln_status build_sequence(struct work *w, int64_t size, bool train, bool by_steps)
{
    kiln_graph *g = w->graph;
    const kiln_nn_recurrent_params params = {.units = (int)size,
                                             .cell = {.by_steps = by_steps},
                                             .name = "layer"};
    const kiln_tensor x = kiln_parameter(g, "x", KILN_SHAPE(40, 16, 1), NULL);
    const kiln_tensor y = w->layer(g, x, &params, NULL), hidden = kiln_find(g, "layer.weight_hh_l0");
    kiln_tensor gradient;

    if (!train)
        return keep(w, y);
    kiln_gradient(g, kiln_sum(g, kiln_square(g, y), NULL), KILN_NONE, &hidden, 1, &gradient);
    return keep(w, gradient);
}

static kiln_status build_whole(struct work *w, int64_t size)
{
    return build_sequence(w, size, false, false);
}

static kiln_status build_by_steps(struct work *w, int64_t size)
{
    return build_sequence(w, size, false, true);
}

static kiln_status build_whole_training(struct work *w, int64_t size)
{
    return build_sequence(w, size, true, false);
}

static kiln_status build_by_steps_training(struct work *w, int64_t size)
{
    return build_sequence(w, size, true, true);
}

/* One batch of attention of `length` tokens, and with `train` back to its operands. */
static kiln_status build_attention(struct work *w, int64_t heads, int64_t length, bool causal, bool train)
{
    kiln_graph *g = w->graph;
    const kiln_attention_params params = {.causal = causal};
    kiln_tensor x[3], dx[4];

    for (int i = 0; i < 3; i++)
        x[i] = kiln_input(g, (const char *const[]){"q", "k", "v"}[i], KILN_F32,
                          KILN_SHAPE(1, heads, length, 64));
    dx[3] = kiln_attention(g, x[0], x[1], x[2], &params);
    if (!train)
        return keep(w, dx[3]);
    kiln_gradient(g, dx[3], x[0], x, 3, dx);
    return keep(w, kiln_concat(g, dx, 4, 0));
}

static kiln_status build_attention_197(struct work *w, int64_t length)
{
    return build_attention(w, 3, length, false, false);
}

static kiln_status build_attention_1024(struct work *w, int64_t length)
{
    return build_attention(w, 8, length, false, false);
}

static kiln_status build_attention_causal(struct work *w, int64_t length)
{
    return build_attention(w, 8, length, true, false);
}

static kiln_status build_attention_training(struct work *w, int64_t length)
{
    return build_attention(w, 8, length, false, true);
}

static kiln_status build_layer_norm(struct work *w, int64_t n)
{
    kiln_graph *g = w->graph;
    const kiln_tensor x = matrix(g, "x", 4096, n), scale = kiln_parameter(g, "scale", KILN_SHAPE(n), NULL);
    const kiln_tensor bias = kiln_parameter(g, "bias", KILN_SHAPE(n), NULL), by[] = {x, scale, bias};
    const kiln_tensor y = kiln_layer_norm(g, x, -1, scale, bias, 0);
    kiln_tensor dx[4];

    kiln_gradient(g, y, x, by, 3, dx);
    dx[3] = y;
    for (int i = 0; i < 4; i++)
        dx[i] = kiln_reshape(g, dx[i], KILN_SHAPE(KILN_REST));
    return keep(w, kiln_concat(g, dx, 4, 0));
}

/* The gradient of a table of 30,000 rows of 256, of which `size` are picked. */
static kiln_status build_embedding(struct work *w, int64_t size)
{
    kiln_graph *g = w->graph;
    const kiln_tensor table = kiln_parameter(g, "table", KILN_SHAPE(30000, 256), NULL);
    const kiln_tensor index = kiln_input(g, "index", KILN_I32, KILN_SHAPE(size));
    kiln_tensor gradient;

    kiln_gradient(g, kiln_embedding(g, table, index, NULL), KILN_NONE, &table, 1, &gradient);
    return keep(w, gradient);
}

/* Eight pictures of 48 x 64 with so many channels, resized; with `train` the gradient by them. */
static kiln_status build_resize(struct work *w, int64_t channels, const kiln_resize_params *p, bool train)
{
    kiln_graph *g = w->graph;
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(8, channels, 48, 64));
    const kiln_tensor y = kiln_resize(g, x, p);
    kiln_tensor dx;

    if (!train)
        return keep(w, y);
    kiln_gradient(g, y, kiln_input(g, "dy", KILN_F32, kiln_tensor_shape(g, y)), &x, 1, &dx);
    return keep(w, dx);
}

static kiln_status build_resize_nearest(struct work *w, int64_t channels)
{
    return build_resize(w, channels, &(kiln_resize_params){.scale = {2, 2}}, false);
}

static kiln_status build_resize_bilinear(struct work *w, int64_t channels)
{
    return build_resize(w, channels, &(kiln_resize_params){.scale = {2, 2}, .mode = KILN_RESIZE_LINEAR},
                        false);
}

static kiln_status build_resize_training(struct work *w, int64_t channels)
{
    return build_resize(w, channels, &(kiln_resize_params){.scale = {2, 2}, .mode = KILN_RESIZE_LINEAR},
                        true);
}

static kiln_status build_resize_odd(struct work *w, int64_t channels)
{
    return build_resize(w, channels, &(kiln_resize_params){.size = {75, 111}, .mode = KILN_RESIZE_LINEAR},
                        false);
}

static kiln_status build_resize_cubic(struct work *w, int64_t channels)
{
    return build_resize(w, channels, &(kiln_resize_params){.size = {75, 111}, .mode = KILN_RESIZE_CUBIC},
                        false);
}

static kiln_status build_vision_transformer(struct work *w, int64_t size)
{
    (void)size;
    const kiln_tensor x = kiln_input(w->graph, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 224, 224));
    w->run[0] = vision_transformer(w->graph, x, 1000);
    return kiln_graph_status(w->graph);
}

static kiln_status build_translator(struct work *w, int64_t size)
{
    (void)size;
    kiln_graph *g = w->graph;
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, 32);
    const kiln_tensor source = kiln_input(g, "source", KILN_I32, shape);
    const kiln_tensor target = kiln_input(g, "target", KILN_I32, shape);
    const kiln_tensor loss = kiln_cross_entropy(g, translator(g, source, target, 1000),
                                                kiln_reshape(g, target, KILN_SHAPE(KILN_REST)));

    w->train = true;
    w->run[0] = kiln_minimize(g, loss, &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3});
    return kiln_graph_status(g);
}

/* Scores of pictures, or a step of Adam that learns them. */
static kiln_tensor pictures(struct work *w, picture_network *network, int64_t rows, int64_t columns)
{
    return network(w->graph,
                   kiln_input(w->graph, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, rows, columns)));
}

static kiln_status learn(struct work *w, kiln_tensor scores, kiln_tensor label)
{
    w->train = true;
    w->run[0] = kiln_minimize(w->graph, kiln_cross_entropy(w->graph, scores, label),
                              &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3});
    return kiln_graph_status(w->graph);
}

/* The row's network on pictures of ImageNet's size. */
static kiln_status build_prediction(struct work *w, int64_t size)
{
    (void)size;
    w->run[0] = pictures(w, w->network, 224, 224);
    return kiln_graph_status(w->graph);
}

static kiln_status build_resnet20(struct work *w, int64_t size)
{
    (void)size;
    return learn(w, pictures(w, resnet20, 32, 32),
                 kiln_input(w->graph, "label", KILN_I32, KILN_SHAPE(KILN_BATCH)));
}

static kiln_status build_unet(struct work *w, int64_t size)
{
    (void)size;
    w->classes = 4;
    return learn(w, pictures(w, unet, 96, 128),
                 kiln_input(w->graph, "label", KILN_I32, KILN_SHAPE(KILN_BATCH, 96, 128)));
}

#define GFLOP(n) (2e-9 * (n) * (n) * (n))
#define MIB      (1024.0 * 1024.0)

/* All steps in one dispatch, where the device's choice is that, beside one dispatch a step. */
#define SEQUENCE(name, of, size)                                                                   \
    {"forward " name " t40 b16, all steps at once", build_whole, size, 4, .layer = of},            \
        {"forward " name " t40 b16, step by step", build_by_steps, size, 4, .layer = of},          \
        {"train " name " t40 b16, all steps at once", build_whole_training, size, 4, .layer = of}, \
    {                                                                                              \
        "train " name " t40 b16, step by step", build_by_steps_training, size, 4, .layer = of      \
    }

static const struct row rows[] = {
    {"train lenet mnist b128", build_training, 128, 1, 0, 0},
    {"forward lenet mnist b128", build_forward, 128, 1, 0, 0},
    {"forward lenet mnist b1", build_forward, 1, 16, 0, 0},
    {"train rnn 256 t40 b64", build_text_training, 64, 1, .layer = kiln_nn_rnn},
    {"train gru 256 t40 b64", build_text_training, 64, 1, .layer = kiln_nn_gru},
    {"train lstm 256 t40 b64", build_text_training, 64, 1, .layer = kiln_nn_lstm},
    {"forward lstm 256 t40 b1", build_text_forward, 1, 16, .layer = kiln_nn_lstm},
    SEQUENCE("rnn 64", kiln_nn_rnn, 64),
    SEQUENCE("rnn 128", kiln_nn_rnn, 128),
    SEQUENCE("gru 64", kiln_nn_gru, 64),
    SEQUENCE("gru 128", kiln_nn_gru, 128),
    SEQUENCE("lstm 64", kiln_nn_lstm, 64),
    SEQUENCE("lstm 128", kiln_nn_lstm, 128),
    {"train transformer 2+2 d128 t32 b64", build_translator, 64, 1, 0, 0},
    {"forward vit_tiny b1", build_vision_transformer, 1, 1, 0, 0},
    {"attention 197 h3 d64", build_attention_197, 197, 16, 0, 0},
    {"attention 1024 h8 d64", build_attention_1024, 1024, 1, 0, 0},
    {"attention 1024 h8 d64, causal", build_attention_causal, 1024, 1, 0, 0},
    {"train attention 1024 h8 d64", build_attention_training, 1024, 1, 0, 0},
    {"train layer norm 4096x768", build_layer_norm, 768, 1, 0, 0},
    {"train embedding 30000x256, 2048 rows", build_embedding, 2048, 1, 0, 0},
    {"resize nearest x2 8x64x48x64", build_resize_nearest, 64, 4, 0, 5 * 6 * MIB},
    {"resize bilinear x2 8x64x48x64", build_resize_bilinear, 64, 4, 0, 5 * 6 * MIB},
    {"train resize bilinear x2 8x64x48x64", build_resize_training, 64, 4, 0, 5 * 6 * MIB},
    {"resize bilinear 75x111 8x64x48x64", build_resize_odd, 64, 4, 0, 0},
    {"resize bicubic 75x111 8x64x48x64", build_resize_cubic, 64, 4, 0, 0},
    {"forward resnet18 b1", build_prediction, 1, 1, 0, 0, resnet18},
    {"forward resnet18 b8", build_prediction, 8, 1, 0, 0, resnet18},
    {"forward resnet50 b1", build_prediction, 1, 1, 0, 0, resnet50},
    {"forward vgg16 b1", build_prediction, 1, 1, 0, 0, vgg16},
    {"forward mobilenet_v1 b1", build_prediction, 1, 1, 0, 0, mobilenet_v1},
    {"forward mobilenet_v2 b1", build_prediction, 1, 1, 0, 0, mobilenet_v2},
    {"forward squeezenet b1", build_prediction, 1, 1, 0, 0, squeezenet},
    {"train resnet20 cifar b128", build_resnet20, 128, 1, 0, 0},
    {"train unet 96x128 b8", build_unet, 8, 1, 0, 0},
    {"matmul 256", build_matmul, 256, 64, GFLOP(256.0), 0},
    {"matmul 512", build_matmul, 512, 8, GFLOP(512.0), 0},
    {"matmul 1024", build_matmul, 1024, 1, GFLOP(1024.0), 0},
    {"matmul 2048", build_matmul, 2048, 1, GFLOP(2048.0), 0},
    {"matmul 4096", build_matmul, 4096, 1, GFLOP(4096.0), 0},
    {"add 1024x4096", build_add, 4096, 4, 0, 3 * 16 * MIB},
    {"tanh 1024x4096", build_tanh, 4096, 4, 0, 2 * 16 * MIB},
    {"sum rows 1024x4096", build_sum, 4096, 4, 0, 16 * MIB},
    {"softmax 1024x4096", build_softmax, 4096, 4, 0, 2 * 16 * MIB},
    {"transpose 1024x4096", build_transpose, 4096, 4, 0, 2 * 16 * MIB},
};

enum { ROWS = sizeof rows / sizeof *rows };

/* Measuring ---------------------------------------------------------------------------------------------- */

struct times {
    double median, best; /* seconds of a run */
    double processor;    /* seconds of all of the process's threads, the mean */
};

struct bench {
    kiln_device *dev;
    int64_t repeat;
    bool profile;
};

/* Random values in [0, 1), or classes. */
static kiln_status write_input(kiln_program *p, kiln_tensor t, int64_t batch, int classes)
{
    kiln_array array = {.type = kiln_program_tensor_type(p, t), .shape = kiln_program_tensor_shape(p, t)};
    struct kiln_rng rng;
    kiln_status status;
    int64_t count;

    if (array.shape.size[0] == KILN_BATCH)
        array.shape.size[0] = batch;
    count = kiln_shape_count(&array.shape);
    if (!(array.data = malloc((size_t)count * 4)))
        return kiln_fail(KILN_ERROR_MEMORY, "no memory for an input of %lld numbers", (long long)count);
    kiln_rng_init(&rng, 1, kiln_rng_stream(kiln_program_tensor_name(p, t)));
    for (int64_t i = 0; i < count; i++)
        if (array.type == KILN_F32)
            ((float *)array.data)[i] = (float)kiln_rng_uniform(&rng);
        else
            ((int32_t *)array.data)[i] = (int32_t)kiln_rng_below(&rng, (uint32_t)classes);
    status = kiln_program_write(p, t, &array);
    free(array.data);
    return status;
}

static kiln_status sample(kiln_program *p, int count, double *seconds)
{
    const double began = kiln_seconds();
    kiln_status status = KILN_OK;

    for (int i = 0; i < count && !status; i++)
        status = kiln_program_run(p);
    if (!status)
        status = kiln_program_wait(p);
    *seconds = (kiln_seconds() - began) / count;
    return status;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds to warm up: a GPU's clocks rise only under load, and fall while the host prepares the next row. */
static double warm_up(const kiln_device_info *info)
{
    return info->backend == KILN_BACKEND_VULKAN && !info->software ? 0.5 : 0;
}

/* Two samples at the least to warm up, then `repeat` that count. */
static kiln_status time_program(const struct bench *b, kiln_program *p, const struct row *row, int classes,
                                struct times *out)
{
    double *all = calloc((size_t)b->repeat, sizeof *all), unused;
    kiln_status status = all ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "no memory for the times");

    for (int i = 0; i < kiln_program_input_count(p) && !status; i++)
        status = write_input(p, kiln_program_input(p, i), row->size, classes);
    for (int i = 0; i < 2 && !status; i++)
        status = sample(p, row->count, &unused);
    for (double spent = 0; spent < warm_up(kiln_device_get_info(b->dev)) && !status;
         spent += unused * row->count)
        status = sample(p, row->count, &unused);
    const clock_t began = clock();
    for (int64_t i = 0; i < b->repeat && !status; i++)
        status = sample(p, row->count, &all[i]);
    const double processor = (double)(clock() - began) / CLOCKS_PER_SEC;
    if (!status) {
        qsort(all, (size_t)b->repeat, sizeof *all, compare);
        *out = (struct times){.median = (all[b->repeat / 2] + all[(b->repeat - 1) / 2]) / 2,
                              .best = all[0],
                              .processor = processor / ((double)b->repeat * row->count)};
    }
    free(all);
    return status;
}

static kiln_status measure(const struct bench *b, const struct row *row, struct times *out)
{
    struct work w = {.network = row->network, .layer = row->layer};
    kiln_weights *weights = NULL;
    kiln_program *p = NULL;
    kiln_status status;

    if (!(status = kiln_graph_create(&w.graph, NULL)) && !(status = row->build(&w, row->size)) &&
        !(status = kiln_weights_create(&weights, w.graph, NULL)) &&
        !(status = kiln_program_create(
              &p, b->dev, w.graph, weights,
              &(kiln_program_params){.train = w.train, .profile = b->profile, .run = w.run})))
        status = time_program(b, p, row, w.classes ? w.classes : 10, out);
    if (!status && b->profile)
        status = profile_print(p);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&weights);
    if (w.net.graph)
        classifier_destroy(&w.net);
    else
        kiln_graph_destroy(&w.graph);
    return status;
}

/* Comparing ---------------------------------------------------------------------------------------------- */

#if KILN_HAVE_JSON

/* The median of a row in a file of JSON objects, one a line; NaN where there is none of that name. */
static double other_median(const char *text, size_t bytes, const char *name)
{
    double median = NAN;

    for (const char *end, *line = text; line < text + bytes && isnan(median); line = end + 1) {
        const cJSON *row_name, *row_median;
        cJSON *object;
        end = memchr(line, '\n', (size_t)(text + bytes - line));
        end = end ? end : text + bytes;
        object = cJSON_ParseWithLength(line, (size_t)(end - line));
        row_name = cJSON_GetObjectItem(object, "name");
        row_median = cJSON_GetObjectItem(object, "median_ms");
        if (cJSON_IsString(row_name) && cJSON_IsNumber(row_median) && !strcmp(row_name->valuestring, name))
            median = row_median->valuedouble;
        cJSON_Delete(object);
    }
    return median;
}

#else

static double other_median(const char *text, size_t bytes, const char *name)
{
    (void)text, (void)bytes, (void)name;
    return NAN;
}

#endif

/* Printing ----------------------------------------------------------------------------------------------- */

static void print_text(const struct row *row, const struct times *t, double other)
{
    printf("%-36s  median %9.3f ms  best %9.3f ms  processor %9.3f ms", row->name, 1e3 * t->median,
           1e3 * t->best, 1e3 * t->processor);
    if (row->flops > 0)
        printf("  %7.1f GFLOP/s", row->flops / t->median);
    if (row->bytes > 0)
        printf("  %7.1f GB/s", 1e-9 * row->bytes / t->median);
    if (!isnan(other))
        printf("  other %9.3f ms: %.2f times as fast", other, other / (1e3 * t->median));
    putchar('\n');
    fflush(stdout);
}

static void print_json(const struct row *row, const struct times *t, double other,
                       const kiln_device_info *info)
{
    struct json j = {.line = true};

    json_open(&j, NULL, '{');
    json_text(&j, "name", row->name);
    json_text(&j, "device", info->title);
    json_number(&j, "median_ms", round(1e6 * t->median) / 1e3);
    json_number(&j, "best_ms", round(1e6 * t->best) / 1e3);
    json_number(&j, "processor_ms", round(1e6 * t->processor) / 1e3);
    if (row->flops > 0)
        json_number(&j, "gflops", round(10 * row->flops / t->median) / 10);
    if (row->bytes > 0)
        json_number(&j, "gb_per_s", round(1e-8 * row->bytes / t->median) / 10);
    if (!isnan(other))
        json_number(&j, "other_ms", other);
    json_close(&j);
    fflush(stdout);
}

/* The command -------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct row *row, const struct args_list *names)
{
    bool wanted = names->count == 0;
    for (int i = 0; i < names->count; i++)
        wanted |= strstr(row->name, names->item[i]) != NULL;
    return wanted;
}

static kiln_status run(const struct bench *b, const struct args_list *names, const struct kiln_file *other,
                       bool json)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < ROWS && !status; i++) {
        struct times t = {0};
        if (!is_wanted(&rows[i], names) || (status = measure(b, &rows[i], &t)))
            continue;
        const double theirs = other->size ? other_median(other->data, other->size, rows[i].name) : NAN;
        if (json)
            print_json(&rows[i], &t, theirs, kiln_device_get_info(b->dev));
        else
            print_text(&rows[i], &t, theirs);
    }
    return status;
}

static int any_wanted(const struct args_list *names)
{
    int count = 0;
    for (int i = 0; i < ROWS; i++)
        count += is_wanted(&rows[i], names);
    return count;
}

int cmd_bench(int argc, char **argv)
{
    const char *device = NULL, *other = NULL;
    struct args_list names = {0};
    struct bench b = {.repeat = 7};
    struct kiln_file file = {0};
    bool json = false, list = false;
    const struct args args = {
        .command = "bench",
        .operands = "[ROW...]",
        .most = ARGS_MOST,
        .given = &names,
        .about =
            "Time this device: the rows whose names contain one of the given texts, or all. The medians of\n"
            "seven samples count; where others use the machine too, the processor time of all threads\n"
            "says more.",
        .options =
            (const struct args_option[]){
                {"device", "NAME", ARGS_TEXT, &device, "as 'kiln devices' lists them"},
                {"repeat", "N", ARGS_COUNT, &b.repeat, "samples a row (default: 7)"},
                {"compare", "FILE", ARGS_TEXT, &other,
                 "show ratios to rows that --json, or tools/peers/torch.py --json, wrote"},
                {"profile", NULL, ARGS_FLAG, &b.profile,
                 "print what each command of a row took, before the row"},
                {"json", NULL, ARGS_FLAG, &json, "print one JSON object a row"},
                {"list", NULL, ARGS_FLAG, &list, "print the rows' names"},
                {0}},
    };
    kiln_status status = KILN_OK;
    int code;

    if (!args_parse(&args, argc, argv, &code))
        return code;
    if (b.profile && json)
        return args_wrong("bench", "--profile is for people, and --json's lines are not: one of them");
    if (any_wanted(&names) == 0)
        return args_wrong("bench", "no row's name contains \"%s\"; --list prints them", names.item[0]);
    for (int i = 0; i < ROWS && list; i++)
        puts(rows[i].name);
    if (list)
        return ARGS_DONE;
    if (other && !KILN_HAVE_JSON)
        status = kiln_fail(KILN_ERROR_UNSUPPORTED, "--compare: this kiln was built without JSON (cJSON)");
    else if (other)
        status = kiln_file_map(&file, other);
    if (!status)
        status = kiln_device_open(&b.dev, &(kiln_device_params){.name = device});
    if (!status)
        status = run(&b, &names, &file, json);
    kiln_device_close(&b.dev);
    kiln_file_unmap(&file);
    return status ? ARGS_FAILED : ARGS_DONE;
}
