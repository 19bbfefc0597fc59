/*
 * onnx_save.c - a graph and its weights as an ONNX file, as inference computes it, or training.
 *
 *   mark what the outputs need, from the last node to the first; find the groups that are one operator in ONNX; mark again
 *   without what lies inside of them; name the values; write leaves and nodes; pack.
 *
 * A node in the middle of a group is never visited, because nobody that is written needs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "import/onnx.h"
#include "import/onnx_save.h"

enum { MOST_TOLD = 20, FIRST_OPSET = 17, MOST_READ = 16 };

_Static_assert(KILN_ONNX_NEWEST_OPSET == 27,
               "rows write what opsets up to 27 changed: look at what came since");

void kiln_onnx_writer_refuse(struct kiln_onnx_writer *w, const kiln_node *n, const char *why)
{
    if (w->refused++ < MOST_TOLD)
        kiln_text_add(&w->refusals, "%s%s \"%s\": %s", w->refused > 1 ? "; " : "", n->op->name,
                      n->name && n->name[0] ? n->name : kiln_onnx_name(w, n->out[0]), why);
}

bool kiln_onnx_writer_needs(struct kiln_onnx_writer *w, const kiln_node *n, int opset)
{
    char why[64];
    snprintf(why, sizeof why, "opset %d has it, this is %d", opset, w->opset);
    w->wanted = opset > w->wanted ? opset : w->wanted;
    if (w->opset < opset)
        kiln_onnx_writer_refuse(w, n, why);
    return w->opset >= opset;
}

/* What is needed ----------------------------------------------------------------------------------------- */

static bool is(const kiln_node *n, const char *op)
{
    return !strcmp(n->op->name, op);
}

static bool node_needed(const struct kiln_onnx_writer *w, const kiln_node *n)
{
    for (int i = 0; i < n->outputs; i++)
        if (w->needed[n->out[i].id])
            return true;
    return false;
}

static void need(struct kiln_onnx_writer *w, kiln_tensor t)
{
    if (t.id)
        w->needed[t.id] = true;
}

static bool is_read(const struct kiln_onnx_writer *w, const kiln_node *n, int i)
{
    const struct kiln_onnx_writer_row *row = kiln_onnx_writer_row_of(n->op->name);
    if (is(n, "by_mode"))
        return i == kiln_onnx_mode_input(w);
    return !row || !row->reads || (i < 32 && row->reads >> i & 1);
}

static void need_inputs(struct kiln_onnx_writer *w, const kiln_node *n, bool count)
{
    const struct kiln_onnx_writer_row *row = kiln_onnx_writer_row_of(n->op->name);
    kiln_tensor other[MOST_READ] = {kiln_onnx_handed_on(w, n)};
    const int others = other[0].id ? 1 : row && row->read ? row->read(w, n, other) : 0;
    for (int i = 0; i < others; i++) {
        need(w, other[i]);
        w->uses[other[i].id] += count;
    }
    if (others)
        return;
    for (int i = 0; i < n->inputs; i++) {
        if (!is_read(w, n, i))
            continue;
        need(w, n->in[i]);
        if (count)
            w->uses[n->in[i].id]++;
    }
}

/* What counts a size, where one of n's outputs has it and no input that is read, of which it could be taken. */
static void need_counts(struct kiln_onnx_writer *w, const kiln_node *n, int64_t size, bool count)
{
    kiln_dim_parts e;
    for (int i = 0; i < n->inputs; i++) {
        const kiln_shape x = kiln_tensor_shape(w->g, n->in[i]);
        for (int axis = 0; n->in[i].id && is_read(w, n, i) && axis < x.rank; axis++)
            if (x.size[axis] == size)
                return;
    }
    if (!kiln_dim_is_counted(w->g, size) || !kiln_dim_read(w->g, size, &e))
        return;
    if (e.op == KILN_DIM_BOUNDED && kiln_node_of(w->g, e.count) != n) {
        need(w, e.count);
        w->uses[e.count.id] += count;
    } else if (e.op != KILN_DIM_BOUNDED) {
        need_counts(w, n, e.a, count);
        need_counts(w, n, e.b, count);
    }
}

