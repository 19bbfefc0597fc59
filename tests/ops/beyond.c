/*
 * beyond.c - axes whose sizes depend on data: whatever lies beyond the count, results are those of the elements that are there.
 *
 * Each case is computed twice: with the first `count` rows of a larger value whose others are arbitrary, even not numbers, and
 * with a value that has these rows alone.
 */
#include <kiln/resize.h>

#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOUND = 7, COUNT = 4, WIDTH = 3 };

typedef kiln_tensor body(kiln_graph *g, kiln_tensor x, kiln_tensor w); /* x [n, WIDTH], w [WIDTH, 2] */

static struct net {
    kiln_graph *g;
    kiln_tensor x, w, count, y, dx, dw;
} start(bool counted, int count, body *fn)
{
    struct net n = {0};
    cr_assert_eq(kiln_graph_create(&n.g, NULL), KILN_OK);
    n.x = kiln_input(n.g, "x", KILN_F32, KILN_SHAPE(counted ? BOUND : count, WIDTH));
    n.w = kiln_input(n.g, "w", KILN_F32, KILN_SHAPE(WIDTH, 2));
    n.count = kiln_input(n.g, "count", KILN_I32, KILN_SCALAR);
    n.y = fn(n.g, counted ? kiln_first(n.g, n.x, n.count, 0) : n.x, n.w);
    cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s", kiln_graph_error(n.g));
    const kiln_tensor of[] = {n.x, n.w};
    kiln_tensor d[2];
    if (kiln_type_is_real(kiln_tensor_type(n.g, n.y))) {
        const kiln_tensor loss = kiln_sum(n.g, kiln_square(n.g, n.y), NULL);
        kiln_gradient(n.g, loss, KILN_NONE, of, 2, d);
        cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s", kiln_graph_error(n.g));
        n.dx = d[0];
        n.dw = d[1];
    }
    return n;
}

static float value_of(int i)
{
    return (float)((i * 37 + 11) % 23) / 8 - 1.25f;
}

/* What is read: values as doubles, and the shape. */
struct read {
    kiln_shape shape;
    double value[2 * BOUND * BOUND];
};

static struct read read_result(kiln_program *p, const struct net *n, kiln_tensor t)
{
    struct read r = {.shape = KILN_SCALAR};
    kiln_array to = {.data = r.value, .bytes = sizeof r.value, .type = KILN_F64};
    cr_assert_eq(kiln_program_read(p, t, &to), KILN_OK);
    cr_assert_eq(kiln_program_shape(p, t, &r.shape), KILN_OK);
    cr_assert(kiln_shape_equal(&r.shape, &to.shape));
    const kiln_type type = kiln_tensor_type(n->g, t);
    for (size_t i = (size_t)kiln_shape_count(&r.shape); i-- > 0 && !kiln_type_is_real(type);)
        r.value[i] = type == KILN_BOOL ? (double)((uint8_t *)r.value)[i] : (double)((int32_t *)r.value)[i];
    return r;
}

static void run(struct net *n, kiln_device *dev, int count, struct read *out)
{
    kiln_weights *weights = NULL;
    kiln_program *p = NULL;
    const bool real = n->dx.id;
    const kiln_tensor list[] = {n->y, real ? n->dx : KILN_NONE, n->dw, KILN_NONE};
    float x[BOUND * WIDTH], w[WIDTH * 2];
    const int32_t whole = count;
    for (int i = 0; i < BOUND * WIDTH; i++)
        x[i] = i < count * WIDTH ? value_of(i) : i % 2 ? NAN : INFINITY;
    for (int i = 0; i < WIDTH * 2; i++)
        w[i] = value_of(i + 5);
    cr_assert_eq(kiln_weights_create(&weights, n->g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, n->g, weights, &(kiln_program_params){.run = list}), KILN_OK);
    for (int i = 0; i < kiln_program_input_count(p); i++) {
        const kiln_tensor in = kiln_program_input(p, i);
        const kiln_array array = {
            .data = in.id == n->x.id   ? (void *)x
                    : in.id == n->w.id ? (void *)w
                                       : (void *)(uintptr_t)&whole,
            .type = kiln_tensor_type(n->g, in),
            .shape = kiln_tensor_shape(n->g, in),
        };
        cr_assert_eq(kiln_program_write(p, in, &array), KILN_OK);
    }
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    for (int i = 0; list[i].id; i++)
        out[i] = read_result(p, n, list[i]);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&n->g);
}

