/* cmd_run.c - kiln run: an ONNX model on pictures or on arrays. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "commands.h"
#include "run.h"

kiln_status run_wrong(const char *format, ...)
{
    va_list list;
    fprintf(stderr, "kiln run: ");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    return KILN_ERROR_ARGUMENT;
}

/* Running --------------------------------------------------------------------------------------------------- */

static kiln_status read_result(struct run *r, int i)
{
    const kiln_tensor t = kiln_graph_output(r->g, i);
    return arrays_result(r->program, t, kiln_tensor_type(r->g, t), &r->result[i]);
}

static kiln_status run_once(struct run *r, double *seconds)
{
    const double start = kiln_seconds();
    kiln_status status = kiln_program_run(r->program);
    if (!status)
        status = kiln_program_wait(r->program);
    *seconds = kiln_seconds() - start;
    return status;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static kiln_status run_repeatedly(struct run *r)
{
    const size_t count = (size_t)r->o->repeat;
    kiln_status status = run_once(r, &r->first);
    double *seconds = calloc(count + 1, sizeof *seconds);
    if (!seconds)
        return KILN_ERROR_MEMORY;
    for (size_t i = 0; !status && i < count; i++)
        status = run_once(r, &seconds[i]);
    r->last = count ? seconds[count - 1] : r->first;
    qsort(seconds, count, sizeof *seconds, by_size);
    r->median = seconds[count / 2];
    r->least = seconds[0];
    free(seconds);
    return status;
}

static kiln_status load(struct run *r)
{
    const double start = kiln_seconds();
    r->arrays.most_steps = r->o->most_steps;
    r->arrays.most_size = r->o->most_size;
    const kiln_status status = arrays_load(&r->arrays, &r->o->size, r->o->model, &r->g, &r->weights);
    r->load = kiln_seconds() - start;
    return status;
}

/* All outputs, and whether there was room for what data sized. */
static kiln_status create_program(struct run *r, kiln_program_params params)
{
    const int count = kiln_graph_output_count(r->g);
    kiln_tensor *list = calloc((size_t)count + 2, sizeof *list);
    if (!list)
        return KILN_ERROR_MEMORY;
    for (int i = 0; i < count; i++)
        list[i] = kiln_graph_output(r->g, i);
    list[count] = kiln_onnx_beyond(r->g);
    params.run = list;
    const kiln_status status = kiln_program_create(&r->program, r->dev, r->g, r->weights, &params);
    free(list);
    return status;
}

static kiln_status check_sizes(struct run *r)
{
    const kiln_tensor t = kiln_onnx_beyond(r->g);
    int32_t size = 0;
    kiln_array array = {.data = &size, .bytes = sizeof size};
    const kiln_status status = t.id ? kiln_program_read(r->program, t, &array) : KILN_OK;
    return status || size == 0
               ? status
               : run_wrong("data gives a size of %d, for which there is no room: --most-size %d makes it",
                           size, size);
}

/* The program, and for a check another on the CPU. */
static kiln_status open_programs(struct run *r)
{
    kiln_program_params params = {.profile = r->o->profile != NULL};
    kiln_status status = arrays_precision("run", r->o->precision, &params.precision);
    if (!status)
        status = kiln_device_open(&r->dev, &(kiln_device_params){.name = r->o->device});
    if (!status)
        status = create_program(r, params);
    if (status || !r->o->check)
        return status;
    status = kiln_device_open(&r->cpu, &(kiln_device_params){.name = "cpu"});
    return status ? status
                  : kiln_program_create(&r->reference, r->cpu, r->g, r->weights,
                                        &(kiln_program_params){.precision = KILN_PRECISION_F64});
}

static kiln_status run_model(struct run *r)
{
    kiln_status status = arrays_read(&r->arrays, &r->o->input);
    if (!status)
        status = load(r);
    if (!status)
        status = open_programs(r);
    if (!status)
        status = run_write_inputs(r);
    if (!status)
        status = run_repeatedly(r);
    if (!status)
        status = check_sizes(r);
    r->results = status ? 0 : kiln_graph_output_count(r->g);
    r->result = calloc((size_t)r->results + 1, sizeof *r->result);
    for (int i = 0; !status && i < r->results; i++)
        status = r->result ? read_result(r, i) : KILN_ERROR_MEMORY;
    if (!status && r->reference)
        status = run_compare(r);
    return status;
}

static void close_run(struct run *r)
{
    for (int i = 0; r->result && i < r->results; i++)
        kiln_array_free(&r->result[i]);
    free(r->result);
    free(r->check);
    kiln_program_destroy(&r->program);
    kiln_program_destroy(&r->reference);
    kiln_weights_destroy(&r->weights);
    kiln_graph_destroy(&r->g);
    kiln_device_close(&r->dev);
    kiln_device_close(&r->cpu);
    arrays_finish(&r->arrays);
}

/* The command ----------------------------------------------------------------------------------------------- */

static const char about[] =
    "Run a model on pictures, which are made into what its input wants, and print the best classes; or on arrays,\n"
    "and print the outputs. Samples of a picture run from 0 to 1, less a mean, over a deviation. Presets set the\n"
    "options of pictures: imagenet, tensorflow, caffe, mnist, cifar10, yolo, fastestdet, ultraface.\n\n"
    "NAME=FILE.npy, .pb (ONNX's test cases), .npz (its entry NAME, or FILE.npz:ENTRY), or raw, NAME=FILE:TYPE:SIZES\n"
    "as in image=x.bin:u8:1,3,224,224, gives an input its value; without \"NAME=\" the first, or all that a .npz names.";

int cmd_run(int argc, char **argv)
{
    struct run_options o = {.top = 5, .seed = 1, .tolerance = 1e-4};
    struct args_list operands = {0};
    const struct args args = {
        .command = "run",
        .operands = "MODEL.onnx",
        .least = 1,
        .most = 1,
        .given = &operands,
        .about = about,
        .options =
            (const struct args_option[]){
                {"image", "FILE", ARGS_LIST, &o.image, "a PNG or JPEG picture; several make a batch"},
                PICTURE_OPTIONS(o.picture),
                {"layout", "NAME", ARGS_TEXT, &o.layout, "nchw or nhwc (default: as the input's shape says)"},
                {"labels", "FILE", ARGS_TEXT, &o.labels, "names of the classes, one a line"},
                {"top", "N", ARGS_COUNT, &o.top, "how many classes to print (default: 5)"},
                {"input", "NAME=FILE", ARGS_LIST, &o.input, "an array, as said above"},
                {"random", NULL, ARGS_FLAG, &o.random, "make up the inputs that nothing is given for"},
                {"seed", "N", ARGS_SEED, &o.seed, "of what is made up (default: 1)"},
                {"size", "NAME=N", ARGS_LIST, &o.size, "a size that the model leaves open"},
                {"most-steps", "N", ARGS_COUNT, &o.most_steps,
                 "how often a loop that data ends goes round at the most"},
                {"most-size", "N", ARGS_COUNT, &o.most_size,
                 "how large a size that data gives is at the most (default: as the model shows, or twice the largest input)"},
                {"output", "NAME=FILE", ARGS_LIST, &o.output,
                 "write an output to a .npy file, or all of them: FILE.npz"},
                {"precision", "NAME", ARGS_TEXT, &o.precision,
                 "f32, f16 (values in half the memory, where the device has halves) or f64, the CPU's"},
                {"repeat", "N", ARGS_COUNT, &o.repeat, "run N times more, and print how long that takes"},
                {"profile", "FILE", ARGS_TEXT, &o.profile,
                 "write the last run's commands and their times, for ui.perfetto.dev"},
                {"check", NULL, ARGS_FLAG, &o.check, "compare the outputs with the CPU's float64"},
                {"tolerance", "X", ARGS_NUMBER, &o.tolerance,
                 "of a check: of an output's largest value (default: 1e-4)"},
                {"device", "NAME", ARGS_TEXT, &o.device, "as 'kiln devices' lists them"},
                {"json", NULL, ARGS_FLAG, &o.json, "print one JSON document"},
                {0}},
    };
    int code;
    if (!args_parse(&args, argc, argv, &code))
        return code;
    o.model = operands.item[0];

    struct run r = {.o = &o, .arrays.command = "run"};
    kiln_status status = run_model(&r);
    if (!status)
        status = run_report(&r);
    const bool fits = run_fits(&r);
    close_run(&r);
    return status || !fits ? ARGS_FAILED : ARGS_DONE;
}
