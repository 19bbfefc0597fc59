/* onnx_pad.c - what is put around tensors, or cut off: by pads, and about the centre. */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

static bool moderate(int64_t pad)
{
    return pad >= -INT32_MAX && pad <= INT32_MAX;
}

/* What becomes of each axis of x: pads before and after, negative where it is cut; and whether, and to what size, it is filled first. */
struct pads {
    int64_t before[KILN_MAX_RANK], after[KILN_MAX_RANK], to[KILN_MAX_RANK];
    bool fills[KILN_MAX_RANK];
};

/* Whether it is the bound of a counted size, or the bound of that, which may be counted, too. */
static bool is_bound_of(kiln_graph *g, int64_t size, int64_t bound)
{
    kiln_dim_parts parts;
    while (kiln_dim_read(g, size, &parts) && parts.op == KILN_DIM_BOUNDED) {
        if (parts.a == bound)
            return true;
        size = parts.a;
    }
    return bound == kiln_dim_most(g, size);
}

/* Whether the pad behind is what a counted axis lacks of a size, as kiln_whole is written: a number, or a bound. */
static bool take_filled(kiln_graph *g, int64_t size, const struct kiln_onnx_item *behind, int64_t *to)
{
    kiln_dim_parts parts;
    if (!behind->symbol || !kiln_dim_is_counted(g, size) || !kiln_dim_read(g, behind->i, &parts) ||
        parts.op != KILN_DIM_SUB || parts.b != size)
        return false;
    *to = parts.a;
    return is_bound_of(g, size, parts.a) ||
           (parts.a >= 0 && kiln_dim_most(g, size) >= 0 && moderate(parts.a));
}

static bool take_pads(kiln_onnx_node *n, const kiln_shape *x, bool fills, struct pads *out)
{
    struct kiln_onnx_list pads, axes = {0};
    const char *name = n->opset < 2 ? "paddings" : "pads";
    if (!kiln_onnx_list(n, name, 11, 1, &pads) ||
        (n->opset >= 18 && !kiln_onnx_list(n, "axes", 18, 3, &axes)))
        return false;
    const int count = axes.given ? axes.count : x->rank;
    if (pads.count != 2 * count) {
        kiln_onnx_refuse(n, "%d pads for %d axes", pads.count, count);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const int axis = axes.given ? kiln_onnx_axis(n, axes.item[i].i, x->rank) : i;
        struct kiln_onnx_item before = pads.item[i], after = pads.item[count + i];
        if (n->refused)
            return false;
        out->fills[axis] = fills && take_filled(n->g, x->size[axis], &after, &out->to[axis]);
        if (out->fills[axis])
            after = (struct kiln_onnx_item){0};
        if (before.symbol || after.symbol) {
            kiln_onnx_refuse(n, "pads that are not known");
            return false;
        }
        if (!moderate(before.i) || !moderate(after.i)) {
            kiln_onnx_refuse(n, "pads of %lld and %lld", (long long)before.i, (long long)after.i);
            return false;
        }
        out->before[axis] = before.i;
        out->after[axis] = after.i;
    }
    return true;
}

static bool border_of(const char *mode, kiln_border *border)
{
    static const char *const names[] = {
        [KILN_BORDER_EDGE] = "edge", [KILN_BORDER_REFLECT] = "reflect", [KILN_BORDER_WRAP] = "wrap"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (names[i] && !strcmp(mode, names[i])) {
            *border = (kiln_border)i;
            return true;
        }
    return false;
}

/* Pads of a value that the run computes: zeros first, which are then told from what was there. */
static kiln_tensor pad_computed(kiln_onnx_node *n, kiln_tensor x, const int64_t *before, const int64_t *after)
{
    const kiln_tensor inside = kiln_pad(n->g, kiln_ones_like(n->g, x), before, after, 0);
    const kiln_tensor value = kiln_onnx_scalar(n, 2);
    return kiln_where(n->g, kiln_cast(n->g, inside, KILN_BOOL), kiln_pad(n->g, x, before, after, 0), value);
}

/* A counted axis of that size, or with all that it has room for, which may be more or less. */
static kiln_tensor whole_axis(kiln_graph *g, kiln_tensor x, int axis, double value, int64_t to, int64_t *size)
{
    while (x.id && (*size = kiln_tensor_shape(g, x).size[axis]) != to && kiln_dim_is_counted(g, *size))
        x = kiln_whole(g, x, axis, value);
    return x;
}

/* x with its counted axes filled, and cut where pads are negative. */
static kiln_tensor fill_and_cut(kiln_onnx_node *n, const kiln_shape *x, struct pads *p, double value)
{
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 0; i < x->rank; i++) {
        int64_t size = x->size[i];
        if (p->fills[i]) {
            y = whole_axis(n->g, y, i, value, p->to[i], &size);
            p->after[i] = p->to[i] - size;
        }
        const int64_t front = p->before[i] < 0 ? -p->before[i] : 0, back = p->after[i] < 0 ? -p->after[i] : 0;
        if ((front || back) && (size < 0 || front > size || back > size - front)) {
            kiln_onnx_refuse(n, "negative pads that take more than axis %d has", i);
            return KILN_NONE;
        }
        if (front || back)
            y = kiln_slice(n->g, y, i, front, size - back, 1);
        p->before[i] += front;
        p->after[i] += back;
    }
    return y;
}

