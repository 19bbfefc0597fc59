/* control.c - scans, loops and branches: like their steps by hand, in every form; gradients; every device alike. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* Scan: a cell with a parameter of its own, a carry, and values that all steps see ----------------------- */

enum { UNITS = 4 };

/* x [B, 3], h [B, 4], c [] -> y [B, 4], h, c;   h = tanh(x w + h u + m), c = c + sum(y), y = h * c */
static kiln_graph *make_cell(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, &(kiln_graph_params){.name = "cell"}), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    const kiln_tensor h = kiln_input(g, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, UNITS));
    const kiln_tensor c = kiln_input(g, "c", KILN_F32, KILN_SCALAR);
    const kiln_tensor m = kiln_input(g, "m", KILN_F32, KILN_SHAPE(KILN_BATCH, UNITS));
    const kiln_tensor w =
        kiln_parameter(g, "w", KILN_SHAPE(3, UNITS), &(kiln_init){.kind = KILN_INIT_UNIFORM});
    const kiln_tensor u =
        kiln_parameter(g, "u", KILN_SHAPE(UNITS, UNITS), &(kiln_init){.kind = KILN_INIT_UNIFORM});
    const kiln_tensor next =
        kiln_tanh(g, kiln_add(g, kiln_add(g, kiln_matmul(g, x, w, NULL), kiln_matmul(g, h, u, NULL)),
                              kiln_scale(g, m, 0.5)));
    const kiln_tensor y = kiln_mul(g, next, c);
    kiln_output(g, "y", y);
    kiln_output(g, "next", next);
    kiln_output(g, "sum", kiln_add(g, c, kiln_sum(g, y, NULL)));
    cr_assert_eq(kiln_graph_status(g), KILN_OK);
    return g;
}

struct scan_case {
    int steps, batch, axis;
    bool reverse, by_hand;
    kiln_loop_form form;
    const char *why;
};

/* All outputs of a scan, or of its steps by hand, as one vector. */
static kiln_tensor gather(kiln_graph *g, kiln_tensor *out)
{
    kiln_tensor flat[3];
    for (int i = 0; i < 3; i++)
        flat[i] = kiln_reshape(g, out[i], KILN_SHAPE(KILN_REST));
    return kiln_concat(g, flat, 3, 0);
}

static void by_hand(kiln_graph *g, const kiln_graph *cell, const struct scan_case *c, kiln_tensor x,
                    kiln_tensor m, kiln_tensor *out)
{
    kiln_tensor rows[64];
    for (int t = 0; t < c->steps; t++) {
        const int row = c->reverse ? c->steps - 1 - t : t;
        const kiln_tensor slice = kiln_squeeze(g, kiln_slice(g, x, c->axis, row, row + 1, 1), c->axis);
        kiln_call(g, cell, (kiln_tensor[]){slice, out[1], out[2], m}, out);
        rows[row] = kiln_unsqueeze(g, out[0], c->axis);
    }
    out[0] = kiln_concat(g, rows, c->steps, c->axis);
}

static kiln_tensor build_scan(kiln_graph *g, const void *one_case)
{
    const struct scan_case *c = one_case;
    kiln_graph *cell = make_cell();
    const kiln_tensor x =
        kiln_test_input(g, c->axis ? KILN_SHAPE(c->batch, c->steps, 3) : KILN_SHAPE(c->steps, c->batch, 3));
    const kiln_tensor h = kiln_test_input(g, KILN_SHAPE(c->batch, UNITS)),
                      m = kiln_test_input(g, KILN_SHAPE(c->batch, UNITS));
    const kiln_tensor s = kiln_test_input(g, KILN_SCALAR);
    kiln_tensor out[3] = {KILN_NONE, h, s};
    if (c->by_hand)
        by_hand(g, cell, c, x, m, out);
    else
        kiln_scan(g, cell,
                  &(kiln_scan_params){.each = {x},
                                      .carry = {h, s},
                                      .with = {m},
                                      .axis = c->axis,
                                      .reverse = c->reverse,
                                      .form = c->form},
                  out);
    kiln_graph_destroy(&cell);
    return gather(g, out);
}

