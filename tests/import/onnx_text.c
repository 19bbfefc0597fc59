/* onnx_text.c - a model's text becomes protobuf-c's structures, these a file's bytes, and these are loaded. */
#include "onnx_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/onnx.h"
#include "support/support.h"

enum { MOST = 64 };

struct reader {
    struct kiln_arena arena;
    const char *at;
};

static void *take(struct reader *r, size_t bytes)
{
    void *memory = kiln_arena_alloc(&r->arena, bytes);
    cr_assert(memory != NULL);
    return memory;
}

/* Words ------------------------------------------------------------------------------------------------- */

static void skip_blanks(struct reader *r)
{
    while (*r->at == ' ')
        r->at++;
}

/* Whether the next is that character, which is then passed. */
static bool next_is(struct reader *r, char c)
{
    skip_blanks(r);
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

/* Letters, digits, _ and dots; may be empty. */
static char *word(struct reader *r)
{
    skip_blanks(r);
    const char *from = r->at;
    while (isalnum((unsigned char)*r->at) || (*r->at && strchr("_./", *r->at)))
        r->at++;
    char *copy = take(r, (size_t)(r->at - from) + 1);
    return memcpy(copy, from, (size_t)(r->at - from));
}

/* Words with commas between; returns how many. */
static size_t words(struct reader *r, char ***out)
{
    size_t count = 0;
    *out = take(r, MOST * sizeof **out);
    do
        (*out)[count++] = word(r);
    while (next_is(r, ',') && count < MOST);
    return count == 1 && !(*out)[0][0] ? 0 : count;
}

/* Attributes -------------------------------------------------------------------------------------------- */

static void value(struct reader *r, Onnx__AttributeProto *a)
{
    skip_blanks(r);
    if (next_is(r, '"')) {
        const char *end = strchr(r->at, '"');
        cr_assert(end != NULL, "%s", r->at);
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
        a->strings[a->n_strings++] =
            (ProtobufCBinaryData){(size_t)(end - r->at), (uint8_t *)(uintptr_t)r->at};
        r->at = end + 1;
        return;
    }
    char *end, *whole_end;
    const float real = strtof(r->at, &end);
    const int64_t whole = strtoll(r->at, &whole_end, 10);
    cr_assert(end > r->at, "no number: %s", r->at);
    a->type = end > whole_end ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS
                              : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    if (end > whole_end)
        a->floats[a->n_floats++] = real;
    else
        a->ints[a->n_ints++] = whole;
    r->at = end;
}

/* One value, not a list of one. */
static void make_single(Onnx__AttributeProto *a)
{
    a->has_f = a->n_floats, a->f = a->n_floats ? a->floats[0] : 0;
    a->has_i = a->n_ints, a->i = a->n_ints ? a->ints[0] : 0;
    a->has_s = a->n_strings;
    if (a->has_s)
        a->s = a->strings[0];
    a->type = a->has_f   ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
              : a->has_i ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
                         : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    a->n_floats = a->n_ints = a->n_strings = 0;
}

static Onnx__AttributeProto *attribute(struct reader *r)
{
    Onnx__AttributeProto *a = take(r, sizeof *a);
    onnx__attribute_proto__init(a);
    a->name = word(r);
    a->has_type = true;
    a->floats = take(r, MOST * sizeof *a->floats);
    a->ints = take(r, MOST * sizeof *a->ints);
    a->strings = take(r, MOST * sizeof *a->strings);
    cr_assert(next_is(r, '='), "attribute %s", a->name);
    const bool list = next_is(r, '[');
    do
        value(r, a);
    while (list && next_is(r, ','));
    if (list)
        cr_assert(next_is(r, ']'), "attribute %s", a->name);
    else
        make_single(a);
    return a;
}

/* Nodes and the rest ------------------------------------------------------------------------------------ */

static Onnx__NodeProto *node(struct reader *r)
{
    Onnx__NodeProto *n = take(r, sizeof *n);
    onnx__node_proto__init(n);
    n->n_output = words(r, &n->output);
    cr_assert(next_is(r, '='), "no node: %s", r->at);
    n->op_type = word(r);
    char *dot = strrchr(n->op_type, '.');
    if (dot) {
        n->domain = n->op_type;
        n->op_type = dot + 1;
        *dot = 0;
    }
    n->attribute = take(r, MOST * sizeof *n->attribute);
    for (bool more = next_is(r, '<'); more && !next_is(r, '>');)
        if (!next_is(r, ','))
            n->attribute[n->n_attribute++] = attribute(r);
    cr_assert(next_is(r, '('), "%s: %s", n->op_type, r->at);
    n->n_input = words(r, &n->input);
    cr_assert(next_is(r, ')'), "%s: %s", n->op_type, r->at);
    return n;
}

static void read_nodes(struct reader *r, Onnx__GraphProto *graph, const char *text)
{
    graph->node = take(r, MOST * sizeof *graph->node);
    for (r->at = text; *r->at; r->at += strspn(r->at, "\n "))
        graph->node[graph->n_node++] = node(r);
}

static Onnx__ValueInfoProto *info(struct reader *r, char *name, const kiln_spec *spec)
{
    Onnx__ValueInfoProto *v = take(r, sizeof *v);
    onnx__value_info_proto__init(v);
    v->name = name;
    if (!spec)
        return v;
    v->type = take(r, sizeof *v->type);
    onnx__type_proto__init(v->type);
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *t = v->type->tensor_type = take(r, sizeof *t);
    onnx__type_proto__tensor__init(t);
    t->has_elem_type = true;
    t->elem_type = kiln_onnx_type_of(spec->type);
    t->shape = take(r, sizeof *t->shape);
    onnx__tensor_shape_proto__init(t->shape);
    t->shape->n_dim = (size_t)spec->shape.rank;
    t->shape->dim = take(r, MOST * sizeof *t->shape->dim);
    for (int i = 0; i < spec->shape.rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i] = take(r, sizeof *d);
        onnx__tensor_shape_proto__dimension__init(d);
        if (spec->shape.size[i] < 0) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = take(r, 32);
            snprintf(d->dim_param, 32, "d%lld", (long long)-spec->shape.size[i]);
            continue;
        }
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d->dim_value = spec->shape.size[i];
    }
    return v;
}

