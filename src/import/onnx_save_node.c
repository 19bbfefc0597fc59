/* onnx_save_node.c - ONNX nodes, attributes and constants while a model is written: all in the writer's arena. */
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "import/onnx.h"
#include "import/onnx_save.h"

static void *take(struct kiln_onnx_writer *w, size_t bytes)
{
    void *memory = kiln_arena_alloc(&w->arena, bytes + 1);
    w->full = w->full || !memory;
    return memory;
}

static char *text(struct kiln_onnx_writer *w, const char *from)
{
    char *copy = kiln_arena_text(&w->arena, from);
    w->full = w->full || !copy;
    return copy;
}

const char *kiln_onnx_name(const struct kiln_onnx_writer *w, kiln_tensor t)
{
    return t.id && w->name[t.id] ? w->name[t.id] : "";
}

const char *kiln_onnx_new_name(struct kiln_onnx_writer *w)
{
    char name[32];
    do /* a model that was read may have such names */
        snprintf(name, sizeof name, "kiln.%d", ++w->made_up);
    while (kiln_find(w->outermost, name).id);
    const char *copy = text(w, name);
    return copy ? copy : "";
}

/* Nodes -------------------------------------------------------------------------------------------------- */

Onnx__NodeProto *kiln_onnx_write(struct kiln_onnx_writer *w, const char *onnx, const char *out, int inputs,
                                 const char *const *in)
{
    Onnx__NodeProto *n = take(w, sizeof *n);
    char **names = take(w, ((size_t)inputs + 1) * sizeof *names);
    if (!n || !names)
        return NULL;
    onnx__node_proto__init(n);
    n->op_type = text(w, onnx);
    n->name = text(w, out);
    n->n_input = (size_t)inputs;
    n->input = names;
    for (int i = 0; i < inputs; i++)
        names[i] = text(w, in[i]);
    n->n_output = 1;
    n->output = take(w, sizeof *n->output);
    if (n->output)
        n->output[0] = text(w, out);
    w->full = w->full || !kiln_vec_push(&w->node, n);
    return w->full ? NULL : n;
}

const char *kiln_onnx_step(struct kiln_onnx_writer *w, const char *onnx, int inputs, const char *const *in)
{
    const char *out = kiln_onnx_new_name(w);
    kiln_onnx_write(w, onnx, out, inputs, in);
    return out;
}

void kiln_onnx_put_output(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name)
{
    char **list = n ? take(w, (n->n_output + 1) * sizeof *list) : NULL;
    if (!list)
        return;
    memcpy(list, n->output, n->n_output * sizeof *list);
    list[n->n_output++] = text(w, name);
    n->output = list;
}

static Onnx__AttributeProto *add_attribute(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                                           int type)
{
    Onnx__AttributeProto *a = n ? take(w, sizeof *a) : NULL;
    Onnx__AttributeProto **list = a ? take(w, (n->n_attribute + 1) * sizeof *list) : NULL;
    if (!list)
        return NULL;
    if (n->n_attribute)
        memcpy(list, n->attribute, n->n_attribute * sizeof *list);
    onnx__attribute_proto__init(a);
    a->name = text(w, name);
    a->has_type = true;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    n->attribute = list;
    return list[n->n_attribute++] = a;
}

void kiln_onnx_put_int(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (a) {
        a->has_i = true;
        a->i = value;
    }
}

void kiln_onnx_put_ints(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                        const int64_t *values, int count)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (a && (a->ints = take(w, (size_t)count * sizeof *values))) {
        memcpy(a->ints, values, (size_t)count * sizeof *values);
        a->n_ints = (size_t)count;
    }
}

void kiln_onnx_put_real(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name, double value)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (a) {
        a->has_f = true;
        a->f = (float)value;
    }
}

void kiln_onnx_put_reals(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                         const double *values, int count)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    if (a && (a->floats = take(w, (size_t)count * sizeof *a->floats)))
        for (; a->n_floats < (size_t)count; a->n_floats++)
            a->floats[a->n_floats] = (float)values[a->n_floats];
}

void kiln_onnx_put_text(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name, const char *value)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (a) {
        a->has_s = true;
        a->s.data = (uint8_t *)text(w, value);
        a->s.len = a->s.data ? strlen(value) : 0;
    }
}

void kiln_onnx_put_texts(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                         const char *const *values, int count)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
    if (a && (a->strings = take(w, (size_t)count * sizeof *a->strings)))
        for (; a->n_strings < (size_t)count; a->n_strings++) {
            const char *value = values[a->n_strings];
            a->strings[a->n_strings] =
                (ProtobufCBinaryData){.len = strlen(value), .data = (uint8_t *)text(w, value)};
        }
}

void kiln_onnx_put_graph(struct kiln_onnx_writer *w, Onnx__NodeProto *n, const char *name,
                         Onnx__GraphProto *value)
{
    Onnx__AttributeProto *a = add_attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
    if (a)
        a->g = value;
}

/* Constants ---------------------------------------------------------------------------------------------- */

void *kiln_onnx_new_tensor(struct kiln_onnx_writer *w, const char *name, kiln_type type,
                           const kiln_shape *shape)
{
    Onnx__TensorProto *t = take(w, sizeof *t);
    const size_t bytes = (size_t)kiln_shape_count(shape) * kiln_type_size(type);
    if (!t)
        return NULL;
    onnx__tensor_proto__init(t);
    t->name = text(w, name);
    t->has_data_type = true;
    t->data_type = kiln_onnx_type_of(type);
    t->n_dims = (size_t)shape->rank;
    t->dims = take(w, sizeof shape->size);
    t->has_raw_data = true;
    t->raw_data = (ProtobufCBinaryData){.len = bytes, .data = take(w, bytes)};
    if (t->dims)
        memcpy(t->dims, shape->size, sizeof shape->size);
    w->full = w->full || !kiln_vec_push(&w->initializer, t);
    return w->full ? NULL : t->raw_data.data;
}

const char *kiln_onnx_new_list(struct kiln_onnx_writer *w, const int64_t *values, int count)
{
    const char *name = kiln_onnx_new_name(w);
    void *data = kiln_onnx_new_tensor(w, name, KILN_I64, &KILN_SHAPE(count));
    if (data && count)
        memcpy(data, values, (size_t)count * sizeof *values);
    return name;
}

const char *kiln_onnx_new_scalar(struct kiln_onnx_writer *w, kiln_type type, double value)
{
    const char *name = kiln_onnx_new_name(w);
    void *data = kiln_onnx_new_tensor(w, name, type, &KILN_SCALAR);
    const float single = (float)value;
    const uint16_t half = type == KILN_F16 ? kiln_half_from(single) : kiln_bf16_from(single);
    const int64_t whole = kiln_type_is_real(type) ? 0 : (int64_t)value;
    const void *from = type == KILN_F32   ? (const void *)&single
                       : type == KILN_F64 ? (const void *)&value
                                          : (const void *)&half;
    if (data)
        memcpy(data, kiln_type_is_real(type) ? from : &whole, kiln_type_size(type));
    return name;
}
