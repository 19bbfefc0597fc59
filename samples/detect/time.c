/* time.c - the command that says how long a step of learning and a batch of finding take, and how much memory. */
#include "detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WARM = 2, TIMED = 9 };

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Run a program on what was written; the median's seconds go to *seconds. */
static kiln_status median_of(kiln_program *program, double *seconds)
{
    double each[TIMED];
    for (int i = 0; i < WARM + TIMED; i++) {
        const double begin = now();
        kiln_status status = kiln_program_run(program);
        if (!status)
            status = kiln_program_wait(program);
        if (status)
            return status;
        if (i >= WARM)
            each[i - WARM] = now() - begin;
    }
    qsort(each, TIMED, sizeof *each, by_size);
    *seconds = each[TIMED / 2];
    return KILN_OK;
}

static kiln_status show(const char *what, kiln_program *program, const struct options *o)
{
    kiln_program_memory memory;
    double seconds;
    kiln_status status = median_of(program, &seconds);
    if (!status)
        status = kiln_program_memory_used(program, &memory);
    if (!status)
        printf("%-8s %9s  batch %d of %dx%d: %.1f ms, %.1f ms a picture, %.1f MiB\n", what, o->network,
               o->batch, o->size[0], o->size[1], seconds * 1e3, seconds * 1e3 / o->batch,
               (double)(memory.weights + memory.scratch + memory.staging + memory.constants) / 1048576);
    return status;
}

static kiln_status write_batch(kiln_program *program, const struct model *m, const kiln_batch *batch)
{
    for (int i = 0; i < kiln_program_input_count(program); i++) {
        const kiln_tensor input = kiln_program_input(program, i);
        for (int k = 0; k < batch->columns; k++)
            if (kiln_find(m->graph, batch->name[k]).id == input.id) {
                const kiln_status status = kiln_program_write(program, input, &batch->column[k]);
                if (status)
                    return status;
            }
    }
    return KILN_OK;
}

kiln_status command_time(kiln_device *dev, const struct options *o)
{
    struct model m = {0};
    kiln_dataset *data = NULL;
    kiln_program *learn = NULL;
    kiln_batch batch;
    const struct task task = {.width = o->size[0], .height = o->size[1], .classes = 5, .most = 6};
    const struct options generated = {.rows = o->batch};
    static const char *const names[] = {"circle", "square", "triangle", "star", "digit"};
    kiln_status status;
    TRY(status = open_data(&data, &generated, "train", &task, NULL));
    TRY(status = kiln_dataset_next(data, o->batch, &batch));
    TRY(status = model_create(&m, dev, o->network, &task, names));
    const kiln_tensor step =
        kiln_minimize(m.graph, m.findings.loss, &(kiln_minimize_params){.by = KILN_ADAMW, .clip_norm = 10});
    TRY(status = kiln_weights_add(m.weights, m.graph));
    TRY(status = kiln_program_create(&learn, dev, m.graph, m.weights,
                                     &(kiln_program_params){.train = true,
                                                            .run = KILN_RUN(step, m.findings.loss)}));
    TRY(status = write_batch(learn, &m, &batch));
    TRY(status = write_batch(m.find, &m, &batch));
    TRY(status = show("learn", learn, o));
    TRY(status = show("find", m.find, o));
out:
    kiln_program_destroy(&learn);
    model_free(&m);
    kiln_dataset_close(&data);
    return status;
}
