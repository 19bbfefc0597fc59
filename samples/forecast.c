/*
 * forecast.c - what comes next in a series: windows, a linear and a recurrent part, judged beside two forecasts that need no network.
 *
 * usage: forecast [FILE.csv] [options]      without a file it forecasts a series that it makes up itself
 */
#include <kiln/kiln.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static const char help[] =
    "usage: forecast [FILE.csv] [options]      forecast the numbers in a column of FILE, or a made-up series\n"
    "\n"
    "data:      --column 2   --season 24 (steps after which things repeat)   --past 48 (steps seen)\n"
    "           --future 24 (steps forecast, at most a season)\n"
    "           The first 70 % are learned from, the next 15 % say when to stop, the last 15 % judge.\n"
    "learning:  --units 16   --epochs 60   --batch 32   --rate 0.003   --patience 15   --seed 1\n"
    "           --out FILE.safetensors (forecast.safetensors)\n"
    "picture:   --picture FILE.png (the end of the series and its forecasts)\n";

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

struct options {
    const char *file, *out, *picture;
    int column, season, past, future, units, epochs, batch, patience, seed;
    double rate;
    bool help;
};

/* Data --------------------------------------------------------------------------------------------------- */

enum { TRAIN, CHECK, TEST, PARTS };

struct data {
    kiln_array series; /* scaled */
    kiln_scaling scaling;
    kiln_dataset *part[PARTS];
    int64_t first[PARTS + 1]; /* steps where parts begin */
};

/* Two thousand steps: a rising level, a season whose height comes and goes, and what wanders by chance. */
static kiln_status make_series(kiln_array *series)
{
    enum { STEPS = 2000 };
    const double pi = acos(-1);
    float *x = malloc(STEPS * sizeof *x);
    uint32_t state = 1;
    double wander = 0;

    for (int i = 0; x && i < STEPS; i++) {
        double chance = -6;
        for (int k = 0; k < 12; k++, state = state * 1664525u + 1013904223u)
            chance += state / 4294967296.0; /* nearly normal */
        wander = 0.9 * wander + chance;
        x[i] = (float)(50 + 0.02 * i + (10 + 5 * sin(2 * pi * i / 500)) * sin(2 * pi * i / 24) + wander);
    }
    *series = (kiln_array){.data = x, .shape = KILN_SHAPE(STEPS)};
    return x ? KILN_OK : KILN_ERROR_MEMORY;
}

/* Windows whose futures lie in steps first .. end - 1; what they see may lie before. */
static kiln_status open_part(kiln_dataset **out, const struct data *d, const struct options *o, int64_t first,
                             int64_t end)
{
    const int64_t past = o->past, future = o->future, season = o->season;
    const int64_t context = past > season ? past : season, begin = first > context ? first - context : 0;
    const kiln_array part = {(float *)d->series.data + begin, 0, KILN_F32, KILN_SHAPE(end - begin)};
    const kiln_window windows[] = {{"past", context - past, past},
                                   {"last", context - 1, 1},
                                   {"season", context - season, future},
                                   {"future", context, future}};

    return kiln_windows_open(out, &part, windows, 4, NULL);
}

static kiln_status open_data(struct data *d, const struct options *o)
{
    kiln_status status = o->file ? kiln_series_load(&d->series, o->file, o->column) : make_series(&d->series);
    if (status)
        return status;
    const int64_t steps = d->series.shape.size[0];
    const int64_t parts[] = {0, steps * 70 / 100, steps * 85 / 100, steps};

    memcpy(d->first, parts, sizeof parts);
    d->scaling = kiln_scaling_fit(d->series.data, d->first[CHECK]); /* of what is learned from alone */
    kiln_scaling_apply(&d->scaling, d->series.data, steps);
    for (int i = 0; i < PARTS && !status; i++)
        status = open_part(&d->part[i], d, o, d->first[i], d->first[i + 1]);
    return status
               ? status
               : kiln_dataset_set_params(d->part[TRAIN],
                                         &(kiln_dataset_params){.shuffle = true, .seed = (uint64_t)o->seed});
}

