/*
 * cmd_check.c - kiln check: every operator's cases on a device, against what they mean.
 *
 * A case is compiled as a program would be, and each dispatch of the plan is run by every variant that the device
 * accepts and compared with the reference in float64 (check/case.h, check/replay.h). A failure prints the command
 * that repeats its case.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"
#include "check/replay.h"
#include "commands.h"
#include "json.h"
#include "ops/table.h"

/* A variant and how it did. */
struct tally {
    const kiln_kernel *kernel;
    const kiln_variant *variant;
    int passed, failed;
    double worst;
    double gflops, gbytes; /* the best rates seen */
};

/* A case and how it did. */
struct verdict {
    kiln_status status;
    bool passed;
    int runs; /* of variants */
    double error, bound;
    double seconds, flops, bytes; /* of one run of each dispatch by its first variant */
    int timed;                    /* the last step in them */
    char what[400];
};

/* A case that the device has no code for. */
struct skipped {
    const char *name;
    char why[200];
};

struct check {
    kiln_device *dev;
    const char *device;
    struct check_filter filter;
    uint64_t seed;
    bool bench, json;
    struct json out;
    struct check_cases cases;
    KILN_VEC(struct tally) tally;
    KILN_VEC(struct skipped) skipped;
    struct verdict now; /* of the present case */
    int passed, failed;
};

/* Messages ------------------------------------------------------------------------------------------------- */

static char last_line[200];

/* Errors of a case are its verdict, not this command's messages. */
static void keep_line(void *user, kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_ERROR)
        snprintf(last_line, sizeof last_line, "%s", line);
    else
        fprintf(stderr, "kiln: warning: %s\n", line);
}

/* Outcomes of variants ------------------------------------------------------------------------------------- */

static struct tally *tally_of(struct check *c, const kiln_kernel *kernel, const kiln_variant *variant)
{
    for (int i = 0; i < c->tally.count; i++)
        if (c->tally.data[i].kernel == kernel && c->tally.data[i].variant == variant)
            return &c->tally.data[i];
    if (!kiln_vec_push(&c->tally, (struct tally){.kernel = kernel, .variant = variant}))
        return NULL;
    return &c->tally.data[c->tally.count - 1];
}

static void count_outcome(struct check *c, const struct check_outcome *o)
{
    struct tally *t = tally_of(c, o->kernel, o->variant);

    if (!t)
        return;
    t->passed += o->passed;
    t->failed += !o->passed;
    t->worst = fmax(t->worst, o->error);
    if (o->seconds > 0) {
        t->gflops = fmax(t->gflops, 1e-9 * o->flops / o->seconds);
        t->gbytes = fmax(t->gbytes, 1e-9 * o->bytes / o->seconds);
    }
}

static void add_time(struct verdict *v, const struct check_outcome *o)
{
    if (o->step == v->timed)
        return;
    v->timed = o->step;
    v->seconds += o->seconds;
    v->flops += o->flops;
    v->bytes += o->bytes;
}

static void report(void *user, const struct check_outcome *o)
{
    struct check *c = user;
    struct verdict *v = &c->now;

    count_outcome(c, o);
    add_time(v, o);
    v->runs++;
    v->bound = fmax(v->bound, o->bound);
    v->error = fmax(v->error, o->error);
    if (!o->passed && v->passed) {
        v->passed = false;
        snprintf(v->what, sizeof v->what, "dispatch %d, kernel %s, variant %s: %s", o->step, o->kernel->name,
                 o->variant->name, o->what);
    }
}

/* Cases ---------------------------------------------------------------------------------------------------- */

static void print_failure(const struct check *c, const struct check_case *one)
{
    fprintf(stderr, "FAILED  %s (%s): %s\n", one->name, one->shape->why, c->now.what);
    fprintf(stderr, "        repeat: kiln check --device %s --case %s --seed %" PRIu64 "\n",
            kiln_device_get_info(c->dev)->name, one->name, c->seed);
}

