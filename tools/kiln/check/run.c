/* run.c - see run.h. */
#include "check/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/threads.h"
#include "check/differences.h"
#include "check/probes.h"
#include "check/replay.h"
#include "check/truths.h"
#include "ops/table.h"
#include "recorder/truth.h"

enum { TIMED_RUNS = 5, TRIES = 20 }; /* of a claim */
enum { FIRST_SPARE = 4, EVERY_SPARE = 16 };

struct run {
    const struct check_options *options;
    struct check_report *report;
    kiln_device *dev;
    struct check_entry now;
    int timed;  /* the step that was last added to the case's time */
    bool other; /* code other than the oracle has run */
};

/* Messages ------------------------------------------------------------------------------------------------- */

static char last_line[200];

/* Errors of a case are its verdict. */
static void keep_line(void *user, kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_ERROR)
        snprintf(last_line, sizeof last_line, "%s", line);
    else
        fprintf(stderr, "kiln: warning: %s\n", line);
}

/* Outcomes of variants ------------------------------------------------------------------------------------- */

/* -1 when out of memory. */
static int tally_of(struct check_report *r, const kiln_kernel *kernel, const kiln_variant *variant)
{
    for (int i = 0; i < r->tally.count; i++)
        if (r->tally.data[i].kernel == kernel && r->tally.data[i].variant == variant)
            return i;
    if (!kiln_vec_push(&r->tally, (struct check_tally){.kernel = kernel, .variant = variant}))
        return -1;
    return r->tally.count - 1;
}

static void note_reach(struct check_report *r, struct check_entry *now, int tally)
{
    for (int i = 0; i < now->reached; i++)
        if (r->reach.data[now->reach + i] == tally)
            return;
    now->reached += kiln_vec_push(&r->reach, tally);
}

/* The largest of each; a pipeline without memory for its own counts in none. */
static void note_compiled(struct check_tally *t, const struct kiln_compiled *c)
{
    const int count = c ? c->count : 0;
    struct kiln_statistic *all = t->statistic;
    if (count > t->statistics && !(all = realloc(all, (size_t)count * sizeof *all)))
        return;
    t->statistic = all;
    for (int i = 0; i < count; i++) {
        const struct kiln_statistic *s = &c->statistic[i];
        if (i >= t->statistics || s->value > all[i].value)
            all[i] = *s;
    }
    t->statistics = count > t->statistics ? count : t->statistics;
}

static void count_outcome(struct check_report *r, struct check_entry *now, const struct check_outcome *o)
{
    const int tally = tally_of(r, o->kernel, o->variant);

    if (tally < 0)
        return;
    struct check_tally *t = &r->tally.data[tally];
    note_reach(r, now, tally);
    t->runs++;
    t->usual += o->usual;
    note_compiled(t, o->compiled);
    t->failed += !(o->distance.share <= 1);
    t->share = fmax(t->share, o->distance.share);
    t->error = fmax(t->error, o->distance.error);
    t->ulp = fmax(t->ulp, o->distance.ulp);
    if (o->seconds > 0) {
        t->gflops = fmax(t->gflops, 1e-9 * o->flops / o->seconds);
        t->gbytes = fmax(t->gbytes, 1e-9 * o->bytes / o->seconds);
    }
}

/* A dispatch counts by the first of its variants: the one that a program runs. */
static void add_time(struct run *run, const struct check_outcome *o)
{
    if (o->step == run->timed)
        return;
    run->timed = o->step;
    run->now.seconds += o->seconds;
    run->now.flops += o->flops;
    run->now.bytes += o->bytes;
}

static void take_outcome(void *user, const struct check_outcome *o)
{
    struct run *run = user;
    struct check_entry *now = &run->now;

    count_outcome(run->report, now, o);
    add_time(run, o);
    run->other |= o->variant != &kiln_cpu_reference;
    now->runs++;
    now->share = fmax(now->share, o->distance.share);
    now->error = fmax(now->error, o->distance.error);
    now->ulp = fmax(now->ulp, o->distance.ulp);
    if (o->distance.share <= 1 || now->status == CHECK_FAILED)
        return;
    now->status = CHECK_FAILED;
    snprintf(now->what, sizeof now->what, "dispatch %d, kernel %s, variant %s: %s", o->step, o->kernel->name,
             o->variant->name, o->distance.what);
}

static bool is_elsewhere(const struct check_report *r, const kiln_variant *variant)
{
    for (int i = 0; i < r->elsewhere.count; i++)
        if (r->elsewhere.data[i].variant == variant)
            return true;
    return false;
}

