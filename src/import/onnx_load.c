/*
 * onnx_load.c - an ONNX file as a graph and its weights.
 *
 *   read the file; put its nodes in order; find what each initializer is; declare inputs; build the nodes one by one; name the
 *   outputs; make the weights and write the file's values to them.
 *
 * In a cycle there is no order of execution: it shows as a value that is read before it is made.
 * What is not supported is gathered and reported at once, before anything could run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "import/onnx.h"

kiln_status kiln_onnx_fail(struct kiln_onnx *m, kiln_status status, const char *format, ...)
{
    char text[512];
    if (m->status)
        return m->status;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    m->status = status;
    return kiln_fail(status, "%s: %s", m->path, text);
}

void *kiln_onnx_alloc(struct kiln_onnx *m, size_t bytes)
{
    void *memory = kiln_arena_alloc(&m->arena, bytes);
    if (!memory)
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "out of memory");
    return memory;
}

kiln_tensor kiln_onnx_copy(kiln_graph *g, kiln_tensor t)
{
    return kiln_reshape(g, t, (kiln_shape){.rank = kiln_tensor_shape(g, t).rank});
}

bool kiln_onnx_standard_domain(const char *domain)
{
    return !domain || !domain[0] || !strcmp(domain, "ai.onnx");
}

const struct kiln_onnx_row *kiln_onnx_row_for(const struct kiln_onnx *m, const Onnx__NodeProto *n)
{
    const char *domain = kiln_onnx_standard_domain(n->domain) ? "" : n->domain;
    return n->op_type ? kiln_onnx_row_of(domain, n->op_type, m->opset) : NULL;
}

/* Initializers ---------------------------------------------------------------------------------------------------- */

static void keep(struct kiln_onnx *m, const struct kiln_map *roles, const char *name, const kiln_array *array)
{
    struct kiln_onnx_value *v = kiln_onnx_add(m, name);
    const int role = kiln_map_find(roles, name);
    if (!v)
        return;
    v->known = true;
    v->spec = (kiln_spec){array->type, array->shape};
    v->data = array->data;
    v->initializer = m->graph == m->model->graph;
    v->role = role > 0 && array->type == KILN_F32 ? (enum kiln_onnx_role)role : KILN_ONNX_CONSTANT;
}

static kiln_status add_initializer(struct kiln_onnx *m, const struct kiln_map *roles,
                                   const Onnx__TensorProto *t, const Onnx__SparseTensorProto *sparse)
{
    char what[160], text[96];
    kiln_array array;
    kiln_type type;
    const size_t rank = sparse ? sparse->n_dims : t ? t->n_dims : 0;
    if (!t || !t->name || !t->name[0])
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "an initializer has no name");
    snprintf(what, sizeof what, "initializer \"%s\"", t->name);
    if (!sparse && kiln_onnx_is_packed(m->graph, t)) {
        if (!kiln_onnx_packed_tensor(m, t, what, &array))
            keep(m, roles, t->name, &array);
    } else if (!kiln_onnx_type(t->data_type, &type)) {
        if (kiln_onnx_is_read(m->graph, t->name))
            kiln_onnx_refuse_value(m, "initializer", t->name, "%s",
                                   kiln_onnx_type_refusal(t->data_type, text, sizeof text));
    } else if (rank > KILN_MAX_RANK)
        kiln_onnx_refuse_value(m, "initializer", t->name, "rank %zu, the largest is %d", rank, KILN_MAX_RANK);
    else if (!(sparse ? kiln_onnx_sparse(m, sparse, what, &array) : kiln_onnx_tensor(m, t, what, &array)))
        keep(m, roles, t->name, &array);
    return m->status;
}

