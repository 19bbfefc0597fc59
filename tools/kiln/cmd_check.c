/*
 * cmd_check.c - kiln check: every operator's cases on a device, against what they mean.
 *
 * A case is compiled as a program would be, and each dispatch of the plan is run by every variant that the device
 * accepts and compared with the reference in float64 (check/case.h, check/replay.h). A failure prints the command
 * that repeats its case.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "check/diff.h"
#include "check/export.h"
#include "check/operators.h"
#include "check/report.h"
#include "check/run.h"
#include "check_model.h"
#include "check_onnx.h"
#include "commands.h"

enum { USUAL_LIMIT = 600 };

struct check {
    struct check_options options;
    struct kiln_map names; /* of --cases */
    struct check_report report;
    bool json;
    const char *junit, *html; /* files; NULL: none */
    const char *part;         /* of the cases, as "1/2"; NULL: all */
    const char *listed;       /* a file of names of cases; NULL: none */
    /* instead of running: NULL and false where not asked for */
    const char *models; /* a folder to write */
    const char *page;
    struct check_model_options model;
    bool compare, onnx;
    double limit;           /* seconds, of one of ONNX's cases or of a model; 0: the usual */
    struct args_list files; /* reports or folders */
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

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* A run that is interrupted reports what it has done, and has failed. */
static int run(struct check *c)
{
    c->options.interrupted = &interrupted;
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    const kiln_status status = check_run(&c->report, &c->options);
    int code = status || c->report.failed || interrupted ? ARGS_FAILED : ARGS_DONE;

    if (interrupted)
        fprintf(stderr, "kiln: interrupted: %d of %d cases were run\n", c->report.entry.count,
                c->report.cases.count);
    if ((c->report.entry.count || (interrupted && !status)) && write_reports(c))
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

/* A name a line. */
static kiln_status read_names(struct kiln_map *names, const char *path)
{
    struct kiln_file file = {0};
    struct kiln_text text = {0};
    kiln_status status = kiln_file_map(&file, path);

    if (!status)
        kiln_text_add(&text, "%.*s", (int)file.size, (const char *)file.data);
    for (char *line = text.data ? strtok(text.data, "\n") : NULL; line && !status; line = strtok(NULL, "\n"))
        if (!kiln_map_put(names, line, 0))
            status = kiln_fail(KILN_ERROR_MEMORY, "check: no memory for the names of %s", path);
    kiln_text_finish(&text);
    kiln_file_unmap(&file);
    return status;
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

/* Without reports the page is held to the tables in the code. */
static int operators(const char *page, const struct args_list *files)
{
    bool same = true;
    const kiln_status status = files->count ? check_write_operators(page, files->item, files->count)
                                            : check_verify_operators(page, &same);

    return status || !same ? ARGS_FAILED : ARGS_DONE;
}

/* The operators' cases that the filter lets through. */
static int check_cases(struct check *c)
{
    struct check_options *o = &c->options;
    const struct check_filter *f = &o->filter;

    o->probe |= check_is_whole(f);
    if (has_cases(f) && c->models)
        return check_export(f, c->models) ? ARGS_FAILED : ARGS_DONE;
    if (has_cases(f))
        return run(c);
    return args_wrong("check", "no case is of --op \"%s\", --type \"%s\" and --case \"%s\"%s",
                      f->op ? f->op : "*", f->type ? f->type : "*", f->name ? f->name : "*",
                      f->names ? " and in --cases" : "");
}

static int check_onnx_cases(const struct check *c)
{
    return check_onnx(&(struct check_onnx_options){.folders = &c->files,
                                                   .device = c->options.device,
                                                   .filter = &c->options.filter,
                                                   .limit = c->limit > 0 ? c->limit : USUAL_LIMIT,
                                                   .fail_fast = c->options.fail_fast,
                                                   .json = c->json,
                                                   .junit = c->junit});
}

static int check_filtered(struct check *c)
{
    struct check_filter *f = &c->options.filter;
    int code;

    if (!parse_part(c->part, f))
        return args_wrong("check", "--part \"%s\": wanted I/N, as 1/2", c->part);
    if (!(f->share >= 0 && f->share <= 1))
        return args_wrong("check", "--stratified %g: wanted a share above 0, up to 1", f->share);
    if (c->listed && read_names(&c->names, c->listed))
        return ARGS_FAILED;
    if (c->listed)
        f->names = &c->names;
    code = c->onnx ? check_onnx_cases(c) : check_cases(c);
    kiln_map_finish(&c->names);
    return code;
}

static int check_dispatches(struct check *c)
{
    c->model.device = c->options.device;
    c->model.seed = c->options.filter.seed;
    c->model.json = c->json;
    c->model.limit = c->limit > 0 ? c->limit : USUAL_LIMIT;
    return check_model(&c->model);
}

/* What the command does instead of running its own cases, the first that is asked for, and the options that mean something then. */
static const struct {
    const char *option, *with;
} ways[] = {{"diff", "diff"},
            {"operators", "operators"},
            {"model", "model device seed input size most-steps most-size limit json"},
            {"onnx", "onnx device case cases part limit fail-fast json junit"},
            {"export", "export op type case cases seed stratified part"},
            {NULL, "device op type case cases seed stratified part probe fail-fast bench json junit html"}};

/* ARGS_WRONG, and a line, where an option would mean nothing. */
static int check_options(const struct args *args)
{
    int i = 0, its = 0;

    while (ways[i].option && !args_is_given(args, ways[i].option))
        i++;
    const char *other = args_given_beyond(args, ways[i].with);
    if (!other)
        return ARGS_DONE;
    if (ways[i].option)
        return args_wrong("check", "--%s means nothing with --%s", other, ways[i].option);
    while (ways[its].option && !kiln_text_has_word(ways[its].with, other))
        its++;
    return args_wrong("check", "--%s means nothing without --%s", other, ways[its].option);
}

/* What was asked for, in the order of `ways`. */
static int do_asked(struct check *c)
{
    if (c->compare)
        return diff(&c->files);
    if (c->page)
        return operators(c->page, &c->files);
    if (c->model.model)
        return check_dispatches(c);
    if (c->onnx && !c->files.count)
        return args_wrong("check", "--onnx wants folders of cases");
    if (c->files.count && !c->onnx)
        return args_wrong("check",
                          "what is \"%s\"? reports are for --diff and --operators, folders for --onnx",
                          c->files.item[0]);
    return check_filtered(c);
}

int cmd_check(int argc, char **argv)
{
    struct check c = {.options = {.tell = tell, .user = &c}};
    struct check_options *o = &c.options;
    const struct args args = {
        .command = "check",
        .operands = "[A.json B.json ... | DIR ...]",
        .most = ARGS_MOST,
        .about =
            "Run every operator's cases on a device, over awkward shapes: each kernel that they reach, by each of\n"
            "its variants, against what it means in float64. Ends with 1 if one is off.",
        .options =
            (const struct args_option[]){
                {"device", "NAME", ARGS_TEXT, &o->device, "as 'kiln devices' lists them"},
                {"op", "NAME", ARGS_TEXT, &o->filter.op, "only this operator, as softmax; * and ? match"},
                {"type", "NAME", ARGS_TEXT, &o->filter.type, "only this element type, as f32; * and ? match"},
                {"case", "NAME", ARGS_TEXT, &o->filter.name, "only this case, by its name; * and ? match"},
                {"cases", "FILE", ARGS_TEXT, &c.listed, "only the cases whose names are its lines"},
                {"seed", "N", ARGS_SEED, &o->filter.seed,
                 "of the operands' values; above 0 random shapes, too (default: 0)"},
                {"stratified", "SHARE", ARGS_NUMBER, &o->filter.share,
                 "of each operator's and type's cases, as 0.1"},
                {"part", "I/N", ARGS_TEXT, &c.part,
                 "every N-th case from the I-th on, to run parts side by side"},
                {"probe", NULL, ARGS_FLAG, &o->probe,
                 "what is true of the device as a whole, too; a run of all cases does"},
                {"fail-fast", NULL, ARGS_FLAG, &o->fail_fast, "end with the first case that fails"},
                {"bench", NULL, ARGS_FLAG, &o->bench, "time each case too"},
                {"json", NULL, ARGS_FLAG, &c.json, "print one JSON document"},
                {"junit", "FILE", ARGS_TEXT, &c.junit, "write a report for build servers"},
                {"html", "FILE", ARGS_TEXT, &c.html, "write a page"},
                {"export", "DIR", ARGS_TEXT, &c.models,
                 "instead: write the cases as ONNX models with operands and results"},
                {"model", "M.onnx", ARGS_TEXT, &c.model.model,
                 "instead: every dispatch of a model's plan, to name the first that is off"},
                {"input", "NAME=FILE", ARGS_LIST, &c.model.input,
                 "of the model: a .npy or .pb file (default: random)"},
                {"size", "NAME=N", ARGS_LIST, &c.model.size,
                 "of the model: what a symbolic size is (default: 1)"},
                {"most-steps", "N", ARGS_COUNT, &c.model.most_steps,
                 "of the model: how often a loop that data ends goes round at the most"},
                {"most-size", "N", ARGS_COUNT, &c.model.most_size,
                 "of the model: how large a size that data gives is at the most"},
                {"onnx", NULL, ARGS_FLAG, &c.onnx,
                 "instead: ONNX's backend cases, all that are in the folders DIR"},
                {"limit", "SECONDS", ARGS_NUMBER, &c.limit,
                 "of ONNX's: one that takes longer has failed; of a model: what comes later is not compared (default: 600)"},
                {"diff", NULL, ARGS_FLAG, &c.compare, "instead: compare the reports A.json and B.json"},
                {"operators", "FILE", ARGS_TEXT, &c.page,
                 "instead: write the page of operators from reports; without any, hold it to the code"},
                {0}},
        .given = &c.files,
    };
    int code;

    if (!args_parse(&args, argc, argv, &code) || (code = check_options(&args)))
        return code;
    return do_asked(&c);
}