static void print_json_case(struct check *c, const struct check_case *one)
{
    const struct verdict *v = &c->now;
    struct json *j = &c->out;

    json_open(j, NULL, '{');
    json_text(j, "name", one->name);
    json_text(j, "op", one->op->name);
    json_text(j, "type", kiln_type_name(one->type));
    json_text(j, "status", v->passed ? "pass" : "fail");
    json_number(j, "runs", v->runs);
    json_number(j, "error", v->error);
    json_number(j, "bound", v->bound);
    if (!v->passed)
        json_text(j, "what", v->what);
    if (v->seconds > 0) {
        json_number(j, "seconds", v->seconds);
        json_number(j, "flops", v->flops);
        json_number(j, "bytes", v->bytes);
    }
    json_close(j);
}

static void print_rates(const struct check *c, const struct check_case *one)
{
    const struct verdict *v = &c->now;

    if (v->seconds > 0)
        printf("%-50s %10.3f ms %8.2f GFLOP/s %8.2f GB/s\n", one->name, 1e3 * v->seconds,
               1e-9 * v->flops / v->seconds, 1e-9 * v->bytes / v->seconds);
}

static void tell_case(struct check *c, const struct check_case *one)
{
    c->passed += c->now.passed;
    c->failed += !c->now.passed;
    if (c->json)
        print_json_case(c, one);
    else if (c->bench)
        print_rates(c, one);
    if (!c->now.passed)
        print_failure(c, one);
}

static kiln_status run_case(struct check *c, const struct check_case *one)
{
    const struct check_params params = {
        .seed = c->seed, .repeat = c->bench ? 5 : 0, .report = report, .user = c};
    struct skipped skipped = {.name = one->name};
    kiln_status status;

    c->now = (struct verdict){.passed = true, .timed = -1};
    status = check_replay(c->dev, one, &params);
    if (status == KILN_ERROR_UNSUPPORTED) {
        memcpy(skipped.why, last_line, sizeof skipped.why);
        return kiln_vec_push(&c->skipped, skipped) ? KILN_OK : KILN_ERROR_MEMORY;
    }
    if (status) {
        c->now.passed = false;
        snprintf(c->now.what, sizeof c->now.what, "%s", last_line);
    }
    tell_case(c, one);
    return status == KILN_ERROR_DEVICE ? status : KILN_OK;
}

static kiln_status run_cases(struct check *c)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < c->cases.count && !status; i++)
        status = run_case(c, &c->cases.data[i]);
    return status;
}

/* Variants that no case reached ---------------------------------------------------------------------------- */

static bool is_reached(const struct check *c, const kiln_kernel *kernel, const kiln_variant *variant)
{
    for (int i = 0; i < c->tally.count; i++)
        if (c->tally.data[i].kernel == kernel && c->tally.data[i].variant == variant)
            return true;
    return false;
}

static void list_unreached(struct check *c, void (*each)(struct check *c, const char *text))
{
    const bool cpu = kiln_device_get_info(c->dev)->backend == KILN_BACKEND_CPU;

    for (int i = 0; kiln_kernels[i]; i++) {
        const kiln_variant *const *v = cpu ? kiln_kernels[i]->cpu : kiln_kernels[i]->gpu;
        for (; v && *v; v++) {
            char text[120];
            snprintf(text, sizeof text, "%s %s", kiln_kernels[i]->name, (*v)->name);
            if (!is_reached(c, kiln_kernels[i], *v))
                each(c, text);
        }
    }
}

static void print_unreached(struct check *c, const char *text)
{
    (void)c;
    printf("not reached: %s\n", text);
}

static void json_unreached(struct check *c, const char *text)
{
    json_text(&c->out, NULL, text);
}

static bool is_whole(const struct check *c)
{
    return !c->filter.op && !c->filter.type && !c->filter.name;
}

/* Reports -------------------------------------------------------------------------------------------------- */

static void print_tallies(const struct check *c)
{
    for (int i = 0; i < c->tally.count; i++) {
        const struct tally *t = &c->tally.data[i];
        printf("%-22s %-20s %5d runs", t->kernel->name, t->variant->name, t->passed + t->failed);
        if (t->failed)
            printf(", %d FAILED", t->failed);
        printf("  worst error %.1e", t->worst);
        if (c->bench && t->gflops > 0)
            printf("  %8.2f GFLOP/s", t->gflops);
        if (c->bench)
            printf("  %8.2f GB/s", t->gbytes);
        putchar('\n');
    }
}