static void need_sizes(struct kiln_onnx_writer *w, const kiln_node *n, bool count)
{
    for (int i = 0; i < n->outputs; i++) {
        const kiln_shape shape = kiln_tensor_shape(w->g, n->out[i]);
        for (int axis = 0; axis < shape.rank; axis++)
            need_counts(w, n, shape.size[axis], count);
    }
}

static void need_group(struct kiln_onnx_writer *w, const kiln_node *n)
{
    const struct kiln_onnx_match m = kiln_onnx_match(w, n);
    for (int i = 0; i < m.inputs && !kiln_onnx_handed_on(w, n).id; i++)
        need(w, m.in[i]);
    if (m.kind == KILN_ONNX_ALONE || kiln_onnx_handed_on(w, n).id)
        need_inputs(w, n, false);
}

static bool is_effect(const struct kiln_onnx_writer *w, kiln_tensor t)
{
    return kiln_node_of(w->g, t)->op->flags & KILN_OP_EFFECT;
}

/* Behind what is marked: whether a step of training stores more by itself than was known. */
static bool attach_more(struct kiln_onnx_writer *w)
{
    kiln_tensor effect, with;
    bool more = false;
    for (int i = 0; w->steps && !w->within && kiln_graph_attached(w->g, i, &effect, &with); i++)
        if (w->needed[with.id] && !w->needed[effect.id] && kiln_vec_push(&w->attached, effect))
            more = true;
    return more;
}

static void reach(struct kiln_onnx_writer *w, bool groups)
{
    for (int i = kiln_graph_node_count(w->g); i-- > 0;) {
        const kiln_node *n = kiln_graph_node_at(w->g, i);
        if (node_needed(w, n) && groups)
            need_group(w, n);
        else if (node_needed(w, n))
            need_inputs(w, n, true);
        if (node_needed(w, n))
            need_sizes(w, n, !groups);
    }
}

static void mark(struct kiln_onnx_writer *w, const kiln_tensor *outputs, int count, bool groups)
{
    do {
        memset(w->needed, 0, (w->values + 1) * sizeof *w->needed);
        if (!groups)
            memset(w->uses, 0, (w->values + 1) * sizeof *w->uses);
        for (int i = 0; i < count; i++) {
            need(w, outputs[i]);
            w->uses[outputs[i].id] += !groups; /* the file's reader is one, too */
        }
        for (int i = 0; i < w->attached.count && !w->within; i++)
            need(w, w->attached.data[i]);
        reach(w, groups);
    } while (attach_more(w));
}

/* Names: a value's own, that of the value that it is in the mode that is written, or its number ----------------------- */

/* Of a graph within another all names are made up, but for those that are given. */
static const char *name_of(struct kiln_onnx_writer *w, kiln_tensor t)
{
    char number[32];
    const char *own = kiln_tensor_name(w->g, t);
    snprintf(number, sizeof number, "kiln.v%u", t.id);
    if (w->within || (!own[0] && kiln_find(w->g, number).id))
        return kiln_onnx_new_name(w);
    const char *name = kiln_arena_text(&w->arena, own[0] ? own : number);
    w->full = w->full || !name;
    return name;
}

static void name_values(struct kiln_onnx_writer *w)
{
    for (int i = 0; i < kiln_graph_node_count(w->g); i++) {
        const kiln_node *n = kiln_graph_node_at(w->g, i);
        const kiln_tensor same = kiln_onnx_handed_on(w, n);
        for (int k = 0; k < n->outputs; k++)
            if (!w->name[n->out[k].id])
                w->name[n->out[k].id] = same.id ? w->name[same.id] : name_of(w, n->out[k]);
    }
}

/* Leaves ------------------------------------------------------------------------------------------------- */

static void *take(struct kiln_onnx_writer *w, size_t bytes)
{
    void *memory = kiln_arena_alloc(&w->arena, bytes);
    w->full = w->full || !memory;
    return memory;
}

