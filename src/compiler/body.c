/*
 * body.c - see body.h.
 *
 * A body is simplified by the passes of any graph, with the outputs that are wanted as its run list. A carry whose input is then
 * still there is wanted too, and so on until no more join: what only hands itself on is gone.
 */
#include "compiler/body.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/region.h"
#include "ops/chain.h"

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

/* Sizes -------------------------------------------------------------------------------------------------- */

struct sizes {
    const kiln_graph *body;
    int64_t *number; /* by expression; negative: not known */
    const struct kiln_rewrite *outer;
};

/* A symbol that no input has is that of the same name outside. What data counts is as large as its bound. */
static int64_t size_of(void *user, int64_t symbol)
{
    const struct sizes *s = user;
    const kiln_graph *around = s->outer->from;
    if (!kiln_dim_is_symbol(s->body, symbol))
        return -1;
    if (s->number[-1 - symbol] >= 0)
        return s->number[-1 - symbol];
    for (int i = 0; i < around->dim.count; i++)
        if (around->dim.data[i].op == KILN_DIM_SYMBOL &&
            !strcmp(around->dim.data[i].name, s->body->dim.data[-1 - symbol].name))
            return s->outer->size(s->outer->size_user, -1 - i);
    return -1;
}

static bool bind_sizes(struct sizes *s, const struct kiln_body_wanted *w)
{
    const kiln_graph *body = w->body;
    s->number = malloc((size_t)(body->dim.count + 1) * sizeof *s->number);
    for (int i = 0; s->number && i < body->dim.count; i++)
        s->number[i] = -1;
    for (int i = 0; s->number && i < body->input.count; i++) {
        const kiln_shape declared = kiln_tensor_shape(body, body->input.data[i]);
        for (int k = 0; k < declared.rank; k++)
            if (kiln_dim_is_symbol(body, declared.size[k]))
                s->number[-1 - declared.size[k]] = w->in[i].shape.size[k];
    }
    return s->number;
}

/* Preparing ---------------------------------------------------------------------------------------------- */

struct making {
    struct kiln_body *b;
    const struct kiln_body_wanted *w;
    struct sizes sizes;
    bool train;
    kiln_tensor *run; /* the wanted outputs */
    int run_count;
};

static kiln_status simplify(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    return kiln_simplify(r, run, &run_count, run_count);
}

static kiln_status simplify_first(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    r->keep_counts = true;
    return simplify(r, run, run_count);
}

static kiln_status replace_counted(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    r->keep_counts = true;
    return kiln_replace_counted(r, run, run_count);
}

typedef kiln_status pass(struct kiln_rewrite *r, kiln_tensor *run, int run_count);

/* Run a pass over the body as it is so far. */
static kiln_status apply(struct making *m, pass *fn)
{
    struct kiln_body *b = m->b;
    struct kiln_rewrite r = {.from = b->graph ? b->graph : m->w->body, .train = m->train};
    r.size = size_of;
    r.size_user = &m->sizes;
    kiln_status status = kiln_rewrite_begin(&r);
    if (status)
        return status;
    status = fn(&r, m->run, m->run_count);
    if (!status)
        status = r.to->status;
    for (int i = 0; i < b->inputs && !status; i++)
        b->in[i] = r.map[(b->graph ? b->in[i] : m->w->body->input.data[i]).id];
    kiln_rewrite_finish(&r);
    kiln_graph_destroy(&b->graph);
    b->graph = r.to;
    return status;
}

static kiln_status apply_all(struct making *m, pass *const *list)
{
    kiln_status status = KILN_OK;
    while (*list && !status)
        status = apply(m, *list++);
    return status;
}

/* Whether carries that were not wanted turn out to be. */
static bool carries_join(struct making *m)
{
    const struct kiln_body_wanted *w = m->w;
    bool more = false;
    for (int i = 0; i < w->carries; i++)
        if (m->b->in[w->carry_in + i].id && !w->out[w->carry_out + i])
            w->out[w->carry_out + i] = more = true;
    return more;
}

/* As the compiler does with a whole graph (compile.c). */
static kiln_status simplify_body(struct making *m)
{
    static pass *const counted[] = {simplify_first, replace_counted, kiln_fill_beyond_counts, NULL};
    static pass *const usual[] = {simplify, simplify, NULL};
    kiln_status status = KILN_OK;
    do {
        kiln_graph_destroy(&m->b->graph);
        m->run_count = 0;
        for (int i = 0; i < m->b->outputs; i++)
            if (m->w->out[i])
                m->run[m->run_count++] = m->w->body->output.data[i];
        if (kiln_graph_is_counted(m->w->body))
            status = apply_all(m, counted);
        if (!status)
            status = apply_all(m, usual);
    } while (!status && carries_join(m));
    return status;
}

static kiln_status prepare(struct making *m)
{
    static pass *const loops[] = {kiln_expand_control, simplify, simplify, NULL};
    kiln_status status = simplify_body(m);
    if (!status && kiln_has_control(m->b->graph))
        status = apply_all(m, loops);
    for (int i = 0, at = 0; i < m->b->outputs && !status; i++)
        m->b->out[i] = m->w->out[i] ? m->run[at++] : KILN_NONE;
    return status;
}

