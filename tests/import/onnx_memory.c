/*
 * onnx_memory.c - what a process holds while it loads a model whose weights lie in a file of their own: the device's copy, which the
 * CPU and software drivers keep in the host's memory, and little more. The file is all zeros, and a hole on the disk.
 */
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/own_folder.h"
#include "import/onnx.h"
#include "support/sanitized.h"
#include "support/support.h"

/* Tables of 20 MiB: more than goes to a device at once. The whole is large beside what a driver takes to compile three shaders. */
enum {
    TABLES = 16,
    ROWS = 5120,
    WIDTH = 1024,
    TABLE_BYTES = ROWS * WIDTH * 4,
    FILE_BYTES = TABLES * TABLE_BYTES
};

/* y = the sum of table[i][row] over all tables: so that they are weights. */
struct model {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    Onnx__NodeProto node[TABLES + 1], *nodes[TABLES + 1];
    Onnx__TensorProto table[TABLES], *tables[TABLES];
    Onnx__StringStringEntryProto entry[TABLES][2], *entries[TABLES][2];
    Onnx__ValueInfoProto row, sum, *inputs[1], *outputs[1];
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    char name[TABLES][2][16], offset[TABLES][16];
    char *in[TABLES][2], *out[TABLES + 1][1], *parts[TABLES];
    int64_t sizes[2];
};

static void add_table(struct model *m, int i)
{
    Onnx__TensorProto *t = m->tables[i] = &m->table[i];
    snprintf(m->name[i][0], sizeof m->name[i][0], "table%d", i);
    snprintf(m->name[i][1], sizeof m->name[i][1], "part%d", i);
    snprintf(m->offset[i], sizeof m->offset[i], "%d", i * TABLE_BYTES);
    onnx__tensor_proto__init(t);
    t->name = m->name[i][0];
    t->has_data_type = t->has_data_location = true;
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t->n_dims = 2, t->dims = m->sizes;
    t->n_external_data = 2, t->external_data = m->entries[i];
    for (int k = 0; k < 2; k++) {
        m->entries[i][k] = &m->entry[i][k];
        onnx__string_string_entry_proto__init(&m->entry[i][k]);
        m->entry[i][k].key = (char *)(k ? "offset" : "location");
        m->entry[i][k].value = k ? m->offset[i] : (char *)"model.data";
    }
}

static void add_node(struct model *m, int i, const char *op, char **in, size_t inputs, char *out)
{
    Onnx__NodeProto *n = m->nodes[i] = &m->node[i];
    onnx__node_proto__init(n);
    n->op_type = (char *)(uintptr_t)op;
    n->input = in, n->n_input = inputs;
    m->out[i][0] = out;
    n->output = m->out[i], n->n_output = 1;
}

static void add_values(struct model *m)
{
    onnx__type_proto__init(&m->type);
    onnx__type_proto__tensor__init(&m->tensor);
    onnx__tensor_shape_proto__init(&m->shape);
    onnx__value_info_proto__init(&m->row);
    onnx__value_info_proto__init(&m->sum);
    m->tensor.has_elem_type = true;
    m->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    m->tensor.shape = &m->shape;
    m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    m->type.tensor_type = &m->tensor;
    m->row.name = (char *)"row", m->sum.name = (char *)"sum";
    m->row.type = &m->type;
    m->inputs[0] = &m->row, m->outputs[0] = &m->sum;
}

