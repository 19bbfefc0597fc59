/*
 * onnx_training.c - ai.onnx.preview.training: gradients within a model, and one step of Adagrad, Adam or momentum.
 *
 * A Gradient node names a function of the model: y, of the independent values xs and zs, at which the model's graph is cut. Its
 * inputs are where the function is taken, which need not be the values named. So the nodes between them and y are appended
 * once more, on copies of the inputs, and y's gradient by these copies is kiln_gradient. Where the inputs are the values named,
 * what is computed twice is equal, and a program computes it once.
 */
#include <string.h>

#include "import/onnx.h"

/* Gradient ----------------------------------------------------------------------------------------------- */

/* A graph that is computed again with some of its values replaced. */
struct again {
    kiln_graph *g;
    int nodes;        /* of the graph as it was */
    kiln_tensor *now; /* by id: what stands for it; KILN_NONE: itself */
    bool *needed;     /* by id, behind the cut */
};

static uint32_t most_id(const kiln_graph *g)
{
    uint32_t most = 0;
    for (int i = 0; i < kiln_graph_node_count(g); i++) {
        const kiln_node *n = kiln_graph_node_at(g, i);
        for (int k = 0; k < n->outputs; k++)
            most = n->out[k].id > most ? n->out[k].id : most;
    }
    return most;
}

/* From y back to the cut. */
static void mark_needed(struct again *a, kiln_tensor y)
{
    a->needed[y.id] = !a->now[y.id].id;
    for (int i = a->nodes; i-- > 0;) {
        const kiln_node *n = kiln_graph_node_at(a->g, i);
        bool needed = false;
        for (int k = 0; k < n->outputs; k++)
            needed = needed || a->needed[n->out[k].id];
        for (int k = 0; needed && k < n->inputs; k++)
            a->needed[n->in[k].id] = n->in[k].id && !a->now[n->in[k].id].id;
    }
}

/* Node i once more, if it is needed and an input of it is another value now. */
static void append_again(struct again *a, int i, kiln_tensor *in)
{
    const kiln_node n = *kiln_graph_node_at(a->g, i);
    bool needed = false, changed = false;
    for (int k = 0; k < n.outputs; k++)
        needed = needed || a->needed[n.out[k].id];
    for (int k = 0; k < n.inputs; k++) {
        const kiln_tensor now = a->now[n.in[k].id];
        in[k] = now.id ? now : n.in[k];
        changed = changed || now.id;
    }
    const kiln_tensor first =
        needed && changed ? kiln_append(a->g, n.op, in, n.inputs, n.params, n.params_size) : KILN_NONE;
    for (int k = 0; first.id && k < n.outputs; k++)
        if (!a->now[n.out[k].id].id)
            a->now[n.out[k].id] = kiln_node_output(a->g, first, k);
}

/* y of other values: to[i] for from[i]. */
static kiln_tensor taken_at(kiln_onnx_node *n, kiln_tensor y, const kiln_tensor *from, const kiln_tensor *to,
                            int count)
{
    const size_t ids = (size_t)most_id(n->g) + 1;
    struct again a = {.g = n->g, .nodes = kiln_graph_node_count(n->g)};
    int inputs = 0;
    for (int i = 0; i < a.nodes; i++) {
        const int own = kiln_graph_node_at(n->g, i)->inputs;
        inputs = own > inputs ? own : inputs;
    }
    a.now = kiln_arena_alloc(&n->m->arena, ids * sizeof *a.now);
    a.needed = kiln_arena_alloc(&n->m->arena, ids * sizeof *a.needed);
    kiln_tensor *in = kiln_arena_alloc(&n->m->arena, ((size_t)inputs + 1) * sizeof *in);
    if (!a.now || !a.needed || !in) {
        kiln_onnx_fail(n->m, KILN_ERROR_MEMORY, "a gradient: out of memory");
        return KILN_NONE;
    }
    for (int i = 0; i < count; i++)
        a.now[from[i].id] = to[i];
    mark_needed(&a, y);
    for (int i = 0; i < a.nodes && !kiln_graph_status(n->g); i++)
        append_again(&a, i, in);
    return a.now[y.id].id ? a.now[y.id] : y;
}

/* The value of that name in the graph; KILN_NONE, and refused, if there is none. */
static kiln_tensor named(kiln_onnx_node *n, const char *name)
{
    struct kiln_onnx_value *v = kiln_onnx_find(n->m, name);
    const kiln_tensor t = v && !v->refused ? kiln_onnx_tensor_of(n->m, v) : KILN_NONE;
    if (!t.id)
        kiln_onnx_refuse(n, "\"%s\" is no value of the graph", name);
    return t;
}

