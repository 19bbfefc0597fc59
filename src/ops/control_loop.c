/*
 * control_loop.c - a body again and again, as long as it says so.
 *
 * Where the number of steps is known and the body always goes on, a loop is a scan without slices, whose first carry counts the
 * steps: all that holds for scans holds for it. Else the device counts.
 *
 * Lowering: src/compiler/control.c.   Tests: tests/ops/control.c.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "ops/control.h"
#include "ops/kernels.h"

/* The operator ------------------------------------------------------------------------------------------- */

static int loop_outputs(const void *params)
{
    const struct kiln_loop_node *p = params;
    return (int)(1 + p->stacked + p->carry);
}

static const kiln_graph *loop_body(const void *params, int index)
{
    return index ? NULL : ((const struct kiln_loop_node *)params)->body;
}

static void loop_sizes(void *params, int64_t (*map)(void *user, int64_t size), void *user)
{
    struct kiln_loop_node *p = params;
    p->bound = map(user, p->bound);
}

static bool is_scalar(const kiln_spec *spec, kiln_type a, kiln_type b)
{
    return !spec->shape.rank && (spec->type == a || spec->type == b);
}

static kiln_status check_scalars(struct kiln_sizes *s, const kiln_node *n)
{
    const kiln_spec trips = kiln_tensor_spec(s->g, n->in[0]), begins = kiln_tensor_spec(s->g, n->in[1]);
    const kiln_spec goes_on = kiln_body_output_spec(s, 0), step = {KILN_I32, KILN_SCALAR};
    if (n->in[0].id && !is_scalar(&trips, KILN_I32, KILN_I64))
        return kiln_node_fail(s->g, n, KILN_ERROR_TYPE, "trips is %s of rank %d, wanted an i32 or i64 scalar",
                              kiln_type_name(trips.type), trips.shape.rank);
    if (n->in[1].id && !is_scalar(&begins, KILN_BOOL, KILN_BOOL))
        return kiln_node_fail(s->g, n, KILN_ERROR_TYPE,
                              "the condition is %s of rank %d, wanted a bool scalar",
                              kiln_type_name(begins.type), begins.shape.rank);
    if (!is_scalar(&goes_on, KILN_BOOL, KILN_BOOL))
        return kiln_node_fail(s->g, n, KILN_ERROR_TYPE,
                              "body \"%s\" says whether to go on as %s of rank %d, wanted a bool scalar",
                              s->body->name, kiln_type_name(goes_on.type), goes_on.shape.rank);
    return kiln_body_bind(s, n, 0, &step);
}

static kiln_status loop_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_loop_node *p = n->params;
    const int carry = (int)p->carry, stacked = (int)p->stacked;
    struct kiln_sizes s;
    if (!kiln_sizes_begin(&s, g, p->body))
        return KILN_ERROR_MEMORY;
    kiln_status status = check_scalars(&s, n);
    for (int i = 2; i < n->inputs && !status; i++) {
        const kiln_spec got = kiln_tensor_spec(g, n->in[i]);
        status = kiln_body_bind(&s, n, i - 1, &got);
    }
    out[0] = (kiln_spec){KILN_I32, KILN_SCALAR};
    const int64_t rows = stacked ? kiln_dim_counted_by(g, n, 0, p->bound) : 0;
    for (int i = 1; i <= stacked && !status; i++) {
        const kiln_spec y = kiln_body_output_spec(&s, i);
        status = kiln_stacked_spec(g, n, &y, rows, &out[i]);
    }
    for (int i = 0; i < carry && !status; i++) {
        out[1 + stacked + i] = kiln_body_input_spec(&s, 1 + i);
        status = kiln_body_keeps(&s, n, 1 + i, 1 + stacked + i);
    }
    kiln_sizes_finish(&s);
    return status;
}

static void loop_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)dy, (void)dx;
    const struct kiln_loop_node *p = n->params;
    kiln_node_fail(
        g, n, KILN_ERROR_UNSUPPORTED,
        "the number of steps of body \"%s\" depends on data: it has no gradient. A loop with constant trips "
        "whose body always goes on has one, and a scan",
        p->body->name);
}

static const kiln_field fields[] = {
    {"bound", KILN_FIELD_I64, offsetof(struct kiln_loop_node, bound), 1},
    {"carry", KILN_FIELD_I64, offsetof(struct kiln_loop_node, carry), 1},
    {"with", KILN_FIELD_I64, offsetof(struct kiln_loop_node, with), 1},
    {"stacked", KILN_FIELD_I64, offsetof(struct kiln_loop_node, stacked), 1},
    {0},
};

const kiln_op kiln_op_loop = {
    .name = "loop",
    .inputs = 2,
    .output_count = loop_outputs,
    .infer = loop_infer,
    .grad = loop_grad,
    .sizes = loop_sizes,
    .body = loop_body,
    .fields = fields,
};

/* The builder -------------------------------------------------------------------------------------------- */

struct builder {
    kiln_graph *g;
    const kiln_graph *body;
    const kiln_loop_params *p;
    int carry, with, stacked;
    kiln_captures captures;
};

static bool count_values(struct builder *b)
{
    const kiln_graph *body = b->body;
    const int carry = kiln_given_values(b->p->carry), with = kiln_given_values(b->p->with),
              values = kiln_body_values(body);
    if (1 + carry + with != body->input.count)
        kiln_graph_fail(b->g, KILN_ERROR_ARGUMENT,
                        "loop of \"%s\": the body has %d inputs; given are the step, %d carry, %d with",
                        body->name, body->input.count, carry, with);
    else if (values < 1 + carry)
        kiln_graph_fail(
            b->g, KILN_ERROR_ARGUMENT,
            "loop of \"%s\": the body has %d outputs, which is too few for whether to go on and %d carries",
            body->name, values, carry);
    else if (kiln_is_effect(body, body->output.data[0]))
        kiln_graph_fail(b->g, KILN_ERROR_ARGUMENT, "loop of \"%s\": its first output says whether to go on",
                        body->name);
    b->carry = carry;
    b->with = with;
    b->stacked = values - 1 - carry;
    return !b->g->status;
}

