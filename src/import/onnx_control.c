/*
 * onnx_control.c - If, Loop and Scan: graphs within nodes.
 *
 * A body reads values of the graph around it by their names. What is known there is known in the body, too; the rest is listed
 * before the body is built, and becomes inputs of its own (kiln_scan_params.with). A branch that is known while reading takes
 * the place of its node.
 */
#include <stdio.h>
#include <string.h>

#include <kiln/control.h>
#include <kiln/indexing.h>

#include "import/onnx.h"

/* What bodies read ----------------------------------------------------------------------------------------------- */

/* A value of the graph around, and its name there: a function's input has another than its own. */
struct outer {
    const char *name;
    struct kiln_onnx_value *value;
};

/* Values of the graph around that bodies read: those that are computed, by the order in which they are given; and known ones. */
struct captured {
    struct outer item[KILN_BODY_VALUES];
    int count;
    KILN_VEC(struct outer) known; /* one may come again */
    bool refused, full, no_memory;
};

static const char *name_of(const Onnx__ValueInfoProto *info)
{
    return info->name ? info->name : "";
}

static void capture(const struct kiln_onnx *m, struct captured *c, const char *name)
{
    struct kiln_onnx_value *v = name[0] ? kiln_onnx_find(m, name) : NULL;
    if (!v)
        return; /* the body's own */
    c->refused |= v->refused;
    if (v->absent || (v->known && v->role == KILN_ONNX_CONSTANT)) {
        c->no_memory |= !kiln_vec_push(&c->known, ((struct outer){name, v}));
        return;
    }
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->item[i].name, name))
            return;
    c->full |= c->count == KILN_BODY_VALUES;
    if (!c->full)
        c->item[c->count++] = (struct outer){name, v};
}

/* All that the body and bodies within it read. Names are made once, so what the body makes has no name out here. */
static void capture_all(const struct kiln_onnx *m, struct captured *c, const Onnx__GraphProto *body)
{
    for (size_t i = 0; i < body->n_node; i++) {
        const Onnx__NodeProto *node = body->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            capture(m, c, node->input[k]);
        for (size_t k = 0; k < node->n_attribute; k++)
            if (node->attribute[k]->g)
                capture_all(m, c, node->attribute[k]->g);
    }
    for (size_t i = 0; i < body->n_output; i++)
        capture(m, c, name_of(body->output[i]));
}

static bool has_captured(kiln_onnx_node *n, const struct captured *c)
{
    if (c->full)
        kiln_onnx_refuse(n, "its body reads more than %d values around it", KILN_BODY_VALUES);
    if (c->no_memory)
        kiln_onnx_fail(n->m, KILN_ERROR_MEMORY, "out of memory");
    if (c->refused)
        n->refused = true; /* told already */
    return !n->refused && !n->m->status;
}

/* The list as it is given: values of the graph around, ended by none. */
static void give(kiln_onnx_node *n, const struct captured *c, kiln_tensor *to)
{
    for (int i = 0; i < c->count; i++)
        to[i] = kiln_onnx_tensor_of(n->m, c->item[i].value);
    if (c->count < KILN_BODY_VALUES)
        to[c->count] = KILN_NONE;
}

/* Bodies ----------------------------------------------------------------------------------------------------------- */

/* A body that is being read, and who reads it. */
struct body {
    kiln_onnx_node *n;
    struct kiln_onnx m;
};

/* A size of the graph around as one of the body: symbols keep their names, what is computed gets one. */
static int64_t size_inside(const struct body *b, int64_t size)
{
    char text[64];
    const char *name = size < 0 ? kiln_dim_name(b->n->g, size) : NULL;
    snprintf(text, sizeof text, "size%lld", (long long)-size);
    return size < 0 ? kiln_dim(b->m.g, name ? name : text) : size;
}

static kiln_spec spec_inside(const struct body *b, kiln_spec spec)
{
    for (int i = 0; i < spec.shape.rank; i++)
        spec.shape.size[i] = size_inside(b, spec.shape.size[i]);
    return spec;
}

/* An input of the body. */
static kiln_tensor declare(struct body *b, const char *name, kiln_spec spec)
{
    spec = spec_inside(b, spec);
    return kiln_input(b->m.g, name, spec.type, spec.shape);
}

