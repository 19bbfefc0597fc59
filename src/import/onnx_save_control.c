/*
 * onnx_save_control.c - loops and branches.
 *
 *   scan   Scan: carries stand before slices, what every step gets is seen around the body. Without slices the steps' numbers are one.
 *          The carries that each step gets, which its gradient reads, are stacked behind the others.
 *   loop   Loop, with one more carry that counts the steps
 *   if     If
 *
 * kiln's bodies are closed (graph/body.h): each parameter and state is an input.
 */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

enum { MOST = 3 * 64 + 8 }; /* names of a node's values */

static kiln_spec output_spec(const kiln_graph *body, int i)
{
    return kiln_tensor_spec(body, kiln_graph_output(body, i));
}

static kiln_spec input_spec(const kiln_graph *body, int i)
{
    return kiln_tensor_spec(body, kiln_graph_input(body, i));
}

/* Input i of the body, declared next; returns its name. */
static const char *declare(writer *body, int i)
{
    const kiln_spec spec = input_spec(body->g, i);
    const char *name = kiln_onnx_new_name(body);
    kiln_onnx_call_input(body, i, name);
    kiln_onnx_put_input(body, name, &spec);
    return name;
}

/* Inputs from `first` on are seen around: the node's, from `from` on. */
static void see_around(writer *body, const writer *w, const kiln_node *n, int first, int from)
{
    for (int i = from; i < n->inputs; i++)
        kiln_onnx_call_input(body, first + i - from, kiln_onnx_name(w, n->in[i]));
}

/* The body's outputs, by what they are called there. */
static int write_results(writer *body, const char **names)
{
    kiln_tensor outputs[MOST];
    const int count = kiln_graph_output_count(body->g);
    for (int i = 0; i < count; i++) {
        outputs[i] = kiln_graph_output(body->g, i);
        names[i] = NULL;
    }
    kiln_onnx_write_graph(body, outputs, names, count);
    return count;
}

static void put_results(writer *body, const char *const *names, int first, int end)
{
    for (int i = first; i < end; i++) {
        const kiln_spec spec = output_spec(body->g, i);
        kiln_onnx_put_result(body, names[i], &spec);
    }
}

/* Names of the node's outputs: those of kiln's from `first` on. */
static Onnx__NodeProto *with_outputs(writer *w, Onnx__NodeProto *o, const kiln_node *n, int first, int end)
{
    for (int i = first; i < end; i++)
        kiln_onnx_put_output(w, o, kiln_onnx_name(w, n->out[i]));
    return o;
}

/* Scan --------------------------------------------------------------------------------------------------- */

static void put_directions(writer *w, Onnx__NodeProto *o, int slices, int stacked)
{
    int64_t back[MOST];
    for (int i = 0; i < MOST; i++)
        back[i] = 1;
    kiln_onnx_put_ints(w, o, "scan_input_directions", back, slices);
    if (stacked)
        kiln_onnx_put_ints(w, o, "scan_output_directions", back, stacked);
}

/* The output that stacks what each step gets of carry i; NULL: nobody reads it. */
static const kiln_tensor *kept_carry(const writer *w, const kiln_node *n, int i)
{
    const kiln_tensor *t = &n->out[n->outputs - integer(n, "carry") + i];
    return w->needed[t->id] ? t : NULL;
}

/* ONNX's bodies list carries before slices, and new carries before what is stacked. */
static void write_scan_body(writer *w, const kiln_node *n, Onnx__NodeProto *o)
{
    const kiln_graph *g = n->op->body(n->params, 0);
    const int each = (int)integer(n, "each"), carry = (int)integer(n, "carry");
    const char *names[MOST], *given[MOST];
    const kiln_spec step = {KILN_I64, KILN_SCALAR};
    writer body;
    if (kiln_onnx_open_inner(&body, w, g, true)) {
        for (int i = 0; i < carry; i++)
            given[i] = declare(&body, each + i);
        for (int i = 0; i < each; i++)
            declare(&body, i);
        if (!each)
            kiln_onnx_put_input(&body, kiln_onnx_new_name(&body), &step);
        see_around(&body, w, n, each + carry, each + carry);
        const int count = write_results(&body, names);
        put_results(&body, names, count - carry, count);
        put_results(&body, names, 0, count - carry);
        for (int i = 0; i < carry; i++)
            if (kept_carry(w, n, i)) {
                const kiln_spec own = input_spec(g, each + i);
                kiln_onnx_put_result(&body, kiln_onnx_step(&body, "Identity", IN(given[i])), &own);
            }
    }
    kiln_onnx_finish_body(&body, w, o, "body");
}

static const char *steps_of(writer *w, const kiln_node *n)
{
    const char *count = kiln_onnx_size_name(w, n, integer(n, "length"));
    return kiln_onnx_step(w, "Range",
                          IN(kiln_onnx_new_scalar(w, KILN_I64, 0), kiln_onnx_step(w, "Squeeze", IN(count)),
                             kiln_onnx_new_scalar(w, KILN_I64, 1)));
}

