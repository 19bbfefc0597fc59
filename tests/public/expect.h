/*
 * expect.h - the whole test support of tests/public: each file there is a program against <kiln/kiln.h> alone, as an
 * application would be, that shows one thing the public API must carry.
 *
 *   static void run(const char *device) { ... TRY(...); EXPECT(...); }
 *   int main(void) { return expect_on_devices(run); }
 *
 * It runs on each device of KILN_TEST_DEVICES ("cpu" without it).
 */
#ifndef KILN_TESTS_PUBLIC_EXPECT_H
#define KILN_TESTS_PUBLIC_EXPECT_H

#include <kiln/kiln.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int expect_failures;

#define EXPECT(...)                                                                    \
    do {                                                                               \
        if (!(__VA_ARGS__)) {                                                          \
            fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            expect_failures++;                                                         \
        }                                                                              \
    } while (0)

#define EXPECT_NEAR(got, want, tolerance) expect_near(got, want, tolerance, #got, __LINE__)

/* A call that must succeed; the program cannot go on without it. */
#define TRY(...)                                                                     \
    do {                                                                             \
        if ((__VA_ARGS__) != KILN_OK) {                                              \
            fprintf(stderr, "%s:%d: %s failed\n", __FILE__, __LINE__, #__VA_ARGS__); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

static inline void expect_near(double got, double want, double tolerance, const char *what, int line)
{
    if (fabs(got - want) <= tolerance * fmax(1, fabs(want)))
        return;
    fprintf(stderr, "line %d: %s is %.9g, expected %.9g within %g\n", line, what, got, want, tolerance);
    expect_failures++;
}

static inline kiln_device *expect_device(const char *name)
{
    kiln_device *dev = NULL;
    name = !strcmp(name, "lavapipe")      ? "vulkan:llvmpipe"
           : !strcmp(name, "swiftshader") ? "vulkan:SwiftShader"
                                          : name;
    TRY(kiln_device_open(&dev, &(kiln_device_params){.name = name}));
    return dev;
}

/* Floats as an array of a shape. */
#define FLOATS(values, ...) (&(kiln_array){.data = (values), .shape = KILN_SHAPE(__VA_ARGS__)})
#define INTS(values, ...) \
    (&(kiln_array){.data = (values), .type = KILN_I32, .shape = KILN_SHAPE(__VA_ARGS__)})
#define INTO(values) (&(kiln_array){.data = (values), .bytes = sizeof(values)})

static inline float read_scalar(kiln_program *p, kiln_tensor t)
{
    float value[1] = {NAN};
    TRY(kiln_program_read(p, t, INTO(value)));
    return value[0];
}

/* The largest difference of a tensor between two weights. */
static inline double weights_apart(kiln_weights *a, kiln_weights *b, const char *name)
{
    static float x[1 << 20], y[1 << 20];
    kiln_array to_x = {.data = x, .bytes = sizeof x}, to_y = {.data = y, .bytes = sizeof y};
    double apart = 0;
    TRY(kiln_weights_read(a, name, &to_x));
    TRY(kiln_weights_read(b, name, &to_y));
    for (int64_t i = 0; i < kiln_shape_count(&to_x.shape); i++)
        apart = fmax(apart, fabs((double)x[i] - y[i]));
    return apart;
}

/* Numbers in [-1, 1) that are the same everywhere. */
static inline void fill(float *to, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (float)(seed >> 8) / (float)(1 << 23) - 1;
    }
}

/* Log lines go to stderr, or nowhere while an error is provoked; what Vulkan's validation layers say is a failure. */
static void expect_line(void *quiet, kiln_log_level level, const char *line)
{
    const int finding = strstr(line, "Vulkan validation: ") != NULL;
    (void)level;
    expect_failures += finding;
    if (finding || !quiet)
        fprintf(stderr, "kiln: %s\n", line);
}

static inline void expect_quiet(int quiet)
{
    kiln_log_to(expect_line, quiet ? &expect_failures : NULL, KILN_LOG_WARNING);
}

static inline int expect_on_devices(void (*run)(const char *device))
{
    char list[256];
    const char *env = getenv("KILN_TEST_DEVICES");
    snprintf(list, sizeof list, "%s", env && *env ? env : "cpu");
    expect_quiet(0);
    for (char *rest = list, *device; (device = strtok_r(rest, ",", &rest));) {
        const int before = expect_failures;
        run(device);
        printf("%s: %s\n", device, expect_failures == before ? "ok" : "FAILED");
    }
    return expect_failures != 0;
}

#endif
