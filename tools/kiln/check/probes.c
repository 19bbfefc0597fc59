/* probes.c - see probes.h. */
#include "check/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A network that learns ------------------------------------------------------------------------------------- */

enum { BATCH = 16, SIDE = 12, CLASSES = 5, STEPS = 4, TRAININGS = 4 };

/* Convolution, normalization, dropout and products: what a step of training is made of. */
struct learner {
    kiln_graph *g;
    kiln_weights *weights;
    kiln_program *program;
    kiln_tensor x, label, loss;
};

static kiln_tensor scores_of(kiln_graph *g, kiln_tensor x)
{
    const kiln_nn_conv_params filters = {.filters = 8, .size = {3, 3}, .same = true};
    const kiln_pool_params halves = {.size = {2, 2}};
    kiln_tensor h = kiln_relu(g, kiln_nn_batch_norm(g, kiln_nn_conv(g, x, &filters), NULL));

    h = kiln_flatten(g, kiln_dropout(g, kiln_max_pool(g, h, &halves), 0.2), 1);
    h = kiln_tanh(g, kiln_nn_dense(g, h, &(kiln_nn_dense_params){.units = 32}));
    return kiln_nn_dense(g, h, &(kiln_nn_dense_params){.units = CLASSES});
}

static void learner_finish(struct learner *l)
{
    kiln_program_destroy(&l->program);
    kiln_weights_destroy(&l->weights);
    kiln_graph_destroy(&l->g);
}

static kiln_status learner_create(kiln_device *dev, struct learner *l)
{
    kiln_status status = kiln_graph_create(&l->g, NULL);

    if (status)
        return status;
    l->x = kiln_input(l->g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, SIDE, SIDE));
    l->label = kiln_input(l->g, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    l->loss = kiln_cross_entropy(l->g, scores_of(l->g, l->x), l->label);
    const kiln_tensor step = kiln_minimize(l->g, l->loss, &(kiln_minimize_params){.by = KILN_ADAM});
    if (!(status = kiln_weights_create(&l->weights, l->g, NULL)))
        status = kiln_program_create(&l->program, dev, l->g, l->weights,
                                     &(kiln_program_params){.train = true, .run = KILN_RUN(l->loss, step)});
    return status;
}

static kiln_status learner_step(struct learner *l, int step)
{
    float x[BATCH * SIDE * SIDE];
    int32_t label[BATCH];
    kiln_status status;

    for (int i = 0; i < BATCH * SIDE * SIDE; i++)
        x[i] = (float)((i * 37 + step * 11) % 64) / 64;
    for (int i = 0; i < BATCH; i++)
        label[i] = (i + step) % CLASSES;
    status = kiln_program_write(l->program, l->x,
                                &(kiln_array){.data = x, .shape = KILN_SHAPE(BATCH, 1, SIDE, SIDE)});
    if (!status)
        status =
            kiln_program_write(l->program, l->label,
                               &(kiln_array){.data = label, .type = KILN_I32, .shape = KILN_SHAPE(BATCH)});
    if (!status && !(status = kiln_program_run(l->program)))
        status = kiln_program_wait(l->program);
    return status;
}

/* The same bits ---------------------------------------------------------------------------------------------- */

/* The losses of some steps, from the same weights each time. */
static kiln_status train(kiln_device *dev, float loss[STEPS])
{
    struct learner l = {0};
    kiln_status status = learner_create(dev, &l);

    for (int i = 0; i < STEPS && !status; i++)
        if (!(status = learner_step(&l, i)))
            status = kiln_program_read(l.program, l.loss,
                                       &(kiln_array){.data = &loss[i], .bytes = sizeof loss[i]});
    learner_finish(&l);
    return status;
}

static kiln_status probe_bits(kiln_device *dev, struct check_probe *out)
{
    float first[STEPS], again[STEPS];
    kiln_status status = train(dev, first);

    snprintf(out->what, sizeof out->what, "%d steps, %d times", STEPS, TRAININGS);
    for (int run = 1; run < TRAININGS && !status; run++) {
        if ((status = train(dev, again)) || memcmp(first, again, sizeof first) == 0)
            continue;
        out->status = CHECK_FAILED;
        snprintf(out->what, sizeof out->what, "the loss of step %d is %.9g, then %.9g", STEPS,
                 first[STEPS - 1], again[STEPS - 1]);
    }
    return status;
}

