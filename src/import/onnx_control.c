/* onnx_control.c - If and Scan. A branch that is known while reading takes the place of its node. */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx_body.h"

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
            (size_t)i < branch->n_output ? kiln_onnx_find(m, kiln_onnx_info_name(branch->output[i])) : NULL;
        if (!from || from->refused) {
            kiln_onnx_refuse(n, "output %d of its branch could not be built", i);
            return;
        }
        if (n->out[i])
            kiln_onnx_become(m, n->out[i], from);
    }
}

/* Whether no size in a body is data's: only loops and scans hand out whether there was no room for one. */
static bool knows_sizes(struct kiln_onnx_body *b)
{
    if (b->m.beyond.id)
        kiln_onnx_refuse(
            b->n, "data gives a size in its body, which is supported in those of loops and scans alone");
    return !b->m.beyond.id;
}

static bool read_branch(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *branch,
                        const struct kiln_onnx_captured *c)
{
    if (!kiln_onnx_body_open(b, n, branch))
        return false;
    kiln_onnx_body_see(b, c);
    kiln_onnx_body_read(b);
    for (int i = 0; i < n->outputs; i++)
        kiln_onnx_body_put(b, (size_t)i);
    return knows_sizes(b) && kiln_onnx_body_is_whole(b);
}

static void choose(kiln_onnx_node *n, const Onnx__GraphProto *then, const Onnx__GraphProto *otherwise)
{
    struct kiln_onnx_captured c = {0};
    struct kiln_onnx_body a = {0}, b = {0};
    kiln_tensor in[KILN_BODY_VALUES + 1], out[KILN_ONNX_MOST_INPUTS];
    kiln_onnx_capture(n->m, &c, then);
    kiln_onnx_capture(n->m, &c, otherwise);
    if (kiln_onnx_has_captured(n, &c) && read_branch(&a, n, then, &c) && read_branch(&b, n, otherwise, &c)) {
        kiln_onnx_give(n, &c, in);
        in[c.count + c.sizes] = KILN_NONE;
        kiln_if(n->g, kiln_onnx_scalar(n, 0), a.m.g, b.m.g, in, out);
        for (int i = 0; i < n->outputs; i++)
            kiln_onnx_out(n, i, out[i]);
    }
    kiln_onnx_body_close(&a);
    kiln_onnx_body_close(&b);
    kiln_vec_finish(&c.known);
}

/* The axis along which the branch's output i is a constant without elements; -1 if it is none. */
static int empty_axis(const Onnx__GraphProto *branch, int i)
{
    const char *name = (size_t)i < branch->n_output ? kiln_onnx_info_name(branch->output[i]) : "";
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
static bool read_scan_body(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph,
                           const struct steps *s, const struct kiln_onnx_captured *c)
{
    if (!kiln_onnx_body_open(b, n, graph))
        return false;
    for (int i = 0; i < s->each; i++)
        kiln_onnx_body_bound(b,
                             kiln_onnx_body_formal(b, (size_t)(s->carries + i), slice_of(n->g, s->p.each[i])),
                             s->p.each[i]);
    for (int i = 0; i < s->carries; i++)
        kiln_onnx_body_formal(b, (size_t)i, kiln_tensor_spec(n->g, s->p.carry[i]));
    kiln_onnx_body_see(b, c);
    kiln_onnx_body_read(b);
    for (int i = 0; i < s->stacked; i++)
        kiln_onnx_body_put(b, (size_t)(s->carries + i));
    if (b->m.beyond.id)
        kiln_output(b->m.g, "beyond", kiln_onnx_copy(b->m.g, b->m.beyond));
    for (int i = 0; i < s->carries; i++)
        kiln_onnx_body_put(b, (size_t)i);
    return kiln_onnx_body_is_whole(b);
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
static void scan(kiln_onnx_node *n, const Onnx__GraphProto *graph, struct steps *s,
                 struct kiln_onnx_captured *c, kiln_tensor *out)
{
    struct kiln_onnx_body b = {0};
    if (read_scan_body(&b, n, graph, s, c)) {
        kiln_onnx_give(n, c, s->p.with);
        kiln_scan(n->g, b.m.g, &s->p, out);
        if (b.m.beyond.id) {
            kiln_onnx_note_beyond_in_steps(n->m, out[s->stacked]);
            memmove(out + s->stacked, out + s->stacked + 1, (size_t)s->carries * sizeof *out);
        }
    }
    kiln_onnx_body_close(&b);
}

void kiln_onnx_build_scan(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    struct kiln_onnx_captured c = {0};
    struct steps s;
    kiln_tensor out[KILN_ONNX_MOST_INPUTS] = {KILN_NONE};
    if (!graph || !count_steps(n, 0, &s))
        return;
    for (int i = 0; i < s.carries; i++)
        s.p.carry[i] = kiln_onnx_in(n, i);
    take_each(n, &s);
    kiln_onnx_capture(n->m, &c, graph);
    if (kiln_onnx_has_captured(n, &c))
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

/*
 * Before opset 9 a batch lies before the steps, and the lengths of its sequences come first: a body knows neither, so each
 * sequence is scanned by itself.
 */
void kiln_onnx_build_scan_batched(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    kiln_tensor out[KILN_ONNX_MOST_INPUTS] = {KILN_NONE}, all[KILN_ONNX_MOST_INPUTS] = {KILN_NONE};
    struct kiln_onnx_captured c = {0};
    struct steps s;
    int directions;
    if (!graph || !count_steps(n, 1, &s))
        return;
    const int64_t *back = kiln_onnx_ints(n, "directions", &directions);
    const kiln_shape first = kiln_onnx_spec(n, 1).shape;
    if (kiln_onnx_has(n, 0) || first.rank < 1 || first.size[0] < 1)
        kiln_onnx_refuse(n, "lengths of sequences, or a batch of unknown size");
    kiln_onnx_capture(n->m, &c, graph);
    for (int64_t k = 0; !n->refused && kiln_onnx_has_captured(n, &c) && k < first.size[0]; k++) {
        for (int i = 0; i < s.carries; i++)
            s.p.carry[i] = member(n->g, kiln_onnx_in(n, 1 + i), k);
        for (int i = 0; i < s.each; i++) {
            s.p.each[i] = member(n->g, kiln_onnx_in(n, 1 + s.carries + i), k);
            if (at_or(back, directions, i, 0))
                s.p.each[i] = kiln_flip(n->g, s.p.each[i], 0);
        }
        scan(n, graph, &s, &c, out);
        for (int i = 0; i < n->outputs; i++)
            all[i] = kiln_onnx_gathered(n->g, all[i], out[i < s.carries ? s.stacked + i : i - s.carries]);
    }
    for (int i = 0; i < n->outputs; i++)
        kiln_onnx_out(n, i, all[i]);
    kiln_vec_finish(&c.known);
}
