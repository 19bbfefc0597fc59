/*
 * simplify.c - the first pass: a new graph with only what the run list needs.
 *
 * Reachability first (by_mode counts one branch; effects attached to what a training program computes join the list), then
 * one sweep in building order that for each node either maps its outputs to values there already (mode, identities,
 * equal nodes, neutral elements), folds it to a constant, or copies it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "compiler/fold.h"
#include "compiler/plan.h"
#include "compiler/region.h"
#include "ops/chain.h"
#include "ops/copy.h"
#include "ops/kernels.h"

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

/* Reachability ------------------------------------------------------------------------------------------- */

static void need_count(void *needed, uint32_t id)
{
    ((bool *)needed)[id] = true;
}

/* What counts the elements of n's outputs: the node itself, or one before it. */
static void reach_counts(const kiln_graph *g, const kiln_node *n, bool *needed)
{
    for (int k = 0; k < n->outputs; k++) {
        const kiln_shape shape = kiln_tensor_shape(g, n->out[k]);
        for (int i = 0; i < shape.rank; i++)
            kiln_dim_counts(g, shape.size[i], need_count, needed);
    }
}

static void reach(const struct kiln_rewrite *r, bool *needed)
{
    const kiln_graph *g = r->from;
    for (int i = g->node.count - 1; i >= 0; i--) {
        const kiln_node *n = g->node.data[i];
        bool used = false;
        for (int k = 0; k < n->outputs; k++)
            used |= needed[n->out[k].id];
        if (!used)
            continue;
        reach_counts(g, n, needed);
        const bool choose = n->op == &kiln_op_by_mode;
        for (int k = 0; k < n->inputs; k++)
            if (n->in[k].id && (!choose || k == !r->train))
                needed[n->in[k].id] = true;
    }
}

/* Add the effects attached to values that are computed, until no more join. */
static kiln_status reach_all(const struct kiln_rewrite *r, bool *needed, kiln_tensor *run, int *count,
                             int room)
{
    const kiln_graph *g = r->from;
    for (int i = 0; i < *count; i++)
        needed[run[i].id] = true;
    reach(r, needed);
    for (bool more = r->train; more;) {
        more = false;
        for (int i = 0; i < g->attachment.count; i++) {
            const struct kiln_attachment *a = &g->attachment.data[i];
            if (!needed[a->with.id] || needed[a->effect.id])
                continue;
            if (*count == room)
                return kiln_fail(KILN_ERROR_MEMORY, "compiler: more than %d effects", room);
            run[(*count)++] = a->effect;
            needed[a->effect.id] = more = true;
        }
        if (more)
            reach(r, needed);
    }
    return KILN_OK;
}

/* Equal nodes -------------------------------------------------------------------------------------------- */

/* A hash table of nodes in the new graph. What was made in a region that is closed may not have been computed: it is no match. */
struct known {
    const kiln_node **slot;
    int *region; /* by slot: the number of the region it was made in; 0: none */
    size_t mask;
    KILN_VEC(int) open; /* the regions around what is looked at now */
    int regions;
};

static bool is_open(const struct known *k, int region)
{
    bool open = !region;
    for (int i = 0; i < k->open.count; i++)
        open |= k->open.data[i] == region;
    return open;
}

/* Keep account of the regions that n opens or closes. */
static bool note_region(struct known *k, const kiln_node *n)
{
    if (n->op == &kiln_op_until)
        kiln_vec_pop(&k->open);
    return n->op != &kiln_op_repeat || kiln_vec_push(&k->open, ++k->regions);
}

static uint64_t hash_node(const kiln_op *op, const kiln_tensor *in, int inputs, const void *params,
                          size_t bytes)
{
    uint64_t h = kiln_hash(KILN_HASH_START, &op, sizeof op);
    h = kiln_hash(h, in, (size_t)inputs * sizeof *in);
    return bytes ? kiln_hash(h, params, bytes) : h;
}