/* That a name means this in the body. */
static struct kiln_onnx_value *mean(struct body *b, const char *name, kiln_tensor t)
{
    struct kiln_onnx_value *v = kiln_onnx_add(&b->m, name);
    if (v)
        v->tensor = t;
    return v;
}

/* Input i of the file's body, whose spec is known from what is given. */
static void declare_formal(struct body *b, size_t i, kiln_spec spec)
{
    const Onnx__GraphProto *g = b->m.graph;
    if (i >= g->n_input || !name_of(g->input[i])[0])
        kiln_onnx_refuse(b->n, "its body has no input %zu", i);
    else if (!b->m.status)
        mean(b, g->input[i]->name, declare(b, g->input[i]->name, spec));
}

static void know(struct body *b, const char *name, kiln_spec spec, struct kiln_onnx_item item)
{
    struct kiln_onnx_value *v = kiln_onnx_add(&b->m, name);
    struct kiln_onnx_item *items = v ? kiln_onnx_alloc(&b->m, sizeof *items) : NULL;
    if (items) {
        *items = item;
        v->items = items;
        v->known = true;
        v->spec = spec;
    }
}

static bool open_body(struct body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph)
{
    *b = (struct body){.n = n, .m = *n->m};
    b->m.g = NULL;
    b->m.graph = graph;
    b->m.arena = (struct kiln_arena){0};
    memset(&b->m.value, 0, sizeof b->m.value);
    b->m.names = (struct kiln_map){0};
    b->m.refusals = (struct kiln_text){0};
    b->m.refused = 0;
    n->m->status = kiln_graph_create(&b->m.g, &(kiln_graph_params){.name = graph->name});
    return !n->m->status;
}

/* A known value of the graph around. Sizes in it that are symbols are those of that graph. */
static void know_too(struct body *b, const char *name, const struct kiln_onnx_value *v)
{
    struct kiln_onnx_value *own = kiln_onnx_add(&b->m, name);
    const int64_t count = v->items ? kiln_shape_count(&v->spec.shape) : 0;
    struct kiln_onnx_item *items =
        own && count ? kiln_onnx_alloc(&b->m, (size_t)count * sizeof *items) : NULL;
    for (int64_t i = 0; items && i < count; i++) {
        items[i] = v->items[i];
        if (items[i].symbol)
            items[i].i = size_inside(b, items[i].i);
    }
    if (!own)
        return;
    own->known = v->known;
    own->absent = v->absent;
    own->spec = v->spec;
    own->data = v->data;
    own->items = items;
}

/* The values around: those captured as inputs, behind the body's own; the known ones as they are. */
static void see_around(struct body *b, const struct captured *c)
{
    const struct kiln_onnx *around = b->n->m;
    for (int i = 0; i < c->count; i++) {
        const struct kiln_onnx_value *v = c->item[i].value;
        const kiln_spec spec = v->known ? v->spec : kiln_tensor_spec(around->g, v->tensor);
        mean(b, c->item[i].name, declare(b, c->item[i].name, spec));
    }
    for (int i = 0; i < c->known.count && !b->m.status; i++)
        if (!kiln_onnx_find(&b->m, c->known.data[i].name))
            know_too(b, c->known.data[i].name, c->known.data[i].value);
}

static void read_nodes(struct body *b)
{
    kiln_status status = kiln_onnx_add_initializers(&b->m, false);
    for (size_t i = 0; !status && i < b->m.graph->n_node; i++)
        status = kiln_onnx_add_node(&b->m, b->m.graph->node[i]);
}

static struct kiln_onnx_value *result(const struct body *b, size_t i)
{
    const Onnx__GraphProto *g = b->m.graph;
    return i < g->n_output ? kiln_onnx_find(&b->m, name_of(g->output[i])) : NULL;
}

/* Output i of the file's body becomes the next of the graph's. */
static void put_result(struct body *b, size_t i)
{
    struct kiln_onnx_value *v = result(b, i);
    char name[32];
    if (!v)
        kiln_onnx_refuse(b->n, "its body makes no output %zu", i);
    if (!v || v->refused)
        return;
    kiln_tensor t = kiln_onnx_tensor_of(&b->m, v);
    if (!t.id && !b->m.status && !kiln_graph_status(b->m.g))
        kiln_onnx_refuse(b->n, "output \"%s\" of its body depends on a symbolic size", v->name);
    snprintf(name, sizeof name, "out%zu", i);
    kiln_output(b->m.g, name, kiln_onnx_copy(b->m.g, t));
}

