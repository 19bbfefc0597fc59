/*
 * onnx_save_gradient_norm.c - gradients of normalization, built of means, sums and elementwise operators. Of a row, with h = (x - mean) inverse
 * and p = dy scale,
 *
 *   dx = inverse (p - mean(p) - h mean(p h)),   dscale = sum(dy h),   dbias = sum(dy)
 *
 * Without a center mean(p) is left out; of lengths it is the sum of p h. Means are computed again: of most operators ONNX gives none.
 */
#include <kiln/norm.h>

#include "import/onnx_save_row.h"

/* Where rows lie in x, as src/ops/normalize.c has it. */
enum { AXES, AXIS, GROUPS, WHOLE };
enum { X, DY, MEAN, INVERSE, SCALE };

struct rows {
    int64_t form;
    bool length;                        /* of rows, not their deviation */
    kiln_shape shape;                   /* of x, with the groups of channels apart: [N, G, C / G, ..] */
    kiln_axes axes;                     /* that a row walks */
    kiln_tensor dy, h, inverse, longer; /* longer: where a length is more than the least; KILN_NONE: always */
};

static kiln_shape with_groups(const kiln_node *n, const kiln_shape *x)
{
    const int64_t given = integer(n, "groups");
    kiln_shape s = {.rank = x->rank + 1,
                    .size = {x->size[0], given ? given : x->size[1], given ? x->size[1] / given : 1}};
    for (int i = 2; i < x->rank; i++)
        s.size[i + 1] = x->size[i];
    return s;
}

static void measure(kiln_graph *g, const kiln_node *n, kiln_tensor x, struct rows *r)
{
    const kiln_reduce_params each = {.axes = r->axes, .keep = true};
    const double epsilon = number(n, "epsilon");
    kiln_tensor variance;
    if (r->length) {
        const kiln_tensor least = kiln_scalar(g, KILN_F32, epsilon), length = kiln_reduce_l2(g, x, &each);
        r->longer = kiln_less(g, least, length);
        r->inverse = kiln_reciprocal(g, kiln_max(g, length, least));
    } else if (n->in[MEAN].id) {
        x = kiln_sub(g, x, kiln_moments(g, x, r->axes, &variance));
        r->inverse = kiln_rsqrt(g, kiln_shift(g, variance, epsilon));
    } else {
        const kiln_tensor squares = kiln_mean(g, kiln_square(g, x), &each);
        r->inverse = kiln_rsqrt(g, kiln_shift(g, squares, epsilon));
    }
    r->h = kiln_mul(g, x, r->inverse);
}

static struct rows rows_of(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const kiln_shape x = kiln_tensor_shape(g, in[X]);
    struct rows r = {.form = integer(n, "form"), .shape = x};
    r.length = r.form == AXIS || r.form == WHOLE;
    if (r.form == GROUPS && (x.size[1] < 0 || x.rank == KILN_MAX_RANK)) {
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "groups of a symbolic number of channels");
        return r;
    }
    if (r.form == GROUPS)
        r.shape = with_groups(n, &x);
    const int first = r.form == GROUPS ? 2 : (int)integer(n, "axis"),
              end = r.form == AXIS ? first + 1 : r.shape.rank;
    for (int i = first; i < end; i++)
        r.axes.axis[r.axes.count++] = i;
    r.dy = kiln_reshape(g, as_float(g, in[DY]), r.shape);
    measure(g, n, kiln_reshape(g, as_float(g, in[X]), r.shape), &r);
    return r;
}

/* A scale as what broadcasts to rows: it has a number for each value of a row, each channel or each row. */
static kiln_tensor beside(kiln_graph *g, const struct rows *r, kiln_tensor scale)
{
    kiln_tensor s = as_float(g, scale);
    int behind = r->form == WHOLE ? r->shape.rank - 1 : 0;
    if (r->form == GROUPS) {
        s = kiln_reshape(g, s, KILN_SHAPE(r->shape.size[1], r->shape.size[2]));
        behind = r->shape.rank - 3;
    }
    while (behind-- > 0)
        s = kiln_unsqueeze(g, s, -1);
    return s;
}

static void compose_by_x(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const struct rows r = rows_of(g, n, in);
    const kiln_reduce_params each = {.axes = r.axes, .keep = true};
    const kiln_tensor p = in[SCALE].id ? kiln_mul(g, r.dy, beside(g, &r, in[SCALE])) : r.dy;
    const kiln_tensor both = kiln_mul(g, p, r.h);
    kiln_tensor pull = r.length ? kiln_sum(g, both, &each) : kiln_mean(g, both, &each), left = p;
    if (r.longer.id)
        pull = kiln_where(g, r.longer, pull, kiln_scalar(g, KILN_F32, 0));
    if (in[MEAN].id)
        left = kiln_sub(g, left, kiln_mean(g, p, &each));
    const kiln_tensor dx = kiln_mul(g, r.inverse, kiln_sub(g, left, kiln_mul(g, r.h, pull)));
    out[0] = kiln_cast(g, kiln_reshape_to(g, dx, in[X]), kiln_tensor_type(g, in[X]));
}

