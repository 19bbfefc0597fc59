/* choose.c - see choose.h. */
#include "compiler/choose.h"

#include <string.h>

#include "base/hash.h"

static uint64_t add_value(uint64_t class, const struct kiln_plan *plan, kiln_tensor t)
{
    if (!t.id)
        return kiln_class_add(class, UINT64_MAX);
    const kiln_spec spec = kiln_plan_spec(plan, t);
    const uint32_t what[3] = {spec.type, (uint32_t)kiln_plan_element(plan, t), (uint32_t)spec.shape.rank};
    class = kiln_hash(class, what, sizeof what);
    for (int i = 0; i < spec.shape.rank; i++)
        class = kiln_class_add(class, (uint64_t)spec.shape.size[i]);
    return class;
}

uint64_t kiln_node_class(const struct kiln_plan *plan, const kiln_node *n)
{
    const unsigned char how[2] = {plan->train, n->epilogue != NULL};
    uint64_t class = kiln_hash(KILN_HASH_START, how, sizeof how);
    class = kiln_hash(class, n->params, n->params_size);
    for (int i = 0; i < n->inputs; i++)
        class = add_value(class, plan, n->in[i]);
    for (int i = 0; i < n->outputs; i++)
        class = add_value(class, plan, n->out[i]);
    return class;
}

/* Choices under trial come before those that are kept. */
static const char *name_of(const struct kiln_plan *plan, enum kiln_choice_kind kind, const char *of,
                           uint64_t class)
{
    const char *name = kiln_choices_find(plan->trial, kind, of, class);
    return name ? name : kiln_choices_find(plan->choices, kind, of, class);
}

bool kiln_lowering_accepts(struct kiln_plan *plan, const kiln_lowering *l, const kiln_node *n)
{
    return !l->accepts || l->accepts(plan, n);
}

const kiln_lowering *kiln_usual_lowering(struct kiln_plan *plan, const kiln_node *n)
{
    for (int i = 0; i < n->op->lowering_count; i++) {
        const kiln_lowering *l = &n->op->lowerings[i];
        if (kiln_lowering_accepts(plan, l, n) && (!l->pays || l->pays(plan, n)))
            return l;
    }
    return NULL;
}

const kiln_lowering *kiln_joining_lowering(struct kiln_plan *plan, const kiln_node *n)
{
    const kiln_lowering *l = kiln_usual_lowering(plan, n);
    return l && l->joins ? l : NULL;
}

const kiln_lowering *kiln_choose_lowering(struct kiln_plan *plan, const kiln_node *n)
{
    const char *name = NULL;
    const kiln_lowering *joining = kiln_joining_lowering(plan, n);
    if (joining)
        return joining;
    if (n->outputs && (int)n->out[0].id <= plan->instead_count && plan->instead[n->out[0].id - 1])
        return plan->instead[n->out[0].id - 1];
    if (n->op->lowering_count > 1 && (plan->trial || plan->choices))
        name = name_of(plan, KILN_CHOICE_LOWERING, n->op->name, kiln_node_class(plan, n));
    for (int i = 0; i < n->op->lowering_count && name; i++)
        if (!strcmp(n->op->lowerings[i].name, name) && !n->op->lowerings[i].joins &&
            kiln_lowering_accepts(plan, &n->op->lowerings[i], n))
            return &n->op->lowerings[i];
    return kiln_usual_lowering(plan, n);
}

const kiln_variant *kiln_choose_variant(const struct kiln_plan *plan, const kiln_dispatch *d)
{
    const kiln_variant *v = NULL;
    if (plan->trial || plan->choices)
        v = kiln_variant_named(plan->dev, d,
                               name_of(plan, KILN_CHOICE_VARIANT, d->kernel->name, kiln_dispatch_class(d)));
    return v ? v : kiln_choose(plan->dev, d);
}
