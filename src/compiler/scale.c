/*
 * scale.c - factors of channels behind a convolution go into its filters, where its epilogue has no room for them.
 *
 *   conv(x, w) a + b + z  =  conv(x, w a) + b + z
 *
 * Batch normalization in inference leaves a and b, of the weights alone, behind a convolution; a residual network adds z. That is one
 * operand more than an epilogue takes, and the sum would be a pass over memory of its own. The prologue computes w a once.
 */
#include <stdlib.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "compiler/plan.h"
#include "compiler/region.h"
#include "ops/chain.h"
#include "ops/kernels.h"

struct scaled {
    const kiln_node *conv; /* that this product scales, by `factor`; NULL: none */
    kiln_tensor factor;
    bool gone; /* a convolution that its product takes the place of */
};

struct scaling {
    struct kiln_rewrite *r;
    int *node_of, *region;  /* by value id; by node */
    int *users;             /* by value id: consumers, the run list counting as one */
    const kiln_node **user; /* by value id: one of them */
    bool *settled;          /* by node (kiln_settled) */
    struct scaled *scaled;  /* by node */
};

static const kiln_node *source(const struct scaling *s, kiln_tensor t)
{
    return kiln_graph_node(s->r->from, t);
}

static bool is_settled(const struct scaling *s, kiln_tensor t)
{
    return t.id && s->settled[s->node_of[t.id]];
}

static void look(struct scaling *s, const kiln_tensor *run, int run_count)
{
    const kiln_graph *g = s->r->from;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        for (int k = 0; k < n->outputs; k++)
            s->node_of[n->out[k].id] = i;
        for (int k = 0; k < n->inputs; k++) {
            s->users[n->in[k].id]++;
            s->user[n->in[k].id] = n;
        }
    }
    for (int i = 0; i < run_count; i++)
        s->users[run[i].id]++;
}

/* The operands besides its own that an epilogue up from n would read, as far as values have one consumer. */
static int operands_behind(const struct scaling *s, const kiln_node *n)
{
    int operands = 1;
    for (int step = 1; step < KILN_EPILOGUE_STEPS && s->users[n->out[0].id] == 1; step++) {
        const kiln_node *next = s->user[n->out[0].id];
        if (!next || !kiln_op_elementwise(next->op)) /* a result of the run has none */
            break;
        for (int k = 0; k < next->inputs; k++)
            operands += next->in[k].id != n->out[0].id && source(s, next->in[k])->op != &kiln_op_constant;
        n = next;
    }
    return operands;
}

/* Whether t has one element for each channel of a result of that shape. */
static bool is_by_channel(const kiln_graph *g, kiln_tensor t, const kiln_shape *result)
{
    const kiln_shape shape = kiln_tensor_shape(g, t);
    return shape.rank >= result->rank - 1 && shape.size[shape.rank - result->rank + 1] == result->size[1] &&
           kiln_shape_count(&shape) == result->size[1];
}

/* The convolution that product n scales, by its other input; NULL: none that this pays for. */
static const kiln_node *convolution_of(const struct scaling *s, const kiln_node *n, kiln_tensor *factor)
{
    const kiln_graph *g = s->r->from;
    if (n->op != &kiln_op_mul || s->region[s->node_of[n->out[0].id]] >= 0 ||
        operands_behind(s, n) <= KILN_EPILOGUE_OPERANDS)
        return NULL;
    const kiln_shape result = kiln_tensor_shape(g, n->out[0]);
    for (int k = 0; k < 2; k++) {
        const kiln_node *conv = source(s, n->in[k]);
        *factor = n->in[1 - k];
        if (conv->op == &kiln_op_conv && s->users[n->in[k].id] == 1 && is_settled(s, conv->in[1]) &&
            is_settled(s, *factor) && is_by_channel(g, *factor, &result) &&
            kiln_tensor_type(g, conv->in[1]) == kiln_tensor_type(g, *factor) &&
            s->region[s->node_of[conv->out[0].id]] < 0)
            return conv;
    }
    return NULL;
}

/* The convolution with filters that are scaled, in the place of n. */
static kiln_status emit(struct scaling *s, const kiln_node *n, const struct scaled *by)
{
    struct kiln_rewrite *r = s->r;
    const kiln_node *conv = by->conv;
    kiln_shape shape = kiln_tensor_shape(r->to, kiln_rewrite_input(r, conv, 1));
    for (int i = 1; i < shape.rank; i++)
        shape.size[i] = 1;
    const kiln_tensor in[] = {
        kiln_rewrite_input(r, conv, 0),
        kiln_mul(r->to, kiln_rewrite_input(r, conv, 1), kiln_reshape(r->to, r->map[by->factor.id], shape)),
    };
    const kiln_spec spec = kiln_tensor_spec(r->from, n->out[0]);
    const kiln_node *copy = kiln_graph_add(r->to, conv->op, in, 2, conv->params, conv->params_size, &spec, 1,
                                           kiln_arena_text(&r->to->arena, conv->name));
    if (!copy)
        return r->to->status;
    r->map[n->out[0].id] = copy->out[0];
    return KILN_OK;
}

static kiln_status copy_all(struct scaling *s)
{
    const kiln_graph *g = s->r->from;
    for (int i = 0; i < g->node.count; i++) {
        struct scaled *by = &s->scaled[i];
        if ((by->conv = convolution_of(s, g->node.data[i], &by->factor)))
            s->scaled[s->node_of[by->conv->out[0].id]].gone = true;
    }
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        const struct scaled *by = &s->scaled[i];
        if (by->gone)
            continue;
        if (by->conv ? emit(s, n, by) : !kiln_rewrite_copy(s->r, n))
            return s->r->to->status;
        kiln_rewrite_bind(s->r, n);
    }
    return KILN_OK;
}

kiln_status kiln_scale_filters(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    const size_t values = (size_t)r->from->value.count + 1, nodes = (size_t)r->from->node.count + 1;
    struct scaling s = {.r = r};
    s.node_of = calloc(values, sizeof *s.node_of);
    s.users = calloc(values, sizeof *s.users);
    s.user = calloc(values, sizeof *s.user);
    s.settled = kiln_settled(r->from);
    s.scaled = calloc(nodes, sizeof *s.scaled);
    s.region = kiln_regions(r->from);
    kiln_status status = KILN_ERROR_MEMORY;
    if (s.node_of && s.users && s.user && s.settled && s.scaled && s.region) {
        look(&s, run, run_count);
        status = copy_all(&s);
    } else {
        kiln_fail(status, "compiler: out of memory");
    }
    for (int i = 0; i < run_count && !status; i++)
        run[i] = r->map[run[i].id];
    free(s.node_of);
    free(s.users);
    free(s.user);
    free(s.settled);
    free(s.scaled);
    free(s.region);
    return status;
}