static bool put_size(struct kiln_onnx_writer *w, Onnx__TensorShapeProto *shape, int64_t size)
{
    Onnx__TensorShapeProto__Dimension *d = take(w, sizeof *d);
    if (!d)
        return false;
    onnx__tensor_shape_proto__dimension__init(d);
    const char *symbol = size < 0 && !w->within ? kiln_dim_name(w->g, size) : NULL;
    if (size >= 0) {
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d->dim_value = size;
    } else if (symbol) {
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        d->dim_param = kiln_arena_text(&w->arena, symbol);
    }
    shape->dim[shape->n_dim++] = d;
    return true;
}

/* Name, type and shape of an input or output; NULL out of memory. */
static Onnx__ValueInfoProto *describe(struct kiln_onnx_writer *w, const kiln_spec *spec, const char *name)
{
    struct {
        Onnx__ValueInfoProto info;
        Onnx__TypeProto type;
        Onnx__TypeProto__Tensor tensor;
        Onnx__TensorShapeProto shape;
        Onnx__TensorShapeProto__Dimension *dim[KILN_MAX_RANK];
    } *all = take(w, sizeof *all);
    if (!all)
        return NULL;
    onnx__value_info_proto__init(&all->info);
    onnx__type_proto__init(&all->type);
    onnx__type_proto__tensor__init(&all->tensor);
    onnx__tensor_shape_proto__init(&all->shape);
    all->info.name = (char *)(uintptr_t)name;
    all->info.type = &all->type;
    all->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    all->type.tensor_type = &all->tensor;
    all->tensor.has_elem_type = true;
    all->tensor.elem_type = kiln_onnx_type_of(spec->type);
    all->tensor.shape = &all->shape;
    all->shape.dim = all->dim;
    for (int i = 0; i < spec->shape.rank; i++)
        if (!put_size(w, &all->shape, spec->shape.size[i]))
            return NULL;
    return &all->info;
}

void kiln_onnx_put_input(struct kiln_onnx_writer *w, const char *name, const kiln_spec *spec)
{
    Onnx__ValueInfoProto *info = describe(w, spec, name);
    w->full = w->full || !info || !kiln_vec_push(&w->input, info);
}

void kiln_onnx_put_result(struct kiln_onnx_writer *w, const char *name, const kiln_spec *spec)
{
    Onnx__ValueInfoProto *info = describe(w, spec, name);
    w->full = w->full || !info || !kiln_vec_push(&w->result, info);
}

/* The values of a constant, parameter or state. */
static kiln_status write_values(struct kiln_onnx_writer *w, const kiln_node *n)
{
    const char *name = kiln_onnx_name(w, n->out[0]);
    const kiln_spec spec = kiln_tensor_spec(w->g, n->out[0]);
    kiln_array to = {.type = spec.type, .shape = spec.shape};
    to.data = kiln_onnx_new_tensor(w, name, spec.type, &spec.shape);
    to.bytes = (size_t)kiln_shape_count(&spec.shape) * kiln_type_size(spec.type);
    if (!to.data || !to.bytes)
        return KILN_OK;
    return is(n, "constant") ? kiln_constant_read(w->g, n->out[0], &to)
                             : kiln_weights_read(w->weights, kiln_tensor_name(w->g, n->out[0]), &to);
}

/* Nodes -------------------------------------------------------------------------------------------------- */

static void write_by_row(struct kiln_onnx_writer *w, const kiln_node *n,
                         const struct kiln_onnx_writer_row *row)
{
    if (row->compose)
        kiln_onnx_write_composed(w, n, row->compose);
    else if (kiln_onnx_writer_needs(w, n, row->since))
        row->write(w, n, row);
}

/* The type of the first input that the operator lacks; false: it has all. */
static bool lacks(const struct kiln_onnx_writer *w, const kiln_node *n,
                  const struct kiln_onnx_writer_row *row, kiln_type *type)
{
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i].id) {
            *type = kiln_tensor_spec(w->g, n->in[i]).type;
            return row->lacks >> *type & 1;
        }
    return false;
}