/* What stopped the reading of the body stops that of the model. */
static bool hand_on(struct body *b)
{
    if (b->m.status)
        b->n->m->status = b->m.status;
    return !b->m.status;
}

/* What the body could not do is what its node cannot. */
static bool is_whole(struct body *b)
{
    const bool read = hand_on(b);
    if (b->m.refused)
        kiln_onnx_refuse(b->n, "in its body: %s", kiln_text_get(&b->m.refusals));
    return !b->n->refused && read && !kiln_graph_status(b->m.g);
}

static void close_body(struct body *b)
{
    kiln_graph_destroy(&b->m.g);
    kiln_vec_finish(&b->m.value);
    kiln_map_finish(&b->m.names);
    kiln_text_finish(&b->m.refusals);
    kiln_arena_finish(&b->m.arena);
}

/* If --------------------------------------------------------------------------------------------------------------- */

/* The branch's nodes as nodes of the graph around. */
static void take_branch(kiln_onnx_node *n, const Onnx__GraphProto *branch)
{
    struct kiln_onnx *m = n->m;
    const Onnx__GraphProto *around = m->graph;
    m->graph = branch;
    kiln_status status = kiln_onnx_add_initializers(m, false);
    for (size_t i = 0; !status && i < branch->n_node; i++)
        status = kiln_onnx_add_node(m, branch->node[i]);
    m->graph = around;
    for (int i = 0; !status && i < n->outputs; i++) {
        struct kiln_onnx_value *from =
            (size_t)i < branch->n_output ? kiln_onnx_find(m, name_of(branch->output[i])) : NULL;
        if (!from || from->refused) {
            kiln_onnx_refuse(n, "output %d of its branch could not be built", i);
            return;
        }
        if (n->out[i])
            kiln_onnx_become(m, n->out[i], from);
    }
}

static bool read_branch(struct body *b, kiln_onnx_node *n, const Onnx__GraphProto *branch,
                        const struct captured *c)
{
    if (!open_body(b, n, branch))
        return false;
    see_around(b, c);
    read_nodes(b);
    for (int i = 0; i < n->outputs; i++)
        put_result(b, (size_t)i);
    return is_whole(b);
}

static void choose(kiln_onnx_node *n, const Onnx__GraphProto *then, const Onnx__GraphProto *otherwise)
{
    struct captured c = {0};
    struct body a = {0}, b = {0};
    kiln_tensor in[KILN_BODY_VALUES + 1], out[KILN_ONNX_MOST_INPUTS];
    capture_all(n->m, &c, then);
    capture_all(n->m, &c, otherwise);
    if (has_captured(n, &c) && read_branch(&a, n, then, &c) && read_branch(&b, n, otherwise, &c)) {
        give(n, &c, in);
        in[c.count] = KILN_NONE;
        kiln_if(n->g, kiln_onnx_scalar(n, 0), a.m.g, b.m.g, in, out);
        for (int i = 0; i < n->outputs; i++)
            kiln_onnx_out(n, i, out[i]);
    }
    close_body(&a);
    close_body(&b);
    kiln_vec_finish(&c.known);
}

/* The axis along which the branch's output i is a constant without elements; -1 if it is none. */
static int empty_axis(const Onnx__GraphProto *branch, int i)
{
    const char *name = (size_t)i < branch->n_output ? name_of(branch->output[i]) : "";
    for (size_t k = 0; k < branch->n_node; k++) {
        const Onnx__NodeProto *node = branch->node[k];
        const Onnx__TensorProto *t = NULL;
        if (!node->op_type || strcmp(node->op_type, "Constant") || !node->n_output ||
            strcmp(node->output[0], name))
            continue;
        if (node->n_attribute == 1)
            t = node->attribute[0]->t;
        for (size_t axis = 0; t && axis < t->n_dims; axis++)
            if (t->dims[axis] == 0)
                return (int)axis;
    }
    return -1;
}

