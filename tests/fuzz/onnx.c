/*
 * onnx.c - any bytes as an ONNX model: a graph, or refused; and what its user may do with one. The model lies in a folder with a file of
 * data, w.bin, so that tensors whose elements lie elsewhere are read as well.
 *
 * How it is read, and what is done with it, its model_version says: the mutator (onnx_mutate.c) draws it, and a file that was found
 * keeps to it. Nothing takes longer than the limits here allow, so that what is slow nevertheless is a finding.
 */
#include "import/onnx.h"
#include <math.h>

#include <kiln/train.h>

#include "compiler/convert.h"
#include "import/onnx_survey.h"
#include "program/program.h"

#include "fuzz/fuzz.h"

enum {
    MOST_SIZES = 16,       /* that are given, and inputs with a shape or a value */
    MOST_VALUES = 1 << 14, /* of an input */
    MOST_BYTES = 1 << 25,  /* of a program's memory */
    /* of a run: operations or bytes, whichever are more, by the kernels' own estimates */
    MOST_WORK = 1 << 22,
    WORK_OF_A_COMMAND = 1000, /* besides */
};

enum reading { AS_IT_IS, TO_LEARN, WITH_SIZES, WITH_SHAPES, WITH_VALUES, WITH_GUESSES, READINGS };

enum use {
    SAVE,
    RUN,
    RUN_IN_DOUBLE,
    RUN_FOR_LESS,
    PLAN,
    LEARN,
    LEARN_FOR_LESS,
    SAVE_NEWEST,
    LEARN_WITHIN,
    USES
};

static char folder[64], model_file[96], data_file[96], written[96];
static kiln_device *cpu, *null;

static void finish(void)
{
    remove(data_file);
    remove(model_file);
    remove(written);
    remove(folder);
    kiln_device_close(&cpu);
    kiln_device_close(&null);
}

static void begin(void)
{
    static const unsigned char zeros[1024];
    be_silent();
    if (folder[0])
        return;
    make_folder_at(folder);
    snprintf(model_file, sizeof model_file, "%s/model.onnx", folder);
    snprintf(data_file, sizeof data_file, "%s/w.bin", folder);
    snprintf(written, sizeof written, "%s/written.onnx", folder);
    put_file(data_file, zeros, sizeof zeros);
    if (kiln_device_open(&cpu, &(kiln_device_params){.name = "cpu", .threads = 1, .cache = ""}) ||
        kiln_device_open(&null, &(kiln_device_params){.name = "null", .cache = ""}))
        abort();
    atexit(finish);
}

/* Values of inputs ------------------------------------------------------------------------------------------------ */

/* Small numbers, which are indices of nearly everything; wild: what an input should not hold as well. */
static kiln_array make_up(kiln_type type, kiln_shape shape, bool wild)
{
    static const double tame[] = {0, 1, 1, 0, 2, 1, 0.5, 3},
                        any[] = {-1, NAN, 1e30, 2147483647, -INFINITY, 0, -2147483648., 7};
    kiln_array array = {.type = type, .shape = shape};
    const int64_t count = kiln_shape_count(&shape);
    double *values = count >= 0 && count <= MOST_VALUES ? malloc(((size_t)count + 1) * sizeof *values) : NULL;
    array.bytes = values ? (size_t)count * kiln_type_size(type) : 0;
    array.data = values ? malloc(array.bytes + 1) : NULL;
    for (int64_t i = 0; values && i < count; i++)
        values[i] = (wild ? any : tame)[(i * 5 + count) % 8];
    if (array.data)
        kiln_convert(array.data, type, values, KILN_F64, (size_t)count);
    free(values);
    return array;
}

/* Reading --------------------------------------------------------------------------------------------------------- */

/* What is said of a model while it is read. */
struct given {
    kiln_onnx_fixed fixed[MOST_SIZES];
    kiln_onnx_size size[MOST_SIZES];
    char name[MOST_SIZES][64]; /* of sizes */
    kiln_onnx_params params;
};

