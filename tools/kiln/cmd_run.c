/* cmd_run.c - kiln run: an ONNX model on a picture or on arrays. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/data.h>
#include <kiln/device.h>
#include <kiln/import.h>
#include <kiln/program.h>

#include "args.h"
#include "arrays.h"
#include "base/file.h"
#include "base/threads.h"
#include "commands.h"
#include "json.h"

struct options {
    const char *model, *image, *labels, *mean, *deviation, *device;
    struct args_list input, output;
    int64_t top, repeat;
    bool bytes, bgr, invert, crop, letterbox, json;
};

/* The model while it runs, and what is asked of it. */
struct run {
    const struct options *o;
    kiln_graph *g;
    kiln_weights *weights;
    kiln_device *dev;
    kiln_program *program;
    kiln_array *result; /* an array an output of the graph */
    int results;
    double first, median; /* seconds */
};

static kiln_status wrong(const char *format, const char *what)
{
    fprintf(stderr, "kiln run: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\n");
    return KILN_ERROR_ARGUMENT;
}

/* Inputs ---------------------------------------------------------------------------------------------------- */

/* "0.5" for all channels, or "0.485,0.456,0.406". */
static bool read_channels(const char *text, float *to)
{
    char *end = NULL;
    for (int i = 0; i < 3; i++) {
        to[i] = strtof(text, &end);
        if (end == text || (*end && *end != ','))
            return false;
        text = *end ? end + 1 : text;
    }
    return *end == 0;
}

/* 1 - s in the place of s: (1 - s - mean) / deviation = (s - (1 - mean)) / -deviation. */
static void invert(kiln_image_params *p)
{
    for (int i = 0; i < 3; i++) {
        p->mean[i] = (p->bytes ? 255 : 1) - p->mean[i];
        p->deviation[i] = p->deviation[i] == 0 ? -1 : -p->deviation[i];
    }
}

static kiln_status write_image(struct run *r)
{
    const struct options *o = r->o;
    const kiln_tensor input = kiln_graph_input(r->g, 0);
    kiln_image_params p = {
        .shape = kiln_tensor_shape(r->g, input),
        .type = kiln_tensor_type(r->g, input),
        .bytes = o->bytes,
        .bgr = o->bgr,
        .fit = o->crop        ? KILN_IMAGE_CROP
               : o->letterbox ? KILN_IMAGE_LETTERBOX
                              : KILN_IMAGE_STRETCH,
    };
    const int64_t last = p.shape.rank == 4 ? p.shape.size[3] : -1;
    if (p.shape.rank == 4 && (last == 1 || last == 3) && p.shape.size[1] != 1 && p.shape.size[1] != 3)
        p.layout = KILN_IMAGE_CHANNELS_LAST;
    if (o->mean && !read_channels(o->mean, p.mean))
        return wrong("--mean \"%s\": wanted a number, or one a channel: R,G,B", o->mean);
    if (o->deviation && !read_channels(o->deviation, p.deviation))
        return wrong("--deviation \"%s\": wanted a number, or one a channel: R,G,B", o->deviation);
    if (o->invert)
        invert(&p);
    kiln_array picture;
    kiln_status status = kiln_image_load(&picture, o->image, &p);
    if (!status)
        status = kiln_program_write(r->program, input, &picture);
    kiln_array_free(&picture);
    return status;
}

static kiln_status write_inputs(struct run *r)
{
    kiln_status status = r->o->image ? write_image(r) : KILN_OK;
    for (int i = 0; !status && i < r->o->input.count; i++)
        status = arrays_write(r->program, r->g, "run", r->o->input.item[i]);
    return status;
}

/* Running --------------------------------------------------------------------------------------------------- */

static kiln_status read_result(struct run *r, int i)
{
    const kiln_tensor t = kiln_graph_output(r->g, i);
    kiln_array *to = &r->result[i];
    kiln_status status = kiln_program_shape(r->program, t, &to->shape);
    if (status)
        return status;
    to->type = kiln_tensor_type(r->g, t);
    to->bytes = (size_t)kiln_shape_count(&to->shape) * kiln_type_size(to->type);
    to->data = malloc(to->bytes + 1);
    return to->data ? kiln_program_read(r->program, t, to) : KILN_ERROR_MEMORY;
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
    for (size_t i = 0; !status && seconds && i < count; i++)
        status = run_once(r, &seconds[i]);
    if (seconds && count) {
        qsort(seconds, count, sizeof *seconds, by_size);
        r->median = seconds[count / 2];
    }
    free(seconds);
    return status;
}