/* Where the function is cut, and copies of what is given there; how many, all xs first. */
static int take_cut(kiln_onnx_node *n, kiln_tensor *from, kiln_tensor *to)
{
    int xs, zs;
    const char *const *x = kiln_onnx_texts(n, "xs", &xs), *const *z = kiln_onnx_texts(n, "zs", &zs);
    if (n->refused || !xs || xs + zs != n->inputs || n->outputs > xs) {
        kiln_onnx_refuse(n, "%d inputs and %d outputs for %d names in xs and %d in zs", n->inputs, n->outputs,
                         xs, zs);
        return 0;
    }
    for (int i = 0; i < n->inputs && !n->refused; i++) {
        from[i] = named(n, i < xs ? x[i] : z[i - xs]);
        const kiln_tensor given = kiln_onnx_in(n, i);
        const kiln_spec a = kiln_tensor_spec(n->g, from[i]), b = kiln_tensor_spec(n->g, given);
        if (!n->refused && (a.type != b.type || !kiln_shape_equal(&a.shape, &b.shape)))
            kiln_onnx_refuse(n, "input %d is of another type or shape than \"%s\"", i,
                             i < xs ? x[i] : z[i - xs]);
        to[i] = kiln_onnx_copy(n->g, given);
    }
    return xs;
}

void kiln_onnx_build_gradient(kiln_onnx_node *n)
{
    kiln_tensor from[KILN_ONNX_MOST_INPUTS], to[KILN_ONNX_MOST_INPUTS], dx[KILN_ONNX_MOST_INPUTS];
    const char *name = kiln_onnx_text(n, "y", "");
    const struct kiln_onnx_value *v = kiln_onnx_find(n->m, name);
    if (v && v->known)
        kiln_onnx_refuse(n, "\"%s\" depends on constants alone", name);
    const kiln_tensor y = n->refused ? KILN_NONE : named(n, name);
    const int count = n->refused ? 0 : take_cut(n, from, to);
    if (n->refused || kiln_graph_status(n->g))
        return;
    kiln_gradient(n->g, taken_at(n, y, from, to, n->inputs), KILN_NONE, to, count, dx);
    for (int i = 0; i < count; i++)
        kiln_onnx_out(n, i, dx[i]);
}

/* One step of an optimizer ------------------------------------------------------------------------------- */

enum { RATE, COUNT, FIRST };

/* A node's numbers and the values of one of its tensors. */
struct update {
    kiln_graph *g;
    kiln_tensor rate, count; /* of the type that is learned; count: of the steps so far */
    double norm;             /* x's part in its gradient */
    double epsilon, decay, alpha, beta, post;
    bool nesterov;
    kiln_tensor x, dx, state[2];
};

typedef void step_fn(struct update *u); /* x and the state become the new ones */

/* if (T > 0) a else b */
static kiln_tensor after_first(const struct update *u, kiln_tensor a, kiln_tensor b)
{
    const kiln_tensor zero = kiln_scalar(u->g, kiln_tensor_type(u->g, u->count), 0);
    return kiln_where(u->g, kiln_greater(u->g, u->count, zero), a, b);
}

static kiln_tensor number(const struct update *u, double value)
{
    return kiln_scalar(u->g, kiln_tensor_type(u->g, u->rate), value);
}

/* a x + b y */
static kiln_tensor blend(const struct update *u, double a, kiln_tensor x, double b, kiln_tensor y)
{
    return kiln_add(u->g, kiln_scale(u->g, x, a), kiln_scale(u->g, y, b));
}

static void adagrad(struct update *u)
{
    kiln_graph *g = u->g;
    const kiln_tensor rate = kiln_div(g, u->rate, kiln_shift(g, kiln_scale(g, u->count, u->decay), 1));
    u->state[0] = kiln_add(g, u->state[0], kiln_square(g, u->dx));
    const kiln_tensor root = kiln_shift(g, kiln_sqrt(g, u->state[0]), u->epsilon);
    u->x = kiln_sub(g, u->x, kiln_div(g, kiln_mul(g, rate, u->dx), root));
}

/* 1 - base^T */
static kiln_tensor correction(const struct update *u, double base)
{
    return kiln_sub(u->g, number(u, 1), kiln_pow(u->g, number(u, base), u->count));
}