kiln_status kiln_onnx_add_initializers(struct kiln_onnx *m, bool learned)
{
    const Onnx__GraphProto *graph = m->graph;
    struct kiln_map roles = {0};
    kiln_status status =
        learned ? kiln_onnx_find_roles(m, graph, graph->node, graph->n_node, &roles) : KILN_OK;
    for (size_t i = 0; !status && i < graph->n_initializer; i++)
        status = add_initializer(m, &roles, graph->initializer[i], NULL);
    for (size_t i = 0; !status && i < graph->n_sparse_initializer; i++)
        status =
            add_initializer(m, &roles, graph->sparse_initializer[i]->values, graph->sparse_initializer[i]);
    kiln_map_finish(&roles);
    return status;
}

/* Inputs ---------------------------------------------------------------------------------------------------------- */

static bool is_size(int64_t value)
{
    return value >= 0 && value <= KILN_ONNX_MOST_SIZE;
}

/* What the caller gave for a size of that name; else a symbol of the graph. Ones that are no sizes are told later. */
static int64_t given_size(const struct kiln_onnx *m, const char *name)
{
    for (int i = 0; i < m->params.size_count; i++) {
        const kiln_onnx_size *s = &m->params.sizes[i];
        if (!strcmp(s->name, name) && is_size(s->value))
            return s->value;
    }
    return kiln_dim(m->g, name);
}

/* -1 stands for a size that is not known: some exporters write it. */
static int64_t size_of(struct kiln_onnx *m, const char *input, const Onnx__TensorShapeProto__Dimension *dim,
                       int axis)
{
    char unnamed[128];
    snprintf(unnamed, sizeof unnamed, "%s.%d", input, axis);
    const bool known =
        dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value != -1;
    const bool named =
        dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param[0];
    if (known && !is_size(dim->dim_value))
        kiln_onnx_fail(m, KILN_ERROR_FILE, "input \"%s\": size %lld of axis %d is %s", input,
                       (long long)dim->dim_value, axis, dim->dim_value < 0 ? "negative" : "too large");
    if (m->params.free_batch && axis == 0) {
        m->old_batch = known ? dim->dim_value : m->old_batch;
        return KILN_BATCH;
    }
    return known ? dim->dim_value : given_size(m, named ? dim->dim_param : unnamed);
}

/* What the caller fixed of an input; NULL if nothing. */
static const kiln_array *fixed_value(const struct kiln_onnx *m, const char *input)
{
    for (int i = 0; i < m->params.fixed_count; i++) {
        const kiln_onnx_fixed *f = &m->params.fixed[i];
        if (f->input ? !strcmp(f->input, input) : f->index == m->inputs)
            return &f->value;
    }
    return NULL;
}

static kiln_status add_fixed(struct kiln_onnx *m, const char *name, kiln_type type, const kiln_array *value)
{
    if (value->type != type || kiln_shape_count(&value->shape) < 0)
        return kiln_onnx_fail(m, KILN_ERROR_TYPE, "input \"%s\" is %s, its fixed value %s", name,
                              kiln_type_name(type), kiln_type_name(value->type));
    struct kiln_onnx_value *v = kiln_onnx_add(m, name);
    if (!v)
        return m->status;
    v->known = true;
    v->spec = (kiln_spec){value->type, value->shape};
    v->data = value->data; /* the caller's, read until kiln_onnx_load returns */
    return KILN_OK;
}

/* The shape that the caller gave, where it is one that the file allows. */
static kiln_shape given_shape(struct kiln_onnx *m, const char *name, kiln_shape own, kiln_shape given)
{
    if (given.rank != own.rank)
        kiln_onnx_fail(m, KILN_ERROR_SHAPE, "input \"%s\" has rank %d, given %d", name, own.rank, given.rank);
    for (int i = 0; i < own.rank && !m->status; i++)
        if (!is_size(given.size[i]) || (own.size[i] >= 0 && own.size[i] != given.size[i]))
            kiln_onnx_fail(m, KILN_ERROR_SHAPE, "input \"%s\": axis %d has %lld, given %lld", name, i,
                           (long long)own.size[i], (long long)given.size[i]);
    return given;
}