static bool gives_nothing(const Onnx__GraphProto *branch, int outputs)
{
    bool nothing = outputs > 0;
    for (int i = 0; i < outputs; i++)
        nothing = nothing && empty_axis(branch, i) >= 0;
    return nothing;
}

/*
 * A branch that gives nothing stands beside one that gives what data counts, as where boxes are suppressed if there are any. The other
 * is taken, and none of what it gives where the condition asks for nothing.
 */
static void take_or_nothing(kiln_onnx_node *n, const Onnx__GraphProto *some, const Onnx__GraphProto *none,
                            bool none_if)
{
    const kiln_tensor asked = kiln_onnx_scalar(n, 0), nothing = kiln_scalar(n->g, KILN_I32, 0);
    take_branch(n, some);
    for (int i = 0; i < n->outputs && !n->refused && !n->m->status; i++) {
        const int axis = empty_axis(none, i);
        kiln_tensor y = n->out[i] ? kiln_onnx_tensor_of(n->m, n->out[i]) : KILN_NONE;
        if (!y.id)
            continue;
        if (axis >= kiln_tensor_shape(n->g, y).rank) {
            kiln_onnx_refuse(n, "output %d of its branches differs in rank", i);
            return;
        }
        const kiln_tensor there = kiln_onnx_axis_size(n->g, y, axis);
        const kiln_tensor count =
            kiln_where(n->g, asked, none_if ? nothing : there, none_if ? there : nothing);
        if (kiln_dim_is_counted(n->g, kiln_tensor_shape(n->g, y).size[axis]))
            y = kiln_whole(n->g, y, axis, 0);
        n->out[i]->known = false;
        kiln_onnx_out(n, i, kiln_first(n->g, y, count, axis));
    }
}

void kiln_onnx_build_if(kiln_onnx_node *n)
{
    const Onnx__GraphProto *then = kiln_onnx_graph(n, "then_branch"),
                           *otherwise = kiln_onnx_graph(n, "else_branch");
    double known;
    if (n->refused)
        return;
    if (kiln_onnx_number(n, 0, &known))
        take_branch(n, known != 0 ? then : otherwise);
    else if (gives_nothing(then, n->outputs))
        take_or_nothing(n, otherwise, then, true);
    else if (gives_nothing(otherwise, n->outputs))
        take_or_nothing(n, then, otherwise, false);
    else
        choose(n, then, otherwise);
}

/* Scan ------------------------------------------------------------------------------------------------------------- */

/* What a Scan becomes: its steps lie along axis 0 of `each`. */
struct steps {
    kiln_scan_params p;
    int each, carries, stacked;
};

static int64_t at_or(const int64_t *list, int count, int i, int64_t otherwise)
{
    return list && i < count ? list[i] : otherwise;
}

/* Scan inputs lie behind the states; a step takes a slice of each, along its axis and in its direction. */
static void take_each(kiln_onnx_node *n, struct steps *s)
{
    int axes, directions;
    const int64_t *axis = kiln_onnx_ints(n, "scan_input_axes", &axes),
                  *back = kiln_onnx_ints(n, "scan_input_directions", &directions);
    for (int i = 0; i < s->each && !n->refused; i++) {
        const kiln_tensor x = kiln_onnx_in(n, s->carries + i);
        const int from = kiln_onnx_axis(n, at_or(axis, axes, i, 0), kiln_tensor_shape(n->g, x).rank);
        s->p.each[i] = kiln_move_axis(n->g, x, from, 0);
        if (at_or(back, directions, i, 0))
            s->p.each[i] = kiln_flip(n->g, s->p.each[i], 0);
    }
}

/* What was stacked, along its axis and in its direction. */
static kiln_tensor laid_out(kiln_onnx_node *n, kiln_tensor y, int i)
{
    int axes, directions;
    const int64_t *axis = kiln_onnx_ints(n, "scan_output_axes", &axes),
                  *back = kiln_onnx_ints(n, "scan_output_directions", &directions);
    const int to = kiln_onnx_axis(n, at_or(axis, axes, i, 0), kiln_tensor_shape(n->g, y).rank);
    if (at_or(back, directions, i, 0))
        y = kiln_flip(n->g, y, 0);
    return n->refused ? y : kiln_move_axis(n->g, y, 0, to);
}

