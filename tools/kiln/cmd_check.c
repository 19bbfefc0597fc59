/*
 * cmd_check.c - kiln check: every kernel on a device against its meaning.
 *
 * Each case is compiled as a program would be, and each dispatch of the plan is run by every variant that the device accepts
 * and compared with the reference in float64 (check_replay.h). A failure prints the command that repeats it.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "base/text.h"
#include "base/vec.h"
#include "check_replay.h"
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

struct check {
    kiln_device *dev;
    const char *device, *op;
    uint64_t seed;
    bool bench, json;
    struct json out;
    KILN_VEC(struct tally) tally;
    int passed, failed, dispatches; /* dispatches of the present case */
};

/* Tallies --------------------------------------------------------------------------------------------------- */

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

    c->passed += o->passed;
    c->failed += !o->passed;
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

/* Reporting ------------------------------------------------------------------------------------------------- */

static void name_case(const struct check_case *one, char *text, size_t bytes)
{
    int length = snprintf(text, bytes, "%s", one->op), last = 9;

    while (last > 0 && one->n[last] == 0)
        last--;
    for (int i = 0; i <= last && length < (int)bytes - 24; i++)
        length += snprintf(text + length, bytes - (size_t)length, "%c%" PRId64, i ? 'x' : ' ', one->n[i]);
}

static void print_failure(const struct check *c, const char *name, const struct check_case *one,
                          const struct check_outcome *o)
{
    fprintf(stderr, "FAILED  %s (%s), kernel %s, variant %s: %s\n", name, one->why, o->kernel->name,
            o->variant->name, o->what);
    fprintf(stderr, "        repeat: kiln check --device %s --op %s --seed %" PRIu64 "\n",
            kiln_device_get_info(c->dev)->name, one->op, c->seed);
}

static void print_json_case(struct check *c, const char *name, const struct check_case *one,
                            const struct check_outcome *o)
{
    struct json *j = &c->out;
    char full[200];

    snprintf(full, sizeof full, "%s #%d %s %s", name, c->dispatches, o->kernel->name, o->variant->name);
    json_open(j, NULL, '{');
    json_text(j, "name", full);
    json_text(j, "op", one->op);
    json_text(j, "kernel", o->kernel->name);
    json_text(j, "variant", o->variant->name);
    json_text(j, "status", o->passed ? "pass" : "fail");
    json_number(j, "error", o->error);
    json_number(j, "bound", o->bound);
    if (!o->passed)
        json_text(j, "what", o->what);
    if (o->seconds > 0) {
        json_number(j, "seconds", o->seconds);
        json_number(j, "flops", o->flops);
        json_number(j, "bytes", o->bytes);
    }
    json_close(j);
}

static void report(void *user, const struct check_case *one, const struct check_outcome *o)
{
    struct check *c = user;
    char name[120];

    c->dispatches++;
    name_case(one, name, sizeof name);
    count_outcome(c, o);
    if (c->json)
        print_json_case(c, name, one, o);
    if (!o->passed)
        print_failure(c, name, one, o);
}

static void print_tallies(const struct check *c)
{
    for (int i = 0; i < c->tally.count; i++) {
        const struct tally *t = &c->tally.data[i];
        printf("%-22s %-20s %5d passed", t->kernel->name, t->variant->name, t->passed);
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

/* The variants in the kernels' lists for this device that no dispatch has reached, through `each`. */
static int list_unreached(struct check *c, void (*each)(struct check *c, const char *text))
{
    const bool cpu = kiln_device_get_info(c->dev)->backend == KILN_BACKEND_CPU;
    const int known = c->tally.count;
    int count = 0;

    for (int i = 0; kiln_kernels[i]; i++) {
        const kiln_variant *const *v = cpu ? kiln_kernels[i]->cpu : kiln_kernels[i]->gpu;
        for (; v && *v; v++) {
            struct kiln_text text = {0};
            tally_of(c, kiln_kernels[i], *v);
            if (c->tally.count == known)
                continue;
            c->tally.count = known;
            kiln_text_add(&text, "%s %s", kiln_kernels[i]->name, (*v)->name);
            each(c, kiln_text_get(&text));
            kiln_text_finish(&text);
            count++;
        }
    }
    return count;
}

static void print_unreached(struct check *c, const char *text)
{
    (void)c;
    printf("not taken here: %s\n", text);
}

static void json_unreached(struct check *c, const char *text)
{
    json_text(&c->out, NULL, text);
}

/* The command ----------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct check *c, const struct check_case *one)
{
    return !c->op || kiln_text_match(c->op, one->op);
}

static kiln_status run(struct check *c)
{
    const struct check_params params = {
        .seed = c->seed, .repeat = c->bench ? 5 : 0, .report = report, .user = c};
    kiln_status status = KILN_OK;

    for (const struct check_case *one = check_cases; one->build && !status; one++) {
        c->dispatches = 0;
        if (is_wanted(c, one))
            status = check_replay(c->dev, one, &params);
    }
    return status;
}

static kiln_status run_json(struct check *c)
{
    const kiln_device_info *info = kiln_device_get_info(c->dev);
    kiln_status status;

    json_open(&c->out, NULL, '{');
    json_open(&c->out, "device", '{');
    json_text(&c->out, "name", info->name);
    json_text(&c->out, "title", info->title);
    json_text(&c->out, "driver", info->driver);
    json_close(&c->out);
    json_number(&c->out, "seed", (double)c->seed);
    json_open(&c->out, "cases", '[');
    status = run(c);
    json_close(&c->out);
    json_open(&c->out, "not_taken", '[');
    if (!c->op)
        list_unreached(c, json_unreached);
    json_close(&c->out);
    json_close(&c->out);
    return status;
}

static kiln_status run_text(struct check *c)
{
    kiln_status status;

    printf("%s, seed %" PRIu64 "\n", kiln_device_get_info(c->dev)->title, c->seed);
    status = run(c);
    print_tallies(c);
    if (!c->op)
        list_unreached(c, print_unreached);
    printf("%d passed, %d failed\n", c->passed, c->failed);
    return status;
}

static bool has_op(const char *op)
{
    for (const struct check_case *one = check_cases; one->build; one++)
        if (!op || kiln_text_match(op, one->op))
            return true;
    return false;
}

int cmd_check(int argc, char **argv)
{
    struct check c = {0};
    const struct args args = {
        .command = "check",
        .about =
            "Run every kernel on a device, over awkward shapes, and compare with what it means in float64.\n"
            "Ends with 1 if one is off.",
        .options =
            (const struct args_option[]){
                {"device", "NAME", ARGS_TEXT, &c.device, "as 'kiln devices' lists them"},
                {"op", "NAME", ARGS_TEXT, &c.op, "only this family, as matmul, conv, reduce; * and ? match"},
                {"seed", "N", ARGS_SEED, &c.seed, "of the operands' values (default: 0)"},
                {"bench", NULL, ARGS_FLAG, &c.bench, "time each kernel too: the best rates over its cases"},
                {"json", NULL, ARGS_FLAG, &c.json, "print one JSON document: a case a dispatch and variant"},
                {0}},
    };
    kiln_status status;
    int code;

    if (!args_parse(&args, argc, argv, &code))
        return code;
    if (!has_op(c.op))
        return args_wrong("check", "there are no cases for --op \"%s\"", c.op);
    if (!(status = kiln_device_open(&c.dev, &(kiln_device_params){.name = c.device})))
        status = c.json ? run_json(&c) : run_text(&c);
    kiln_device_close(&c.dev);
    kiln_vec_finish(&c.tally);
    return status || c.failed ? ARGS_FAILED : ARGS_DONE;
}
