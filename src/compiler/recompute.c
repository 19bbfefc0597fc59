/*
 * recompute.c - less memory in training, for time: what the backward pass reads of the forward pass is computed again.
 *
 * Cuts divide the forward nodes, in building order, into stretches. A value that is used across a cut is kept; what lies within a
 * stretch is computed again from those when the backward pass first asks for it, and the schedule starts none of that before
 * the backward pass has come so far. The last stretch is kept whole, as the backward pass begins there. (Chen et al. 2016,
 * arXiv:1604.06174.)
 *
 * Where the cuts lie: for a number of stretches, each of about as many bytes as the others, at the place near its end that the
 * fewest bytes are used across. Of several numbers the one is taken that promises the least memory: what is kept, and
 * the largest stretch. Fusion comes later and leaves out much of what is counted here, in all numbers alike.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/plan.h"
#include "compiler/region.h"

enum { MOST_STRETCHES = 64 };

/* Of a node of the old graph. */
struct stage {
    bool forward;   /* can be computed again: of the forward pass, in no region, and not of weights alone */
    bool behind;    /* depends on the backward pass */
    bool kept;      /* is needed besides, or is used across a cut */
    int last;       /* the last forward node that uses it */
    int stretch;    /* how many cuts lie before it */
    uint64_t bytes; /* of its outputs */
};

struct plan_of_cuts {
    int cut[MOST_STRETCHES], cuts; /* a cut lies in front of a node */
    uint64_t promise;              /* bytes */
};

struct recompute {
    struct kiln_rewrite *r;
    struct stage *stage;   /* by node */
    int *node_of, *region; /* by value id; by node */
    bool *settled;         /* by node (kiln_settled) */
    kiln_tensor *again;    /* by value id: the copy in the new graph */
    uint64_t *across;      /* by node: bytes that are used across a cut in front of it */
    struct plan_of_cuts best;
};

/* What there is ------------------------------------------------------------------------------------------ */

static bool is_leaf(const kiln_node *n)
{
    return n->inputs == 0;
}

static uint64_t bytes_of(const kiln_graph *g, const kiln_node *n)
{
    uint64_t bytes = 0;
    for (int k = 0; k < n->outputs && !(n->op->flags & KILN_OP_ALIAS); k++) {
        const kiln_spec spec = kiln_tensor_spec(g, n->out[k]);
        bytes += kiln_storage_bytes(&spec, KILN_STORAGE_SINGLE);
    }
    return bytes;
}

/* Whether it depends on the backward pass. */
static bool is_behind(const struct recompute *c, const kiln_node *n)
{
    bool behind = n->pass == KILN_PASS_BACKWARD;
    for (int k = 0; k < n->inputs && !behind; k++)
        behind = n->in[k].id && c->stage[c->node_of[n->in[k].id]].behind;
    return behind;
}

/* Whether what the node reads of the forward pass is computed again for it. */
static bool reads_again(const struct recompute *c, const kiln_node *n, int at)
{
    return n->pass == KILN_PASS_BACKWARD && c->region[at] < 0 && !(n->op->flags & KILN_OP_EFFECT);
}

/* What a node says of its inputs. */
static void tell_inputs(struct recompute *c, const kiln_node *n, int at)
{
    const struct stage *s = &c->stage[at];
    for (int k = 0; k < n->inputs; k++) {
        if (!n->in[k].id)
            continue;
        struct stage *in = &c->stage[c->node_of[n->in[k].id]];
        if (s->forward)
            in->last = at;
        else if (!reads_again(c, n, at))
            in->kept = true;
    }
}

static void look(struct recompute *c, const kiln_tensor *run, int run_count)
{
    const kiln_graph *g = c->r->from;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        struct stage *s = &c->stage[i];
        for (int k = 0; k < n->outputs; k++)
            c->node_of[n->out[k].id] = i;
        s->behind = is_behind(c, n);
        s->last = i;
        s->bytes = bytes_of(g, n);
        s->forward = !s->behind && !c->settled[i] && !is_leaf(n) && c->region[i] < 0 &&
                     n->op != &kiln_op_repeat && n->op != &kiln_op_until &&
                     !(n->op->flags & (KILN_OP_EFFECT | KILN_OP_LATE));
        tell_inputs(c, n, i);
    }
    for (int i = 0; i < run_count; i++)
        c->stage[c->node_of[run[i].id]].kept = true;
}

/* Cuts --------------------------------------------------------------------------------------------------- */

static void count_across(struct recompute *c, int nodes)
{
    for (int i = 0; i < nodes; i++)
        if (c->stage[i].forward && c->stage[i].last > i) {
            c->across[i + 1] += c->stage[i].bytes;
            c->across[c->stage[i].last + 1] -= c->stage[i].bytes;
        }
    for (int i = 0; i < nodes; i++)
        c->across[i + 1] += c->across[i];
}

/* Cuts for stretches of about `budget` bytes. */
static struct plan_of_cuts cut_by(const struct recompute *c, int nodes, uint64_t budget)
{
    struct plan_of_cuts p = {.cuts = 0};
    uint64_t held = 0;
    int best = -1;
    for (int i = 0; i < nodes && p.cuts < MOST_STRETCHES; i++) {
        if (!c->stage[i].forward)
            continue;
        if (2 * held > budget && (best < 0 || c->across[i] <= c->across[best]))
            best = i;
        held += c->stage[i].bytes;
        if (held <= budget || best < 0)
            continue;
        p.cut[p.cuts++] = i = best; /* from there again */
        held = c->stage[i].bytes;
        best = -1;
    }
    return p;
}

