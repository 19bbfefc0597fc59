/*
 * golden.c - operators' values and gradients against PyTorch's (tools/golden/operators.py), case by case.
 *
 * In float64 on the CPU within 1e-9 of each tensor's length; in float32 on every device within 1e-5: inputs
 * are exact in float32, sums are of at most some 100 products, and the kernels' own functions (exp, log,
 * tanh, pow) are good to a few ulps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden.h"

/* One case while it is built. */
struct one {
    const kiln_safetensors *file;
    const char *name;
    kiln_graph *g;
    kiln_tensor x[4], y; /* the inputs with a gradient, the result */
    const char *x_name[4];
    int count;
};

static kiln_array part(const struct one *c, const char *name)
{
    return kiln_golden_find(c->file, c->name, name);
}

/* An input with a gradient is a parameter that begins with the recorded values. */
static kiln_tensor leaf(struct one *c, const char *name)
{
    const kiln_array values = part(c, name);
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = &values};
    c->x_name[c->count] = name;
    return c->x[c->count++] = kiln_parameter(c->g, name, values.shape, &init);
}

static kiln_tensor fixed(struct one *c, const char *name)
{
    const kiln_array values = part(c, name);
    kiln_tensor t = kiln_constant(c->g, &values);
    return values.type == KILN_F64 ? kiln_cast(c->g, t, KILN_F32) : t;
}

static kiln_tensor counted(struct one *c, const char *name)
{
    const kiln_array values = part(c, name);
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = &values};
    return kiln_state_init(c->g, name, KILN_F32, values.shape, KILN_STORE_WEIGHTS, &init);
}

/* How each case is built ------------------------------------------------------------------------------ */

static kiln_tensor convolve(struct one *c, kiln_conv2d_params p)
{
    kiln_tensor x = leaf(c, "x"), w = leaf(c, "w");
    return kiln_conv2d(c->g, x, w, leaf(c, "b"), &p);
}

static kiln_tensor conv2d(struct one *c)
{
    return convolve(
        c, (kiln_conv2d_params){.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .dilation = {2, 2}, .groups = 2});
}

static kiln_tensor conv2d_plain(struct one *c)
{
    return convolve(c, (kiln_conv2d_params){.groups = 1});
}

static kiln_tensor conv2d_uneven(struct one *c)
{
    return convolve(c, (kiln_conv2d_params){.stride = {2, 1}, .pad = {{1, 1}, {3, 3}}, .dilation = {1, 2}});
}

static kiln_tensor conv2d_depthwise(struct one *c)
{
    return convolve(c, (kiln_conv2d_params){.stride = {1, 2}, .pad = {{1, 1}, {1, 1}}, .groups = 6});
}

static const kiln_pool2d_params window = {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}};

static kiln_tensor max_pool(struct one *c)
{
    return kiln_max_pool2d(c->g, leaf(c, "x"), &window);
}

static kiln_tensor average_without(struct one *c)
{
    return kiln_average_pool2d(c->g, leaf(c, "x"), &window);
}

static kiln_tensor average_with(struct one *c)
{
    kiln_pool2d_params counting = window;
    counting.count_pad = true;
    return kiln_average_pool2d(c->g, leaf(c, "x"), &counting);
}

static kiln_tensor batch_norm(struct one *c)
{
    kiln_tensor x = leaf(c, "x"), w = leaf(c, "w"), b = leaf(c, "b");
    return kiln_batch_norm(c->g, x, w, b, counted(c, "mean"), counted(c, "variance"), NULL);
}

static kiln_tensor softmax(struct one *c)
{
    return kiln_softmax(c->g, leaf(c, "x"), 1);
}

static kiln_tensor log_softmax(struct one *c)
{
    return kiln_log_softmax(c->g, leaf(c, "x"), 1);
}

static kiln_tensor cross_entropy(struct one *c)
{
    return kiln_cross_entropy(c->g, leaf(c, "x"), fixed(c, "label"));
}

static kiln_tensor cross_entropy_soft(struct one *c)
{
    return kiln_cross_entropy(c->g, leaf(c, "x"), fixed(c, "target"));
}

static kiln_tensor binary_cross_entropy(struct one *c)
{
    return kiln_binary_cross_entropy(c->g, leaf(c, "x"), fixed(c, "target"));
}

static kiln_tensor mean_squared_error(struct one *c)
{
    kiln_tensor x = leaf(c, "x");
    return kiln_mean_squared_error(c->g, x, leaf(c, "target"));
}

static kiln_tensor leaky_relu(struct one *c)
{
    return kiln_leaky_relu(c->g, leaf(c, "x"), 0.1);
}

static kiln_tensor clip(struct one *c)
{
    return kiln_clip(c->g, leaf(c, "x"), -0.5, 0.75);
}

static kiln_tensor gather_rows(struct one *c)
{
    return kiln_gather(c->g, leaf(c, "x"), fixed(c, "index"), 0);
}

static kiln_tensor pad(struct one *c)
{
    return kiln_pad(c->g, leaf(c, "x"), (const int64_t[]){0, 0, 1}, (const int64_t[]){0, 3, 2}, 0.5);
}

/* The case's name ends in what is done to each side: n nothing, t transpose. */
static kiln_tensor multiply(struct one *c)
{
    const char *sides = c->name + strlen("matmul_");
    kiln_tensor x = leaf(c, "x");
    return kiln_matmul(c->g, x, leaf(c, "w"), &(kiln_matmul_params){sides[0] == 't', sides[1] == 't'});
}