static kiln_spec slice_of(const kiln_graph *g, kiln_tensor x)
{
    const kiln_spec spec = kiln_tensor_spec(g, x);
    return (kiln_spec){spec.type, kiln_shape_of(spec.shape.rank - 1, &spec.shape.size[1])};
}

/* ONNX's bodies list states before slices, and new states before what is stacked. */
static bool read_scan_body(struct body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph,
                           const struct steps *s, const struct captured *c)
{
    if (!open_body(b, n, graph))
        return false;
    for (int i = 0; i < s->each; i++)
        declare_formal(b, (size_t)(s->carries + i), slice_of(n->g, s->p.each[i]));
    for (int i = 0; i < s->carries; i++)
        declare_formal(b, (size_t)i, kiln_tensor_spec(n->g, s->p.carry[i]));
    see_around(b, c);
    read_nodes(b);
    for (int i = 0; i < s->stacked; i++)
        put_result(b, (size_t)(s->carries + i));
    for (int i = 0; i < s->carries; i++)
        put_result(b, (size_t)i);
    return is_whole(b);
}

/* Counts them, inputs from `first` on; false after a refusal. */
static bool count_steps(kiln_onnx_node *n, int first, struct steps *s)
{
    *s = (struct steps){.each = (int)kiln_onnx_int(n, "num_scan_inputs", 0)};
    s->carries = n->inputs - first - s->each;
    s->stacked = n->outputs - s->carries;
    if (s->each < 1 || s->carries < 0 || s->stacked < 0 || n->inputs >= KILN_BODY_VALUES ||
        n->outputs >= KILN_BODY_VALUES)
        kiln_onnx_refuse(n, "%d of %d inputs are scanned, for %d outputs", s->each, n->inputs, n->outputs);
    return !n->refused;
}

/* What is stacked comes first in `out`. */
static void scan(kiln_onnx_node *n, const Onnx__GraphProto *graph, struct steps *s, struct captured *c,
                 kiln_tensor *out)
{
    struct body b = {0};
    if (read_scan_body(&b, n, graph, s, c)) {
        give(n, c, s->p.with);
        kiln_scan(n->g, b.m.g, &s->p, out);
    }
    close_body(&b);
}

void kiln_onnx_build_scan(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    struct captured c = {0};
    struct steps s;
    kiln_tensor out[KILN_ONNX_MOST_INPUTS] = {KILN_NONE};
    if (!graph || !count_steps(n, 0, &s))
        return;
    for (int i = 0; i < s.carries; i++)
        s.p.carry[i] = kiln_onnx_in(n, i);
    take_each(n, &s);
    capture_all(n->m, &c, graph);
    if (has_captured(n, &c))
        scan(n, graph, &s, &c, out);
    for (int i = 0; i < s.carries; i++)
        kiln_onnx_out(n, i, out[s.stacked + i]);
    for (int i = 0; i < s.stacked && !n->refused; i++)
        kiln_onnx_out(n, s.carries + i, laid_out(n, out[i], i));
    kiln_vec_finish(&c.known);
}

/* Element `at` of axis 0. */
static kiln_tensor member(kiln_graph *g, kiln_tensor x, int64_t at)
{
    return x.id ? kiln_squeeze(g, kiln_slice(g, x, 0, at, at + 1, 1), 0) : KILN_NONE;
}

/* x with `part` behind it along a new axis 0. */
static kiln_tensor gathered(kiln_graph *g, kiln_tensor x, kiln_tensor part)
{
    part = kiln_unsqueeze(g, part, 0);
    return x.id ? kiln_concat(g, (const kiln_tensor[]){x, part}, 2, 0) : part;
}

/*
 * Before opset 9 a batch lies before the steps, and the lengths of its sequences come first: a body knows neither, so each
 * sequence is scanned by itself.
 */