/* The gradient by x has rows of the whole value: those beyond the count are 0. */
static void compare(const struct read *got, const struct read *want, int which, const char *why,
                    const char *device)
{
    const size_t count = (size_t)kiln_shape_count(&want->shape), all = (size_t)kiln_shape_count(&got->shape);
    cr_expect(which == 1 || kiln_shape_equal(&got->shape, &want->shape),
              "%s on %s: value %d has another shape", why, device, which);
    for (size_t i = 0; i < all; i++) {
        const double wanted = i < count ? want->value[i] : 0;
        const bool same = isnan(wanted) ? isnan(got->value[i])
                                        : fabs(got->value[i] - wanted) <= 1e-5 * fmax(1, fabs(wanted));
        if (!same && !(wanted == got->value[i]))
            cr_expect(false, "%s on %s: element %zu of value %d is %g, wanted %g", why, device, i, which,
                      got->value[i], wanted);
    }
}

static void expect_same(body *fn, int count, const char *why)
{
    for (int d = 0; kiln_test_device(d); d++) {
        struct read got[3], want[3];
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        struct net counted = start(true, count, fn), plain = start(false, count, fn);
        const int results = counted.dx.id ? 3 : 1;
        run(&counted, dev, count, got);
        run(&plain, dev, count, want);
        for (int i = 0; i < results; i++)
            compare(&got[i], &want[i], i, why, kiln_test_device(d));
        kiln_test_close(&dev);
    }
}

/* Bodies ------------------------------------------------------------------------------------------------- */

#define BODY(name, ...)                                                  \
    static kiln_tensor name(kiln_graph *g, kiln_tensor x, kiln_tensor w) \
    {                                                                    \
        (void)w;                                                         \
        return __VA_ARGS__;                                              \
    }

static const kiln_reduce_params rows = {.axes = {1, {0}}}, columns = {.axes = {1, {1}}};
static const kiln_cumulative_params back = {.reverse = true};

BODY(elementwise, kiln_exp(g, kiln_mul(g, x, x)))
BODY(sum_of_rows, kiln_sum(g, x, &rows))
BODY(sum_of_all, kiln_sum(g, x, NULL))
BODY(sums_in_rows, kiln_sum(g, x, &columns))
BODY(mean_of_rows, kiln_mean(g, x, &rows))
BODY(mean_of_all, kiln_mean(g, x, NULL))
BODY(largest, kiln_reduce_max(g, x, &rows))
BODY(least, kiln_reduce_min(g, x, &rows))
BODY(where_largest, kiln_argmax(g, x, 0, false))
BODY(softmax_along, kiln_softmax(g, x, 0))
BODY(softmax_across, kiln_softmax(g, x, 1))
BODY(log_softmax_along, kiln_log_softmax(g, x, 0))
BODY(dense, kiln_matmul(g, x, w, NULL))
BODY(inner, kiln_matmul(g, x, x, &(kiln_matmul_params){.transpose_a = true}))
BODY(outer, kiln_matmul(g, x, x, &(kiln_matmul_params){.transpose_b = true}))
BODY(bias, kiln_add(g, x, kiln_reshape(g, kiln_slice(g, w, 1, 0, 1, 1), KILN_SHAPE(1, WIDTH))))
BODY(sorted, kiln_sort(g, x, 0, false, NULL))
BODY(sorted_down, kiln_sort(g, x, 0, true, NULL))
BODY(two_largest, kiln_top_k(g, x, 2, 0, NULL, NULL))
BODY(sums_so_far, kiln_cumsum(g, x, 0, NULL))
BODY(sums_from_end, kiln_cumsum(g, x, 0, &back))
BODY(products_from_end, kiln_cumprod(g, x, 0, &back))
BODY(most_from_end, kiln_cummax(g, x, 0, &back, NULL))
BODY(transposed, kiln_transpose(g, x, (const int[]){1, 0}))
BODY(flattened, kiln_sum(g, kiln_square(g, kiln_flatten(g, x, 0)), &columns))
BODY(as_one_row, kiln_cumsum(g, kiln_reshape(g, x, KILN_SHAPE(KILN_REST)), 0, NULL))
BODY(after_the_first, kiln_slice(g, x, 0, 1, KILN_END, 1))
BODY(padded, kiln_cumsum(g, kiln_pad(g, x, (const int64_t[]){2, 0}, (const int64_t[]){0, 1}, 0.5), 0, &back))
BODY(behind,
     kiln_sum(g, kiln_concat(g, (const kiln_tensor[]){kiln_transpose(g, w, (const int[]){1, 0}), x}, 2, 0),
              &rows))
