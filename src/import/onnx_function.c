/*
 * onnx_function.c - functions of the model's own: a call becomes the nodes of its body.
 *
 * A function has a domain, a name and an overload. Its body reads nothing but its inputs and the attributes of the call, by name
 * (AttributeProto.ref_attr_name); what the call leaves out has the function's default, or is left out in the body, too. Functions
 * call others, never themselves. A function goes before an operator of its name.
 *
 * Overloads and defaults are fields newer than the structures at hand, which keep them as unknown ones.
 */
#include <stdio.h>
#include <string.h>

#include "import/onnx.h"

enum { NODE_OVERLOAD = 8, FUNCTION_DEFAULT = 11, FUNCTION_OVERLOAD = 13 }; /* numbers of fields */
enum { DEEPEST = 32, MOST_NODES = 1 << 17, MOST_DEFAULTS = 1 << 10, MOST_KEY = 512 };

/* Fields that the structures lack -------------------------------------------------------------------------------- */

/* The bytes of the next field of that number, behind its length; false if there is none. */
static bool next_field(const ProtobufCMessage *message, unsigned number, unsigned *at,
                       ProtobufCBinaryData *out)
{
    for (; *at < message->n_unknown_fields; (*at)++) {
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[*at];
        size_t head = 0;
        if (field->tag != number || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        while (head < field->len && field->data[head] & 0x80)
            head++;
        if (head == field->len)
            continue;
        *out = (ProtobufCBinaryData){field->len - head - 1, field->data + head + 1};
        (*at)++;
        return true;
    }
    return false;
}

/* "DOMAIN:NAME:OVERLOAD"; false where that is too long. */
static bool make_key(char *key, const char *domain, const char *name, const ProtobufCMessage *message,
                     unsigned overload)
{
    ProtobufCBinaryData text = {0, NULL};
    unsigned at = 0;
    next_field(message, overload, &at, &text);
    const int length =
        snprintf(key, MOST_KEY, "%s:%s:%.*s", kiln_onnx_standard_domain(domain) ? "" : domain, name,
                 text.len < MOST_KEY ? (int)text.len : MOST_KEY, text.data ? (const char *)text.data : "");
    return length < MOST_KEY;
}

/* Finding ---------------------------------------------------------------------------------------------------------- */

struct kiln_onnx_function *kiln_onnx_function_for(const struct kiln_onnx *m, const Onnx__NodeProto *n)
{
    char key[MOST_KEY];
    if (!m->shared->function || !n->op_type || !make_key(key, n->domain, n->op_type, &n->base, NODE_OVERLOAD))
        return NULL;
    const int index = kiln_map_find(&m->shared->names, key);
    return index < 0 ? NULL : &m->shared->function[index];
}

static int opset_of(const struct kiln_onnx *m, const Onnx__FunctionProto *f)
{
    for (size_t i = 0; i < f->n_opset_import; i++)
        if (kiln_onnx_standard_domain(f->opset_import[i]->domain) && f->opset_import[i]->version >= 1 &&
            f->opset_import[i]->version <= INT32_MAX)
            return (int)f->opset_import[i]->version;
    return m->opset;
}

static kiln_status read_defaults(struct kiln_onnx *m, struct kiln_onnx_function *f)
{
    ProtobufCBinaryData bytes;
    for (unsigned at = 0; next_field(&f->proto->base, FUNCTION_DEFAULT, &at, &bytes);) {
        if (f->defaults == MOST_DEFAULTS)
            return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "function \"%s\": more than %d attributes",
                                  f->proto->name, MOST_DEFAULTS);
        Onnx__AttributeProto *a =
            kiln_onnx_unpack(m->path, &onnx__attribute_proto__descriptor, bytes.data, bytes.len);
        if (!a)
            return m->status = KILN_ERROR_FILE;
        f->value[f->defaults++] = a;
    }
    return KILN_OK;
}

static size_t count_defaults(const Onnx__FunctionProto *f)
{
    ProtobufCBinaryData bytes;
    size_t count = 0;
    for (unsigned at = 0; count < MOST_DEFAULTS && next_field(&f->base, FUNCTION_DEFAULT, &at, &bytes);)
        count++;
    return count;
}