static void build(struct model *m)
{
    onnx__model_proto__init(&m->model);
    onnx__graph_proto__init(&m->graph);
    onnx__operator_set_id_proto__init(&m->opset);
    m->opset.has_version = true, m->opset.version = 17;
    m->opsets[0] = &m->opset;
    m->model.n_opset_import = 1, m->model.opset_import = m->opsets;
    m->model.graph = &m->graph;
    m->sizes[0] = ROWS, m->sizes[1] = WIDTH;
    for (int i = 0; i < TABLES; i++) {
        add_table(m, i);
        m->in[i][0] = m->name[i][0], m->in[i][1] = (char *)"row";
        m->parts[i] = m->name[i][1];
        add_node(m, i, "Gather", m->in[i], 2, m->parts[i]);
    }
    add_node(m, TABLES, "Sum", m->parts, TABLES, (char *)"sum");
    add_values(m);
    m->graph.n_node = TABLES + 1, m->graph.node = m->nodes;
    m->graph.n_initializer = TABLES, m->graph.initializer = m->tables;
    m->graph.n_input = 1, m->graph.input = m->inputs;
    m->graph.n_output = 1, m->graph.output = m->outputs;
}

/* Bytes that the system counts of this process; 0 where it does not say. */
static double memory_of(const char *what)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kilobytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, what, strlen(what)))
            kilobytes = strtod(line + strlen(what) + 1, NULL);
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

static void run(kiln_device *dev, kiln_graph *g, kiln_weights *w)
{
    kiln_program *p = NULL;
    int64_t row = 77;
    float sum[WIDTH];
    cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
    cr_assert_eq(kiln_program_write(p, kiln_graph_input(g, 0), &(kiln_array){.data = &row, .type = KILN_I64}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, kiln_graph_output(g, 0),
                                   &(kiln_array){.data = sum, .bytes = sizeof sum}),
                 KILN_OK);
    cr_expect_eq(sum[WIDTH - 1], 0);
    kiln_program_destroy(&p);
}

/*
 * 1.2 times the file at the peak: the device's copy, a piece of the file, the piece's way to the device, and the driver's. SwiftShader
 * takes whole blocks of device memory at once, 64 MiB each and more for itself: five of them are less than a second copy.
 */
static double bound_of(const kiln_device *dev)
{
    const double blocks = strstr(kiln_device_get_info(dev)->title, "SwiftShader") ? 5 * 64 << 20 : 0;
    return 1.2 * FILE_BYTES + blocks;
}

static void expect_lean(const char *device, const char *path, const void *bytes, size_t size)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    const double before = memory_of("VmRSS:");
    cr_assert_eq(kiln_onnx_read(&g, &w, path, bytes, size, NULL), KILN_OK);
    cr_expect_eq(kiln_weights_count(w), TABLES);
    run(dev, g, w);
    const double peak = memory_of("VmHWM:") - before;
    cr_expect(SANITIZED || peak < bound_of(dev), "%s: %.1f MB for a file of %.1f", device, peak / 1e6,
              FILE_BYTES / 1e6);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

/* One device in a process of its own: what another took before would be counted, too. */
static void load_on(int index)
{
    char path[256];
    static struct model m;
    static uint8_t bytes[1 << 14];
    const char *device = kiln_test_device(index);
#ifdef __GLIBC__
    mallopt(M_PERTURB,
            0); /* meson's tests fill what malloc gives, and so take memory that nobody asked for */
#endif
    open_folder();
    snprintf(path, sizeof path, "%s", in_folder("model.onnx"));
    FILE *file = fopen(in_folder("model.data"), "wb");
    cr_assert(file && !ftruncate(fileno(file), FILE_BYTES) && !fclose(file));
    build(&m);
    cr_assert_lt(onnx__model_proto__get_packed_size(&m.model), sizeof bytes);
    expect_lean(device, path, bytes, onnx__model_proto__pack(&m.model, bytes));
    leave_folder();
}

ParameterizedTestParameters(onnx_memory, weights_of_another_file_are_held_once)
{
    static int device[3];
    size_t count = 0;
    for (; count < KILN_COUNT(device) && kiln_test_device((int)count); count++)
        device[count] = (int)count;
    return cr_make_param_array(int, device, count);
}

ParameterizedTest(const int *device, onnx_memory, weights_of_another_file_are_held_once)
{
    load_on(*device);
}
