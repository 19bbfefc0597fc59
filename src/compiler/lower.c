/*
 * lower.c - nodes become steps: each node's first lowering that accepts adds dispatches, whose variants are
 * chosen and whose operands beyond the device's binding range are cut into windows here. The calls of
 * <kiln/extend.h> that a lowering makes are defined here too.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/plan.h"

/* Objects and places ---------------------------------------------------------------------------------- */

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

static int add_object(struct kiln_plan *plan, struct kiln_object object)
{
    object.first = INT32_MAX;
    object.last = -1;
    if (kiln_vec_push(&plan->object, object))
        return plan->object.count - 1;
    out_of_memory();
    return -1;
}

/* The object of this kind, index and chunk; made if it is new. */
static int find_object(struct kiln_plan *plan, struct kiln_object object)
{
    for (int i = 0; i < plan->object.count; i++) {
        const struct kiln_object *o = &plan->object.data[i];
        if (o->kind == object.kind && o->index == object.index && o->chunk == object.chunk)
            return i;
    }
    return add_object(plan, object);
}

static struct kiln_place *place_of(const struct kiln_plan *plan, kiln_tensor t)
{
    return &plan->place.data[t.id - 1];
}

/* Values appended while lowering (temporaries, tables, arenas) need places too. */
static bool grow_places(struct kiln_plan *plan)
{
    const int before = plan->place.count;
    if (!kiln_vec_reserve(&plan->place, plan->graph->value.count))
        return false;
    plan->place.count = plan->graph->value.count;
    for (int i = before; i < plan->place.count; i++)
        plan->place.data[i] = (struct kiln_place){.object = -1};
    return true;
}

/* A value that has no node of the user's: a temporary, a table, an arena. */
static kiln_tensor add_value(struct kiln_plan *plan, kiln_type type, int64_t count, int object,
                             uint64_t offset)
{
    const struct kiln_leaf_params params = {.spec = {type, KILN_SHAPE(count)}};
    const kiln_node *n =
        kiln_graph_add(plan->graph, &kiln_op_input, NULL, 0, &params, sizeof params, &params.spec, 1, NULL);
    if (!n || object < 0 || !grow_places(plan))
        return KILN_NONE;
    *place_of(plan, n->out[0]) = (struct kiln_place){object, offset};
    return n->out[0];
}

/* What a lowering asks -------------------------------------------------------------------------------- */

kiln_spec kiln_plan_spec(const kiln_plan *plan, kiln_tensor t)
{
    return kiln_tensor_spec(plan->graph, t);
}

size_t kiln_plan_element(const kiln_plan *plan, kiln_tensor t)
{
    return kiln_storage_size(kiln_tensor_type(plan->graph, t), plan->storage);
}

uint32_t kiln_plan_words(const kiln_plan *plan, kiln_tensor t)
{
    return kiln_plan_element(plan, t) == 8 ? 2 : 1;
}

const kiln_caps *kiln_plan_caps(const kiln_plan *plan)
{
    static const struct kiln_caps host = {.backend = KILN_BACKEND_CPU,
                                          .folds_constants = true,
                                          .f64 = true,
                                          .max_binding = UINT64_MAX,
                                          .alignment = 256,
                                          .max_groups = UINT32_MAX,
                                          .max_bindings = KILN_MAX_BINDINGS,
                                          .threads = 1};
    return plan->dev ? &plan->dev->caps : &host;
}

kiln_tensor kiln_plan_temporary(kiln_plan *plan, kiln_type type, int64_t count)
{
    const kiln_spec spec = {type, KILN_SHAPE(count)};
    const struct kiln_object object = {.kind = KILN_OBJECT_SCRATCH,
                                       .bytes = kiln_storage_bytes(&spec, plan->storage)};
    return add_value(plan, type, count, add_object(plan, object), 0);
}

bool kiln_plan_placed(const kiln_plan *plan, const kiln_node *n, int input)
{
    uint64_t offset;
    if (!n->op->place || !n->op->place(plan, n, input, &offset))
        return false;
    const struct kiln_place *in = place_of(plan, n->in[input]), *out = place_of(plan, n->out[0]);
    return in->object == out->object && in->offset == out->offset + offset;
}

