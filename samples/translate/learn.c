/*
 * learn.c - training: tokenizers of the training texts, Adam with a warm-up, the loss of the check pairs from time to time, and at
 * the end the translations of the test pairs.
 */
#include "translate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct learning {
    const struct training *how;
    kiln_device *dev;
    struct data data;
    struct trained trained;
    struct net net;
    kiln_program *learn, *grade;
    struct recording recording;
    kiln_csv *curve; /* a row a look: step, loss, that of the check pairs */
    time_t began;
    double best;
};

static kiln_status prepare(struct learning *l)
{
    const struct training *t = l->how;
    struct config *c = &l->trained.config;
    kiln_status status = read_pairs(&l->data, &t->source);
    if (!status)
        status = train_tokenizers(&l->data, &t->source);
    struct pairs *const parts[] = {&l->data.train, &l->data.check, &l->data.test};
    for (int i = 0; i < 3 && !status; i++)
        status = number_pairs(&l->data, parts[i], t->config.longest);
    if (status)
        return status;
    const kiln_vocabulary *source = kiln_tokenizer_vocabulary(l->data.source),
                          *target = kiln_tokenizer_vocabulary(l->data.target);
    *c = t->config;
    c->sources = kiln_vocabulary_size(source);
    c->targets = kiln_vocabulary_size(target);
    c->begin = kiln_vocabulary_special(target, KILN_SPECIAL_BEGIN);
    c->end = kiln_vocabulary_special(target, KILN_SPECIAL_END);
    l->trained.model = t->model;
    l->trained.source = l->data.source;
    l->trained.target = l->data.target;
    printf("%lld pairs to learn from, %lld to watch by, %lld to judge by; %d and %d tokens\n",
           (long long)kiln_dataset_rows(l->data.train.rows), (long long)kiln_dataset_rows(l->data.check.rows),
           (long long)kiln_dataset_rows(l->data.test.rows), c->sources, c->targets);
    return KILN_OK;
}

/* The rate, behind a warm-up: half a cosine down to nothing, or where the steps are not counted ahead, by the root of the step. */
static kiln_tensor rate_of(kiln_graph *g, const struct training *t)
{
    const kiln_tensor step = kiln_step(g, NULL), warm = kiln_scalar(g, KILN_F32, t->warm > 1 ? t->warm : 1);
    const kiln_tensor falling = t->steps
                                    ? kiln_schedule_cosine(g, step, t->rate, t->rate / 100, (double)t->steps)
                                    : kiln_mul(g, kiln_scalar(g, KILN_F32, t->rate),
                                               kiln_sqrt(g, kiln_div(g, warm, kiln_max(g, step, warm))));
    return kiln_schedule_warm_up(g, step, falling, t->warm > 1 ? t->warm : 1);
}

static kiln_status build(struct learning *l)
{
    const struct training *t = l->how;
    struct net *net = &l->net;
    kiln_status status = make_net(net, t->model, &l->trained.config, t->smoothing);
    if (status)
        return status;
    kiln_graph *g = net->graph;
    const kiln_tensor update = kiln_minimize(
        g, net->loss,
        &(kiln_minimize_params){
            .by = KILN_ADAM, .rate_from = rate_of(g, t), .beta2 = 0.98, .epsilon = 1e-9, .clip_norm = 1});
    status = kiln_weights_create(&l->trained.weights, g, &(kiln_weights_params){.seed = t->seed});
    if (!status)
        status =
            kiln_program_create(&l->learn, l->dev, g, l->trained.weights,
                                &(kiln_program_params){.train = true, .run = KILN_RUN(update, net->loss)});
    if (!status)
        status = kiln_program_create(&l->grade, l->dev, g, l->trained.weights,
                                     &(kiln_program_params){.run = KILN_RUN(net->grade)});
    if (!status)
        status = kiln_dataset_set_params(
            l->data.train.rows,
            &(kiln_dataset_params){.shuffle = true, .seed = t->seed, .by_length = 50, .drop_last = true});
    return status ? status
                  : kiln_dataset_set_params(l->data.check.rows, &(kiln_dataset_params){.by_length = 1000});
}

static kiln_status read_scalar(kiln_program *p, kiln_tensor t, double *value)
{
    float read = NAN;
    const kiln_status status = kiln_program_read(p, t, &(kiln_array){.data = &read, .bytes = sizeof read});
    *value = (double)read;
    return status;
}

static double tokens_of(const kiln_batch *batch)
{
    const int32_t *lengths = batch->column[batch->columns - 1].data; /* wanted_length */
    double tokens = 0;
    for (int64_t i = 0; i < batch->rows; i++)
        tokens += lengths[i];
    return tokens;
}