/* Whether the input is of a type that kiln has nothing for; else its type. */
static bool refuse_type(struct kiln_onnx *m, const Onnx__ValueInfoProto *info, kiln_type *type)
{
    const bool tensor = info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    const char *kind = kiln_onnx_value_kind(info->type);
    char text[96];
    if (tensor && kiln_onnx_type(info->type->tensor_type->elem_type, type))
        return false;
    if (tensor)
        kiln_onnx_refuse_value(m, "input", info->name, "%s",
                               kiln_onnx_type_refusal(info->type->tensor_type->elem_type, text, sizeof text));
    else
        kiln_onnx_refuse_value(m, "input", info->name, "%s",
                               kind ? kiln_onnx_kind_refusal(kind, text, sizeof text) : "no tensor");
    return true;
}

/* The shape that the file says, or where it says none the one that was given; false where it is refused. */
static bool declared_shape(struct kiln_onnx *m, const Onnx__ValueInfoProto *info, const kiln_array *fixed,
                           kiln_shape *out)
{
    const Onnx__TensorShapeProto *shape = info->type->tensor_type->shape;
    if (!shape && fixed) {
        *out = fixed->shape;
        return true;
    }
    if (!shape)
        kiln_onnx_refuse_value(m, "input", info->name, "the file says no shape: give one");
    else if (shape->n_dim > KILN_MAX_RANK)
        kiln_onnx_refuse_value(m, "input", info->name, "its rank is %zu, the largest is %d", shape->n_dim,
                               KILN_MAX_RANK);
    else
        out->rank = (int)shape->n_dim;
    for (int i = 0; i < out->rank && !m->status; i++)
        out->size[i] = size_of(m, info->name, shape->dim[i], i);
    return shape && shape->n_dim <= KILN_MAX_RANK;
}

static kiln_status add_input(struct kiln_onnx *m, const Onnx__ValueInfoProto *info)
{
    kiln_spec spec = {0};
    if (!info->name || !info->name[0])
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "an input has no name");
    if (kiln_onnx_find(m, info->name))
        return KILN_OK; /* an initializer: the input is a default that older files declare */
    const kiln_array *fixed = fixed_value(m, info->name);
    m->inputs++;
    if (refuse_type(m, info, &spec.type))
        return m->status;
    if (fixed && fixed->data)
        return add_fixed(m, info->name, spec.type, fixed);
    if (!declared_shape(m, info, fixed, &spec.shape))
        return m->status;
    if (fixed && !m->status)
        spec.shape = given_shape(m, info->name, spec.shape, fixed->shape);
    struct kiln_onnx_value *v = m->status ? NULL : kiln_onnx_add(m, info->name);
    if (v)
        v->tensor = kiln_input(m->g, info->name, spec.type, spec.shape);
    for (int i = 0; i < spec.shape.rank; i++)
        m->largest = spec.shape.size[i] > m->largest ? spec.shape.size[i] : m->largest;
    return m->status ? m->status : kiln_graph_status(m->g);
}

/* Whether an input of the file has a size of that name. */
static bool names_size(const Onnx__ValueInfoProto *info, const char *name)
{
    const bool tensor = info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    const Onnx__TensorShapeProto *shape = tensor ? info->type->tensor_type->shape : NULL;
    const size_t length = info->name ? strlen(info->name) : 0;
    for (size_t i = 0; shape && i < shape->n_dim; i++)
        if (shape->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
            !strcmp(shape->dim[i]->dim_param, name))
            return true;
    return length && !strncmp(info->name, name, length) && name[length] == '.'; /* one without a name */
}

static void check_size(struct kiln_onnx *m, const kiln_onnx_size *size)
{
    bool found = false;
    for (size_t i = 0; i < m->graph->n_input; i++)
        found = found || names_size(m->graph->input[i], size->name);
    if (!found)
        kiln_onnx_fail(m, KILN_ERROR_ARGUMENT, "no input has a size \"%s\"", size->name);
    else if (!is_size(size->value))
        kiln_onnx_fail(m, KILN_ERROR_ARGUMENT, "size \"%s\" is given as %lld, wanted 0 to %lld", size->name,
                       (long long)size->value, (long long)KILN_ONNX_MOST_SIZE);
}

