/*
 * onnx_node.c - what a builder asks of its node: inputs, attributes, lists of integers; and how it refuses.
 *
 * A refusal is noted for one message about all of them; the node's outputs are refused too, and whoever reads them stays
 * silent, so that each cause is told once.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "import/onnx.h"

enum { MOST_TOLD = 1 << 12 };

const char *kiln_onnx_node_name(const kiln_onnx_node *n)
{
    const Onnx__NodeProto *p = n->proto;
    return p->name && p->name[0] ? p->name : p->n_output ? p->output[0] : "";
}

static void tell(struct kiln_onnx *m, const char *what, const char *name, const char *format, va_list args)
{
    const struct kiln_onnx_call *call = m->call;
    char text[512];
    if (m->refused++ >= MOST_TOLD)
        return;
    vsnprintf(text, sizeof text, format, args);
    kiln_text_add(&m->refusals, "%s%s \"%s%s%s\": %s", m->refused > 1 ? "; " : "", what,
                  call ? call->name : "", call ? "." : "", name, text);
}

void kiln_onnx_refuse(kiln_onnx_node *n, const char *format, ...)
{
    va_list args;
    if (n->refused)
        return;
    n->refused = true;
    va_start(args, format);
    tell(n->m, n->proto->op_type, kiln_onnx_node_name(n), format, args);
    va_end(args);
}

void kiln_onnx_refuse_value(struct kiln_onnx *m, const char *what, const char *name, const char *format, ...)
{
    struct kiln_onnx_value *v = kiln_onnx_find(m, name);
    va_list args;
    va_start(args, format);
    tell(m, what, name, format, args);
    va_end(args);
    if (v || (v = kiln_onnx_add(m, name)))
        v->refused = true;
}

const char *kiln_onnx_kind_refusal(const char *kind, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s are not supported", kind);
    return text;
}

const char *kiln_onnx_type_refusal(int onnx, char *text, size_t bytes)
{
    const char *kind = kiln_onnx_type_kind(onnx);
    if (kind)
        return kiln_onnx_kind_refusal(kind, text, bytes);
    snprintf(text, bytes, "elements of ONNX type %d are not supported", onnx);
    return text;
}

/* Inputs and outputs ------------------------------------------------------------------------------------- */

bool kiln_onnx_has(const kiln_onnx_node *n, int i)
{
    return i >= 0 && i < n->inputs && n->in[i];
}

kiln_tensor kiln_onnx_in(kiln_onnx_node *n, int i)
{
    if (!kiln_onnx_has(n, i))
        return KILN_NONE;
    const kiln_tensor t = kiln_onnx_tensor_of(n->m, n->in[i]);
    if (!t.id && !kiln_graph_status(n->g) && !n->m->status)
        kiln_onnx_refuse(n, "input \"%s\" depends on a symbolic size; it may be given when the model is read",
                         n->in[i]->name);
    return t;
}

kiln_spec kiln_onnx_spec(kiln_onnx_node *n, int i)
{
    if (!kiln_onnx_has(n, i))
        return (kiln_spec){0};
    return n->in[i]->known ? n->in[i]->spec : kiln_tensor_spec(n->g, n->in[i]->tensor);
}

int kiln_onnx_axis(kiln_onnx_node *n, int64_t axis, int rank)
{
    const int64_t from_start = axis < 0 ? axis + rank : axis;
    if (from_start >= 0 && from_start < rank)
        return (int)from_start;
    kiln_onnx_refuse(n, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    return 0;
}

bool kiln_onnx_wants(const kiln_onnx_node *n, int i)
{
    return i < n->outputs && n->out[i];
}

void kiln_onnx_out(kiln_onnx_node *n, int i, kiln_tensor t)
{
    if (kiln_onnx_wants(n, i))
        n->out[i]->tensor = t;
}

struct kiln_onnx_item *kiln_onnx_out_items(kiln_onnx_node *n, int i, kiln_type type, kiln_shape shape)
{
    if (i >= n->outputs || !n->out[i])
        return NULL;
    struct kiln_onnx_value *v = n->out[i];
    v->items = kiln_onnx_new_items(n->m, kiln_shape_count(&shape));
    v->known = v->items != NULL;
    v->spec = (kiln_spec){type, shape};
    return v->items;
}

/* Attributes --------------------------------------------------------------------------------------------- */

/* In a function an attribute may be one of the call's, under another name. */
const Onnx__AttributeProto *kiln_onnx_attribute(const kiln_onnx_node *n, const char *name)
{
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->proto->attribute[i];
        if (a->name && !strcmp(a->name, name))
            return a->ref_attr_name && a->ref_attr_name[0] ? kiln_onnx_passed(n->m->call, a->ref_attr_name)
                                                           : a;
    }
    return NULL;
}

static bool typed(kiln_onnx_node *n, const Onnx__AttributeProto *a, Onnx__AttributeProto__AttributeType type,
                  bool there)
{
    if (a && (a->has_type ? a->type == type : there))
        return true;
    if (a)
        kiln_onnx_refuse(n, "attribute %s has the wrong type, %d", a->name, (int)a->type);
    return false;
}

bool kiln_onnx_has_attribute(const kiln_onnx_node *n, const char *name)
{
    return kiln_onnx_attribute(n, name) != NULL;
}

int64_t kiln_onnx_int(kiln_onnx_node *n, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    return typed(n, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, a && a->has_i) ? a->i : otherwise;
}

