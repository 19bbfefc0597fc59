/* plans.h - a graph's plan, to be looked at. */
#ifndef KILN_TESTS_COMPILER_PLANS_H
#define KILN_TESTS_COMPILER_PLANS_H

#include <stdlib.h>
#include <string.h>

#include "program/program.h"
#include "support/support.h"

/** A program and its only plan, a loan. */
struct planned {
    kiln_device *dev;
    kiln_weights *w;
    kiln_program *p;
    const struct kiln_plan *plan;
};

/** Plan the graph for a device, with a batch of 8. Fails the test if it cannot be planned. */
static inline struct planned plan_on(kiln_device *dev, const kiln_graph *g, const kiln_tensor *run,
                                     bool train)
{
    struct planned d = {.dev = dev};
    const kiln_size sizes[] = {{KILN_BATCH, 8}};
    const kiln_program_params params = {.run = run, .train = train, .sizes = sizes, .size_count = 1};
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_weights_create(&d.w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&d.p, dev, g, d.w, &params), KILN_OK);
    cr_assert_eq(d.p->ready.count, 1);
    d.plan = d.p->ready.data[0]->plan;
    return d;
}

/** The same on the null device. */
static inline struct planned plan_of(const kiln_graph *g, const kiln_tensor *run, bool train)
{
    return plan_on(kiln_test_open("null"), g, run, train);
}

static inline void planned_finish(struct planned *d)
{
    kiln_program_destroy(&d->p);
    kiln_weights_destroy(&d->w);
    kiln_device_close(&d->dev);
}

static inline kiln_graph *plan_graph(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    return g;
}

/** How many nodes of that operator the plan's graph has. */
static inline int count_nodes(const struct kiln_plan *plan, const char *op)
{
    int count = 0;
    for (int i = 0; i < plan->graph->node.count; i++)
        count += !strcmp(plan->graph->node.data[i]->op->name, op);
    return count;
}

/** How many dispatches run, and how many of a kernel. */
static inline int count_dispatches(const struct kiln_plan *plan, const char *kernel)
{
    int count = 0;
    for (int i = 0; i < plan->step.count; i++)
        count += plan->step.data[i].kind == KILN_COMMAND_DISPATCH &&
                 (!kernel || !strcmp(plan->step.data[i].dispatch->kernel->name, kernel));
    return count;
}

/** Values in [-1, 1) as an input, and written to the program. */
static inline void write_input(kiln_program *p, kiln_tensor x, kiln_shape shape)
{
    const int64_t count = kiln_shape_count(&shape);
    float *values = malloc((size_t)count * sizeof *values);
    uint32_t state = 12345;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
    cr_assert_eq(kiln_program_write(p, x, &(kiln_array){.data = values, .shape = shape}), KILN_OK);
    free(values);
}

#endif