static void note_elsewhere(void *user, const kiln_kernel *kernel, const kiln_variant *variant)
{
    struct check_report *r = ((struct run *)user)->report;

    if (!is_elsewhere(r, variant))
        (void)kiln_vec_push(&r->elsewhere, (struct check_tally){.kernel = kernel, .variant = variant});
}

/* The first times that it could run, and some of the others: compiling it for each case would take longer than all else. */
static bool wants_spare(void *user, const kiln_kernel *kernel, const kiln_variant *variant)
{
    struct check_report *r = ((struct run *)user)->report;
    const int tally = tally_of(r, kernel, variant);
    if (tally < 0)
        return true;
    const int asked = r->tally.data[tally].spared++;
    return asked < FIRST_SPARE || asked % EVERY_SPARE == 0;
}

/* Cases ---------------------------------------------------------------------------------------------------- */

static void fail(struct check_entry *now, const char *what)
{
    if (now->status == CHECK_FAILED)
        return;
    now->status = CHECK_FAILED;
    snprintf(now->what, sizeof now->what, "%s", what);
}

/* The rules of gradients are the same on every device; types but F32 share F32's. */
static kiln_status check_gradients(struct run *run)
{
    struct check_entry *now = &run->now;
    struct check_slopes slopes;
    kiln_status status;

    if (run->dev->caps.backend != KILN_BACKEND_CPU || now->one->type != KILN_F32)
        return KILN_OK;
    if ((status = check_differences(run->dev, now->one, run->options->filter.seed, &slopes)))
        return status;
    now->slopes = slopes.checks;
    now->slope_error = slopes.worst;
    if (slopes.what[0])
        fail(now, slopes.what);
    return KILN_OK;
}

/* On the CPU the oracle is a variant itself: what reaches no other code must be checked in another way. */
static void judge_oracle(struct run *run, bool expected)
{
    const bool itself = run->dev->caps.backend == KILN_BACKEND_CPU && run->now.runs > 0 && !run->other;

    if (run->now.status == CHECK_PASSED && itself && !run->now.slopes && !expected)
        run->now.status = CHECK_UNCOUNTED;
}

static kiln_status run_case(struct run *run, const struct check_case *one)
{
    struct check_params params = {.seed = run->options->filter.seed,
                                  .repeat = run->options->bench ? TIMED_RUNS : 0,
                                  .report = take_outcome,
                                  .pass_over = note_elsewhere,
                                  .wants_spare = wants_spare,
                                  .user = run};
    struct check_entry *now = &run->now;
    const double start = kiln_seconds();
    const int messages = kiln_vulkan_messages();
    kiln_status status;

    *now = (struct check_entry){.one = one, .reach = run->report->reach.count};
    run->timed = -1;
    run->other = false;
    status = check_replay(run->dev, one, &params);
    if (status == KILN_ERROR_UNSUPPORTED) {
        now->status = CHECK_INAPPLICABLE;
        snprintf(now->what, sizeof now->what, "%s", last_line);
    } else if (check_is_misfit(one, status)) {
        return KILN_OK;
    } else if (status || (status = check_gradients(run))) {
        fail(now, last_line);
    }
    if (params.surprise[0])
        fail(now, params.surprise);
    if (kiln_vulkan_messages() != messages) /* of the validation layers, where they are on */
        fail(now, last_line);
    judge_oracle(run, params.expected);
    now->took = kiln_seconds() - start;
    run->report->count[now->status]++;
    run->report->failed += now->status == CHECK_FAILED;
    if (!kiln_vec_push(&run->report->entry, *now))
        return KILN_ERROR_MEMORY;
    if (run->options->tell)
        run->options->tell(run->options->user, now);
    return status == KILN_ERROR_DEVICE ? status : KILN_OK;
}

/* Variants that no case reached ---------------------------------------------------------------------------- */

static bool is_reached(const struct check_report *r, const kiln_kernel *kernel, const kiln_variant *variant)
{
    for (int i = 0; i < r->tally.count; i++)
        if (r->tally.data[i].kernel == kernel && r->tally.data[i].variant == variant)
            return true;
    return false;
}

static kiln_status list_unreached(struct check_report *r)
{
    for (int i = 0; kiln_kernels[i]; i++) {
        const kiln_kernel *k = kiln_kernels[i];
        const kiln_variant *const *v = r->device.backend == KILN_BACKEND_CPU ? k->cpu : k->gpu;
        for (; v && *v; v++)
            if (!is_reached(r, k, *v) && !is_elsewhere(r, *v) &&
                !kiln_vec_push(&r->unreached, (struct check_tally){.kernel = k, .variant = *v}))
                return KILN_ERROR_MEMORY;
    }
    return KILN_OK;
}