static kiln_status add_function(struct kiln_onnx *m, const Onnx__FunctionProto *proto)
{
    struct kiln_onnx_shared *all = m->shared;
    struct kiln_onnx_function *f = &all->function[all->functions];
    char key[MOST_KEY];
    if (!proto->name || !proto->name[0] ||
        !make_key(key, proto->domain, proto->name, &proto->base, FUNCTION_OVERLOAD))
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "a function has no name, or one that is too long");
    if (kiln_map_find(&all->names, key) >= 0)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "function \"%s\" is there twice", key);
    f->proto = proto;
    f->opset = opset_of(m, proto);
    f->roles = kiln_arena_alloc(&m->arena, proto->n_input * sizeof *f->roles + 1);
    f->value = kiln_arena_alloc(&m->arena, count_defaults(proto) * sizeof *f->value + 1);
    if (!f->roles || !f->value || !kiln_map_put(&all->names, key, all->functions))
        return kiln_onnx_fail(m, KILN_ERROR_MEMORY, "function \"%s\": out of memory", proto->name);
    all->functions++;
    return read_defaults(m, f);
}

/* How many nodes a list becomes, all calls in it opened; what was called before is known already. */
static kiln_status weigh(struct kiln_onnx *m, Onnx__NodeProto *const *node, size_t count, int depth,
                         int64_t *weight);

static kiln_status weigh_function(struct kiln_onnx *m, struct kiln_onnx_function *f, int depth)
{
    const Onnx__FunctionProto *p = f->proto;
    struct kiln_map roles = {0};
    const int opset = m->opset;
    if (f->open)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "function \"%s\" calls itself", p->name);
    if (depth == DEEPEST)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "functions call functions, more than %d deep",
                              DEEPEST);
    f->open = true;
    m->opset = f->opset;
    kiln_status status = weigh(m, p->node, p->n_node, depth + 1, &f->weight);
    if (!status)
        status = kiln_onnx_find_roles(m, NULL, p->node, p->n_node, &roles);
    for (size_t i = 0; !status && i < p->n_input; i++) {
        const int role = kiln_map_find(&roles, p->input[i]);
        f->roles[i] = role < 0 ? KILN_ONNX_CONSTANT : (enum kiln_onnx_role)role;
    }
    kiln_map_finish(&roles);
    m->opset = opset;
    f->open = false;
    f->weighed = true;
    return status;
}

static kiln_status weigh_node(struct kiln_onnx *m, const Onnx__NodeProto *n, int depth, int64_t *weight)
{
    struct kiln_onnx_function *f = kiln_onnx_function_for(m, n);
    kiln_status status = f && !f->weighed ? weigh_function(m, f, depth) : KILN_OK;
    *weight += 1 + (f ? f->weight : 0);
    for (size_t i = 0; !status && i < n->n_attribute; i++)
        if (n->attribute[i]->g)
            status = weigh(m, n->attribute[i]->g->node, n->attribute[i]->g->n_node, depth, weight);
    return status;
}

static kiln_status weigh(struct kiln_onnx *m, Onnx__NodeProto *const *node, size_t count, int depth,
                         int64_t *weight)
{
    kiln_status status = KILN_OK;
    for (size_t i = 0; !status && i < count; i++) {
        status = weigh_node(m, node[i], depth, weight);
        if (!status && depth && *weight > MOST_NODES)
            status = kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "its functions become more than %d nodes",
                                    MOST_NODES);
    }
    return status;
}

kiln_status kiln_onnx_find_functions(struct kiln_onnx *m)
{
    const Onnx__ModelProto *model = m->model;
    int64_t weight = 0;
    kiln_status status = KILN_OK;
    if (!model->n_functions)
        return KILN_OK;
    m->shared->function = kiln_arena_alloc(&m->arena, model->n_functions * sizeof *m->shared->function);
    if (!m->shared->function)
        return kiln_onnx_fail(m, KILN_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; !status && i < model->n_functions; i++)
        status = add_function(m, model->functions[i]);
    if (!status)
        status = weigh(m, model->graph->node, model->graph->n_node, 0, &weight);
    if (!status && weight - (int64_t)model->graph->n_node > MOST_NODES)
        status =
            kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "its functions become more than %d nodes", MOST_NODES);
    return status;
}

void kiln_onnx_finish_functions(struct kiln_onnx_shared *s)
{
    for (int i = 0; i < s->functions; i++)
        for (int k = 0; k < s->function[i].defaults; k++)
            kiln_onnx_free(s->function[i].value[k]);
    kiln_map_finish(&s->names);
}

/* Attributes ------------------------------------------------------------------------------------------------------- */

const Onnx__AttributeProto *kiln_onnx_passed(const struct kiln_onnx_call *call, const char *name)
{
    for (int i = 0; call && i < call->count; i++)
        if (!strcmp(call->attribute[i].name, name))
            return call->attribute[i].value;
    for (int i = 0; call && i < call->function->defaults; i++) {
        const Onnx__AttributeProto *a = call->function->value[i];
        if (a->name && !strcmp(a->name, name))
            return a;
    }
    return NULL;
}