bool kiln_plan_used(const kiln_plan *plan, kiln_tensor t)
{
    bool used = false;
    for (int i = 0; i < plan->results && !used; i++)
        used = plan->result[i].id == t.id;
    for (int i = 0; i < plan->graph->node.count && !used; i++) {
        const kiln_node *n = plan->graph->node.data[i];
        for (int k = 0; k < n->inputs && !used; k++)
            used = n->in[k].id == t.id;
    }
    return used;
}

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/* Constants lie one after another in one buffer. */
static int add_constant(struct kiln_plan *plan, const void *data, uint64_t bytes)
{
    const int object = add_object(plan, (struct kiln_object){.kind = KILN_OBJECT_CONSTANT,
                                                             .bytes = bytes,
                                                             .offset = plan->constant_bytes});
    const struct kiln_constant_bytes constant = {object, kiln_arena_copy(&plan->arena, data, (size_t)bytes),
                                                 bytes};
    if (object < 0 || (!constant.data && bytes) || !kiln_vec_push(&plan->constant, constant))
        return -1;
    plan->constant_bytes += aligned(bytes);
    return object;
}

kiln_tensor kiln_plan_table(kiln_plan *plan, const uint32_t *words, int64_t count)
{
    return add_value(plan, KILN_I32, count, add_constant(plan, words, (uint64_t)count * sizeof *words), 0);
}

kiln_tensor kiln_plan_arena(kiln_plan *plan, const char *arena, int chunk)
{
    int index = -1;
    if (!plan->places || plan->places->arena(plan->places->user, arena, &index))
        return KILN_NONE;
    const uint64_t elements = plan->places->chunk_elements(plan->places->user, chunk);
    const struct kiln_object object = {.kind = KILN_OBJECT_ARENA,
                                       .index = index,
                                       .chunk = chunk,
                                       .bytes = elements * kiln_storage_size(KILN_F32, plan->storage)};
    return add_value(plan, KILN_F32, (int64_t)elements, find_object(plan, object), 0);
}

kiln_status kiln_plan_parameter(kiln_plan *plan, kiln_tensor parameter, int *chunk, uint64_t *element)
{
    const kiln_spec spec = kiln_plan_spec(plan, parameter);
    return plan->places->parameter(plan->places->user, kiln_tensor_name(plan->graph, parameter), &spec, chunk,
                                   element);
}

/* Steps ----------------------------------------------------------------------------------------------- */

/* The bytes a binding covers; false where it goes past its value. */
static bool resolve(const struct kiln_plan *plan, const kiln_binding *b, kiln_access access,
                    struct kiln_touch *touch)
{
    *touch = (struct kiln_touch){.object = -1};
    if (!b->value.id)
        return true;
    const struct kiln_place *place = place_of(plan, b->value);
    const kiln_spec spec = kiln_plan_spec(plan, b->value);
    const uint64_t whole = kiln_storage_bytes(&spec, plan->storage);
    const uint64_t bytes = b->bytes ? b->bytes : b->offset <= whole ? whole - b->offset : 0;
    *touch = (struct kiln_touch){place->object, place->offset + b->offset, bytes, access};
    return place->object >= 0 && b->offset <= whole && bytes <= whole - b->offset;
}

static kiln_status misbound(const struct kiln_plan *plan, const char *what)
{
    return kiln_fail(KILN_ERROR_ARGUMENT, "%s \"%s\": %s is bound beyond its value", plan->lowering->op->name,
                     plan->lowering->name ? plan->lowering->name : "", what);
}

static struct kiln_step new_step(const struct kiln_plan *plan, enum kiln_command_kind kind)
{
    return (struct kiln_step){.kind = kind, .node = plan->lowering, .scratch_object = -1};
}

kiln_status kiln_plan_fill(kiln_plan *plan, kiln_binding to, uint32_t word)
{
    struct kiln_step s = new_step(plan, KILN_COMMAND_FILL);
    s.fill = word;
    s.touches = 1;
    if (!resolve(plan, &to, KILN_WRITE, &s.touch[0]))
        return misbound(plan, "a fill");
    return !s.touch[0].bytes || kiln_vec_push(&plan->step, s) ? KILN_OK : out_of_memory();
}

kiln_status kiln_plan_copy(kiln_plan *plan, kiln_binding from, kiln_binding to)
{
    struct kiln_step s = new_step(plan, KILN_COMMAND_COPY);
    s.touches = 2;
    if (!resolve(plan, &from, KILN_READ, &s.touch[0]) || !resolve(plan, &to, KILN_WRITE, &s.touch[1]) ||
        s.touch[0].bytes != s.touch[1].bytes)
        return misbound(plan, "a copy");
    return !s.touch[0].bytes || kiln_vec_push(&plan->step, s) ? KILN_OK : out_of_memory();
}