static const struct scan_case scans[] = {
    {1, 2, 0, false, false, KILN_LOOP_AUTO, "one step"},
    {1, 2, 0, false, false, KILN_LOOP_REPEATED, "one step, repeated"},
    {2, 1, 0, true, false, KILN_LOOP_REPEATED, "two steps back"},
    {5, 2, 0, false, false, KILN_LOOP_UNROLLED, "unrolled"},
    {5, 2, 0, false, false, KILN_LOOP_REPEATED, "repeated"},
    {5, 3, 1, true, false, KILN_LOOP_UNROLLED, "back along axis 1, unrolled"},
    {5, 3, 1, true, false, KILN_LOOP_REPEATED, "back along axis 1, repeated"},
};

Test(control, a_scan_is_its_steps_by_hand)
{
    for (size_t i = 0; i < KILN_COUNT(scans); i++) {
        struct scan_case hand = scans[i];
        hand.by_hand = true;
        kiln_shape shape;
        double *want = kiln_test_eval(build_scan, &hand, NULL, &shape),
               *got = kiln_test_eval(build_scan, &scans[i], NULL, &shape);
        kiln_expect_close(got, want, (size_t)kiln_shape_count(&shape), 1e-14, scans[i].why);
        free(want);
        free(got);
    }
}

Test(control, scans_have_gradients)
{
    for (size_t i = 0; i < KILN_COUNT(scans); i++)
        kiln_expect_gradient(build_scan, &scans[i], scans[i].why);
}

Test(control, scans_agree_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(scans); i++)
        kiln_expect_devices_agree(build_scan, &scans[i], true, 0, scans[i].why);
}

/* Loop --------------------------------------------------------------------------------------------------- */

struct loop_case {
    int trips; /* -100: none */
    bool constant, begins, asks;
    double from, limit;
    int bound;
    double want[4]; /* count, x, sum and largest of x before each step */
    const char *why;
};

static kiln_tensor whole_input(kiln_graph *g, int value)
{
    const int32_t word =
        value; /* behind an addition of a parameter, so that nothing is known while compiling */
    const kiln_tensor t = kiln_constant(g, &(kiln_array){.data = (void *)(uintptr_t)&word, .type = KILN_I32});
    const kiln_tensor zero = kiln_cast(g, kiln_scale(g, kiln_test_input(g, KILN_SCALAR), 0.25), KILN_I32);
    return kiln_add(g, t, zero);
}

/* step, x -> x < limit, x, 2 x + step */
static kiln_graph *make_doubling(double limit, bool asks)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, &(kiln_graph_params){.name = "doubling"}), KILN_OK);
    const kiln_tensor step = kiln_input(g, "step", KILN_I32, KILN_SCALAR);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2));
    const kiln_tensor next = kiln_add(g, kiln_scale(g, x, 2), kiln_cast(g, step, KILN_F32));
    const kiln_tensor largest = kiln_reduce_max(g, next, NULL);
    kiln_output(g, "more",
                asks ? kiln_less(g, largest, kiln_scalar(g, KILN_F32, limit)) : kiln_scalar(g, KILN_BOOL, 1));
    kiln_output(g, "x", x);
    kiln_output(g, "next", next);
    return g;
}

/* [count, x[0], sum and largest of x[0] before each step] */
static kiln_tensor build_loop(kiln_graph *g, const void *one_case)
{
    const struct loop_case *c = one_case;
    kiln_graph *body = make_doubling(c->limit, c->asks);
    const float from[] = {(float)c->from, -1};
    kiln_tensor out[3], trips = KILN_NONE;
    if (c->trips != -100)
        trips = c->constant ? kiln_scalar(g, KILN_I32, c->trips) : whole_input(g, c->trips);
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2), from);
    const kiln_tensor begins = kiln_equal(g, whole_input(g, c->begins), kiln_scalar(g, KILN_I32, 1));
    kiln_loop(g, body,
              &(kiln_loop_params){.trips = trips, .condition = begins, .carry = {x}, .bound = c->bound}, out);
    kiln_graph_destroy(&body);
    const kiln_tensor rows = kiln_slice(g, out[1], 1, 0, 1, 1);
    const kiln_tensor parts[] = {
        kiln_unsqueeze(g, kiln_cast(g, out[0], KILN_F32), 0),
        kiln_slice(g, out[2], 0, 0, 1, 1),
        kiln_unsqueeze(g, kiln_sum(g, rows, NULL), 0),
        kiln_unsqueeze(g, kiln_reduce_max(g, rows, NULL), 0),
    };
    return kiln_concat(g, parts, 4, 0);
}

