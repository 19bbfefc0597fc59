/*
 * onnx_if.c - If. A branch that is known while reading takes the place of its node.
 *
 * Outputs whose sizes differ leave both branches with room for either, and how many elements are there beside them.
 */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx_body.h"

/* One branch ------------------------------------------------------------------------------------------------------- */

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
        struct kiln_onnx_value *from = (size_t)i < branch->n_output
                                           ? kiln_onnx_find_made(m, kiln_onnx_info_name(branch->output[i]))
                                           : NULL;
        if (!from || from->refused) {
            kiln_onnx_refuse(n, "output %d of its branch could not be built", i);
            return;
        }
        if (n->out[i])
            kiln_onnx_become(m, n->out[i], from);
    }
}

/* Both branches ---------------------------------------------------------------------------------------------------- */

/* A size of one graph in another, whose symbols have the same names; of what data counts, what there is room for. */
static int64_t size_in(kiln_graph *to, kiln_graph *from, int64_t size)
{
    static int64_t (*const apply[])(kiln_graph * g, int64_t a, int64_t b) = {
        [KILN_DIM_ADD] = kiln_dim_add, [KILN_DIM_SUB] = kiln_dim_sub,           [KILN_DIM_MUL] = kiln_dim_mul,
        [KILN_DIM_DIV] = kiln_dim_div, [KILN_DIM_CEIL_DIV] = kiln_dim_ceil_div,
    };
    kiln_dim_parts e;
    if (!kiln_dim_read(from, size, &e))
        return size;
    if (e.op == KILN_DIM_SYMBOL)
        return kiln_dim(to, kiln_dim_name(from, size));
    if (e.op == KILN_DIM_BOUNDED)
        return size_in(to, from, e.a);
    const int64_t a = size_in(to, from, e.a);
    return apply[e.op](to, a, size_in(to, from, e.b));
}

/* An output of both branches. */
struct joined {
    kiln_tensor of[2];
    uint32_t differs; /* bit i: along axis i they may have other sizes */
};

/* x with zeros behind it, as many as `more` says. */
static kiln_tensor longer(kiln_graph *g, kiln_tensor x, int axis, int64_t more)
{
    kiln_spec spec = kiln_tensor_spec(g, x);
    spec.shape.size[axis] = more;
    const kiln_tensor zeros = kiln_expand(g, kiln_scalar(g, spec.type, 0), spec.shape);
    return more ? kiln_concat(g, (const kiln_tensor[]){x, zeros}, 2, axis) : x;
}

/* Output i of a branch with the room that the larger of the two needs, or both together, where their sizes are not known. */
static kiln_tensor with_room(kiln_graph *g, kiln_tensor x, int axis, kiln_graph *other, int64_t size)
{
    const int64_t theirs = size_in(g, other, size);
    if (kiln_dim_is_counted(g, kiln_tensor_shape(g, x).size[axis]))
        x = kiln_whole(g, x, axis, 0);
    const int64_t own = kiln_tensor_shape(g, x).size[axis];
    const bool known = own >= 0 && theirs >= 0;
    return longer(g, x, axis, known ? (theirs > own ? theirs - own : 0) : theirs == own ? 0 : theirs);
}

/* What both branches give as output i; of one rank, which is all that their shapes must have in common. */
static bool join(kiln_onnx_node *n, struct kiln_onnx_body *branch, int i, struct joined *out)
{
    kiln_spec spec[2];
    *out = (struct joined){0};
    for (int k = 0; k < 2; k++) {
        struct kiln_onnx_value *v = kiln_onnx_body_result(&branch[k], (size_t)i);
        if (!v)
            kiln_onnx_refuse(n, "its body makes no output %d", i);
        if (!v || v->refused || !kiln_onnx_body_tensor(&branch[k], v, &out->of[k]))
            return false;
        spec[k] = kiln_tensor_spec(branch[k].m.g, out->of[k]);
    }
    if (spec[0].shape.rank != spec[1].shape.rank || spec[0].type != spec[1].type) {
        kiln_onnx_refuse(
            n,
            "output %d of its branches is %s of rank %d, and %s of rank %d: one branch is taken where the sizes or "
            "values that its condition is computed from are said (kiln's --size; kiln_onnx_params.sizes, fixed)",
            i, kiln_type_name(spec[0].type), spec[0].shape.rank, kiln_type_name(spec[1].type),
            spec[1].shape.rank);
        return false;
    }
    for (int axis = 0; axis < spec[0].shape.rank; axis++) {
        const int64_t a = spec[0].shape.size[axis], b = spec[1].shape.size[axis];
        if (kiln_dim_is_counted(branch[0].m.g, a) || kiln_dim_is_counted(branch[1].m.g, b) ||
            size_in(branch[0].m.g, branch[1].m.g, b) != a)
            out->differs |= 1u << axis;
    }
    return true;
}

