/* rig.h - what the tests of programs share: a graph, its weights, a program, and log lines to look at. */
#ifndef KILN_TESTS_PROGRAM_RIG_H
#define KILN_TESTS_PROGRAM_RIG_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

#define FLOATS(values, ...) \
    (&(kiln_array){.data = (void *)(uintptr_t)(values), .shape = KILN_SHAPE(__VA_ARGS__)})
#define INTO(values) (&(kiln_array){.data = (values), .bytes = sizeof(values)})
#define TRY(...)     cr_assert_eq((__VA_ARGS__), KILN_OK)

static char last_line[2048];

static void keep_line(void *user, kiln_log_level level, const char *line)
{
    (void)user, (void)level;
    snprintf(last_line, sizeof last_line, "%s", line);
}

/** From here on lines are kept, not shown. */
static inline void keep_lines(void)
{
    kiln_log_to(keep_line, NULL, KILN_LOG_ERROR);
}

/** The call fails with this status, and its line has both words. */
#define EXPECT_REFUSED(call, status, one, other)                                                     \
    do {                                                                                             \
        last_line[0] = 0;                                                                            \
        cr_expect_eq(call, status);                                                                  \
        cr_expect(strstr(last_line, one) && strstr(last_line, other), "the line is: %s", last_line); \
    } while (0)

static inline kiln_graph *new_graph(void)
{
    kiln_graph *g = NULL;
    TRY(kiln_graph_create(&g, NULL));
    return g;
}

static inline kiln_weights *new_weights(const kiln_graph *g, uint64_t seed)
{
    kiln_weights *w = NULL;
    TRY(kiln_weights_create(&w, g, &(kiln_weights_params){.seed = seed}));
    return w;
}

static inline kiln_program *new_program(kiln_device *dev, const kiln_graph *g, kiln_weights *w,
                                        const kiln_tensor *run, bool train)
{
    kiln_program *p = NULL;
    TRY(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = run, .train = train}));
    return p;
}

static inline float weight(kiln_weights *w, const char *name)
{
    float value[64] = {NAN};
    TRY(kiln_weights_read(w, name, INTO(value)));
    return value[0];
}

static inline float result(kiln_program *p, kiln_tensor t)
{
    float value[64] = {NAN};
    TRY(kiln_program_read(p, t, INTO(value)));
    return value[0];
}

#endif
