/* cmd_bench.c - kiln bench: how long this device takes, row by row, and what share of its own peak that is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "arrays.h"
#include "base/log.h"
#include "bench/measure.h"
#include "bench/print.h"
#include "bench/products.h"
#include "bench/results.h"
#include "commands.h"

static bool is_wanted(const struct bench_row *row, const struct args_list *names)
{
    bool wanted = names->count == 0 && !row->large;
    for (int i = 0; i < names->count; i++)
        wanted |=
            row->large ? strcmp(row->name, names->item[i]) == 0 : strstr(row->name, names->item[i]) != NULL;
    return wanted;
}

static bool is_peak(const struct bench_row *row)
{
    return row->kind == BENCH_PEAK_FMA || row->kind == BENCH_PEAK_BANDWIDTH;
}

/* How many rows are wanted; *peaks: whether one of them is to be told as a share of the device's peak. */
static int count_wanted(const struct args_list *names, bool *peaks)
{
    const struct bench_row *row;
    int count = 0;

    for (int i = 0; (row = bench_row_at(i)); i++) {
        count += is_wanted(row, names);
        *peaks |= is_wanted(row, names) && bench_computes(row);
    }
    return count;
}

static void list_rows(const struct args_list *names)
{
    const struct bench_row *row;
    for (int i = 0; (row = bench_row_at(i)); i++)
        if (names->count == 0 || is_wanted(row, names))
            puts(row->name);
}

/* What measures the device comes first, and is measured for the others even where it is not wanted itself. */
static kiln_status run(struct bench *b, const struct args_list *names, const struct bench_results *others,
                       bool peaks, bench_print *print)
{
    const struct bench_row *row;
    kiln_status status = KILN_OK;

    for (int i = 0; (row = bench_row_at(i)) && !status; i++) {
        const bool wanted = is_wanted(row, names);
        struct bench_result result;
        if ((!wanted && !(peaks && is_peak(row))) || !bench_runs(b, row))
            continue;
        if (!(status = bench_measure(b, row, &result)) && wanted)
            print(row, &result, bench_results_find(others, row->name));
    }
    return status;
}

/* The products that the plans of the wanted rows contain. */
static kiln_status list_products(const struct bench *b, const struct args_list *names, bool json)
{
    struct bench_products known = {.json = json};
    const struct bench_row *row;
    kiln_status status = KILN_OK;

    for (int i = 0; (row = bench_row_at(i)) && !status; i++)
        if (is_wanted(row, names) && bench_runs(b, row) && row->kind != BENCH_REPLAY)
            status = bench_products_print(b, row, &known);
    free(known.shape);
    return status;
}

/* Rows of the shapes that were given, instead of the tables'. */
static kiln_status run_products(struct bench *b, const struct args_list *shapes,
                                const struct bench_results *others, bench_print *print)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < shapes->count && !status; i++) {
        struct bench_row row;
        struct bench_result result;
        if (!bench_products_row(shapes->item[i], &row))
            status =
                kiln_fail(KILN_ERROR_ARGUMENT,
                          "--product: \"%s\" is no shape, as 64x256x1024 or 64x64x32x8/nt", shapes->item[i]);
        else if (!(status = bench_measure(b, &row, &result)))
            print(&row, &result, bench_results_find(others, row.name));
    }
    return status;
}

struct options {
    const char *device, *other, *precision;
    struct args_list product;
    int64_t repeat;
    bool processor, profile, json, list, diff, products, no_peaks, tuned, untuned, recompute;
};

static kiln_status measure(const struct options *o, const struct args_list *names, bool peaks)
{
    struct bench b = {
        .repeat = o->repeat,
        .processor = o->processor,
        .profile = o->profile,
        .recompute = o->recompute,
        .tuned = o->tuned     ? KILN_TUNED_ALWAYS
                 : o->untuned ? KILN_TUNED_NEVER
                              : KILN_TUNED_USUAL,
    };
    struct bench_results others = {0};
    bench_print *const print = o->json ? bench_print_json : bench_print_text;
    kiln_status status = o->other ? bench_results_read(&others, o->other) : KILN_OK;

    if (!status)
        status = arrays_precision("bench", o->precision, &b.precision);
    if (!status)
        status = kiln_device_open(&b.dev, &(kiln_device_params){.name = o->device});
    if (!status && o->products)
        status = list_products(&b, names, o->json);
    else if (!status && o->product.count)
        status = run_products(&b, &o->product, &others, print);
    else if (!status)
        status = run(&b, names, &others, peaks && !o->no_peaks, print);
    kiln_device_close(&b.dev);
    bench_results_free(&others);
    return status;
}