double kiln_onnx_real(kiln_onnx_node *n, const char *name, double otherwise)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    return typed(n, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, a && a->has_f) ? (double)a->f
                                                                                    : otherwise;
}

/* Bytes in the file, without an end. */
static const char *text_of(kiln_onnx_node *n, ProtobufCBinaryData s)
{
    char *text = kiln_arena_alloc(&n->m->arena, s.len + 1);
    return text && s.len ? memcpy(text, s.data, s.len) : "";
}

const char *kiln_onnx_text(kiln_onnx_node *n, const char *name, const char *otherwise)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    if (!typed(n, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING, a && a->has_s))
        return otherwise;
    return text_of(n, a->s);
}

/* How many values a list has: 0, and refused, where there are too many. */
static int counted(kiln_onnx_node *n, const char *name, size_t count)
{
    if (count <= KILN_ONNX_MOST_ITEMS)
        return (int)count;
    kiln_onnx_refuse(n, "attribute %s has %zu values", name, count);
    return 0;
}

const Onnx__GraphProto *kiln_onnx_graph(kiln_onnx_node *n, const char *name)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    if (a && a->g)
        return a->g;
    kiln_onnx_refuse(n, "attribute %s is no graph", name);
    return NULL;
}

const int64_t *kiln_onnx_ints(kiln_onnx_node *n, const char *name, int *count)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    const bool there = typed(n, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS, a && a->n_ints);
    *count = there ? counted(n, name, a->n_ints) : 0;
    return *count ? a->ints : NULL;
}

const float *kiln_onnx_reals(kiln_onnx_node *n, const char *name, int *count)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    const bool there = typed(n, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS, a && a->n_floats);
    *count = there ? counted(n, name, a->n_floats) : 0;
    return *count ? a->floats : NULL;
}

const char *const *kiln_onnx_texts(kiln_onnx_node *n, const char *name, int *count)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, name);
    const bool there = typed(n, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS, a && a->n_strings);
    *count = there ? counted(n, name, a->n_strings) : 0;
    const char **texts = *count ? kiln_arena_alloc(&n->m->arena, (size_t)*count * sizeof *texts) : NULL;
    for (int i = 0; texts && i < *count; i++)
        texts[i] = text_of(n, a->strings[i]);
    *count = texts ? *count : 0;
    return texts;
}

/* Lists: an attribute in old models, an input in new ones ------------------------------------------------ */

static bool list_of_attribute(kiln_onnx_node *n, const char *name, struct kiln_onnx_list *out)
{
    const int64_t *ints = kiln_onnx_ints(n, name, &out->count);
    out->given = kiln_onnx_has_attribute(n, name);
    out->item = kiln_arena_alloc(&n->m->arena, (size_t)(out->count + 1) * sizeof *out->item);
    for (int i = 0; out->item && i < out->count; i++)
        out->item[i].i = ints[i];
    return out->item && !n->refused;
}

bool kiln_onnx_list(kiln_onnx_node *n, const char *name, int since, int i, struct kiln_onnx_list *out)
{
    *out = (struct kiln_onnx_list){0};
    if (n->opset < since)
        return list_of_attribute(n, name, out);
    if (!kiln_onnx_has(n, i))
        return true;
    const kiln_spec spec = kiln_onnx_spec(n, i);
    out->item = kiln_onnx_items(n->m, n->in[i]);
    if (!out->item || kiln_type_is_real(spec.type) || spec.shape.rank > 1) {
        kiln_onnx_refuse(n, "%s, input \"%s\", must be a list of integers that is known before anything runs",
                         name, n->in[i]->name);
        return false;
    }
    out->given = true;
    out->count = (int)kiln_shape_count(&spec.shape);
    return true;
}

bool kiln_onnx_number(kiln_onnx_node *n, int i, double *out)
{
    const kiln_spec spec = kiln_onnx_spec(n, i);
    const struct kiln_onnx_item *item = kiln_onnx_has(n, i) ? kiln_onnx_items(n->m, n->in[i]) : NULL;
    if (!item || kiln_shape_count(&spec.shape) != 1 || item->symbol)
        return false;
    *out = kiln_type_is_real(spec.type) ? item->r : (double)item->i;
    return true;
}

bool kiln_onnx_is_computed(kiln_onnx_node *n, int i)
{
    const kiln_shape shape = kiln_onnx_spec(n, i).shape;
    double known;
    return kiln_onnx_has(n, i) && kiln_shape_count(&shape) == 1 && !kiln_onnx_number(n, i, &known);
}

kiln_tensor kiln_onnx_scalar(kiln_onnx_node *n, int i)
{
    const kiln_tensor t = kiln_onnx_in(n, i);
    return t.id ? kiln_reshape(n->g, t, KILN_SCALAR) : KILN_NONE;
}

bool kiln_onnx_shape(kiln_onnx_node *n, const struct kiln_onnx_list *list, kiln_shape *out)
{
    *out = (kiln_shape){.rank = list->count};
    if (list->count > KILN_MAX_RANK) {
        kiln_onnx_refuse(n, "a shape of rank %d, the largest is %d", list->count, KILN_MAX_RANK);
        return false;
    }
    for (int i = 0; i < list->count; i++) {
        out->size[i] = list->item[i].i;
        if (!list->item[i].symbol && (out->size[i] < 0 || out->size[i] > KILN_ONNX_MOST_SIZE)) {
            kiln_onnx_refuse(n, "size %lld of axis %d", (long long)out->size[i], i);
            return false;
        }
    }
    return true;
}
