/*
 * graph.c - creating a graph, appending nodes to it, and looking values up.
 *
 * Failure is sticky: kiln_graph_fail keeps the first message, and every append after it returns KILN_NONE.
 */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

kiln_status kiln_graph_create(kiln_graph **out, const kiln_graph_params *params)
{
    static atomic_uint next_tag = 1;
    *out = NULL;
    kiln_graph *g = calloc(1, sizeof *g);
    if (!g)
        return kiln_fail(KILN_ERROR_MEMORY, "graph: out of memory");
    g->tag = atomic_fetch_add(&next_tag, 1);
    atomic_init(&g->references, 1);
    g->name = kiln_arena_text(&g->arena, params && params->name ? params->name : "graph");
    *out = g;
    kiln_dim(g, "batch"); /* expression 0: KILN_BATCH */
    return KILN_OK;
}

/* Bodies are not changed once they are in use, but for the count of those who use them. */
static void release_body(const kiln_graph *body)
{
    kiln_graph *last = (kiln_graph *)(uintptr_t)body;
    kiln_graph_destroy(&last);
}

static bool hold_bodies(kiln_graph *g, const kiln_node *n)
{
    const kiln_graph *body;
    for (int i = 0; n->op->body && (body = n->op->body(n->params, i)); i++) {
        if (!kiln_vec_push(&g->body, body))
            return false;
        atomic_fetch_add(&((kiln_graph *)(uintptr_t)body)->references, 1);
    }
    return true;
}

void kiln_graph_destroy(kiln_graph **graph)
{
    kiln_graph *g = *graph;
    *graph = NULL;
    if (!g || atomic_fetch_sub(&g->references, 1) > 1)
        return;
    for (int i = 0; i < g->body.count; i++)
        release_body(g->body.data[i]);
    kiln_vec_finish(&g->body);
    kiln_vec_finish(&g->value);
    kiln_vec_finish(&g->node);
    kiln_vec_finish(&g->dim);
    kiln_vec_finish(&g->input);
    kiln_vec_finish(&g->output);
    kiln_vec_finish(&g->parameter);
    kiln_vec_finish(&g->state);
    kiln_vec_finish(&g->attachment);
    kiln_vec_finish(&g->scope);
    kiln_map_finish(&g->names);
    kiln_map_finish(&g->counters);
    kiln_arena_finish(&g->arena);
    free(g);
}

kiln_status kiln_graph_status(const kiln_graph *g)
{
    return g->status;
}

const char *kiln_graph_error(const kiln_graph *g)
{
    return g->error ? g->error : "";
}

/* Failure ------------------------------------------------------------------------------------------------ */

static kiln_status fail_text(kiln_graph *g, kiln_status status, const char *text)
{
    if (g->status)
        return g->status;
    g->status = status;
    g->error = kiln_arena_text(&g->arena, text);
    return kiln_fail(status, "%s", text);
}

kiln_status kiln_graph_fail(kiln_graph *g, kiln_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail_text(g, status, text);
}

kiln_status kiln_node_fail(kiln_graph *g, const kiln_node *n, kiln_status status, const char *format, ...)
{
    char text[512];
    const bool named = n->name && n->name[0];
    int used = snprintf(text, sizeof text, named ? "%s \"%s\": " : "%s: ", n->op->name, n->name);
    if (used < 0 || used >= (int)sizeof text)
        used = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    return fail_text(g, status, text);
}

/* Values ------------------------------------------------------------------------------------------------- */

const struct kiln_value *kiln_graph_value(const kiln_graph *g, kiln_tensor t)
{
    const bool ours = t.graph == g->tag && t.id >= 1 && t.id <= (uint32_t)g->value.count;
    return ours ? &g->value.data[t.id - 1] : NULL;
}

kiln_node *kiln_graph_node(const kiln_graph *g, kiln_tensor t)
{
    const struct kiln_value *v = kiln_graph_value(g, t);
    return v ? v->node : NULL;
}

