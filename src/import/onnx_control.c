/* onnx_control.c - Scan. */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx_body.h"

/* Scan ------------------------------------------------------------------------------------------------------------- */

/* What a Scan becomes: its steps lie along axis 0 of `each`. */
struct steps {
    kiln_scan_params p;
    int each, carries, stacked;
};

static int64_t at_or(const int64_t *list, int count, int i, int64_t otherwise)
{
    return list && i < count ? list[i] : otherwise;
}

/* Scan inputs lie behind the states; a step takes a slice of each, along its axis and in its direction. */
static void take_each(kiln_onnx_node *n, struct steps *s)
{
    int axes, directions;
    const int64_t *axis = kiln_onnx_ints(n, "scan_input_axes", &axes),
                  *back = kiln_onnx_ints(n, "scan_input_directions", &directions);
    for (int i = 0; i < s->each && !n->refused; i++) {
        const kiln_tensor x = kiln_onnx_in(n, s->carries + i);
        const int from = kiln_onnx_axis(n, at_or(axis, axes, i, 0), kiln_tensor_shape(n->g, x).rank);
        s->p.each[i] = kiln_move_axis(n->g, x, from, 0);
        if (at_or(back, directions, i, 0))
            s->p.each[i] = kiln_flip(n->g, s->p.each[i], 0);
    }
}

/* What was stacked, along its axis and in its direction. */
static kiln_tensor laid_out(kiln_onnx_node *n, kiln_tensor y, int i)
{
    int axes, directions;
    const int64_t *axis = kiln_onnx_ints(n, "scan_output_axes", &axes),
                  *back = kiln_onnx_ints(n, "scan_output_directions", &directions);
    const int to = kiln_onnx_axis(n, at_or(axis, axes, i, 0), kiln_tensor_shape(n->g, y).rank);
    if (at_or(back, directions, i, 0))
        y = kiln_flip(n->g, y, 0);
    return n->refused ? y : kiln_move_axis(n->g, y, 0, to);
}

static kiln_spec slice_of(const kiln_graph *g, kiln_tensor x)
{
    const kiln_spec spec = kiln_tensor_spec(g, x);
    return (kiln_spec){spec.type, kiln_shape_of(spec.shape.rank - 1, &spec.shape.size[1])};
}

/* ONNX's bodies list states before slices, and new states before what is stacked. */
static bool read_scan_body(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph,
                           const struct steps *s, const struct kiln_onnx_captured *c)
{
    if (!kiln_onnx_body_open(b, n, graph))
        return false;
    for (int i = 0; i < s->each; i++)
        kiln_onnx_body_bound(b,
                             kiln_onnx_body_formal(b, (size_t)(s->carries + i), slice_of(n->g, s->p.each[i])),
                             s->p.each[i]);
    for (int i = 0; i < s->carries; i++)
        kiln_onnx_body_formal(b, (size_t)i, kiln_tensor_spec(n->g, s->p.carry[i]));
    kiln_onnx_body_see(b, c);
    kiln_onnx_body_read(b);
    for (int i = 0; i < s->stacked; i++)
        kiln_onnx_body_put(b, (size_t)(s->carries + i));
    if (b->m.beyond.id)
        kiln_output(b->m.g, "beyond", kiln_onnx_copy(b->m.g, b->m.beyond));
    for (int i = 0; i < s->carries; i++)
        kiln_onnx_body_put(b, (size_t)i);
    return kiln_onnx_body_is_whole(b);
}

/* Counts them, inputs from `first` on; false after a refusal. */
static bool count_steps(kiln_onnx_node *n, int first, struct steps *s)
{
    const int64_t each = kiln_onnx_int(n, "num_scan_inputs", 0);
    const bool fits = each >= 1 && each <= n->inputs - first;
    *s = (struct steps){.each = fits ? (int)each : 0};
    s->carries = n->inputs - first - s->each;
    s->stacked = n->outputs - s->carries;
    if (!fits || s->stacked < 0 || n->inputs >= KILN_BODY_VALUES || n->outputs >= KILN_BODY_VALUES)
        kiln_onnx_refuse(n, "%lld of %d inputs are scanned, for %d outputs", (long long)each, n->inputs,
                         n->outputs);
    return !n->refused;
}

