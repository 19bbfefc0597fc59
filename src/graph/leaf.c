/*
 * leaf.c - what has no kernel: inputs, constants, parameters, states; effects; and the choice between training and
 * inference. The compiler knows these by address; none of them is lowered by a rule of its own.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "graph/random.h"

#include <kiln/extend.h>
#include <kiln/ops.h>

static kiln_status leaf_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    (void)g;
    const struct kiln_leaf_params *p = n->params;
    *out = p->spec;
    return KILN_OK;
}

static kiln_status constant_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    (void)g;
    const struct kiln_constant_params *p = n->params;
    *out = p->spec;
    return KILN_OK;
}

const kiln_op kiln_op_input = {.name = "input", .outputs = 1, .infer = leaf_infer};
const kiln_op kiln_op_parameter = {.name = "parameter", .outputs = 1, .infer = leaf_infer};
const kiln_op kiln_op_state = {.name = "state", .outputs = 1, .infer = leaf_infer};
const kiln_op kiln_op_constant = {.name = "constant", .outputs = 1, .infer = constant_infer};

/* Constants ---------------------------------------------------------------------------------------------- */

const void *kiln_constant_data(const struct kiln_constant_params *p)
{
    return p->data ? p->data : &p->inline_data;
}

bool kiln_constant_integer(const kiln_graph *g, kiln_tensor t, int64_t *value)
{
    const kiln_node *n = kiln_graph_node(g, t);
    const struct kiln_constant_params *p = n && n->op == &kiln_op_constant ? n->params : NULL;
    int64_t wide = 0; /* the low bytes come first */
    if (!p || kiln_type_is_real(p->spec.type) || kiln_shape_count(&p->spec.shape) != 1)
        return false;
    memcpy(&wide, kiln_constant_data(p), p->bytes);
    const int unused = 64 - 8 * (int)p->bytes;
    *value = (int64_t)((uint64_t)wide << unused) >> unused;
    return true;
}

kiln_tensor kiln_graph_constant(kiln_graph *g, kiln_spec spec, kiln_type stored, const void *data,
                                size_t bytes)
{
    struct kiln_constant_params params;
    memset(&params, 0, sizeof params); /* padding too: params are compared by their bytes */
    params.spec.type = spec.type;
    params.spec.shape.rank = spec.shape.rank;
    memcpy(params.spec.shape.size, spec.shape.size, (size_t)spec.shape.rank * sizeof spec.shape.size[0]);
    params.stored = stored;
    params.bytes = bytes;
    if (bytes && bytes <= sizeof params.inline_data)
        memcpy(&params.inline_data, data, bytes);
    else if (bytes && !(params.data = kiln_arena_copy(&g->arena, data, bytes))) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "constant of %zu bytes: out of memory", bytes);
        return KILN_NONE;
    }
    const kiln_node *n =
        kiln_graph_add(g, &kiln_op_constant, NULL, 0, &params, sizeof params, &spec, 1, NULL);
    return n ? n->out[0] : KILN_NONE;
}

kiln_tensor kiln_constant(kiln_graph *g, const kiln_array *src)
{
    if (g->status)
        return KILN_NONE;
    const int64_t count = kiln_shape_count(&src->shape);
    const size_t size = kiln_type_size(src->type);
    if (count < 0 || !size || (!src->data && count) || (uint64_t)count > SIZE_MAX / size) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "constant: wanted data of a known shape and type");
        return KILN_NONE;
    }
    return kiln_graph_constant(g, (kiln_spec){src->type, src->shape}, src->type, src->data,
                               (size_t)count * size);
}

kiln_tensor kiln_scalar(kiln_graph *g, kiln_type type, double value)
{
    if (g->status)
        return KILN_NONE;
    const bool has_whole = value >= -0x1p63 && value < 0x1p63; /* NaN has none */
    const int64_t whole = !kiln_type_is_real(type) && has_whole ? (int64_t)value : 0;
    if (!kiln_type_is_real(type) && (double)whole != value) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "scalar of type %s: %g is no integer", kiln_type_name(type),
                        value);
        return KILN_NONE;
    }
    const kiln_spec spec = {type, KILN_SCALAR};
    return kiln_type_is_real(type) ? kiln_graph_constant(g, spec, KILN_F64, &value, sizeof value)
                                   : kiln_graph_constant(g, spec, KILN_I64, &whole, sizeof whole);
}

