/* onnx_save_layout.c - sizes, and what gives elements another shape, order, neighbours or a border. */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* Sizes -------------------------------------------------------------------------------------------------- */

static const char *size_along(writer *w, kiln_tensor t, int64_t axis)
{
    const char *shape = kiln_onnx_step(w, "Shape", IN(kiln_onnx_name(w, t)));
    return kiln_onnx_step(w, "Gather", IN(shape, kiln_onnx_new_list(w, &axis, 1)));
}

/* Taken from the shape of an input that is written, or of one that only then is. */
static const char *size_of_input(writer *w, int64_t size, bool written)
{
    for (int i = 0; i < kiln_graph_input_count(w->g); i++) {
        const kiln_tensor input = kiln_graph_input(w->g, i);
        const kiln_shape shape = kiln_tensor_shape(w->g, input);
        int64_t axis = 0;
        while (axis < shape.rank && shape.size[axis] != size)
            axis++;
        if (w->needed[input.id] != written || axis == shape.rank)
            continue;
        const kiln_spec own = kiln_tensor_spec(w->g, input);
        if (!written)
            kiln_onnx_put_input(w, kiln_onnx_name(w, input), &own);
        w->needed[input.id] = true;
        return size_along(w, input, axis);
    }
    return NULL;
}

/* Taken from the shape of a value that is written before n: a reader sees sizes in shapes, and values that count something in values alone. */
static const char *size_of_value(writer *w, const kiln_node *n, int64_t size)
{
    for (int i = 0; i < kiln_graph_node_count(w->g); i++) {
        const kiln_node *before = kiln_graph_node_at(w->g, i);
        if (before == n)
            return NULL;
        for (int k = 0; k < before->outputs; k++) {
            const kiln_shape shape = kiln_tensor_shape(w->g, before->out[k]);
            for (int64_t axis = 0; axis < shape.rank && w->needed[before->out[k].id]; axis++)
                if (shape.size[axis] == size)
                    return size_along(w, before->out[k], axis);
        }
    }
    return NULL;
}

/* As many as a value counts. */
static const char *size_counted(writer *w, const kiln_node *n, kiln_tensor count)
{
    const int64_t one = 1;
    if (!count.id || !w->needed[count.id])
        kiln_onnx_writer_refuse(w, n, "its size is counted by what is not written");
    const char *wide = cast(w, kiln_onnx_name(w, count), NULL, KILN_I64);
    return kiln_onnx_step(w, "Reshape", IN(wide, kiln_onnx_new_list(w, &one, 1)));
}

/* a op b; sizes are not negative, so that division rounds down. */
static const char *size_computed(writer *w, const kiln_node *n, const kiln_dim_parts *e)
{
    static const char *const onnx[] = {
        [KILN_DIM_ADD] = "Add", [KILN_DIM_SUB] = "Sub",      [KILN_DIM_MUL] = "Mul",
        [KILN_DIM_DIV] = "Div", [KILN_DIM_CEIL_DIV] = "Div",
    };
    const int64_t one = 1;
    const char *a = kiln_onnx_size_name(w, n, e->a), *b = kiln_onnx_size_name(w, n, e->b);
    if (e->op == KILN_DIM_CEIL_DIV) {
        const char *less = kiln_onnx_step(w, "Sub", IN(b, kiln_onnx_new_list(w, &one, 1)));
        a = kiln_onnx_step(w, "Add", IN(a, less));
    }
    return kiln_onnx_step(w, onnx[e->op], IN(a, b));
}

const char *kiln_onnx_size_name(writer *w, const kiln_node *n, int64_t size)
{
    kiln_dim_parts e;
    if (size >= 0)
        return kiln_onnx_new_list(w, &size, 1);
    const char *of_input = size_of_input(w, size, true);
    const bool symbol = !kiln_dim_read(w->g, size, &e) || e.op == KILN_DIM_SYMBOL;
    if (!of_input && symbol && !w->within)
        of_input = size_of_input(w, size, false);
    if (of_input)
        return of_input;
    if (symbol) {
        kiln_onnx_writer_refuse(w, n, "no input that is written has its size");
        return "";
    }
    if (e.op != KILN_DIM_BOUNDED)
        return size_computed(w, n, &e);
    const char *of_value = size_of_value(w, n, size);
    return of_value ? of_value : size_counted(w, n, e.count);
}

