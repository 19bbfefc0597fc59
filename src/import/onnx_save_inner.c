/*
 * onnx_save_inner.c - graphs within the one that is written: bodies of nodes, and what an operator is composed of.
 *
 * The writer is copied, with lists of its own for what is the inner graph's; what all share goes back when it is closed.
 */
#include <stdio.h>
#include <string.h>

#include "import/onnx_save_row.h"

bool kiln_onnx_open_inner(writer *inner, const writer *w, const kiln_graph *g, bool body)
{
    *inner = *w;
    inner->within = true;
    inner->input.data = NULL;
    inner->input.count = inner->input.capacity = 0;
    inner->result.data = NULL;
    inner->result.count = inner->result.capacity = 0;
    if (body) {
        inner->node.data = NULL;
        inner->node.count = inner->node.capacity = 0;
        inner->initializer.data = NULL;
        inner->initializer.count = inner->initializer.capacity = 0;
    }
    return kiln_onnx_begin_graph(inner, g);
}

static void take_back(writer *w, const writer *inner)
{
    w->arena = inner->arena;
    w->made_up = inner->made_up;
    w->stored = inner->stored;
    w->refusals = inner->refusals;
    w->refused = inner->refused;
    w->wanted = inner->wanted;
    w->status = inner->status;
    w->full = inner->full;
}

void kiln_onnx_close_inner(writer *inner, writer *w)
{
    take_back(w, inner);
    w->node = inner->node;
    w->initializer = inner->initializer;
    kiln_onnx_finish_graph(inner);
}

void kiln_onnx_call_input(writer *inner, int i, const char *name)
{
    inner->name[kiln_graph_input(inner->g, i).id] = name;
}

/* Bodies ------------------------------------------------------------------------------------------------- */

static void *keep(writer *w, const void *list, int count)
{
    const size_t bytes = (size_t)count * sizeof(void *);
    void *copy = kiln_arena_alloc(&w->arena, bytes + 1);
    w->full = w->full || !copy;
    if (copy && bytes)
        memcpy(copy, list, bytes);
    return copy;
}

void kiln_onnx_finish_body(writer *body, writer *w, Onnx__NodeProto *n, const char *attribute)
{
    Onnx__GraphProto *graph = kiln_arena_alloc(&body->arena, sizeof *graph);
    body->full = body->full || !graph;
    if (!body->full) {
        onnx__graph_proto__init(graph);
        graph->name = kiln_arena_text(&body->arena, kiln_onnx_new_name(body));
        graph->n_node = (size_t)body->node.count;
        graph->node = keep(body, body->node.data, body->node.count);
        graph->n_initializer = (size_t)body->initializer.count;
        graph->initializer = keep(body, body->initializer.data, body->initializer.count);
        graph->n_input = (size_t)body->input.count;
        graph->input = keep(body, body->input.data, body->input.count);
        graph->n_output = (size_t)body->result.count;
        graph->output = keep(body, body->result.data, body->result.count);
    }
    take_back(w, body);
    if (!w->full)
        kiln_onnx_put_graph(w, n, attribute, graph);
    kiln_vec_finish(&body->node);
    kiln_vec_finish(&body->initializer);
    kiln_vec_finish(&body->input);
    kiln_vec_finish(&body->result);
    kiln_onnx_finish_graph(body);
}

kiln_graph *kiln_onnx_body_graph(kiln_graph *g)
{
    kiln_graph *body = NULL;
    if (kiln_graph_create(&body, NULL))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "no memory for a body");
    return body;
}

kiln_tensor kiln_onnx_body_input(kiln_graph *body, kiln_type type, kiln_shape shape, const char *name)
{
    char size[32];
    for (int i = 0; i < shape.rank; i++)
        if (shape.size[i] < 0) {
            snprintf(size, sizeof size, "size%lld", (long long)-shape.size[i]);
            shape.size[i] = kiln_dim(body, size);
        }
    return kiln_input(body, name, type, shape);
}

kiln_tensor kiln_onnx_body_like(kiln_graph *body, const kiln_graph *g, kiln_tensor t, const char *name)
{
    const kiln_spec spec = kiln_tensor_spec(g, t);
    return kiln_onnx_body_input(body, spec.type, spec.shape, name);
}

/* Types -------------------------------------------------------------------------------------------------- */

