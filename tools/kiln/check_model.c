/* check_model.c - see check_model.h. */
#include "check_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/extend.h>

#include "arrays.h"
#include "base/log.h"
#include "base/threads.h"
#include "check/replay.h"
#include "json.h"

enum {
    MOST_NAME = 120,
    TELL_AFTER = 5, /* seconds */
};

struct run {
    const struct check_model_options *o;
    struct arrays arrays;
    kiln_graph *g;
    kiln_weights *weights;
    kiln_device *dev;
    kiln_program *program;
    struct kiln_pool *pool;
    double begun, told; /* when the comparing began, and when its progress was told last */
    int dispatches, failed, passed_over;
    struct check_distance worst;
    /* the first dispatch that is off */
    struct check_outcome first;
    char node[MOST_NAME];
};

/* Inputs ---------------------------------------------------------------------------------------------------- */

static kiln_status write_inputs(struct run *r)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < kiln_program_input_count(r->program) && !status; i++) {
        const kiln_tensor input = kiln_program_input(r->program, i);
        const kiln_shape shape = arrays_shape(r->g, input, &r->o->size);
        status = arrays_make_up(r->program, r->g, input, shape, r->o->seed);
    }
    return status ? status : arrays_write(&r->arrays, r->program, r->g);
}

/* Replaying ------------------------------------------------------------------------------------------------- */

static void report(void *user, const struct check_outcome *o)
{
    struct run *r = user;

    r->dispatches++;
    r->worst.share = fmax(r->worst.share, o->distance.share);
    r->worst.error = fmax(r->worst.error, o->distance.error);
    r->worst.ulp = fmax(r->worst.ulp, o->distance.ulp);
    if (o->distance.share <= 1 || r->failed++)
        return;
    r->first = *o;
    if (o->node)
        snprintf(r->node, sizeof r->node, "%.50s \"%.60s\"", o->node->op->name,
                 o->node->name ? o->node->name : "");
}

/* References are plain code: those of a large network take minutes. */
static bool goes_on(void *user, const kiln_node *node, int step, int steps)
{
    struct run *r = user;
    const double now = kiln_seconds();
    const bool in_time = now - r->begun < r->o->limit;

    if (now - r->told > TELL_AFTER) {
        fprintf(stderr, "kiln check: dispatch %d of %d after %.0f s, %s \"%s\"\n", step + 1, steps,
                now - r->begun, node ? node->op->name : "", node && node->name ? node->name : "");
        r->told = now;
    }
    r->passed_over += !in_time;
    return in_time;
}

static kiln_status replay_model(struct run *r)
{
    struct check_params params = {
        .seed = r->o->seed, .chosen = true, .report = report, .pool = r->pool, .goes_on = goes_on, .user = r};

    r->begun = r->told = kiln_seconds();
    return check_replay_program(r->program, &params);
}

static kiln_status run_model(struct run *r)
{
    kiln_status status = arrays_read(&r->arrays, &r->o->input);

    r->arrays.most_steps = r->o->most_steps;
    r->arrays.most_size = r->o->most_size;
    if (!status)
        status = arrays_load(&r->arrays, &r->o->size, r->o->model, &r->g, &r->weights);
    if (!status)
        status = kiln_device_open(&r->dev, &(kiln_device_params){.name = r->o->device});
    if (!status)
        status = kiln_program_create(&r->program, r->dev, r->g, r->weights, NULL);
    if (!status && !(status = write_inputs(r)) && !(status = kiln_program_run(r->program)) &&
        !(status = kiln_program_wait(r->program)) && !(status = kiln_pool_create(&r->pool, 0)))
        status = replay_model(r);
    return status;
}

/* Reports --------------------------------------------------------------------------------------------------- */

static void print_json(const struct run *r)
{
    struct json j = {0};

    json_open(&j, NULL, '{');
    json_text(&j, "model", r->o->model);
    json_text(&j, "device", kiln_device_get_info(r->dev)->title);
    json_text(&j, "driver", kiln_device_get_info(r->dev)->driver);
    json_number(&j, "dispatches", r->dispatches);
    json_number(&j, "failed", r->failed);
    json_number(&j, "passed_over", r->passed_over);
    json_number(&j, "share", r->worst.share);
    json_number(&j, "ulp", r->worst.ulp);
    if (r->failed) {
        json_open(&j, "first", '{');
        json_number(&j, "dispatch", r->first.step);
        json_text(&j, "node", r->node);
        json_text(&j, "kernel", r->first.kernel->name);
        json_text(&j, "variant", r->first.variant->name);
        json_text(&j, "what", r->first.distance.what);
        json_close(&j);
    }
    json_close(&j);
}

static void print_text(const struct run *r)
{
    const kiln_device_info *info = kiln_device_get_info(r->dev);

    printf("%s on %s (%s)\n", r->o->model, info->title, info->driver);
    if (r->failed)
        printf("the first that differs: dispatch %d, %s, kernel %s, variant %s: %s\n", r->first.step, r->node,
               r->first.kernel->name, r->first.variant->name, r->first.distance.what);
    printf("%d dispatches agree, %d differ; error %.1e, %.3g ulp, %.0f %% of its bound at the most\n",
           r->dispatches - r->failed, r->failed, r->worst.error, r->worst.ulp, 100 * r->worst.share);
    if (r->passed_over)
        printf("%d more were not compared: --limit %g\n", r->passed_over, r->o->limit);
}

int check_model(const struct check_model_options *options)
{
    struct run r = {.o = options, .arrays.command = "check"};
    const kiln_status status = run_model(&r);

    if (!status && options->json)
        print_json(&r);
    else if (!status)
        print_text(&r);
    kiln_pool_destroy(&r.pool);
    kiln_program_destroy(&r.program);
    kiln_weights_destroy(&r.weights);
    kiln_graph_destroy(&r.g);
    kiln_device_close(&r.dev);
    arrays_finish(&r.arrays);
    return status || r.failed ? ARGS_FAILED : ARGS_DONE;
}