static void give_size(struct given *g, const Onnx__ValueInfoProto *input, size_t axis)
{
    const Onnx__TensorShapeProto__Dimension *d = input->type->tensor_type->shape->dim[axis];
    const int i = g->params.size_count;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE || i == MOST_SIZES)
        return;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && d->dim_param[0])
        snprintf(g->name[i], sizeof g->name[i], "%s", d->dim_param);
    else
        snprintf(g->name[i], sizeof g->name[i], "%s.%zu", input->name, axis);
    g->size[i] = (kiln_onnx_size){g->name[i], 1 + (i + 1) % 3};
    g->params.size_count++;
}

static void give_shape(struct given *g, const Onnx__ValueInfoProto *input, bool value, bool wild)
{
    const Onnx__TypeProto__Tensor *t = input->type->tensor_type;
    kiln_onnx_fixed *f = &g->fixed[g->params.fixed_count];
    kiln_shape shape = {.rank = 2, .size = {2, 3}};
    kiln_type type;
    if (g->params.fixed_count == MOST_SIZES || (t->shape && t->shape->n_dim > KILN_MAX_RANK))
        return;
    for (size_t i = 0; t->shape && i < t->shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
        shape.rank = (int)t->shape->n_dim;
        shape.size[i] =
            d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? d->dim_value : 2;
    }
    *f = (kiln_onnx_fixed){.input = input->name, .value = {.shape = shape}};
    g->params.fixed_count++;
    if (value && kiln_onnx_type(t->elem_type, &type))
        f->value = make_up(type, shape, wild);
}

static void give(struct given *g, const Onnx__GraphProto *graph, enum reading how, bool wild)
{
    g->params.fixed = g->fixed;
    g->params.sizes = g->size;
    g->params.train = g->params.free_batch = how == TO_LEARN;
    g->params.guess_size = how == WITH_GUESSES;
    g->params.most_steps = how == AS_IT_IS ? 0 : 4;
    g->params.most_size = how == TO_LEARN ? 8 : 0;
    for (size_t i = 0; graph && i < graph->n_input && how >= WITH_SIZES && how <= WITH_VALUES; i++) {
        const Onnx__ValueInfoProto *input = graph->input[i];
        const bool tensor =
            input->name && input->type && input->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        const Onnx__TensorShapeProto *shape = tensor ? input->type->tensor_type->shape : NULL;
        for (size_t k = 0; how == WITH_SIZES && shape && k < shape->n_dim; k++)
            give_size(g, input, k);
        if (tensor && how != WITH_SIZES)
            give_shape(g, input, how == WITH_VALUES, wild);
    }
}

static void take_back(struct given *g)
{
    for (int i = 0; i < g->params.fixed_count; i++)
        kiln_array_free(&g->fixed[i].value);
}

/* Running --------------------------------------------------------------------------------------------------------- */

static double work_of(const struct kiln_commands *list)
{
    double turns[32] = {1}, work = 0;
    int depth = 0;
    for (int i = 0; i < list->count; i++) {
        const struct kiln_command *c = &list->command[i];
        if (c->kind == KILN_COMMAND_REPEAT && ++depth < 32)
            turns[depth] = turns[depth - 1] * (double)c->as.repeat.count;
        depth -= c->kind == KILN_COMMAND_END;
        if (depth < 0 || depth >= 32)
            return INFINITY;
        const double own = c->kind == KILN_COMMAND_DISPATCH ? c->as.dispatch.flops
                           : c->kind == KILN_COMMAND_COPY   ? (double)c->as.copy.to.bytes
                           : c->kind == KILN_COMMAND_FILL   ? (double)c->as.fill.to.bytes
                                                            : 0;
        work += turns[depth] * (own + WORK_OF_A_COMMAND);
    }
    return work;
}

static kiln_status write_input(kiln_program *p, const int64_t *size, int i, bool wild)
{
    kiln_shape shape = p->input.data[i].spec.shape;
    for (int axis = 0; axis < shape.rank; axis++)
        for (int k = 0; k < p->symbol.count; k++)
            if (shape.size[axis] == p->symbol.data[k])
                shape.size[axis] = size[k];
    kiln_array x = make_up(p->input.data[i].spec.type, shape, wild);
    const kiln_status status = x.data ? kiln_program_write(p, p->input.data[i].user, &x) : KILN_ERROR_MEMORY;
    kiln_array_free(&x);
    return status;
}