void kiln_onnx_build_scan_batched(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    kiln_tensor out[KILN_ONNX_MOST_INPUTS] = {KILN_NONE}, all[KILN_ONNX_MOST_INPUTS] = {KILN_NONE};
    struct captured c = {0};
    struct steps s;
    int directions;
    if (!graph || !count_steps(n, 1, &s))
        return;
    const int64_t *back = kiln_onnx_ints(n, "directions", &directions);
    const kiln_shape first = kiln_onnx_spec(n, 1).shape;
    if (kiln_onnx_has(n, 0) || first.rank < 1 || first.size[0] < 1)
        kiln_onnx_refuse(n, "lengths of sequences, or a batch of unknown size");
    capture_all(n->m, &c, graph);
    for (int64_t k = 0; !n->refused && has_captured(n, &c) && k < first.size[0]; k++) {
        for (int i = 0; i < s.carries; i++)
            s.p.carry[i] = member(n->g, kiln_onnx_in(n, 1 + i), k);
        for (int i = 0; i < s.each; i++) {
            s.p.each[i] = member(n->g, kiln_onnx_in(n, 1 + s.carries + i), k);
            if (at_or(back, directions, i, 0))
                s.p.each[i] = kiln_flip(n->g, s.p.each[i], 0);
        }
        scan(n, graph, &s, &c, out);
        for (int i = 0; i < n->outputs; i++)
            all[i] = gathered(n->g, all[i], out[i < s.carries ? s.stacked + i : i - s.carries]);
    }
    for (int i = 0; i < n->outputs; i++)
        kiln_onnx_out(n, i, all[i]);
    kiln_vec_finish(&c.known);
}

/* Loop ------------------------------------------------------------------------------------------------------------- */

/* Its inputs are the number of steps and whether to begin, before the carries; its body's are the step and true. */
enum { TRIPS, BEGINS, FIRST_CARRY };

struct loop {
    kiln_loop_params p;
    int carries, stacked;
};

static kiln_spec scalar_of(kiln_type type)
{
    return (kiln_spec){type, KILN_SCALAR};
}

/* The step is a word in kiln, and the body is entered only where it is to be. */
static bool read_loop_body(struct body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph,
                           const struct loop *l, const struct captured *c)
{
    if (graph->n_input < FIRST_CARRY)
        kiln_onnx_refuse(n, "its body has %zu inputs", graph->n_input);
    if (n->refused || !open_body(b, n, graph))
        return false;
    const kiln_tensor step = declare(b, "step", scalar_of(KILN_I32));
    mean(b, name_of(graph->input[TRIPS]), kiln_cast(b->m.g, step, KILN_I64));
    know(b, name_of(graph->input[BEGINS]), scalar_of(KILN_BOOL), (struct kiln_onnx_item){.i = 1});
    for (int i = 0; i < l->carries; i++)
        declare_formal(b, (size_t)(FIRST_CARRY + i), kiln_tensor_spec(n->g, l->p.carry[i]));
    see_around(b, c);
    read_nodes(b);
    return hand_on(b);
}

/* Whether the body always goes on. */
static bool goes_on(struct body *b)
{
    struct kiln_onnx_value *v = result(b, 0);
    const struct kiln_onnx_item *item = v && v->known ? kiln_onnx_items(&b->m, v) : NULL;
    return item && item->i;
}

/* Whether to go on; then what is stacked, which comes before the carries in kiln. */
static bool put_results(struct body *b, const struct loop *l)
{
    if (goes_on(b))
        kiln_output(b->m.g, "more", kiln_scalar(b->m.g, KILN_BOOL, 1));
    else
        put_result(b, 0);
    for (int i = 0; i < l->stacked; i++)
        put_result(b, (size_t)(1 + l->carries + i));
    for (int i = 0; i < l->carries; i++)
        put_result(b, (size_t)(1 + i));
    return is_whole(b);
}

/* Numbers that are known are constants, so that a loop whose body always goes on is a scan (kiln_loop). */
static void put_loop(kiln_onnx_node *n, struct body *b, struct loop *l)
{
    kiln_tensor out[KILN_ONNX_MOST_INPUTS + 1];
    double trips, begins;
    const bool counted = kiln_onnx_number(n, TRIPS, &trips) && trips >= 0 && trips <= INT32_MAX;
    l->p.bound = !counted ? n->m->params.most_steps : trips > 1 ? (int64_t)trips : 1;
    if (!counted && l->p.bound < 1)
        kiln_onnx_refuse(n,
                         "data ends it: kiln_onnx_params.most_steps says after how many steps at the most");
    if (n->refused || !put_results(b, l))
        return;
    l->p.trips = counted ? kiln_scalar(n->g, KILN_I64, trips) : kiln_onnx_scalar(n, TRIPS);
    l->p.condition = kiln_onnx_number(n, BEGINS, &begins) ? kiln_scalar(n->g, KILN_BOOL, begins)
                                                          : kiln_onnx_scalar(n, BEGINS);
    kiln_loop(n->g, b->m.g, &l->p, out);
    for (int i = 0; i < l->carries; i++)
        kiln_onnx_out(n, i, out[1 + l->stacked + i]);
    for (int i = 0; i < l->stacked; i++)
        kiln_onnx_out(n, l->carries + i, out[1 + i]);
}