static void close_data(struct data *d)
{
    for (int i = 0; i < PARTS; i++)
        kiln_dataset_close(&d->part[i]);
    kiln_array_free(&d->series);
}

/* The network -------------------------------------------------------------------------------------------- */

/* past [N, P], last [N, 1] -> [N, F]: what changes from the last step on, as a linear part and a recurrent one see it. */
static kiln_tensor network(kiln_graph *g, const struct options *o, kiln_tensor past, kiln_tensor last)
{
    const int future = o->future;
    const kiln_tensor x = kiln_sub(g, past, last);
    kiln_recurrent_states state = {{0}};

    kiln_nn_gru(
        g, kiln_unsqueeze(g, x, 2),
        &(kiln_nn_recurrent_params){.units = o->units, .cell = {.batch_first = true}, .name = "cells"},
        &state);
    const kiln_init quiet = {.kind = KILN_INIT_NORMAL, .scale = 0.01};
    const kiln_tensor line =
        kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = future, .init = quiet, .name = "line"});
    const kiln_tensor bend =
        kiln_nn_dense(g, kiln_squeeze(g, state.h, 0),
                      &(kiln_nn_dense_params){.units = future, .init = quiet, .name = "bend"});
    return kiln_add(g, last, kiln_add(g, line, bend));
}

struct net {
    kiln_graph *graph;
    kiln_tensor past, last, future, forecast, loss, step;
};