static void adam(struct update *u)
{
    kiln_graph *g = u->g;
    const kiln_tensor corrected =
        kiln_div(g, kiln_mul(g, u->rate, kiln_sqrt(g, correction(u, u->beta))), correction(u, u->alpha));
    const kiln_tensor rate = after_first(u, corrected, u->rate);
    u->state[0] = blend(u, u->alpha, u->state[0], 1 - u->alpha, u->dx);
    u->state[1] = blend(u, u->beta, u->state[1], 1 - u->beta, kiln_square(g, u->dx));
    const kiln_tensor root = kiln_shift(g, kiln_sqrt(g, u->state[1]), u->epsilon);
    const kiln_tensor x = kiln_sub(g, u->x, kiln_div(g, kiln_mul(g, rate, u->state[0]), root));
    u->x = kiln_scale(g, x, 1 - u->post);
}

static void momentum(struct update *u)
{
    kiln_graph *g = u->g;
    const kiln_tensor share = after_first(u, number(u, u->beta), number(u, 1));
    u->state[0] = kiln_add(g, kiln_scale(g, u->state[0], u->alpha), kiln_mul(g, share, u->dx));
    const kiln_tensor way =
        u->nesterov ? kiln_add(g, u->dx, kiln_scale(g, u->state[0], u->alpha)) : u->state[0];
    u->x = kiln_sub(g, u->x, kiln_mul(g, u->rate, way));
}

static kiln_tensor scalar_in(kiln_onnx_node *n, int i, kiln_type type)
{
    const kiln_tensor t = kiln_onnx_in(n, i);
    const kiln_shape shape = kiln_onnx_spec(n, i).shape;
    if (kiln_shape_count(&shape) != 1)
        kiln_onnx_refuse(n, "input %d is no single number", i);
    return n->refused ? KILN_NONE : kiln_cast(n->g, kiln_reshape(n->g, t, KILN_SCALAR), type);
}

/* Inputs behind the rate and the count: all x, then all gradients, then all of each state. Outputs: x and the states. */
static void build_updates(kiln_onnx_node *n, struct update u, int states, step_fn *step)
{
    const int given = n->inputs - FIRST, tensors = given / (2 + states);
    if (given < 1 || given % (2 + states) || n->outputs > tensors * (1 + states)) {
        kiln_onnx_refuse(n, "%d inputs and %d outputs", n->inputs, n->outputs);
        return;
    }
    u.g = n->g;
    u.norm = kiln_onnx_real(n, "norm_coefficient", 0);
    for (int i = 0; i < tensors && !n->refused; i++) {
        const kiln_type type = kiln_onnx_spec(n, FIRST + i).type;
        u.rate = scalar_in(n, RATE, type);
        u.count = scalar_in(n, COUNT, type);
        u.x = kiln_onnx_in(n, FIRST + i);
        u.dx = kiln_onnx_in(n, FIRST + tensors + i);
        for (int k = 0; k < states; k++)
            u.state[k] = kiln_onnx_in(n, FIRST + (2 + k) * tensors + i);
        if (n->refused)
            return;
        if (u.norm != 0)
            u.dx = kiln_add(n->g, kiln_scale(n->g, u.x, u.norm), u.dx);
        step(&u);
        kiln_onnx_out(n, i, u.x);
        for (int k = 0; k < states; k++)
            kiln_onnx_out(n, (1 + k) * tensors + i, u.state[k]);
    }
}

void kiln_onnx_build_adagrad(kiln_onnx_node *n)
{
    build_updates(n,
                  (struct update){.epsilon = kiln_onnx_real(n, "epsilon", 1e-6),
                                  .decay = kiln_onnx_real(n, "decay_factor", 0)},
                  1, adagrad);
}

void kiln_onnx_build_adam(kiln_onnx_node *n)
{
    build_updates(n,
                  (struct update){.epsilon = kiln_onnx_real(n, "epsilon", 1e-6),
                                  .alpha = kiln_onnx_real(n, "alpha", 0.9),
                                  .beta = kiln_onnx_real(n, "beta", 0.999),
                                  .post = kiln_onnx_real(n, "norm_coefficient_post", 0)},
                  2, adam);
}

void kiln_onnx_build_momentum(kiln_onnx_node *n)
{
    const char *mode = kiln_onnx_text(n, "mode", "");
    const bool nesterov = !strcmp(mode, "nesterov");
    if (!nesterov && strcmp(mode, "standard"))
        kiln_onnx_refuse(n, "mode \"%s\" is neither standard nor nesterov", mode);
    else
        build_updates(n,
                      (struct update){.alpha = kiln_onnx_real(n, "alpha", 0),
                                      .beta = kiln_onnx_real(n, "beta", 0),
                                      .nesterov = nesterov},
                      1, momentum);
}
