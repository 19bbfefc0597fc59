/* onnx_case.c - one of ONNX's backend cases, run and compared. See onnx_case.h. */
#include "check/onnx_case.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrays.h"
#include "base/log.h"
#include "base/threads.h"
#include "check/values.h"
#include "import/onnx_survey.h"

enum { MOST = 256, PATH = 1024 };

struct tensors {
    kiln_array item[MOST];
    int count;
};

/* A case under way. */
struct attempt {
    const struct check_onnx_case *one;
    const char *copy;
    kiln_device *dev;
    struct check_onnx_outcome *out;
    char model[PATH + 32];
    struct tensors in, want;
    bool fixed; /* inputs that may say a shape are constants */
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
};

static kiln_status fail(struct attempt *a, kiln_status status, const char *format, ...) KILN_FORMAT(3, 4);

static kiln_status fail(struct attempt *a, kiln_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(a->out->why, sizeof a->out->why, format, args);
    va_end(args);
    return status;
}

/* The first error of an attempt says why. */
static void keep_line(void *user, kiln_log_level level, const char *line)
{
    struct check_onnx_outcome *out = user;
    if (level == KILN_LOG_ERROR && !out->why[0])
        snprintf(out->why, sizeof out->why, "%s", line);
}

/* Tensors of the case ------------------------------------------------------------------------------------------- */

/* STEM_0.pb, STEM_1.pb .. */
static kiln_status load_tensors(struct tensors *t, const char *stem)
{
    char path[PATH + 64];
    for (t->count = 0; t->count < MOST; t->count++) {
        snprintf(path, sizeof path, "%s_%d.pb", stem, t->count);
        if (access(path, R_OK))
            break;
        const kiln_status status = kiln_onnx_load_tensor(&t->item[t->count], path);
        if (status)
            return status;
    }
    return KILN_OK;
}

static void free_tensors(struct tensors *t)
{
    for (int i = 0; i < t->count; i++)
        kiln_array_free(&t->item[i]);
    t->count = 0;
}

static bool has_set(const struct check_onnx_case *one, int set)
{
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/test_data_set_%d", one->path, set);
    return access(path, R_OK) == 0;
}

static kiln_status load_set(struct attempt *a, int set)
{
    char stem[PATH + 32];
    if (a->one->light) {
        snprintf(stem, sizeof stem, "%s_output", a->one->path);
        return load_tensors(&a->want, stem);
    }
    snprintf(stem, sizeof stem, "%s/test_data_set_%d/input", a->one->path, set);
    const kiln_status status = load_tensors(&a->in, stem);
    snprintf(stem, sizeof stem, "%s/test_data_set_%d/output", a->one->path, set);
    return status ? status : load_tensors(&a->want, stem);
}

/* Comparing ------------------------------------------------------------------------------------------------------ */

static kiln_status compare(struct attempt *a, const kiln_array *got, int index)
{
    const kiln_array *want = &a->want.item[index];
    char shapes[2][96];
    if (got->type != want->type || !kiln_shape_equal(&got->shape, &want->shape))
        return fail(a, KILN_ERROR_SHAPE, "output %d is %s %s, wanted %s %s", index, kiln_type_name(got->type),
                    kiln_shape_text(&got->shape, shapes[0], sizeof shapes[0]), kiln_type_name(want->type),
                    kiln_shape_text(&want->shape, shapes[1], sizeof shapes[1]));
    for (int64_t i = 0; i < kiln_shape_count(&want->shape); i++) {
        const double x = check_element(got, (size_t)i), y = check_element(want, (size_t)i);
        if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= a->one->atol + a->one->rtol * fabs(y))
            continue;
        return fail(a, KILN_ERROR_ARGUMENT, "output %d, element %lld is %g, wanted %g", index, (long long)i,
                    x, y);
    }
    return KILN_OK;
}

/* Loading --------------------------------------------------------------------------------------------------------- */

static kiln_status load_model(struct attempt *a)
{
    kiln_onnx_fixed list[MOST];
    kiln_onnx_params params = {.fixed = list};
    kiln_status status = kiln_onnx_load(&a->g, &a->w, a->model, NULL);
    for (int i = 0; i < a->in.count; i++)
        if (arrays_may_be_constant(&a->in.item[i]))
            list[params.fixed_count++] = (kiln_onnx_fixed){.index = i, .value = a->in.item[i]};
    a->fixed = status && params.fixed_count > 0;
    if (!a->fixed)
        return status;
    a->out->why[0] = 0;
    return kiln_onnx_load(&a->g, &a->w, a->model, &params);
}

/* Save the model, by a new opset where the usual one lacks something, and load it again. */
static kiln_status go_around(struct attempt *a)
{
    kiln_status status = kiln_onnx_save(a->g, a->w, a->copy, NULL);
    if (status) {
        a->out->why[0] = 0;
        status = kiln_onnx_save(a->g, a->w, a->copy, &(kiln_onnx_save_params){.opset = 21});
    }
    kiln_graph_destroy(&a->g);
    kiln_weights_destroy(&a->w);
    return status ? status : kiln_onnx_load(&a->g, &a->w, a->copy, NULL);
}

/* Running --------------------------------------------------------------------------------------------------------- */