const char *kiln_onnx_sizes_name(writer *w, const kiln_node *n, const kiln_shape *shape)
{
    const char *parts[KILN_MAX_RANK], *name = kiln_onnx_new_name(w);
    for (int i = 0; i < shape->rank; i++)
        parts[i] = kiln_onnx_size_name(w, n, shape->size[i]);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", name, shape->rank, parts), "axis", 0);
    return name;
}

/* Shapes ------------------------------------------------------------------------------------------------- */

void kiln_onnx_write_axis(writer *w, const kiln_node *n, const row *r)
{
    const char *names[256];
    for (int i = 0; i < n->inputs && i < 256; i++)
        names[i] = in(w, n, i);
    if (n->inputs > 256)
        kiln_onnx_writer_refuse(w, n, "more than 256 inputs");
    else
        kiln_onnx_put_int(w, kiln_onnx_write(w, r->onnx, out(w, n), n->inputs, names), "axis",
                          integer(n, "axis"));
}

/* Reshape's own words: 0 for x's size of that axis, -1 for what is left. */
static void write_reshape(writer *w, const kiln_node *n, const row *r)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t target[KILN_MAX_RANK];
    int left = 0;
    bool plain = true;
    for (int i = 0; i < y.rank; i++) {
        const bool copied = i < x.rank && x.size[i] == y.size[i];
        target[i] = y.size[i] > 0 ? y.size[i] : copied ? 0 : -1;
        left += target[i] == -1;
        plain = plain && (y.size[i] != 0 || copied);
    }
    plain = plain && left <= 1;
    const char *shape = plain ? kiln_onnx_new_list(w, target, y.rank) : kiln_onnx_sizes_name(w, n, &y);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), shape));
    if (!plain)
        kiln_onnx_put_int(w, o, "allowzero", 1);
}

/* Expand leaves an axis alone where it is told 1. */
static void write_expand(writer *w, const kiln_node *n, const row *r)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t target[KILN_MAX_RANK];
    bool plain = true;
    for (int i = 0; i < y.rank; i++) {
        const int own = i - (y.rank - x.rank);
        const bool same = own >= 0 && x.size[own] == y.size[i];
        target[i] = same ? 1 : y.size[i];
        plain = plain && (same || y.size[i] >= 0);
    }
    const char *shape = plain ? kiln_onnx_new_list(w, target, y.rank) : kiln_onnx_sizes_name(w, n, &y);
    kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), shape));
}

static void write_filled(writer *w, const kiln_node *n, const row *r)
{
    const kiln_spec y = spec(w, n->out[0]);
    const char *value = kiln_onnx_new_scalar(w, y.type, !strcmp(r->op, "ones_like"));
    kiln_onnx_write(w, "Expand", out(w, n), IN(value, kiln_onnx_step(w, "Shape", IN(in(w, n, 0)))));
}

static void write_transpose(writer *w, const kiln_node *n, const row *r)
{
    const int rank = spec(w, n->in[0]).shape.rank;
    int64_t order[KILN_MAX_RANK];
    kiln_node_integers(n, "order", order, KILN_MAX_RANK);
    for (int i = 0; i < rank; i++)
        order[i] += order[i] < 0 ? rank : 0;
    kiln_onnx_put_ints(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0))), "perm", order, rank);
}

static void write_slice(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axis = integer(n, "axis"), first = integer(n, "first"), step = integer(n, "step");
    const int64_t given = integer(n, "end"), end = given == KILN_END && step < 0 ? -INT64_MAX : given;
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(in(w, n, 0), kiln_onnx_new_list(w, &first, 1), kiln_onnx_new_list(w, &end, 1),
                       kiln_onnx_new_list(w, &axis, 1), kiln_onnx_new_list(w, &step, 1)));
}