/* What is stacked comes first in `out`. */
static void scan(kiln_onnx_node *n, const Onnx__GraphProto *graph, struct steps *s,
                 struct kiln_onnx_captured *c, kiln_tensor *out)
{
    struct kiln_onnx_body b = {0};
    if (read_scan_body(&b, n, graph, s, c)) {
        kiln_onnx_give(n, c, s->p.with);
        kiln_scan(n->g, b.m.g, &s->p, out);
        if (b.m.beyond.id) {
            kiln_onnx_note_beyond_in_steps(n->m, out[s->stacked]);
            memmove(out + s->stacked, out + s->stacked + 1, (size_t)s->carries * sizeof *out);
        }
    }
    kiln_onnx_body_close(&b);
}

void kiln_onnx_build_scan(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    struct kiln_onnx_captured c = {0};
    struct steps s;
    kiln_tensor out[KILN_ONNX_MOST_INPUTS] = {KILN_NONE};
    if (!graph || !count_steps(n, 0, &s))
        return;
    for (int i = 0; i < s.carries; i++)
        s.p.carry[i] = kiln_onnx_in(n, i);
    take_each(n, &s);
    kiln_onnx_capture(n->m, &c, graph);
    if (kiln_onnx_has_captured(n, &c))
        scan(n, graph, &s, &c, out);
    for (int i = 0; i < s.carries; i++)
        kiln_onnx_out(n, i, out[s.stacked + i]);
    for (int i = 0; i < s.stacked && !n->refused; i++)
        kiln_onnx_out(n, s.carries + i, laid_out(n, out[i], i));
    kiln_vec_finish(&c.known);
}

/* Element `at` of axis 0. */
static kiln_tensor member(kiln_graph *g, kiln_tensor x, int64_t at)
{
    return x.id ? kiln_squeeze(g, kiln_slice(g, x, 0, at, at + 1, 1), 0) : KILN_NONE;
}

/*
 * Before opset 9 a batch lies before the steps, and the lengths of its sequences come first: a body knows neither, so each
 * sequence is scanned by itself.
 */
void kiln_onnx_build_scan_batched(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    kiln_tensor out[KILN_ONNX_MOST_INPUTS] = {KILN_NONE}, all[KILN_ONNX_MOST_INPUTS] = {KILN_NONE};
    struct kiln_onnx_captured c = {0};
    struct steps s;
    int directions;
    if (!graph || !count_steps(n, 1, &s))
        return;
    const int64_t *back = kiln_onnx_ints(n, "directions", &directions);
    const kiln_shape first = kiln_onnx_spec(n, 1).shape;
    if (kiln_onnx_has(n, 0) || first.rank < 1 || first.size[0] < 1)
        kiln_onnx_refuse(n, "lengths of sequences, or a batch of unknown size");
    kiln_onnx_capture(n->m, &c, graph);
    for (int64_t k = 0; !n->refused && kiln_onnx_has_captured(n, &c) && k < first.size[0]; k++) {
        for (int i = 0; i < s.carries; i++)
            s.p.carry[i] = member(n->g, kiln_onnx_in(n, 1 + i), k);
        for (int i = 0; i < s.each; i++) {
            s.p.each[i] = member(n->g, kiln_onnx_in(n, 1 + s.carries + i), k);
            if (at_or(back, directions, i, 0))
                s.p.each[i] = kiln_flip(n->g, s.p.each[i], 0);
        }
        scan(n, graph, &s, &c, out);
        for (int i = 0; i < n->outputs; i++)
            all[i] = kiln_onnx_gathered(n->g, all[i], out[i < s.carries ? s.stacked + i : i - s.carries]);
    }
    for (int i = 0; i < n->outputs; i++)
        kiln_onnx_out(n, i, all[i]);
    kiln_vec_finish(&c.known);
}