static void write_alone(struct kiln_onnx_writer *w, const kiln_node *n)
{
    const struct kiln_onnx_writer_row *row = kiln_onnx_writer_row_of(n->op->name);
    kiln_type type;
    if (!row)
        kiln_onnx_writer_refuse(w, n, "ONNX has nothing like it");
    else if (lacks(w, n, row, &type))
        kiln_onnx_write_widened(w, n, type, row, write_by_row);
    else
        write_by_row(w, n, row);
}

static kiln_status write_node(struct kiln_onnx_writer *w, const kiln_node *n)
{
    const struct kiln_onnx_match m = kiln_onnx_match(w, n);
    const kiln_spec spec = kiln_tensor_spec(w->g, n->out[0]);
    if (is(n, "input") && !w->within) /* whoever writes a body says what its inputs are */
        kiln_onnx_put_input(w, kiln_onnx_name(w, n->out[0]), &spec);
    else if (is(n, "input"))
        return KILN_OK;
    else if (is(n, "constant") || is(n, "parameter") || is(n, "state"))
        return write_values(w, n);
    else if (!kiln_onnx_handed_on(w, n).id && m.kind != KILN_ONNX_ALONE)
        kiln_onnx_write_match(w, n, &m);
    else if (!kiln_onnx_handed_on(w, n).id)
        write_alone(w, n);
    return KILN_OK;
}

/* Whether a node makes output t, so that it may be called as one likes; not twice. */
static bool is_made(const struct kiln_onnx_writer *w, kiln_tensor t)
{
    const kiln_node *n = kiln_node_of(w->g, t);
    const bool leaf = is(n, "input") || is(n, "constant") || is(n, "parameter") || is(n, "state");
    return !leaf && !kiln_onnx_handed_on(w, n).id;
}

static bool comes_before(const kiln_tensor *outputs, int i)
{
    for (int k = 0; k < i; k++)
        if (outputs[k].id == outputs[i].id)
            return true;
    return false;
}

/* Leaves, what is handed on and what is an output already get a name of their own; an input of the model is one as it is. */
static void name_output(struct kiln_onnx_writer *w, const kiln_tensor *outputs, const char **names, int i)
{
    const char *from = kiln_onnx_name(w, outputs[i]);
    const bool input = !w->within && is(kiln_node_of(w->g, outputs[i]), "input");
    if ((input || is_made(w, outputs[i])) && !comes_before(outputs, i)) {
        names[i] = from;
        return;
    }
    names[i] = names[i] ? names[i] : kiln_onnx_new_name(w);
    kiln_onnx_write(w, "Identity", names[i], 1, &from);
}

void kiln_onnx_write_graph(struct kiln_onnx_writer *w, const kiln_tensor *outputs, const char **names,
                           int count)
{
    kiln_onnx_find_nothing(w);
    for (int i = 0; i < count; i++)
        if (names[i] && is_made(w, outputs[i]) && !comes_before(outputs, i))
            w->name[outputs[i].id] = names[i];
    name_values(w);
    mark(w, outputs, count, false);
    mark(w, outputs, count, true);
    for (int i = 0; !w->status && i < kiln_graph_node_count(w->g); i++)
        if (node_needed(w, kiln_graph_node_at(w->g, i)))
            w->status = write_node(w, kiln_graph_node_at(w->g, i));
    for (int i = 0; i < count; i++)
        if (!is_effect(w, outputs[i]))
            name_output(w, outputs, names, i);
}

/* The file ----------------------------------------------------------------------------------------------- */

struct sink {
    ProtobufCBuffer base;
    struct kiln_writer *file;
};

static void append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data)
{
    kiln_writer_add(((struct sink *)buffer)->file, data, bytes); /* errors stick until the commit */
}