/* Steps one behind the other, as nodes of the graph around ------------------------------------------------------------ */

/*
 * Where the number of steps is known, a body may be read anew for each: then the step is a number in it, and what is handed on may
 * change in shape or be known, as sizes and lists that grow.
 */
struct unrolled {
    struct kiln_onnx_value state[KILN_BODY_VALUES];
    kiln_tensor stacked[KILN_BODY_VALUES];
    bool more;
};

enum { MOST_UNROLLED = 1 << 14 }; /* nodes */

/* A value of the graph around, in a step. */
static void adopt(struct kiln_onnx *m, const struct outer *o)
{
    if (!kiln_onnx_find(m, o->name))
        kiln_onnx_alias(m, o->name, o->value);
}

/* A formal of the body, by its name, means what v is. */
static void become(kiln_onnx_node *n, const Onnx__GraphProto *graph, size_t i, struct kiln_onnx_value *v)
{
    const char *name = i < graph->n_input ? name_of(graph->input[i]) : "";
    struct kiln_onnx_value *own = name[0] ? kiln_onnx_add(n->m, name) : NULL;
    if (!own) {
        kiln_onnx_refuse(n, "its body has no input %zu", i);
        return;
    }
    kiln_onnx_become(n->m, own, v);
}

static void become_number(kiln_onnx_node *n, const Onnx__GraphProto *graph, size_t i, kiln_type type,
                          int64_t number)
{
    struct kiln_onnx_item *item = kiln_onnx_alloc(n->m, sizeof *item);
    if (!item)
        return;
    *item = (struct kiln_onnx_item){.i = number};
    become(n, graph, i, &(struct kiln_onnx_value){.known = true, .spec = scalar_of(type), .items = item});
}

/* What a step made: whether to go on, states, and rows. */
static void take_results(kiln_onnx_node *n, const Onnx__GraphProto *graph, const struct loop *l,
                         struct unrolled *u)
{
    struct kiln_onnx_value *made[KILN_BODY_VALUES];
    for (int i = 0; i < 1 + l->carries + l->stacked; i++) {
        made[i] = (size_t)i < graph->n_output ? kiln_onnx_find(n->m, name_of(graph->output[i])) : NULL;
        if (!made[i] || made[i]->refused)
            kiln_onnx_refuse(n, "its body makes no output %d", i);
    }
    if (n->refused)
        return;
    const struct kiln_onnx_item *more = kiln_onnx_items(n->m, made[0]);
    if (!more)
        kiln_onnx_refuse(n, "data ends it, and its steps differ in shape");
    u->more = more && more->i;
    for (int i = 0; i < l->carries; i++)
        u->state[i] = *made[1 + i];
    for (int i = 0; i < l->stacked; i++) {
        const kiln_tensor row = kiln_onnx_tensor_of(n->m, made[1 + l->carries + i]);
        u->stacked[i] = gathered(n->g, u->stacked[i], row);
    }
}