kiln_tensor kiln_range(kiln_graph *g, int64_t count)
{
    if (g->status)
        return KILN_NONE;
    int32_t *data = count >= 0 && count <= INT32_MAX ? malloc((size_t)count * sizeof *data + 1) : NULL;
    if (!data) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "range: wanted a count of 0 to 2^31 - 1 that fits memory");
        return KILN_NONE;
    }
    for (int64_t i = 0; i < count; i++)
        data[i] = (int32_t)i;
    const kiln_spec spec = {KILN_I32, KILN_SHAPE(count)};
    const kiln_tensor t = kiln_graph_constant(g, spec, KILN_I32, data, (size_t)count * sizeof *data);
    free(data);
    return t;
}

/* Effects ------------------------------------------------------------------------------------------------ */

static kiln_status assign_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec state = kiln_tensor_spec(g, n->in[0]), next = kiln_tensor_spec(g, n->in[1]);
    char a[96], b[96];
    *out = next;
    if (kiln_graph_node(g, n->in[0])->op != &kiln_op_state)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "its first value is no state");
    if (state.type != next.type || !kiln_shape_equal(&state.shape, &next.shape))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "state \"%s\" is %s %s, its next value %s %s",
                              kiln_tensor_name(g, n->in[0]), kiln_type_name(state.type),
                              kiln_graph_shape_text(g, &state.shape, a, sizeof a), kiln_type_name(next.type),
                              kiln_graph_shape_text(g, &next.shape, b, sizeof b));
    return KILN_OK;
}

static kiln_status group_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = (kiln_spec){.type = KILN_F32, .shape = KILN_SCALAR};
    for (int i = 0; i < n->inputs; i++)
        if (!(kiln_graph_node(g, n->in[i])->op->flags & KILN_OP_EFFECT))
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "value %d is no effect", i);
    return KILN_OK;
}

const kiln_op kiln_op_assign = {
    .name = "assign", .inputs = 2, .outputs = 1, .flags = KILN_OP_EFFECT, .infer = assign_infer};
const kiln_op kiln_op_group = {.name = "group", .outputs = 1, .flags = KILN_OP_EFFECT, .infer = group_infer};

static struct kiln_state_value *state_of(kiln_graph *g, kiln_tensor state)
{
    for (int i = 0; i < g->state.count; i++)
        if (g->state.data[i].state.id == state.id && state.graph == g->tag)
            return &g->state.data[i];
    return NULL;
}

void kiln_set_newest(kiln_graph *g, kiln_tensor state, kiln_tensor newest)
{
    struct kiln_state_value *s = state_of(g, state);
    if (s && newest.id)
        s->newest = newest;
}

kiln_tensor kiln_assign(kiln_graph *g, kiln_tensor state, kiln_tensor next)
{
    if (g->status || !state.id || !next.id)
        return KILN_NONE;
    struct kiln_state_value *s = state_of(g, state);
    if (!s) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "assign: \"%s\" is no state of this graph",
                        kiln_tensor_name(g, state));
        return KILN_NONE;
    }
    const kiln_tensor read = state_of(g, next) ? state_of(g, next)->newest : next;
    const bool literal = g->literal;
    g->literal = true; /* the state itself, not its newest value */
    const kiln_tensor effect = kiln_append(g, &kiln_op_assign, (kiln_tensor[]){state, read}, 2, NULL, 0);
    g->literal = literal;
    if (effect.id)
        s->newest = read;
    return effect;
}

/* Where it is not performed, what is read later is what was there before. */
kiln_tensor kiln_assign_with(kiln_graph *g, kiln_tensor state, kiln_tensor next, kiln_tensor with)
{
    const struct kiln_state_value *s = state_of(g, state);
    const kiln_tensor before = s ? s->newest : KILN_NONE, effect = kiln_assign(g, state, next);
    if (!effect.id || !with.id)
        return effect;
    if (!kiln_vec_push(&g->attachment, (struct kiln_attachment){effect, with}))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "assign \"%s\": out of memory", kiln_tensor_name(g, state));
    const bool literal = g->literal;
    g->literal = true;
    kiln_set_newest(g, state, kiln_by_mode(g, state_of(g, state)->newest, before));
    g->literal = literal;
    return effect;
}

