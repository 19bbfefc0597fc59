/* onnx_control.c - a Loop whose steps data counts, with a body that reads values around it; and bodies that are damaged. */
#include <stdlib.h>
#include <string.h>

#include "import/onnx.h"
#include "support/support.h"

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

#define NAMES(...) (char *[]){__VA_ARGS__}, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)

/* x, v: f32 [3]; n, i: i64; c, k: truth */
struct model {
    Onnx__ModelProto model;
    Onnx__GraphProto graph, body;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    Onnx__NodeProto node[4], *outer[2], *inner[2];
    Onnx__AttributeProto attribute, *attributes[1];
    Onnx__ValueInfoProto info[9], *inputs[2], *outputs[2], *body_inputs[3], *body_outputs[3];
    Onnx__TypeProto type[2];
    Onnx__TypeProto__Tensor tensor[2];
    Onnx__TensorShapeProto shape[2];
    Onnx__TensorShapeProto__Dimension dim, *dims[1];
};

static void describe(struct model *m)
{
    for (int i = 0; i < 2; i++) {
        onnx__type_proto__init(&m->type[i]);
        onnx__type_proto__tensor__init(&m->tensor[i]);
        onnx__tensor_shape_proto__init(&m->shape[i]);
        m->tensor[i].has_elem_type = true;
        m->tensor[i].elem_type =
            i ? ONNX__TENSOR_PROTO__DATA_TYPE__INT64 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
        m->tensor[i].shape = &m->shape[i];
        m->type[i].value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        m->type[i].tensor_type = &m->tensor[i];
    }
    onnx__tensor_shape_proto__dimension__init(&m->dim);
    m->dim.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    m->dim.dim_value = 3;
    m->dims[0] = &m->dim;
    m->shape[0].n_dim = 1;
    m->shape[0].dim = m->dims;
}

static void put_node(struct model *m, int i, const char *op, char **in, size_t inputs, char **out,
                     size_t outputs)
{
    Onnx__NodeProto *n = &m->node[i];
    onnx__node_proto__init(n);
    n->op_type = (char *)(uintptr_t)op;
    n->input = in, n->n_input = inputs;
    n->output = out, n->n_output = outputs;
}

static Onnx__ValueInfoProto *value(struct model *m, int i, const char *name)
{
    onnx__value_info_proto__init(&m->info[i]);
    m->info[i].name = (char *)(uintptr_t)name;
    m->info[i].type = &m->type[name[0] == 'n'];
    return &m->info[i];
}

static void put_body(struct model *m)
{
    onnx__graph_proto__init(&m->body);
    m->inner[0] = &m->node[2], m->inner[1] = &m->node[3];
    m->body.node = m->inner, m->body.n_node = 2;
    m->body_inputs[0] = value(m, 4, "i"), m->body_inputs[1] = value(m, 5, "c");
    m->body_inputs[2] = value(m, 6, "v");
    m->body.input = m->body_inputs, m->body.n_input = 3;
    m->body_outputs[0] = value(m, 7, "k"), m->body_outputs[1] = value(m, 8, "w");
    m->body_outputs[2] = &m->info[6];
    m->body.output = m->body_outputs, m->body.n_output = 3;
    onnx__attribute_proto__init(&m->attribute);
    m->attribute.name = (char *)"body";
    m->attribute.has_type = true;
    m->attribute.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    m->attribute.g = &m->body;
    m->attributes[0] = &m->attribute;
    m->node[1].attribute = m->attributes, m->node[1].n_attribute = 1;
}

/* d = x x; last, stacked = Loop(n, x) of: w = v + d, while true, stacking v */
#define BEGIN(m)                                                                \
    memset(m, 0, sizeof *(m));                                                  \
    describe(m);                                                                \
    put_node(m, 0, "Mul", NAMES((char *)"x", (char *)"x"), NAMES((char *)"d")); \
    put_node(m, 1, "Loop", NAMES((char *)"n", (char *)"", (char *)"x"),         \
             NAMES((char *)"last", (char *)"stacked"));                         \
    put_node(m, 2, "Add", NAMES((char *)"v", (char *)"d"), NAMES((char *)"w")); \
    put_node(m, 3, "Identity", NAMES((char *)"c"), NAMES((char *)"k"));         \
    put_body(m);                                                                \
    finish(m)

