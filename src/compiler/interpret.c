/*
 * interpret.c - the references as an executor: a plan of one node, every object a piece of host memory.
 *
 * It needs no device, so the compiler folds constants with it whatever the program is for.
 */
#include "compiler/interpret.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/convert.h"

static void *at(void *const *memory, const struct kiln_touch *t)
{
    return t->object < 0 ? NULL : (char *)memory[t->object] + t->offset;
}

static kiln_status run_dispatch(const struct kiln_step *s, void *const *memory)
{
    const kiln_kernel *kernel = s->dispatch->kernel;
    kiln_memory m = {{0}};
    if (!kernel->reference_f64)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "kernel %s has no float64 reference", kernel->name);
    for (int i = 0; i < s->touches; i++) {
        m.at[i] = at(memory, &s->touch[i]);
        m.bytes[i] = s->touch[i].object < 0 ? 0 : (size_t)s->touch[i].bytes;
    }
    kernel->reference_f64(&s->dispatch->block, s->dispatch->constants, &m, 0,
                          (size_t)kernel->units(s->dispatch));
    return KILN_OK;
}

static kiln_status run_step(const struct kiln_step *s, void *const *memory)
{
    if (s->kind == KILN_COMMAND_DISPATCH)
        return run_dispatch(s, memory);
    if (s->kind == KILN_COMMAND_COPY) {
        memmove(at(memory, &s->touch[1]), at(memory, &s->touch[0]), (size_t)s->touch[0].bytes);
        return KILN_OK;
    }
    unsigned char *to = at(memory, &s->touch[0]);
    for (uint64_t i = 0; i + 4 <= s->touch[0].bytes; i += 4)
        memcpy(to + i, &s->fill, 4);
    return KILN_OK;
}

static kiln_status run_plan(const struct kiln_plan *plan, kiln_array *y)
{
    kiln_status status = KILN_OK;
    void **memory = calloc((size_t)plan->object.count + 1, sizeof *memory);
    for (int i = 0; memory && i < plan->object.count && !status; i++)
        if (!(memory[i] = calloc(1, (size_t)plan->object.data[i].bytes + 64)))
            status = KILN_ERROR_MEMORY;
    if (!memory || status)
        status = kiln_fail(KILN_ERROR_MEMORY, "folding: out of memory");
    for (int i = 0; i < plan->constant.count && !status; i++)
        memcpy(memory[plan->constant.data[i].object], plan->constant.data[i].data,
               (size_t)plan->constant.data[i].bytes);
    for (int i = 0; i < plan->step.count && !status; i++)
        status = run_step(&plan->step.data[i], memory);
    const struct kiln_place *place = &plan->place.data[plan->result[0].id - 1];
    if (!status)
        kiln_convert(y->data, y->type, (char *)memory[place->object] + place->offset,
                     kiln_storage_type(kiln_tensor_type(plan->graph, plan->result[0]), plan->storage),
                     (size_t)kiln_shape_count(&y->shape));
    for (int i = 0; memory && i < plan->object.count; i++)
        free(memory[i]);
    free(memory);
    return status;
}

/* A graph of constants and the one node. */
static kiln_status one_node(const kiln_graph *from, const kiln_node *n, const kiln_array *in,
                            const kiln_array *y, kiln_graph **out, kiln_tensor *result)
{
    kiln_graph *g = NULL;
    kiln_tensor values[KILN_MAX_BINDINGS];
    kiln_status status = kiln_graph_create(&g, NULL);
    if (status)
        return status;
    *out = g;
    for (int i = 0; i < n->inputs; i++) {
        const kiln_spec spec = {kiln_tensor_type(from, n->in[i]), in[i].shape};
        values[i] = kiln_graph_constant(g, spec, in[i].type, in[i].data, in[i].bytes);
    }
    const kiln_spec spec = {kiln_tensor_type(from, n->out[0]), y->shape};
    const kiln_node *copy =
        g->status ? NULL
                  : kiln_graph_add(g, n->op, values, n->inputs, n->params, n->params_size, &spec, 1, n->name);
    *result = copy ? copy->out[0] : KILN_NONE;
    return g->status;
}

kiln_status kiln_interpret_node(const kiln_graph *g, const kiln_node *n, const kiln_array *in, kiln_array *y)
{
    kiln_tensor result = KILN_NONE;
    struct kiln_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return kiln_fail(KILN_ERROR_MEMORY, "folding: out of memory");
    plan->storage = KILN_STORAGE_DOUBLE;
    kiln_status status = one_node(g, n, in, y, &plan->graph, &result);
    plan->result = kiln_arena_copy(&plan->arena, &result, sizeof result);
    plan->results = 1;
    if (!status && !plan->result)
        status = KILN_ERROR_MEMORY;
    if (!status)
        status = kiln_lower(plan);
    if (!status)
        status = run_plan(plan, y);
    kiln_plan_destroy(&plan);
    return status;
}