kiln_tensor kiln_group(kiln_graph *g, const kiln_tensor *effects, int count)
{
    if (g->status)
        return KILN_NONE;
    kiln_tensor *kept = kiln_arena_alloc(&g->arena, (size_t)(count > 0 ? count : 1) * sizeof *kept);
    int keep = 0;
    for (int i = 0; kept && i < count; i++)
        if (effects[i].id)
            kept[keep++] = effects[i];
    return kept ? kiln_append(g, &kiln_op_group, kept, keep, NULL, 0) : KILN_NONE;
}

/* The random counter ------------------------------------------------------------------------------------- */

kiln_tensor kiln_random_counter(kiln_graph *g)
{
    if (g->status || g->random.id)
        return g->random;
    const int depth = g->scope.count;
    g->scope.count = 0; /* one counter a graph, whatever scope is open */
    const kiln_tensor state = kiln_state(g, KILN_RANDOM_STATE, KILN_I32, KILN_SHAPE(2), KILN_STORE_WEIGHTS);
    g->scope.count = depth;
    const int32_t one_step[2] = {0, 1};
    const kiln_tensor step = kiln_constant(
        g, &(kiln_array){.data = (void *)(uintptr_t)one_step, .type = KILN_I32, .shape = KILN_SHAPE(2)});
    g->random = kiln_stop_gradient(g, state); /* the value before the increment, whoever reads it later */
    kiln_assign_with(g, state, kiln_add(g, g->random, step), g->random);
    return g->random;
}

uint32_t kiln_random_stream(kiln_graph *g, const char *kind)
{
    const char *scope = g->scope.count ? g->scope.data[g->scope.count - 1] : "";
    char name[512];
    snprintf(name, sizeof name, "%s%d/%s", scope, kiln_map_find(&g->counters, scope),
             kiln_scope_name(g, kind, NULL));
    const uint64_t hash = kiln_rng_stream(name);
    return (uint32_t)(hash >> 32 ^ hash);
}

/* Identities that mean something ------------------------------------------------------------------------- */

static kiln_status same_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static void stop_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy;
    dx[0] = KILN_NONE;
}

const kiln_op kiln_op_stop_gradient = {
    .name = "stop_gradient", .inputs = 1, .outputs = 1, .infer = same_infer, .grad = stop_grad};

kiln_tensor kiln_stop_gradient(kiln_graph *g, kiln_tensor x)
{
    return x.id ? kiln_append(g, &kiln_op_stop_gradient, &x, 1, NULL, 0) : KILN_NONE;
}

static kiln_status mode_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec train = kiln_tensor_spec(g, n->in[0]), infer = kiln_tensor_spec(g, n->in[1]);
    char a[96], b[96];
    *out = train;
    if (train.type == infer.type && kiln_shape_equal(&train.shape, &infer.shape))
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "training gives %s %s, inference %s %s",
                          kiln_type_name(train.type), kiln_graph_shape_text(g, &train.shape, a, sizeof a),
                          kiln_type_name(infer.type), kiln_graph_shape_text(g, &infer.shape, b, sizeof b));
}

static kiln_status nothing_lower(kiln_plan *plan, const kiln_node *n)
{
    return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
}

const kiln_op kiln_op_no_gradient = {
    .name = "no_gradient",
    .inputs = 1,
    .outputs = 1,
    .shape_inputs = 1 << 0,
    .infer = same_infer,
    .grad = stop_grad,
    .lowerings = (const kiln_lowering[]){{.name = "fill", .lower = nothing_lower}},
    .lowering_count = 1,
};

/* Zeros of which simplification knows that whatever is multiplied by them is nothing, too. */
static void mode_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)n;
    const kiln_tensor none = kiln_append(g, &kiln_op_no_gradient, dy, 1, NULL, 0);
    dx[0] = kiln_by_mode(g, dy[0], none);
    dx[1] = kiln_by_mode(g, none, dy[0]);
}

const kiln_op kiln_op_by_mode = {
    .name = "by_mode", .inputs = 2, .outputs = 1, .infer = mode_infer, .grad = mode_grad};

kiln_tensor kiln_by_mode(kiln_graph *g, kiln_tensor train, kiln_tensor infer)
{
    const kiln_tensor in[] = {train, infer};
    return train.id && infer.id ? kiln_append(g, &kiln_op_by_mode, in, 2, NULL, 0) : KILN_NONE;
}
