/*
 * cmd_tune.c - kiln tune: try what a device has for a model, or for a row of kiln bench, ahead of the programs that will run it
 * there.
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "arrays.h"
#include "base/log.h"
#include "base/threads.h"
#include "bench/measure.h"
#include "commands.h"
#include "json.h"

enum { SAMPLES = 7 };

struct options {
    const char *model, *device, *precision;
    struct args_list size;
    int64_t most_steps, most_size;
    double budget;
    bool again, dry, json;
};

/* A model that is tuned, and what has come of it. */
struct tuning {
    const struct options *o;
    const struct bench_row *row; /* NULL: a model is */
    struct bench_open_row open;
    struct arrays arrays;
    kiln_graph *g;
    kiln_weights *weights;
    kiln_device *dev;
    kiln_precision precision;
    kiln_program *program, *plain; /* the one that is tuned, and one without choices, to compare */
    struct json json;
    kiln_tune_report report;
    double usual, tuned; /* seconds of a run: the middle of some */
};

/* Telling ------------------------------------------------------------------------------------------------ */

static void tell(void *user, const kiln_tune_result *r)
{
    (void)user;
    printf("  %-14s %-30s %-18s", r->kernel[0] ? r->kernel : "(lowering)", r->node[0] ? r->node : r->op,
           r->usual);
    if (strcmp(r->best, r->usual))
        printf(" -> %-18s %9.1f us -> %9.1f us  %.2f times as fast", r->best, 1e6 * r->usual_seconds,
               1e6 * r->best_seconds, r->usual_seconds / r->best_seconds);
    else
        printf("    %-18s %9.1f us", "stays", 1e6 * r->usual_seconds);
    printf("  (%d tried, %d alike)\n", r->tried, r->count);
    fflush(stdout);
}

static void tell_json(void *user, const kiln_tune_result *r)
{
    struct tuning *t = user;
    json_open(&t->json, NULL, '{');
    json_text(&t->json, "op", r->op);
    json_text(&t->json, "node", r->node);
    json_text(&t->json, "kernel", r->kernel);
    json_text(&t->json, "usual", r->usual);
    json_text(&t->json, "best", r->best);
    json_number(&t->json, "usual_us", 1e6 * r->usual_seconds);
    json_number(&t->json, "best_us", 1e6 * r->best_seconds);
    json_number(&t->json, "count", r->count);
    json_number(&t->json, "tried", r->tried);
    json_number(&t->json, "wrong", r->wrong);
    json_close(&t->json);
}

static void report_json(struct tuning *t)
{
    struct json *j = &t->json;
    json_close(j);
    json_number(j, "known", t->report.known);
    json_number(j, "tried", t->report.tried);
    json_number(j, "changed", t->report.changed);
    json_number(j, "left", t->report.left);
    json_number(j, "wrong", t->report.wrong);
    json_number(j, "seconds", t->report.seconds);
    json_number(j, "usual_ms", 1e3 * t->usual);
    json_number(j, "tuned_ms", 1e3 * t->tuned);
    json_close(j);
}

static void report_text(const struct tuning *t)
{
    const kiln_tune_report *r = &t->report;
    printf(
        "%d classes of work tried in %.1f s: another way won in %d; %d were known, %d left for want of time\n",
        r->tried, r->seconds, r->changed, r->known, r->left);
    printf("a run takes %.3f ms as usual, %.3f ms tuned: %.2f times as fast\n", 1e3 * t->usual,
           1e3 * t->tuned, t->usual / t->tuned);
}

/* Tuning ------------------------------------------------------------------------------------------------- */

static kiln_status time_run(kiln_program *p, double *seconds)
{
    const double began = kiln_seconds();
    kiln_status status = kiln_program_run(p);
    if (!status)
        status = kiln_program_wait(p);
    *seconds = kiln_seconds() - began;
    return status;
}

/* The middle of some runs of each program, by turns, after one that plans and compiles. */
static kiln_status time_both(struct tuning *t)
{
    double plain[SAMPLES], tuned[SAMPLES];
    kiln_status status = KILN_OK;
    for (int i = -1; i < SAMPLES && !status; i++)
        if (!(status = time_run(t->plain, &plain[i < 0 ? 0 : i])))
            status = time_run(t->program, &tuned[i < 0 ? 0 : i]);
    if (status)
        return status;
    t->usual = bench_median(plain, SAMPLES);
    t->tuned = bench_median(tuned, SAMPLES);
    return KILN_OK;
}

