/*
 * cmd_check.c - kiln check: every operator's cases on a device, against what they mean.
 *
 * A case is compiled as a program would be, and each dispatch of the plan is run by every variant that the device
 * accepts and compared with the reference in float64 (check/case.h, check/replay.h). A failure prints the command
 * that repeats its case.
 */
#include <inttypes.h>
#include <stdio.h>

#include "args.h"
#include "check/diff.h"
#include "check/report.h"
#include "check/run.h"
#include "check_model.h"
#include "commands.h"

struct check {
    struct check_options options;
    struct check_report report;
    bool json;
    const char *junit, *html; /* files; NULL: none */
};

static void print_failure(const struct check_report *r, const struct check_entry *e)
{
    char command[400];

    check_repeat_command(r, e, command, sizeof command);
    fprintf(stderr, "FAILED  %s (%s): %s\n        repeat: %s\n", e->one->name, e->one->why, e->what, command);
}

static void print_rates(const struct check_entry *e)
{
    if (e->seconds > 0)
        printf("%-50s %10.3f ms %8.2f GFLOP/s %8.2f GB/s\n", e->one->name, 1e3 * e->seconds,
               1e-9 * e->flops / e->seconds, 1e-9 * e->bytes / e->seconds);
}

static void tell(void *user, const struct check_entry *e)
{
    const struct check *c = user;

    if (e->status == CHECK_FAILED)
        print_failure(&c->report, e);
    if (c->options.bench && !c->json)
        print_rates(e);
}

static kiln_status write_reports(const struct check *c)
{
    kiln_status status = KILN_OK;

    if (c->json)
        check_print_json(&c->report, &(struct json){0});
    else
        check_print_text(&c->report, c->options.bench);
    if (c->junit)
        status = check_write_junit(&c->report, c->junit);
    if (c->html && !status)
        status = check_write_html(&c->report, c->html);
    return status;
}

static int run(struct check *c)
{
    const kiln_status status = check_run(&c->report, &c->options);
    int code = status || c->report.failed ? ARGS_FAILED : ARGS_DONE;

    if (c->report.entry.count && write_reports(c))
        code = ARGS_FAILED;
    check_report_finish(&c->report);
    return code;
}

static bool has_cases(const struct check_filter *filter)
{
    struct check_cases cases = {0};
    const bool some = check_list(filter, &cases) && cases.count > 0;

    kiln_vec_finish(&cases);
    return some;
}

/* "2/4" */
static bool parse_part(const char *text, struct check_filter *filter)
{
    char rest;

    return !text || (sscanf(text, "%d/%d%c", &filter->part, &filter->parts, &rest) == 2 &&
                     filter->part >= 1 && filter->part <= filter->parts);
}

static int diff(const struct args_list *files)
{
    bool same;

    if (files->count != 2)
        return args_wrong("check", "--diff wants two reports, A.json B.json");
    return check_diff(files->item[0], files->item[1], &same) || !same ? ARGS_FAILED : ARGS_DONE;
}

int cmd_check(int argc, char **argv)
{
    struct check c = {.options = {.tell = tell, .user = &c}};
    struct check_options *o = &c.options;
    struct args_list files = {0};
    struct check_model_options model = {0};
    const char *part = NULL;
    bool compare = false;
    const struct args args = {
        .command = "check",
        .operands = "[A.json B.json]",
        .most = 2,
        .about =
            "Run every operator's cases on a device, over awkward shapes: each kernel that they reach, by each of\n"
            "its variants, against what it means in float64. Ends with 1 if one is off.",
        .options =
            (const struct args_option[]){
                {"device", "NAME", ARGS_TEXT, &o->device, "as 'kiln devices' lists them"},
                {"op", "NAME", ARGS_TEXT, &o->filter.op, "only this operator, as softmax; * and ? match"},
                {"type", "NAME", ARGS_TEXT, &o->filter.type, "only this element type, as f32; * and ? match"},
                {"case", "NAME", ARGS_TEXT, &o->filter.name, "only this case, by its name; * and ? match"},
                {"seed", "N", ARGS_SEED, &o->filter.seed,
                 "of the operands' values; above 0 random shapes, too (default: 0)"},
                {"stratified", "SHARE", ARGS_NUMBER, &o->filter.share,
                 "of each operator's and type's cases, as 0.1"},
                {"part", "I/N", ARGS_TEXT, &part,
                 "every N-th case from the I-th on, to run parts side by side"},
                {"probe", NULL, ARGS_FLAG, &o->probe,
                 "what is true of the device as a whole, too; a run of all cases does"},
                {"bench", NULL, ARGS_FLAG, &o->bench, "time each case too"},
                {"json", NULL, ARGS_FLAG, &c.json, "print one JSON document"},
                {"junit", "FILE", ARGS_TEXT, &c.junit, "write a report for build servers"},
                {"html", "FILE", ARGS_TEXT, &c.html, "write a page"},
                {"model", "M.onnx", ARGS_TEXT, &model.model,
                 "instead: every dispatch of a model's plan, to name the first that is off"},
                {"input", "NAME=FILE", ARGS_LIST, &model.input,
                 "of the model: a .npy or .pb file (default: random)"},
                {"size", "NAME=N", ARGS_LIST, &model.size,
                 "of the model: what a symbolic size is (default: 1)"},
                {"diff", NULL, ARGS_FLAG, &compare, "run nothing: compare the reports A.json and B.json"},
                {0}},
        .given = &files,
    };
    int code;

    if (!args_parse(&args, argc, argv, &code))
        return code;
    if (compare)
        return diff(&files);
    if (model.model) {
        model.device = o->device;
        model.seed = o->filter.seed;
        model.json = c.json;
        return check_model(&model);
    }
    if (files.count)
        return args_wrong("check", "what is \"%s\"? reports are for --diff", files.item[0]);
    if (!parse_part(part, &o->filter))
        return args_wrong("check", "--part \"%s\": wanted I/N, as 1/2", part);
    o->probe |= check_is_whole(&o->filter);
    if (!has_cases(&o->filter))
        return args_wrong("check", "no case has this --op, --type and --case");
    return run(&c);
}