static void write_scan(writer *w, const kiln_node *n, const row *r)
{
    const int each = (int)integer(n, "each"), carry = (int)integer(n, "carry");
    const int slices = each ? each : 1, stacked = kiln_graph_output_count(n->op->body(n->params, 0)) - carry;
    const char *given[MOST];
    int kept = 0;
    for (int i = 0; i < carry; i++)
        given[i] = kiln_onnx_name(w, n->in[each + i]);
    for (int i = 0; i < each; i++)
        given[carry + i] = kiln_onnx_name(w, n->in[i]);
    if (!each)
        given[carry] = steps_of(w, n);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, carry ? kiln_onnx_name(w, n->out[stacked]) : out(w, n),
                                         carry + slices, given);
    with_outputs(w, o, n, stacked + 1, stacked + carry);
    with_outputs(w, o, n, carry ? 0 : 1, stacked);
    for (int i = 0; i < carry; i++)
        if (kept_carry(w, n, i)) {
            kiln_onnx_put_output(w, o, kiln_onnx_name(w, *kept_carry(w, n, i)));
            kept++;
        }
    kiln_onnx_put_int(w, o, "num_scan_inputs", slices);
    if (integer(n, "reverse"))
        put_directions(w, o, slices, stacked + kept);
    write_scan_body(w, n, o);
}

/* Loop --------------------------------------------------------------------------------------------------- */

/* The last carry is how many steps were made. */
static void write_loop_body(writer *w, const kiln_node *n, Onnx__NodeProto *o)
{
    const kiln_graph *g = n->op->body(n->params, 0);
    const int carry = (int)integer(n, "carry"), stacked = (int)integer(n, "stacked");
    const kiln_spec number = {KILN_I64, KILN_SCALAR}, truth = {KILN_BOOL, KILN_SCALAR};
    const char *names[MOST];
    writer body;
    if (kiln_onnx_open_inner(&body, w, g, true)) {
        const char *step = kiln_onnx_new_name(&body), *before = kiln_onnx_new_name(&body);
        kiln_onnx_put_input(&body, step, &number);
        kiln_onnx_put_input(&body, kiln_onnx_new_name(&body), &truth);
        kiln_onnx_call_input(&body, 0, cast(&body, step, NULL, KILN_I32));
        for (int i = 0; i < carry; i++)
            declare(&body, 1 + i);
        kiln_onnx_put_input(&body, before, &number);
        see_around(&body, w, n, 1 + carry, 2 + carry);
        write_results(&body, names);
        const char *made = kiln_onnx_step(&body, "Add", IN(before, kiln_onnx_new_scalar(&body, KILN_I64, 1)));
        put_results(&body, names, 0, 1);
        put_results(&body, names, 1 + stacked, 1 + stacked + carry);
        kiln_onnx_put_result(&body, made, &number);
        put_results(&body, names, 1, 1 + stacked);
    }
    kiln_onnx_finish_body(&body, w, o, "body");
}

/* No more steps than the bound, nor than the trips that are given. */
static const char *trips_of(writer *w, const kiln_node *n)
{
    const char *bound = kiln_onnx_step(w, "Squeeze", IN(kiln_onnx_size_name(w, n, integer(n, "bound"))));
    if (!n->in[0].id)
        return bound;
    return kiln_onnx_step(w, "Min", IN(cast(w, in(w, n, 0), NULL, KILN_I64), bound));
}

static void write_loop(writer *w, const kiln_node *n, const row *r)
{
    const int carry = (int)integer(n, "carry"), stacked = (int)integer(n, "stacked");
    const char *count = kiln_onnx_new_name(w), *given[MOST] = {trips_of(w, n), in(w, n, 1)};
    for (int i = 0; i < carry; i++)
        given[2 + i] = kiln_onnx_name(w, n->in[2 + i]);
    given[2 + carry] = kiln_onnx_new_scalar(w, KILN_I64, 0);
    Onnx__NodeProto *o =
        kiln_onnx_write(w, r->onnx, carry ? kiln_onnx_name(w, n->out[1 + stacked]) : count, 3 + carry, given);
    if (carry) {
        with_outputs(w, o, n, 2 + stacked, 1 + stacked + carry);
        kiln_onnx_put_output(w, o, count);
    }
    with_outputs(w, o, n, 1, 1 + stacked);
    write_loop_body(w, n, o);
    cast(w, count, out(w, n), KILN_I32);
}

/* If ----------------------------------------------------------------------------------------------------- */

static void write_branch(writer *w, const kiln_node *n, Onnx__NodeProto *o, int which, const char *attribute)
{
    const kiln_graph *g = n->op->body(n->params, which);
    const char *names[MOST];
    writer body;
    if (kiln_onnx_open_inner(&body, w, g, true)) {
        see_around(&body, w, n, 0, 1);
        put_results(&body, names, 0, write_results(&body, names));
    }
    kiln_onnx_finish_body(&body, w, o, attribute);
}

static void write_if(writer *w, const kiln_node *n, const row *r)
{
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0)));
    with_outputs(w, o, n, 1, n->outputs);
    write_branch(w, n, o, 0, "then_branch");
    write_branch(w, n, o, 1, "else_branch");
}

/* The table ---------------------------------------------------------------------------------------------- */

const row kiln_onnx_writer_control[] = {
    {"if", "If", write_if, 0},
    {"loop", "Loop", write_loop, 0},
    {"scan", "Scan", write_scan, 0},
    {0},
};