/* What does not belong to a scale is summed. */
static kiln_tensor by_scale(kiln_graph *g, const struct rows *r, kiln_tensor t, kiln_tensor like)
{
    kiln_reduce_params p = {{.count = 0}};
    for (int i = 0; i < r->shape.rank; i++) {
        const bool own = r->form == AXES     ? i >= r->axes.axis[0]
                         : r->form == GROUPS ? i == 1 || i == 2
                                             : i == 0;
        if (!own)
            p.axes.axis[p.axes.count++] = i;
    }
    const kiln_tensor sum = p.axes.count ? kiln_sum(g, t, &p) : t;
    return kiln_cast(g, kiln_reshape_to(g, sum, like), kiln_tensor_type(g, like));
}

static void compose_by_scale(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const struct rows r = rows_of(g, n, in);
    out[0] = by_scale(g, &r, kiln_mul(g, r.dy, r.h), in[SCALE]);
    out[1] = by_scale(g, &r, r.dy, in[SCALE]);
}

/* Over a whole batch, of channels whose mean and inverse are there. */
static void compose_channel_sums(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    kiln_reduce_params p = {.axes = KILN_AXES(0), .keep = true};
    (void)n;
    for (int i = 2; i < kiln_tensor_shape(g, in[X]).rank; i++)
        p.axes.axis[p.axes.count++] = i;
    const kiln_tensor dy = as_float(g, in[DY]);
    const kiln_tensor h = kiln_mul(g, kiln_sub(g, as_float(g, in[X]), in[MEAN]), in[INVERSE]);
    out[0] = kiln_sum(g, kiln_mul(g, dy, h), &p);
    out[1] = kiln_sum(g, dy, &p);
}

/* Sums over neighbouring channels: `before` and `after` each. */
static kiln_tensor near(kiln_graph *g, kiln_tensor x, int64_t before, int64_t after)
{
    int64_t front[KILN_MAX_RANK] = {0, before}, back[KILN_MAX_RANK] = {0, after};
    const kiln_tensor wide = kiln_pad(g, x, front, back, 0);
    kiln_tensor sum = KILN_NONE;
    for (int64_t i = 0; i <= before + after; i++) {
        const kiln_tensor part =
            kiln_slice(g, wide, 1, i, i < before + after ? i - before - after : KILN_END, 1);
        sum = sum.id ? kiln_add(g, sum, part) : part;
    }
    return sum;
}

/* With s what is taken to the power -beta: dx = dy s^-beta - 2 alpha beta / size x sum(dy y / s), over whom x is near to. */
static void compose_responses(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    enum { MOST_NEAR = 64 };
    const int64_t size = integer(n, "size");
    const double beta = number(n, "beta"), share = number(n, "alpha") / (double)size;
    const kiln_tensor x = as_float(g, in[0]), dy = as_float(g, in[1]);
    if (size > MOST_NEAR) {
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "sums over more than 64 channels");
        return;
    }
    const kiln_tensor squares = near(g, kiln_square(g, x), (size - 1) / 2, size / 2);
    const kiln_tensor s = kiln_shift(g, kiln_scale(g, squares, share), number(n, "bias"));
    const kiln_tensor rate = kiln_pow(g, s, kiln_scalar(g, KILN_F32, -beta)), pull = kiln_mul(g, dy, rate);
    const kiln_tensor back = near(g, kiln_div(g, kiln_mul(g, pull, x), s), size / 2, (size - 1) / 2);
    out[0] = kiln_cast(g, kiln_sub(g, pull, kiln_mul(g, x, kiln_scale(g, back, 2 * share * beta))),
                       kiln_tensor_type(g, in[0]));
}

const row kiln_onnx_writer_gradient_norm[] = {
    {"channel_sums", .compose = compose_channel_sums},
    {"lrn_grad", .compose = compose_responses, .reads = 1 << 0 | 1 << 1},
    {"normalize_grad", .compose = compose_by_x, .reads = 1 << X | 1 << DY | 1 << SCALE},
    {"normalize_sums", .compose = compose_by_scale, .reads = 1 << X | 1 << DY | 1 << SCALE},
    {0},
};
