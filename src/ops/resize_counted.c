/*
 * resize_counted.c - resizing to sizes that depend on data: the places and weights of an axis are computed by the run.
 *
 * A place is a fraction of whole numbers, u(q) = a / b, and so are its floor and what is left: no device rounds them otherwise than
 * another, and the nearest is exact. An axis then becomes a weighted sum of x's slices at two places, or four.
 *
 * Tests: tests/ops/beyond.c.
 */
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/resize.h"

enum { MOST_TAPS = 4 };

/* An axis: x's and y's sizes, I32 scalars, and for each of y's places floor(u), and rest / of = u - floor(u), in [0, 1). */
struct line {
    kiln_graph *g;
    const struct kiln_resize *p;
    int axis;
    kiln_tensor n, last, floor, rest, of;
};

static kiln_tensor whole(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

/* u(q) = a / b, both positive once b is added to a. */
static void find_fraction(const struct line *l, kiln_tensor q, kiln_tensor m, kiln_tensor *a, kiln_tensor *b)
{
    kiln_graph *g = l->g;
    const kiln_tensor one = whole(g, 1), two = whole(g, 2);
    const kiln_tensor middle = kiln_mul(g, kiln_add(g, kiln_mul(g, q, two), one), l->n);
    *b = kiln_mul(g, m, two);
    switch ((kiln_resize_places)l->p->places) {
    case KILN_RESIZE_TF_HALF_PIXEL:
        *a = middle;
        break;
    case KILN_RESIZE_ALIGN_CORNERS:
        *a = kiln_mul(g, q, l->last);
        *b = kiln_max(g, kiln_sub(g, m, one), one);
        break;
    case KILN_RESIZE_ASYMMETRIC:
        *a = kiln_mul(g, q, l->n);
        *b = m;
        break;
    case KILN_RESIZE_PYTORCH_HALF_PIXEL:
        *a = kiln_where(g, kiln_equal(g, m, one), whole(g, 0), kiln_sub(g, middle, m));
        break;
    default:
        *a = kiln_sub(g, middle, m);
    }
}

static void find_places(struct line *l, kiln_tensor x, int64_t size)
{
    kiln_graph *g = l->g;
    const kiln_tensor one = whole(g, 1), q = kiln_sequence(g, KILN_I32, 0, 1, size);
    const kiln_tensor m = kiln_max(g, kiln_cast(g, kiln_count_of(g, q, (kiln_axes){0}), KILN_I32), one);
    kiln_tensor a, b;
    l->n = kiln_max(g, kiln_cast(g, kiln_count_of(g, x, KILN_AXES(l->axis)), KILN_I32), one);
    l->last = kiln_sub(g, l->n, one);
    find_fraction(l, q, m, &a, &b);
    a = kiln_add(g, a, b);
    const kiln_tensor up = kiln_div(g, a, b);
    l->floor = kiln_sub(g, up, one);
    l->rest = kiln_sub(g, a, kiln_mul(g, up, b));
    l->of = b;
}

/* x's slices at whole places, the outermost in the place of those beyond. */
static kiln_tensor slices_at(const struct line *l, kiln_tensor x, kiln_tensor place)
{
    kiln_graph *g = l->g;
    return kiln_gather(g, x, kiln_min(g, kiln_max(g, place, whole(g, 0)), l->last), l->axis);
}

static kiln_tensor nearest(const struct line *l, kiln_tensor x)
{
    kiln_graph *g = l->g;
    const kiln_tensor twice = kiln_mul(g, l->rest, whole(g, 2));
    kiln_tensor up;
    switch ((kiln_resize_rounding)l->p->rounding) {
    case KILN_RESIZE_PREFER_FLOOR:
        up = kiln_less(g, l->of, twice);
        break;
    case KILN_RESIZE_PREFER_CEIL:
        up = kiln_not(g, kiln_less(g, twice, l->of));
        break;
    case KILN_RESIZE_CEIL:
        up = kiln_less(g, whole(g, 0), l->rest);
        break;
    default:
        return slices_at(l, x, l->floor);
    }
    return slices_at(l, x, kiln_add(g, l->floor, kiln_cast(g, up, KILN_I32)));
}

/* Keys' curve at distance t from the place: within 1, and from 1 to 2. */
static kiln_tensor near_curve(kiln_graph *g, kiln_tensor t, double a)
{
    const kiln_tensor line = kiln_shift(g, kiln_scale(g, t, a + 2), -(a + 3));
    return kiln_shift(g, kiln_mul(g, kiln_mul(g, line, t), t), 1);
}

static kiln_tensor far_curve(kiln_graph *g, kiln_tensor t, double a)
{
    const kiln_tensor square = kiln_mul(g, kiln_shift(g, kiln_scale(g, t, a), -5 * a), t);
    return kiln_shift(g, kiln_mul(g, kiln_shift(g, square, 8 * a), t), -4 * a);
}

/* The weights of the elements from floor(u) + *from on; how many. */
static int find_weights(const struct line *l, int *from, kiln_tensor *weight)
{
    kiln_graph *g = l->g;
    const kiln_tensor t = kiln_div(g, kiln_cast(g, l->rest, KILN_F32), kiln_cast(g, l->of, KILN_F32));
    const kiln_tensor back = kiln_shift(g, kiln_neg(g, t), 1);
    const double a = l->p->cubic;
    if (l->p->mode == KILN_RESIZE_LINEAR) {
        *from = 0;
        weight[0] = back;
        weight[1] = t;
        return 2;
    }
    *from = -1;
    weight[0] = far_curve(g, kiln_shift(g, t, 1), a);
    weight[1] = near_curve(g, t, a);
    weight[2] = near_curve(g, back, a);
    weight[3] = far_curve(g, kiln_shift(g, back, 1), a);
    return MOST_TAPS;
}

/* What lies beyond x counts nothing, and the rest as much more. */
static void leave_outside(const struct line *l, int from, int taps, kiln_tensor *weight)
{
    kiln_graph *g = l->g;
    kiln_tensor sum = kiln_scalar(g, KILN_F32, 0);
    for (int i = 0; i < taps; i++) {
        const kiln_tensor place = kiln_add(g, l->floor, whole(g, from + i));
        const kiln_tensor beyond = kiln_or(g, kiln_less(g, place, whole(g, 0)), kiln_less(g, l->last, place));
        weight[i] = kiln_where(g, beyond, kiln_scalar(g, KILN_F32, 0), weight[i]);
        sum = kiln_add(g, sum, weight[i]);
    }
    for (int i = 0; i < taps; i++)
        weight[i] = kiln_div(g, weight[i], sum);
}

static kiln_tensor weighted_sum(const struct line *l, kiln_tensor x)
{
    kiln_graph *g = l->g;
    const kiln_spec spec = kiln_tensor_spec(g, x);
    const kiln_type wide = spec.type == KILN_F64 ? KILN_F64 : KILN_F32;
    kiln_tensor weight[MOST_TAPS], y = KILN_NONE;
    int from;
    const int taps = find_weights(l, &from, weight);
    if (l->p->exclude_outside)
        leave_outside(l, from, taps, weight);
    for (int i = 0; i < taps; i++) {
        const kiln_tensor part = slices_at(l, x, kiln_add(g, l->floor, whole(g, from + i)));
        for (int k = l->axis + 1; k < spec.shape.rank; k++)
            weight[i] = kiln_unsqueeze(g, weight[i], -1);
        const kiln_tensor term = kiln_mul(g, kiln_cast(g, part, wide), kiln_cast(g, weight[i], wide));
        y = y.id ? kiln_add(g, y, term) : term;
    }
    return kiln_cast(g, y, spec.type);
}

static bool is_asked(const struct kiln_resize *p, int axis)
{
    return p->axes >> axis & 1;
}

bool kiln_resize_is_counted(const kiln_graph *g, const struct kiln_resize *p, const kiln_shape *x)
{
    for (int i = 0; i < x->rank; i++)
        if (is_asked(p, i) && p->size[i] &&
            (kiln_dim_is_counted(g, p->size[i]) || kiln_dim_is_counted(g, x->size[i])))
            return true;
    return false;
}

static bool can_be_counted(kiln_graph *g, const struct kiln_resize *p, int axis, int64_t from, int64_t to)
{
    const int64_t n = kiln_dim_most(g, from), m = kiln_dim_most(g, to);
    const char *why = p->antialias                    ? "it is smoothed (antialias)"
                      : p->places == KILN_RESIZE_CROP ? "it is cropped"
                      : p->aspect                     ? "its aspect is kept"
                      : n < 1 || m < 0                ? "a size or a bound is no number above 0"
                      : n > INT32_MAX / (2 * m + 2)   ? "sizes and bounds are too large"
                                                      : NULL;
    if (why)
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "resize: the size of axis %d depends on data, and %s",
                        axis, why);
    return !why;
}

/* Axes of known sizes first, by the kernel: what follows them is less work as a rule. */
kiln_tensor kiln_resize_counted(kiln_graph *g, kiln_tensor x, const struct kiln_resize *p)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    struct kiln_resize known = *p;
    int64_t counted = 0;
    for (int i = 0; i < shape.rank; i++)
        if (is_asked(p, i) && p->size[i] &&
            (kiln_dim_is_counted(g, p->size[i]) || kiln_dim_is_counted(g, shape.size[i])))
            counted |= INT64_C(1) << i;
    known.axes &= ~counted;
    if (known.axes)
        x = kiln_append(g, &kiln_op_resize, &x, 1, &known, sizeof known);
    for (int i = 0; i < shape.rank && x.id; i++) {
        struct line l = {.g = g, .p = p, .axis = i};
        if (!(counted >> i & 1))
            continue;
        if (!can_be_counted(g, p, i, shape.size[i], p->size[i]))
            return KILN_NONE;
        find_places(&l, x, p->size[i]);
        x = p->mode == KILN_RESIZE_NEAREST ? nearest(&l, x) : weighted_sum(&l, x);
    }
    return x;
}