static kiln_status pack(const struct kiln_onnx_writer *w, const Onnx__ModelProto *model)
{
    struct kiln_writer file = {0};
    struct sink sink = {.base = {.append = append}, .file = &file};
    if (onnx__model_proto__get_packed_size(model) > INT32_MAX)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: larger than the 2 GiB that an ONNX file may have",
                         w->path);
    const kiln_status status = kiln_writer_open(&file, w->path);
    if (status)
        return status;
    onnx__model_proto__pack_to_buffer(model, &sink.base);
    return kiln_writer_commit(&file);
}

static kiln_status put_metadata(struct kiln_onnx_writer *w, const kiln_onnx_save_params *p,
                                Onnx__ModelProto *model)
{
    const size_t count = (size_t)p->metadata_count;
    Onnx__StringStringEntryProto *entries = take(w, (count + 1) * sizeof *entries);
    model->metadata_props = take(w, (count + 1) * sizeof *model->metadata_props);
    for (size_t i = 0; !w->full && i < count; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)p->metadata[i].key;
        entries[i].value = (char *)(uintptr_t)p->metadata[i].text;
        model->metadata_props[model->n_metadata_props++] = &entries[i];
    }
    return w->full ? kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", w->path) : KILN_OK;
}

/* IR versions came with opsets. */
static int64_t ir_version_of(int opset)
{
    static const int64_t versions[] = {8, 8, 9, 9, 10, 10, 11, 12, 13, 13, 13};
    return versions[opset - FIRST_OPSET];
}

static kiln_status write_model(struct kiln_onnx_writer *w, const kiln_onnx_save_params *p,
                               const kiln_tensor *outputs, const char *const *names, int count)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    for (int i = 0; i < count; i++) {
        const kiln_spec spec = kiln_tensor_spec(w->g, outputs[i]);
        if (!is_effect(w, outputs[i]))
            kiln_onnx_put_result(w, names[i], &spec);
    }
    kiln_onnx_put_stored(w);

    graph.name = (char *)(uintptr_t)(p->name ? p->name : "kiln");
    graph.n_node = (size_t)w->node.count;
    graph.node = w->node.data;
    graph.n_initializer = (size_t)w->initializer.count;
    graph.initializer = w->initializer.data;
    graph.n_input = (size_t)w->input.count;
    graph.input = w->input.data;
    graph.n_output = (size_t)w->result.count;
    graph.output = w->result.data;

    opset.domain = (char *)(uintptr_t) "";
    opset.has_version = true;
    opset.version = w->opset;
    model.has_ir_version = true;
    model.ir_version = ir_version_of(w->opset);
    model.n_opset_import = 1;
    model.opset_import = opsets;
    model.producer_name = (char *)(uintptr_t)(p->producer ? p->producer : "kiln");
    model.graph = &graph;
    const kiln_status status = put_metadata(w, p, &model);
    return status ? status : pack(w, &model);
}

bool kiln_onnx_begin_graph(struct kiln_onnx_writer *w, const kiln_graph *g)
{
    w->g = g;
    w->values = 0;
    for (int i = 0; i < kiln_graph_node_count(g); i++) {
        const kiln_node *n = kiln_graph_node_at(g, i);
        for (int k = 0; k < n->outputs; k++)
            w->values = n->out[k].id > w->values ? n->out[k].id : w->values;
    }
    w->needed = calloc(w->values + 1, sizeof *w->needed);
    w->nothing = calloc(w->values + 1, sizeof *w->nothing);
    w->uses = calloc(w->values + 1, sizeof *w->uses);
    w->name = calloc(w->values + 1, sizeof *w->name);
    w->full = w->full || !w->needed || !w->nothing || !w->uses || !w->name;
    return !w->full;
}

void kiln_onnx_finish_graph(struct kiln_onnx_writer *w)
{
    free(w->needed);
    free(w->nothing);
    free(w->uses);
    free(w->name);
}

static int count_outputs(const kiln_graph *g, const kiln_tensor *outputs)
{
    int count = 0;
    while (outputs && outputs[count].id)
        count++;
    return outputs ? count : kiln_graph_output_count(g);
}