static void check_fixed(struct kiln_onnx *m, const kiln_onnx_fixed *fixed)
{
    if (fixed->input && !kiln_onnx_find(m, fixed->input))
        kiln_onnx_fail(m, KILN_ERROR_ARGUMENT, "there is no input \"%s\"", fixed->input);
    else if (!fixed->input && fixed->index >= m->inputs)
        kiln_onnx_fail(m, KILN_ERROR_ARGUMENT, "there is no input %d, the model has %d", fixed->index,
                       m->inputs);
}

/* What the caller gave must be there. */
static kiln_status check_given(struct kiln_onnx *m)
{
    for (int i = 0; i < m->params.size_count && !m->status; i++)
        check_size(m, &m->params.sizes[i]);
    for (int i = 0; i < m->params.fixed_count && !m->status; i++)
        check_fixed(m, &m->params.fixed[i]);
    return m->status;
}

/* Nodes ----------------------------------------------------------------------------------------------------------- */

/* All that the row does not name, in one refusal. */
static void check_attributes(kiln_onnx_node *n)
{
    struct kiln_text names = {0};
    int count = 0;
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->proto->attribute[i];
        if (!a->name || !kiln_text_has_word(n->row->attributes, a->name))
            kiln_text_add(&names, "%s%s", count++ ? ", " : "", a->name ? a->name : "without a name");
        else if (!n->m->call && a->ref_attr_name && a->ref_attr_name[0])
            kiln_onnx_refuse(n, "attribute %s refers to a function's", a->name);
    }
    if (count)
        kiln_onnx_refuse(n, "attribute%s %s %s not supported", count > 1 ? "s" : "", kiln_text_get(&names),
                         count > 1 ? "are" : "is");
    kiln_text_finish(&names);
}

static void check_row(kiln_onnx_node *n)
{
    const char *kind = kiln_onnx_node_kind(n->proto);
    const Onnx__FunctionProto *f = n->m->call ? n->m->call->function->proto : NULL;
    if (kind && kiln_onnx_is_idle(n->m->graph, f, n->proto))
        n->refused = true; /* without a word: nobody misses it */
    else if (kind)
        kiln_onnx_refuse(n, "%s are not supported", kind);
    else if (!n->row && !kiln_onnx_standard_domain(n->proto->domain))
        kiln_onnx_refuse(n, "operators of domain %s are not supported", n->proto->domain);
    else if (!n->row)
        kiln_onnx_refuse(n, "no such operator at opset %d", n->opset);
    else if (n->inputs < n->row->inputs ||
             (n->row->most >= 0 && n->inputs > (n->row->most ? n->row->most : n->row->inputs)))
        kiln_onnx_refuse(n, "%d inputs, wanted %d", n->inputs, n->row->inputs);
    else
        check_attributes(n);
    /* of a list all; but a loop's first two, and a batched scan's lengths, may be left out: their rows need none */
    const int needed = !n->row ? 0 : n->row->most < 0 && n->row->inputs ? n->inputs : n->row->inputs;
    for (int i = 0; i < needed && i < n->inputs; i++)
        if (!n->in[i])
            kiln_onnx_refuse(n, "input %d is left out", i);
    for (int i = 0; n->row && i < n->inputs; i++)
        if (n->in[i] && n->in[i]->sequence && !(i < 32 && n->row->sequences >> i & 1))
            kiln_onnx_refuse(n, "input %d is a sequence", i);
}

