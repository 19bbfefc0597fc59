/* fission.c - see fission.h. */
#include "compiler/fission.h"

#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "compiler/region.h"
#include "ops/cases.h"
#include "ops/chain.h"
#include "ops/kernels.h"

/* Many cases of a node --------------------------------------------------------------------------------------- */

/* Operands are aligned at their last axes: those of a lower rank get ones. */
static kiln_tensor elementwise_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(n->inputs + 1) * sizeof *in);
    for (int i = 0; in && i < n->inputs; i++)
        in[i] = c->stacked[i] ? kiln_cases_widen(g, c->in[i], c->out.shape.rank) : c->in[i];
    return in ? kiln_cases_append(g, n, c, in, n->params) : KILN_NONE;
}

static kiln_tensor alias_cases(kiln_graph *g, const kiln_cases *c)
{
    const kiln_spec out = kiln_cases_spec(c, &c->out);
    const kiln_node *n = kiln_graph_add(g, &kiln_op_reshape_to, (kiln_tensor[]){c->in[0], KILN_NONE}, 2, NULL,
                                        0, &out, 1, NULL);
    return n ? n->out[0] : KILN_NONE;
}

typedef kiln_tensor cases_fn(kiln_graph *g, const kiln_node *n, const kiln_cases *c);

static kiln_tensor all_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    if (kiln_op_elementwise(n->op))
        return elementwise_cases(g, n, c);
    if (n->op->flags & KILN_OP_ALIAS)
        return alias_cases(g, c);
    return n->op->cases ? n->op->cases(g, n, c) : KILN_NONE;
}

/* By its own rule, or of all cases by a reduction where they are no larger than what they are made of. */
static kiln_tensor sum_of_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const kiln_tensor sum = n->op->sum_cases ? n->op->sum_cases(g, n, c) : KILN_NONE;
    int64_t given = 0;
    for (int i = 0; i < n->inputs; i++) {
        const kiln_shape x = kiln_tensor_shape(g, c->in[i]);
        given += c->stacked[i] ? kiln_shape_count(&x) : 0;
    }
    if (sum.id || c->count * kiln_shape_count(&c->out.shape) > given)
        return sum;
    const kiln_tensor all = all_cases(g, n, c);
    return all.id ? kiln_sum(g, all, &(kiln_reduce_params){.axes = KILN_AXES(0)}) : KILN_NONE;
}

static kiln_tensor make(const struct kiln_fission *f, kiln_graph *to, const kiln_node *n,
                        const kiln_tensor *whole, cases_fn *fn)
{
    kiln_tensor *in = kiln_arena_alloc(&to->arena, (size_t)(n->inputs + 1) * sizeof *in);
    bool *stacked = kiln_arena_alloc(&to->arena, (size_t)n->inputs + 1);
    const kiln_cases c = {
        .in = in, .stacked = stacked, .count = f->steps, .out = kiln_tensor_spec(f->b->graph, n->out[0])};
    for (int i = 0; in && stacked && i < n->inputs; i++) {
        stacked[i] = n->in[i].id && whole[n->in[i].id].id;
        in[i] = stacked[i] ? whole[n->in[i].id] : n->in[i].id ? f->b->map[n->in[i].id] : KILN_NONE;
    }
    return in && stacked ? fn(to, n, &c) : KILN_NONE;
}

kiln_tensor kiln_fission_cases(const struct kiln_fission *f, kiln_graph *to, const kiln_node *n,
                               const kiln_tensor *whole)
{
    return make(f, to, n, whole, all_cases);
}

kiln_tensor kiln_fission_sum(const struct kiln_fission *f, kiln_graph *to, const kiln_node *n,
                             const kiln_tensor *whole)
{
    return make(f, to, n, whole, sum_of_cases);
}

/* One axis more, if there may be one. */
static bool widen(const struct kiln_fission *f, kiln_tensor t, const kiln_cases *c, kiln_spec *spec)
{
    *spec = kiln_tensor_spec(f->b->graph, t);
    if (!f->b->varies[t.id])
        return true;
    if (spec->shape.rank == KILN_MAX_RANK)
        return false;
    *spec = kiln_cases_spec(c, spec);
    return true;
}

/* Whether there is a way: it is tried in a graph that is thrown away. */
static bool can(const struct kiln_fission *f, const kiln_node *n, cases_fn *fn)
{
    kiln_graph *probe = NULL;
    kiln_tensor in[KILN_MAX_BINDINGS];
    bool stacked[KILN_MAX_BINDINGS];
    kiln_cases c = {
        .in = in, .stacked = stacked, .count = f->steps, .out = kiln_tensor_spec(f->b->graph, n->out[0])};
    kiln_spec spec;
    bool way = n->outputs == 1 && n->inputs <= KILN_MAX_BINDINGS && widen(f, n->out[0], &c, &spec) &&
               !kiln_graph_create(&probe, NULL);
    for (int i = 0; i < n->inputs && way; i++) {
        stacked[i] = n->in[i].id && f->b->varies[n->in[i].id];
        way = !n->in[i].id || widen(f, n->in[i], &c, &spec);
        in[i] = n->in[i].id && way ? kiln_undefined(probe, &spec) : KILN_NONE;
    }
    way = way && fn(probe, n, &c).id && !probe->status;
    kiln_graph_destroy(&probe);
    return way;
}