/* Branch k's outputs: each with room for the other's; then the sizes that differ; last what there was no room for. */
static void put_outputs(struct kiln_onnx_body *branch, int k, const struct joined *y, int count)
{
    kiln_graph *g = branch[k].m.g, *other = branch[1 - k].m.g;
    int made = 0;
    for (int i = 0; i < count; i++) {
        const kiln_shape theirs = kiln_tensor_shape(other, y[i].of[1 - k]);
        kiln_tensor t = y[i].of[k];
        for (int axis = 0; axis < theirs.rank; axis++)
            if (y[i].differs >> axis & 1)
                t = with_room(g, t, axis, other, theirs.size[axis]);
        kiln_onnx_body_output(&branch[k], made++, t);
    }
    for (int i = 0; i < count; i++)
        for (int axis = 0; axis < KILN_MAX_RANK; axis++)
            if (y[i].differs >> axis & 1)
                kiln_onnx_body_output(&branch[k], made++, kiln_onnx_axis_size(g, y[i].of[k], axis));
    if (branch[0].m.beyond.id || branch[1].m.beyond.id)
        kiln_onnx_body_output(&branch[k], made++,
                              branch[k].m.beyond.id ? branch[k].m.beyond : kiln_scalar(g, KILN_I32, 0));
}

static bool read_branch(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph,
                        const struct kiln_onnx_captured *c)
{
    if (!kiln_onnx_body_open(b, n, graph))
        return false;
    kiln_onnx_body_see(b, c);
    kiln_onnx_body_read(b);
    return kiln_onnx_body_is_whole(b);
}

/* Both branches' outputs, in one list; false, and refused, where they do not go together. */
static bool put_both(kiln_onnx_node *n, struct kiln_onnx_body *branch, struct joined *y)
{
    int all = n->outputs + 1;
    for (int i = 0; i < n->outputs; i++) {
        if (!join(n, branch, i, &y[i]))
            return false;
        for (int axis = 0; axis < KILN_MAX_RANK; axis++)
            all += y[i].differs >> axis & 1;
    }
    if (all > KILN_ONNX_MOST_INPUTS) {
        kiln_onnx_refuse(n, "its branches give %d values and sizes, at most %d were wanted", all,
                         KILN_ONNX_MOST_INPUTS);
        return false;
    }
    for (int k = 0; k < 2; k++)
        put_outputs(branch, k, y, n->outputs);
    return kiln_onnx_body_is_whole(&branch[0]) && kiln_onnx_body_is_whole(&branch[1]);
}

static void choose(kiln_onnx_node *n, const Onnx__GraphProto *then, const Onnx__GraphProto *otherwise)
{
    struct kiln_onnx_captured c = {0};
    struct kiln_onnx_body branch[2] = {{0}, {0}};
    struct joined y[KILN_ONNX_MOST_INPUTS];
    kiln_tensor in[KILN_BODY_VALUES + 1], out[KILN_ONNX_MOST_INPUTS];
    kiln_onnx_capture(n->m, &c, then);
    kiln_onnx_capture(n->m, &c, otherwise);
    if (kiln_onnx_has_captured(n, &c) && read_branch(&branch[0], n, then, &c) &&
        read_branch(&branch[1], n, otherwise, &c) && put_both(n, branch, y)) {
        int at = n->outputs;
        kiln_onnx_give(n, &c, in);
        in[c.count + c.sizes] = KILN_NONE;
        kiln_if(n->g, kiln_onnx_scalar(n, 0), branch[0].m.g, branch[1].m.g, in, out);
        for (int i = 0; i < n->outputs; i++) {
            for (int axis = 0; axis < KILN_MAX_RANK; axis++)
                if (y[i].differs >> axis & 1)
                    out[i] = kiln_first(n->g, out[i], out[at++], axis);
            kiln_onnx_out(n, i, out[i]);
        }
        if (branch[0].m.beyond.id || branch[1].m.beyond.id)
            kiln_onnx_note_beyond(n->m, out[at]);
    }
    kiln_onnx_body_close(&branch[0]);
    kiln_onnx_body_close(&branch[1]);
    kiln_vec_finish(&c.known);
}

/* Nothing, or something -------------------------------------------------------------------------------------------- */

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