static kiln_status make_net(struct net *n, const struct options *o)
{
    const kiln_status status = kiln_graph_create(&n->graph, NULL);
    if (status)
        return status;
    kiln_graph *g = n->graph;
    n->past = kiln_input(g, "past", KILN_F32, KILN_SHAPE(KILN_BATCH, o->past));
    n->last = kiln_input(g, "last", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
    n->future = kiln_input(g, "future", KILN_F32, KILN_SHAPE(KILN_BATCH, o->future));
    n->forecast = network(g, o, n->past, n->last);
    n->loss = kiln_name(g, kiln_absolute_error(g, n->forecast, n->future, KILN_LOSS_MEAN), "loss");
    n->step =
        kiln_minimize(g, n->loss, &(kiln_minimize_params){.by = KILN_ADAM, .rate = o->rate, .clip_norm = 1});
    return kiln_graph_status(g);
}

static kiln_status learn(kiln_device *dev, const struct net *n, kiln_weights *weights, const struct data *d,
                         const struct options *o)
{
    kiln_program *program = NULL, *grade = NULL;
    kiln_status status;

    TRY(status =
            kiln_program_create(&program, dev, n->graph, weights,
                                &(kiln_program_params){.train = true, .run = KILN_RUN(n->step, n->loss)}));
    TRY(status = kiln_program_create(&grade, dev, n->graph, weights,
                                     &(kiln_program_params){.run = KILN_RUN(n->loss)}));
    TRY(status = kiln_fit(program, d->part[TRAIN],
                          &(kiln_fit_params){.epochs = o->epochs,
                                             .batch = o->batch,
                                             .validation = d->part[CHECK],
                                             .grade = grade,
                                             .lower = true,
                                             .patience = o->patience,
                                             .best = o->out}));
    status = kiln_weights_load(weights, o->out, &(kiln_load_params){.partial = true});
out:
    kiln_program_destroy(&grade);
    kiln_program_destroy(&program);
    return status;
}

/* Judging ------------------------------------------------------------------------------------------------ */

enum { NETWORK, LAST, SEASON, WAYS };

static const char *const ways[] = {"network", "last value", "a season ago"};

/* Mean absolute and squared errors, in the series' own units. */
struct errors {
    double absolute[WAYS], square[WAYS], count;
};

static void add_errors(struct errors *e, const kiln_batch *batch, const float *forecast, double scale)
{
    const int64_t future = batch->column[3].shape.size[1];
    const float *last = batch->column[1].data, *season = batch->column[2].data,
                *truth = batch->column[3].data;

    for (int64_t i = 0; i < batch->rows * future; i++) {
        const float said[WAYS] = {forecast[i], last[i / future], season[i]};
        for (int way = 0; way < WAYS; way++) {
            const double error = scale * ((double)said[way] - (double)truth[i]);
            e->absolute[way] += fabs(error);
            e->square[way] += error * error;
        }
        e->count++;
    }
}

/* Run the network on a batch; forecast [rows, F]. */
static kiln_status forecast_batch(kiln_program *program, const struct net *n, const kiln_batch *batch,
                                  float *forecast, size_t bytes)
{
    kiln_status status = kiln_program_write(program, n->past, &batch->column[0]);
    if (!status)
        status = kiln_program_write(program, n->last, &batch->column[1]);
    if (!status)
        status = kiln_program_run(program);
    return status ? status
                  : kiln_program_read(program, n->forecast, &(kiln_array){.data = forecast, .bytes = bytes});
}

static kiln_status judge(kiln_program *program, const struct net *n, const struct data *d,
                         const struct options *o)
{
    enum { ROWS = 64 };
    const size_t bytes = ROWS * (size_t)o->future * sizeof(float);
    float *forecast = malloc(bytes);
    struct errors e = {{0}, {0}, 0};
    kiln_batch batch;
    kiln_status status = forecast ? KILN_OK : KILN_ERROR_MEMORY;

    while (!status && !(status = kiln_dataset_next(d->part[TEST], ROWS, &batch)) && batch.rows > 0)
        if (!(status = forecast_batch(program, n, &batch, forecast, bytes)))
            add_errors(&e, &batch, forecast, d->scaling.deviation);
    free(forecast);
    if (status)
        return status;
    printf("%lld forecasts of %d steps:\n%-14s %12s %12s\n", (long long)kiln_dataset_rows(d->part[TEST]),
           o->future, "", "mean error", "root square");
    for (int way = 0; way < WAYS; way++)
        printf("%-14s %12.4f %12.4f\n", ways[way], e.absolute[way] / e.count, sqrt(e.square[way] / e.count));
    const double best = fmin(e.absolute[LAST], e.absolute[SEASON]);
    printf("the network's error is %.1f %% of the better baseline's\n", 100 * e.absolute[NETWORK] / best);
    return KILN_OK;
}

static const char *title_of(const struct options *o)
{
    const char *slash = o->file ? strrchr(o->file, '/') : NULL;
    return !o->file ? "a made-up series" : slash ? slash + 1 : o->file;
}

/* The end of the series: what was, and forecasts one behind the other. */
static kiln_status draw(kiln_program *program, const struct net *n, const struct data *d,
                        const struct options *o)
{
    const int64_t future = o->future, rows = kiln_dataset_rows(d->part[TEST]);
    const int64_t apart = (rows - 1) / future + 1,
                  most = apart < 6 ? apart : 6; /* forecasts that lie apart */
    const size_t count = (size_t)(most * future);
    double *x = malloc(4 * count * sizeof *x), *y[3];
    float *forecast = malloc((size_t)future * sizeof *forecast);
    kiln_dataset *one = NULL;
    kiln_batch batch;
    kiln_status status = x && forecast ? KILN_OK : KILN_ERROR_MEMORY;

    for (int i = 0; i < 3 && x; i++)
        y[i] = x + (size_t)(i + 1) * count;
    for (int64_t i = 0; i < most && !status; i++) {
        const int64_t row = rows - 1 - (most - 1 - i) * future;
        if ((status = kiln_dataset_slice(&one, d->part[TEST], row, 1)) ||
            (status = kiln_dataset_next(one, 1, &batch)) ||
            (status = forecast_batch(program, n, &batch, forecast, (size_t)future * sizeof *forecast)))
            break;
        for (int64_t k = 0; k < future; k++) {
            const float said[] = {((float *)batch.column[3].data)[k], forecast[k],
                                  ((float *)batch.column[2].data)[k]};
            x[i * future + k] = (double)(d->first[PARTS] - (most - i) * future + k);
            for (int way = 0; way < 3; way++)
                y[way][i * future + k] = (double)said[way] * d->scaling.deviation + d->scaling.mean;
        }
        kiln_dataset_close(&one);
    }
    if (!status)
        status = kiln_draw_curves(
            o->picture,
            (const kiln_series[]){{"what was", x, y[0], (int)count, false},
                                  {"forecast", x, y[1], (int)count, false},
                                  {"a season ago", x, y[2], (int)count, false}},
            3, &(kiln_curves_params){.title = title_of(o), .x_label = "step", .width = 720, .height = 360});
    kiln_dataset_close(&one);
    free(forecast);
    free(x);
    return status;
}

static kiln_status run(const struct options *o)
{
    kiln_device *dev = NULL;
    kiln_weights *weights = NULL;
    kiln_program *program = NULL;
    struct data d = {0};
    struct net n = {0};
    kiln_status status;

    TRY(status = kiln_device_open(&dev, NULL));
    TRY(status = open_data(&d, o));
    TRY(status = make_net(&n, o));
    TRY(status = kiln_weights_create(&weights, n.graph, &(kiln_weights_params){.seed = (uint64_t)o->seed}));
    TRY(status = learn(dev, &n, weights, &d, o));
    TRY(status = kiln_program_create(&program, dev, n.graph, weights,
                                     &(kiln_program_params){.run = KILN_RUN(n.forecast)}));
    TRY(status = judge(program, &n, &d, o));
    if (o->picture)
        TRY(status = draw(program, &n, &d, o));
out:
    kiln_program_destroy(&program);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&n.graph);
    close_data(&d);
    kiln_device_close(&dev);
    return status;
}