/* Finding ---------------------------------------------------------------------------------------------------- */

struct finding {
    struct kiln_fission *f;
    const kiln_graph *g;
    int *index;  /* by value id: its node */
    bool *apart; /* by node: in a region, or one end of one */
    bool *worth; /* by node */
    bool *step;  /* by value id: a step needs it */
};

static const kiln_node *node_at(const struct finding *w, int i)
{
    return w->g->node.data[i];
}

static bool varies(const struct finding *w, kiln_tensor t)
{
    return t.id && w->f->b->varies[t.id];
}

static bool is_part(const struct finding *w, kiln_tensor t, enum kiln_part part)
{
    return node_at(w, w->index[t.id])->op != &kiln_op_input && w->f->part[w->index[t.id]] == part;
}

/* A step whose values are larger fills a device by itself, while those of all steps would fill its memory. */
enum { MOST_BYTES = 32 << 20 };

static bool is_small(const struct finding *w, const kiln_node *n)
{
    const kiln_spec spec = kiln_tensor_spec(w->g, n->out[0]);
    const double bytes = (double)kiln_shape_count(&spec.shape) * (double)kiln_type_size(spec.type);
    return w->f->put_out[n->out[0].id] || (double)w->f->steps * bytes <= MOST_BYTES;
}

/* A node whose work could be done elsewhere. */
static bool is_free(const struct finding *w, int i)
{
    const kiln_node *n = node_at(w, i);
    return n->op != &kiln_op_input && varies(w, n->out[0]) && !w->apart[i] && w->f->part[i] == KILN_PART_STEP;
}

static bool is_slice(const struct finding *w, kiln_tensor t)
{
    for (int i = 0; i < w->f->each; i++)
        if (w->f->b->in[i].id == t.id)
            return true;
    return false;
}

/* What depends on slices alone, if that includes more than elementwise work: with what leads there and what follows. */
static void find_before(struct finding *w)
{
    unsigned char *part = w->f->part;
    for (int i = 0; i < w->g->node.count; i++) {
        const kiln_node *n = node_at(w, i);
        bool ready = is_free(w, i);
        w->worth[i] = n->op->cases;
        for (int k = 0; k < n->inputs && ready; k++) {
            const bool made = varies(w, n->in[k]) && is_part(w, n->in[k], KILN_PART_BEFORE);
            ready = !varies(w, n->in[k]) || made || is_slice(w, n->in[k]);
            w->worth[i] |= made && w->worth[w->index[n->in[k].id]];
        }
        if (ready && is_small(w, n) && can(w->f, n, all_cases))
            part[i] = KILN_PART_BEFORE;
    }
    for (int i = w->g->node.count - 1; i >= 0; i--) {
        const kiln_node *n = node_at(w, i);
        if (part[i] != KILN_PART_BEFORE)
            continue;
        if (!w->worth[i])
            part[i] = KILN_PART_STEP;
        for (int k = 0; k < n->inputs && w->worth[i]; k++)
            if (varies(w, n->in[k]))
                w->worth[w->index[n->in[k].id]] = true;
    }
}

/* Whether `t` is the carry, once, plus what can be summed. Marks the nodes, in `mark`, while it looks. */
static bool is_sum(const struct finding *w, kiln_tensor t, kiln_tensor carry, bool root, int *found,
                   unsigned char *mark)
{
    const int i = w->index[t.id];
    const kiln_node *n = node_at(w, i);
    if (t.id == carry.id) {
        ++*found;
        return true;
    }
    if (!varies(w, t) || w->apart[i] || n->op == &kiln_op_input || w->f->uses[t.id] != !root ||
        (w->f->put_out[t.id] && !root))
        return false;
    const kiln_shape y = kiln_tensor_shape(w->g, t);
    bool sum = n->op == &kiln_op_add;
    for (int k = 0; k < n->inputs && sum; k++) {
        const kiln_shape x = kiln_tensor_shape(w->g, n->in[k]);
        sum = kiln_shape_equal(&x, &y);
    }
    mark[i] = sum ? KILN_PART_SUM : KILN_PART_SUMMAND;
    if (!sum)
        return !root && can(w->f, n, sum_of_cases);
    return is_sum(w, n->in[0], carry, false, found, mark) && is_sum(w, n->in[1], carry, false, found, mark);
}