/* Memory ----------------------------------------------------------------------------------------------------- */

enum { PROGRAMS = 16, RUNS = 160, HELD = 4 << 20 }; /* bytes that the process may keep: allocators do */

/* Bytes of the process that lie in memory; 0: the system does not say. */
static double resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all = 0, there = 0;

    if (file) {
        if (fscanf(file, "%ld %ld", &all, &there) != 2)
            there = 0;
        fclose(file);
    }
    return (double)there * (double)sysconf(_SC_PAGESIZE);
}

/* What it was in the middle of the runs, when everything was made once, and what it is at the end. */
static void judge_growth(struct check_probe *out, double device, double device_then, double host,
                         double host_then)
{
    if (device > device_then || host > host_then + HELD)
        out->status = CHECK_FAILED;
    snprintf(out->what, sizeof out->what, "%+.0f bytes on the device, %+.1f MiB of the process",
             device - device_then, (host - host_then) / 1048576);
}

static kiln_status probe_programs(kiln_device *dev, struct check_probe *out)
{
    double device = 0, host = 0;
    kiln_status status = KILN_OK;

    for (int i = 0; i < PROGRAMS && !status; i++) {
        struct learner l = {0};
        if (i == PROGRAMS / 2) {
            device = (double)kiln_device_memory_used(dev);
            host = resident();
        }
        if (!(status = learner_create(dev, &l)))
            status = learner_step(&l, i);
        learner_finish(&l);
    }
    judge_growth(out, (double)kiln_device_memory_used(dev), device, resident(), host);
    return status;
}

static kiln_status probe_runs(kiln_device *dev, struct check_probe *out)
{
    struct learner l = {0};
    double device = 0, host = 0;
    kiln_status status = learner_create(dev, &l);

    for (int i = 0; i < RUNS && !status; i++) {
        if (i == RUNS / 2) {
            device = (double)kiln_device_memory_used(dev);
            host = resident();
        }
        status = learner_step(&l, i);
    }
    judge_growth(out, (double)kiln_device_memory_used(dev), device, resident(), host);
    learner_finish(&l);
    return status;
}

/* Time ------------------------------------------------------------------------------------------------------- */

/* Systems reset a GPU that is busy for 2 seconds; a fifth of that is what a submission may take. */
#define LONGEST 0.4

enum { PRODUCTS = 12, SIZE = 768 };

/* One product after the other: far more work than a submission may take. */
static kiln_status run_products(kiln_device *dev)
{
    kiln_graph *g = NULL;
    kiln_weights *weights = NULL;
    kiln_program *program = NULL;
    kiln_status status = kiln_graph_create(&g, NULL);

    if (status)
        return status;
    kiln_tensor x = kiln_parameter(g, "x", KILN_SHAPE(SIZE, SIZE), NULL), y = x;
    for (int i = 0; i < PRODUCTS; i++)
        y = kiln_tanh(g, kiln_matmul(g, y, x, NULL));
    if (!(status = kiln_weights_create(&weights, g, NULL)) &&
        !(status =
              kiln_program_create(&program, dev, g, weights, &(kiln_program_params){.run = KILN_RUN(y)})))
        status = kiln_program_run(program);
    if (!status)
        status = kiln_program_wait(program);
    kiln_program_destroy(&program);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&g);
    return status;
}

/* The first run shows the queue its pace, by which the second's submissions are cut. Drivers on the CPU are told of alone. */
static kiln_status probe_submissions(kiln_device *dev, struct check_probe *out)
{
    kiln_status status;

    if (dev->caps.backend == KILN_BACKEND_CPU) {
        out->status = CHECK_INAPPLICABLE;
        snprintf(out->what, sizeof out->what, "the CPU has no submissions to bound");
        return KILN_OK;
    }
    if ((status = run_products(dev)))
        return status;
    dev->watched = true;
    dev->longest = 0;
    status = run_products(dev);
    dev->watched = false;
    if (!dev->caps.software && dev->longest > LONGEST)
        out->status = CHECK_FAILED;
    snprintf(out->what, sizeof out->what, "the longest took %.0f ms, %.0f are aimed at", 1e3 * dev->longest,
             1e3 * dev->caps.slice);
    return status;
}

const struct check_probe_row check_probes[] = {
    {"bits/training", probe_bits},
    {"memory/programs", probe_programs},
    {"memory/runs", probe_runs},
    {"time/submissions", probe_submissions},
    {0},
};