BODY(loss, kiln_mean_squared_error(g, x, kiln_scale(g, x, 0.5)))
BODY(entropy, kiln_cross_entropy(g, x, kiln_argmax(g, x, 1, false)))
BODY(normalized, kiln_sub(g, x, kiln_mean(g, x, &(kiln_reduce_params){.axes = {1, {0}}, .keep = true})))

static kiln_tensor constant_index(kiln_graph *g, kiln_shape shape, const int32_t *values)
{
    const kiln_array array = {.data = (void *)(uintptr_t)values, .type = KILN_I32, .shape = shape};
    return kiln_constant(g, &array);
}

BODY(picked, kiln_gather(g, x, constant_index(g, KILN_SHAPE(3), (const int32_t[]){0, -1, 0}), 0))
BODY(before_others,
     kiln_concat(g, (const kiln_tensor[]){x, kiln_transpose(g, w, (const int[]){1, 0}), kiln_neg(g, x)}, 3,
                 0))
BODY(picked_rows, kiln_gather_nd(g, x, constant_index(g, KILN_SHAPE(3, 1), (const int32_t[]){0, -1, 0}), 0))
BODY(picked_places,
     kiln_gather_nd(g, x, constant_index(g, KILN_SHAPE(2, 2), (const int32_t[]){-1, -1, 0, 1}), 0))
BODY(picked_by_order, kiln_gather(g, x, kiln_argsort(g, kiln_sum(g, x, &columns), 0, false), 0))
BODY(scattered,
     kiln_scatter(g, kiln_square(g, kiln_transpose(g, w, (const int[]){1, 0})),
                  kiln_cast(g, kiln_greater(g, kiln_sum(g, x, &columns), kiln_scalar(g, KILN_F32, 0)),
                            KILN_I32),
                  x, 0, &(kiln_scatter_params){.kind = KILN_SCATTER_ADD}))
BODY(filled, kiln_whole(g, kiln_exp(g, x), 0, 0))
BODY(inner_axis,
     kiln_cumsum(g, kiln_reshape(g, kiln_transpose(g, x, (const int[]){1, 0}), KILN_SHAPE(KILN_REST)), 0,
                 NULL))

/* [WIDTH, n] as a row, and back. */
static kiln_tensor split_again(kiln_graph *g, kiln_tensor x, kiln_tensor w)
{
    const kiln_tensor t = kiln_transpose(g, x, (const int[]){1, 0});
    const kiln_tensor row = kiln_square(g, kiln_reshape(g, t, KILN_SHAPE(KILN_REST)));
    (void)w;
    return kiln_reshape(g, row, kiln_tensor_shape(g, t));
}

/* [2, n, n] as [2, n n]: both of the axes that become one are counted. */
static kiln_tensor inner_pair(kiln_graph *g, kiln_tensor x, kiln_tensor w)
{
    const kiln_tensor square = kiln_matmul(g, x, x, &(kiln_matmul_params){.transpose_b = true});
    const kiln_tensor both[] = {kiln_unsqueeze(g, square, 0), kiln_unsqueeze(g, kiln_neg(g, square), 0)};
    const kiln_tensor row = kiln_reshape(g, kiln_concat(g, both, 2, 0), KILN_SHAPE(2, KILN_REST));
    (void)w;
    return kiln_argmax(g, row, 1, false);
}

/* Both axes at other sizes: [2 n, n], the second of a size that is none of x's. */
static kiln_tensor resized(kiln_graph *g, kiln_tensor x, const kiln_resize_params *how)
{
    kiln_resize_params p = *how;
    const int64_t n = kiln_tensor_shape(g, x).size[0];
    p.axes = KILN_AXES(0, 1);
    p.size[0] = kiln_dim_mul(g, n, 2);
    p.size[1] = n;
    return kiln_resize(g, x, &p);
}

#define RESIZED(name, ...) BODY(name, resized(g, x, &(kiln_resize_params){__VA_ARGS__}))

