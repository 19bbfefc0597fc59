/*
 * lower.c - nodes become steps: leaves get their places, and each other node's lowering adds what computes it (steps.c).
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/number.h"
#include "compiler/choose.h"
#include "compiler/objects.h"
#include "compiler/region.h"

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

/* Where values lie ------------------------------------------------------------------------------------ */

/* Numbers of float64 that no float reaches, as masks are, stay numbers. */
static void keep_finite(float *to, const double *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = kiln_float_near(from[i]);
}

static kiln_status place_constant(struct kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_constant_params *p = n->params;
    const size_t count = (size_t)kiln_shape_count(&p->spec.shape);
    const kiln_type type = kiln_storage_type(p->spec.type, plan->storage);
    const uint64_t bytes = kiln_storage_bytes(&p->spec, plan->storage);
    void *data = calloc(1, (size_t)bytes + 1);
    if (!data)
        return out_of_memory();
    kiln_convert(data, type, kiln_constant_data(p), p->stored, count);
    if (p->spec.type == KILN_F64 && p->stored == KILN_F64 && type == KILN_F32)
        keep_finite(data, kiln_constant_data(p), count);
    const int object = kiln_add_constant(plan, data, bytes);
    free(data);
    *kiln_place_of(plan, n->out[0]) = (struct kiln_place){.object = object};
    return object < 0 ? out_of_memory() : KILN_OK;
}

static kiln_status place_input(struct kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_value *v = kiln_graph_value(plan->graph, n->out[0]);
    int index = 0;
    while (index < plan->graph->input.count && plan->graph->input.data[index].id != n->out[0].id)
        index++;
    const struct kiln_object object = {.kind = KILN_OBJECT_INPUT,
                                       .index = index,
                                       .bytes = kiln_storage_bytes(&v->spec, plan->storage),
                                       .offset = plan->input_bytes};
    plan->input_bytes += kiln_aligned(object.bytes);
    *kiln_place_of(plan, n->out[0]) = (struct kiln_place){.object = kiln_find_object(plan, object)};
    return KILN_OK;
}

static kiln_status place_parameter(struct kiln_plan *plan, const kiln_node *n)
{
    int chunk, arena;
    uint64_t element;
    const struct kiln_places *at = plan->places;
    kiln_status status = kiln_plan_parameter(plan, n->out[0], &chunk, &element);
    if (!status)
        status = at->arena(at->user, "parameter", &arena);
    if (status)
        return status;
    const size_t size = kiln_storage_size(KILN_F32, plan->storage);
    const struct kiln_object object = {.kind = KILN_OBJECT_ARENA,
                                       .index = arena,
                                       .chunk = chunk,
                                       .bytes = at->chunk_elements(at->user, chunk) * size};
    *kiln_place_of(plan, n->out[0]) = (struct kiln_place){kiln_find_object(plan, object), element * size};
    return KILN_OK;
}

kiln_status kiln_place_state(struct kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_leaf_params *p = n->params;
    int chunk;
    uint64_t byte;
    const kiln_status status =
        plan->places->state(plan->places->user, p->store, kiln_tensor_name(plan->graph, n->out[0]), &p->spec,
                            &chunk, &byte);
    if (status)
        return status;
    const struct kiln_object object = {.kind = p->store == KILN_STORE_SESSION ? KILN_OBJECT_SESSION
                                                                              : KILN_OBJECT_STATES,
                                       .index = chunk,
                                       .bytes = UINT64_MAX};
    *kiln_place_of(plan, n->out[0]) = (struct kiln_place){kiln_find_object(plan, object), byte};
    return KILN_OK;
}

static kiln_status place_outputs(struct kiln_plan *plan, const kiln_node *n)
{
    for (int i = 0; i < n->outputs; i++) {
        struct kiln_place *place = kiln_place_of(plan, n->out[i]);
        const struct kiln_value *v = kiln_graph_value(plan->graph, n->out[i]);
        if (place->object >= 0)
            continue; /* placed in its consumer's output */
        if (kiln_shape_count(&v->spec.shape) < 0)
            return kiln_fail(KILN_ERROR_MEMORY, "program: %s has more elements than 64 bits count",
                             n->op->name);
        place->object = kiln_add_scratch(plan, &v->spec);
        if (place->object < 0)
            return out_of_memory();
    }
    return KILN_OK;
}

/* Effects have no memory; an assignment is a copy at the end of the list. */
static kiln_status lower_assign(struct kiln_plan *plan, const kiln_node *n)
{
    if (kiln_plan_in_place(plan, n->in[0], n->in[1]))
        return KILN_OK;
    return kiln_plan_copy(plan, (kiln_binding){.value = n->in[1]}, (kiln_binding){.value = n->in[0]});
}

static kiln_status lower_node(struct kiln_plan *plan, const kiln_node *n)
{
    const kiln_lowering *l = kiln_choose_lowering(plan, n);
    if (l) {
        plan->running_lowering = (int)(l - n->op->lowerings);
        return l->lower(plan, n);
    }
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s \"%s\": no lowering accepts it", n->op->name,
                     n->name ? n->name : "");
}