static kiln_status run_text(struct check *c)
{
    kiln_status status;

    printf("%s, seed %" PRIu64 "\n", kiln_device_get_info(c->dev)->title, c->seed);
    status = run_cases(c);
    print_tallies(c);
    if (is_whole(c))
        list_unreached(c, print_unreached);
    for (int i = 0; i < c->skipped.count; i++)
        printf("does not apply: %s: %s\n", c->skipped.data[i].name, c->skipped.data[i].why);
    printf("%d passed, %d failed, %d do not apply\n", c->passed, c->failed, c->skipped.count);
    return status;
}

static void json_device(struct json *j, const kiln_device_info *info)
{
    json_open(j, "device", '{');
    json_text(j, "name", info->name);
    json_text(j, "title", info->title);
    json_text(j, "driver", info->driver);
    json_close(j);
}

static void json_skipped(struct json *j, const struct skipped *skipped)
{
    json_open(j, NULL, '{');
    json_text(j, "name", skipped->name);
    json_text(j, "why", skipped->why);
    json_close(j);
}

static kiln_status run_json(struct check *c)
{
    struct json *j = &c->out;
    kiln_status status;

    json_open(j, NULL, '{');
    json_device(j, kiln_device_get_info(c->dev));
    json_number(j, "seed", (double)c->seed);
    json_open(j, "cases", '[');
    status = run_cases(c);
    json_close(j);
    json_open(j, "not_applicable", '[');
    for (int i = 0; i < c->skipped.count; i++)
        json_skipped(j, &c->skipped.data[i]);
    json_close(j);
    json_open(j, "not_reached", '[');
    if (is_whole(c))
        list_unreached(c, json_unreached);
    json_close(j);
    json_close(j);
    return status;
}

/* The command ---------------------------------------------------------------------------------------------- */

static kiln_status run(struct check *c)
{
    kiln_status status = kiln_device_open(&c->dev, &(kiln_device_params){.name = c->device});

    if (status)
        return status;
    kiln_log_to(keep_line, NULL, KILN_LOG_WARNING);
    status = c->json ? run_json(c) : run_text(c);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    if (status)
        fprintf(stderr, "kiln: %s\n", last_line);
    kiln_device_close(&c->dev);
    return status;
}

int cmd_check(int argc, char **argv)
{
    struct check c = {0};
    const struct args args = {
        .command = "check",
        .about =
            "Run every operator's cases on a device, over awkward shapes: each kernel that they reach, by each of\n"
            "its variants, against what it means in float64. Ends with 1 if one is off.",
        .options =
            (const struct args_option[]){
                {"device", "NAME", ARGS_TEXT, &c.device, "as 'kiln devices' lists them"},
                {"op", "NAME", ARGS_TEXT, &c.filter.op, "only this operator, as softmax; * and ? match"},
                {"type", "NAME", ARGS_TEXT, &c.filter.type,
                 "only this type of element, as f32; * and ? match"},
                {"case", "NAME", ARGS_TEXT, &c.filter.name,
                 "only this case, as --json names it; * and ? match"},
                {"seed", "N", ARGS_SEED, &c.seed, "of the operands' values (default: 0)"},
                {"bench", NULL, ARGS_FLAG, &c.bench, "time each case too"},
                {"json", NULL, ARGS_FLAG, &c.json, "print one JSON document"},
                {0}},
    };
    kiln_status status = KILN_ERROR_MEMORY;
    int code;

    if (!args_parse(&args, argc, argv, &code))
        return code;
    if (check_list(&c.filter, &c.cases)) {
        if (!c.cases.count)
            return args_wrong("check", "no case has this --op, --type and --case");
        status = run(&c);
    }
    kiln_vec_finish(&c.cases);
    kiln_vec_finish(&c.tally);
    kiln_vec_finish(&c.skipped);
    return status || c.failed ? ARGS_FAILED : ARGS_DONE;
}