/* The cases that one operator without params is. */
typedef kiln_tensor unary_fn(kiln_graph *g, kiln_tensor x);
typedef kiln_tensor binary_fn(kiln_graph *g, kiln_tensor a, kiln_tensor b);

static const struct row {
    const char *name;
    kiln_tensor (*build)(struct one *c);
    unary_fn *unary;
    binary_fn *binary;
    bool infer;
} rows[] = {
    {"conv2d", conv2d},
    {"conv2d_plain", conv2d_plain},
    {"conv2d_uneven", conv2d_uneven},
    {"conv2d_depthwise", conv2d_depthwise},
    {"conv2d_pointwise", conv2d_plain},
    {"max_pool2d", max_pool},
    {"max_pool2d_ties", max_pool},
    {"avg_pool2d_with_padding", average_with},
    {"avg_pool2d_without_padding", average_without},
    {"batch_norm_training", batch_norm},
    {"batch_norm_inference", batch_norm, .infer = true},
    {"softmax", softmax},
    {"log_softmax", log_softmax},
    {"cross_entropy", cross_entropy},
    {"cross_entropy_axis_1", cross_entropy},
    {"cross_entropy_one_hot", cross_entropy_soft},
    {"binary_cross_entropy_with_logits", binary_cross_entropy},
    {"mse", mean_squared_error},
    {"leaky_relu", leaky_relu},
    {"clip", clip},
    {"relu", .unary = kiln_relu},
    {"sigmoid", .unary = kiln_sigmoid},
    {"tanh", .unary = kiln_tanh},
    {"exp", .unary = kiln_exp},
    {"log", .unary = kiln_log},
    {"sqrt", .unary = kiln_sqrt},
    {"pow", .binary = kiln_pow},
    {"div", .binary = kiln_div},
    {"matmul_nn", multiply},
    {"matmul_nt", multiply},
    {"matmul_tn", multiply},
    {"matmul_tt", multiply},
    {"gather_rows", gather_rows},
    {"pad", pad},
};

static kiln_tensor build(struct one *c, const struct row *row)
{
    if (row->build)
        return row->build(c);
    kiln_tensor x = leaf(c, "x");
    return row->unary ? row->unary(c->g, x) : row->binary(c->g, x, leaf(c, "w"));
}

/* Comparing ------------------------------------------------------------------------------------------- */

static void expect_same(const struct one *c, const kiln_array *got, const char *name, double bound,
                        const char *device)
{
    const kiln_array want = part(c, name);
    double *recorded = kiln_test_doubles(&want);
    cr_assert(kiln_shape_equal(&got->shape, &want.shape), "%s/%s has another shape", c->name, name);
    const double apart = kiln_test_distance(got->data, recorded, NULL, (size_t)kiln_shape_count(&want.shape));
    cr_expect(apart <= bound, "%s/%s on %s: off by %.3g, allowed %.3g", c->name, name, device, apart, bound);
    free(recorded);
}

static void expect_case(const kiln_safetensors *file, const struct row *row, kiln_device *dev, bool f64,
                        const char *device)
{
    struct one c = {.file = file, .name = row->name};
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_tensor dx[4], run[6];
    double values[1024];
    const double bound = f64 ? 1e-9 : 1e-5;
    int count = 0;
    cr_assert_eq(kiln_graph_create(&c.g, NULL), KILN_OK);
    c.y = build(&c, row);
    kiln_gradient(c.g, c.y, fixed(&c, "dy"), c.x, c.count, dx);
    run[count++] = c.y;
    for (int i = 0; i < c.count; i++)
        run[count++] = dx[i];
    run[count] = KILN_NONE;
    cr_assert_eq(kiln_weights_create(&w, c.g, NULL), KILN_OK, "%s", row->name);
    const kiln_program_params params = {.run = run, .train = !row->infer, .precision = f64};
    cr_assert_eq(kiln_program_create(&p, dev, c.g, w, &params), KILN_OK, "%s", row->name);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", row->name);
    for (int i = 0; i < count; i++) {
        char name[16] = "y";
        kiln_array to = {.data = values, .bytes = sizeof values, .type = KILN_F64};
        cr_assert_eq(kiln_program_read(p, run[i], &to), KILN_OK);
        if (i)
            snprintf(name, sizeof name, "d%s", c.x_name[i - 1]);
        expect_same(&c, &to, name, bound, device);
    }
    for (int i = 0; i < 2 && !strcmp(row->name, "batch_norm_training"); i++) {
        static const char *const states[] = {"mean", "variance"}, *const after[] = {"mean_after",
                                                                                    "variance_after"};
        kiln_array to = {.data = values, .bytes = sizeof values, .type = KILN_F64};
        cr_assert_eq(kiln_weights_read(w, states[i], &to), KILN_OK);
        expect_same(&c, &to, after[i], bound, device);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&c.g);
}

static void expect_cases(const char *device, bool f64)
{
    kiln_safetensors *file = kiln_golden_open("operators.safetensors");
    kiln_device *dev = kiln_test_open(device);
    for (size_t i = 0; i < KILN_COUNT(rows); i++)
        expect_case(file, &rows[i], dev, f64, device);
    kiln_test_close(&dev);
    kiln_safetensors_close(&file);
}

Test(golden, operators_in_float64_are_those_of_pytorch)
{
    expect_cases("cpu", true);
}

Test(golden, operators_on_every_device_are_close_to_those_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        expect_cases(kiln_test_device(d), false);
}