int cmd_bench(int argc, char **argv)
{
    struct options o = {.repeat = 7};
    struct args_list names = {0};
    bool peaks = false;
    const struct args args = {
        .command = "bench",
        .operands = "[ROW...]",
        .most = ARGS_MOST,
        .given = &names,
        .about =
            "Time this device: the rows whose names contain one of the given texts, or all. The medians of\n"
            "seven samples count; where others use the machine too, the processor time of all threads\n"
            "says more. What a row reaches is told as a share of the device's own peak, by the best\n"
            "samples of both: arithmetic of a kernel of multiplications and additions alone, bytes of\n"
            "arrays that no cache holds. Training ResNet-50 is for GPUs: it runs where its whole name is given.",
        .options =
            (const struct args_option[]){
                {"device", "NAME", ARGS_TEXT, &o.device, "as 'kiln devices' lists them"},
                {"precision", "NAME", ARGS_TEXT, &o.precision,
                 "as 'kiln train' takes it: f32, f16, where steps of training scale their loss, or f64"},
                {"recompute", NULL, ARGS_FLAG, &o.recompute,
                 "as 'kiln train' takes it: less memory in training, for time"},
                {"repeat", "N", ARGS_COUNT, &o.repeat, "samples a row (default: 7)"},
                {"compare", "FILE", ARGS_TEXT, &o.other,
                 "show ratios to rows that --json, or tools/peers/torch.py --json, wrote"},
                {"diff", NULL, ARGS_FLAG, &o.diff,
                 "measure nothing: the operands are two files that --json wrote, to be compared"},
                {"processor", NULL, ARGS_FLAG, &o.processor,
                 "time by the processor's time of all threads: on the CPU, where others use it too"},
                {"profile", NULL, ARGS_FLAG, &o.profile,
                 "print what each command of a row took, before the row"},
                {"tuned", NULL, ARGS_FLAG, &o.tuned, "rows that train use what 'kiln tune' found, too"},
                {"untuned", NULL, ARGS_FLAG, &o.untuned, "no row does"},
                {"no-peaks", NULL, ARGS_FLAG, &o.no_peaks,
                 "do not measure the device itself first, but tell the memory that it takes"},
                {"products", NULL, ARGS_FLAG, &o.products,
                 "measure nothing: print each matrix product of the rows' plans once"},
                {"product", "MxNxK", ARGS_LIST, &o.product,
                 "time a product of that shape instead, or MxNxKxBATCH/nt where b lies transposed"},
                {"json", NULL, ARGS_FLAG, &o.json, "print one JSON object a row"},
                {"list", NULL, ARGS_FLAG, &o.list, "print the rows' names"},
                {0}},
    };
    int code;

    if (!args_parse(&args, argc, argv, &code))
        return code;
    if (o.profile && o.json)
        return args_wrong("bench", "--profile is for people, and --json's lines are not: one of them");
    if (o.tuned && o.untuned)
        return args_wrong("bench", "--tuned and --untuned exclude each other");
    if (o.diff && names.count != 2)
        return args_wrong("bench", "--diff takes two files, not %d", names.count);
    if (o.diff)
        return bench_results_diff(names.item[0], names.item[1], o.json) ? ARGS_FAILED : ARGS_DONE;
    if (count_wanted(&names, &peaks) == 0)
        return args_wrong("bench", "no row's name contains \"%s\"; --list prints them", names.item[0]);
    if (o.list)
        list_rows(&names);
    else if (measure(&o, &names, peaks))
        return ARGS_FAILED;
    return ARGS_DONE;
}
