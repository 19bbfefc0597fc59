/*
 * classifier.c - see classifier.h.
 *
 * A model is called in two graphs: in the one that learns its scores go into a loss, in the other they come out as the file's own
 * output does. A new head stands on the features that the old one saw; the old one is then needed by nothing, and is not written.
 */
#include "classifier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/extend.h>

#include "arrays.h"
#include "base/log.h"
#include "base/text.h"
#include "networks.h"

enum { MOST_OUTPUTS = 64, MOST_HEADS = 100, HEAD = 16, MOST_GROUPS = 1 + 2 * ARGS_MOST };

/* What a network makes of pictures. */
struct answer {
    kiln_tensor scores; /* [N, classes]: what softmax makes probabilities of */
    kiln_tensor output; /* what is written to a file: these, or probabilities */
};

static kiln_tensor input_image(kiln_graph *g, const char *name, const kiln_shape *image)
{
    return kiln_input(g, name, KILN_F32,
                      KILN_SHAPE(KILN_BATCH, image->size[0], image->size[1], image->size[2]));
}

/* Somebody's model ------------------------------------------------------------------------------------------- */

static bool is_picture(const kiln_graph *g)
{
    const kiln_tensor image = kiln_graph_input(g, 0);
    return kiln_graph_input_count(g) == 1 && kiln_tensor_type(g, image) == KILN_F32 &&
           kiln_tensor_shape(g, image).rank == 4;
}

kiln_status classifier_read(struct classifier *c, const char *path, const struct args_list *sizes)
{
    struct arrays_sizes given;
    kiln_onnx_params params = {
        .train = true, .free_batch = true, .sizes = given.item, .size_count = sizes->count};
    kiln_status status = arrays_take_sizes("train", sizes, &given);

    if (status || (status = kiln_onnx_load(&c->model, &c->learned, path, &params)))
        return status;
    if (!is_picture(c->model) || kiln_graph_output_count(c->model) > MOST_OUTPUTS)
        return kiln_fail(KILN_ERROR_UNSUPPORTED,
                         "%s: wanted a model of one input, pictures [N, C, H, W] of F32", path);
    return KILN_OK;
}

kiln_shape classifier_picture(const struct classifier *c)
{
    const kiln_shape all = kiln_tensor_shape(c->model, kiln_graph_input(c->model, 0));
    return kiln_shape_of(3, &all.size[1]);
}

/* The softmax, or logarithm of one, that makes t; NULL where it is none's. */
static const kiln_node *softmax_of(const kiln_graph *g, kiln_tensor t)
{
    const kiln_node *n = kiln_node_of(g, t);
    return n && (!strcmp(n->op->name, "softmax") || !strcmp(n->op->name, "log_softmax")) ? n : NULL;
}

/* Scores of a new head as the file's own output has them. */
static kiln_tensor as_output(kiln_graph *g, const kiln_op *softmax, kiln_tensor scores)
{
    if (!softmax)
        return scores;
    return strcmp(softmax->name, "softmax") ? kiln_log_softmax(g, scores, 1) : kiln_softmax(g, scores, 1);
}

/* "head", or "head2" and so on where the model has such a layer already: it learned in this way before. */
static void name_head(const kiln_graph *model, char name[HEAD])
{
    char weight[HEAD + 8];
    int turn = 1;

    do {
        snprintf(name, HEAD, turn > 1 ? "head%d" : "head", turn);
        snprintf(weight, sizeof weight, "%s.weight", name);
    } while (turn++ < MOST_HEADS && kiln_find(model, weight).id);
}

/* Another last layer: maps go into it by their means. */
static kiln_tensor new_head(kiln_graph *g, const kiln_graph *model, kiln_tensor scores, int classes)
{
    kiln_tensor features = kiln_nn_features(g, scores);
    char name[HEAD];

    name_head(model, name);

    if (!features.id && !kiln_graph_status(g))
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED,
                        "no last layer to replace: its scores come from no weights");
    if (kiln_tensor_shape(g, features).rank == 4)
        features = kiln_flatten(g, kiln_global_average_pool(g, features), 1);
    return kiln_nn_dense(g, features, &(kiln_nn_dense_params){.units = classes, .name = name});
}

static struct answer call_model(kiln_graph *g, const kiln_graph *model, kiln_tensor image,
                                const struct classifier_params *p)
{
    kiln_tensor out[MOST_OUTPUTS] = {KILN_NONE};
    kiln_call(g, model, &image, out);
    const kiln_node *softmax = softmax_of(g, out[0]);
    kiln_tensor scores = softmax ? softmax->in[0] : out[0];
    if (!p->new_head)
        return (struct answer){scores, out[0]};
    const kiln_op *last = softmax ? softmax->op : NULL; /* nodes are a loan until the next is appended */
    scores = new_head(g, model, scores, p->classes);
    return (struct answer){scores, as_output(g, last, scores)};
}

static kiln_status check_model(const struct classifier *c, const struct classifier_params *p)
{
    const kiln_shape scores = kiln_tensor_shape(c->graph, c->scores), picture = classifier_picture(c);
    char a[96], b[96];

    for (int i = 0; i < 3; i++)
        if (picture.size[i] >= 0 && picture.size[i] != p->image.size[i])
            return kiln_fail(KILN_ERROR_SHAPE, "the data's pictures are %s, the model wants %s",
                             kiln_shape_text(&p->image, a, sizeof a), kiln_shape_text(&picture, b, sizeof b));
    if (kiln_graph_status(c->graph) || (scores.rank == 2 && scores.size[1] == p->classes))
        return KILN_OK;
    return kiln_fail(KILN_ERROR_SHAPE,
                     "the model's output is %s, the data has %d classes: --head replaces its last layer",
                     kiln_shape_text(&scores, a, sizeof a), p->classes);
}