kiln_spec kiln_tensor_spec(const kiln_graph *g, kiln_tensor t)
{
    const struct kiln_value *v = kiln_graph_value(g, t);
    return v ? v->spec : (kiln_spec){0};
}

kiln_type kiln_tensor_type(const kiln_graph *g, kiln_tensor t)
{
    return kiln_tensor_spec(g, t).type;
}

kiln_shape kiln_tensor_shape(const kiln_graph *g, kiln_tensor t)
{
    return kiln_tensor_spec(g, t).shape;
}

kiln_tensor kiln_node_output(const kiln_graph *g, kiln_tensor t, int index)
{
    const kiln_node *n = kiln_graph_node(g, t);
    return n && index >= 0 && index < n->outputs ? n->out[index] : KILN_NONE;
}

/* Appending ---------------------------------------------------------------------------------------------- */

static kiln_node *new_node(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                           const void *params, size_t params_size, int outputs, const char *name)
{
    kiln_node *n = kiln_arena_alloc(&g->arena, sizeof *n);
    if (!n)
        return NULL;
    *n = (kiln_node){
        .op = op,
        .in = kiln_arena_copy(&g->arena, in, (size_t)inputs * sizeof *in),
        .inputs = inputs,
        .out = kiln_arena_alloc(&g->arena, (size_t)outputs * sizeof *n->out),
        .outputs = outputs,
        .params = kiln_arena_copy(&g->arena, params, params_size),
        .params_size = params_size,
        .name = name,
        .pass = g->pass,
    };
    const bool whole = (n->in || !inputs) && n->out && (n->params || !params_size) && hold_bodies(g, n);
    return whole && kiln_vec_reserve(&g->value, g->value.count + outputs) && kiln_vec_push(&g->node, n)
               ? n
               : NULL;
}

static void add_outputs(kiln_graph *g, kiln_node *n, const kiln_spec *spec)
{
    for (int i = 0; i < n->outputs; i++) {
        g->value.data[g->value.count++] = (struct kiln_value){.spec = spec[i], .node = n, .output = i};
        n->out[i] = (kiln_tensor){g->tag, (uint32_t)g->value.count};
    }
}

kiln_node *kiln_graph_add(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                          const void *params, size_t params_size, const kiln_spec *out, int outputs,
                          const char *name)
{
    kiln_node *n = new_node(g, op, in, inputs, params, params_size, outputs, name);
    if (n)
        add_outputs(g, n, out);
    else
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "%s: out of memory", op->name);
    return n;
}

kiln_tensor kiln_newest(const kiln_graph *g, kiln_tensor t)
{
    for (int i = 0; !g->literal && i < g->state.count; i++)
        if (g->state.data[i].state.id == t.id)
            return g->state.data[i].newest;
    return t;
}

static bool take_inputs(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                        kiln_tensor *taken)
{
    if (inputs < op->inputs) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "%s: needs %d inputs, got %d", op->name, op->inputs, inputs);
        return false;
    }
    for (int i = 0; i < inputs; i++) {
        if (in[i].id && !kiln_graph_value(g, in[i])) {
            kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "%s: input %d is a value of another graph", op->name, i);
            return false;
        }
        taken[i] = kiln_newest(g, in[i]);
    }
    return true;
}

static const char *scope_text(const kiln_graph *g)
{
    return g->scope.count ? g->scope.data[g->scope.count - 1] : "";
}

/* "encoder.conv1." without its dot. */
static const char *node_name(kiln_graph *g)
{
    const char *scope = scope_text(g);
    const size_t length = strlen(scope);
    char *name = length ? kiln_arena_text(&g->arena, scope) : NULL;
    if (name)
        name[length - 1] = 0;
    return name;
}

enum { FEW_OUTPUTS = 8 };

