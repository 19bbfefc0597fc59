/*
 * forms.c - a bound on what a plan that predicts keeps of weights in second forms: as much as the weights take themselves, and at the
 * least what is little on such a device.
 *
 * Lowerings pack or transform weights, and the prologue keeps what they make. Packed ones take as much as the plain, transformed ones
 * four times that. Where all forms together are beyond the bound, those larger than what they are made of give way to the node's next
 * lowering whose form takes less, a node at a time: that first whose weights are used least often in a run, since what a form saves
 * grows with that. A tuner's choices give way too; its trials do not, nor does a program without room for forms have any.
 *
 * On Vulkan devices what gives way is read as it lies, by columns of what it meets or by tiles, which takes longer: twice as long for 512
 * filters at 7 x 7 on lavapipe. A process takes more there before it has any program, so more is little.
 */
#include <stdlib.h>

#include "base/log.h"
#include "compiler/choose.h"
#include "compiler/objects.h"
#include "device/caps.h"

#define LITTLE        (16u << 20)  /* bytes: no program is large by so much */
#define DRIVER_LITTLE (112u << 20) /* likewise, beside a Vulkan driver and what it makes of shaders */

struct form {
    const kiln_node *node;
    const kiln_lowering *way;
    kiln_form now;
    uint64_t plain; /* bytes of what it is made of */
};

struct forms {
    struct kiln_plan *plan;
    bool *settled; /* by value id */
    bool *kept;    /* by value id: counted as it is */
    KILN_VEC(struct form) form;
    uint64_t total, bound;
};

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

static uint64_t bytes_of(const struct kiln_plan *plan, kiln_tensor t)
{
    const kiln_spec spec = kiln_tensor_spec(plan->graph, t);
    return kiln_storage_bytes(&spec, plan->storage);
}

/* Where a lowering reads weights as they lie, they are no form, but what other nodes made of them is. */
static kiln_form form_of(const struct kiln_plan *plan, const kiln_lowering *l, const kiln_node *n)
{
    const bool made = kiln_graph_node(plan->graph, n->in[1])->inputs > 0;
    return l->form ? l->form(plan, n) : (kiln_form){made ? bytes_of(plan, n->in[1]) : 0, 0};
}

static void note_settled(struct forms *f, const bool *by_node)
{
    const kiln_graph *g = f->plan->graph;
    for (int i = 0; i < g->node.count; i++)
        for (int k = 0; k < g->node.data[i]->outputs; k++)
            f->settled[g->node.data[i]->out[k].id] = by_node[i];
}

/* What a node of the body reads of weights: a form of its second input, or what other nodes made of them. */
static kiln_status add_node(struct forms *f, const kiln_node *n)
{
    const kiln_lowering *way = NULL;
    if (n->op->lowering_count && n->inputs > 1 && f->settled[n->in[1].id])
        way = kiln_choose_lowering(f->plan, n);
    const bool formed = way && way->form;
    for (int k = 0; k < n->inputs; k++) {
        const kiln_node *from = f->settled[n->in[k].id] ? kiln_graph_node(f->plan->graph, n->in[k]) : NULL;
        if (!from || !from->inputs || f->kept[n->in[k].id] || (k == 1 && formed))
            continue;
        f->kept[n->in[k].id] = true;
        f->total += bytes_of(f->plan, n->in[k]);
    }
    if (!formed)
        return KILN_OK;
    const struct form one = {n, way, form_of(f->plan, way, n), bytes_of(f->plan, n->in[1])};
    f->total += one.now.bytes;
    if (kiln_is_joined(f->plan, n)) /* its reader has such a form of its weights */
        return KILN_OK;
    return kiln_vec_push(&f->form, one) ? KILN_OK : out_of_memory();
}

static kiln_status add_nodes(struct forms *f, const bool *by_node)
{
    const kiln_graph *g = f->plan->graph;
    kiln_status status = KILN_OK;
    for (int i = 0; i < g->node.count && !status; i++) {
        const kiln_node *n = g->node.data[i];
        if (n->op == &kiln_op_parameter)
            f->bound += bytes_of(f->plan, n->out[0]);
        if (!by_node[i])
            status = add_node(f, n);
    }
    return status;
}

/* The node's next lowering that pays and whose form takes less; NULL: none. */
static const kiln_lowering *less_than(const struct forms *f, const struct form *one)
{
    const kiln_op *op = one->node->op;
    for (const kiln_lowering *l = one->way + 1; l < op->lowerings + op->lowering_count; l++)
        if (kiln_lowering_accepts(f->plan, l, one->node) && (!l->pays || l->pays(f->plan, one->node)) &&
            form_of(f->plan, l, one->node).bytes < one->now.bytes)
            return l;
    return NULL;
}

/* What giving way would free; 0 where it cannot. */
static uint64_t freed_by(const struct forms *f, const struct form *one)
{
    const kiln_lowering *less = one->now.bytes > one->plain ? less_than(f, one) : NULL;
    return less ? one->now.bytes - form_of(f->plan, less, one->node).bytes : 0;
}

/* The form that is used least of those that can give way, of equals the one that frees most; NULL: none can. */
static struct form *least_used(const struct forms *f)
{
    struct form *least = NULL;
    uint64_t most = 0;
    for (int i = 0; i < f->form.count; i++) {
        struct form *one = &f->form.data[i];
        const uint64_t freed = freed_by(f, one);
        if (freed > 0 && (!least || one->now.uses < least->now.uses ||
                          (one->now.uses == least->now.uses && freed > most))) {
            least = one;
            most = freed;
        }
    }
    return least;
}

static void give_way(struct forms *f)
{
    for (struct form *one; f->total > f->bound && (one = least_used(f));) {
        one->way = less_than(f, one);
        f->total -= one->now.bytes;
        one->now = form_of(f->plan, one->way, one->node);
        f->total += one->now.bytes;
        f->plan->instead[one->node->out[0].id - 1] = one->way;
    }
}

static kiln_status bound(struct forms *f, const bool *by_node)
{
    struct kiln_plan *plan = f->plan;
    const size_t values = (size_t)plan->graph->value.count;
    plan->instead = kiln_arena_alloc(&plan->arena, (values + 1) * sizeof *plan->instead);
    f->settled = kiln_arena_alloc(&plan->arena, values + 1);
    f->kept = kiln_arena_alloc(&plan->arena, values + 1);
    if (!by_node || !plan->instead || !f->settled || !f->kept)
        return out_of_memory();
    note_settled(f, by_node);
    const kiln_status status = add_nodes(f, by_node);
    if (status)
        return status;
    const uint64_t little = kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU ? LITTLE : DRIVER_LITTLE;
    plan->instead_count = (int)values;
    f->bound = f->bound > little ? f->bound : little;
    give_way(f);
    return KILN_OK;
}

kiln_status kiln_bound_forms(struct kiln_plan *plan)
{
    struct forms f = {.plan = plan};
    if (plan->train || plan->trial)
        return KILN_OK;
    bool *by_node = kiln_settled(plan->graph);
    const kiln_status status = bound(&f, by_node);
    kiln_vec_finish(&f.form);
    free(by_node);
    return status;
}