uint64_t kiln_dispatch_unit(const kiln_dispatch *d)
{
    return d->halves ? 128 : 64;
}

/* Windows: an operand longer than a binding may be is cut along an axis of its contract ---------------- */

/* Bytes beyond what a binding may cover, of all bindings together. */
static uint64_t excess(const struct kiln_plan *plan, const kiln_dispatch *d)
{
    const uint64_t most = kiln_plan_caps(plan)->max_binding;
    uint64_t sum = 0;
    for (int i = 0; i < d->kernel->bindings; i++) {
        struct kiln_touch touch;
        if (resolve(plan, &d->bind[i], d->kernel->access[i], &touch) && touch.object >= 0 &&
            touch.bytes > most)
            sum += touch.bytes - most;
    }
    return sum;
}

static uint64_t excess_of_part(const struct kiln_plan *plan, const kiln_dispatch *d, const kiln_cut *cut,
                               uint64_t count)
{
    kiln_dispatch part = *d;
    cut->take(&part, 0, count);
    return excess(plan, &part);
}

/* The most units along a cut whose bindings all fit; where not even the fewest do, half the extent if that
 * helps at all. 0: it does not. */
static uint64_t window_of(const struct kiln_plan *plan, const kiln_dispatch *d, const kiln_cut *cut,
                          bool *fits)
{
    const uint64_t extent = cut->extent(d), unit = cut->unit ? cut->unit(d) : kiln_dispatch_unit(d);
    const uint64_t half = (extent / 2 + unit - 1) / unit * unit;
    *fits = false;
    if (extent <= unit)
        return 0;
    for (uint64_t count = half; !*fits; count = (count / 2 + unit - 1) / unit * unit) {
        *fits = !excess_of_part(plan, d, cut, count);
        if (*fits || count == unit)
            return *fits ? count : excess_of_part(plan, d, cut, half) < excess(plan, d) ? half : 0;
    }
    return 0;
}

static kiln_status add_dispatch(struct kiln_plan *plan, const kiln_dispatch *d);
static kiln_status cut_dispatch(struct kiln_plan *plan, const kiln_dispatch *d);

static kiln_status add_windows(struct kiln_plan *plan, const kiln_dispatch *d, const kiln_cut *cut,
                               uint64_t window)
{
    const uint64_t extent = cut->extent(d);
    kiln_status status = KILN_OK;
    for (uint64_t first = 0; first < extent && !status; first += window) {
        kiln_dispatch part = *d;
        cut->take(&part, first, extent - first < window ? extent - first : window);
        status = excess(plan, &part) ? cut_dispatch(plan, &part) : add_dispatch(plan, &part);
    }
    return status;
}

/* Along the first axis that suffices by itself, else along the first that helps, and each part again. */
static kiln_status cut_dispatch(struct kiln_plan *plan, const kiln_dispatch *d)
{
    const kiln_cut *helps = NULL;
    uint64_t half = 0;
    for (int i = 0; i < d->kernel->cut_count; i++) {
        bool fits;
        const uint64_t window = window_of(plan, d, &d->kernel->cuts[i], &fits);
        if (fits)
            return add_windows(plan, d, &d->kernel->cuts[i], window);
        if (window && !helps) {
            helps = &d->kernel->cuts[i];
            half = window;
        }
    }
    if (helps)
        return add_windows(plan, d, helps, half);
    return kiln_fail(KILN_ERROR_UNSUPPORTED,
                     "%s \"%s\": kernel %s has an operand beyond the %llu bytes that a binding of "
                     "this device may cover, and no axis along which it can be cut",
                     plan->lowering->op->name, plan->lowering->name ? plan->lowering->name : "",
                     d->kernel->name, (unsigned long long)kiln_plan_caps(plan)->max_binding);
}

/* An operand without elements, as of a sum over nothing: the kernel reads none, but something must be bound. */
static bool bind_nothing(struct kiln_plan *plan, struct kiln_touch *touch)
{
    static const double zero = 0;
    touch->bytes = sizeof zero;
    touch->offset = 0;
    touch->object = add_constant(plan, &zero, sizeof zero);
    return touch->object >= 0;
}