static kiln_type wider(kiln_type type)
{
    return kiln_type_is_real(type) ? KILN_F32 : kiln_type_size(type) < 4 ? KILN_I32 : KILN_I64;
}

static bool is_of(const writer *w, kiln_tensor t, kiln_type type)
{
    return t.id && w->needed[t.id] && kiln_tensor_spec(w->g, t).type == type;
}

void kiln_onnx_write_widened(writer *w, const kiln_node *n, kiln_type type, const row *r,
                             void (*write)(writer *w, const kiln_node *n, const row *r))
{
    enum { MOST = 64 };
    const char *before[2 * MOST];
    if (n->inputs > MOST || n->outputs > MOST) {
        kiln_onnx_writer_refuse(w, n, "it has more than 64 inputs or outputs");
        return;
    }
    for (int i = 0; i < n->inputs; i++) {
        before[i] = w->name[n->in[i].id];
        if (is_of(w, n->in[i], type))
            w->name[n->in[i].id] = cast(w, before[i], NULL, wider(type));
    }
    for (int i = 0; i < n->outputs; i++) {
        before[MOST + i] = w->name[n->out[i].id];
        if (is_of(w, n->out[i], type))
            w->name[n->out[i].id] = kiln_onnx_new_name(w);
    }
    w->narrow = type;
    w->wide = wider(type);
    w->widens = true;
    write(w, n, r);
    w->widens = false;
    for (int i = 0; i < n->outputs; i++) {
        if (is_of(w, n->out[i], type))
            cast(w, w->name[n->out[i].id], before[MOST + i], type);
        w->name[n->out[i].id] = before[MOST + i];
    }
    for (int i = n->inputs; i-- > 0;)
        w->name[n->in[i].id] = before[i];
}

/* Composed operators ------------------------------------------------------------------------------------- */

/* An input of g like one of the node. */
static kiln_tensor like(kiln_graph *g, const writer *w, kiln_tensor t, int i)
{
    char name[32];
    snprintf(name, sizeof name, "in%d", i);
    return kiln_onnx_body_like(g, w->g, t, name);
}

/* The outputs that are needed and built, and what they are called. */
static int wanted_of(const writer *w, const kiln_node *n, const kiln_tensor *built, kiln_tensor *outputs,
                     const char **names)
{
    int count = 0;
    for (int i = 0; i < n->outputs; i++)
        if (w->needed[n->out[i].id] && built[i].id) {
            outputs[count] = built[i];
            names[count++] = kiln_onnx_name(w, n->out[i]);
        }
    return count;
}

static void write_built(writer *w, const kiln_node *n, const kiln_graph *g, const kiln_tensor *built)
{
    enum { MOST = 128 };
    kiln_tensor outputs[MOST];
    const char *names[MOST];
    writer inner;
    const int count = wanted_of(w, n, built, outputs, names);
    if (kiln_onnx_open_inner(&inner, w, g, false)) {
        int at = 0;
        for (int i = 0; i < n->inputs; i++)
            if (n->in[i].id)
                kiln_onnx_call_input(&inner, at++, kiln_onnx_name(w, n->in[i]));
        if (at < kiln_graph_input_count(g))
            kiln_onnx_call_input(&inner, at, w->besides);
        kiln_onnx_write_graph(&inner, outputs, names, count);
    }
    kiln_onnx_close_inner(&inner, w);
}

void kiln_onnx_write_composed(writer *w, const kiln_node *n, kiln_onnx_compose_fn *compose)
{
    enum { MOST = 64 };
    kiln_tensor in[MOST] = {{0, 0}}, built[MOST] = {{0, 0}};
    kiln_graph *g = NULL;
    if (n->inputs > MOST || n->outputs > MOST) {
        kiln_onnx_writer_refuse(w, n, "it has more than 64 inputs or outputs");
        return;
    }
    w->status = kiln_graph_create(&g, NULL);
    for (int i = 0; !w->status && i < n->inputs; i++)
        if (n->in[i].id)
            in[i] = like(g, w, n->in[i], i);
    if (!w->status)
        compose(g, n, in, built);
    if (!w->status && kiln_graph_status(g))
        kiln_onnx_writer_refuse(w, n, kiln_graph_error(g));
    else if (!w->status)
        write_built(w, n, g, built);
    kiln_graph_destroy(&g);
}
