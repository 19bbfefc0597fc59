/* fission.c - what a scan computes for all its steps at once: fewer dispatches, the same values and gradients. */
#include "compiler/plans.h"

enum { STEPS = 6, BATCH = 3, UNITS = 4, KEYS = 5, WORDS = 7 };

/*
 * word [B], x [B, 2], h [B, 4], keys [B, 5, 4] -> y [2, B], h.  Ahead of the steps: the word's row, beside x, times w. A step:
 * h = tanh(that + h v). Behind them: attention from h over the keys, a product, the transpose, its first rows.
 */
static kiln_graph *make_cell(void)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor word = kiln_input(g, "word", KILN_I32, KILN_SHAPE(KILN_BATCH)),
                      x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2)),
                      h = kiln_input(g, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, UNITS)),
                      keys = kiln_input(g, "keys", KILN_F32, KILN_SHAPE(KILN_BATCH, KEYS, UNITS));
    const kiln_init spread = {.kind = KILN_INIT_UNIFORM};
    const kiln_tensor table = kiln_parameter(g, "table", KILN_SHAPE(WORDS, 3), &spread),
                      w = kiln_parameter(g, "w", KILN_SHAPE(5, UNITS), &spread),
                      bias = kiln_parameter(g, "bias", KILN_SHAPE(UNITS), &spread),
                      v = kiln_parameter(g, "v", KILN_SHAPE(UNITS, UNITS), &spread),
                      o = kiln_parameter(g, "o", KILN_SHAPE(UNITS, 3), &spread);
    const kiln_tensor beside[] = {kiln_gather(g, table, word, 0), x};
    const kiln_tensor ahead = kiln_add(g, kiln_matmul(g, kiln_concat(g, beside, 2, 1), w, NULL), bias);
    const kiln_tensor next = kiln_tanh(g, kiln_add(g, ahead, kiln_matmul(g, h, v, NULL)));
    const kiln_tensor scores = kiln_softmax(
        g, kiln_matmul(g, kiln_unsqueeze(g, next, 1), keys, &(kiln_matmul_params){.transpose_b = true}), -1);
    const kiln_tensor seen = kiln_squeeze(g, kiln_matmul(g, scores, keys, NULL), 1);
    const kiln_tensor y = kiln_transpose(g, kiln_matmul(g, seen, o, NULL), (const int[]){1, 0});
    kiln_output(g, "y", kiln_slice(g, y, 0, 0, 2, 1));
    kiln_output(g, "next", next);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    return g;
}

/* x [B, 2], sum [2, 2] -> the sum before, the sum plus x^T x: a sum that is looked at in every step. */
static kiln_graph *make_sum(void)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2)),
                      sum = kiln_input(g, "sum", KILN_F32, KILN_SHAPE(2, 2));
    kiln_output(g, "before", sum);
    kiln_output(g, "next",
                kiln_add(g, sum, kiln_matmul(g, x, x, &(kiln_matmul_params){.transpose_a = true})));
    return g;
}

struct form {
    bool by_hand, reverse;
    kiln_loop_form form;
    const char *why;
};

static const struct form forms[] = {
    {false, false, KILN_LOOP_UNROLLED, "unrolled"},
    {false, true, KILN_LOOP_UNROLLED, "unrolled, backwards"},
    {false, false, KILN_LOOP_REPEATED, "repeated"},
    {false, true, KILN_LOOP_REPEATED, "repeated, backwards"},
};

static void step_by_hand(kiln_graph *g, const kiln_graph *body, bool reverse, const kiln_scan_params *p,
                         kiln_tensor *out)
{
    kiln_tensor rows[STEPS];
    out[1] = p->carry[0];
    for (int t = 0; t < STEPS; t++) {
        const int row = reverse ? STEPS - 1 - t : t;
        kiln_tensor in[4];
        int count = 0;
        for (int i = 0; p->each[i].id; i++)
            in[count++] = kiln_squeeze(g, kiln_slice(g, p->each[i], 0, row, row + 1, 1), 0);
        in[count++] = out[1];
        in[count] = p->with[0];
        kiln_call(g, body, in, out);
        rows[row] = kiln_unsqueeze(g, out[0], 0);
    }
    out[0] = kiln_concat(g, rows, STEPS, 0);
}

