/*
 * control_scan_grad.c - the gradient of a scan is a scan back.
 *
 * For y[t], c[t + 1] = f(e[t], c[t], w), its body computes f again from the slices and from the carries as each step got them,
 * which the forward scan stacks, and then
 *
 *   de[t]   = dy[t] dy/de + dc[t + 1] dc'/de        stacked
 *   dc[t]   = dy[t] dy/dc + dc[t + 1] dc'/dc        a carry; from the gradient of the final carry
 *   dw     += dy[t] dy/dw + dc[t + 1] dc'/dw        a carry, from zeros: the sum has the order of the steps, from the last
 *
 * It is a scan like any other and so has a gradient too: what then comes back through the stacked carries is added to dc[t].
 */
#include <string.h>

#include <kiln/ops.h>

#include "ops/control.h"
#include "ops/control_scan.h"
#include "ops/kernels.h"

/* Lists that end up as the inputs of the scan back and of its body, as many. */
struct list {
    kiln_tensor *outer, *inner;
    int count;
};

struct backward {
    kiln_graph *g;
    const kiln_node *n;
    const struct kiln_scan_node *p;
    const kiln_tensor *dy;
    kiln_graph *back; /* the body under construction */
    int inputs;
    bool *linked;      /* by input of n: its gradient matters here */
    kiln_tensor *in;   /* by input of n: in the body */
    kiln_tensor *grad; /* by input of n: in the body */
    kiln_tensor *y;    /* by output of the forward body: the value, ... */
    kiln_tensor *seed; /* ... and its gradient */
    int *at;           /* by input of n: which output of the scan back it is; -1: none */
    struct list each, carry, with;
    kiln_tensor *next; /* of the carries */
    kiln_tensor *stacked;
    int stacks;
};

static bool make_room(struct backward *b)
{
    struct kiln_arena *a = &b->g->arena;
    const size_t in = (size_t)b->n->inputs, out = (size_t)b->n->outputs, all = 2 * (in + out) + 1;
    b->inputs = b->n->inputs;
    b->linked = kiln_arena_alloc(a, in + 1);
    b->at = kiln_arena_alloc(a, (in + 1) * sizeof *b->at);
    kiln_tensor **const arrays[] = {&b->in,         &b->grad,       &b->y,           &b->seed,
                                    &b->each.outer, &b->each.inner, &b->carry.outer, &b->carry.inner,
                                    &b->with.outer, &b->with.inner, &b->next,        &b->stacked};
    bool whole = b->linked && b->at;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        whole = (*arrays[i] = kiln_arena_alloc(a, all * sizeof(kiln_tensor))) && whole;
    return whole;
}

static void put(struct list *l, kiln_tensor outer, kiln_tensor inner)
{
    l->outer[l->count] = outer;
    l->inner[l->count++] = inner;
}

/* Which inputs matter -------------------------------------------------------------------------------------- */

static bool is_real(const struct backward *b, int input)
{
    return kiln_type_is_real(kiln_tensor_type(b->g, b->n->in[input]));
}

/* Mark the body's values that depend on linked inputs. */
static void mark(const struct backward *b, bool *marked)
{
    const kiln_graph *body = b->p->body;
    for (int i = 0; i < b->inputs; i++)
        marked[body->input.data[i].id] = b->linked[i];
    for (int i = 0; i < body->node.count; i++) {
        const kiln_node *n = body->node.data[i];
        bool depends = false;
        for (int k = 0; k < n->inputs; k++)
            depends |= n->in[k].id && marked[n->in[k].id];
        for (int k = 0; depends && k < n->outputs; k++)
            marked[n->out[k].id] = true;
    }
}

/* Those that are asked for, and the real carries that depend on them: through these the gradient comes back. */
static bool link_inputs(struct backward *b)
{
    const kiln_graph *body = b->p->body;
    bool *marked = kiln_arena_alloc(&b->g->arena, (size_t)body->value.count + 1);
    for (int i = 0; i < b->inputs; i++)
        b->linked[i] = is_real(b, i) && kiln_gradient_wanted(b->g, b->n->in[i]);
    for (bool more = marked; more;) {
        more = false;
        mark(b, marked);
        for (int i = 0; i < b->p->carry; i++) {
            const int input = (int)b->p->each + i;
            const kiln_tensor next = body->output.data[b->p->stacked + i];
            if (!b->linked[input] && is_real(b, input) && marked[next.id])
                b->linked[input] = more = true;
        }
    }
    return marked;
}

/* The body --------------------------------------------------------------------------------------------------- */

static kiln_tensor new_input(struct backward *b, kiln_tensor like)
{
    const kiln_spec spec = kiln_tensor_spec(b->p->body, like);
    return kiln_body_input(b->back, &spec, false);
}

/* Slices, carries as they were, and `with`. */
static void add_forward_inputs(struct backward *b)
{
    const int each = (int)b->p->each, carry = (int)b->p->carry, saved = (int)(b->p->stacked + b->p->carry);
    for (int i = 0; i < b->inputs; i++)
        b->in[i] = new_input(b, b->p->body->input.data[i]);
    for (int i = 0; i < each; i++)
        put(&b->each, b->n->in[i], b->in[i]);
    for (int i = 0; i < carry; i++)
        put(&b->each, b->n->out[saved + i], b->in[each + i]);
    for (int i = each + carry; i < b->inputs; i++)
        put(&b->with, b->n->in[i], b->in[i]);
}

