/* gradient.c - kiln_check_gradient: a right network passes, a planted bug is named. */
#include <kiln/extend.h>

#include "program/rig.h"

/* y = x, whose gradient is said to be 1.001. */
static kiln_status wrong_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static void wrong_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)n;
    dx[0] = kiln_scale(g, dy[0], 1.001);
}

static const kiln_op wrong = {.name = "wrong",
                              .inputs = 1,
                              .outputs = 1,
                              .infer = wrong_infer,
                              .grad = wrong_grad,
                              .flags = KILN_OP_ALIAS};

static kiln_tensor network(kiln_graph *g, bool bug)
{
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    kiln_tensor h = kiln_tanh(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 5, .name = "first"}));
    if (bug)
        h = kiln_append(g, &wrong, &h, 1, NULL, 0);
    h = kiln_dropout(g, kiln_nn_batch_norm(g, h, NULL), 0.3);
    h = kiln_nn_dense(g, h, &(kiln_nn_dense_params){.units = 2, .name = "second"});
    return kiln_mean(g, kiln_square(g, h), NULL);
}

static kiln_status check(bool bug, char *worst, size_t bytes, double *error)
{
    kiln_graph *g = new_graph();
    kiln_tensor loss = network(g, bug);
    kiln_weights *w = new_weights(g, 5);
    const float x[] = {0.1f, 0.7f, -0.4f, 1, -1, 0.3f, 0.2f, -0.8f, 0.9f, 0.5f, -0.6f, 0};
    const kiln_status status = kiln_check_gradient(g, w, loss,
                                                   &(kiln_check_params){.inputs = FLOATS(x, 4, 3),
                                                                        .input_count = 1,
                                                                        .train = true,
                                                                        .worst = worst,
                                                                        .worst_bytes = bytes,
                                                                        .error = error});
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return status;
}

Test(gradient, a_whole_network_with_batch_norm_and_dropout_is_right)
{
    char worst[64];
    double error;
    cr_expect_eq(check(false, worst, sizeof worst, &error), KILN_OK, "%s is off by %g", worst, error);
    cr_expect_lt(error, 1e-6);
}

Test(gradient, a_planted_bug_is_found_in_front_of_it)
{
    char worst[64] = "";
    double error = 0;
    keep_lines();
    cr_expect_eq(check(true, worst, sizeof worst, &error), KILN_ERROR_ARGUMENT);
    cr_expect_eq(strncmp(worst, "first.", 6), 0, "the worst is %s", worst);
    cr_expect(error > 1e-4 && error < 1e-2, "%g", error);
    cr_expect(strstr(last_line, "first.") != NULL, "%s", last_line);
}

Test(gradient, checking_leaves_the_weights_as_they_were)
{
    kiln_graph *g = new_graph();
    kiln_tensor loss = network(g, false);
    kiln_weights *w = new_weights(g, 5);
    float before[15], after[15];
    const float x[] = {0.1f, 0.7f, -0.4f, 1, -1, 0.3f};
    TRY(kiln_weights_read(w, "first.weight", INTO(before)));
    TRY(kiln_check_gradient(g, w, loss, &(kiln_check_params){.inputs = FLOATS(x, 2, 3), .input_count = 1}));
    TRY(kiln_weights_read(w, "first.weight", INTO(after)));
    cr_expect_eq(memcmp(before, after, sizeof before), 0);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}