static void finish(struct model *m)
{
    onnx__model_proto__init(&m->model);
    onnx__graph_proto__init(&m->graph);
    onnx__operator_set_id_proto__init(&m->opset);
    m->opset.has_version = true;
    m->opset.version = 17;
    m->opsets[0] = &m->opset;
    m->model.n_opset_import = 1, m->model.opset_import = m->opsets;
    m->model.graph = &m->graph;
    m->outer[0] = &m->node[0], m->outer[1] = &m->node[1];
    m->graph.node = m->outer, m->graph.n_node = 2;
    m->inputs[0] = value(m, 0, "n"), m->inputs[1] = value(m, 1, "x");
    m->graph.input = m->inputs, m->graph.n_input = 2;
    m->outputs[0] = value(m, 2, "last"), m->outputs[1] = value(m, 3, "stacked");
    m->graph.output = m->outputs, m->graph.n_output = 2;
}

static kiln_status load(const struct model *m, int64_t most_steps, kiln_graph **g, kiln_weights **w)
{
    const size_t size = onnx__model_proto__get_packed_size(&m->model);
    uint8_t *data = malloc(size + 1);
    cr_assert(data != NULL);
    onnx__model_proto__pack(&m->model, data);
    const kiln_status status =
        kiln_onnx_read(g, w, "loop.onnx", data, size, &(kiln_onnx_params){.most_steps = most_steps});
    free(data);
    return status;
}

/* x + n x^2, and the values before each step. */
static void run(const kiln_graph *g, kiln_weights *w, int64_t n, int64_t steps)
{
    float x[] = {1, 2, -3}, last[3], stacked[64];
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    kiln_array rows = {.data = stacked, .bytes = sizeof stacked};
    ok(kiln_program_create(&p, dev, g, w, NULL));
    ok(kiln_program_write(p, kiln_graph_input(g, 0), &(kiln_array){.data = &n, .type = KILN_I64}));
    ok(kiln_program_write(p, kiln_graph_input(g, 1), &(kiln_array){.data = x, .shape = KILN_SHAPE(3)}));
    ok(kiln_program_run(p));
    ok(kiln_program_read(p, kiln_graph_output(g, 0), &(kiln_array){.data = last, .bytes = sizeof last}));
    ok(kiln_program_read(p, kiln_graph_output(g, 1), &rows));
    cr_expect(rows.shape.size[0] == steps, "%lld rows", (long long)rows.shape.size[0]);
    for (int i = 0; i < 3; i++)
        cr_expect(last[i] == x[i] + (float)steps * x[i] * x[i], "%d: %g", i, (double)last[i]);
    for (int i = 0; i < 3 * steps; i++)
        cr_expect(stacked[i] == x[i % 3] + (float)(i / 3) * x[i % 3] * x[i % 3], "%d", i);
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

Test(onnx_control, a_loop_makes_the_steps_that_data_says_up_to_the_most)
{
    struct model m;
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    BEGIN(&m);
    ok(load(&m, 5, &g, &w));
    run(g, w, 3, 3);
    run(g, w, 0, 0);
    run(g, w, 9, 5);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(onnx_control, what_is_wrong_with_a_body_is_said)
{
    struct model m;
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    BEGIN(&m);
    cr_expect(load(&m, 0, &g, &w) == KILN_ERROR_UNSUPPORTED, "no bound");
    m.node[2].op_type = (char *)"Nothing";
    cr_expect(load(&m, 5, &g, &w) == KILN_ERROR_UNSUPPORTED, "an operator that there is not");
    BEGIN(&m);
    m.body.n_input = 1;
    cr_expect(load(&m, 5, &g, &w) == KILN_ERROR_UNSUPPORTED, "a body of one input");
    BEGIN(&m);
    m.body.n_input = 2;
    cr_expect(load(&m, 5, &g, &w) != KILN_OK, "a body without the carry");
    BEGIN(&m);
    m.info[6].name = NULL;
    cr_expect(load(&m, 5, &g, &w) != KILN_OK, "a carry without a name");
    BEGIN(&m);
    m.body.n_output = 1;
    cr_expect(load(&m, 5, &g, &w) == KILN_ERROR_UNSUPPORTED, "a body without outputs");
    BEGIN(&m);
    m.attribute.g = NULL;
    cr_expect(load(&m, 5, &g, &w) == KILN_ERROR_UNSUPPORTED, "no body");
    cr_expect(g == NULL && w == NULL);
}