static kiln_status add_dispatch(struct kiln_plan *plan, const kiln_dispatch *d)
{
    struct kiln_step s = new_step(plan, KILN_COMMAND_DISPATCH);
    s.touches = d->kernel->bindings;
    for (int i = 0; i < s.touches; i++)
        if (!resolve(plan, &d->bind[i], d->kernel->access[i], &s.touch[i]))
            return misbound(plan, d->kernel->name);
    if (!d->kernel->units(d))
        return KILN_OK; /* an empty result: nothing to do */
    for (int i = 0; i < s.touches; i++)
        if (s.touch[i].access == KILN_READ && s.touch[i].object >= 0 && !s.touch[i].bytes &&
            !bind_nothing(plan, &s.touch[i]))
            return out_of_memory();
    kiln_dispatch *copy = kiln_arena_copy(&plan->arena, d, sizeof *d);
    if (!copy)
        return out_of_memory();
    if (plan->dev && (!copy->variant || copy->f64))
        copy->variant = kiln_choose(plan->dev, copy);
    if (plan->dev && !copy->variant)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s \"%s\": kernel %s has no code for device \"%s\"%s",
                         plan->lowering->op->name, plan->lowering->name ? plan->lowering->name : "",
                         d->kernel->name, plan->dev->info.name, d->f64 ? " in float64" : "");
    s.dispatch = copy;
    if (plan->dev && copy->variant->scratch && (s.scratch = copy->variant->scratch(&plan->dev->caps, copy)))
        s.scratch_object =
            add_object(plan, (struct kiln_object){.kind = KILN_OBJECT_SCRATCH, .bytes = s.scratch});
    return kiln_vec_push(&plan->step, s) ? KILN_OK : out_of_memory();
}

kiln_status kiln_plan_dispatch(kiln_plan *plan, const kiln_dispatch *d)
{
    if (d->block_size != d->kernel->block_size)
        return kiln_fail(KILN_ERROR_ARGUMENT, "kernel %s: block of %u bytes, wanted %u", d->kernel->name,
                         d->block_size, d->kernel->block_size);
    kiln_dispatch whole = *d;
    kiln_binding back[KILN_MAX_BINDINGS] = {{{0}}};
    kiln_status status = kiln_take_halves(plan, &whole, back);
    if (!status)
        status = excess(plan, &whole) ? cut_dispatch(plan, &whole) : add_dispatch(plan, &whole);
    return status ? status : kiln_give_halves(plan, &whole, back);
}

/* Where values lie ------------------------------------------------------------------------------------ */

static kiln_status place_constant(struct kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_constant_params *p = n->params;
    const size_t count = (size_t)kiln_shape_count(&p->spec.shape);
    const kiln_type type = kiln_storage_type(p->spec.type, plan->storage);
    void *data = malloc(count * kiln_type_size(type) + 1);
    if (!data)
        return out_of_memory();
    kiln_convert(data, type, kiln_constant_data(p), p->stored, count);
    const int object = add_constant(plan, data, count * kiln_type_size(type));
    free(data);
    *place_of(plan, n->out[0]) = (struct kiln_place){.object = object};
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
    plan->input_bytes += aligned(object.bytes);
    *place_of(plan, n->out[0]) = (struct kiln_place){.object = find_object(plan, object)};
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
    *place_of(plan, n->out[0]) = (struct kiln_place){find_object(plan, object), element * size};
    return KILN_OK;
}

static kiln_status place_state(struct kiln_plan *plan, const kiln_node *n)
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
    *place_of(plan, n->out[0]) = (struct kiln_place){find_object(plan, object), byte};
    return KILN_OK;
}

static kiln_status place_outputs(struct kiln_plan *plan, const kiln_node *n)
{
    for (int i = 0; i < n->outputs; i++) {
        struct kiln_place *place = place_of(plan, n->out[i]);
        const struct kiln_value *v = kiln_graph_value(plan->graph, n->out[i]);
        if (place->object >= 0)
            continue; /* placed in its consumer's output */
        const struct kiln_object object = {.kind = KILN_OBJECT_SCRATCH,
                                           .bytes = kiln_storage_bytes(&v->spec, plan->storage)};
        place->object = add_object(plan, object);
        if (place->object < 0)
            return out_of_memory();
    }
    return KILN_OK;
}

/* Effects have no memory; an assignment is a copy at the end of the list. */
static kiln_status lower_assign(struct kiln_plan *plan, const kiln_node *n)
{
    const kiln_binding from = {.value = n->in[1]}, to = {.value = n->in[0]};
    const struct kiln_place *a = place_of(plan, n->in[0]), *b = place_of(plan, n->in[1]);
    if (a->object == b->object && a->offset == b->offset)
        return KILN_OK;
    return kiln_plan_copy(plan, from, to);
}