/* Shapes count too: an input that was looked at for its shape alone is gone by now. */
static bool same_node(const kiln_graph *g, const kiln_node *have, const kiln_node *n, const kiln_tensor *in,
                      const kiln_spec *out)
{
    const kiln_spec spec = kiln_tensor_spec(g, have->out[0]);
    return have->op == n->op && have->inputs == n->inputs && have->params_size == n->params_size &&
           (!n->inputs || !memcmp(have->in, in, (size_t)n->inputs * sizeof *in)) &&
           (!n->params_size || !memcmp(have->params, n->params, n->params_size)) && spec.type == out->type &&
           kiln_shape_equal(&spec.shape, &out->shape);
}

/* The slot of a node of graph g equal to n with those inputs and that first output, or the free one where it would go. */
static const kiln_node **find_slot(const struct known *k, const kiln_graph *g, const kiln_node *n,
                                   const kiln_tensor *in, const kiln_spec *out)
{
    size_t at = (size_t)hash_node(n->op, in, n->inputs, n->params, n->params_size) & k->mask;
    while (k->slot[at] && !(is_open(k, k->region[at]) && same_node(g, k->slot[at], n, in, out)))
        at = (at + 1) & k->mask;
    return &k->slot[at];
}

static void remember(const struct known *k, const kiln_node **slot, const kiln_node *n)
{
    *slot = n;
    k->region[slot - k->slot] = k->open.count ? k->open.data[k->open.count - 1] : 0;
}

static bool mergeable(const kiln_node *n)
{
    return !(n->op->flags & (KILN_OP_EFFECT | KILN_OP_RANDOM | KILN_OP_LATE)) && n->op != &kiln_op_input &&
           n->op != &kiln_op_parameter && n->op != &kiln_op_state && n->op != &kiln_op_repeat &&
           n->op != &kiln_op_until;
}

/* Neutral elements --------------------------------------------------------------------------------------- */

/* Whether t is the number `value` everywhere. */
static bool is_number(const kiln_graph *g, kiln_tensor t, double value)
{
    const kiln_node *n = kiln_graph_node(g, t);
    if (n->op == &kiln_op_zeros_like || n->op == &kiln_op_no_gradient || n->op == &kiln_op_ones_like)
        return value == (n->op == &kiln_op_ones_like);
    const struct kiln_constant_params *p = n->params;
    if (n->op != &kiln_op_constant || kiln_shape_count(&p->spec.shape) != 1)
        return false;
    if (p->stored == KILN_F64)
        return *(const double *)kiln_constant_data(p) == value;
    if (p->stored == KILN_F32)
        return *(const float *)kiln_constant_data(p) == (float)value;
    return false;
}

static bool same_spec(const kiln_spec *a, const kiln_spec *b)
{
    return a->type == b->type && kiln_shape_equal(&a->shape, &b->shape);
}