static bool declares(const struct kiln_onnx_function *f, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < f->proto->n_attribute; i++)
        found = found || !strcmp(f->proto->attribute[i], name);
    for (int i = 0; i < f->defaults; i++)
        found = found || (f->value[i]->name && !strcmp(f->value[i]->name, name));
    return found;
}

/* What the call's node says, a caller's attributes in place of their names. */
static bool take_attributes(kiln_onnx_node *n, struct kiln_onnx_call *call)
{
    const Onnx__NodeProto *p = n->proto;
    call->attribute = kiln_arena_alloc(&n->m->arena, p->n_attribute * sizeof *call->attribute + 1);
    for (size_t i = 0; call->attribute && i < p->n_attribute; i++) {
        const Onnx__AttributeProto *a = p->attribute[i];
        if (!a->name || !declares(call->function, a->name)) {
            kiln_onnx_refuse(n, "the function has no attribute %s", a->name ? a->name : "without a name");
        } else if (a->g || a->n_graphs) {
            kiln_onnx_refuse(n, "attribute %s is a graph, which no function can be given", a->name);
        } else if ((a = kiln_onnx_attribute(n, a->name))) {
            call->attribute[call->count].name = p->attribute[i]->name;
            call->attribute[call->count++].value = a;
        }
    }
    if (!call->attribute)
        kiln_onnx_fail(n->m, KILN_ERROR_MEMORY, "function \"%s\": out of memory",
                       call->function->proto->name);
    return call->attribute && !n->refused;
}

/* Calls ------------------------------------------------------------------------------------------------------------ */

/* The body's names of its inputs. */
static kiln_status bind_inputs(kiln_onnx_node *n, const Onnx__FunctionProto *f)
{
    struct kiln_onnx *m = n->m;
    for (size_t i = 0; i < f->n_input && !m->status; i++) {
        struct kiln_onnx_value *given = kiln_onnx_has(n, (int)i) ? n->in[i] : NULL, *absent;
        if (kiln_map_find(&m->names, f->input[i]) >= 0)
            kiln_onnx_fail(m, KILN_ERROR_FILE, "function \"%s\": input \"%s\" is there twice", f->name,
                           f->input[i]);
        else if (!given && (absent = kiln_onnx_add(m, f->input[i])))
            absent->absent = true;
        else if (given)
            kiln_onnx_alias(m, f->input[i], given);
    }
    return m->status;
}

static void hand_out(kiln_onnx_node *n, const Onnx__FunctionProto *f)
{
    for (int i = 0; i < n->outputs && !n->m->status; i++) {
        struct kiln_onnx_value *from = (size_t)i < f->n_output ? kiln_onnx_find(n->m, f->output[i]) : NULL;
        if (!n->out[i])
            continue;
        if (!from || from->absent)
            kiln_onnx_refuse(n, "the function makes no output %d", i);
        else
            kiln_onnx_become(n->m, n->out[i], from);
        n->out[i]->refused |= n->refused;
    }
}

/* "CALL" or "CALLER.CALL": what names of values within begin with. */
static void name_call(const kiln_onnx_node *n, struct kiln_onnx_call *call)
{
    const struct kiln_onnx_call *around = n->m->call;
    const char *name = n->proto->name && n->proto->name[0] ? n->proto->name
                       : n->proto->n_output                ? n->proto->output[0]
                                                           : call->function->proto->name;
    snprintf(call->name, sizeof call->name, "%.200s%s%.50s", around ? around->name : "", around ? "." : "",
             name);
}

void kiln_onnx_build_call(kiln_onnx_node *n)
{
    struct kiln_onnx *m = n->m;
    const struct kiln_onnx around = *m;
    const Onnx__FunctionProto *f = n->function->proto;
    struct kiln_onnx_call call = {.function = n->function};
    name_call(n, &call);
    if (n->inputs > (int)f->n_input)
        kiln_onnx_refuse(n, "%d inputs, wanted %zu", n->inputs, f->n_input);
    if (!take_attributes(n, &call)) {
        for (int i = 0; i < n->outputs; i++)
            if (n->out[i])
                n->out[i]->refused = true;
        return;
    }
    m->names = (struct kiln_map){0};
    m->opset = n->function->opset;
    m->call = &call;
    kiln_status status = bind_inputs(n, f);
    for (size_t i = 0; !status && i < f->n_node; i++)
        status = kiln_onnx_add_node(m, f->node[i]);
    if (!status)
        hand_out(n, f);
    kiln_map_finish(&m->names);
    m->names = around.names;
    m->opset = around.opset;
    m->call = around.call;
    for (int i = 0; i < n->outputs && !m->status; i++)
        if (n->out[i] && n->out[i]->tensor.id)
            kiln_onnx_name_value(n, n->out[i]);
}
