/*
 * onnx_bad.c - damaged and hostile models: one clear line each, and nothing left behind.
 *
 * The models are written here with protobuf-c, a part changed at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own_folder.h"
#include "import/onnx.h"
#include "support/support.h"

/* A model of one node, y = Add(x, w), and places to change it. */
struct model {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    Onnx__NodeProto node[2], *nodes[2];
    Onnx__AttributeProto attribute, *attributes[1];
    char *in[2], *out[1], *second_in[2], *second_out[1];
    Onnx__TensorProto weight, *weights[1];
    int64_t dims[2];
    float values[3];
    Onnx__ValueInfoProto x, y, *inputs[1], *outputs[1];
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dim, *dim_list[2];
};

static void describe(struct model *m)
{
    onnx__type_proto__init(&m->type);
    onnx__type_proto__tensor__init(&m->tensor);
    onnx__tensor_shape_proto__init(&m->shape);
    onnx__tensor_shape_proto__dimension__init(&m->dim);
    onnx__value_info_proto__init(&m->x);
    onnx__value_info_proto__init(&m->y);
    m->dim.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    m->dim.dim_value = 3;
    m->dim_list[0] = &m->dim;
    m->shape.n_dim = 1;
    m->shape.dim = m->dim_list;
    m->tensor.has_elem_type = true;
    m->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    m->tensor.shape = &m->shape;
    m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    m->type.tensor_type = &m->tensor;
    m->x.name = (char *)"x";
    m->x.type = &m->type;
    m->y.name = (char *)"y";
    m->inputs[0] = &m->x;
    m->outputs[0] = &m->y;
}

static void begin(struct model *m)
{
    memset(m, 0, sizeof *m);
    onnx__model_proto__init(&m->model);
    onnx__graph_proto__init(&m->graph);
    onnx__operator_set_id_proto__init(&m->opset);
    onnx__node_proto__init(&m->node[0]);
    onnx__node_proto__init(&m->node[1]);
    onnx__attribute_proto__init(&m->attribute);
    onnx__tensor_proto__init(&m->weight);
    describe(m);
    m->opset.has_version = true;
    m->opset.version = 17;
    m->opsets[0] = &m->opset;
    m->model.n_opset_import = 1;
    m->model.opset_import = m->opsets;
    m->model.graph = &m->graph;

    m->in[0] = (char *)"x", m->in[1] = (char *)"w", m->out[0] = (char *)"y";
    m->node[0].op_type = (char *)"Add";
    m->node[0].name = (char *)"sum";
    m->node[0].n_input = 2, m->node[0].input = m->in;
    m->node[0].n_output = 1, m->node[0].output = m->out;
    m->nodes[0] = &m->node[0], m->nodes[1] = &m->node[1];
    m->graph.n_node = 1, m->graph.node = m->nodes;
    m->graph.n_input = 1, m->graph.input = m->inputs;
    m->graph.n_output = 1, m->graph.output = m->outputs;

    m->dims[0] = 3;
    m->weight.name = (char *)"w";
    m->weight.has_data_type = true;
    m->weight.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    m->weight.n_dims = 1, m->weight.dims = m->dims;
    m->weight.n_float_data = 3, m->weight.float_data = m->values;
    m->weights[0] = &m->weight;
    m->graph.n_initializer = 1, m->graph.initializer = m->weights;
}

/* Changes --------------------------------------------------------------------------------------------------------- */

static void nothing(struct model *m)
{
    (void)m;
}
static void no_graph(struct model *m)
{
    m->model.graph = NULL;
}
static void no_output(struct model *m)
{
    m->graph.n_output = 0;
}
static void missing_input(struct model *m)
{
    m->in[1] = (char *)"v";
}
static void missing_input_of_nameless(struct model *m)
{
    missing_input(m);
    m->node[0].name = NULL;
}
static void unmade_output(struct model *m)
{
    m->y.name = (char *)"z";
}
static void made_twice(struct model *m)
{
    m->out[0] = (char *)"x";
}
static void negative_dim(struct model *m)
{
    m->dim.dim_value = -3;
}
static void huge_dim(struct model *m)
{
    m->dim.dim_value = INT64_MAX;
}
static void negative_weight(struct model *m)
{
    m->dims[0] = -3;
}
static void huge_weight(struct model *m)
{
    m->dims[0] = m->dims[1] = INT64_C(1) << 40;
    m->weight.n_dims = 2;
}
static void short_data(struct model *m)
{
    m->weight.n_float_data = 2;
}
static void strange_type(struct model *m)
{
    m->weight.data_type = 99;
}
static void other_file(struct model *m)
{
    m->weight.has_data_location = true;
    m->weight.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}