static void write_pad(writer *w, const kiln_node *n, const row *r)
{
    const int rank = spec(w, n->in[0]).shape.rank;
    int64_t before[KILN_MAX_RANK], after[KILN_MAX_RANK], pads[2 * KILN_MAX_RANK];
    kiln_node_integers(n, "before", before, KILN_MAX_RANK);
    kiln_node_integers(n, "after", after, KILN_MAX_RANK);
    memcpy(pads, before, (size_t)rank * sizeof *pads);
    memcpy(pads + rank, after, (size_t)rank * sizeof *pads);
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(in(w, n, 0), kiln_onnx_new_list(w, pads, 2 * rank), scalar(w, n, number(n, "value"))));
}

int64_t kiln_onnx_border_place(int64_t kind, int64_t size, int64_t i)
{
    enum { EDGE, REFLECT, SYMMETRIC, WRAP };
    const int64_t period = kind == WRAP ? size : kind == SYMMETRIC ? 2 * size : size > 1 ? 2 * size - 2 : 1;
    const int64_t place = (i % period + period) % period;
    if (kind == EDGE)
        return i < 0 ? 0 : i < size ? i : size - 1;
    return place < size ? place : period - place - (kind == SYMMETRIC);
}

/* The border as a list of places, one an element of the axis: what ONNX lacks, or ONNX Runtime refuses. */
static const char *border_places(writer *w, int64_t kind, int64_t size, int64_t before, int64_t total)
{
    const char *name = kiln_onnx_new_name(w);
    int64_t *at = kiln_onnx_new_tensor(w, name, KILN_I64, &KILN_SHAPE(total));
    for (int64_t i = 0; at && i < total; i++)
        at[i] = kiln_onnx_border_place(kind, size, i - before);
    return name;
}

/* An axis a node. */
static void write_border(writer *w, const kiln_node *n, const row *r)
{
    enum { EDGE, REFLECT, SYMMETRIC, WRAP };
    static const char *const modes[] = {[EDGE] = "edge", [REFLECT] = "reflect", [WRAP] = "wrap"};
    const int rank = spec(w, n->in[0]).shape.rank;
    const int64_t kind = integer(n, "kind"), axis = integer(n, "axis"), before = integer(n, "before"),
                  after = integer(n, "after"), size = spec(w, n->in[0]).shape.size[axis];
    const bool beyond = kind == REFLECT && size >= 0 && (before >= size || after >= size);
    int64_t pads[2 * KILN_MAX_RANK] = {0};
    pads[axis] = before;
    pads[rank + axis] = after;
    if (size > 0 && (beyond || kind == SYMMETRIC || (kind == WRAP && w->opset < 19))) {
        const char *places = border_places(w, kind, size, before, before + size + after);
        kiln_onnx_put_int(w, kiln_onnx_write(w, "Gather", out(w, n), IN(in(w, n, 0), places)), "axis", axis);
    } else if (kind == SYMMETRIC)
        kiln_onnx_writer_refuse(w, n, "a symmetric border of a symbolic size");
    else if (kind != WRAP || kiln_onnx_writer_needs(w, n, 19))
        kiln_onnx_put_text(
            w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), kiln_onnx_new_list(w, pads, 2 * rank))),
            "mode", modes[kind]);
}

const row kiln_onnx_writer_layout[] = {
    {"border", "Pad", write_border, 0},
    {"concat", "Concat", kiln_onnx_write_axis, 0},
    {"expand", "Expand", write_expand, 0},
    {"expand_to", "Expand", write_expand, 1},
    {"flatten", "Reshape", write_reshape, 0},
    {"no_gradient", NULL, write_filled, 0},
    {"ones_like", NULL, write_filled, 0},
    {"pad", "Pad", write_pad, 0},
    {"reshape", "Reshape", write_reshape, 0},
    {"reshape_to", "Reshape", write_reshape, 1},
    {"slice", "Slice", write_slice, 0},
    {"squeeze", "Reshape", write_reshape, 0},
    {"transpose", "Transpose", write_transpose, 0},
    {"unsqueeze", "Reshape", write_reshape, 0},
    {"zeros_like", NULL, write_filled, 0},
    {0},
};