/* arange(n).reshape(shape) / n, in float64 and rounded. */
static kiln_status make_light_input(struct attempt *a)
{
    const kiln_tensor x = kiln_graph_input(a->g, 0);
    kiln_array input = {.type = KILN_F32, .shape = x.id ? kiln_tensor_shape(a->g, x) : KILN_SCALAR};
    for (int i = 0; i < input.shape.rank; i++)
        input.shape.size[i] = input.shape.size[i] < 0 ? 1 : input.shape.size[i];
    const int64_t count = kiln_shape_count(&input.shape);
    float *values = input.data = malloc((size_t)count * sizeof *values + 1);
    for (int64_t i = 0; values && i < count; i++)
        values[i] = (float)((double)i / (double)count);
    a->in.item[0] = input;
    a->in.count = 1;
    return values ? KILN_OK : fail(a, KILN_ERROR_MEMORY, "out of memory");
}

/* The names of the inputs that are written, in the order of the case's tensors: those of a copy may come in another. */
struct names {
    char text[MOST][96];
    int count;
};

static void take_names(const kiln_graph *g, struct names *names)
{
    for (names->count = 0; names->count < kiln_graph_input_count(g) && names->count < MOST; names->count++)
        snprintf(names->text[names->count], sizeof names->text[0], "%s",
                 kiln_tensor_name(g, kiln_graph_input(g, names->count)));
}

static kiln_status write_inputs(struct attempt *a, const struct names *names)
{
    kiln_status status = KILN_OK;
    for (int i = 0, next = 0; !status && i < a->in.count && next < names->count; i++) {
        if (a->fixed && arrays_may_be_constant(&a->in.item[i]))
            continue;
        for (int k = 0; k < kiln_program_input_count(a->p); k++)
            if (!strcmp(kiln_program_tensor_name(a->p, kiln_program_input(a->p, k)), names->text[next]))
                status = kiln_program_write(a->p, kiln_program_input(a->p, k), &a->in.item[i]);
        next++;
    }
    return status;
}

static kiln_status read_output(struct attempt *a, int index)
{
    const kiln_array *want = &a->want.item[index];
    const size_t room = (size_t)kiln_shape_count(&want->shape) * 8 + 4096;
    kiln_array got = {.data = malloc(room), .bytes = room, .type = want->type};
    kiln_status status =
        got.data ? kiln_program_read(a->p, kiln_graph_output(a->g, index), &got) : KILN_ERROR_MEMORY;
    if (!status)
        status = compare(a, &got, index);
    free(got.data);
    return status;
}

static kiln_status compare_outputs(struct attempt *a)
{
    kiln_status status = KILN_OK;
    if (a->want.count != kiln_graph_output_count(a->g))
        return fail(a, KILN_ERROR_ARGUMENT, "the model has %d outputs, the case %d",
                    kiln_graph_output_count(a->g), a->want.count);
    for (int i = 0; !status && i < a->want.count; i++)
        status = read_output(a, i);
    return status;
}

static kiln_status run_set(struct attempt *a)
{
    struct names names;
    kiln_status status = load_model(a);
    if (!status && a->one->light)
        status = make_light_input(a);
    if (!status)
        take_names(a->g, &names);
    if (!status && a->copy)
        status = go_around(a);
    if (!status)
        status = kiln_program_create(&a->p, a->dev, a->g, a->w, NULL);
    if (!status)
        status = write_inputs(a, &names);
    if (!status)
        status = kiln_program_run(a->p);
    if (!status)
        status = compare_outputs(a);
    kiln_program_destroy(&a->p);
    kiln_weights_destroy(&a->w);
    kiln_graph_destroy(&a->g);
    return status;
}

/* A failure of something that kiln leaves out by its kind, or that is drawn, says nothing: the case does not apply. */
static void judge_failure(struct attempt *a)
{
    struct kiln_onnx_survey survey = {0};
    if (!kiln_onnx_look(&survey, a->model, a->in.item, a->in.count)) {
        const struct kiln_text *why = survey.left_out.count ? &survey.left_out : &survey.random;
        if (why->count) {
            a->out->status = CHECK_INAPPLICABLE;
            snprintf(a->out->why, sizeof a->out->why, "%s", kiln_text_get(why));
        }
    }
    kiln_onnx_survey_finish(&survey);
}

static void run_sets(struct attempt *a)
{
    int sets = 0;
    while (a->out->status == CHECK_PASSED && (a->one->light ? !sets : has_set(a->one, sets))) {
        kiln_status status = load_set(a, sets++);
        if (!status)
            status = run_set(a);
        if (status) {
            a->out->status = CHECK_FAILED;
            if (!a->out->why[0])
                fail(a, status, "%s", kiln_status_text(status));
            judge_failure(a);
        }
        free_tensors(&a->in);
        free_tensors(&a->want);
    }
    if (!sets) {
        a->out->status = CHECK_FAILED;
        fail(a, KILN_ERROR_FILE, "no test_data_set_0 is beside its model");
    }
}

void check_onnx_run(struct check_onnx_outcome *out, kiln_device *dev, const struct check_onnx_case *one,
                    const char *copy)
{
    struct attempt a = {.one = one, .copy = copy, .dev = dev, .out = out};
    const double start = kiln_seconds();
    *out = (struct check_onnx_outcome){.status = CHECK_PASSED};
    snprintf(a.model, sizeof a.model, "%s%s", one->path, one->light ? ".onnx" : "/model.onnx");
    kiln_log_to(keep_line, out, KILN_LOG_ERROR);
    run_sets(&a);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    if (out->status == CHECK_PASSED)
        out->why[0] = 0;
    out->took = kiln_seconds() - start;
}