/* Both outputs, flat, behind one another. */
static kiln_tensor scan(kiln_graph *g, kiln_graph *body, const struct form *f, kiln_scan_params p)
{
    kiln_tensor out[2];
    p.reverse = f->reverse;
    p.form = f->form;
    if (f->by_hand)
        step_by_hand(g, body, f->reverse, &p, out);
    else
        kiln_scan(g, body, &p, out);
    kiln_graph_destroy(&body);
    for (int i = 0; i < 2; i++)
        out[i] = kiln_flatten(g, out[i], kiln_tensor_shape(g, out[i]).rank);
    return kiln_concat(g, out, 2, 0);
}

static kiln_tensor attend(kiln_graph *g, const void *one_case)
{
    const kiln_tensor words = kiln_test_index(g, KILN_SHAPE(STEPS, BATCH), WORDS);
    return scan(g, make_cell(), one_case,
                (kiln_scan_params){.each = {words, kiln_test_input(g, KILN_SHAPE(STEPS, BATCH, 2))},
                                   .carry = {kiln_test_input(g, KILN_SHAPE(BATCH, UNITS))},
                                   .with = {kiln_test_input(g, KILN_SHAPE(BATCH, KEYS, UNITS))}});
}

static kiln_tensor sum_up(kiln_graph *g, const void *one_case)
{
    return scan(g, make_sum(), one_case,
                (kiln_scan_params){.each = {kiln_test_input(g, KILN_SHAPE(STEPS, BATCH, 2))},
                                   .carry = {kiln_test_input(g, KILN_SHAPE(2, 2))}});
}

static void expect_the_steps(kiln_test_build *build)
{
    for (size_t i = 0; i < KILN_COUNT(forms); i++) {
        struct form hand = forms[i];
        hand.by_hand = true;
        kiln_shape shape;
        double *want = kiln_test_eval(build, &hand, NULL, &shape),
               *got = kiln_test_eval(build, &forms[i], NULL, &shape);
        kiln_expect_close(got, want, (size_t)kiln_shape_count(&shape), 1e-14, forms[i].why);
        kiln_expect_gradient(build, &forms[i], forms[i].why);
        kiln_expect_devices_agree(build, &forms[i], true, 0, forms[i].why);
        free(want);
        free(got);
    }
}

Test(fission, what_is_computed_for_all_steps_at_once_is_what_each_computes)
{
    expect_the_steps(attend);
}

Test(fission, a_sum_that_is_looked_at_in_every_step_is_one_of_each_step)
{
    expect_the_steps(sum_up);
}

struct counts {
    const char *op;
    int repeated, unrolled; /* how many nodes there are */
};

static void expect_counts(kiln_tensor (*run)(kiln_graph *g, const void *one_case), bool train,
                          const struct counts *c)
{
    for (int i = 0; i < 2; i++) {
        kiln_graph *g = plan_graph();
        const kiln_tensor y = run(g, &(struct form){.form = i ? KILN_LOOP_UNROLLED : KILN_LOOP_REPEATED});
        struct planned d = plan_of(g, KILN_RUN(y), train);
        for (int k = 0; c[k].op; k++)
            cr_expect_eq(count_nodes(d.plan, c[k].op), i ? c[k].unrolled : c[k].repeated,
                         "%d of %s in form %d", count_nodes(d.plan, c[k].op), c[k].op, i);
        planned_finish(&d);
        kiln_graph_destroy(&g);
    }
}

/* Four products are of all steps at once, and one is of each step. */
Test(fission, work_that_needs_no_carry_is_done_once)
{
    const struct counts counts[] = {
        {"matmul", 5, 4 + STEPS}, {"gather", 1, 1}, {"softmax", 1, 1}, {"transpose", 1, 1}, {0}};
    expect_counts(attend, false, counts);
}

static kiln_tensor learn(kiln_graph *g, const void *one_case)
{
    return kiln_minimize(g, kiln_mean(g, kiln_square(g, attend(g, one_case)), NULL), NULL);
}

/*
 * Forward as above; then the three whose results a gradient needs are computed again, of all steps at once, as are the two gradients of
 * each of the four and that by v. Two are of each step. The rows of the table are added up once.
 */
Test(fission, gradients_of_weights_are_summed_over_all_steps_at_once)
{
    const struct counts counts[] = {{"matmul", 18, 16 + 2 * STEPS}, {"gather_grad", 1, 1}, {0}};
    expect_counts(learn, true, counts);
}
