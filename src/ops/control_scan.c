/*
 * control_scan.c - a body over the slices of a sequence.
 *
 * The node works along axis 0: the builder moves other axes there and back. Its gradient is in control_scan_grad.c.
 *
 * Lowering: src/compiler/control.c.   Tests: tests/ops/control.c.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "ops/control.h"
#include "ops/control_scan.h"
#include "ops/kernels.h"

/* The operator ------------------------------------------------------------------------------------------- */

static int scan_outputs(const void *params)
{
    const struct kiln_scan_node *p = params;
    return (int)(p->stacked + 2 * p->carry);
}

static const kiln_graph *scan_body(const void *params, int index)
{
    return index ? NULL : ((const struct kiln_scan_node *)params)->body;
}

static void scan_sizes(void *params, int64_t (*map)(void *user, int64_t size), void *user)
{
    struct kiln_scan_node *p = params;
    p->length = map(user, p->length);
}

/* The slices of each must fit the body, and be equally many. */
static kiln_status bind_each(struct kiln_sizes *s, const kiln_node *n, int64_t *length)
{
    const struct kiln_scan_node *p = n->params;
    kiln_status status = KILN_OK;
    for (int i = 0; i < p->each && !status; i++) {
        kiln_spec slice = kiln_tensor_spec(s->g, n->in[i]);
        const int64_t steps = slice.shape.size[0];
        char a[64], b[64];
        if (!slice.shape.rank)
            return kiln_node_fail(s->g, n, KILN_ERROR_SHAPE, "value %d to be cut into steps is a scalar", i);
        if (i && steps != *length)
            return kiln_node_fail(s->g, n, KILN_ERROR_SHAPE, "value 0 has %s steps, value %d %s",
                                  kiln_dim_text(s->g, *length, a, sizeof a), i,
                                  kiln_dim_text(s->g, steps, b, sizeof b));
        *length = steps;
        slice.shape.rank--;
        memmove(slice.shape.size, slice.shape.size + 1, (size_t)slice.shape.rank * sizeof *slice.shape.size);
        status = kiln_body_bind(s, n, i, &slice);
    }
    return status;
}

static kiln_status infer_outputs(struct kiln_sizes *s, const kiln_node *n, int64_t length, kiln_spec *out)
{
    const struct kiln_scan_node *p = n->params;
    const int each = (int)p->each, carry = (int)p->carry, stacked = (int)p->stacked;
    kiln_status status = KILN_OK;
    for (int i = 0; i < stacked && !status; i++) {
        const kiln_spec y = kiln_body_output_spec(s, i);
        status = kiln_stacked_spec(s->g, n, &y, length, &out[i]);
    }
    for (int i = 0; i < carry && !status; i++) {
        out[stacked + i] = kiln_body_input_spec(s, each + i);
        status = kiln_body_keeps(s, n, each + i, stacked + i);
        if (!status)
            status = kiln_stacked_spec(s->g, n, &out[stacked + i], length, &out[stacked + carry + i]);
    }
    return status;
}

static kiln_status scan_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_scan_node *p = n->params;
    struct kiln_sizes s;
    int64_t length = p->length;
    if (!kiln_sizes_begin(&s, g, p->body))
        return KILN_ERROR_MEMORY;
    kiln_status status = bind_each(&s, n, &length);
    for (int i = (int)p->each; i < n->inputs && !status; i++) {
        const kiln_spec got = kiln_tensor_spec(g, n->in[i]);
        status = kiln_body_bind(&s, n, i, &got);
    }
    if (!status)
        status = infer_outputs(&s, n, length, out);
    kiln_sizes_finish(&s);
    return status;
}

static const kiln_field scan_fields[] = {
    {"each", KILN_FIELD_I64, offsetof(struct kiln_scan_node, each), 1},
    {"carry", KILN_FIELD_I64, offsetof(struct kiln_scan_node, carry), 1},
    {"with", KILN_FIELD_I64, offsetof(struct kiln_scan_node, with), 1},
    {"reverse", KILN_FIELD_I64, offsetof(struct kiln_scan_node, reverse), 1},
    {"length", KILN_FIELD_I64, offsetof(struct kiln_scan_node, length), 1},
    {0},
};