kiln_tensor kiln_append(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                        const void *params, size_t params_size)
{
    if (g->status)
        return KILN_NONE;
    const int outputs = op->output_count ? op->output_count(params) : op->outputs;
    kiln_spec few[FEW_OUTPUTS] = {{0}};
    kiln_spec *spec =
        outputs <= FEW_OUTPUTS ? few : kiln_arena_alloc(&g->arena, (size_t)outputs * sizeof *spec);
    kiln_tensor *taken = kiln_arena_alloc(&g->arena, (size_t)(inputs ? inputs : 1) * sizeof *taken);
    if (!taken || !spec) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "%s: out of memory", op->name);
        return KILN_NONE;
    }
    if (!take_inputs(g, op, in, inputs, taken))
        return KILN_NONE;
    kiln_node *n = new_node(g, op, taken, inputs, params, params_size, outputs, node_name(g));
    if (!n) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "%s: out of memory", op->name);
        return KILN_NONE;
    }
    const int before = g->node.count;
    const kiln_status status = op->infer(g, n, spec);
    if (status || g->status) {
        kiln_node_fail(g, n, status, "types or shapes do not fit"); /* unless infer said it better */
        return KILN_NONE;
    }
    if (g->node.count != before) {
        kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "its shape rule appended nodes");
        return KILN_NONE;
    }
    add_outputs(g, n, spec);
    return n->out[0];
}

/* Names -------------------------------------------------------------------------------------------------- */

static bool put_name(kiln_graph *g, const char *name, kiln_tensor t)
{
    const char *copy = kiln_arena_text(&g->arena, name);
    if (!copy || !kiln_map_put(&g->names, copy, (int)t.id)) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "name \"%s\": out of memory", name);
        return false;
    }
    struct kiln_value *v = &g->value.data[t.id - 1];
    if (!v->name)
        v->name = copy;
    return true;
}

kiln_tensor kiln_find(const kiln_graph *g, const char *name)
{
    const int id = kiln_map_find(&g->names, name);
    return id < 0 ? KILN_NONE : (kiln_tensor){g->tag, (uint32_t)id};
}

kiln_tensor kiln_name(kiln_graph *g, kiln_tensor t, const char *name)
{
    if (g->status || !t.id)
        return KILN_NONE;
    if (!kiln_graph_value(g, t)) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "name \"%s\": a value of another graph", name);
        return KILN_NONE;
    }
    const kiln_tensor other = kiln_find(g, name);
    if (other.id && other.id != t.id) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "name \"%s\" is taken by another value", name);
        return KILN_NONE;
    }
    return put_name(g, name, t) ? t : KILN_NONE;
}

const char *kiln_tensor_name(const kiln_graph *g, kiln_tensor t)
{
    const struct kiln_value *v = kiln_graph_value(g, t);
    return v && v->name ? v->name : "";
}

kiln_tensor kiln_output(kiln_graph *g, const char *name, kiln_tensor t)
{
    t = kiln_newest(g, t);
    bool listed = false; /* under this name: as a body's output and what it hands on, a value may have two */
    bool other = false;
    for (int i = 0; i < g->output.count; i++) {
        other |= g->output.data[i].id == t.id;
        listed |= g->output.data[i].id == t.id && kiln_find(g, name).id == t.id;
    }
    const struct kiln_value *v = kiln_graph_value(g, t);
    if (v && v->node->inputs && !other)
        g->value.data[t.id - 1].name = NULL; /* a name that it had within the graph comes second */
    if (!kiln_name(g, t, name).id)
        return KILN_NONE;
    if (!listed && !kiln_vec_push(&g->output, t))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "output \"%s\": out of memory", name);
    return t;
}

int kiln_graph_input_count(const kiln_graph *g)
{
    return g->input.count;
}

int kiln_graph_output_count(const kiln_graph *g)
{
    return g->output.count;
}

int kiln_graph_parameter_count(const kiln_graph *g)
{
    return g->parameter.count;
}