/* Both networks ---------------------------------------------------------------------------------------------- */

static struct answer put_network(kiln_graph *g, const struct classifier *c, kiln_tensor image,
                                 const struct classifier_params *p)
{
    if (c->model)
        return call_model(g, c->model, image, p);
    const kiln_tensor scores = lenet(g, image, p->classes);
    return (struct answer){scores, scores};
}

/* A warm-up of 100 steps, or a fifth of all where that is less; then half a cosine. */
static void minimize(struct classifier *c, const struct classifier_params *p)
{
    const kiln_tensor at = kiln_step(c->graph, NULL);
    kiln_param_group group[MOST_GROUPS] = {{0}};
    char head[HEAD], pattern[HEAD + 2];
    kiln_minimize_params how = {.by = KILN_ADAMW,
                                .decay = p->decay,
                                .groups = group,
                                .loss_scale = p->loss_scale,
                                .dynamic_scale = p->dynamic_scale,
                                .scale_interval = p->scale_interval};

    if (p->new_head) { /* learns at the full rate, whatever patterns would fit it */
        name_head(c->model, head);
        snprintf(pattern, sizeof pattern, "%s.*", head);
        group[how.group_count++].match = pattern;
    }
    for (int i = 0; i < p->group_count && how.group_count < MOST_GROUPS; i++)
        group[how.group_count++] = p->groups[i];
    const double warm = fmin(100, p->steps / 5);
    if (p->rate > 0)
        how.rate_from = kiln_schedule_warm_up(c->graph, at,
                                              kiln_schedule_cosine(c->graph, at, p->rate, 0, p->steps), warm);
    if (p->dynamic_scale)
        c->scale = kiln_output(c->graph, "loss scale", kiln_loss_scale(c->graph, &how));
    c->step = kiln_minimize(c->graph, c->loss, &how);
}

/* A pattern that fits no name is a slip that would train what was to stay. */
static kiln_status check_groups(const kiln_graph *g, const struct classifier_params *p)
{
    for (int i = 0; i < p->group_count; i++) {
        bool fits = false;
        for (int k = 0; k < kiln_graph_parameter_count(g) && !fits; k++)
            fits = kiln_text_match(p->groups[i].match, kiln_tensor_name(g, kiln_graph_parameter(g, k)));
        if (!fits)
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "no parameter's name fits \"%s\"; 'kiln inspect --weights' lists them",
                             p->groups[i].match);
    }
    return KILN_OK;
}

static void build_learning(struct classifier *c, const struct classifier_params *p)
{
    kiln_graph *g = c->graph;
    c->image = input_image(g, "image", &p->image);
    c->label = kiln_input(g, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    c->scores = put_network(g, c, c->image, p).scores;
}

static void build_step(struct classifier *c, const struct classifier_params *p)
{
    kiln_graph *g = c->graph;
    c->loss = kiln_output(g, "loss", kiln_cross_entropy(g, c->scores, c->label));
    c->accuracy = kiln_output(g, "accuracy", kiln_accuracy(g, c->scores, c->label));
    minimize(c, p);
}

/* A model's inputs and outputs keep their names, and probabilities are what they were. */
static void build_deployed(struct classifier *c, const struct classifier_params *p)
{
    kiln_graph *d = c->deployed;
    const kiln_graph *m = c->model;
    const char *name = m ? kiln_tensor_name(m, kiln_graph_input(m, 0)) : "image";
    const struct answer answer = put_network(d, c, input_image(d, name, &p->image), p);
    kiln_output(d, m ? kiln_tensor_name(m, kiln_graph_output(m, 0)) : "probability",
                m ? answer.output : kiln_softmax(d, answer.scores, 1));
}

kiln_status classifier_build(struct classifier *c, const struct classifier_params *params)
{
    const kiln_graph_params as = {.name = c->model ? NULL : "lenet"};
    kiln_status status;

    if ((status = kiln_graph_create(&c->graph, &as)) || (status = kiln_graph_create(&c->deployed, &as)))
        return status;
    build_learning(c, params);
    if ((c->model && (status = check_model(c, params))) || (status = check_groups(c->graph, params)))
        return status;
    build_step(c, params);
    build_deployed(c, params);
    return (status = kiln_graph_status(c->graph)) ? status : kiln_graph_status(c->deployed);
}

/* Weights ---------------------------------------------------------------------------------------------------- */

kiln_status classifier_start(const struct classifier *c, uint64_t seed, kiln_weights **out)
{
    kiln_status status = kiln_weights_create(out, c->graph, &(kiln_weights_params){.seed = seed});

    for (int i = 0; c->learned && !status && i < kiln_weights_count(c->learned); i++) {
        const char *name = kiln_weights_name(c->learned, i);
        if (kiln_weights_find(*out, name, NULL, NULL)) /* else of a part that the graph has no use for */
            status = kiln_weights_copy(*out, c->learned, name);
    }
    return status;
}

void classifier_destroy(struct classifier *c)
{
    kiln_graph_destroy(&c->graph);
    kiln_graph_destroy(&c->deployed);
    kiln_graph_destroy(&c->model);
    kiln_weights_destroy(&c->learned);
}