static kiln_status find_values(kiln_onnx_node *n)
{
    const Onnx__NodeProto *p = n->proto;
    if (p->n_input > KILN_ONNX_MOST_INPUTS || p->n_output > KILN_ONNX_MOST_INPUTS)
        return kiln_onnx_fail(n->m, KILN_ERROR_UNSUPPORTED, "%s \"%s\": more than %d inputs or outputs",
                              p->op_type, kiln_onnx_node_name(n), KILN_ONNX_MOST_INPUTS);
    n->inputs = (int)p->n_input;
    n->outputs = (int)p->n_output;
    for (int i = 0; i < n->inputs; i++)
        if (p->input[i][0] && !(n->in[i] = kiln_onnx_find_made(n->m, p->input[i])))
            return kiln_onnx_fail(n->m, KILN_ERROR_FILE,
                                  "%s \"%s\" reads \"%s\", which nothing before it makes", p->op_type,
                                  kiln_onnx_node_name(n), p->input[i]);
        else if (n->in[i] && n->in[i]->absent)
            n->in[i] = NULL;
    for (int i = 0; i < n->outputs; i++)
        if (p->output[i][0] && !(n->out[i] = kiln_onnx_add(n->m, p->output[i])))
            return n->m->status;
    while (n->inputs && !n->in[n->inputs - 1]) /* left out at the end: as if they were not listed */
        n->inputs--;
    return KILN_OK;
}

/* Whether the node can be computed now: from known values that are not learned. */
static bool known(const kiln_onnx_node *n)
{
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i] &&
            (n->in[i]->role != KILN_ONNX_CONSTANT || !n->in[i]->known || !kiln_onnx_items(n->m, n->in[i])))
            return false;
    return true;
}

/* An output of the model may be made of the value of its name (kiln_onnx_within), and is then what has the name. */
static bool is_named_later(const struct kiln_onnx *m, const char *name)
{
    const Onnx__GraphProto *graph = m->model->graph;
    bool output = false;
    for (size_t i = 0; i < graph->n_output && !output; i++)
        output = graph->output[i]->name && !strcmp(graph->output[i]->name, name);
    return output;
}

/* A name that is taken stays: a step of a loop, or a second call, has the first one's names. */
void kiln_onnx_name_value(kiln_onnx_node *n, const struct kiln_onnx_value *v)
{
    const struct kiln_onnx_call *call = n->m->call;
    char within[512];
    if (call)
        snprintf(within, sizeof within, "%s.%s", call->name, v->name);
    const char *name = call ? within : v->name;
    if (!kiln_find(n->g, name).id && !is_named_later(n->m, name))
        kiln_name(n->g, v->tensor, name);
}

static void name_outputs(kiln_onnx_node *n)
{
    for (int i = 0; i < n->outputs && !kiln_graph_status(n->g); i++) {
        const struct kiln_onnx_value *v = n->out[i];
        if (v && v->tensor.id)
            kiln_onnx_name_value(n, v);
        else if (v && !v->known && !v->sequence)
            kiln_onnx_refuse(n, "output %d is not supported", i);
    }
}

/* The node's name goes into messages as the scope of what it appends; weights are declared outside of it. */
static void build_in_scope(kiln_onnx_node *n)
{
    const char *name = n->proto->name && n->proto->name[0] ? n->proto->name
                       : n->outputs                        ? n->proto->output[0]
                                                           : "";
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i] && n->in[i]->role != KILN_ONNX_CONSTANT)
            kiln_onnx_tensor_of(n->m, n->in[i]);
    kiln_scope_open(n->g, name[0] ? name : n->row->name);
    n->row->build(n);
    kiln_scope_close(n->g);
}

static void build(kiln_onnx_node *n)
{
    check_row(n);
    if (n->refused || (n->row->fold && known(n) && n->row->fold(n)))
        return;
    if (n->row->build)
        build_in_scope(n);
    else
        kiln_onnx_refuse(n, "supported only where its inputs are known before anything runs");
    if (!n->refused && !n->m->status)
        name_outputs(n);
}

