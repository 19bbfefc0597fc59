/* onnx_case.c - one of ONNX's backend cases, run and compared. */
#include "onnx_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/half.h"

enum { MOST = 32 };

struct tensors {
    kiln_array item[MOST];
    int count;
};

static kiln_status load_tensors(struct tensors *t, const char *dir, const char *kind)
{
    char path[512];
    for (t->count = 0; t->count < MOST; t->count++) {
        snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", dir, kind, t->count);
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
}

/* Comparing ---------------------------------------------------------------------------------------------- */

static double element(const kiln_array *a, int64_t i)
{
    switch (a->type) {
    case KILN_F32:
        return ((const float *)a->data)[i];
    case KILN_F64:
        return ((const double *)a->data)[i];
    case KILN_F16:
        return kiln_half_to(((const uint16_t *)a->data)[i]);
    case KILN_BF16:
        return kiln_bf16_to(((const uint16_t *)a->data)[i]);
    case KILN_I64:
    case KILN_U64:
        return (double)((const int64_t *)a->data)[i];
    case KILN_I32:
        return ((const int32_t *)a->data)[i];
    case KILN_U32:
        return ((const uint32_t *)a->data)[i];
    case KILN_I16:
        return ((const int16_t *)a->data)[i];
    case KILN_U16:
        return ((const uint16_t *)a->data)[i];
    case KILN_I8:
        return ((const int8_t *)a->data)[i];
    default:
        return ((const uint8_t *)a->data)[i];
    }
}

static kiln_status compare(const kiln_array *got, const kiln_array *want, int index, char *why, size_t bytes)
{
    char a[96], b[96];
    if (got->type != want->type || !kiln_shape_equal(&got->shape, &want->shape)) {
        snprintf(why, bytes, "output %d is %s %s, wanted %s %s", index, kiln_type_name(got->type),
                 kiln_shape_text(&got->shape, a, sizeof a), kiln_type_name(want->type),
                 kiln_shape_text(&want->shape, b, sizeof b));
        return KILN_ERROR_SHAPE;
    }
    for (int64_t i = 0; i < kiln_shape_count(&want->shape); i++) {
        const double x = element(got, i), y = element(want, i);
        if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-7 + 1e-3 * fabs(y))
            continue;
        snprintf(why, bytes, "output %d, element %lld is %g, wanted %g", index, (long long)i, x, y);
        return KILN_ERROR_ARGUMENT;
    }
    return KILN_OK;
}

/* Running ------------------------------------------------------------------------------------------------ */

/* What may say a shape: integers of rank 0 or 1, single numbers, and the scales and regions of axes. */
static bool may_be_fixed(const kiln_array *a)
{
    return a->shape.rank == 0 ||
           (a->shape.rank == 1 && (!kiln_type_is_real(a->type) || a->shape.size[0] <= 2 * KILN_MAX_RANK));
}

static kiln_status load_model(kiln_graph **g, kiln_weights **w, const char *path, const struct tensors *in,
                              bool *fixed)
{
    kiln_onnx_fixed list[MOST];
    kiln_onnx_params params = {.fixed = list};
    kiln_status status = kiln_onnx_load(g, w, path, NULL);
    *fixed = false;
    if (!status)
        return status;
    for (int i = 0; i < in->count; i++)
        if (may_be_fixed(&in->item[i]))
            list[params.fixed_count++] = (kiln_onnx_fixed){.index = i, .value = in->item[i]};
    *fixed = params.fixed_count > 0;
    return *fixed ? kiln_onnx_load(g, w, path, &params) : status;
}

/* The names of the inputs that are written, in the order of the case's tensors. */
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

static kiln_status write_inputs(kiln_program *p, const struct names *names, const struct tensors *in,
                                bool fixed)
{
    kiln_status status = KILN_OK;
    for (int i = 0, next = 0; !status && i < in->count && next < names->count; i++) {
        if (fixed && may_be_fixed(&in->item[i]))
            continue;
        for (int k = 0; k < kiln_program_input_count(p); k++)
            if (!strcmp(kiln_program_tensor_name(p, kiln_program_input(p, k)), names->text[next]))
                status = kiln_program_write(p, kiln_program_input(p, k), &in->item[i]);
        next++;
    }
    return status;
}

static kiln_status read_output(kiln_program *p, kiln_tensor t, const kiln_array *want, int index, char *why,
                               size_t bytes)
{
    const size_t room = (size_t)kiln_shape_count(&want->shape) * 8 + 4096;
    kiln_array got = {.data = malloc(room), .bytes = room, .type = want->type};
    kiln_status status = got.data ? kiln_program_read(p, t, &got) : KILN_ERROR_MEMORY;
    if (!status)
        status = compare(&got, want, index, why, bytes);
    free(got.data);
    return status;
}

struct last_line {
    char *text;
    size_t bytes;
};

static void keep_line(void *user, kiln_log_level level, const char *line)
{
    const struct last_line *l = user;
    if (level == KILN_LOG_ERROR)
        snprintf(l->text, l->bytes, "%s", line);
}

/* Save the model, by the newest opset where the usual one lacks something, and load it again. */
static kiln_status go_around(kiln_graph **g, kiln_weights **w, const char *path)
{
    kiln_status status = kiln_onnx_save(*g, *w, path, NULL);
    if (status)
        status = kiln_onnx_save(*g, *w, path, &(kiln_onnx_save_params){.opset = 21});
    kiln_graph_destroy(g);
    kiln_weights_destroy(w);
    return status ? status : kiln_onnx_load(g, w, path, NULL);
}

kiln_status kiln_onnx_case_run(kiln_device *dev, const char *dir, const char *copy, char *why, size_t bytes)
{
    struct last_line line = {why, bytes};
    struct tensors in = {{{0}}}, out = {{{0}}};
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    struct names names;
    bool fixed;
    char path[512];
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    snprintf(why, bytes, "no reason given");
    kiln_log_to(keep_line, &line, KILN_LOG_ERROR);

    kiln_status status = load_tensors(&in, dir, "input");
    if (!status)
        status = load_tensors(&out, dir, "output");
    if (!status)
        status = load_model(&g, &w, path, &in, &fixed);
    if (!status)
        take_names(g, &names);
    if (!status && copy)
        status = go_around(&g, &w, copy);
    if (!status)
        status = kiln_program_create(&p, dev, g, w, NULL);
    if (!status)
        status = write_inputs(p, &names, &in, fixed);
    if (!status)
        status = kiln_program_run(p);
    for (int i = 0; !status && i < out.count; i++)
        status = read_output(p, kiln_graph_output(g, i), &out.item[i], i, why, bytes);

    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    free_tensors(&in);
    free_tensors(&out);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    return status;
}