static kiln_status run_model(struct run *r)
{
    kiln_status status = kiln_onnx_load(&r->g, &r->weights, r->o->model, NULL);
    if (!status)
        status = kiln_device_open(&r->dev, &(kiln_device_params){.name = r->o->device});
    if (!status)
        status = kiln_program_create(&r->program, r->dev, r->g, r->weights, NULL);
    if (!status)
        status = write_inputs(r);
    if (!status)
        status = run_repeatedly(r);
    r->results = status ? 0 : kiln_graph_output_count(r->g);
    r->result = calloc((size_t)r->results + 1, sizeof *r->result);
    for (int i = 0; !status && i < r->results; i++)
        status = r->result ? read_result(r, i) : KILN_ERROR_MEMORY;
    return status;
}

/* Classes --------------------------------------------------------------------------------------------------- */

struct class {
    int64_t index;
    double score, share; /* as the model gave it, and as a probability */
};

static int by_score(const void *a, const void *b)
{
    const struct class *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : (x->index > y->index) - (x->index < y->index);
}

/* Scores that are no probabilities become some by softmax. */
static void share_out(struct class *classes, int64_t count)
{
    double sum = 0, peak = -INFINITY;
    bool shares = true;
    for (int64_t i = 0; i < count; i++) {
        peak = fmax(peak, classes[i].score);
        sum += classes[i].score;
        shares = shares && classes[i].score >= 0;
    }
    shares = shares && fabs(sum - 1) < 1e-3;
    for (int64_t i = 0; i < count; i++)
        classes[i].share = shares ? classes[i].score : exp(classes[i].score - peak);
    for (int64_t i = sum = 0; i < count; i++)
        sum += classes[i].share;
    for (int64_t i = 0; i < count; i++)
        classes[i].share /= sum;
}

/* The classes of the first output, best first; NULL if it is no list of scores of one picture. */
static struct class *rank_classes(const struct run *r, int64_t *count)
{
    const kiln_array *scores = &r->result[0];
    *count = kiln_shape_count(&scores->shape);
    struct class *classes =
        scores->type == KILN_F32 && *count > 0 ? calloc((size_t)*count, sizeof *classes) : NULL;
    for (int64_t i = 0; classes && i < *count; i++)
        classes[i] = (struct class){.index = i, .score = ((const float *)scores->data)[i]};
    if (classes) {
        share_out(classes, *count);
        qsort(classes, (size_t)*count, sizeof *classes, by_score);
    }
    return classes;
}

/* Line `index` of the labels; "" where there is none. Returns its length. */
static int label_of(const struct kiln_file *labels, int64_t index, const char **label)
{
    const char *at = labels->data, *end = at ? at + labels->size : NULL;
    for (; at && at < end && index > 0; at++)
        index -= *at == '\n';
    const char *stop = at;
    while (stop && stop < end && *stop != '\n' && *stop != '\r')
        stop++;
    *label = at ? at : "";
    return at ? (int)(stop - at) : 0;
}

/* Reports --------------------------------------------------------------------------------------------------- */

static void print_times(const struct run *r)
{
    if (r->o->repeat)
        printf("first run %.3f ms, then %.3f ms (median of %lld)\n", r->first * 1e3, r->median * 1e3,
               (long long)r->o->repeat);
}

static void print_classes(const struct run *r, const struct class *classes, int64_t count,
                          const struct kiln_file *labels)
{
    for (int64_t i = 0; i < count && i < r->o->top; i++) {
        const char *label;
        const int length = label_of(labels, classes[i].index, &label);
        printf("%6.2f %%  %4lld%s%.*s\n", 100 * classes[i].share, (long long)classes[i].index,
               length ? "  " : "", length, label);
    }
}

static void print_outputs(const struct run *r)
{
    for (int i = 0; i < r->results; i++) {
        char shape[96];
        printf("%s  %s %s", kiln_tensor_name(r->g, kiln_graph_output(r->g, i)),
               kiln_type_name(r->result[i].type), kiln_shape_text(&r->result[i].shape, shape, sizeof shape));
        for (int64_t k = 0;
             r->result[i].type == KILN_F32 && k < 8 && k < kiln_shape_count(&r->result[i].shape); k++)
            printf("%s%g", k ? " " : "  ", (double)((const float *)r->result[i].data)[k]);
        printf("\n");
    }
}

static void print_json(const struct run *r, const struct class *classes, int64_t count,
                       const struct kiln_file *labels)
{
    struct json j = {0};
    char text[256];
    json_open(&j, NULL, '{');
    json_text(&j, "device", kiln_device_get_info(r->dev)->name);
    json_number(&j, "first_seconds", r->first);
    if (r->o->repeat)
        json_number(&j, "seconds", r->median);
    json_open(&j, "classes", '[');
    for (int64_t i = 0; classes && i < count && i < r->o->top; i++) {
        const char *label;
        const int length = label_of(labels, classes[i].index, &label);
        snprintf(text, sizeof text, "%.*s", length, label);
        json_open(&j, NULL, '{');
        json_number(&j, "class", (double)classes[i].index);
        json_text(&j, "label", text);
        json_number(&j, "score", classes[i].score);
        json_number(&j, "share", classes[i].share);
        json_close(&j);
    }
    json_close(&j);
    json_open(&j, "outputs", '[');
    for (int i = 0; i < r->results; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "name", kiln_tensor_name(r->g, kiln_graph_output(r->g, i)));
        json_text(&j, "type", kiln_type_name(r->result[i].type));
        json_text(&j, "shape", kiln_shape_text(&r->result[i].shape, text, sizeof text));
        json_close(&j);
    }
    json_close(&j);
    json_close(&j);
}