/* The body's names mean something in its step alone. */
static void unroll_step(kiln_onnx_node *n, const Onnx__GraphProto *graph, const struct loop *l,
                        const struct captured *c, int64_t step, struct unrolled *u)
{
    struct kiln_onnx *m = n->m;
    const struct kiln_onnx around = *m;
    memset(&m->value, 0, sizeof m->value);
    m->names = (struct kiln_map){0};
    m->graph = graph;
    become_number(n, graph, TRIPS, KILN_I64, step);
    become_number(n, graph, BEGINS, KILN_BOOL, 1);
    for (int i = 0; i < l->carries; i++)
        become(n, graph, (size_t)(FIRST_CARRY + i), &u->state[i]);
    for (int i = 0; i < c->count; i++)
        adopt(m, &c->item[i]);
    for (int i = 0; i < c->known.count; i++)
        adopt(m, &c->known.data[i]);
    kiln_status status = n->refused ? KILN_OK : kiln_onnx_add_initializers(m, false);
    for (size_t i = 0; !status && !n->refused && i < graph->n_node; i++)
        status = kiln_onnx_add_node(m, graph->node[i]);
    if (!status && !n->refused)
        take_results(n, graph, l, u);
    kiln_vec_finish(&m->value);
    kiln_map_finish(&m->names);
    memcpy(&m->value, &around.value, sizeof m->value);
    m->names = around.names;
    m->graph = around.graph;
}

/* How often, where it is known and not too often; -1 where it is not. */
static int64_t known_steps(kiln_onnx_node *n, const Onnx__GraphProto *graph)
{
    const double most = (double)(MOST_UNROLLED / (graph->n_node + 1));
    double trips = 0, begins = 1;
    if ((kiln_onnx_has(n, BEGINS) && !kiln_onnx_number(n, BEGINS, &begins)) ||
        !kiln_onnx_number(n, TRIPS, &trips) || !(trips <= most))
        return -1;
    return begins != 0 && trips > 0 ? (int64_t)trips : 0;
}

static void unroll(kiln_onnx_node *n, const Onnx__GraphProto *graph, const struct loop *l,
                   const struct captured *c)
{
    const int64_t steps = known_steps(n, graph);
    struct unrolled *u = kiln_onnx_alloc(n->m, sizeof *u);
    if (!u)
        return;
    *u = (struct unrolled){.more = true};
    for (int i = 0; i < l->carries; i++)
        if (n->in[FIRST_CARRY + i])
            u->state[i] = *n->in[FIRST_CARRY + i];
    for (int64_t step = 0; step < steps && u->more && !n->refused && !n->m->status; step++)
        unroll_step(n, graph, l, c, step, u);
    for (int i = 0; i < l->carries && !n->refused; i++)
        if (n->out[i])
            kiln_onnx_become(n->m, n->out[i], &u->state[i]);
    for (int i = 0; i < l->stacked && !n->refused; i++)
        kiln_onnx_out(n, l->carries + i, u->stacked[i]);
}

/* Whether a body, once read, can be one for all steps: all of it is built, and hands on what it gets by type and shape. */
static bool is_alike(struct body *b, const struct loop *l)
{
    if (b->m.refused || kiln_graph_status(b->m.g))
        return false;
    for (int i = 0; i < l->carries; i++) {
        struct kiln_onnx_value *v = result(b, (size_t)(1 + i));
        const kiln_spec given = spec_inside(b, kiln_tensor_spec(b->n->g, l->p.carry[i]));
        const kiln_spec made = !v ? (kiln_spec){0} : v->known ? v->spec : kiln_tensor_spec(b->m.g, v->tensor);
        if (made.type != given.type || !kiln_shape_equal(&made.shape, &given.shape))
            return false;
    }
    return true;
}

void kiln_onnx_build_loop(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    struct loop l = {.carries = n->inputs > FIRST_CARRY ? n->inputs - FIRST_CARRY : 0};
    struct captured c = {0};
    struct body b = {0};
    l.stacked = n->outputs - l.carries;
    if (l.stacked < 0 || n->inputs >= KILN_BODY_VALUES || n->outputs >= KILN_BODY_VALUES)
        kiln_onnx_refuse(n, "%d inputs and %d outputs", n->inputs, n->outputs);
    for (int i = 0; i < l.carries && !n->refused; i++)
        l.p.carry[i] = kiln_onnx_in(n, FIRST_CARRY + i);
    if (n->refused)
        return;
    capture_all(n->m, &c, graph);
    if (has_captured(n, &c) && read_loop_body(&b, n, graph, &l, &c)) {
        if (known_steps(n, graph) > 0 && !is_alike(&b, &l)) {
            unroll(n, graph, &l, &c);
        } else {
            give(n, &c, l.p.with);
            put_loop(n, &b, &l);
        }
    }
    close_body(&b);
    kiln_vec_finish(&c.known);
}
