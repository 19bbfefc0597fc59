/* autodiff.c - reverse-mode differentiation: shared values, zeros for what does not matter, errors by name. */
#include <string.h>

#include "support/support.h"

static kiln_tensor shared(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    kiln_tensor x = kiln_test_input(g, KILN_SHAPE(3, 4)), y = kiln_test_input(g, KILN_SHAPE(4));
    kiln_tensor h = kiln_tanh(g, kiln_add(g, x, y));
    return kiln_add(g, kiln_mul(g, h, h), kiln_mul(g, x, kiln_sigmoid(g, h)));
}

Test(autodiff, contributions_of_shared_values_add_up)
{
    kiln_expect_gradient(shared, NULL, "a value used three times");
}

Test(autodiff, an_independent_x_gets_zeros_and_stop_gradient_cuts)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    float a[3] = {9, 9, 9}, b[3] = {9, 9, 9};
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_tensor x[2] = {kiln_test_input(g, KILN_SHAPE(3)), kiln_test_input(g, KILN_SHAPE(3))}, dx[2];
    kiln_tensor y = kiln_sum(g, kiln_mul(g, x[0], kiln_stop_gradient(g, x[0])), NULL);
    kiln_gradient(g, y, KILN_NONE, x, 2, dx);
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    kiln_device *dev = kiln_test_open("cpu");
    cr_assert_eq(kiln_program_create(&p, dev, g, w,
                                     &(kiln_program_params){.run = KILN_RUN(dx[0], dx[1], x[0])}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    float value[3];
    kiln_program_read(p, dx[0], &(kiln_array){.data = a});
    kiln_program_read(p, dx[1], &(kiln_array){.data = b});
    kiln_program_read(p, x[0], &(kiln_array){.data = value});
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(a[i], value[i]);
        cr_expect_eq(b[i], 0);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(autodiff, an_integer_x_and_a_missing_rule_are_errors_by_name)
{
    kiln_graph *g = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_tensor i = kiln_input(g, "index", KILN_I32, KILN_SHAPE(3)), d;
    kiln_gradient(g, kiln_sum(g, kiln_cast(g, i, KILN_F32), NULL), KILN_NONE, &i, 1, &d);
    cr_expect(strstr(kiln_graph_error(g), "index") && strstr(kiln_graph_error(g), "i32"), "%s",
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(autodiff, symbolic_sizes_are_never_read)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t n = kiln_dim(g, "length");
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, n, 4)),
                w = kiln_parameter(g, "w", KILN_SHAPE(4, 4), NULL), d;
    kiln_tensor y = kiln_mean(g, kiln_relu(g, kiln_matmul(g, x, w, NULL)), NULL);
    kiln_gradient(g, y, KILN_NONE, &w, 1, &d);
    cr_expect_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    const kiln_shape shape = kiln_tensor_shape(g, d);
    cr_expect(shape.rank == 2 && shape.size[0] == 4 && shape.size[1] == 4);
    kiln_graph_destroy(&g);
}