static kiln_status save_outputs(const struct run *r)
{
    kiln_status status = KILN_OK;
    for (int i = 0; !status && i < r->o->output.count; i++) {
        char name[256];
        const char *path = arrays_split(r->o->output.item[i], name, sizeof name);
        int found = name[0] ? -1 : 0;
        for (int k = 0; k < r->results; k++)
            if (!strcmp(kiln_tensor_name(r->g, kiln_graph_output(r->g, k)), name))
                found = k;
        status = found < 0 ? wrong("the model has no output \"%s\"; 'kiln inspect' lists them", name)
                           : kiln_npy_save(path, &r->result[found]);
    }
    return status;
}

static kiln_status report(const struct run *r)
{
    struct kiln_file labels = {0};
    int64_t count = 0;
    kiln_status status = r->o->labels ? kiln_file_map(&labels, r->o->labels) : KILN_OK;
    if (!status)
        status = save_outputs(r);
    struct class *classes = !status && r->o->image ? rank_classes(r, &count) : NULL;
    if (!status && r->o->json)
        print_json(r, classes, count, &labels);
    else if (!status) {
        if (classes)
            print_classes(r, classes, count, &labels);
        else
            print_outputs(r);
        print_times(r);
    }
    free(classes);
    kiln_file_unmap(&labels);
    return status;
}

/* The command ----------------------------------------------------------------------------------------------- */

int cmd_run(int argc, char **argv)
{
    struct options o = {.top = 5};
    struct args_list operands = {0};
    const struct args args = {
        .command = "run",
        .operands = "MODEL.onnx",
        .least = 1,
        .most = 1,
        .given = &operands,
        .about =
            "Run a model on a picture, which is resized to what the model's first input wants, and print the best classes;\n"
            "or on arrays, and print the outputs. Samples of a picture run from 0 to 1.",
        .options =
            (const struct args_option[]){
                {"image", "FILE", ARGS_TEXT, &o.image, "a PNG or JPEG picture for the first input"},
                {"mean", "R,G,B", ARGS_TEXT, &o.mean, "subtracted from the samples (or one number for all)"},
                {"deviation", "R,G,B", ARGS_TEXT, &o.deviation, "divides them then"},
                {"bytes", NULL, ARGS_FLAG, &o.bytes, "samples run from 0 to 255"},
                {"bgr", NULL, ARGS_FLAG, &o.bgr, "blue comes first"},
                {"invert", NULL, ARGS_FLAG, &o.invert, "dark becomes light: for digits drawn in black"},
                {"crop", NULL, ARGS_FLAG, &o.crop,
                 "keep the picture's proportions and cut off what is too long"},
                {"letterbox", NULL, ARGS_FLAG, &o.letterbox, "keep its proportions between bars"},
                {"labels", "FILE", ARGS_TEXT, &o.labels, "names of the classes, one a line"},
                {"top", "N", ARGS_COUNT, &o.top, "how many classes to print (default: 5)"},
                {"input", "NAME=FILE", ARGS_LIST, &o.input, "an array: .npy, or .pb of ONNX's test cases"},
                {"output", "NAME=FILE", ARGS_LIST, &o.output, "write an output to a .npy file"},
                {"repeat", "N", ARGS_COUNT, &o.repeat, "run N times more, and print how long that takes"},
                {"device", "NAME", ARGS_TEXT, &o.device, "as 'kiln devices' lists them"},
                {"json", NULL, ARGS_FLAG, &o.json, "print one JSON document"},
                {0}},
    };
    int code;
    if (!args_parse(&args, argc, argv, &code))
        return code;
    if (!o.image && !o.input.count)
        return args_wrong("run", "wanted --image FILE, or --input NAME=FILE");
    o.model = operands.item[0];

    struct run r = {.o = &o};
    kiln_status status = run_model(&r);
    if (!status)
        status = report(&r);
    for (int i = 0; r.result && i < r.results; i++)
        free(r.result[i].data);
    free(r.result);
    kiln_program_destroy(&r.program);
    kiln_weights_destroy(&r.weights);
    kiln_graph_destroy(&r.g);
    kiln_device_close(&r.dev);
    return status ? ARGS_FAILED : ARGS_DONE;
}
