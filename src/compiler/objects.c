/* objects.c - see objects.h. */
#include "compiler/objects.h"

#include "base/log.h"

int kiln_add_object(struct kiln_plan *plan, struct kiln_object object)
{
    object.first = INT32_MAX;
    object.last = -1;
    if (kiln_vec_push(&plan->object, object))
        return plan->object.count - 1;
    kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    return -1;
}

int kiln_find_object(struct kiln_plan *plan, struct kiln_object object)
{
    for (int i = 0; i < plan->object.count; i++) {
        const struct kiln_object *o = &plan->object.data[i];
        if (o->kind == object.kind && o->index == object.index && o->chunk == object.chunk)
            return i;
    }
    return kiln_add_object(plan, object);
}

int kiln_add_scratch(struct kiln_plan *plan, const kiln_spec *spec)
{
    return kiln_add_object(plan, (struct kiln_object){.kind = KILN_OBJECT_SCRATCH,
                                                      .bytes = kiln_storage_bytes(spec, plan->storage)});
}

struct kiln_place *kiln_place_of(const struct kiln_plan *plan, kiln_tensor t)
{
    return &plan->place.data[t.id - 1];
}

bool kiln_grow_places(struct kiln_plan *plan)
{
    const int before = plan->place.count;
    if (!kiln_vec_reserve(&plan->place, plan->graph->value.count))
        return false;
    plan->place.count = plan->graph->value.count;
    for (int i = before; i < plan->place.count; i++)
        plan->place.data[i] = (struct kiln_place){.object = -1};
    return true;
}

kiln_tensor kiln_add_value(struct kiln_plan *plan, kiln_type type, int64_t count, int object, uint64_t offset)
{
    const struct kiln_leaf_params params = {.spec = {type, KILN_SHAPE(count)}};
    const kiln_node *n =
        kiln_graph_add(plan->graph, &kiln_op_input, NULL, 0, &params, sizeof params, &params.spec, 1, NULL);
    if (!n || object < 0 || !kiln_grow_places(plan))
        return KILN_NONE;
    *kiln_place_of(plan, n->out[0]) = (struct kiln_place){object, offset};
    return n->out[0];
}

int kiln_add_constant(struct kiln_plan *plan, const void *data, uint64_t bytes)
{
    const int object = kiln_add_object(plan, (struct kiln_object){.kind = KILN_OBJECT_CONSTANT,
                                                                  .bytes = bytes,
                                                                  .offset = plan->constant_bytes});
    const struct kiln_constant_bytes constant = {object, kiln_arena_copy(&plan->arena, data, (size_t)bytes),
                                                 bytes};
    if (object < 0 || (!constant.data && bytes) || !kiln_vec_push(&plan->constant, constant))
        return -1;
    plan->constant_bytes += kiln_aligned(bytes);
    return object;
}