static void read_result(kiln_program *p, kiln_tensor t)
{
    kiln_array y = {.type = kiln_program_tensor_type(p, t)};
    if (kiln_program_shape(p, t, &y.shape))
        return;
    y.bytes = (size_t)kiln_shape_count(&y.shape) * kiln_type_size(y.type);
    y.data = malloc(y.bytes + 1);
    if (y.data && !kiln_program_read(p, t, &y))
        touch(y.data, y.bytes);
    kiln_array_free(&y);
}

/* Plan for sizes, and run where that is little work. */
static void run_at(kiln_program *p, const int64_t *size, bool wild)
{
    struct kiln_ready *ready;
    if (kiln_program_ready(p, size, &ready) || p->dev == null ||
        work_of(&ready->prologue_list) + work_of(&ready->body_list) > MOST_WORK)
        return;
    kiln_status status = KILN_OK;
    for (int i = 0; i < p->input.count && !status; i++)
        status = write_input(p, size, i, wild);
    if (status || kiln_program_run(p) || kiln_program_wait(p))
        return;
    for (int i = 0; i < kiln_program_result_count(p); i++)
        read_result(p, kiln_program_result(p, i));
}

static void count_text(void *user, const char *text)
{
    *(size_t *)user += strlen(text);
}

/* What a person may see of a plan. */
static void print(const kiln_graph *g, const kiln_program *p)
{
    kiln_command_time times[8];
    kiln_program_memory memory;
    size_t length = 0;
    kiln_graph_print(g, count_text, &length);
    if (kiln_program_memory_used(p, &memory))
        return;
    kiln_program_print(p, count_text, &length);
    kiln_program_profile(p, times, (int)(sizeof times / sizeof *times));
}

/* At two sets of sizes, of which one may be empty; and at the first again. */
static void run(kiln_graph *g, kiln_weights *w, kiln_device *dev, const kiln_program_params *params,
                bool wild)
{
    int64_t first[MOST_SIZES], second[MOST_SIZES];
    kiln_program *p;
    if (kiln_program_create(&p, dev, g, w, params))
        return;
    for (int i = 0; i < MOST_SIZES; i++) {
        first[i] = 1 + (i + 1) % 3;
        second[i] = wild ? i % 2 * 4 : 3;
    }
    if (p->symbol.count <= MOST_SIZES)
        run_at(p, first, wild);
    if (p->symbol.count && p->symbol.count <= MOST_SIZES) {
        run_at(p, second, wild);
        run_at(p, first, !wild);
    }
    if (params->profile)
        print(g, p);
    kiln_program_destroy(&p);
}

/* Learning -------------------------------------------------------------------------------------------------------- */

static kiln_tensor real_output(const kiln_graph *g)
{
    for (int i = 0; i < kiln_graph_output_count(g); i++)
        if (kiln_tensor_type(g, kiln_graph_output(g, i)) == KILN_F32)
            return kiln_graph_output(g, i);
    return KILN_NONE;
}

/* By all parameters, a step; and by all real inputs. */
static void learn(kiln_graph *g, kiln_weights *w, bool recompute, bool wild)
{
    const kiln_tensor y = real_output(g), loss = y.id ? kiln_mean(g, kiln_mul(g, y, y), NULL) : KILN_NONE;
    kiln_tensor x[MOST_SIZES], run_list[MOST_SIZES + 3] = {loss};
    int count = 0;
    for (int i = 0; i < kiln_graph_input_count(g) && count < MOST_SIZES; i++)
        if (kiln_tensor_type(g, kiln_graph_input(g, i)) == KILN_F32)
            x[count++] = kiln_graph_input(g, i);
    if (!loss.id)
        return;
    kiln_gradient(g, loss, KILN_NONE, x, count, &run_list[1]);
    if (kiln_graph_parameter_count(g))
        run_list[1 + count] =
            kiln_minimize(g, loss, &(kiln_minimize_params){.by = KILN_ADAM, .clip_norm = 1});
    if (!kiln_graph_status(g) && !kiln_weights_add(w, g)) /* what the optimizer keeps */
        run(g, w, cpu,
            &(kiln_program_params){
                .run = run_list, .train = true, .recompute = recompute, .budget = MOST_BYTES},
            wild);
}

