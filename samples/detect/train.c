/* train.c - the command that learns: batches, an optimizer with its schedule, and after each epoch what it is worth. */
#include "detect.h"

#include <stdio.h>

enum { MOST_EPOCHS = 1000 };

/* Learning under way, and what it has come to. */
struct training {
    struct model model;
    kiln_dataset *data, *judge;
    const struct options *options;
    int epochs; /* that have ended: */
    double epoch[MOST_EPOCHS], loss[MOST_EPOCHS], precision[MOST_EPOCHS];
    kiln_status status;
};

static kiln_status draw_curves(const struct training *t)
{
    char path[4096];
    const kiln_series series[] = {
        {.name = "loss", .x = t->epoch, .y = t->loss, .count = t->epochs},
        {.name = "mAP@0.5", .x = t->epoch, .y = t->precision, .count = t->epochs, .second = true}};
    snprintf(path, sizeof path, "%s.png", t->options->model);
    return kiln_draw_curves(path, series, COUNT(series),
                            &(kiln_curves_params){.title = t->model.network->name,
                                                  .x_label = "epoch",
                                                  .y_label = "loss",
                                                  .second_label = "mAP@0.5"});
}

/* Judge what was learned in an epoch; keep it if it is the best so far, of equals the one that learned longer. */
static kiln_status end_epoch(struct training *t, const kiln_fit_info *info)
{
    struct precision p;
    kiln_status status = measure(&t->model, t->judge, t->options, NULL, &p);
    if (status)
        return status;
    printf("epoch %d: loss %.3f, mAP@0.5 %.3f, mAP@0.5:0.95 %.3f, %.0f s%s\n", (int)info->epoch,
           info->value[0], p.at_half, p.mean, info->seconds,
           p.at_half >= t->model.precision ? ", the best so far" : "");
    fflush(stdout);
    if (t->epochs < MOST_EPOCHS) {
        t->epoch[t->epochs] = (double)info->epoch;
        t->loss[t->epochs] = info->value[0];
        t->precision[t->epochs++] = p.at_half;
    }
    if (p.at_half >= t->model.precision) {
        t->model.precision = p.at_half;
        status = model_save(&t->model, t->options->model);
    }
    return status ? status : draw_curves(t);
}

static bool watch(void *user, const kiln_fit_info *info)
{
    struct training *t = user;
    if (!info->epoch_ended)
        return true;
    t->status = end_epoch(t, info);
    return t->status == KILN_OK && info->epoch != t->options->stop;
}

/* Open what is learned from, what judges, and a model for both. */
static kiln_status prepare(struct training *t, kiln_device *dev)
{
    const struct options *o = t->options;
    const char *class[MOST_CLASSES];
    struct task task = {.width = o->size[0], .height = o->size[1]};
    kiln_status status;
    if ((status = open_data(&t->data, o, o->train, &task, NULL)) ||
        (status = open_data(&t->judge, o, o->split ? o->split : "val", &task, NULL)))
        return status;
    const kiln_column *labels = kiln_dataset_column(t->data, kiln_dataset_find(t->data, "labels"));
    task.most = (int)labels->shape.size[0];
    task.classes = labels->classes;
    if (task.classes > MOST_CLASSES) {
        fprintf(stderr, "detect: %d classes; at most %d can be learned\n", task.classes, MOST_CLASSES);
        return KILN_ERROR_ARGUMENT;
    }
    for (int i = 0; i < task.classes; i++)
        class[i] = kiln_dataset_class(t->data, i);
    return model_create(&t->model, dev, o->network, &task, class);
}

/* A step of AdamW, whose rate rises over the first steps and falls to nothing by the last. */
static kiln_tensor optimizer(kiln_graph *g, kiln_tensor loss, double most, int64_t steps)
{
    const kiln_tensor step = kiln_step(g, NULL);
    const double warm = steps < 1000 ? (double)steps / 10 : 100;
    const kiln_tensor rate =
        kiln_schedule_warm_up(g, step, kiln_schedule_cosine(g, step, most, most / 100, (double)steps), warm);
    return kiln_minimize(
        g, loss,
        &(kiln_minimize_params){.by = KILN_ADAMW, .rate_from = rate, .decay = 0.02, .clip_norm = 10});
}

/* The program that learns has a graph of its own, so that the model's knows of no optimizer. */
static kiln_status learner(kiln_program **out, struct training *t, kiln_device *dev)
{
    const struct options *o = t->options;
    const int64_t each = kiln_dataset_rows(t->data) / o->batch;
    struct batch batch;
    kiln_graph *g = NULL;
    kiln_status status = kiln_graph_create(&g, &(kiln_graph_params){.name = o->network});
    if (status)
        return status;
    const kiln_tensor loss = network_build(g, t->model.network, &t->model.task, &batch).loss;
    const kiln_tensor step = optimizer(g, loss, o->rate, (each ? each : 1) * o->epochs);
    status = kiln_weights_add(t->model.weights, g);
    if (!status)
        status = kiln_program_create(out, dev, g, t->model.weights,
                                     &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)});
    kiln_graph_destroy(&g);
    return status;
}

static kiln_status learn(struct training *t, kiln_device *dev)
{
    const struct options *o = t->options;
    char checkpoint[4096];
    kiln_program *program = NULL;
    kiln_status status = learner(&program, t, dev);
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", o->model);
    if (!status)
        status = kiln_fit(program, t->data,
                          &(kiln_fit_params){.epochs = o->epochs,
                                             .batch = o->batch,
                                             .checkpoint = checkpoint,
                                             .resume = o->resume,
                                             .call = watch,
                                             .user = t});
    kiln_program_destroy(&program);
    return t->status ? t->status : status;
}

/* Pictures of one's own are few, and so are changed each time; generated ones are as many as one likes. */
static kiln_dataset_params changes(const struct options *o)
{
    kiln_dataset_params p = {.shuffle = true, .seed = 1, .drop_last = true};
    p.augment = (kiln_augment){.flip_x = true, .flip_y = o->flip_y};
    if (o->data) {
        p.augment.mosaic = 0.3f;
        p.augment.smaller = 1.15f; /* what is small already is not made much smaller */
        p.augment.larger = 1.4f;
        p.augment.stretch = 1.1f;
        p.augment.brightness = p.augment.contrast = p.augment.saturation = 0.3f;
        p.augment.hue = 0.03f;
    }
    return p;
}

kiln_status command_train(kiln_device *dev, const struct options *o)
{
    static struct training t;
    const kiln_dataset_params how = changes(o);
    t = (struct training){.options = o};
    kiln_status status = prepare(&t, dev);
    if (!status)
        status = kiln_dataset_set_params(t.data, &how);
    if (!status && o->resume)
        t.model.precision = saved_precision(o->model);
    else if (!status)
        status = model_save(&t.model, o->model); /* what cannot be written is said before hours have passed */
    if (!status)
        status = learn(&t, dev);
    if (status == KILN_ERROR_STOPPED && t.status == KILN_OK) /* as asked for */
        status = KILN_OK;
    if (!status)
        printf("%s.safetensors: mAP@0.5 %.3f\n", o->model, t.model.precision);
    model_free(&t.model);
    kiln_dataset_close(&t.judge);
    kiln_dataset_close(&t.data);
    return status;
}