static kiln_status open_program(struct tuning *t, kiln_program **out)
{
    const kiln_program_params params = {.tuned = KILN_TUNED_NEVER, .precision = t->precision};
    if (t->row)
        return bench_program(&t->open, params, out);
    kiln_status status = kiln_program_create(out, t->dev, t->g, t->weights, &params);
    for (int i = 0; !status && i < kiln_program_input_count(*out); i++) {
        const kiln_tensor input = kiln_program_input(*out, i);
        status = arrays_make_up(*out, t->g, input, arrays_shape(t->g, input, &t->o->size), 1);
    }
    return status;
}

static kiln_status load(struct tuning *t)
{
    kiln_status status = arrays_precision("tune", t->o->precision, &t->precision);
    t->arrays.most_steps = t->o->most_steps;
    t->arrays.most_size = t->o->most_size;
    if (!status && !t->row)
        status = arrays_load(&t->arrays, &t->o->size, t->o->model, &t->g, &t->weights);
    if (!status)
        status = kiln_device_open(&t->dev, &(kiln_device_params){.name = t->o->device});
    return status || !t->row ? status : bench_open(&t->open, t->dev, t->row, t->precision);
}

static kiln_status tune(struct tuning *t)
{
    const struct options *o = t->o;
    kiln_status status = load(t);
    if (!status)
        status = open_program(t, &t->program);
    if (status)
        return status;
    if (o->json) {
        json_open(&t->json, NULL, '{');
        json_text(&t->json, "device", kiln_device_get_info(t->dev)->title);
        json_open(&t->json, "classes", '[');
    } else {
        printf("%s on %s\n", o->model, kiln_device_get_info(t->dev)->title);
    }
    status = kiln_program_tune(t->program,
                               &(kiln_tune_params){.budget = o->budget,
                                                   .again = o->again,
                                                   .forget = o->dry,
                                                   .call = o->json ? tell_json : tell,
                                                   .user = t},
                               &t->report);
    if (!status)
        status = open_program(t, &t->plain);
    return status ? status : time_both(t);
}

/* The row of kiln bench of that name; NULL: there is none. */
static const struct bench_row *row_named(const char *name)
{
    const struct bench_row *row;
    for (int i = 0; (row = bench_row_at(i)); i++)
        if (!strcmp(row->name, name) && row->kind != BENCH_REPLAY)
            return row;
    return NULL;
}

int cmd_tune(int argc, char **argv)
{
    struct options o = {.budget = 60};
    struct args_list operands = {0};
    const struct args args = {
        .command = "tune",
        .operands = "MODEL.onnx|ROW",
        .least = 1,
        .most = 1,
        .given = &operands,
        .about =
            "Try each way that a device has for what a model needs, and remember the fastest for programs that\n"
            "run on it later: in a file of the cache folder ($XDG_CACHE_HOME/kiln), by device and driver. The\n"
            "results of another way agree with the usual one's within rounding, or it is not chosen. Training\n"
            "does not use what is remembered, unless it is told to. ROW is one that 'kiln bench --list' prints.",
        .options =
            (const struct args_option[]){
                {"budget", "SECONDS", ARGS_NUMBER, &o.budget,
                 "that it may take, compiling too (default: 60)"},
                {"device", "NAME", ARGS_TEXT, &o.device, "as 'kiln devices' lists them"},
                {"size", "NAME=N", ARGS_LIST, &o.size, "a size that the model leaves open (default: 1)"},
                {"most-steps", "N", ARGS_COUNT, &o.most_steps,
                 "how often a loop that data ends goes round at the most"},
                {"most-size", "N", ARGS_COUNT, &o.most_size,
                 "how large a size that data gives is at the most (default: as the model shows, or twice the largest input)"},
                {"precision", "NAME", ARGS_TEXT, &o.precision, "f32, or f16 where the device has halves"},
                {"again", NULL, ARGS_FLAG, &o.again, "try what is remembered already, too"},
                {"dry", NULL, ARGS_FLAG, &o.dry, "say what would be chosen, and remember nothing"},
                {"json", NULL, ARGS_FLAG, &o.json, "print one JSON document"},
                {0}},
    };
    int code;
    if (!args_parse(&args, argc, argv, &code))
        return code;
    o.model = operands.item[0];

    struct tuning t = {.o = &o, .row = row_named(o.model), .arrays.command = "tune"};
    if (t.row && o.size.count)
        return args_wrong("tune", "--size is for models; the rows of kiln bench have their sizes");
    const kiln_status status = tune(&t);
    if (!status && o.json)
        report_json(&t);
    else if (!status)
        report_text(&t);
    kiln_program_destroy(&t.program);
    kiln_program_destroy(&t.plain);
    kiln_weights_destroy(&t.weights);
    kiln_graph_destroy(&t.g);
    if (t.row)
        bench_close(&t.open);
    kiln_device_close(&t.dev);
    arrays_finish(&t.arrays);
    return status ? ARGS_FAILED : ARGS_DONE;
}