/* As part of another graph, as a classifier that is trained further. */
static void learn_within(const kiln_graph *g, kiln_weights *w, bool wild)
{
    kiln_graph *around;
    kiln_tensor in[MOST_SIZES] = {KILN_NONE}, out[MOST_SIZES] = {KILN_NONE};
    if (kiln_graph_input_count(g) > MOST_SIZES || kiln_graph_output_count(g) > MOST_SIZES ||
        kiln_graph_create(&around, NULL))
        return;
    for (int i = 0; i < kiln_graph_input_count(g); i++) {
        const kiln_tensor t = kiln_graph_input(g, i);
        kiln_shape shape = kiln_tensor_shape(g, t);
        for (int axis = 0; axis < shape.rank; axis++)
            if (shape.size[axis] < 0)
                shape.size[axis] = kiln_dim(around, kiln_dim_name(g, shape.size[axis]));
        in[i] = kiln_input(around, kiln_tensor_name(g, t), kiln_tensor_type(g, t), shape);
    }
    kiln_call(around, g, in, out);
    for (int i = 0; i < kiln_graph_output_count(g); i++)
        kiln_output(around, kiln_tensor_name(g, kiln_graph_output(g, i)), out[i]);
    learn(around, w, false, wild);
    kiln_graph_destroy(&around);
}

/* Writing --------------------------------------------------------------------------------------------------------- */

/* What is written can be read, unless a value in it is one that it must not be, as an index out of range. */
static void save(const kiln_graph *g, kiln_weights *w, int opset)
{
    kiln_graph *again;
    kiln_weights *weights;
    if (kiln_onnx_save(g, w, written, &(kiln_onnx_save_params){.opset = opset}))
        return;
    const kiln_onnx_params params = {.most_steps = 4, .most_size = 8};
    const kiln_status status = kiln_onnx_load(&again, &weights, written, &params);
    if (status == KILN_ERROR_FILE || status == KILN_ERROR_UNSUPPORTED) {
        kiln_log_to(NULL, NULL, KILN_LOG_ERROR); /* again, to say why */
        kiln_onnx_load(&again, &weights, written, &params);
        abort();
    }
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&again);
}

static void look(const uint8_t *data, size_t size)
{
    struct kiln_onnx_survey survey = {{0}};
    put_file(model_file, data, size);
    kiln_onnx_look(&survey, model_file, NULL, 0);
    kiln_onnx_survey_finish(&survey);
}

/* All of it ------------------------------------------------------------------------------------------------------- */

static void use(kiln_graph *g, kiln_weights *w, enum use how, bool wild)
{
    switch (how) {
    case SAVE:
    case SAVE_NEWEST:
        save(g, w, how == SAVE ? 0 : KILN_ONNX_NEWEST_OPSET);
        break;
    case PLAN:
        run(g, w, null,
            &(kiln_program_params){.precision = KILN_PRECISION_F16, .profile = true, .budget = MOST_BYTES},
            wild);
        break;
    case LEARN:
    case LEARN_FOR_LESS:
        learn(g, w, how == LEARN_FOR_LESS, wild);
        break;
    case LEARN_WITHIN:
        learn_within(g, w, wild);
        break;
    default:
        run(g, w, cpu,
            &(kiln_program_params){.precision =
                                       how == RUN_IN_DOUBLE ? KILN_PRECISION_F64 : KILN_PRECISION_F32,
                                   .give_up = how == RUN_FOR_LESS,
                                   .budget = MOST_BYTES},
            wild);
    }
}

/* READINGS ways to read, USES of what was read, tame or wild values. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct given given = {{{0}}};
    kiln_graph *g;
    kiln_weights *w;

    begin();
    Onnx__ModelProto *model = kiln_onnx_unpack("fuzz", &onnx__model_proto__descriptor, data, size);
    if (!model)
        return 0;
    const uint64_t way = (uint64_t)model->model_version;
    const bool wild = way / READINGS / USES % 2;
    give(&given, model->graph, (enum reading)(way % READINGS), wild);
    if (way % READINGS == AS_IT_IS)
        look(data, size);
    if (!kiln_onnx_read(&g, &w, model_file, data, size, &given.params)) {
        if (!g || !w || kiln_graph_status(g))
            abort();
        use(g, w, (enum use)(way / READINGS % USES), wild);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
    take_back(&given);
    kiln_onnx_free(model);
    return 0;
}