static bool is_across(const struct stage *s, int at, const struct plan_of_cuts *p)
{
    for (int k = 0; k < p->cuts; k++)
        if (at < p->cut[k] && p->cut[k] <= s->last)
            return true;
    return false;
}

static uint64_t promise_of(const struct recompute *c, int nodes, const struct plan_of_cuts *p)
{
    uint64_t kept = 0, stretch = 0, largest = 0;
    for (int i = 0, k = 0; i < nodes; i++) {
        const struct stage *s = &c->stage[i];
        if (k < p->cuts && i == p->cut[k]) {
            k++;
            stretch = 0;
        }
        if (!s->forward || !s->bytes)
            continue;
        if (s->kept || is_across(s, i, p))
            kept += s->bytes;
        else
            stretch += s->bytes;
        largest = stretch > largest ? stretch : largest;
    }
    return kept + largest;
}

static void choose_cuts(struct recompute *c, int nodes)
{
    uint64_t whole = 0;
    for (int i = 0; i < nodes; i++)
        whole += c->stage[i].forward ? c->stage[i].bytes : 0;
    c->best.promise = whole;
    for (uint64_t parts = 2; parts <= MOST_STRETCHES; parts++) {
        struct plan_of_cuts p = cut_by(c, nodes, whole / parts);
        p.promise = promise_of(c, nodes, &p);
        if (p.promise < c->best.promise)
            c->best = p;
    }
    for (int i = 0, k = 0; i < nodes; i++) {
        while (k < c->best.cuts && c->best.cut[k] <= i)
            k++;
        c->stage[i].stretch = k;
        c->stage[i].kept |= is_across(&c->stage[i], i, &c->best);
    }
}

/* The new graph ------------------------------------------------------------------------------------------ */

static bool is_again(const struct recompute *c, kiln_tensor t)
{
    const struct stage *s = &c->stage[c->node_of[t.id]];
    return s->forward && !s->kept && s->stretch < c->best.cuts;
}

static bool compute_again(struct recompute *c, const kiln_node *n);

/* What a node of the backward pass reads for t; KILN_NONE out of memory. */
static kiln_tensor value_of(struct recompute *c, kiln_tensor t)
{
    if (!is_again(c, t))
        return c->r->map[t.id];
    if (!c->again[t.id].id && !compute_again(c, kiln_graph_node(c->r->from, t)))
        return KILN_NONE;
    return c->again[t.id];
}

/* n's inputs in the new graph; NULL out of memory. */
static kiln_tensor *inputs_of(struct recompute *c, const kiln_node *n)
{
    kiln_tensor *in = kiln_arena_alloc(&c->r->to->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
    for (int i = 0; in && i < n->inputs; i++) {
        in[i] = kiln_rewrite_input(c->r, n, i);
        if (in[i].id && !(in[i] = value_of(c, n->in[i])).id)
            return NULL;
    }
    return in;
}

static bool compute_again(struct recompute *c, const kiln_node *n)
{
    kiln_graph *to = c->r->to;
    const kiln_tensor *in = inputs_of(c, n);
    kiln_spec *out = kiln_arena_alloc(&to->arena, (size_t)n->outputs * sizeof *out);
    if (!in || !out)
        return false;
    for (int i = 0; i < n->outputs; i++)
        out[i] = kiln_tensor_spec(to, c->r->map[n->out[i].id]);
    to->pass = KILN_PASS_AGAIN;
    const kiln_node *copy = kiln_graph_add(to, n->op, in, n->inputs, n->params, n->params_size, out,
                                           n->outputs, kiln_arena_text(&to->arena, n->name));
    for (int i = 0; copy && i < n->outputs; i++)
        c->again[n->out[i].id] = copy->out[i];
    return copy != NULL;
}

static kiln_status copy_all(struct recompute *c)
{
    const kiln_graph *g = c->r->from;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        const bool reads = reads_again(c, n, i);
        const kiln_tensor *in = reads ? inputs_of(c, n) : NULL;
        if (reads && !in)
            return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
        if (!(reads ? kiln_rewrite_copy_with(c->r, n, in) : kiln_rewrite_copy(c->r, n)))
            return c->r->to->status;
        kiln_rewrite_bind(c->r, n);
    }
    return KILN_OK;
}

kiln_status kiln_recompute(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    const size_t values = (size_t)r->from->value.count + 1, nodes = (size_t)r->from->node.count;
    struct recompute c = {.r = r};
    c.stage = calloc(nodes + 1, sizeof *c.stage);
    c.across = calloc(nodes + 2, sizeof *c.across);
    c.node_of = calloc(values, sizeof *c.node_of);
    c.again = calloc(values, sizeof *c.again);
    c.region = kiln_regions(r->from);
    c.settled = kiln_settled(r->from);
    kiln_status status = KILN_ERROR_MEMORY;
    if (c.stage && c.across && c.node_of && c.again && c.region && c.settled) {
        look(&c, run, run_count);
        count_across(&c, (int)nodes);
        choose_cuts(&c, (int)nodes);
        status = copy_all(&c);
    } else {
        kiln_fail(status, "compiler: out of memory");
    }
    for (int i = 0; i < run_count && !status; i++)
        run[i] = r->map[run[i].id];
    free(c.stage);
    free(c.across);
    free(c.node_of);
    free(c.again);
    free(c.region);
    free(c.settled);
    return status;
}