/* The mean over all tokens of the check pairs. */
static kiln_status watch(struct learning *l, double *loss)
{
    kiln_running_mean mean = {0};
    kiln_batch batch;
    kiln_status status;
    for (;;) {
        double value = 0;
        TRY(status = kiln_dataset_next(l->data.check.rows, l->how->rows, &batch));
        if (batch.rows == 0)
            break;
        TRY(status = write_batch(l->grade, &batch));
        TRY(status = kiln_program_run(l->grade));
        TRY(status = read_scalar(l->grade, l->net.grade, &value));
        kiln_running_mean_add(&mean, value, tokens_of(&batch));
    }
out:
    *loss = kiln_running_mean_value(&mean);
    return status;
}

static double minutes_of(const struct learning *l)
{
    return difftime(time(NULL), l->began) / 60;
}

/* One look at where training stands; what is best so far is saved. */
static kiln_status look(struct learning *l, int64_t step)
{
    double loss = 0, check = 0;
    kiln_status status = read_scalar(l->learn, l->net.loss, &loss);
    if (!status)
        status = watch(l, &check);
    printf("step %lld: loss %.4f, of the check pairs %.4f (perplexity %.2f), %.1f minutes\n", (long long)step,
           loss, check, exp(check), minutes_of(l));
    fflush(stdout);
    if (!status)
        status = kiln_csv_add(l->curve, (const double[]){(double)step, loss, check});
    if (status || !(check < l->best))
        return status;
    l->best = check;
    return save_trained(&l->trained, l->how->dir);
}

/* The folder, with what stands before the first step. */
static kiln_status begin(struct learning *l)
{
    static const char *const names[] = {"step", "loss", "check"};
    char path[1024];
    kiln_status status = save_trained(&l->trained, l->how->dir);
    snprintf(path, sizeof path, "%s/curve.csv", l->how->dir);
    if (!status)
        status = kiln_csv_open(&l->curve, path, names, 3, NULL);
    if (status || !l->how->record)
        return status;
    snprintf(path, sizeof path, "%s/start.safetensors", l->how->dir);
    status = kiln_weights_save(l->trained.weights, path);
    kiln_batch batch = {.rows = 1};
    for (int64_t number = 0; batch.rows && !status; number++) {
        status = kiln_dataset_next(l->data.check.rows, l->how->rows, &batch);
        if (!status && batch.rows)
            status = record_batch(&l->recording, "check", &batch, number);
    }
    return status;
}

static kiln_status learn(struct learning *l)
{
    const struct training *t = l->how;
    const int64_t all = kiln_dataset_rows(l->data.train.rows), rows = t->rows < all ? t->rows : all;
    kiln_batch batch;
    kiln_status status = begin(l);
    for (int64_t step = 1; !status; step++) {
        const bool last = step == t->steps || (t->minutes > 0 && minutes_of(l) >= t->minutes);
        status = kiln_dataset_next(l->data.train.rows, rows, &batch);
        if (!status && batch.rows == 0) /* the next epoch begins */
            status = kiln_dataset_next(l->data.train.rows, rows, &batch);
        if (!status)
            status = write_batch(l->learn, &batch);
        if (!status)
            status = kiln_program_run(l->learn);
        if (!status && t->record)
            status = record_batch(&l->recording, "train", &batch, step);
        if (!status && (step % t->every == 0 || last))
            status = look(l, step);
        if (last)
            break;
    }
    return status || !t->record ? status : save_recording(&l->recording, t->dir);
}

kiln_status train(const struct training *t)
{
    struct learning l = {.how = t, .began = time(NULL), .best = INFINITY};
    struct score score;
    kiln_status status;
    TRY(status = kiln_device_open(&l.dev, NULL));
    TRY(status = prepare(&l));
    TRY(status = build(&l));
    TRY(status = learn(&l));
    printf("%s: the model\n", t->dir);

    /* The best one judges. */
    struct trained best;
    TRY(status = load_trained(&best, t->dir));
    status = judge(l.dev, &best, &l.data.test, &t->choice, &score);
    if (!status)
        print_score(&score);
    free_trained(&best);
out:
    kiln_csv_close(&l.curve);
    free_recording(&l.recording);
    kiln_program_destroy(&l.learn);
    kiln_program_destroy(&l.grade);
    kiln_weights_destroy(&l.trained.weights);
    kiln_graph_destroy(&l.net.graph);
    free_data(&l.data);
    kiln_device_close(&l.dev);
    return status;
}