static kiln_status check(const kiln_graph *g, const char *path, const kiln_onnx_save_params *p)
{
    const int count = count_outputs(g, p->outputs);
    if (kiln_graph_status(g))
        return kiln_fail(kiln_graph_status(g), "%s: the graph has failed: %s", path, kiln_graph_error(g));
    if (p->opset && (p->opset < FIRST_OPSET || p->opset > KILN_ONNX_NEWEST_OPSET))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: opset %d, wanted %d to %d", path, p->opset, FIRST_OPSET,
                         KILN_ONNX_NEWEST_OPSET);
    if (!count)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: the graph has no output to write", path);
    for (int i = 0; i < count; i++)
        if (!kiln_node_of(g, p->outputs ? p->outputs[i] : kiln_graph_output(g, i)))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: output %d is a value of another graph", path, i);
    return KILN_OK;
}

/* Unless memory ran out: what could not be written, or the file. */
static kiln_status conclude(struct kiln_onnx_writer *w, const kiln_onnx_save_params *p,
                            const kiln_tensor *outputs, const char *const *names, int count)
{
    if (w->status)
        return w->status;
    if (w->full)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", w->path);
    if (w->refused)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: cannot be written, %d node%s: %s", w->path, w->refused,
                         w->refused > 1 ? "s" : "", kiln_text_get(&w->refusals));
    return write_model(w, p, outputs, names, count);
}

/* Write by w's opset; where none was asked for, and a later one has all, by that. */
static kiln_status save(struct kiln_onnx_writer *w, const kiln_onnx_save_params *p, kiln_tensor *outputs,
                        const char **names, int count)
{
    kiln_status status = KILN_ERROR_MEMORY;
    if (kiln_onnx_begin_graph(w, w->g))
        kiln_onnx_write_graph(w, outputs, names, count);
    const bool again = !p->opset && !w->status && !w->full && w->wanted > w->opset;
    if (!again)
        status = conclude(w, p, outputs, names, count);
    kiln_onnx_finish_graph(w);
    kiln_vec_finish(&w->node);
    kiln_vec_finish(&w->initializer);
    kiln_vec_finish(&w->input);
    kiln_vec_finish(&w->result);
    kiln_vec_finish(&w->stored);
    kiln_vec_finish(&w->attached);
    kiln_text_finish(&w->refusals);
    kiln_arena_finish(&w->arena);
    if (!again)
        return status;
    for (int i = 0; i < count; i++)
        names[i] = NULL;
    *w = (struct kiln_onnx_writer){.path = w->path,
                                   .g = w->g,
                                   .outermost = w->g,
                                   .weights = w->weights,
                                   .train = w->train,
                                   .steps = w->steps,
                                   .opset = w->wanted,
                                   .wanted = w->wanted};
    return save(w, p, outputs, names, count);
}

kiln_status kiln_onnx_save(const kiln_graph *graph, kiln_weights *weights, const char *path,
                           const kiln_onnx_save_params *params)
{
    const kiln_onnx_save_params p = params ? *params : (kiln_onnx_save_params){0};
    struct kiln_onnx_writer w = {.path = path,
                                 .g = graph,
                                 .outermost = graph,
                                 .weights = weights,
                                 .train = p.train,
                                 .opset = p.opset ? p.opset : FIRST_OPSET};
    kiln_status status = check(graph, path, &p);
    if (status)
        return status;
    const int count = count_outputs(graph, p.outputs);
    kiln_tensor *outputs = calloc((size_t)count, sizeof *outputs);
    const char **names = calloc((size_t)count, sizeof *names);
    status = outputs && names ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
    for (int i = 0; !status && i < count; i++) {
        outputs[i] = p.outputs ? p.outputs[i] : kiln_graph_output(graph, i);
        w.steps = w.steps || (p.train && is_effect(&w, outputs[i]));
    }
    if (!status)
        status = save(&w, &p, outputs, names, count);
    free(outputs);
    free(names);
    return status;
}