static const struct loop_case loops[] = {
    {-100, false, true, true, 1, 10, 9, {3, 12, 8, 5}, "until the body says stop"},
    {-100, false, true, true, 100, 10, 9, {1, 200, 100, 100}, "the condition is looked at behind the step"},
    {-100, false, false, true, 1, 10, 9, {0, 1, 0, -INFINITY}, "never begun"},
    {2, false, true, true, 1, 10, 9, {2, 5, 3, 2}, "trips end it before the body does"},
    {2, true, true, true, 1, 10, 9, {2, 5, 3, 2}, "constant trips end it before the body does"},
    {0, false, true, true, 1, 10, 9, {0, 1, 0, -INFINITY}, "no trips"},
    {-3, false, true, true, 1, 10, 9, {0, 1, 0, -INFINITY}, "negative trips"},
    {50, false, true, false, 1, 10, 4, {4, 27, 20, 12}, "more trips than the bound"},
    {2, true, true, false, 1, 10, 4, {2, 5, 3, 2}, "two trips of a body that always goes on, if it begins"},
};

Test(control, loops_make_the_steps_that_data_says)
{
    for (size_t i = 0; i < KILN_COUNT(loops); i++) {
        kiln_expect_values(build_loop, &loops[i], loops[i].want, 4, 0, loops[i].why);
        kiln_expect_devices_agree(build_loop, &loops[i], false, 0, loops[i].why);
    }
}

/* With constant trips and a body that always goes on, a loop is a scan. */
static kiln_tensor build_counted(kiln_graph *g, const void *one_case)
{
    const int *trips = one_case;
    kiln_graph *body = make_doubling(0, false);
    kiln_tensor out[3];
    kiln_loop(g, body,
              &(kiln_loop_params){.trips = kiln_scalar(g, KILN_I64, *trips),
                                  .carry = {kiln_test_input(g, KILN_SHAPE(2))}},
              out);
    kiln_graph_destroy(&body);
    const kiln_tensor all[] = {kiln_reshape(g, out[1], KILN_SHAPE(KILN_REST)), out[2],
                               kiln_unsqueeze(g, kiln_cast(g, out[0], KILN_F32), 0)};
    return kiln_concat(g, all, 3, 0);
}

Test(control, a_loop_of_known_length_has_a_gradient)
{
    static const int trips[] = {1, 2, 4};
    for (size_t i = 0; i < KILN_COUNT(trips); i++) {
        kiln_expect_gradient(build_counted, &trips[i], "a loop of known length");
        kiln_expect_devices_agree(build_counted, &trips[i], true, 0, "a loop of known length");
    }
}

/* If ----------------------------------------------------------------------------------------------------- */

/* x, w -> softmax(x w) or x w - x: neither is elementwise; or 2 x and -x, which are */
static kiln_graph *make_branch(bool first, bool cheap)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, &(kiln_graph_params){.name = first ? "first" : "second"}), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    const kiln_tensor w = kiln_input(g, "w", KILN_F32, KILN_SHAPE(3, 3));
    if (cheap)
        kiln_output(g, "y", first ? kiln_scale(g, x, 2) : kiln_neg(g, x));
    else
        kiln_output(g, "y",
                    first ? kiln_softmax(g, kiln_matmul(g, x, w, NULL), 1)
                          : kiln_sub(g, kiln_matmul(g, x, w, NULL), x));
    kiln_output(g, "z", first ? x : kiln_scale(g, x, 3));
    return g;
}

