/*
 * onnx_bounds.c - room for sizes that data gives: as large as the model shows that they can be, else as is said or guessed; and what a
 * run tells that has larger ones. The model resizes x [1, 1, 3, 3] to two numbers k that it computes from two others, s.
 */
#include <math.h>

#include <kiln/extend.h>

#include "onnx_text.h"
#include "support/support.h"

#define RESIZED \
    "\nl = Concat <axis=0> (ones, k)\ny = Resize <mode=\"nearest\", nearest_mode=\"floor\"> (x, , , l)"
#define CUT  "u = Clip(s, zero, nine)\n"
#define CAST "k = Cast <to=7> (v)"

enum { SIDE = 3, MOST = 400 };

static float zero[] = {0}, nine[] = {9}, half[] = {0.5f}, three[] = {3};
static int64_t ones[] = {1, 1}, seven[] = {7}, row[] = {1, 2};

static const kiln_array initializers[] = {
    {.data = ones, .bytes = sizeof ones, .type = KILN_I64, .shape = {1, {2}}},
    {.data = zero, .bytes = sizeof zero, .shape = {0}},
    {.data = nine, .bytes = sizeof nine, .shape = {0}},
    {.data = half, .bytes = sizeof half, .shape = {0}},
    {.data = three, .bytes = sizeof three, .shape = {0}},
    {.data = seven, .bytes = sizeof seven, .type = KILN_I64, .shape = {1, {1}}},
    {.data = row, .bytes = sizeof row, .type = KILN_I64, .shape = {1, {2}}},
};

static const kiln_spec inputs[] = {{KILN_F32, {4, {1, 1, SIDE, SIDE}}}, {KILN_F32, {1, {2}}}};

static struct kiln_test_onnx model_of(const char *nodes)
{
    return (struct kiln_test_onnx){.opset = 13,
                                   .inputs = "x s",
                                   .outputs = "y",
                                   .nodes = nodes,
                                   .initializers = "ones zero nine half three seven row",
                                   .initializer = initializers};
}

/* Ends of exact arithmetic, and 1 more. */
static const struct shown {
    const char *nodes;
    int64_t room;
} shown[] = {
    {CUT "v = Identity(u)\n" CAST RESIZED, 10},
    {CUT "v = Mul(u, three)\n" CAST RESIZED, 28},
    {CUT "v = Sub(nine, u)\n" CAST RESIZED, 10},
    {CUT "n = Neg(u)\nv = Sub(u, n)\n" CAST RESIZED, 19},
    {CUT "v = Div(u, half)\n" CAST RESIZED, 19},
    {CUT "w = Add(u, half)\nv = Ceil(w)\n" CAST RESIZED, 11},
    {CUT "w = Sqrt(u)\nv = Add(w, w)\n" CAST RESIZED, 7},
    {CUT "w = Sub(u, three)\nv = Abs(w)\n" CAST RESIZED, 7},
    {CUT "c = Less(u, three)\nw = Mul(u, three)\nv = Where(c, w, nine)\n" CAST RESIZED, 28},
    {"u = Min(s, nine)\nv = Max(u, three)\n" CAST RESIZED, 10},
    {"u = Sigmoid(s)\nw = Mul(u, nine)\nv = Add(w, three)\n" CAST RESIZED, 13},
    {CUT "t = Transpose <perm=[0]> (u)\nv = Concat <axis=0> (t)\n" CAST RESIZED, 10},
    {"w = Cast <to=7> (s)\na, b = Split(w)\nc = Concat <axis=0> (a, seven)\nm = ReduceMin <keepdims=1> (c)\n"
     "k = Concat <axis=0> (m, m)" RESIZED,
     8},
    {"w = Cast <to=7> (s)\na, b = Split(w)\nc = Concat <axis=0> (a, seven)\nt = Reshape(c, row)\n"
     "m = ReduceMin <axes=[1], keepdims=0> (t)\nk = Concat <axis=0> (m, m)" RESIZED,
     8},
    {"w = Cast <to=7> (s)\nk = Mod(w, seven)" RESIZED, 8},
    {"w = Cast <to=2> (s)\nk = Cast <to=7> (w)" RESIZED, 256},
};

static kiln_status load(kiln_graph **g, kiln_weights **w, const char *nodes, kiln_onnx_params params)
{
    const struct kiln_test_onnx model = model_of(nodes);
    return kiln_test_onnx_load(g, w, &model, inputs, &params);
}

static int64_t room_of(kiln_graph *g)
{
    return kiln_dim_most(g, kiln_tensor_shape(g, kiln_graph_output(g, 0)).size[3]);
}

Test(onnx_bounds, a_model_shows_how_large_its_sizes_can_be)
{
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        kiln_graph *g;
        kiln_weights *w;
        cr_assert_eq(load(&g, &w, shown[i].nodes, (kiln_onnx_params){0}), KILN_OK, "%s", shown[i].nodes);
        cr_expect_eq(room_of(g), shown[i].room, "%s: room for %lld, wanted %lld", shown[i].nodes,
                     (long long)room_of(g), (long long)shown[i].room);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
}