/* A gradient for each stacked output that has one, and for each linked carry. */
static void add_seeds(struct backward *b)
{
    const int stacked = (int)b->p->stacked;
    for (int i = 0; i < stacked; i++)
        if (b->dy[i].id) {
            b->seed[i] = new_input(b, b->p->body->output.data[i]);
            put(&b->each, b->dy[i], b->seed[i]);
        }
    for (int i = 0; i < b->p->carry; i++) {
        const kiln_tensor d = b->dy[stacked + i];
        if (!b->linked[b->p->each + i])
            continue;
        b->seed[stacked + i] = new_input(b, b->p->body->output.data[stacked + i]);
        put(&b->carry, d.id ? d : kiln_zeros_like(b->g, b->n->out[stacked + i]), b->seed[stacked + i]);
    }
}

/* b->grad of all linked inputs. */
static void differentiate(struct backward *b)
{
    const int outputs = (int)(b->p->stacked + b->p->carry);
    kiln_tensor *x = kiln_arena_alloc(&b->g->arena, (size_t)b->inputs * 2 * sizeof *x), *dx = x + b->inputs;
    int count = 0;
    if (!x) {
        kiln_graph_fail(b->back, KILN_ERROR_MEMORY, "scan: out of memory");
        return;
    }
    kiln_call(b->back, b->p->body, b->in, b->y);
    for (int i = 0; i < b->inputs; i++)
        if (b->linked[i])
            x[count++] = b->in[i];
    kiln_gradients(b->back, b->y, b->seed, outputs, x, count, dx);
    for (int i = 0; i < b->inputs; i++)
        if (b->linked[i])
            b->grad[i] = *dx++;
}

static kiln_tensor sum(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return !a.id ? b : !b.id ? a : kiln_add(g, a, b);
}

/* What the carries become: gradients of the carries before this step, and sums. */
static void add_carries(struct backward *b)
{
    const int each = (int)b->p->each, carry = (int)b->p->carry, saved = (int)b->p->stacked + carry;
    int at = 0;
    for (int i = 0; i < carry; i++) {
        const int input = each + i;
        kiln_tensor more = KILN_NONE;
        if (!b->linked[input])
            continue;
        if (b->dy[saved + i].id)
            put(&b->each, b->dy[saved + i], more = new_input(b, b->p->body->input.data[input]));
        const kiln_tensor d = sum(b->back, b->grad[input], more);
        b->at[input] = at;
        b->next[at++] = d.id ? d : kiln_zeros_like(b->back, b->in[input]);
    }
    for (int i = each + carry; i < b->inputs; i++) {
        if (!b->grad[i].id)
            continue;
        const kiln_tensor before = new_input(b, b->p->body->input.data[i]);
        put(&b->carry, kiln_zeros_like(b->g, b->n->in[i]), before);
        b->at[i] = at;
        b->next[at++] = kiln_add(b->back, before, b->grad[i]);
    }
}

static bool list_all(struct backward *b)
{
    const struct list *lists[] = {&b->each, &b->carry, &b->with};
    bool whole = true;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < lists[k]->count && whole; i++)
            whole = kiln_vec_push(&b->back->input, lists[k]->inner[i]);
    for (int i = 0; i < b->p->each && whole; i++) {
        if (!b->grad[i].id)
            continue;
        b->at[i] = b->stacks++;
        whole = kiln_vec_push(&b->back->output, b->grad[i]);
    }
    for (int i = 0; i < b->carry.count && whole; i++)
        whole = kiln_vec_push(&b->back->output, b->next[i]);
    return whole;
}

static bool build(struct backward *b)
{
    for (int i = 0; i < b->inputs; i++)
        b->at[i] = -1;
    add_forward_inputs(b);
    add_seeds(b);
    differentiate(b);
    add_carries(b);
    if (!list_all(b))
        kiln_graph_fail(b->g, KILN_ERROR_MEMORY, "scan: out of memory");
    if (b->back->status)
        kiln_node_fail(b->g, b->n, b->back->status, "the gradient of body \"%s\": %s", b->p->body->name,
                       kiln_graph_error(b->back));
    return !b->g->status;
}

/* The node --------------------------------------------------------------------------------------------------- */

static kiln_tensor append(struct backward *b)
{
    const struct list *lists[] = {&b->each, &b->carry, &b->with};
    const int count = b->each.count + b->carry.count + b->with.count;
    kiln_tensor *in = kiln_arena_alloc(&b->g->arena, (size_t)(count + 1) * sizeof *in), *next = in;
    const struct kiln_scan_node p = {.body = b->back,
                                     .length = b->p->length,
                                     .each = b->each.count,
                                     .carry = b->carry.count,
                                     .with = b->with.count,
                                     .stacked = b->stacks,
                                     .reverse = !b->p->reverse,
                                     .form = b->p->form};
    for (int k = 0; k < 3 && in; k++) {
        memcpy(next, lists[k]->outer, (size_t)lists[k]->count * sizeof *in);
        next += lists[k]->count;
    }
    return in && p.stacked + p.carry ? kiln_append(b->g, &kiln_op_scan, in, count, &p, sizeof p) : KILN_NONE;
}

void kiln_scan_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    struct backward b = {.g = g, .n = n, .p = n->params, .dy = dy};
    if (!make_room(&b) || !link_inputs(&b)) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "scan: out of memory");
        return;
    }
    b.back = kiln_graph_alike(g, b.p->body);
    const kiln_tensor node = b.back && build(&b) ? append(&b) : KILN_NONE;
    for (int i = 0; i < n->inputs && node.id; i++)
        if (b.at[i] >= 0)
            dx[i] = kiln_node_output(g, node, b.at[i] + (i < b.p->each ? 0 : b.stacks));
    kiln_graph_destroy(&b.back);
}