static void find_sums(struct finding *w)
{
    struct kiln_fission *f = w->f;
    unsigned char *mark = malloc((size_t)w->g->node.count + 1);
    for (int c = 0; c < f->carry && mark; c++) {
        const kiln_tensor carry = f->b->in[f->each + c], next = f->b->out[f->stacked + c];
        int found = 0, outs = 0;
        for (int i = 0; i < f->b->outputs; i++)
            outs += f->b->out[i].id == next.id;
        if (!carry.id || !next.id || outs != 1 || f->saved[c] || f->uses[carry.id] != 1 ||
            f->put_out[carry.id] || !kiln_type_is_real(kiln_tensor_type(w->g, carry)))
            continue;
        memcpy(mark, f->part, (size_t)w->g->node.count);
        f->summed[c] = is_sum(w, next, carry, true, &found, mark) && found == 1;
        if (f->summed[c])
            memcpy(f->part, mark, (size_t)w->g->node.count);
    }
    free(mark);
}

/* Work that is no more behind the steps than in them: moves, and what has one input that the steps compute anyway. */
static bool is_light(const struct finding *w, const kiln_node *n)
{
    kiln_tensor x = KILN_NONE;
    int inputs = 0;
    for (int k = 0; k < n->inputs; k++)
        if (varies(w, n->in[k])) {
            x = n->in[k];
            inputs++;
        }
    const bool anyway = inputs == 1 && (w->f->uses[x.id] > 1 || w->f->put_out[x.id]);
    return anyway || n->op->flags & KILN_OP_ALIAS || n->op == &kiln_op_concat;
}

static void need_inputs(const struct finding *w, const kiln_node *n)
{
    for (int k = 0; k < n->inputs; k++)
        w->step[n->in[k].id] = true;
}

/* What no step needs, if that includes more than elementwise work: with what follows, and what is light. */
static void find_behind(struct finding *w)
{
    unsigned char *part = w->f->part;
    const struct kiln_body *b = w->f->b;
    for (int c = 0; c < w->f->carry; c++)
        if (!w->f->summed[c])
            w->step[b->out[w->f->stacked + c].id] = true;
    for (int i = w->g->node.count - 1; i >= 0; i--) {
        const kiln_node *n = node_at(w, i);
        if (is_free(w, i) && !w->step[n->out[0].id] && is_small(w, n) && can(w->f, n, all_cases))
            part[i] = KILN_PART_BEHIND;
        else if (part[i] == KILN_PART_STEP)
            need_inputs(w, n);
    }
    for (int i = 0; i < w->g->node.count; i++) {
        const kiln_node *n = node_at(w, i);
        w->worth[i] = n->op->cases && part[i] == KILN_PART_BEHIND;
        for (int k = 0; k < n->inputs && part[i] == KILN_PART_BEHIND; k++)
            w->worth[i] |= varies(w, n->in[k]) && w->worth[w->index[n->in[k].id]];
    }
    for (int i = w->g->node.count - 1; i >= 0; i--) {
        const kiln_node *n = node_at(w, i);
        if (part[i] != KILN_PART_BEHIND || w->worth[i] || (is_light(w, n) && !w->step[n->out[0].id]))
            continue;
        part[i] = KILN_PART_STEP;
        need_inputs(w, n);
    }
}

/* What is known of the body before anything is found. */
static void describe(struct finding *w, const int *region)
{
    const struct kiln_body *b = w->f->b;
    for (int i = 0; i < w->g->node.count; i++) {
        const kiln_node *n = node_at(w, i);
        w->apart[i] = region[i] >= 0 || n->op == &kiln_op_repeat || n->op == &kiln_op_until;
        for (int k = 0; k < n->outputs; k++)
            w->index[n->out[k].id] = i;
        for (int k = 0; k < n->inputs; k++)
            w->f->uses[n->in[k].id]++;
    }
    for (int i = 0; i < b->outputs; i++)
        w->f->put_out[b->out[i].id] = true;
}

kiln_status kiln_fission_find(struct kiln_fission *f)
{
    struct finding w = {.f = f, .g = f->b->graph};
    const size_t values = (size_t)w.g->value.count + 1, nodes = (size_t)w.g->node.count + 1;
    int *region = kiln_regions(w.g);
    f->part = calloc(nodes, 1);
    f->summed = calloc((size_t)f->carry + 1, sizeof *f->summed);
    f->uses = calloc(values, sizeof *f->uses);
    f->put_out = calloc(values, sizeof *f->put_out);
    w.index = calloc(values, sizeof *w.index);
    w.apart = calloc(nodes, sizeof *w.apart);
    w.worth = calloc(nodes, sizeof *w.worth);
    w.step = calloc(values, sizeof *w.step);
    const bool whole =
        f->part && f->summed && f->uses && f->put_out && w.index && w.apart && w.worth && w.step && region;
    if (whole && f->steps > 1) {
        describe(&w, region);
        find_sums(&w);
        find_before(&w);
        find_behind(&w);
    }
    free(region);
    free(w.index);
    free(w.apart);
    free(w.worth);
    free(w.step);
    return whole ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

void kiln_fission_finish(struct kiln_fission *f)
{
    free(f->part);
    free(f->summed);
    free(f->uses);
    free(f->put_out);
}