/* x + 0, x - 0, x * 1, x / 1 and the like, where the shape stays. Adding 0 turns -0 into 0 and nothing else. */
static kiln_tensor neutral(const struct kiln_rewrite *r, const kiln_node *n, const kiln_spec *out,
                           const kiln_tensor *in)
{
    static const struct rule {
        const kiln_op *op;
        double number;
        bool both;
    } rules[] = {
        {&kiln_op_add, 0, true}, {&kiln_op_sub, 0, false}, {&kiln_op_mul, 1, true}, {&kiln_op_div, 1, false}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        for (int side = 0; n->op == rules[i].op && side < 2; side++) {
            const int other = 1 - side;
            const kiln_spec keeps = kiln_tensor_spec(r->to, in[side]);
            if ((side == 0 || rules[i].both) && same_spec(&keeps, out) &&
                is_number(r->to, in[other], rules[i].number))
                return in[side];
        }
    return KILN_NONE;
}

/* No gradient -------------------------------------------------------------------------------------------- */

static bool is_nothing(const kiln_graph *g, kiln_tensor t)
{
    return t.id && kiln_graph_node(g, t)->op == &kiln_op_no_gradient;
}

/* Whether n makes nothing of nothing: what is linear in an input that is, and sums of which no term is left. */
static bool makes_nothing(const kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    static const struct linear {
        const kiln_op *op;
        bool both; /* in either input; else in the first */
    } rules[] = {{&kiln_op_mul, true},        {&kiln_op_div, false},    {&kiln_op_neg, false},
                 {&kiln_op_cast_real, false}, {&kiln_op_sum, false},    {&kiln_op_sum_to, false},
                 {&kiln_op_expand_to, false}, {&kiln_op_expand, false}, {&kiln_op_transpose, false}};
    const bool first = n->inputs && is_nothing(g, in[0]), second = n->inputs > 1 && is_nothing(g, in[1]);
    if (n->op == &kiln_op_add || n->op == &kiln_op_sub)
        return first && second;
    if (n->op->flags & KILN_OP_ALIAS)
        return first;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (n->op == rules[i].op)
            return first || (rules[i].both && second);
    return false;
}

static kiln_tensor nothing(struct kiln_rewrite *r, const kiln_spec *out)
{
    const kiln_node *n =
        kiln_graph_add(r->to, &kiln_op_no_gradient, &(const kiln_tensor){0}, 1, NULL, 0, out, 1, NULL);
    return n ? n->out[0] : KILN_NONE;
}

/* One node ----------------------------------------------------------------------------------------------- */

/* What has the same elements in the same shape as the output: under a reshape of a reshape, or a joined part cut out again. */
static kiln_tensor same_elements(const struct kiln_rewrite *r, const kiln_node *n, const kiln_spec *out,
                                 const kiln_tensor *in)
{
    if (n->op == &kiln_op_slice && r->size)
        return kiln_slice_of_joined(r->to, n, in[0]);
    if (!(n->op->flags & KILN_OP_ALIAS))
        return KILN_NONE;
    for (kiln_tensor t = in[0];; t = kiln_graph_node(r->to, t)->in[0]) {
        const kiln_spec spec = kiln_tensor_spec(r->to, t);
        if (same_spec(&spec, out))
            return t;
        if (!(kiln_graph_node(r->to, t)->op->flags & KILN_OP_ALIAS))
            return KILN_NONE;
    }
}

/* The value that this node only passes on; KILN_NONE: it computes. */
static kiln_tensor passed_on(const struct kiln_rewrite *r, const kiln_node *n, const kiln_spec *out,
                             const kiln_tensor *in)
{
    if (n->op == &kiln_op_by_mode)
        return in[!r->train];
    if (n->op == &kiln_op_stop_gradient)
        return in[0];
    const kiln_tensor same = same_elements(r, n, out, in);
    if (same.id)
        return same;
    if (n->inputs && in[0].id && n->outputs == 1 && (n->op->flags & (KILN_OP_ALIAS | KILN_OP_FOLLOWS))) {
        const kiln_spec first = kiln_tensor_spec(r->to, in[0]);
        if (same_spec(&first, out))
            return in[0];
    }
    return neutral(r, n, out, in);
}

/* An elementwise operator broadcasts by itself: it takes what was expanded, where another operand still has the full shape. */
static void take_unexpanded(const struct kiln_rewrite *r, const kiln_node *n, const kiln_spec *out,
                            kiln_tensor *in)
{
    for (int i = 0; i < n->inputs && n->inputs > 1 && kiln_op_elementwise(n->op); i++) {
        const kiln_node *expand = kiln_graph_node(r->to, in[i]);
        if (!expand || (expand->op != &kiln_op_expand_to && expand->op != &kiln_op_expand))
            continue;
        kiln_shape shape = kiln_tensor_shape(r->to, expand->in[0]);
        bool fits = true;
        for (int k = 0; k < n->inputs && fits; k++) {
            const kiln_shape other = kiln_tensor_shape(r->to, in[k]);
            fits = k == i || kiln_shape_broadcast(&shape, &other, &shape);
        }
        if (fits && kiln_shape_equal(&shape, &out->shape))
            in[i] = expand->in[0];
    }
}

/* What came from the last input in a concat's gradient: a slice, once sizes are known. */
static kiln_status cut_part(struct kiln_rewrite *r, kiln_node *n)
{
    const kiln_shape whole = kiln_tensor_shape(r->from, n->in[0]);
    const int axis = kiln_axis_of(*(const int *)n->params, whole.rank);
    int64_t first = 0, end = 0;
    for (int i = 1; i < n->inputs; i++) {
        const kiln_spec from = kiln_tensor_spec(r->from, n->in[i]), x = kiln_rewrite_spec(r, &from);
        first = end;
        end += x.shape.size[axis];
    }
    return kiln_make_slice(r->to, n, axis, first, end);
}

/* While sizes were symbols nothing told whether the elements fill the other shape. */
static kiln_status check_fill(struct kiln_rewrite *r, const kiln_node *n, const kiln_spec *out)
{
    const kiln_spec first = kiln_tensor_spec(r->from, n->in[0]), x = kiln_rewrite_spec(r, &first);
    const int64_t have = kiln_shape_count(&x.shape), wanted = kiln_shape_count(&out->shape);
    char a[96], b[96];

    if (have < 0 || wanted < 0 || have == wanted)
        return KILN_OK;
    return kiln_node_fail(r->to, n, KILN_ERROR_SHAPE, "at these sizes x is %s, which does not fill %s",
                          kiln_graph_shape_text(r->to, &x.shape, a, sizeof a),
                          kiln_graph_shape_text(r->to, &out->shape, b, sizeof b));
}

static kiln_status simplify_node(struct kiln_rewrite *r, struct known *known, const kiln_node *n)
{
    kiln_node cut = *n;
    if (n->op == &kiln_op_concat_grad && r->size && !r->keep_counts) {
        const kiln_status status = cut_part(r, &cut);
        if (status)
            return status;
        n = &cut;
    }
    kiln_tensor *in = kiln_arena_alloc(&r->to->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
    if (!in)
        return out_of_memory();
    for (int i = 0; i < n->inputs; i++)
        in[i] = n->in[i].id ? r->map[n->in[i].id] : KILN_NONE;
    const kiln_spec first = kiln_tensor_spec(r->from, n->out[0]);
    const kiln_spec out = kiln_rewrite_spec(r, &first);
    if (r->to->status || ((n->op->flags & KILN_OP_ALIAS) && check_fill(r, n, &out)))
        return r->to->status;
    const kiln_tensor passed = makes_nothing(r->to, n, in) ? nothing(r, &out) : passed_on(r, n, &out, in);
    if (passed.id) {
        r->map[n->out[0].id] = passed;
        return KILN_OK;
    }
    if (r->size && kiln_fold_constant(r, n, in, &out))
        return r->to->status;
    for (int i = 0; i < n->inputs; i++)
        in[i] = kiln_rewrite_input(r, n, i);
    if (r->size)
        take_unexpanded(r, n, &out, in);
    const kiln_node **slot = mergeable(n) ? find_slot(known, r->to, n, in, &out) : NULL;
    if (slot && *slot) {
        for (int i = 0; i < n->outputs; i++)
            r->map[n->out[i].id] = (*slot)->out[i];
        return KILN_OK;
    }
    const kiln_node *copy = kiln_rewrite_copy_with(r, n, in);
    if (copy && slot)
        remember(known, slot, copy);
    return r->to->status;
}

/* Constants are merged as they were appended: pointers in params are unequal, and only inline ones are equal by bytes. */
static kiln_status sweep(struct kiln_rewrite *r, const bool *needed)
{
    struct known known = {.mask = 63};
    while (known.mask + 1 < 2 * (size_t)r->from->node.count)
        known.mask = 2 * known.mask + 1;
    known.slot = calloc(known.mask + 1, sizeof *known.slot);
    known.region = calloc(known.mask + 1, sizeof *known.region);
    kiln_status status = known.slot && known.region ? KILN_OK : out_of_memory();
    for (int i = 0; i < r->from->node.count && !status; i++) {
        const kiln_node *n = r->from->node.data[i];
        bool used = false;
        for (int k = 0; k < n->outputs; k++)
            used |= needed[n->out[k].id];
        if (used && !(status = simplify_node(r, &known, n)))
            kiln_rewrite_bind(r, n);
        if (used && !note_region(&known, n))
            status = out_of_memory();
    }
    free(known.slot);
    free(known.region);
    kiln_vec_finish(&known.open);
    return status;
}

kiln_status kiln_simplify(struct kiln_rewrite *r, kiln_tensor *run, int *run_count, int run_room)
{
    bool *needed = calloc((size_t)r->from->value.count + 1, sizeof *needed);
    if (!needed)
        return out_of_memory();
    kiln_status status = reach_all(r, needed, run, run_count, run_room);
    if (!status)
        status = sweep(r, needed);
    for (int i = 0; i < *run_count && !status; i++)
        run[i] = r->map[run[i].id];
    free(needed);
    return status;
}