RESIZED(resized_linear, .mode = KILN_RESIZE_LINEAR)
RESIZED(resized_cubic, .mode = KILN_RESIZE_CUBIC)
RESIZED(resized_cubic_inside, .mode = KILN_RESIZE_CUBIC, .cubic = -0.5, .exclude_outside = true)
RESIZED(resized_corners, .mode = KILN_RESIZE_LINEAR, .places = KILN_RESIZE_ALIGN_CORNERS)
RESIZED(resized_symmetric, .mode = KILN_RESIZE_LINEAR, .places = KILN_RESIZE_HALF_PIXEL_SYMMETRIC)
RESIZED(resized_pytorch, .mode = KILN_RESIZE_CUBIC, .places = KILN_RESIZE_PYTORCH_HALF_PIXEL)
RESIZED(resized_tf, .mode = KILN_RESIZE_LINEAR, .places = KILN_RESIZE_TF_HALF_PIXEL)
RESIZED(resized_floor, .places = KILN_RESIZE_ASYMMETRIC, .rounding = KILN_RESIZE_FLOOR)
RESIZED(resized_ceil, .places = KILN_RESIZE_ASYMMETRIC, .rounding = KILN_RESIZE_CEIL)
RESIZED(resized_nearest, .rounding = KILN_RESIZE_PREFER_FLOOR)
RESIZED(resized_nearest_up, .rounding = KILN_RESIZE_PREFER_CEIL)

/* The first axis is of a known size, and goes another way. */
BODY(resized_one, kiln_resize(g, kiln_reshape(g, w, KILN_SHAPE(1, 1, WIDTH, 2)),
                              &(kiln_resize_params){.size = {5, kiln_tensor_shape(g, x).size[0]},
                                                    .mode = KILN_RESIZE_LINEAR}))

static const struct row {
    body *fn;
    const char *why;
} bodies[] = {
    {elementwise, "elementwise"},
    {sum_of_rows, "sum along"},
    {sum_of_all, "sum of all"},
    {sums_in_rows, "sum across"},
    {mean_of_rows, "mean along"},
    {mean_of_all, "mean of all"},
    {largest, "largest"},
    {least, "least"},
    {where_largest, "where the largest is"},
    {softmax_along, "softmax along"},
    {softmax_across, "softmax across"},
    {log_softmax_along, "log-softmax along"},
    {dense, "matmul, rows"},
    {inner, "matmul, summed"},
    {outer, "matmul, twice"},
    {bias, "bias"},
    {sorted, "sort"},
    {sorted_down, "sort, descending"},
    {two_largest, "top-k"},
    {sums_so_far, "cumulative sum"},
    {sums_from_end, "cumulative sum from the end"},
    {products_from_end, "cumulative product from the end"},
    {most_from_end, "cumulative maximum from the end"},
    {transposed, "transpose"},
    {flattened, "flatten"},
    {as_one_row, "reshape"},
    {after_the_first, "slice"},
    {padded, "pad before"},
    {behind, "concat behind"},
    {loss, "squared error"},
    {entropy, "cross-entropy"},
    {normalized, "less the mean"},
    {picked, "gather, from the end"},
    {before_others, "joined before others and behind them"},
    {picked_rows, "rows by tuples of one number, from the end"},
    {picked_places, "places by tuples, from the end"},
    {picked_by_order, "gather by a counted index"},
    {scattered, "scatter of counted updates"},
    {inner_axis, "reshape of an inner axis"},
    {split_again, "reshape with an inner axis"},
    {inner_pair, "reshape of two axes"},
    {resized_linear, "resize, linear"},
    {resized_cubic, "resize, cubic"},
    {resized_cubic_inside, "resize, cubic without what is outside"},
    {resized_corners, "resize, corners"},
    {resized_symmetric, "resize, symmetric"},
    {resized_pytorch, "resize, PyTorch's places"},
    {resized_tf, "resize, TensorFlow's places"},
    {resized_floor, "resize, nearest, down"},
    {resized_ceil, "resize, nearest, up"},
    {resized_nearest, "resize, nearest, halves down"},
    {resized_nearest_up, "resize, nearest, halves up"},
    {resized_one, "resize of a size that is known"},
};

Test(beyond, counts_as_if_it_were_not_there)
{
    for (size_t i = 0; i < KILN_COUNT(bodies); i++) {
        expect_same(bodies[i].fn, COUNT, bodies[i].why);
        expect_same(bodies[i].fn, BOUND, bodies[i].why);
    }
}

Test(beyond, nothing_may_be_there)
{
    body *const of_nothing[] = {elementwise, sum_of_rows, dense,     inner,
                                sums_so_far, transposed,  scattered, inner_axis};
    for (size_t i = 0; i < KILN_COUNT(of_nothing); i++)
        expect_same(of_nothing[i], 0, "nothing");
}

