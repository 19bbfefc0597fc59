/* rows_model.c - whole networks: prediction, and steps of training with Adam. */
#include "row.h"

static kiln_status build_lenet(struct bench_work *w, kiln_tensor *pick)
{
    const struct classifier_params params = {.image = KILN_SHAPE(1, 28, 28),
                                             .classes = 10,
                                             .dynamic_scale = w->scaled};
    const kiln_status status = classifier_build(&w->net, &params);

    kiln_graph_destroy(&w->graph);
    w->graph = w->net.graph;
    w->run[0] = *pick;
    return status;
}

static kiln_status lenet_step(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    w->train = true;
    return build_lenet(w, &w->net.step);
}

static kiln_status lenet_scores(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    return build_lenet(w, &w->net.scores);
}

/* A step of Adam that learns to give the labels. */
static kiln_status learn(struct bench_work *w, kiln_tensor scores, kiln_tensor label)
{
    w->train = true;
    w->run[0] =
        kiln_minimize(w->graph, kiln_cross_entropy(w->graph, scores, label),
                      &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3, .dynamic_scale = w->scaled});
    return kiln_graph_status(w->graph);
}

/* Characters of 60 symbols, texts of 40, a state of 256. */
static kiln_tensor text_scores(struct bench_work *w, const struct bench_row *row, kiln_tensor *text)
{
    enum { SYMBOLS = 60, LENGTH = 40, WIDTH = 256 };
    *text = kiln_input(w->graph, "text", KILN_I32, KILN_SHAPE(KILN_BATCH, LENGTH));
    return characters(w->graph, *text, row->as.layer, SYMBOLS, WIDTH);
}

static kiln_status text_step(struct bench_work *w, const struct bench_row *row)
{
    kiln_tensor text;
    const kiln_tensor scores = text_scores(w, row, &text);
    return learn(w, scores, kiln_reshape(w->graph, text, KILN_SHAPE(KILN_REST)));
}

static kiln_status text_predict(struct bench_work *w, const struct bench_row *row)
{
    kiln_tensor text;
    w->run[0] = text_scores(w, row, &text);
    return kiln_graph_status(w->graph);
}

static kiln_status translator_step(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    kiln_graph *g = w->graph;
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, 32);
    const kiln_tensor source = kiln_input(g, "source", KILN_I32, shape);
    const kiln_tensor target = kiln_input(g, "target", KILN_I32, shape);
    const kiln_tensor scores = translator(g, source, target, 1000);
    return learn(w, scores, kiln_reshape(g, target, KILN_SHAPE(KILN_REST)));
}

static kiln_tensor picture(struct bench_work *w, int64_t rows, int64_t columns)
{
    return kiln_input(w->graph, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, rows, columns));
}

static kiln_tensor vit_tiny(kiln_graph *g, kiln_tensor image)
{
    return vision_transformer(g, image, 1000);
}

/* Scores of pictures of ImageNet's size. */
static kiln_status predict(struct bench_work *w, const struct bench_row *row)
{
    w->run[0] = row->as.network(w->graph, picture(w, 224, 224));
    return kiln_graph_status(w->graph);
}

static kiln_status classify_step(struct bench_work *w, kiln_tensor scores)
{
    return learn(w, scores, kiln_input(w->graph, "label", KILN_I32, KILN_SHAPE(KILN_BATCH)));
}

static kiln_status resnet20_step(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    return classify_step(w, resnet20(w->graph, picture(w, 32, 32)));
}

static kiln_status resnet50_step(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    return classify_step(w, resnet50(w->graph, picture(w, 224, 224)));
}

static kiln_status unet_step(struct bench_work *w, const struct bench_row *row)
{
    (void)row;
    w->classes = 4;
    return learn(w, unet(w->graph, picture(w, 96, 128)),
                 kiln_input(w->graph, "label", KILN_I32, KILN_SHAPE(KILN_BATCH, 96, 128)));
}

static const struct bench_row models[] = {
    {"train lenet mnist b128", lenet_step, 128, 1, BENCH_MODEL},
    {"forward lenet mnist b128", lenet_scores, 128, 1, BENCH_MODEL},
    {"forward lenet mnist b1", lenet_scores, 1, 16, BENCH_MODEL},
    {"train rnn 256 t40 b64", text_step, 64, 1, BENCH_MODEL, .as.layer = kiln_nn_rnn},
    {"train gru 256 t40 b64", text_step, 64, 1, BENCH_MODEL, .as.layer = kiln_nn_gru},
    {"train lstm 256 t40 b64", text_step, 64, 1, BENCH_MODEL, .as.layer = kiln_nn_lstm},
    {"forward lstm 256 t40 b1", text_predict, 1, 16, BENCH_MODEL, .as.layer = kiln_nn_lstm},
    {"train transformer 2+2 d128 t32 b64", translator_step, 64, 1, BENCH_MODEL},
    {"forward vit_tiny b1", predict, 1, 1, BENCH_MODEL, .as.network = vit_tiny},
    {"forward resnet18 b1", predict, 1, 1, BENCH_MODEL, .as.network = resnet18},
    {"forward resnet18 b8", predict, 8, 1, BENCH_MODEL, .as.network = resnet18},
    {"forward resnet50 b1", predict, 1, 1, BENCH_MODEL, .as.network = resnet50},
    {"forward vgg16 b1", predict, 1, 1, BENCH_MODEL, .as.network = vgg16},
    {"forward mobilenet_v1 b1", predict, 1, 1, BENCH_MODEL, .as.network = mobilenet_v1},
    {"forward mobilenet_v2 b1", predict, 1, 1, BENCH_MODEL, .as.network = mobilenet_v2},
    {"forward squeezenet b1", predict, 1, 1, BENCH_MODEL, .as.network = squeezenet},
    {"train resnet20 cifar b128", resnet20_step, 128, 1, BENCH_MODEL},
    {"train unet 96x128 b8", unet_step, 8, 1, BENCH_MODEL},
    {"train resnet50 b32", resnet50_step, 32, 1, BENCH_MODEL, .large = true},
};

const struct bench_rows bench_models = {models, sizeof models / sizeof *models};

/* What a program costs besides its kernels: planning, and replays from the smallest plan to the longest. */
static const struct bench_row replays[] = {
    {"plan resnet50, another batch", predict, 2, 1, BENCH_PLAN, .as.network = resnet50},
    {"replay lenet, predicting", lenet_scores, 1, 64, BENCH_REPLAY},
    {"replay lenet, training", lenet_step, 128, 64, BENCH_REPLAY},
    {"replay resnet50, predicting", predict, 1, 64, BENCH_REPLAY, .as.network = resnet50},
    {"replay resnet20, training", resnet20_step, 128, 64, BENCH_REPLAY},
};

const struct bench_rows bench_replays = {replays, sizeof replays / sizeof *replays};