struct if_case {
    bool condition, known, cheap;
    const char *why;
};

static kiln_tensor build_if(kiln_graph *g, const void *one_case)
{
    const struct if_case *c = one_case;
    kiln_graph *then = make_branch(true, c->cheap), *otherwise = make_branch(false, c->cheap);
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 3)), w = kiln_test_input(g, KILN_SHAPE(3, 3));
    const kiln_tensor condition =
        c->known ? kiln_scalar(g, KILN_BOOL, c->condition)
                 : kiln_equal(g, whole_input(g, c->condition), kiln_scalar(g, KILN_I32, 1));
    kiln_tensor out[2];
    kiln_if(g, condition, then, otherwise, (kiln_tensor[]){x, w}, out);
    kiln_graph_destroy(&then);
    kiln_graph_destroy(&otherwise);
    return kiln_add(g, out[0], out[1]);
}

/* The branch itself. */
static kiln_tensor build_taken(kiln_graph *g, const void *one_case)
{
    const struct if_case *c = one_case;
    kiln_graph *taken = make_branch(c->condition, c->cheap);
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 3)), w = kiln_test_input(g, KILN_SHAPE(3, 3));
    kiln_tensor out[2];
    kiln_call(g, taken, (kiln_tensor[]){x, w}, out);
    kiln_graph_destroy(&taken);
    return kiln_add(g, out[0], out[1]);
}

static const struct if_case ifs[] = {
    {true, false, false, "the first branch"},  {false, false, false, "the second branch"},
    {true, false, true, "first of two cheap"}, {false, false, true, "second of two cheap"},
    {true, true, false, "first, known"},       {false, true, false, "second, known"},
};

Test(control, one_branch_is_taken)
{
    for (size_t i = 0; i < KILN_COUNT(ifs); i++) {
        kiln_shape shape;
        double *want = kiln_test_eval(build_taken, &ifs[i], NULL, &shape);
        kiln_expect_values(build_if, &ifs[i], want, 6, 1e-14, ifs[i].why);
        free(want);
        kiln_expect_gradient(build_if, &ifs[i], ifs[i].why);
        kiln_expect_devices_agree(build_if, &ifs[i], true, 0, ifs[i].why);
    }
}

/* One within another ------------------------------------------------------------------------------------- */

static kiln_graph *new_body(const char *name)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, &(kiln_graph_params){.name = name}), KILN_OK);
    return g;
}

struct nest_case {
    kiln_loop_form outer, inner;
    int steps;
    const char *why;
};

/* each row: h = scan over its columns of tanh(h * x + w) */
static kiln_tensor build_scan_in_scan(kiln_graph *g, const void *one_case)
{
    const struct nest_case *c = one_case;
    kiln_graph *cell = new_body("cell"), *row = new_body("row");
    kiln_tensor out[2];
    const kiln_tensor x = kiln_input(cell, "x", KILN_F32, KILN_SCALAR),
                      h = kiln_input(cell, "h", KILN_F32, KILN_SHAPE(2));
    const kiln_tensor w = kiln_parameter(cell, "w", KILN_SHAPE(2), &(kiln_init){.kind = KILN_INIT_UNIFORM});
    const kiln_tensor next = kiln_tanh(cell, kiln_add(cell, kiln_mul(cell, h, x), w));
    kiln_output(cell, "next", next);

    const kiln_tensor columns = kiln_input(row, "columns", KILN_F32, KILN_SHAPE(kiln_dim(row, "n")));
    const kiln_tensor h0 = kiln_input(row, "h0", KILN_F32, KILN_SHAPE(2));
    kiln_scan(row, cell, &(kiln_scan_params){.each = {columns}, .carry = {h0}, .form = c->inner}, out);
    kiln_output(row, "last", kiln_scale(row, out[0], 2));
    kiln_output(row, "carry", out[0]);

    const kiln_tensor all = kiln_test_input(g, KILN_SHAPE(c->steps, 3)),
                      start = kiln_test_input(g, KILN_SHAPE(2));
    kiln_scan(g, row, &(kiln_scan_params){.each = {all}, .carry = {start}, .form = c->outer}, out);
    kiln_graph_destroy(&cell);
    kiln_graph_destroy(&row);
    return out[0];
}

