/* onnx_random.c - ONNX's random operators, each a model of one node: what they draw is in range, and by a seed the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "import/onnx.h"
#include "support/support.h"

enum { ROWS = 500, CLASSES = 4, COUNT = ROWS * CLASSES };

struct random_case {
    const char *op;
    bool takes_input;
    double low, high, mean; /* of the results */
};

/* x is a quarter everywhere, so that it is a probability, and scores of which none is better. */
static const struct random_case cases[] = {
    {"RandomUniform", false, 0, 1, 0.5}, {"RandomUniformLike", true, 0, 1, 0.5},
    {"RandomNormal", false, -6, 6, 0},   {"RandomNormalLike", true, -6, 6, 0},
    {"Bernoulli", true, 0, 1, 0.25},     {"Multinomial", true, 0, CLASSES - 1, (CLASSES - 1) / 2.0},
};

struct model {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    Onnx__NodeProto node, *nodes[1];
    Onnx__AttributeProto attribute[3], *attributes[3];
    Onnx__ValueInfoProto info[2], *inputs[1], *outputs[1];
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dim[2], *dims[2];
    int64_t size[2];
};

static Onnx__AttributeProto *attribute(struct model *m, const char *name,
                                       Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *a = &m->attribute[m->node.n_attribute];
    onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t)name;
    a->has_type = true;
    a->type = type;
    m->attributes[m->node.n_attribute++] = a;
    m->node.attribute = m->attributes;
    return a;
}

static void put_type(struct model *m)
{
    onnx__type_proto__init(&m->type);
    onnx__type_proto__tensor__init(&m->tensor);
    onnx__tensor_shape_proto__init(&m->shape);
    for (int i = 0; i < 2; i++) {
        m->size[i] = i ? CLASSES : ROWS;
        onnx__tensor_shape_proto__dimension__init(&m->dim[i]);
        m->dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        m->dim[i].dim_value = m->size[i];
        m->dims[i] = &m->dim[i];
    }
    m->shape.n_dim = 2, m->shape.dim = m->dims;
    m->tensor.has_elem_type = true;
    m->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    m->tensor.shape = &m->shape;
    m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    m->type.tensor_type = &m->tensor;
    for (int i = 0; i < 2; i++) {
        onnx__value_info_proto__init(&m->info[i]);
        m->info[i].name = i ? "y" : "x";
        m->info[i].type = &m->type;
    }
}

static void put_node(struct model *m, const struct random_case *c, const float *seed, char **in, char **out)
{
    onnx__node_proto__init(&m->node);
    m->node.op_type = (char *)(uintptr_t)c->op;
    m->node.input = in, m->node.n_input = c->takes_input;
    m->node.output = out, m->node.n_output = 1;
    if (seed) {
        Onnx__AttributeProto *a = attribute(m, "seed", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
        a->has_f = true, a->f = *seed;
    }
    if (!c->takes_input) {
        Onnx__AttributeProto *a = attribute(m, "shape", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
        a->n_ints = 2, a->ints = m->size;
    }
    if (!strcmp(c->op, "Multinomial")) {
        Onnx__AttributeProto *a = attribute(m, "sample_size", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
        a->has_i = true, a->i = CLASSES;
    }
}

/* The model as a file's bytes. */
static void *packed(const struct random_case *c, const float *seed, size_t *size)
{
    static char *in[] = {"x"}, *out[] = {"y"};
    struct model m;
    onnx__model_proto__init(&m.model);
    onnx__graph_proto__init(&m.graph);
    onnx__operator_set_id_proto__init(&m.opset);
    m.opset.has_version = true, m.opset.version = 15;
    m.opsets[0] = &m.opset;
    m.model.opset_import = m.opsets, m.model.n_opset_import = 1;
    m.model.has_ir_version = true, m.model.ir_version = 8;
    put_type(&m);
    put_node(&m, c, seed, in, out);
    m.nodes[0] = &m.node, m.inputs[0] = &m.info[0], m.outputs[0] = &m.info[1];
    m.graph.node = m.nodes, m.graph.n_node = 1;
    m.graph.input = m.inputs, m.graph.n_input = 1;
    m.graph.output = m.outputs, m.graph.n_output = 1;
    m.model.graph = &m.graph;
    *size = onnx__model_proto__get_packed_size(&m.model);
    void *bytes = malloc(*size);
    onnx__model_proto__pack(&m.model, bytes);
    return bytes;
}

static void draw(const struct random_case *c, const float *seed, const char *device, double *y)
{
    size_t size;
    void *bytes = packed(c, seed, &size);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    cr_assert_eq(kiln_onnx_read(&g, &w, c->op, bytes, size, NULL), KILN_OK, "%s", c->op);
    static float x[COUNT];
    for (int i = 0; i < COUNT; i++)
        x[i] = 0.25f;
    const kiln_array in = {.data = x, .shape = KILN_SHAPE(ROWS, CLASSES)};
    const bool whole = !strcmp(c->op, "Multinomial");
    kiln_test_run(g, kiln_find(g, "y"), device, &in, y);
    for (int i = 0; i < COUNT && whole; i++)
        y[i] = (double)((const int64_t *)(const void *)y)[i];
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    free(bytes);
}

Test(onnx_random, draws_are_in_range_and_by_a_seed_the_same)
{
    static double y[COUNT], again[COUNT], other[COUNT];
    const float one = 1, two = 2.5f;
    for (size_t k = 0; k < KILN_COUNT(cases); k++) {
        const struct random_case *c = &cases[k];
        double mean = 0;
        draw(c, &one, "cpu", y);
        draw(c, &one, "cpu", again);
        draw(c, &two, "cpu", other);
        for (int i = 0; i < COUNT; i++) {
            cr_assert(y[i] >= c->low && y[i] <= c->high, "%s: %g", c->op, y[i]);
            mean += y[i] / COUNT;
        }
        cr_expect_lt(fabs(mean - c->mean), 0.15, "%s: a mean of %g", c->op, mean); /* 6 deviations of 1.12 */
        cr_expect_eq(memcmp(y, again, sizeof y), 0, "%s", c->op);
        cr_expect_neq(memcmp(y, other, sizeof y), 0, "%s", c->op);
        draw(c, NULL, "cpu", y);
    }
}