kiln_tensor kiln_graph_input(const kiln_graph *g, int index)
{
    return index >= 0 && index < g->input.count ? g->input.data[index] : KILN_NONE;
}

kiln_tensor kiln_graph_output(const kiln_graph *g, int index)
{
    return index >= 0 && index < g->output.count ? g->output.data[index] : KILN_NONE;
}

kiln_tensor kiln_graph_parameter(const kiln_graph *g, int index)
{
    return index >= 0 && index < g->parameter.count ? g->parameter.data[index] : KILN_NONE;
}

/* Scopes ------------------------------------------------------------------------------------------------- */

static const char *join(kiln_graph *g, const char *a, const char *b, const char *c)
{
    const size_t bytes = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = kiln_arena_alloc(&g->arena, bytes);
    if (text)
        snprintf(text, bytes, "%s%s%s", a, b, c);
    else
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "scope \"%s\": out of memory", b);
    return text ? text : "";
}

/* A counter's key is its scope's path and its kind; opening the scope again takes the counters of the last time away by
 * counting openings: the key holds the number of the opening. */
void kiln_scope_open(kiln_graph *g, const char *name)
{
    const char *full = join(g, scope_text(g), name, ".");
    if (!kiln_vec_push(&g->scope, full)) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "scope \"%s\": out of memory", name);
        return;
    }
    const int openings = kiln_map_find(&g->counters, full);
    kiln_map_put(&g->counters, full, openings < 0 ? 1 : openings + 1);
}

void kiln_scope_close(kiln_graph *g)
{
    if (g->scope.count)
        kiln_vec_pop(&g->scope);
    else
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "scope closed that was not open");
}

const char *kiln_scope_name(kiln_graph *g, const char *kind, const char *name)
{
    if (name)
        return kiln_arena_text(&g->arena, name);
    const char *scope = scope_text(g);
    const int opening = kiln_map_find(&g->counters, scope);
    char number[32];
    snprintf(number, sizeof number, "/%d/", opening);
    const char *key = join(g, scope, number, kind);
    const int used = kiln_map_find(&g->counters, key);
    const int next = used < 0 ? 1 : used + 1;
    kiln_map_put(&g->counters, key, next);
    snprintf(number, sizeof number, "%d", next);
    return join(g, kind, number, "");
}

/* Leaves ------------------------------------------------------------------------------------------------- */

static kiln_tensor add_leaf(kiln_graph *g, const kiln_op *op, const char *name,
                            const struct kiln_leaf_params *params)
{
    const kiln_node *n = kiln_graph_add(g, op, NULL, 0, params, sizeof *params, &params->spec, 1, NULL);
    return n && put_name(g, name, n->out[0]) ? n->out[0] : KILN_NONE;
}

static bool valid_shape(kiln_graph *g, const char *what, const char *name, const kiln_shape *shape,
                        bool symbols)
{
    bool valid = shape->rank >= 0 && shape->rank <= KILN_MAX_RANK;
    for (int i = 0; valid && i < shape->rank; i++)
        valid = shape->size[i] >= 0 || (symbols && -shape->size[i] <= g->dim.count);
    char text[96];
    if (!valid)
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s \"%s\": %s is no shape for it", what, name,
                        kiln_graph_shape_text(g, shape, text, sizeof text));
    return valid;
}

kiln_tensor kiln_input(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape)
{
    if (g->status || !valid_shape(g, "input", name, &shape, true))
        return KILN_NONE;
    if (kiln_find(g, name).id) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "input \"%s\": the name is taken", name);
        return KILN_NONE;
    }
    const struct kiln_leaf_params params = {.spec = {type, shape}};
    const kiln_tensor t = add_leaf(g, &kiln_op_input, name, &params);
    if (t.id && !kiln_vec_push(&g->input, t))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "input \"%s\": out of memory", name);
    return t;
}