static const struct nest_case nests[] = {
    {KILN_LOOP_UNROLLED, KILN_LOOP_UNROLLED, 3, "both unrolled"},
    {KILN_LOOP_REPEATED, KILN_LOOP_UNROLLED, 3, "unrolled within repeated"},
    {KILN_LOOP_UNROLLED, KILN_LOOP_REPEATED, 3, "repeated within unrolled"},
    {KILN_LOOP_REPEATED, KILN_LOOP_REPEATED, 3, "repeated within repeated"},
};

Test(control, scans_nest)
{
    kiln_shape shape;
    double *want = kiln_test_eval(build_scan_in_scan, &nests[0], NULL, &shape);
    for (size_t i = 0; i < KILN_COUNT(nests); i++) {
        kiln_expect_values(build_scan_in_scan, &nests[i], want, 6, 1e-14, nests[i].why);
        kiln_expect_gradient(build_scan_in_scan, &nests[i], nests[i].why);
        kiln_expect_devices_agree(build_scan_in_scan, &nests[i], true, 0, nests[i].why);
    }
    free(want);
}

/* A loop in each step of a scan: x doubles until it is more than its limit, which may be at once, or is halved by a branch. */
static kiln_tensor build_loop_in_scan(kiln_graph *g, const void *one_case)
{
    const struct nest_case *c = one_case;
    kiln_graph *doubling = new_body("doubling"), *step = new_body("step"), *halve = new_body("halve"),
               *keep = new_body("keep");
    kiln_tensor out[3], x;
    kiln_input(doubling, "step", KILN_I32, KILN_SCALAR);
    x = kiln_input(doubling, "x", KILN_F32, KILN_SHAPE(2));
    const kiln_tensor most = kiln_input(doubling, "most", KILN_F32, KILN_SCALAR),
                      twice = kiln_scale(doubling, x, 2);
    kiln_output(doubling, "more", kiln_less(doubling, kiln_reduce_max(doubling, twice, NULL), most));
    kiln_output(doubling, "twice", twice);

    x = kiln_input(halve, "x", KILN_F32, KILN_SHAPE(2)); /* no chain: it is a region of its own */
    kiln_output(halve, "y", kiln_sub(halve, kiln_scale(halve, x, 0.5), kiln_mean(halve, x, NULL)));
    x = kiln_input(keep, "x", KILN_F32, KILN_SHAPE(2));
    kiln_output(keep, "y", kiln_add(keep, x, kiln_softmax(keep, x, 0)));

    const kiln_tensor limit = kiln_input(step, "limit", KILN_F32, KILN_SCALAR);
    x = kiln_input(step, "x", KILN_F32, KILN_SHAPE(2));
    const kiln_tensor begins = kiln_less(step, kiln_reduce_max(step, x, NULL), limit);
    kiln_loop(step, doubling,
              &(kiln_loop_params){.condition = begins, .carry = {x}, .with = {limit}, .bound = 9}, out);
    kiln_output(step, "count", kiln_name(step, out[0], "made"));
    const kiln_tensor odd = kiln_less(step, kiln_scalar(step, KILN_I32, 1), out[0]);
    kiln_if(step, odd, halve, keep, &out[1], &out[2]);
    kiln_output(step, "next", out[2]);

    const float limits[] = {10, 1, 40, 3}, from[] = {0.75f, 1};
    kiln_tensor steps[2];
    const kiln_tensor each = kiln_slice(g, kiln_test_values(g, KILN_SHAPE(4), limits), 0, 0, c->steps, 1);
    kiln_scan(g, step,
              &(kiln_scan_params){
                  .each = {each}, .carry = {kiln_test_values(g, KILN_SHAPE(2), from)}, .form = c->outer},
              steps);
    kiln_graph_destroy(&doubling);
    kiln_graph_destroy(&step);
    kiln_graph_destroy(&halve);
    kiln_graph_destroy(&keep);
    return kiln_concat(g, (kiln_tensor[]){kiln_cast(g, steps[0], KILN_F32), steps[1]}, 2, 0);
}