/* More than there are, and less than none. */
Test(beyond, a_count_is_taken_into_its_bounds)
{
    for (int d = 0; kiln_test_device(d); d++)
        for (int over = 0; over < 2; over++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(d));
            struct net n = start(true, BOUND, sums_in_rows);
            struct read got[3];
            run(&n, dev, over ? 100 : -3, got);
            cr_expect_eq(got[0].shape.size[0], over ? BOUND : 0);
            kiln_test_close(&dev);
        }
}

Test(beyond, whole_fills_what_is_not_there)
{
    struct net n = start(true, COUNT, filled);
    struct read got[3];
    kiln_device *dev = kiln_test_open("cpu");
    run(&n, dev, COUNT, got);
    cr_expect_eq(got[0].shape.size[0], BOUND);
    for (int i = 0; i < BOUND * WIDTH; i++)
        cr_expect(fabs(got[0].value[i] - (i < COUNT * WIDTH ? exp(value_of(i)) : 0)) < 1e-5);
    kiln_test_close(&dev);
}

/* What cannot tell is refused when the program is planned, by name. */
static void expect_refused(body *fn, const char *name)
{
    kiln_weights *weights = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(BOUND, WIDTH)),
                      w = kiln_input(g, "w", KILN_F32, KILN_SHAPE(WIDTH, 2)),
                      count = kiln_input(g, "count", KILN_I32, KILN_SCALAR);
    kiln_output(g, "y", fn(g, kiln_first(g, x, count, 0), w));
    cr_assert_eq(kiln_weights_create(&weights, g, NULL), KILN_OK);
    cr_expect_eq(kiln_program_create(&p, dev, g, weights, NULL), KILN_ERROR_UNSUPPORTED, "%s", name);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

BODY(from_the_end, kiln_slice(g, x, 0, -2, KILN_END, 1))
BODY(put_behind, kiln_pad(g, x, (const int64_t[]){0, 0}, (const int64_t[]){1, 0}, 0))
BODY(variance, kiln_moments(g, x, (kiln_axes){1, {0}}, NULL))

Test(beyond, what_cannot_tell_is_refused)
{
    expect_refused(from_the_end, "slice");
    expect_refused(put_behind, "pad");
    expect_refused(variance, "moments");
}

Test(beyond, what_cannot_be_resized_to_such_a_size_is_refused_at_once)
{
    kiln_graph *g = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor count = kiln_input(g, "count", KILN_I32, KILN_SCALAR),
                          x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(BOUND, WIDTH));
        const kiln_resize_params p = {.axes = KILN_AXES(0),
                                      .size = {kiln_dim_bounded(g, count, i ? INT32_MAX / 8 : BOUND)},
                                      .mode = KILN_RESIZE_LINEAR,
                                      .antialias = !i};
        cr_expect_eq(kiln_resize(g, x, &p).id, 0);
        cr_expect_eq(kiln_graph_status(g), KILN_ERROR_UNSUPPORTED);
        kiln_graph_destroy(&g);
    }
}

/* A function whose graph makes such a size, called: the caller's sizes are its own. */
static kiln_tensor called(kiln_graph *g, kiln_tensor x, kiln_tensor w)
{
    kiln_graph *f = NULL;
    kiln_tensor y;
    (void)w;
    cr_assert_eq(kiln_graph_create(&f, NULL), KILN_OK);
    const kiln_tensor in = kiln_input(f, "in", KILN_F32, KILN_SHAPE(kiln_dim(f, "n"), WIDTH));
    const kiln_tensor count = kiln_cast(f, kiln_sum(f, kiln_ones_like(f, in), &rows), KILN_I32);
    const kiln_tensor one = kiln_reshape(f, kiln_slice(f, count, 0, 0, 1, 1), KILN_SCALAR);
    const kiln_tensor some = kiln_first(f, in, kiln_sub(f, one, kiln_scalar(f, KILN_I32, 1)), 0);
    const kiln_tensor row = kiln_reshape(f, some, KILN_SHAPE(KILN_REST));
    kiln_output(f, "out", kiln_mean(f, kiln_reshape_to(f, row, some), &rows));
    kiln_call(g, f, &x, &y);
    kiln_graph_destroy(&f);
    return y;
}

Test(beyond, a_function_may_make_such_a_size)
{
    expect_same(called, COUNT, "all but the last of those that are there");
}
