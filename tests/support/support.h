/*
 * support.h - what every test of operators and programs shares: the devices of this run, networks of one operator, and the
 * comparisons: with known values, with finite differences, and of every device with the float64 references.
 *
 * A case is built by a function (graph, case) -> output. Its operands are kiln_test_input and its like: parameters with
 * reproducible values, so that one build serves values, gradients and devices.
 */
#ifndef KILN_TESTS_SUPPORT_SUPPORT_H
#define KILN_TESTS_SUPPORT_SUPPORT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <kiln/kiln.h>

#define KILN_COUNT(array) (sizeof(array) / sizeof *(array))

/* Devices ------------------------------------------------------------------------------------------------ */

/** The devices of KILN_TEST_DEVICES ("cpu,lavapipe,swiftshader"; "cpu" without it); NULL after the last. */
const char *kiln_test_device(int index);

/** Open one of them: "cpu", "null", "lavapipe", "swiftshader". Fails the test if it cannot be opened. */
kiln_device *kiln_test_open(const char *name);

/** Close it, and fail the test if the validation layers said anything meanwhile. */
void kiln_test_close(kiln_device **dev);

/* Operands ----------------------------------------------------------------------------------------------- */

/** Values in [-1, 1) of a stream that counts the graph's test inputs; away from 0, where many operators have a kink. */
kiln_tensor kiln_test_input(kiln_graph *g, kiln_shape shape);
/** Values in [low, high). */
kiln_tensor kiln_test_input_in(kiln_graph *g, kiln_shape shape, double low, double high);
/** A constant of integers in 0 .. bound - 1. */
kiln_tensor kiln_test_index(kiln_graph *g, kiln_shape shape, int bound);
/** Given values, as a parameter. */
kiln_tensor kiln_test_values(kiln_graph *g, kiln_shape shape, const float *values);

typedef kiln_tensor kiln_test_build(kiln_graph *g, const void *one_case);

/* Comparisons -------------------------------------------------------------------------------------------- */

/** Build, run on the device in float32 (float64 if dev is NULL: on the CPU) and return the output as malloc'ed doubles. */
double *kiln_test_eval(kiln_test_build *build, const void *one_case, kiln_device *dev, kiln_shape *shape);

/**
 * Run y on a device by name, with the inputs in the order of the graph; its values as 64-bit integers, or as doubles if it is
 * real, go to `got`.
 */
void kiln_test_run(const kiln_graph *g, kiln_tensor y, const char *device, const kiln_array *in, void *got);

/** |got - want| <= tolerance * max(1, |want|) for each of count values; NaN equals NaN, infinities their like. */
void kiln_expect_close(const double *got, const double *want, size_t count, double tolerance,
                       const char *why);

/** The case's values in float64 on the CPU. */
void kiln_expect_values(kiln_test_build *build, const void *one_case, const double *want, size_t count,
                        double tolerance, const char *why);

/** The gradient of sum(y * r), r fixed and random, by every operand against central differences, within 1e-6. */
void kiln_expect_gradient(kiln_test_build *build, const void *one_case, const char *why);

/**
 * The value and (with `gradient`) the gradients on every device of this run against the float64 references: the largest
 * difference, over the largest magnitude of that tensor (at least 1e-3), is at most `tolerance`: 0 means 1e-5, a few dozen
 * roundings of float32 (6e-8 each) in the sums of a test's size.
 */
void kiln_expect_devices_agree(kiln_test_build *build, const void *one_case, bool gradient, double tolerance,
                               const char *why);

#endif