static kiln_status lower_node(struct kiln_plan *plan, const kiln_node *n)
{
    for (int i = 0; i < n->op->lowering_count; i++) {
        const kiln_lowering *l = &n->op->lowerings[i];
        if (l->accepts && !l->accepts(plan, n))
            continue;
        plan->running_lowering = i;
        return l->lower(plan, n);
    }
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s \"%s\": no lowering accepts it", n->op->name,
                     n->name ? n->name : "");
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
        return place_state(plan, n);
    if (n->op == &kiln_op_assign)
        return lower_assign(plan, n);
    if (n->op == &kiln_op_group)
        return KILN_OK;
    if (n->op->flags & KILN_OP_ALIAS) {
        *place_of(plan, n->out[0]) = *place_of(plan, n->in[0]);
        return KILN_OK;
    }
    const bool effect = n->op->flags & KILN_OP_EFFECT;
    kiln_status status = effect ? KILN_OK : place_outputs(plan, n);
    if (!status && (effect || !is_empty(plan, n)))
        status = lower_node(plan, n);
    return status;
}

/* Values inside others -------------------------------------------------------------------------------- */

/* Whether t's producer may write anywhere: it is computed by a kernel, into memory of its own. */
static bool movable(const struct kiln_plan *plan, kiln_tensor t)
{
    const kiln_node *n = kiln_graph_node(plan->graph, t);
    const bool leaf = n->op == &kiln_op_input || n->op == &kiln_op_constant || n->op == &kiln_op_parameter ||
                      n->op == &kiln_op_state;
    return !leaf && !(n->op->flags & (KILN_OP_EFFECT | KILN_OP_ALIAS)) && place_of(plan, t)->object < 0;
}

/* The value whose memory an alias shares. */
static kiln_tensor alias_root(const struct kiln_plan *plan, kiln_tensor t)
{
    const kiln_node *n = kiln_graph_node(plan->graph, t);
    while (n->op->flags & KILN_OP_ALIAS) {
        t = n->in[0];
        n = kiln_graph_node(plan->graph, t);
    }
    return t;
}

/* Give the inputs of concat-like nodes their places, from the last node to the first, so that nested ones
 * nest. */
static kiln_status place_inside(struct kiln_plan *plan)
{
    for (int i = plan->graph->node.count - 1; i >= 0; i--) {
        const kiln_node *n = plan->graph->node.data[i];
        if (!n->op->place)
            continue;
        struct kiln_place out = *place_of(plan, n->out[0]);
        if (out.object < 0) {
            const kiln_spec spec = kiln_plan_spec(plan, n->out[0]);
            const struct kiln_object object = {.kind = KILN_OBJECT_SCRATCH,
                                               .bytes = kiln_storage_bytes(&spec, plan->storage)};
            out.object = add_object(plan, object);
            if (out.object < 0)
                return out_of_memory();
            *place_of(plan, n->out[0]) = out;
        }
        for (int k = 0; k < n->inputs; k++) {
            uint64_t offset;
            const kiln_tensor root = n->in[k].id ? alias_root(plan, n->in[k]) : KILN_NONE;
            if (root.id && n->op->place(plan, n, k, &offset) && (out.offset + offset) % 256 == 0 &&
                movable(plan, root))
                *place_of(plan, root) = (struct kiln_place){out.object, out.offset + offset};
        }
    }
    return KILN_OK;
}

/* Effects come last, in the order of the run list, so that all else sees the weights as they were. */
kiln_status kiln_lower(struct kiln_plan *plan)
{
    if (!grow_places(plan))
        return out_of_memory();
    const int nodes = plan->graph->node.count; /* lowering appends temporaries behind them */
    kiln_status status = place_inside(plan);
    for (int effects = 0; effects < 2; effects++)
        for (int i = 0; i < nodes && !status; i++) {
            const kiln_node *n = plan->graph->node.data[i];
            plan->lowering = n;
            if (!!(n->op->flags & KILN_OP_EFFECT) == effects)
                status = lower_any(plan, n);
        }
    for (int i = 0; i < plan->results && !status; i++) {
        const int object = place_of(plan, plan->result[i])->object;
        if (object >= 0)
            plan->object.data[object].result = true;
    }
    return status ? status : plan->graph->status;
}