static void strange_input(struct model *m)
{
    m->type.value_case = ONNX__TYPE_PROTO__VALUE__NOT_SET;
}
static void no_rank(struct model *m)
{
    m->tensor.shape = NULL;
}
static void long_pairs(struct model *m)
{
    m->node[0].op_type = (char *)"DequantizeLinear";
    m->weight.data_type = 22; /* INT4: two a byte */
    m->weight.n_float_data = 0;
    m->weight.has_raw_data = true;
    m->weight.raw_data = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)m->values};
}
static void no_operator(struct model *m)
{
    m->node[0].op_type = NULL;
}
static void unknown_operator(struct model *m)
{
    m->node[0].op_type = (char *)"Conjure";
}
static void classical(struct model *m)
{
    m->node[0].domain = (char *)"ai.onnx.ml";
}
static void unknown_domain(struct model *m)
{
    m->node[0].domain = (char *)"com.example";
}
static void unknown_attribute(struct model *m)
{
    m->attribute.name = (char *)"tilt";
    m->attributes[0] = &m->attribute;
    m->node[0].n_attribute = 1, m->node[0].attribute = m->attributes;
}
/* Of an operator that has none at all. */
static void attribute_of_none(struct model *m)
{
    unknown_attribute(m);
    m->node[0].op_type = (char *)"MatMul";
}
/* A type whose low 32 bits alone are one of ONNX's. */
static void wide_type(struct model *m, const char *operator, const char * name, int type)
{
    unknown_attribute(m);
    m->attribute.name = (char *)(uintptr_t)name;
    m->attribute.has_type = m->attribute.has_i = true;
    m->attribute.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    m->attribute.i = (INT64_C(1) << 32) + type;
    m->node[0].op_type = (char *)(uintptr_t) operator;
    m->node[0].n_input = 1;
}
static void wide_cast(struct model *m)
{
    wide_type(m, "Cast", "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
}
static void wide_text(struct model *m)
{
    wide_type(m, "Cast", "to", ONNX__TENSOR_PROTO__DATA_TYPE__STRING);
}
static void wide_draw(struct model *m)
{
    wide_type(m, "RandomNormalLike", "dtype", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
}
static void wide_eye(struct model *m)
{
    wide_type(m, "EyeLike", "dtype", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    m->dim_list[1] = m->dim_list[0];
    m->shape.n_dim = 2;
}
static void too_few_inputs(struct model *m)
{
    m->node[0].n_input = 1;
}
static void wrong_shapes(struct model *m)
{
    m->dim.dim_value = 4;
}
static void no_opset(struct model *m)
{
    m->opset.version = -1;
}

/* x -> sum -> y, where sum also reads what the node after it makes. */
static void cycle(struct model *m)
{
    m->in[1] = (char *)"z";
    m->second_in[0] = m->second_in[1] = (char *)"y", m->second_out[0] = (char *)"z";
    m->node[1].op_type = (char *)"Add";
    m->node[1].n_input = 2, m->node[1].input = m->second_in;
    m->node[1].n_output = 1, m->node[1].output = m->second_out;
    m->graph.n_node = 2;
}
static void cycle_of_one(struct model *m)
{
    m->in[1] = (char *)"y";
}
static void two_unknown(struct model *m)
{
    cycle(m);
    m->in[1] = (char *)"w";
    m->node[0].op_type = (char *)"Conjure";
    m->node[1].op_type = (char *)"Banish";
}

/* An input, an initializer, a node that reads both, and another: each refused for its own reason. */
static void much(struct model *m)
{
    cycle(m);
    m->in[1] = (char *)"w";
    m->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
    m->weight.data_type = 22;
    unknown_attribute(m);
    m->node[1].op_type = (char *)"Banish";
}

/* w as a sparse tensor of 3 elements, two of them listed. */
static void sparse(struct model *m)
{
    static Onnx__SparseTensorProto tensor, *tensors[1] = {&tensor};
    static Onnx__TensorProto places;
    static int64_t at[2], count[1];
    onnx__sparse_tensor_proto__init(&tensor);
    onnx__tensor_proto__init(&places);
    at[0] = 0, at[1] = 2;
    count[0] = 2;
    places.has_data_type = true;
    places.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    places.n_dims = 1, places.dims = count;
    places.n_int64_data = 2, places.int64_data = at;
    tensor.indices = &places;
    tensor.n_dims = 1, tensor.dims = m->dims + 1;
    tensor.values = &m->weight;
    m->dims[0] = 2, m->dims[1] = 3;
    m->weight.n_float_data = 2;
    m->graph.n_initializer = 0;
    m->graph.n_sparse_initializer = 1, m->graph.sparse_initializer = tensors;
}
static void sparse_beyond(struct model *m)
{
    sparse(m);
    m->graph.sparse_initializer[0]->indices->int64_data[1] = 3;
}
static void sparse_before(struct model *m)
{
    sparse(m);
    m->graph.sparse_initializer[0]->indices->int64_data[0] = -1;
}
static void sparse_unlike(struct model *m)
{
    sparse(m);
    m->graph.sparse_initializer[0]->indices->n_int64_data = 1;
    m->graph.sparse_initializer[0]->indices->dims[0] = 1;
}
static void sparse_huge(struct model *m)
{
    sparse(m);
    m->dims[1] = INT64_C(1) << 38;
}
static void sparse_without_places(struct model *m)
{
    sparse(m);
    m->graph.sparse_initializer[0]->indices = NULL;
}

static const struct damage {
    void (*change)(struct model *m);
    kiln_status status;
    const char *said; /* part of the line */
} damages[] = {
    {nothing, KILN_OK, ""},
    {no_graph, KILN_ERROR_FILE, "no graph"},
    {no_output, KILN_ERROR_FILE, "no graph with outputs"},
    {missing_input, KILN_ERROR_FILE, "reads \"v\", which nothing before it makes"},
    {missing_input_of_nameless, KILN_ERROR_FILE, "Add \"y\" reads \"v\", which nothing before it makes"},
    {cycle, KILN_ERROR_FILE, "reads \"z\", which nothing before it makes"},
    {cycle_of_one, KILN_ERROR_FILE, "Add \"sum\" reads \"y\", which nothing before it makes"},
    {unmade_output, KILN_ERROR_FILE, "output \"z\" is made by no node"},
    {made_twice, KILN_ERROR_FILE, "\"x\" is made twice"},
    {negative_dim, KILN_ERROR_FILE, "input \"x\": size -3 of axis 0 is negative"},
    {huge_dim, KILN_ERROR_FILE, "input \"x\": size 9223372036854775807 of axis 0 is too large"},
    {negative_weight, KILN_ERROR_FILE, "initializer \"w\": size -3"},
    {huge_weight, KILN_ERROR_FILE, "too large to multiply"},
    {short_data, KILN_ERROR_FILE, "its shape has 3 elements, its data 2"},
    {long_pairs, KILN_ERROR_FILE, "initializer \"w\": its shape needs 2 bytes, its raw data has 3"},
    {strange_type, KILN_ERROR_UNSUPPORTED, "initializer \"w\": elements of ONNX type 99"},
    {other_file, KILN_ERROR_FILE, "initializer \"w\": its data lies in another file, which is not named"},
    {strange_input, KILN_ERROR_UNSUPPORTED, "input \"x\": no tensor"},
    {no_rank, KILN_ERROR_UNSUPPORTED, "input \"x\": the file says no shape: give one"},
    {no_operator, KILN_ERROR_FILE, "has no operator"},
    {unknown_operator, KILN_ERROR_UNSUPPORTED, "Conjure \"sum\": no such operator at opset 17"},
    {classical, KILN_ERROR_UNSUPPORTED, "\"sum\": operators of classical machine learning are not supported"},
    {unknown_domain, KILN_ERROR_UNSUPPORTED, "domain com.example"},
    {unknown_attribute, KILN_ERROR_UNSUPPORTED, "attribute tilt is not supported"},
    {attribute_of_none, KILN_ERROR_UNSUPPORTED, "MatMul \"sum\": attribute tilt is not supported"},
    {wide_cast, KILN_ERROR_UNSUPPORTED, "Cast \"sum\": a cast to ONNX type 4294967297 is not supported"},
    {wide_text, KILN_ERROR_UNSUPPORTED, "Cast \"sum\": a cast to ONNX type 4294967304 is not supported"},
    {wide_draw, KILN_ERROR_UNSUPPORTED, "RandomNormalLike \"sum\": a type that is not supported"},
    {wide_eye, KILN_ERROR_UNSUPPORTED, "EyeLike \"sum\": a type that is not supported"},
    {too_few_inputs, KILN_ERROR_UNSUPPORTED, "1 inputs, wanted 2"},
    {two_unknown, KILN_ERROR_UNSUPPORTED,
     "2 parts: Conjure \"sum\": no such operator at opset 17; Banish \"z\""},
    {much, KILN_ERROR_UNSUPPORTED,
     "4 parts: initializer \"w\": integers of 4 bits are not supported; input \"x\": texts are not supported; Add \"sum\": "
     "attribute tilt is not supported; Banish \"z\": no such operator"},
    {sparse, KILN_OK, ""},
    {sparse_beyond, KILN_ERROR_FILE, "initializer \"w\": place 1 is outside of its shape"},
    {sparse_before, KILN_ERROR_FILE, "initializer \"w\": place 0 is outside of its shape"},
    {sparse_unlike, KILN_ERROR_FILE, "its places must be 2 numbers or lists of 1"},
    {sparse_huge, KILN_ERROR_UNSUPPORTED, "the model's sparse tensors become more than 256 MiB"},
    {sparse_without_places, KILN_ERROR_FILE, "a sparse tensor without values or places"},
    {wrong_shapes, KILN_ERROR_SHAPE, "[4] and [3] do not broadcast"},
    {no_opset, KILN_ERROR_FILE, "its opset is no version"},
};

/* Reading --------------------------------------------------------------------------------------------------------- */

/* The lines that were logged. */
struct lines {
    int count;
    char last[1024];
};

static void keep(void *user, kiln_log_level level, const char *line)
{
    struct lines *l = user;
    if (level == KILN_LOG_ERROR) {
        l->count++;
        snprintf(l->last, sizeof l->last, "%s", line);
    }
}

static kiln_status read_with(const char *path, const void *data, size_t size, const kiln_onnx_params *params,
                             struct lines *lines)
{
    kiln_graph *g;
    kiln_weights *w;
    *lines = (struct lines){0};
    kiln_log_to(keep, lines, KILN_LOG_ERROR);
    const kiln_status status = kiln_onnx_read(&g, &w, path, data, size, params);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    const bool made = status == KILN_OK;
    cr_expect(made == (g != NULL));
    cr_expect(made == (w != NULL));
    kiln_graph_destroy(&g);
    kiln_weights_destroy(&w);
    return status;
}

static kiln_status read_at(const char *path, const void *data, size_t size, struct lines *lines)
{
    return read_with(path, data, size, NULL, lines);
}

static kiln_status read_model(const void *data, size_t size, struct lines *lines)
{
    return read_at("model.onnx", data, size, lines);
}

static size_t pack(struct model *m, uint8_t *to, size_t room)
{
    cr_assert(onnx__model_proto__get_packed_size(&m->model) <= room);
    return onnx__model_proto__pack(&m->model, to);
}

Test(onnx_bad, each_damage_is_one_line_that_names_it)
{
    for (size_t i = 0; i < KILN_COUNT(damages); i++) {
        const struct damage *d = &damages[i];
        struct model m;
        struct lines lines;
        uint8_t bytes[1024];
        begin(&m);
        d->change(&m);
        const kiln_status status = read_model(bytes, pack(&m, bytes, sizeof bytes), &lines);
        cr_expect(status == d->status, "%s: %s, wanted %s (%s)", d->said, kiln_status_text(status),
                  kiln_status_text(d->status), lines.last);
        cr_expect(lines.count == (d->status != KILN_OK), "%s: %d lines", d->said, lines.count);
        cr_expect(strstr(lines.last, d->said) != NULL, "wanted \"%s\", got \"%s\"", d->said, lines.last);
    }
}

/* Of a model whose input "x" has a size "n". */
static const struct {
    kiln_onnx_size size;   /* without a name: none */
    kiln_onnx_fixed fixed; /* without values: none */
    const char *said;      /* NULL: nothing */
} gifts[] = {
    {.size = {"n", 3}},
    {.size = {"n", -3}, .said = "size \"n\" is given as -3, wanted 0 to 1099511627776"},
    {.size = {"n", INT64_MAX}, .said = "size \"n\" is given as 9223372036854775807"},
    {.size = {"m", 3}, .said = "no input has a size \"m\""},
    {.fixed = {.value.data = (float[3]){1, 2, 3}, .value.shape = {1, {3}}}},
    {.fixed = {.input = "v", .value.data = ""}, .said = "there is no input \"v\""},
    {.fixed = {.index = 1, .value.data = ""}, .said = "there is no input 1, the model has 1"},
};

Test(onnx_bad, a_shape_that_the_file_leaves_open_may_be_given)
{
    struct model m;
    struct lines lines;
    uint8_t bytes[1024];
    const kiln_onnx_fixed given = {.value.shape = {1, {3}}};
    begin(&m);
    no_rank(&m);
    const size_t size = pack(&m, bytes, sizeof bytes);
    const kiln_onnx_params params = {.fixed = &given, .fixed_count = 1};
    cr_expect(read_with("model.onnx", bytes, size, &params, &lines) == KILN_OK, "%s", lines.last);
}

Test(onnx_bad, what_is_given_must_have_its_place)
{
    struct model m;
    struct lines lines;
    uint8_t bytes[1024];
    begin(&m);
    m.dim.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    m.dim.dim_param = (char *)"n";
    const size_t size = pack(&m, bytes, sizeof bytes);
    for (size_t i = 0; i < KILN_COUNT(gifts); i++) {
        const kiln_onnx_params params = {.sizes = &gifts[i].size,
                                         .size_count = gifts[i].size.name != NULL,
                                         .fixed = &gifts[i].fixed,
                                         .fixed_count = gifts[i].fixed.value.data != NULL};
        const kiln_status status = read_with("model.onnx", bytes, size, &params, &lines);
        cr_expect(status == (gifts[i].said ? KILN_ERROR_ARGUMENT : KILN_OK), "%zu: %s", i,
                  kiln_status_text(status));
        cr_expect(lines.count == (gifts[i].said != NULL), "%zu: %d lines", i, lines.count);
        if (gifts[i].said)
            cr_expect(strstr(lines.last, gifts[i].said) != NULL, "wanted \"%s\", got \"%s\"", gifts[i].said,
                      lines.last);
    }
}

/* Data in other files --------------------------------------------------------------------------------------------- */

static void put_zeros(const char *name, size_t bytes)
{
    FILE *file = fopen(in_folder(name), "wb");
    cr_assert(file != NULL);
    for (size_t i = 0; i < bytes; i++)
        fputc(0, file);
    fclose(file);
}

static const struct {
    const char *location, *offset, *length;
    kiln_status status;
    const char *said;
} places[] = {
    {"w.bin", NULL, NULL, KILN_OK, ""},
    {"w.bin", "8", "12", KILN_OK, ""},
    {"w.bin", "3", "12", KILN_OK, ""}, /* no place for a float, so it is copied */
    {"a/../w.bin", NULL, NULL, KILN_OK, ""},
    {"w.bin", "12", NULL, KILN_ERROR_FILE, "needs 12 bytes from 12 on, \"w.bin\" has 20"},
    {"w.bin", "18446744073709551600", NULL, KILN_ERROR_FILE, "needs 12 bytes from 18446744073709551600 on"},
    {"w.bin", "18446744073709551616", NULL, KILN_ERROR_FILE,
     "the offset of its data is \"18446744073709551616\""},
    {"w.bin", "-4", NULL, KILN_ERROR_FILE, "the offset of its data is \"-4\", wanted a number"},
    {"w.bin", "", NULL, KILN_ERROR_FILE, "the offset of its data is \"\""},
    {"w.bin", NULL, "8", KILN_ERROR_FILE, "its shape needs 12 bytes, \"w.bin\" has 8 for it"},
    {"", NULL, NULL, KILN_ERROR_FILE, "its data lies in another file, which is not named"},
    {"v.bin", NULL, NULL, KILN_ERROR_FILE, "its data lies in \"v.bin\": No such file"},
    {"a", NULL, NULL, KILN_ERROR_FILE, "wanted a file, this is a folder"},
    {"../w.bin", NULL, NULL, KILN_ERROR_FILE, "\"../w.bin\", which is outside the model's folder"},
    {"a/../../w.bin", NULL, NULL, KILN_ERROR_FILE, "which is outside the model's folder"},
    {"/etc/passwd", NULL, NULL, KILN_ERROR_FILE, "\"/etc/passwd\", which is outside the model's folder"},
    {"link", NULL, NULL, KILN_ERROR_FILE, "\"link\", which is outside the model's folder"},
};

static void place_weight(struct model *m, Onnx__StringStringEntryProto entry[3],
                         Onnx__StringStringEntryProto *entries[3], size_t i)
{
    const char *const text[3][2] = {{"location", places[i].location},
                                    {"offset", places[i].offset},
                                    {"length", places[i].length}};
    begin(m);
    m->weight.n_float_data = 0;
    m->weight.has_data_location = true;
    m->weight.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    m->weight.external_data = entries;
    for (int k = 0; k < 3; k++)
        if (text[k][1]) {
            Onnx__StringStringEntryProto *e = entries[m->weight.n_external_data++] = &entry[k];
            onnx__string_string_entry_proto__init(e);
            e->key = (char *)(uintptr_t)text[k][0];
            e->value = (char *)(uintptr_t)text[k][1];
        }
}

Test(onnx_bad, data_in_other_files_is_read_within_the_model_s_folder_alone)
{
    char path[256];
    open_folder();
    snprintf(path, sizeof path, "%s", in_folder("m/model.onnx"));
    cr_assert(mkdir(in_folder("m"), 0700) == 0);
    put_zeros("w.bin", 20);
    put_zeros("m/w.bin", 20);
    cr_assert(mkdir(in_folder("m/a"), 0700) == 0);
    cr_assert(symlink("../w.bin", in_folder("m/link")) == 0);
    for (size_t i = 0; i < KILN_COUNT(places); i++) {
        Onnx__StringStringEntryProto entry[3], *entries[3];
        struct model m;
        struct lines lines;
        uint8_t bytes[1024];
        place_weight(&m, entry, entries, i);
        const kiln_status status = read_at(path, bytes, pack(&m, bytes, sizeof bytes), &lines);
        cr_expect(status == places[i].status, "%zu: %s", i, lines.last);
        cr_expect(lines.count == (status != KILN_OK), "%zu: %d lines", i, lines.count);
        cr_expect(strstr(lines.last, places[i].said) != NULL, "wanted \"%s\", got \"%s\"", places[i].said,
                  lines.last);
    }
    leave_folder();
}

/* Functions -------------------------------------------------------------------------------------------------------- */

/* Functions F0, F1, .. of one node each; the model calls the first. */
struct own {
    struct model m;
    Onnx__FunctionProto function[40], *functions[40];
    Onnx__NodeProto call[40], *calls[40];
    char name[41][8], *in[1], *out[1];
};

static void add_functions(struct own *o, int count, bool closed)
{
    begin(&o->m);
    o->in[0] = (char *)"a", o->out[0] = (char *)"b";
    for (int i = 0; i <= count; i++)
        snprintf(o->name[i], sizeof o->name[i], "F%d", closed ? i % count : i);
    for (int i = 0; i < count; i++) {
        Onnx__FunctionProto *f = o->functions[i] = &o->function[i];
        Onnx__NodeProto *n = o->calls[i] = &o->call[i];
        onnx__function_proto__init(f);
        onnx__node_proto__init(n);
        n->op_type = closed || i + 1 < count ? o->name[i + 1] : (char *)"Neg";
        n->domain = closed || i + 1 < count ? (char *)"own" : NULL;
        n->n_input = n->n_output = f->n_input = f->n_output = f->n_node = 1;
        n->input = f->input = o->in;
        n->output = f->output = o->out;
        f->name = o->name[i];
        f->domain = (char *)"own";
        f->node = &o->calls[i];
    }
    o->m.model.n_functions = (size_t)count;
    o->m.model.functions = o->functions;
    o->m.node[0].op_type = (char *)"F0";
    o->m.node[0].domain = (char *)"own";
    o->m.node[0].n_input = 1;
}

static void expect_own(struct own *o, kiln_status wanted, const char *said)
{
    static uint8_t bytes[1 << 14];
    struct lines lines;
    const kiln_status status = read_model(bytes, pack(&o->m, bytes, sizeof bytes), &lines);
    cr_expect(status == wanted && lines.count == (wanted != KILN_OK), "%s: %s", said, lines.last);
    cr_expect(strstr(lines.last, said) != NULL, "wanted \"%s\", got \"%s\"", said, lines.last);
}

Test(onnx_bad, functions_that_call_themselves_or_too_deep_are_refused)
{
    static struct own o;
    add_functions(&o, 30, false);
    expect_own(&o, KILN_OK, "");
    add_functions(&o, 1, true);
    expect_own(&o, KILN_ERROR_FILE, "function \"F0\" calls itself");
    add_functions(&o, 3, true);
    expect_own(&o, KILN_ERROR_FILE, "function \"F0\" calls itself");
    add_functions(&o, 40, false);
    expect_own(&o, KILN_ERROR_UNSUPPORTED, "more than 32 deep");
}

Test(onnx_bad, functions_that_grow_beyond_all_bounds_are_refused)
{
    static struct own o;
    static Onnx__NodeProto *twice[30][2];
    add_functions(&o, 30, false);
    for (int i = 0; i < 29; i++) { /* each calls the next one twice */
        static Onnx__NodeProto again[29];
        static char *other[1];
        other[0] = (char *)"c";
        again[i] = o.call[i];
        again[i].output = other;
        twice[i][0] = &o.call[i], twice[i][1] = &again[i];
        o.function[i].n_node = 2;
        o.function[i].node = twice[i];
    }
    expect_own(&o, KILN_ERROR_UNSUPPORTED, "its functions become more than 131072 nodes");
}

Test(onnx_bad, a_function_s_faults_are_told_with_its_call)
{
    static struct own o;
    add_functions(&o, 2, false);
    o.call[1].op_type = (char *)"Conjure";
    expect_own(&o, KILN_ERROR_UNSUPPORTED, "Conjure \"sum.b.b\": no such operator");
    add_functions(&o, 1, false);
    o.m.node[0].n_input = 2;
    expect_own(&o, KILN_ERROR_UNSUPPORTED, "F0 \"sum\": 2 inputs, wanted 1");
    add_functions(&o, 1, false);
    unknown_attribute(&o.m);
    expect_own(&o, KILN_ERROR_UNSUPPORTED, "F0 \"sum\": the function has no attribute tilt");
    add_functions(&o, 2, false);
    o.function[1].name = o.name[0];
    expect_own(&o, KILN_ERROR_FILE, "function \"own:F0:\" is there twice");
    add_functions(&o, 1, false);
    o.out[0] = (char *)"c";
    o.function[0].output = o.in;
    expect_own(&o, KILN_OK, "");
}

/* F0(a, i) = Gather(a, i) is called with rows w and data x; an initializer i has nothing to do with it. */
Test(onnx_bad, a_function_s_input_is_not_the_initializer_of_its_name)
{
    static struct own o;
    static char *formal[] = {"a", "i"}, *given[] = {"w", "x"};
    static int64_t place;
    static uint8_t bytes[1 << 10];
    kiln_graph *g;
    kiln_weights *w;
    add_functions(&o, 1, false);
    o.call[0].op_type = (char *)"Gather";
    o.call[0].n_input = o.function[0].n_input = o.m.node[0].n_input = 2;
    o.call[0].input = o.function[0].input = formal;
    o.m.node[0].input = given;
    o.m.tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    Onnx__TensorProto i = ONNX__TENSOR_PROTO__INIT, *initializers[] = {&o.m.weight, &i};
    i.name = formal[1];
    i.has_data_type = true, i.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    i.n_int64_data = 1, i.int64_data = &place;
    o.m.graph.n_initializer = 2, o.m.graph.initializer = initializers;
    cr_assert_eq(kiln_onnx_read(&g, &w, "m", bytes, pack(&o.m, bytes, sizeof bytes), NULL), KILN_OK);
    cr_expect(kiln_weights_is_parameter(w, "w"), "a table that data names rows of is learned");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(onnx_bad, a_model_cut_anywhere_is_refused_or_whole)
{
    struct model m;
    struct lines lines;
    uint8_t bytes[1024];
    begin(&m);
    const size_t size = pack(&m, bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        const kiln_status status = read_model(bytes, cut, &lines);
        cr_expect(lines.count == (status != KILN_OK), "%zu bytes: %d lines", cut, lines.count);
    }
}

Test(onnx_bad, bytes_turned_over_never_do_harm)
{
    struct model m;
    struct lines lines;
    uint8_t bytes[1024];
    begin(&m);
    const size_t size = pack(&m, bytes, sizeof bytes);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            read_model(bytes, size, &lines);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
}

/* Make what lies from *at on a field of that number: put its tag and length before it. */
static void wrap(uint8_t *bytes, size_t room, size_t *at, int field)
{
    uint8_t head[8] = {(uint8_t)(field << 3 | 2)};
    size_t digits = 1;
    for (size_t length = room - *at; length || digits == 1; length >>= 7)
        head[digits++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    *at -= digits;
    memcpy(bytes + *at, head, digits);
}

/* Nodes that make 65,536 numbers each from a few bytes: what is known while reading has a bound for all of them together. */
Test(onnx_bad, values_known_while_reading_take_bounded_memory)
{
    enum { NODES = 400 };
    static Onnx__NodeProto node[NODES], *nodes[NODES];
    static char name[NODES][8], *outs[NODES][1], *in[1] = {(char *)"w"};
    static uint8_t bytes[1 << 16];
    struct lines lines;
    struct model m;
    begin(&m);
    int64_t size[1] = {1 << 16};
    m.weight.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    m.dims[0] = 1;
    m.weight.n_float_data = 0;
    m.weight.n_int64_data = 1, m.weight.int64_data = size;
    for (int i = 0; i < NODES; i++) {
        onnx__node_proto__init(&node[i]);
        snprintf(name[i], sizeof name[i], i ? "c%d" : "y", i);
        outs[i][0] = name[i];
        node[i].op_type = (char *)"ConstantOfShape";
        node[i].n_input = node[i].n_output = 1;
        node[i].input = in, node[i].output = outs[i];
        nodes[i] = &node[i];
    }
    m.graph.n_node = NODES, m.graph.node = nodes;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    cr_expect(read_model(bytes, pack(&m, bytes, sizeof bytes), &lines) == KILN_OK, "%s", lines.last);
    getrusage(RUSAGE_SELF, &after);
    cr_expect(after.ru_maxrss - before.ru_maxrss < 300 << 10, "%ld KiB more",
              after.ru_maxrss - before.ru_maxrss);
}

/* A graph in an attribute of a node of a graph in an attribute ..: the unpacker recurses, so depth is refused first. */
Test(onnx_bad, endless_nesting_is_refused)
{
    enum { LEVELS = 20000, ROOM = LEVELS * 16 };
    enum { MODEL_GRAPH = 7, GRAPH_NODE = 1, NODE_ATTRIBUTE = 5, ATTRIBUTE_GRAPH = 6 };
    static uint8_t bytes[ROOM];
    struct lines lines;
    size_t at = ROOM;
    for (int level = 0; level < LEVELS; level++) {
        wrap(bytes, ROOM, &at, ATTRIBUTE_GRAPH);
        wrap(bytes, ROOM, &at, NODE_ATTRIBUTE);
        wrap(bytes, ROOM, &at, GRAPH_NODE);
    }
    wrap(bytes, ROOM, &at, MODEL_GRAPH);
    cr_expect(read_model(bytes + at, ROOM - at, &lines) == KILN_ERROR_FILE);
    cr_expect(lines.count == 1);
}