Test(control, loops_and_branches_run_within_scans)
{
    for (int steps = 1; steps <= 4; steps++) {
        const struct nest_case apart = {.outer = KILN_LOOP_UNROLLED, .steps = steps, .why = "steps apart"},
                               turns = {.outer = KILN_LOOP_REPEATED, .steps = steps, .why = "turns"};
        kiln_shape shape;
        double *want = kiln_test_eval(build_loop_in_scan, &apart, NULL, &shape);
        cr_expect_eq(want[0], 4, "1 doubles to 16: %g", want[0]);
        kiln_expect_values(build_loop_in_scan, &turns, want, (size_t)kiln_shape_count(&shape), 1e-14,
                           "turns");
        kiln_expect_devices_agree(build_loop_in_scan, &apart, false, 0, apart.why);
        kiln_expect_devices_agree(build_loop_in_scan, &turns, false, 0, turns.why);
        free(want);
    }
}

/* A loop whose body branches and loops: every gate within looks at the one around it. */
static kiln_tensor build_branch_in_loop(kiln_graph *g, const void *one_case)
{
    const int *from = one_case;
    kiln_graph *body = new_body("body"), *up = new_body("up"), *down = new_body("down");
    kiln_tensor out[2];
    for (int i = 0; i < 2; i++) {
        kiln_graph *b = i ? down : up;
        const kiln_tensor n = kiln_input(b, "n", KILN_I32, KILN_SHAPE(1));
        const kiln_tensor two = kiln_scalar(b, KILN_I32, 2), three = kiln_scalar(b, KILN_I32, 3),
                          one = kiln_scalar(b, KILN_I32, 1);
        const kiln_tensor next = i ? kiln_div(b, n, two) : kiln_add(b, kiln_mul(b, n, three), one);
        kiln_output(b, "next", kiln_cumsum(b, next, 0, NULL)); /* of one element: itself, and no chain */
    }
    kiln_input(body, "step", KILN_I32, KILN_SCALAR);
    const kiln_tensor n = kiln_input(body, "n", KILN_I32, KILN_SHAPE(1)),
                      one = kiln_scalar(body, KILN_I32, 1), two = kiln_scalar(body, KILN_I32, 2);
    const kiln_tensor half = kiln_mul(body, kiln_div(body, n, two), two);
    kiln_if(body, kiln_squeeze(body, kiln_not_equal(body, n, half), 0), up, down, &n, out);
    kiln_output(body, "more", kiln_squeeze(body, kiln_not_equal(body, out[0], one), 0));
    kiln_output(body, "next", out[0]);

    const kiln_tensor start = kiln_unsqueeze(g, whole_input(g, *from), 0);
    const kiln_tensor begins = kiln_squeeze(g, kiln_not_equal(g, start, kiln_scalar(g, KILN_I32, 1)), 0);
    kiln_loop(g, body, &(kiln_loop_params){.condition = begins, .carry = {start}, .bound = 40}, out);
    kiln_graph_destroy(&body);
    kiln_graph_destroy(&up);
    kiln_graph_destroy(&down);
    return kiln_concat(g,
                       (kiln_tensor[]){kiln_unsqueeze(g, kiln_cast(g, out[0], KILN_F32), 0),
                                       kiln_cast(g, out[1], KILN_F32)},
                       2, 0);
}

/* Collatz's steps to 1. */
Test(control, branches_run_within_loops)
{
    static const int from[] = {1, 2, 3, 7, 9}, steps[] = {0, 1, 7, 16, 19};
    for (size_t i = 0; i < KILN_COUNT(from); i++) {
        kiln_expect_values(build_branch_in_loop, &from[i], (const double[]){steps[i], 1}, 2, 0, "Collatz");
        kiln_expect_devices_agree(build_branch_in_loop, &from[i], false, 0, "Collatz");
    }
}