/* Let the output lie in its input, where that may be bound so far into it. */
static bool view_input(struct kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_caps *caps = kiln_plan_caps(plan);
    const struct kiln_place *in = kiln_place_of(plan, n->in[0]);
    struct kiln_place *out = kiln_place_of(plan, n->out[0]);
    const uint64_t unit = caps->backend == KILN_BACKEND_CPU ? sizeof(double) : caps->alignment;
    uint64_t offset;
    if (out->object >= 0 || !n->op->view(plan, n, &offset) || (in->offset + offset) % unit)
        return false;
    *out = (struct kiln_place){in->object, in->offset + offset};
    return true;
}

static bool is_empty(const struct kiln_plan *plan, const kiln_node *n)
{
    for (int i = 0; i < n->outputs; i++) {
        const kiln_spec spec = kiln_plan_spec(plan, n->out[i]);
        if (kiln_shape_count(&spec.shape))
            return false;
    }
    return n->outputs > 0;
}

static kiln_status lower_any(struct kiln_plan *plan, const kiln_node *n)
{
    if (n->op == &kiln_op_constant)
        return place_constant(plan, n);
    if (n->op == &kiln_op_input)
        return place_input(plan, n);
    if (n->op == &kiln_op_parameter)
        return place_parameter(plan, n);
    if (n->op == &kiln_op_state)
        return kiln_place_state(plan, n);
    if (n->op == &kiln_op_assign)
        return lower_assign(plan, n);
    if (n->op == &kiln_op_group)
        return KILN_OK;
    if (n->op->flags & KILN_OP_ALIAS) {
        *kiln_place_of(plan, n->out[0]) = *kiln_place_of(plan, n->in[0]);
        return KILN_OK;
    }
    if (n->op == &kiln_op_repeat)
        return kiln_lower_repeat(plan, n);
    if (n->op == &kiln_op_until)
        return kiln_lower_until(plan, n);
    if (n->op == &kiln_op_undefined)
        return place_outputs(plan, n);
    if (n->op->view && view_input(plan, n))
        return KILN_OK;
    const bool effect = n->op->flags & KILN_OP_EFFECT;
    kiln_status status = effect ? KILN_OK : place_outputs(plan, n);
    if (!status && (effect || !is_empty(plan, n)))
        status = lower_node(plan, n);
    return status;
}

/* All nodes ------------------------------------------------------------------------------------------- */

/* Whether a node reads what effects leave behind, or is one. late: by value id, of the values so far. */
static bool comes_late(const kiln_node *n, const bool *late)
{
    bool is = n->op->flags & (KILN_OP_EFFECT | KILN_OP_LATE);
    for (int i = 0; i < n->inputs; i++)
        is |= late[n->in[i].id];
    return is;
}

/* Effects come last, in the order of the run list, so that all else sees the weights as they were, and among them what is late. */
static kiln_status put_effects_last(kiln_graph *g)
{
    const size_t count = (size_t)g->node.count + 1;
    bool *late = calloc((size_t)g->value.count + 1, sizeof *late);
    kiln_node **behind = malloc(count * sizeof(kiln_node *));
    int *region = kiln_regions(g), kept = 0, moved = 0;
    kiln_status status = late && behind && region ? KILN_OK : out_of_memory();
    for (int i = 0; i < g->node.count && !status; i++) {
        kiln_node *n = g->node.data[i];
        const bool is = comes_late(n, late);
        for (int k = 0; k < n->outputs; k++)
            late[n->out[k].id] = is;
        if (is && region[i] >= 0)
            status = kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: a loop cannot read what effects leave behind",
                               n->op->name);
        if (is)
            behind[moved++] = n;
        else
            g->node.data[kept++] = n;
    }
    for (int i = 0; i < moved && !status; i++)
        g->node.data[kept + i] = behind[i];
    free(late);
    free(behind);
    free(region);
    return status;
}

/* Of so many elements nothing overflows that is made of a value's sizes, bytes or a sum of some. */
static kiln_status check_counts(const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->graph->node.count; i++) {
        const kiln_node *n = plan->graph->node.data[i];
        for (int k = 0; k < n->outputs; k++) {
            const kiln_spec spec = kiln_plan_spec(plan, n->out[k]);
            const int64_t count = kiln_shape_count(&spec.shape);
            char text[96];
            if (count < 0 || count > INT64_MAX / 64)
                return kiln_fail(KILN_ERROR_MEMORY, "program: %s has more elements than can be counted: %s",
                                 n->op->name,
                                 kiln_graph_shape_text(plan->graph, &spec.shape, text, sizeof text));
        }
    }
    return KILN_OK;
}

kiln_status kiln_lower(struct kiln_plan *plan)
{
    if (!kiln_grow_places(plan))
        return out_of_memory();
    const int nodes = plan->graph->node.count; /* lowering appends temporaries behind them */
    kiln_status status = check_counts(plan);
    if (!status)
        status = put_effects_last(plan->graph);
    if (!status)
        status = kiln_place_values(plan);
    if (!status)
        status = kiln_find_readers(plan);
    if (!status)
        status = kiln_bound_forms(plan);
    for (int i = 0; i < nodes && !status; i++) {
        plan->lowering = plan->graph->node.data[i];
        if (!kiln_is_joined(plan, plan->lowering))
            status = lower_any(plan, plan->lowering);
    }
    for (int i = 0; i < plan->results && !status; i++) {
        const int object = kiln_place_of(plan, plan->result[i])->object;
        if (object >= 0)
            plan->object.data[object].result = true;
    }
    return status ? status : plan->graph->status;
}
