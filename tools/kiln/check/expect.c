/* expect.c - see expect.h. */
#include "check/expect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/half.h"
#include "base/log.h"
#include "check/values.h"
#include "compiler/convert.h"

/* The float32 roundings of sums of a case's size; a half is rounded once more. Integers are exact. */
static double tolerance_of(kiln_type type)
{
    return !kiln_type_is_real(type) ? 0 : type == KILN_F16 ? 0x1p-10 : 1e-5;
}

static double *values_of(size_t count)
{
    return calloc(count + 1, sizeof(double));
}

/* As operands of the case's type have them. */
static void round_all(double *x, size_t count, kiln_type type)
{
    for (size_t k = 0; k < count && type == KILN_F16; k++)
        x[k] = kiln_half_to(kiln_half_from((float)x[k]));
}

static kiln_status read_parameters(kiln_program *program, const struct check_graph *c, double **x)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < kiln_graph_parameter_count(c->g) && i < CHECK_INPUTS && !status; i++) {
        const kiln_tensor p = kiln_graph_parameter(c->g, i);
        const kiln_shape shape = kiln_tensor_shape(c->g, p);
        const size_t count = (size_t)kiln_shape_count(&shape);
        if (!(x[i] = values_of(count)))
            return KILN_ERROR_MEMORY;
        status =
            kiln_weights_read(kiln_program_weights(program), kiln_tensor_name(c->g, p),
                              &(kiln_array){.data = x[i], .bytes = count * sizeof(double), .type = KILN_F64});
        round_all(x[i], count, c->type);
    }
    return status;
}

static kiln_status draw_inputs(const struct check_graph *c, uint64_t seed, double **x)
{
    for (int i = 0; i < c->inputs; i++) {
        const kiln_shape shape = kiln_tensor_shape(c->g, c->input[i].tensor);
        const size_t count = (size_t)kiln_shape_count(&shape);
        int64_t *drawn = malloc((count + 1) * sizeof *drawn);
        if (drawn && (x[i] = values_of(count))) {
            check_draw_input(c, i, seed, drawn);
            for (size_t k = 0; k < count; k++)
                x[i][k] = (double)drawn[k];
        }
        free(drawn);
        if (!x[i])
            return KILN_ERROR_MEMORY;
    }
    return KILN_OK;
}

static bool is_near(double got, double want, double tolerance)
{
    return got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

static void compare(const kiln_array *y, const double *want, size_t count, char *what, size_t bytes)
{
    const double tolerance = tolerance_of(y->type);

    for (size_t k = 0; k < count && !what[0]; k++)
        if (!is_near(check_element(y, k), want[k], tolerance))
            snprintf(what, bytes, "result %zu of %zu is %.9g, expected %.9g", k, count, check_element(y, k),
                     want[k]);
}

static kiln_status expect(kiln_program *program, const struct check_graph *c, struct check_values *x,
                          char *what, size_t bytes)
{
    kiln_array y = {.type = kiln_tensor_type(c->g, c->run[0])};
    kiln_shape shape;
    kiln_status status = kiln_program_shape(program, c->run[0], &shape);
    const size_t count = status ? 0 : (size_t)kiln_shape_count(&shape);
    double *want = values_of(count);

    y.bytes = (count + 1) * 8;
    y.data = malloc(y.bytes);
    if (!want || !y.data)
        status = KILN_ERROR_MEMORY;
    if (!status && !(status = kiln_program_read(program, c->run[0], &y))) {
        c->one->op->expect(c->one, x, want);
        compare(&y, want, count, what, bytes);
    }
    free(want);
    free(y.data);
    return status;
}

kiln_status check_expectation(kiln_program *program, const struct check_graph *c, uint64_t seed, char *what,
                              size_t bytes)
{
    double *real[CHECK_INPUTS] = {0}, *whole[CHECK_INPUTS] = {0};
    struct check_values x = {.real = (const double *const *)real, .whole = (const double *const *)whole};
    kiln_status status = read_parameters(program, c, real);

    what[0] = 0;
    if (!status && !(status = draw_inputs(c, seed, whole)))
        status = expect(program, c, &x, what, bytes);
    if (status == KILN_ERROR_MEMORY)
        (void)kiln_fail(status, "check: no memory for what a case expects");
    for (int i = 0; i < CHECK_INPUTS; i++) {
        free(real[i]);
        free(whole[i]);
    }
    return status;
}