/* The best of so many as there are, at most 7; the first of them; and as many as a real says, which may have been rounded up. */
Test(onnx_bounds, what_is_taken_of_an_axis_has_the_room_of_what_it_can_be)
{
    static const char nodes[] = "i = NonZero(s)\nj = Squeeze(i, zeroth)\nv = Gather(s, j)\nn = Shape(v)\n"
                                "c = Concat <axis=0> (seven, n)\nm = ReduceMin <keepdims=1> (c)\n"
                                "a, p = TopK(v, m)\nb = Slice(v, zeroth, m)\n"
                                "r = ReduceMin <keepdims=1> (s)\nq = Clip(r, zero, nine)\n"
                                "d = Cast <to=7> (q)\ne = Slice(v, zeroth, d)";
    static int64_t none[] = {0};
    const kiln_array arrays[] = {{.data = seven, .bytes = sizeof seven, .type = KILN_I64, .shape = {1, {1}}},
                                 {.data = none, .bytes = sizeof none, .type = KILN_I64, .shape = {1, {1}}},
                                 initializers[1],
                                 initializers[2]};
    const struct kiln_test_onnx model = {13, "s", "a b e", nodes, "seven zeroth zero nine", arrays};
    const int64_t want[] = {7, 7, MOST};
    kiln_graph *g;
    kiln_weights *w;
    cr_assert_eq(kiln_test_onnx_load(&g, &w, &model, &(kiln_spec){KILN_F32, {1, {MOST}}}, NULL), KILN_OK);
    for (int i = 0; i < 3; i++) {
        const int64_t room = kiln_dim_most(g, kiln_tensor_shape(g, kiln_graph_output(g, i)).size[0]);
        cr_expect_eq(room, want[i], "output %d has room for %lld", i, (long long)room);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

/* What the model shows is less than what is said, and what is said less than what would be guessed. */
Test(onnx_bounds, less_is_said_or_guessed_where_the_model_shows_nothing)
{
    static const struct {
        const char *nodes;
        kiln_onnx_params params;
        int64_t room;
    } rows[] = {
        {CUT "v = Identity(u)\n" CAST RESIZED, {.most_size = 50}, 10},
        {CUT "v = Identity(u)\n" CAST RESIZED, {.most_size = 5}, 5},
        {"v = Identity(s)\n" CAST RESIZED, {.most_size = 50}, 50},
        {"v = Identity(s)\n" CAST RESIZED, {.guess_size = true}, 2 * SIDE},
        {"v = Identity(s)\n" CAST RESIZED, {.most_size = 5, .guess_size = true}, 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kiln_graph *g;
        kiln_weights *w;
        cr_assert_eq(load(&g, &w, rows[i].nodes, rows[i].params), KILN_OK);
        cr_expect_eq(room_of(g), rows[i].room, "row %zu: room for %lld", i, (long long)room_of(g));
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
}

/* Products and exponentials without an end, and quotients by what may be 0. */
Test(onnx_bounds, what_nothing_bounds_is_refused)
{
    static const char *const nodes[] = {
        "v = Identity(s)\n" CAST RESIZED,
        "u = Max(s, nine)\nv = Mul(u, nine)\n" CAST RESIZED,
        CUT "v = Div(nine, u)\n" CAST RESIZED,
        CUT "w = Mul(u, u)\nt = Mul(w, w)\nv = Exp(t)\n" CAST RESIZED,
        ("w = Cast <to=7> (s)\na, b = Split(w)\nc = Concat <axis=0> (a, seven)\nt = Reshape(c, row)\n"
         "k = ReduceMin <axes=[0], keepdims=0> (t)" RESIZED),
        ("w = Cast <to=7> (s)\na = Mul(w, w)\nb = Mod(a, w)\nk = Add(b, b)" RESIZED),
    };
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        const struct kiln_test_onnx model = model_of(nodes[i]);
        cr_expect(kiln_test_onnx_refused(&model, inputs), "%s", nodes[i]);
    }
}

static void run(kiln_program *p, const kiln_graph *g, float high, float wide)
{
    float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, s[] = {high, wide};
    const kiln_array arrays[] = {{.data = x, .shape = KILN_SHAPE(1, 1, SIDE, SIDE)},
                                 {.data = s, .shape = KILN_SHAPE(2)}};
    for (int i = 0; i < 2; i++)
        cr_assert_eq(kiln_program_write(p, kiln_graph_input(g, i), &arrays[i]), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
}

static int32_t beyond(kiln_program *p, const kiln_graph *g)
{
    int32_t size = -1;
    kiln_array array = {.data = &size, .bytes = sizeof size};
    cr_assert_eq(kiln_program_read(p, kiln_onnx_beyond(g), &array), KILN_OK);
    return size;
}

static void run_on(const char *device)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
    static float y[MOST];
    kiln_array to = {.data = y, .bytes = sizeof y};
    cr_assert_eq(load(&g, &w, "v = Mul(s, three)\n" CAST RESIZED, (kiln_onnx_params){.most_size = 15}),
                 KILN_OK);
    const kiln_tensor list[] = {kiln_graph_output(g, 0), kiln_onnx_beyond(g), KILN_NONE};
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = list}), KILN_OK);

    run(p, g, 2, 5);
    cr_assert_eq(kiln_program_read(p, list[0], &to), KILN_OK);
    cr_expect(kiln_shape_equal(&to.shape, &KILN_SHAPE(1, 1, 6, 15)));
    cr_expect_eq(y[0], 1);
    cr_expect_eq(y[6 * 15 - 1], 9);
    cr_expect_eq(beyond(p, g), 0);

    run(p, g, 7, 6);
    cr_assert_eq(kiln_program_read(p, list[0], &to), KILN_OK);
    cr_expect(isnan(y[0]));
    cr_expect_eq(beyond(p, g), 21, "%d on %s", beyond(p, g), device);

    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(onnx_bounds, a_run_tells_the_largest_size_that_it_had_no_room_for)
{
    for (int i = 0; kiln_test_device(i); i++)
        run_on(kiln_test_device(i));
}