kiln_status kiln_body_prepare(struct kiln_body *b, const struct kiln_rewrite *outer,
                              const struct kiln_body_wanted *wanted)
{
    struct making m = {
        .b = b, .w = wanted, .sizes = {.body = wanted->body, .outer = outer}, .train = outer->train};
    *b = (struct kiln_body){.inputs = wanted->body->input.count, .outputs = wanted->body->output.count};
    b->in = calloc((size_t)b->inputs + 1, sizeof *b->in);
    b->out = calloc((size_t)b->outputs + 1, sizeof *b->out);
    m.run = calloc((size_t)b->outputs + 1, sizeof *m.run);
    kiln_status status =
        b->in && b->out && m.run && bind_sizes(&m.sizes, wanted) ? prepare(&m) : out_of_memory();
    if (!status) {
        const size_t values = (size_t)b->graph->value.count + 1;
        b->varies = calloc(values, sizeof *b->varies);
        b->map = calloc(values, sizeof *b->map);
        status = b->varies && b->map ? KILN_OK : out_of_memory();
    }
    free(m.run);
    free(m.sizes.number);
    if (status)
        kiln_body_finish(b);
    return status;
}

void kiln_body_finish(struct kiln_body *b)
{
    kiln_graph_destroy(&b->graph);
    free(b->in);
    free(b->out);
    free(b->varies);
    free(b->map);
    *b = (struct kiln_body){0};
}

/* Putting ------------------------------------------------------------------------------------------------ */

static void put_node(struct kiln_body *b, const kiln_node *n)
{
    kiln_graph *to = b->to;
    if (n->op == &kiln_op_constant) {
        const struct kiln_constant_params *p = n->params;
        b->map[n->out[0].id] = kiln_graph_constant(to, p->spec, p->stored, kiln_constant_data(p), p->bytes);
        return;
    }
    kiln_tensor *in = kiln_arena_alloc(&to->arena, (size_t)(n->inputs + 1) * sizeof *in);
    kiln_spec *out = kiln_arena_alloc(&to->arena, (size_t)(n->outputs + 1) * sizeof *out);
    for (int i = 0; in && i < n->inputs; i++)
        in[i] = n->in[i].id ? b->map[n->in[i].id] : KILN_NONE;
    for (int i = 0; out && i < n->outputs; i++)
        out[i] = kiln_tensor_spec(b->graph, n->out[i]);
    const kiln_node *copy = in && out && !to->status
                                ? kiln_graph_add(to, n->op, in, n->inputs, n->params, n->params_size, out,
                                                 n->outputs, kiln_arena_text(&to->arena, n->name))
                                : NULL;
    for (int i = 0; copy && i < n->outputs; i++)
        b->map[n->out[i].id] = copy->out[i];
    if (!copy)
        kiln_graph_fail(to, KILN_ERROR_MEMORY, "compiler: out of memory");
}

/* Whether a node is another in each step: it depends on what is, or on where it stands. */
static bool is_varying(const struct kiln_body *b, const kiln_node *n, int region, bool hoist)
{
    bool varies = region >= 0 || n->op == &kiln_op_repeat || n->op == &kiln_op_until;
    if (n->op == &kiln_op_constant)
        return false;
    for (int k = 0; k < n->inputs; k++)
        varies |= n->in[k].id && b->varies[n->in[k].id];
    return varies || !hoist;
}

bool kiln_body_works(const struct kiln_body *b, const kiln_node *n)
{
    return b->varies[n->out[0].id] && n->op != &kiln_op_input && !(n->op->flags & KILN_OP_ALIAS) &&
           n->op != &kiln_op_undefined;
}

void kiln_body_leave_out(struct kiln_body *b, const kiln_node *n)
{
    for (int i = 0; i < n->outputs; i++)
        b->varies[n->out[i].id] = false;
}

void kiln_body_begin(struct kiln_body *b, kiln_graph *to, const kiln_tensor *given, bool hoist)
{
    int *region = kiln_regions(b->graph);
    b->to = to;
    b->work = 0;
    b->elementwise = true;
    if (!region)
        kiln_graph_fail(to, KILN_ERROR_MEMORY, "compiler: out of memory");
    for (int i = 0; i < b->inputs; i++) {
        b->map[b->in[i].id] = given[i];
        b->varies[b->in[i].id] = !given[i].id;
    }
    for (int i = 0; i < b->graph->node.count && region; i++) {
        const kiln_node *n = b->graph->node.data[i];
        const bool input = n->op == &kiln_op_input;
        const bool varies = !input && is_varying(b, n, region[i], hoist);
        for (int k = 0; k < n->outputs && !input; k++)
            b->varies[n->out[k].id] = varies;
        if (kiln_body_works(b, n)) {
            b->work++;
            b->elementwise &= kiln_op_elementwise(n->op) != NULL;
        }
        if (!varies && !input)
            put_node(b, n);
    }
    free(region);
}

void kiln_body_set(struct kiln_body *b, int input, kiln_tensor t)
{
    if (b->in[input].id)
        b->map[b->in[input].id] = t;
}

void kiln_body_put(struct kiln_body *b)
{
    for (int i = 0; i < b->graph->node.count && !b->to->status; i++) {
        const kiln_node *n = b->graph->node.data[i];
        if (n->op != &kiln_op_input && b->varies[n->out[0].id])
            put_node(b, n);
    }
}

kiln_tensor kiln_body_get(const struct kiln_body *b, int output)
{
    return b->out[output].id ? b->map[b->out[output].id] : KILN_NONE;
}

bool kiln_body_passes(const struct kiln_body *b, int output)
{
    const kiln_tensor t = b->out[output];
    return t.id && (!b->varies[t.id] || kiln_graph_node(b->graph, t)->op == &kiln_op_input);
}