kiln_status kiln_onnx_add_node(struct kiln_onnx *m, const Onnx__NodeProto *proto)
{
    kiln_onnx_node n = {.m = m, .g = m->g, .opset = m->opset, .proto = proto};
    bool fed = true;
    if (!proto->op_type)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "node \"%s\" has no operator",
                              proto->name ? proto->name : "");
    if (find_values(&n))
        return m->status;
    if ((n.function = kiln_onnx_function_for(m, proto))) {
        kiln_onnx_build_call(&n);
        return m->status ? m->status : kiln_graph_status(m->g);
    }
    n.row = kiln_onnx_row_for(m, proto);
    for (int i = 0; i < n.inputs; i++)
        fed = fed && !(n.in[i] && n.in[i]->refused);
    if (fed)
        build(&n);
    else
        check_row(&n); /* what it lacks by itself is told, even if it could not be built anyway */
    for (int i = 0; i < n.outputs; i++)
        if (n.out[i])
            n.out[i]->refused = !fed || n.refused;
    return m->status ? m->status : kiln_graph_status(m->g);
}

/* Outputs --------------------------------------------------------------------------------------------------------- */

/* Whether t is an output already; each must be a value of its own. */
static bool taken(const kiln_graph *g, kiln_tensor t)
{
    bool found = false;
    for (int i = 0; i < kiln_graph_output_count(g); i++)
        found = found || kiln_graph_output(g, i).id == t.id;
    return found;
}

static kiln_status add_output(struct kiln_onnx *m, const Onnx__ValueInfoProto *info)
{
    struct kiln_onnx_value *v = info->name ? kiln_onnx_find(m, info->name) : NULL;
    if (!v)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "output \"%s\" is made by no node",
                              info->name ? info->name : "");
    if (v->refused)
        return KILN_OK;
    kiln_tensor t = kiln_onnx_within(m, kiln_onnx_tensor_of(m, v));
    if (!t.id && !m->status && !kiln_graph_status(m->g))
        kiln_onnx_refuse_value(m, "output", v->name, "%s",
                               v->sequence ? "sequences are not supported" : "it depends on a symbolic size");
    const kiln_tensor named = kiln_find(m->g, v->name);
    const bool own = t.id && (named.id ? named.id == t.id : kiln_node_of(m->g, t)->inputs > 0);
    if (own && !taken(m->g, t))
        kiln_output(m->g, v->name, t);
    else if (t.id)
        kiln_output(m->g, named.id ? kiln_scope_name(m->g, v->name, NULL) : v->name, kiln_onnx_copy(m->g, t));
    return m->status ? m->status : kiln_graph_status(m->g);
}

/* Sizes that are larger than was said are told by outputs that are no numbers. */
static void check_outputs(struct kiln_onnx *m)
{
    bool told = !m->beyond.id;
    for (int i = 0; i < kiln_graph_output_count(m->g); i++)
        told = told || kiln_type_is_real(kiln_tensor_type(m->g, kiln_graph_output(m->g, i)));
    if (!told)
        kiln_onnx_refuse_value(
            m, "output", m->model->graph->output[0]->name,
            "data gives sizes of the model, and none of its outputs is real, to be NaN where one "
            "is larger than was said");
}

/* All of it ------------------------------------------------------------------------------------------------------- */

static kiln_status find_opset(struct kiln_onnx *m)
{
    m->opset = 1;
    for (size_t i = 0; i < m->model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = m->model->opset_import[i];
        if (kiln_onnx_standard_domain(o->domain))
            m->opset = o->version > INT32_MAX || o->version < 1 ? 0 : (int)o->version;
    }
    if (m->opset < 1)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "its opset is no version of ONNX");
    if (m->opset > KILN_ONNX_NEWEST_OPSET)
        kiln_warn("%s: opset %d is newer than %d, the newest known: operators are read as of that one",
                  m->path, m->opset, KILN_ONNX_NEWEST_OPSET);
    return KILN_OK;
}