/* Options ------------------------------------------------------------------------------------------------ */

static bool take_options(struct options *o, int count, char **words)
{
    const struct option table[] = {
        {"--help", OPTION_FLAG, &o->help},
        {"--out", OPTION_TEXT, &o->out},
        {"--picture", OPTION_TEXT, &o->picture},
        {"--column", OPTION_INT, &o->column, .least = 1},
        {"--season", OPTION_INT, &o->season, .least = 1},
        {"--past", OPTION_INT, &o->past, .least = 1},
        {"--future", OPTION_INT, &o->future, .least = 1},
        {"--units", OPTION_INT, &o->units, .least = 1},
        {"--epochs", OPTION_INT, &o->epochs, .least = 1},
        {"--batch", OPTION_INT, &o->batch, .least = 1},
        {"--rate", OPTION_REAL, &o->rate, .least = 1e-9},
        {"--patience", OPTION_INT, &o->patience},
        {"--seed", OPTION_INT, &o->seed},
        {0},
    };

    if (!read_options("forecast", table, &count, words))
        return false;
    if (count > 1) {
        fprintf(stderr, "forecast: it reads one file, and %s is another\n", words[1]);
        return false;
    }
    o->file = count ? words[0] : NULL;
    if (o->future <= o->season)
        return true;
    fprintf(stderr, "forecast: --future %d is beyond the season of %d steps\n", o->future, o->season);
    return false;
}

int main(int argc, char **argv)
{
    struct options o = {.out = "forecast.safetensors",
                        .column = 2,
                        .season = 24,
                        .past = 48,
                        .future = 24,
                        .units = 16,
                        .epochs = 60,
                        .batch = 32,
                        .rate = 0.003,
                        .patience = 15,
                        .seed = 1};

    if (!take_options(&o, argc - 1, argv + 1))
        return 2;
    if (o.help) {
        fputs(help, stdout);
        return 0;
    }
    return run(&o) != KILN_OK;
}