/* How many steps there are, a number or a symbol, where the body always goes on; false: data decides. */
static bool known_length(const struct builder *b, int64_t *length)
{
    const int64_t bound = b->p->bound;
    int64_t begins = 1, goes_on = 0, trips = bound;
    if (b->p->condition.id && !kiln_constant_integer(b->g, b->p->condition, &begins))
        return false;
    if (!kiln_constant_integer(b->body, b->body->output.data[0], &goes_on) || !goes_on)
        return false;
    if (b->p->trips.id && (!kiln_constant_integer(b->g, b->p->trips, &trips) || bound < 0))
        return false;
    if (b->p->trips.id)
        trips = trips < 0 ? 0 : bound && trips > bound ? bound : trips;
    *length = begins ? trips : 0;
    return true;
}

/* The closed body of a loop as one of a scan: what said whether to go on goes, and the step is the first carry. */
static void count_steps(kiln_graph *closed, int stacked)
{
    kiln_tensor *out = closed->output.data;
    memmove(out, out + 1, (size_t)stacked * sizeof *out);
    out[stacked] = kiln_add(closed, closed->input.data[0], kiln_scalar(closed, KILN_I32, 1));
}

static kiln_tensor append_scan(struct builder *b, kiln_graph *closed, const kiln_tensor *in, int64_t length)
{
    const int carry = b->carry + kiln_captures_assigned(&b->captures);
    const int count = b->carry + b->with + b->captures.count;
    const struct kiln_scan_node p = {.body = closed,
                                     .length = length,
                                     .carry = 1 + carry,
                                     .with = count - carry,
                                     .stacked = b->stacked,
                                     .form = b->p->form};
    kiln_tensor *all = kiln_arena_alloc(&b->g->arena, (size_t)(count + 1) * sizeof *all);
    count_steps(closed, b->stacked);
    if (!all || closed->status) {
        kiln_graph_fail(b->g, KILN_ERROR_MEMORY, "loop: out of memory");
        return KILN_NONE;
    }
    all[0] = kiln_scalar(b->g, KILN_I32, 0);
    memcpy(all + 1, in, (size_t)count * sizeof *all);
    return kiln_append(b->g, &kiln_op_scan, all, count + 1, &p, sizeof p);
}

static kiln_tensor append_loop(struct builder *b, kiln_graph *closed, kiln_tensor *in)
{
    const int carry = b->carry + kiln_captures_assigned(&b->captures);
    const int count = b->carry + b->with + b->captures.count;
    const struct kiln_loop_node p = {
        .body = closed, .bound = b->p->bound, .carry = carry, .with = count - carry, .stacked = b->stacked};
    if (!p.bound) {
        kiln_graph_fail(b->g, KILN_ERROR_ARGUMENT,
                        "loop of \"%s\": data decides how many steps it makes, so it needs a bound",
                        b->body->name);
        return KILN_NONE;
    }
    in[0] = b->p->trips;
    in[1] = b->p->condition;
    return kiln_append(b->g, &kiln_op_loop, in, count + 2, &p, sizeof p);
}

static kiln_tensor append(struct builder *b, bool *is_scan)
{
    kiln_graph *g = b->g;
    const int given = b->carry + b->with;
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(2 * given + b->captures.count + 3) * sizeof *in);
    kiln_graph *closed = in ? kiln_body_close(g, b->body, 1 + b->carry, &b->captures) : NULL;
    int64_t length;
    if (!closed) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "loop: out of memory");
        return KILN_NONE;
    }
    kiln_tensor *list = in + given + b->captures.count + 2;
    memcpy(list, b->p->carry, (size_t)b->carry * sizeof *list);
    memcpy(list + b->carry, b->p->with, (size_t)b->with * sizeof *list);
    kiln_captures_inputs(&b->captures, list, b->carry, given, in + 2);
    *is_scan = known_length(b, &length);
    const kiln_tensor t = *is_scan ? append_scan(b, closed, in + 2, length) : append_loop(b, closed, in);
    kiln_graph_destroy(&closed);
    return t;
}

/* A loop's node gives count, stacked, carries; a scan's stacked, count, carries. */
static int output_of(const struct builder *b, bool is_scan, int value)
{
    if (!is_scan || value > b->stacked)
        return value;
    return value ? value - 1 : b->stacked;
}

void kiln_loop(kiln_graph *g, const kiln_graph *body, const kiln_loop_params *params, kiln_tensor *out)
{
    static const kiln_loop_params usual;
    struct builder b = {.g = g, .body = body, .p = params ? params : &usual};
    bool is_scan = false;
    for (int i = 0; i < body->output.count; i++)
        out[i] = KILN_NONE;
    if (!kiln_body_fits(g, "loop", body) || !count_values(&b))
        return;
    kiln_capture_leaves(g, body, &b.captures);
    const kiln_tensor node = g->status ? KILN_NONE : append(&b, &is_scan);
    for (int i = 0, value = 0; i < body->output.count && node.id; i++)
        if (!kiln_is_effect(body, body->output.data[i]))
            out[i] = kiln_node_output(g, node, output_of(&b, is_scan, value++));
    if (node.id)
        kiln_captures_assign(g, body, &b.captures, node, 1 + b.stacked + b.carry, out);
    kiln_vec_finish(&b.captures);
}