/* Copy what an init points to into the graph. */
static bool keep_init(kiln_graph *g, const char *name, const kiln_shape *shape, const kiln_init *given,
                      kiln_init *kept)
{
    *kept = given ? *given : (kiln_init){0};
    if (kept->kind != KILN_INIT_VALUES)
        return true;
    const kiln_array *values = kept->values;
    char wanted[96], got[96];
    if (!values || !values->data || !kiln_shape_equal(&values->shape, shape)) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "\"%s\": initial values have shape %s, wanted %s", name,
                        values ? kiln_shape_text(&values->shape, got, sizeof got) : "none",
                        kiln_shape_text(shape, wanted, sizeof wanted));
        return false;
    }
    kiln_array *copy = kiln_arena_copy(&g->arena, values, sizeof *values);
    const size_t bytes = (size_t)kiln_shape_count(shape) * kiln_type_size(values->type);
    if (copy)
        copy->data = kiln_arena_copy(&g->arena, values->data, bytes);
    if (!copy || (!copy->data && bytes)) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "\"%s\": out of memory", name);
        return false;
    }
    kept->values = copy;
    return true;
}

/* A leaf declared before under this name: the same one if it is alike. */
static kiln_tensor known_leaf(kiln_graph *g, const kiln_op *op, const char *name, const kiln_spec *spec,
                              bool *known)
{
    const kiln_tensor t = kiln_find(g, name);
    *known = t.id != 0;
    if (!t.id)
        return KILN_NONE;
    const struct kiln_value *v = kiln_graph_value(g, t);
    char was[96], is[96];
    if (v->node->op == op && v->spec.type == spec->type && kiln_shape_equal(&v->spec.shape, &spec->shape))
        return t;
    kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s \"%s\": declared before as %s %s %s, now as %s %s", op->name,
                    name, v->node->op->name, kiln_type_name(v->spec.type),
                    kiln_graph_shape_text(g, &v->spec.shape, was, sizeof was), kiln_type_name(spec->type),
                    kiln_graph_shape_text(g, &spec->shape, is, sizeof is));
    return KILN_NONE;
}

kiln_tensor kiln_parameter(kiln_graph *g, const char *name, kiln_shape shape, const kiln_init *init)
{
    struct kiln_leaf_params params = {.spec = {KILN_F32, shape}};
    bool known;
    if (g->status || !valid_shape(g, "parameter", name, &shape, false))
        return KILN_NONE;
    const char *full = join(g, scope_text(g), name, "");
    const kiln_tensor before = known_leaf(g, &kiln_op_parameter, full, &params.spec, &known);
    if (known || !keep_init(g, full, &shape, init, &params.init))
        return before;
    const kiln_tensor t = add_leaf(g, &kiln_op_parameter, full, &params);
    if (t.id && !kiln_vec_push(&g->parameter, t))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "parameter \"%s\": out of memory", full);
    return t;
}

kiln_tensor kiln_state_init(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape,
                            kiln_store where, const kiln_init *init)
{
    struct kiln_leaf_params params = {.spec = {type, shape}, .store = where};
    bool known;
    if (g->status || !valid_shape(g, "state", name, &shape, false))
        return KILN_NONE;
    const char *full = join(g, scope_text(g), name, "");
    const kiln_tensor before = known_leaf(g, &kiln_op_state, full, &params.spec, &known);
    if (known || !keep_init(g, full, &shape, init, &params.init))
        return before;
    if (params.init.kind == KILN_INIT_DEFAULT)
        params.init.kind = KILN_INIT_ZEROS;
    const kiln_tensor t = add_leaf(g, &kiln_op_state, full, &params);
    if (t.id && !kiln_vec_push(&g->state, (struct kiln_state_value){t, t}))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "state \"%s\": out of memory", full);
    return t;
}

kiln_tensor kiln_state(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape, kiln_store where)
{
    return kiln_state_init(g, name, type, shape, where, NULL);
}
