/*
 * steps.c - the calls of <kiln/extend.h> that a lowering makes: what it may ask of the plan, and the steps that it adds, fills, copies and
 * dispatches. The variant of a dispatch is chosen here (choose.h), and operands beyond the device's binding range are cut into windows.
 */
#include <string.h>

#include "base/half.h"
#include "base/log.h"
#include "compiler/choose.h"
#include "compiler/objects.h"
#include "compiler/region.h"
#include "ops/copy.h"
#include "ops/lower.h"

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
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
                                          .max_rounds = UINT64_MAX,
                                          .threads = 1};
    return plan->dev ? &plan->dev->caps : &host;
}

kiln_tensor kiln_plan_temporary(kiln_plan *plan, kiln_type type, int64_t count)
{
    const kiln_spec spec = {type, KILN_SHAPE(count)};
    return kiln_add_value(plan, type, count, kiln_add_scratch(plan, &spec), 0);
}

bool kiln_plan_placed(const kiln_plan *plan, const kiln_node *n, int input)
{
    uint64_t offset;
    if (!n->op->place || !n->op->place(plan, n, input, &offset))
        return false;
    const struct kiln_place *in = kiln_place_of(plan, n->in[input]), *out = kiln_place_of(plan, n->out[0]);
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

bool kiln_plan_lean(const kiln_plan *plan)
{
    return plan->lean;
}

static kiln_status affords(const struct kiln_plan *plan, uint64_t need, const kiln_node *n)
{
    if (!plan->budget || need <= plan->budget)
        return KILN_OK;
    return kiln_fail(KILN_ERROR_MEMORY, "program: needs %llu bytes for %s alone, the budget is %llu",
                     (unsigned long long)need, n->op->name, (unsigned long long)plan->budget);
}

kiln_status kiln_plan_affords(const kiln_plan *plan, kiln_tensor t)
{
    const kiln_spec spec = kiln_plan_spec(plan, t);
    return affords(plan, kiln_storage_bytes(&spec, plan->storage), kiln_graph_node(plan->graph, t));
}

bool kiln_plan_in_place(const kiln_plan *plan, kiln_tensor x, kiln_tensor y)
{
    const struct kiln_place *a = kiln_place_of(plan, x), *b = kiln_place_of(plan, y);
    return a->object == b->object && a->offset == b->offset;
}

kiln_tensor kiln_plan_table(kiln_plan *plan, const uint32_t *words, int64_t count)
{
    return kiln_add_value(plan, KILN_I32, count,
                          kiln_add_constant(plan, words, (uint64_t)count * sizeof *words), 0);
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
    return kiln_add_value(plan, KILN_F32, (int64_t)elements, kiln_find_object(plan, object), 0);
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
    const struct kiln_place *place = kiln_place_of(plan, b->value);
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

struct kiln_step kiln_new_step(const struct kiln_plan *plan, enum kiln_command_kind kind)
{
    return (struct kiln_step){.kind = kind, .node = plan->lowering, .scratch_object = -1, .indirect = -1};
}

/* What is beyond the budget by itself ends here: it might be walked in a million pieces. */
kiln_status kiln_add_step(struct kiln_plan *plan, const struct kiln_step *s)
{
    for (int i = 0; i < s->touches && s->node; i++) {
        const int object = s->touch[i].access == KILN_UNUSED ? -1 : s->touch[i].object;
        const kiln_status status =
            object < 0 ? KILN_OK : affords(plan, plan->object.data[object].bytes, s->node);
        if (status)
            return status;
    }
    return kiln_vec_push(&plan->step, *s) ? KILN_OK : out_of_memory();
}

/* The value of which every element has these bytes. */
static double repeated(const struct kiln_plan *plan, kiln_tensor t, uint32_t word)
{
    float real;
    memcpy(&real, &word, sizeof real);
    if (kiln_plan_element(plan, t) == 1)
        return kiln_plan_spec(plan, t).type == KILN_I8 ? (int8_t)(word & 255) : (uint8_t)word;
    if (!kiln_type_is_real(kiln_plan_spec(plan, t).type))
        return (int32_t)word;
    return kiln_plan_element(plan, t) == 2 ? (double)kiln_half_to((uint16_t)word) : (double)real;
}

kiln_status kiln_plan_fill(kiln_plan *plan, kiln_binding to, uint32_t word)
{
    struct kiln_step s = kiln_new_step(plan, KILN_COMMAND_FILL);
    s.fill = word;
    s.touches = 1;
    if (!resolve(plan, &to, KILN_WRITE, &s.touch[0]))
        return misbound(plan, "a fill");
    if (kiln_plan_gated(plan) && !to.offset && !to.bytes)
        return kiln_lower_constant(plan, to.value, repeated(plan, to.value, word));
    return s.touch[0].bytes ? kiln_add_step(plan, &s) : KILN_OK;
}

/* A copy as a dispatch, which a gate can stop. */
static kiln_status walk_copy(kiln_plan *plan, const kiln_binding *from, const kiln_binding *to,
                             uint64_t bytes)
{
    const int64_t element = (int64_t)kiln_plan_element(plan, to->value);
    return kiln_plan_walk(plan, from->value, to->value,
                          &(struct kiln_walk){.rank = 1,
                                              .size = {(int64_t)bytes / element},
                                              .x_step = {1},
                                              .y_step = {1},
                                              .x_start = (int64_t)from->offset / element,
                                              .y_start = (int64_t)to->offset / element});
}

kiln_status kiln_plan_copy(kiln_plan *plan, kiln_binding from, kiln_binding to)
{
    struct kiln_step s = kiln_new_step(plan, KILN_COMMAND_COPY);
    s.touches = 2;
    if (!resolve(plan, &from, KILN_READ, &s.touch[0]) || !resolve(plan, &to, KILN_WRITE, &s.touch[1]) ||
        s.touch[0].bytes != s.touch[1].bytes)
        return misbound(plan, "a copy");
    const bool there = s.touch[0].object == s.touch[1].object && s.touch[0].offset == s.touch[1].offset;
    if (!s.touch[0].bytes || there)
        return KILN_OK;
    return kiln_plan_gated(plan) ? walk_copy(plan, &from, &to, s.touch[0].bytes) : kiln_add_step(plan, &s);
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
    touch->object = kiln_add_constant(plan, &zero, sizeof zero);
    return touch->object >= 0;
}

static kiln_status add_dispatch(struct kiln_plan *plan, const kiln_dispatch *d)
{
    struct kiln_step s = kiln_new_step(plan, KILN_COMMAND_DISPATCH);
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
        copy->variant = kiln_choose_variant(plan, copy);
    if (plan->dev && !copy->variant)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s \"%s\": kernel %s has no code for device \"%s\"%s",
                         plan->lowering->op->name, plan->lowering->name ? plan->lowering->name : "",
                         d->kernel->name, plan->dev->info.name,
                         d->f64 ? " in float64"
                         : kiln_rounds_exceed(plan->dev, d)
                             ? ", whose driver ends loops that go around so often"
                             : "");
    s.dispatch = copy;
    const uint64_t own = plan->dev ? kiln_thread_scratch(plan->dev, copy) : 0;
    plan->thread_bytes = own > plan->thread_bytes ? own : plan->thread_bytes;
    if (plan->dev && (s.scratch = kiln_bound_scratch(plan->dev, copy)))
        s.scratch_object =
            kiln_add_object(plan, (struct kiln_object){.kind = KILN_OBJECT_SCRATCH, .bytes = s.scratch});
    return kiln_add_step(plan, &s);
}

kiln_status kiln_plan_dispatch(kiln_plan *plan, const kiln_dispatch *d)
{
    if (d->block_size != d->kernel->block_size)
        return kiln_fail(KILN_ERROR_ARGUMENT, "kernel %s: block of %u bytes, wanted %u", d->kernel->name,
                         d->block_size, d->kernel->block_size);
    kiln_dispatch whole = *d;
    kiln_binding back[KILN_MAX_BINDINGS] = {{{0}}};
    kiln_status status = kiln_take_narrow(plan, &whole, back);
    if (!status)
        status = excess(plan, &whole) ? cut_dispatch(plan, &whole) : add_dispatch(plan, &whole);
    return status ? status : kiln_give_narrow(plan, &whole, back);
}