/* What lies where ---------------------------------------------------------------------------------------- */

/* Carries that change places, that are read after what replaces them, that begin as one value, and that stay. */
static kiln_tensor build_places(kiln_graph *g, const void *one_case)
{
    const struct nest_case *c = one_case;
    kiln_graph *body = new_body("body");
    kiln_tensor in[6], out[8], each = kiln_input(body, "x", KILN_F32, KILN_SHAPE(2));
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < 6; i++)
        in[i] = kiln_input(body, names[i], KILN_F32, KILN_SHAPE(2));
    const kiln_tensor sum = kiln_add(body, in[2], each), after = kiln_mul(body, in[2], sum);
    kiln_output(body, "y", after);
    kiln_output(body, "was", in[2]);
    kiln_output(body, "a'", in[1]);
    kiln_output(body, "b'", in[0]);
    kiln_output(body, "c'", sum);
    kiln_output(body, "d'", kiln_softmax(body, kiln_add(body, in[3], in[0]), 0));
    kiln_output(body, "e'", kiln_scale(body, kiln_add(body, in[4], after), 0.5));
    kiln_output(body, "f'", in[5]);
    const kiln_tensor start = kiln_scale(g, kiln_test_input(g, KILN_SHAPE(2)), 2),
                      other = kiln_test_input(g, KILN_SHAPE(2));
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(c->steps, 2));
    kiln_scan(g, body,
              &(kiln_scan_params){
                  .each = {x}, .carry = {start, other, start, start, other, start}, .form = c->outer},
              out);
    kiln_graph_destroy(&body);
    kiln_tensor flat[9] = {start};
    for (int i = 0; i < 8; i++)
        flat[i + 1] = kiln_reshape(g, out[i], KILN_SHAPE(KILN_REST));
    return kiln_concat(g, flat, 9, 0);
}

Test(control, carries_keep_apart_in_their_places)
{
    for (int steps = 1; steps < 5; steps++) {
        const struct nest_case apart = {.outer = KILN_LOOP_UNROLLED, .steps = steps},
                               turns = {.outer = KILN_LOOP_REPEATED, .steps = steps};
        kiln_shape shape;
        double *want = kiln_test_eval(build_places, &apart, NULL, &shape);
        kiln_expect_values(build_places, &turns, want, (size_t)kiln_shape_count(&shape), 1e-14, "places");
        kiln_expect_gradient(build_places, &turns, "places");
        kiln_expect_devices_agree(build_places, &turns, true, 0, "places");
        free(want);
    }
}

/* A gradient of a gradient: of sum(d y / d x) by x. */
static kiln_tensor build_twice(kiln_graph *g, const void *one_case)
{
    const struct nest_case *c = one_case;
    kiln_graph *body = new_body("body");
    const kiln_tensor a = kiln_input(body, "x", KILN_F32, KILN_SHAPE(2)),
                      h = kiln_input(body, "h", KILN_F32, KILN_SHAPE(2));
    const kiln_tensor next = kiln_tanh(body, kiln_mul(body, kiln_shift(body, h, 0.5), a));
    kiln_output(body, "y", kiln_square(body, next));
    kiln_output(body, "next", next);
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(3, 2)), start = kiln_test_input(g, KILN_SHAPE(2));
    kiln_tensor out[2], dx;
    kiln_scan(g, body, &(kiln_scan_params){.each = {x}, .carry = {start}, .form = c->outer}, out);
    kiln_graph_destroy(&body);
    kiln_gradient(g, kiln_add(g, kiln_sum(g, out[0], NULL), kiln_sum(g, out[1], NULL)), KILN_NONE, &x, 1,
                  &dx);
    return dx;
}

Test(control, the_gradient_of_a_scan_has_a_gradient)
{
    for (int form = KILN_LOOP_UNROLLED; form <= KILN_LOOP_REPEATED; form++) {
        const struct nest_case c = {.outer = (kiln_loop_form)form};
        kiln_expect_gradient(build_twice, &c, "twice");
        kiln_expect_devices_agree(build_twice, &c, true, 0, "twice");
    }
}