static kiln_status build_graph(struct kiln_onnx *m)
{
    const Onnx__GraphProto *graph = m->graph = m->model->graph;
    if (!graph || !graph->n_output)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "no ONNX model: it has no graph with outputs");
    kiln_status status = find_opset(m);
    if (!status)
        status = kiln_onnx_find_functions(m);
    if (!status)
        status = kiln_onnx_add_initializers(m, true);
    for (size_t i = 0; !status && i < graph->n_input; i++)
        status = add_input(m, graph->input[i]);
    if (!status)
        status = check_given(m);
    for (size_t i = 0; !status && i < graph->n_node; i++)
        status = kiln_onnx_add_node(m, graph->node[i]);
    for (size_t i = 0; !status && i < graph->n_output; i++)
        status = add_output(m, graph->output[i]);
    if (!status)
        check_outputs(m);
    if (!status)
        kiln_onnx_name_beyond(m);
    if (!status && m->refused)
        status = kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: cannot be built, %d part%s: %s", m->path, m->refused,
                           m->refused > 1 ? "s" : "", kiln_text_get(&m->refusals));
    return status;
}

static kiln_status make_weights(struct kiln_onnx *m, kiln_weights **weights)
{
    kiln_status status = kiln_weights_create(weights, m->g, NULL);
    for (int i = 0; !status && i < m->value.count; i++) {
        const struct kiln_onnx_value *v = m->value.data[i];
        const kiln_array values = {.data = (void *)(uintptr_t)v->data,
                                   .type = v->spec.type,
                                   .shape = v->spec.shape};
        if (v->role == KILN_ONNX_CONSTANT || !v->tensor.id || v->index != i)
            continue;
        status = kiln_onnx_give_weight(m, *weights, v->name, &values);
    }
    return status;
}

static void finish_shared(struct kiln_onnx_shared *s)
{
    kiln_onnx_finish_functions(s);
    kiln_onnx_finish_files(s);
}

/* The model becomes a graph and weights, and is freed. */
static kiln_status build_model(kiln_graph **graph, kiln_weights **weights, const char *path,
                               Onnx__ModelProto *model, const kiln_onnx_params *params)
{
    struct kiln_onnx_shared shared = {.dense_left = KILN_ONNX_MOST_DENSE, .items_left = KILN_ONNX_ALL_ITEMS};
    struct kiln_onnx m = {
        .path = path, .params = params ? *params : (kiln_onnx_params){0}, .shared = &shared, .model = model};
    kiln_status status =
        kiln_graph_create(&m.g, &(kiln_graph_params){.name = model->graph ? model->graph->name : NULL});
    if (!status && !kiln_onnx_sort(model))
        status = kiln_onnx_fail(&m, KILN_ERROR_MEMORY, "out of memory");
    if (!status)
        status = build_graph(&m);
    if (!status)
        status = make_weights(&m, weights);
    if (!status) {
        *graph = m.g;
        m.g = NULL;
    } else {
        kiln_weights_destroy(weights);
    }
    finish_shared(&shared);
    kiln_onnx_free(model);
    kiln_graph_destroy(&m.g);
    kiln_vec_finish(&m.value);
    kiln_vec_finish(&m.interval);
    kiln_map_finish(&m.names);
    kiln_text_finish(&m.refusals);
    kiln_arena_finish(&m.arena);
    return status;
}

kiln_status kiln_onnx_read(kiln_graph **graph, kiln_weights **weights, const char *path, const void *data,
                           size_t size, const kiln_onnx_params *params)
{
    Onnx__ModelProto *model = kiln_onnx_unpack(path, &onnx__model_proto__descriptor, data, size);
    *graph = NULL;
    *weights = NULL;
    return model ? build_model(graph, weights, path, model, params) : KILN_ERROR_FILE;
}

/* Unpacking copies all there is, so that the file's memory goes before the weights take theirs. */
kiln_status kiln_onnx_load(kiln_graph **graph, kiln_weights **weights, const char *path,
                           const kiln_onnx_params *params)
{
    struct kiln_file file = {0};
    *graph = NULL;
    *weights = NULL;
    const kiln_status status = kiln_file_map(&file, path);
    if (status)
        return status;
    Onnx__ModelProto *model = kiln_onnx_unpack(path, &onnx__model_proto__descriptor, file.data, file.size);
    kiln_file_unmap(&file);
    return model ? build_model(graph, weights, path, model, params) : KILN_ERROR_FILE;
}