/* Probes --------------------------------------------------------------------------------------------------- */

static kiln_status run_probe(struct run *run, const struct check_probe_row *row)
{
    struct check_probe probe = {0};
    kiln_status status;

    snprintf(probe.name, sizeof probe.name, "%s", row->name);
    if ((status = row->run(run->dev, &probe))) {
        probe.status = CHECK_FAILED;
        snprintf(probe.what, sizeof probe.what, "%s", last_line);
    }
    run->report->failed += probe.status == CHECK_FAILED;
    if (!kiln_vec_push(&run->report->probe, probe))
        return KILN_ERROR_MEMORY;
    return status == KILN_ERROR_DEVICE ? status : KILN_OK;
}

/* A claim, tried often: some drivers are wrong only now and then. What fails is not used from then on. */
static kiln_status run_truth(struct run *run, const char *name, const char *mask, bool claimed,
                             bool (*holds)(kiln_device *dev))
{
    struct check_probe probe = {.status = claimed ? CHECK_PASSED : CHECK_INAPPLICABLE};
    int held = 0;

    snprintf(probe.name, sizeof probe.name, "truth/%s", name);
    while (claimed && held < TRIES && holds(run->dev))
        held++;
    snprintf(probe.what, sizeof probe.what, claimed ? "held %d times" : "not claimed", held);
    if (claimed && held < TRIES) {
        probe.status = CHECK_FAILED;
        snprintf(probe.what, sizeof probe.what, "failed after %d times; kiln goes without \"%s\" from now on",
                 held, mask);
        kiln_device_distrust(run->dev, mask);
        run->report->failed++;
    }
    return kiln_vec_push(&run->report->probe, probe) ? KILN_OK : KILN_ERROR_MEMORY;
}

static kiln_status run_truths(struct run *run)
{
    const struct kiln_caps claims = run->dev->caps;
    kiln_status status = KILN_OK;

    for (const struct kiln_truth *t = kiln_truths; t->what && !status; t++)
        status = run_truth(run, t->what, t->mask, *(const bool *)((const char *)&claims + t->at), t->holds);
    for (const struct check_truth *t = check_truths; t->name && !status; t++)
        status = run_truth(run, t->name, t->mask, t->claimed(&claims), t->holds);
    return status;
}

static kiln_status run_probes(struct run *run)
{
    kiln_status status = run_truths(run);

    for (const struct check_probe_row *row = check_probes; row->name && !status; row++)
        status = run_probe(run, row);
    return status;
}

/* The run -------------------------------------------------------------------------------------------------- */

static bool is_interrupted(const struct run *run)
{
    return run->options->interrupted && *run->options->interrupted;
}

static kiln_status run_cases(struct run *run)
{
    struct check_report *r = run->report;
    const struct check_options *o = run->options;
    kiln_status status = KILN_OK;

    r->device = *kiln_device_get_info(run->dev);
    r->idle = run->dev->caps.idle;
    for (int i = 0; i < r->cases.count && !status && !(o->fail_fast && r->failed) && !is_interrupted(run);
         i++)
        status = run_case(run, &r->cases.data[i]);
    if (is_interrupted(run))
        return status;
    if (o->probe && !status && !r->idle)
        status = run_probes(run);
    r->whole = check_is_whole(&o->filter);
    return status || !check_is_part(&o->filter) ? status : list_unreached(r);
}

kiln_status check_run(struct check_report *report, const struct check_options *options)
{
    const double start = kiln_seconds();
    struct run run = {.options = options, .report = report};
    kiln_status status = KILN_ERROR_MEMORY;

    report->seed = options->filter.seed;
    report->limits = getenv("KILN_LIMITS");
    if (check_list(&options->filter, &report->cases))
        status = kiln_device_open(&run.dev, &(kiln_device_params){.name = options->device});
    if (status)
        return status;
    kiln_log_to(keep_line, NULL, KILN_LOG_WARNING);
    status = run_cases(&run);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    if (status)
        kiln_log_line(KILN_LOG_ERROR, "%s", last_line);
    kiln_device_close(&run.dev);
    report->seconds = kiln_seconds() - start;
    return status;
}

void check_report_finish(struct check_report *report)
{
    kiln_vec_finish(&report->cases);
    kiln_vec_finish(&report->entry);
    kiln_vec_finish(&report->probe);
    for (int i = 0; i < report->tally.count; i++)
        free(report->tally.data[i].statistic);
    kiln_vec_finish(&report->tally);
    kiln_vec_finish(&report->reach);
    kiln_vec_finish(&report->elsewhere);
    kiln_vec_finish(&report->unreached);
}