/* Whether an axis was filled, and there is nothing else to do. */
static bool is_filled(const kiln_shape *x, const struct pads *p)
{
    bool filled = false, more = false;
    for (int i = 0; i < x->rank; i++) {
        filled |= p->fills[i];
        more |= p->before[i] || p->after[i];
    }
    return filled && !more;
}

void kiln_onnx_build_pad(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const char *mode = kiln_onnx_text(n, "mode", "constant");
    double value = n->opset < 11 ? kiln_onnx_real(n, "value", 0) : 0;
    kiln_border border = KILN_BORDER_EDGE;
    struct pads pads = {{0}};
    const bool constant = !strcmp(mode, "constant");
    if (!constant && !border_of(mode, &border)) {
        kiln_onnx_refuse(n, "mode %s is not supported", mode);
        return;
    }
    const bool computed = n->opset >= 11 && kiln_onnx_has(n, 2) && !kiln_onnx_number(n, 2, &value);
    if (!take_pads(n, &x.shape, constant && !computed, &pads))
        return;
    const kiln_tensor y = fill_and_cut(n, &x.shape, &pads, value);
    if (!n->refused)
        kiln_onnx_out(n, 0,
                      is_filled(&x.shape, &pads) ? y
                      : !constant                ? kiln_pad_border(n->g, y, pads.before, pads.after, border)
                      : computed                 ? pad_computed(n, y, pads.before, pads.after)
                                                 : kiln_pad(n->g, y, pads.before, pads.after, value));
}

/* The axis cut, or with zeros around it, to that size: an odd element is cut, or added, behind. */
static kiln_tensor centred(kiln_graph *g, kiln_tensor x, int axis, int64_t size)
{
    const int64_t given = kiln_tensor_shape(g, x).size[axis];
    int64_t before[KILN_MAX_RANK] = {0}, after[KILN_MAX_RANK] = {0};
    if (size == given)
        return x;
    if (size < given)
        return kiln_slice(g, x, axis, (given - size) / 2, (given - size) / 2 + size, 1);
    before[axis] = (size - given) / 2;
    after[axis] = size - given - before[axis];
    return kiln_pad(g, x, before, after, 0);
}

void kiln_onnx_build_center_crop_pad(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_list sizes;
    kiln_shape wanted;
    int count;
    const int64_t *axes = kiln_onnx_ints(n, "axes", &count);
    if (!kiln_onnx_list(n, "shape", 1, 1, &sizes) || !kiln_onnx_shape(n, &sizes, &wanted))
        return;
    if (wanted.rank != (axes ? count : x.rank)) {
        kiln_onnx_refuse(n, "a shape of %d sizes for %d axes", wanted.rank, axes ? count : x.rank);
        return;
    }
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 0; i < wanted.rank && !n->refused; i++) {
        const int axis = axes ? kiln_onnx_axis(n, axes[i], x.rank) : i;
        if (!n->refused && x.size[axis] != wanted.size[i] && (x.size[axis] < 0 || wanted.size[i] < 0))
            kiln_onnx_refuse(n, "the size of axis %d is not known", axis);
        if (!n->refused)
            y = centred(n->g, y, axis, wanted.size[i]);
    }
    kiln_onnx_out(n, 0, y);
}