static Onnx__ValueInfoProto **read_infos(struct reader *r, const char *names, const kiln_spec *specs,
                                         size_t *count)
{
    Onnx__ValueInfoProto **list = take(r, MOST * sizeof *list);
    for (r->at = names; *r->at; ++*count) {
        list[*count] = info(r, word(r), specs ? &specs[*count] : NULL);
        skip_blanks(r);
    }
    return list;
}

static void read_initializers(struct reader *r, Onnx__GraphProto *graph, const struct kiln_test_onnx *model)
{
    graph->initializer = take(r, MOST * sizeof *graph->initializer);
    for (r->at = model->initializers ? model->initializers : ""; *r->at; skip_blanks(r)) {
        const kiln_array *a = &model->initializer[graph->n_initializer];
        Onnx__TensorProto *t = graph->initializer[graph->n_initializer++] = take(r, sizeof *t);
        onnx__tensor_proto__init(t);
        t->name = word(r);
        t->has_data_type = true, t->data_type = kiln_onnx_type_of(a->type);
        t->n_dims = (size_t)a->shape.rank, t->dims = (int64_t *)(uintptr_t)a->shape.size;
        t->has_raw_data = true;
        t->raw_data.data = a->data;
        t->raw_data.len = (size_t)kiln_shape_count(&a->shape) * kiln_type_size(a->type);
    }
}

kiln_status kiln_test_onnx_load(kiln_graph **g, kiln_weights **w, const struct kiln_test_onnx *model,
                                const kiln_spec *inputs, const kiln_onnx_params *params)
{
    struct reader r = {0};
    Onnx__ModelProto proto = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto standard = ONNX__OPERATOR_SET_ID_PROTO__INIT,
                             training = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&standard, &training};
    standard.domain = "", standard.has_version = true, standard.version = model->opset;
    training.domain = "ai.onnx.preview.training", training.has_version = true, training.version = 1;
    read_nodes(&r, &graph, model->nodes);
    graph.input = read_infos(&r, model->inputs, inputs, &graph.n_input);
    graph.output = read_infos(&r, model->outputs, NULL, &graph.n_output);
    read_initializers(&r, &graph, model);
    proto.graph = &graph;
    proto.has_ir_version = true, proto.ir_version = 8;
    proto.n_opset_import = 2, proto.opset_import = opsets;
    const size_t size = onnx__model_proto__get_packed_size(&proto);
    void *bytes = take(&r, size);
    onnx__model_proto__pack(&proto, bytes);
    const kiln_status status = kiln_onnx_read(g, w, "text", bytes, size, params);
    kiln_arena_finish(&r.arena);
    return status;
}

bool kiln_test_onnx_refused(const struct kiln_test_onnx *model, const kiln_spec *inputs)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    const kiln_status status = kiln_test_onnx_load(&g, &w, model, inputs, NULL);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return status == KILN_ERROR_UNSUPPORTED;
}

void kiln_test_onnx_call(kiln_graph *g, const struct kiln_test_onnx *model, const kiln_tensor *in,
                         kiln_tensor *out)
{
    kiln_spec specs[MOST];
    kiln_graph *body = NULL;
    kiln_weights *w = NULL;
    for (int i = 0; i < MOST && in[i].id; i++)
        specs[i] = kiln_tensor_spec(g, in[i]);
    cr_assert_eq(kiln_test_onnx_load(&body, &w, model, specs, NULL), KILN_OK, "%s", model->nodes);
    kiln_call(g, body, in, out);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&body);
}

float kiln_test_onnx_value(int k, int64_t i)
{
    const uint32_t bits = (uint32_t)(i + 1) * 2654435761u + (uint32_t)(k + 1) * 2246822519u;
    return (float)((bits ^ bits >> 15) * 2654435761u >> 8) / 8388608 - 1;
}

kiln_tensor kiln_test_onnx_operand(kiln_graph *g, int k, kiln_shape shape)
{
    const int64_t count = kiln_shape_count(&shape);
    float *values = malloc((size_t)count * sizeof *values + 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = kiln_test_onnx_value(k, i);
    const kiln_tensor t = kiln_test_values(g, shape, values);
    free(values);
    return t;
}