const kiln_op kiln_op_scan = {
    .name = "scan",
    .output_count = scan_outputs,
    .infer = scan_infer,
    .grad = kiln_scan_grad,
    .sizes = scan_sizes,
    .body = scan_body,
    .fields = scan_fields,
};

/* The builder -------------------------------------------------------------------------------------------- */

struct builder {
    kiln_graph *g;
    const kiln_graph *body;
    const kiln_scan_params *p;
    struct kiln_scan_node node;
    kiln_captures captures;
    int given;
};

static bool count_values(struct builder *b)
{
    const kiln_graph *body = b->body;
    const int each = kiln_given_values(b->p->each), carry = kiln_given_values(b->p->carry),
              with = kiln_given_values(b->p->with), values = kiln_body_values(body);
    b->given = each + carry + with;
    if (b->given != body->input.count)
        kiln_graph_fail(b->g, KILN_ERROR_ARGUMENT,
                        "scan of \"%s\": the body has %d inputs; given are %d each, %d carry, %d with",
                        body->name, body->input.count, each, carry, with);
    else if (values < carry)
        kiln_graph_fail(b->g, KILN_ERROR_ARGUMENT,
                        "scan of \"%s\": the body has %d outputs, which is too few for %d carries",
                        body->name, values, carry);
    else if (!body->output.count)
        kiln_graph_fail(b->g, KILN_ERROR_ARGUMENT, "scan of \"%s\": the body has no outputs", body->name);
    b->node = (struct kiln_scan_node){.length = each ? 0 : b->p->length,
                                      .each = each,
                                      .carry = carry,
                                      .with = with,
                                      .stacked = values - carry,
                                      .reverse = b->p->reverse,
                                      .form = b->p->form};
    return !b->g->status;
}

static kiln_tensor append(struct builder *b)
{
    kiln_graph *g = b->g;
    const int before = (int)(b->node.each + b->node.carry), count = b->given + b->captures.count;
    kiln_tensor *given = kiln_arena_alloc(&g->arena, (size_t)(b->given + 1) * sizeof *given);
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(count + 1) * sizeof *in);
    kiln_graph *closed = given && in ? kiln_body_close(g, b->body, before, &b->captures) : NULL;
    if (!closed) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "scan: out of memory");
        return KILN_NONE;
    }
    for (int i = 0; i < b->node.each; i++)
        given[i] = kiln_move_axis(g, b->p->each[i], b->p->axis, 0);
    memcpy(given + b->node.each, b->p->carry, (size_t)b->node.carry * sizeof *given);
    memcpy(given + before, b->p->with, (size_t)b->node.with * sizeof *given);
    kiln_captures_inputs(&b->captures, given, before, b->given, in);
    b->node.body = closed;
    b->node.carry += kiln_captures_assigned(&b->captures);
    b->node.with = count - b->node.each - b->node.carry;
    const kiln_tensor t = kiln_append(g, &kiln_op_scan, in, count, &b->node, sizeof b->node);
    kiln_graph_destroy(&closed);
    return t;
}

/* The body's outputs that are values, in order: first those that are stacked. */
static void take_outputs(struct builder *b, kiln_tensor node, kiln_tensor *out)
{
    int at = 0;
    for (int i = 0; i < b->body->output.count; i++) {
        if (kiln_is_effect(b->body, b->body->output.data[i]))
            continue;
        const kiln_tensor t = kiln_node_output(b->g, node, at);
        out[i] = at++ < b->node.stacked ? kiln_move_axis(b->g, t, 0, b->p->axis) : t;
    }
}

void kiln_scan(kiln_graph *g, const kiln_graph *body, const kiln_scan_params *params, kiln_tensor *out)
{
    static const kiln_scan_params usual;
    struct builder b = {.g = g, .body = body, .p = params ? params : &usual};
    for (int i = 0; i < body->output.count; i++)
        out[i] = KILN_NONE;
    if (!kiln_body_fits(g, "scan", body) || !count_values(&b))
        return;
    const int carries = (int)b.node.carry;
    kiln_capture_leaves(g, body, &b.captures);
    const kiln_tensor node = g->status ? KILN_NONE : append(&b);
    if (node.id) {
        take_outputs(&b, node, out);
        kiln_captures_assign(g, body, &b.captures, node, (int)b.node.stacked + carries, out);
    }
    kiln_vec_finish(&b.captures);
}
