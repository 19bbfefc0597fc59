/*
 * join.c - which nodes are computed by their reader, where a lowering joins both (kiln_lowering.joins).
 *
 * A node is then computed later than it stands. So nothing but its reader may want it, and nothing between the two may change what it
 * reads: no effect, no end of a region, and no node that has to do with the same memory, which it might be placed over.
 */
#include <string.h>

#include "base/log.h"
#include "compiler/choose.h"
#include "compiler/objects.h"
#include "compiler/region.h"
#include "ops/lower.h"

enum { NOBODY = -1, SEVERAL = -2 };

kiln_status kiln_find_readers(struct kiln_plan *plan)
{
    const kiln_graph *g = plan->graph;
    plan->readers = g->value.count + 1;
    plan->reader = kiln_arena_alloc(&plan->arena, (size_t)plan->readers * sizeof *plan->reader);
    if (!plan->reader)
        return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    for (int id = 0; id < plan->readers; id++)
        plan->reader[id] = NOBODY;
    for (int i = 0; i < g->node.count; i++)
        for (int k = 0; k < g->node.data[i]->inputs; k++) {
            int *reader = &plan->reader[g->node.data[i]->in[k].id];
            *reader = *reader == NOBODY ? i : SEVERAL;
        }
    for (int i = 0; i < plan->results; i++)
        plan->reader[plan->result[i].id] = SEVERAL;
    return KILN_OK;
}

/* Where the only reader of t stands; negative: there is none. */
static int reader_of(const struct kiln_plan *plan, kiln_tensor t)
{
    return t.id && (int)t.id < plan->readers ? plan->reader[t.id] : NOBODY;
}

/* Whether a value lies in memory that n reads, as far as anything can be placed over it. */
static bool touches(const struct kiln_plan *plan, kiln_tensor t, const kiln_node *n)
{
    const int object = t.id ? kiln_place_of(plan, t)->object : -1;
    if (object < 0 || plan->object.data[object].kind == KILN_OBJECT_ARENA ||
        plan->object.data[object].kind == KILN_OBJECT_CONSTANT)
        return false;
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i].id && kiln_place_of(plan, n->in[i])->object == object)
            return true;
    return false;
}

/* Whether n may be computed behind `other`, which stands behind it. */
static bool may_pass(const struct kiln_plan *plan, const kiln_node *n, const kiln_node *other)
{
    bool may = !(other->op->flags & (KILN_OP_EFFECT | KILN_OP_LATE)) && other->op != &kiln_op_repeat &&
               other->op != &kiln_op_until;
    for (int i = 0; i < other->inputs && may; i++)
        may = !touches(plan, other->in[i], n);
    for (int i = 0; i < other->outputs && may; i++)
        may = !touches(plan, other->out[i], n);
    return may;
}

const kiln_node *kiln_plan_joined(const kiln_plan *plan, const kiln_node *n)
{
    const int at = reader_of(plan, n->in[0]);
    if (at < 0 || plan->graph->node.data[at] != n || n->outputs != 1)
        return NULL;
    const kiln_node *first = kiln_graph_node(plan->graph, n->in[0]);
    if (first->outputs != 1 || touches(plan, n->out[0], first))
        return NULL;
    for (int i = at - 1; i >= 0; i--) {
        const kiln_node *between = plan->graph->node.data[i];
        if (between == first)
            return first;
        if (!may_pass(plan, first, between))
            return NULL;
    }
    return NULL;
}

bool kiln_is_joined(struct kiln_plan *plan, const kiln_node *n)
{
    const int at = n->outputs == 1 ? reader_of(plan, n->out[0]) : NOBODY;
    const kiln_node *reader = at >= 0 ? plan->graph->node.data[at] : NULL;
    return reader && reader->op->lowering_count && reader->op->lowerings[0].joins &&
           reader->in[0].id == n->out[0].id && kiln_plan_joined(plan, reader) == n &&
           kiln_joining_lowering(plan, reader);
}
