/* measure.c - rows as programs, timed. */
#include "measure.h"

#include <stdlib.h>
#include <time.h>

#include "../process.h"
#include "../profile.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"
#include "program/program.h"

/* Random values in [0, 1), or classes. */
static kiln_status write_input(kiln_program *p, kiln_tensor t, int64_t batch, int classes)
{
    kiln_array array = {.type = kiln_program_tensor_type(p, t), .shape = kiln_program_tensor_shape(p, t)};
    struct kiln_rng rng;
    kiln_status status;
    int64_t count;

    if (array.shape.size[0] == KILN_BATCH)
        array.shape.size[0] = batch;
    count = kiln_shape_count(&array.shape);
    if (!(array.data = malloc((size_t)count * 4)))
        return kiln_fail(KILN_ERROR_MEMORY, "no memory for an input of %lld numbers", (long long)count);
    kiln_rng_init(&rng, 1, kiln_rng_stream(kiln_program_tensor_name(p, t)));
    for (int64_t i = 0; i < count; i++)
        if (array.type == KILN_F32)
            ((float *)array.data)[i] = (float)kiln_rng_uniform(&rng);
        else
            ((int32_t *)array.data)[i] = (int32_t)kiln_rng_below(&rng, (uint32_t)classes);
    status = kiln_program_write(p, t, &array);
    free(array.data);
    return status;
}

/* Time ------------------------------------------------------------------------------------------------------ */

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A replay costs what the calling thread spends; every other row, the time that passes, unless it is asked for otherwise. */
static clockid_t clock_of(const struct bench *b, const struct bench_row *row)
{
    if (row->kind == BENCH_REPLAY)
        return CLOCK_THREAD_CPUTIME_ID;
    return b->processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
}

/* Plan for a batch that is larger than all before it. */
static kiln_status plan_another(kiln_program *p)
{
    struct kiln_ready *ready;
    int64_t batch = 0;
    for (int i = 0; i < p->ready.count; i++)
        batch = p->ready.data[i]->size[0] > batch ? p->ready.data[i]->size[0] : batch;
    batch++;
    return kiln_program_ready(p, &batch, &ready);
}

static kiln_status sample(const struct bench *b, kiln_program *p, const struct bench_row *row,
                          double *seconds)
{
    const clockid_t clock = clock_of(b, row);
    const double began = seconds_of(clock);
    kiln_status status = KILN_OK;

    for (int i = 0; i < row->count && !status; i++)
        status = row->kind == BENCH_PLAN && p->ready.count ? plan_another(p) : kiln_program_run(p);
    if (!status)
        status = kiln_program_wait(p);
    *seconds = (seconds_of(clock) - began) / row->count;
    return status;
}

/* Seconds to warm up: a GPU's clocks rise only under load, and fall while the host prepares the next row. */
static double warm_up(const kiln_device_info *info)
{
    return info->backend == KILN_BACKEND_VULKAN && !info->software ? 0.5 : 0;
}

/* Two samples at the least. */
static kiln_status warm(const struct bench *b, kiln_program *p, const struct bench_row *row)
{
    kiln_status status = KILN_OK;
    double unused;

    for (int i = 0; i < 2 && !status; i++)
        status = sample(b, p, row, &unused);
    for (const double until = kiln_seconds() + warm_up(kiln_device_get_info(p->dev));
         kiln_seconds() < until && !status;)
        status = sample(b, p, row, &unused);
    return status;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *sample, size_t count)
{
    qsort(sample, count, sizeof *sample, compare);
    return (sample[count / 2] + sample[(count - 1) / 2]) / 2;
}

/* `repeat` samples. */
static kiln_status time_program(const struct bench *b, kiln_program *p, const struct bench_row *row,
                                struct bench_result *out)
{
    double *all = calloc((size_t)b->repeat, sizeof *all);
    kiln_status status = all ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "no memory for the times");
    const double began = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

    for (int64_t i = 0; i < b->repeat && !status; i++)
        status = sample(b, p, row, &all[i]);
    if (!status) {
        const double processor = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - began;
        out->median = bench_median(all, (size_t)b->repeat);
        out->best = all[0];
        out->processor = processor / ((double)b->repeat * row->count);
    }
    free(all);
    return status;
}

/* What the plan says ---------------------------------------------------------------------------------------- */

/* Arithmetic of the steps from *at to the end of the region, or of the plan, as the kernels count it; what a region repeats
 * counts as often as it may turn. */
static double planned_flops(const struct kiln_plan *plan, int *at)
{
    double flops = 0;
    while (*at < plan->step.count) {
        const struct kiln_step *s = &plan->step.data[(*at)++];
        if (s->kind == KILN_COMMAND_END)
            break;
        if (s->kind == KILN_COMMAND_REPEAT)
            flops += (double)s->count * planned_flops(plan, at);
        else if (s->kind == KILN_COMMAND_DISPATCH && !s->prologue && s->dispatch->kernel->flops)
            flops += s->dispatch->kernel->flops(s->dispatch);
    }
    return flops;
}

static kiln_status describe(const kiln_program *p, const struct bench_work *w, const struct bench_row *row,
                            struct bench_result *out)
{
    const struct kiln_ready *ready = p->ready.data[p->ready.count - 1];
    int first = 0;
    out->bytes = row->bytes > 0 ? row->bytes : w->bytes;
    out->flops = row->flops > 0 ? row->flops : w->flops;
    if (!(out->bytes > 0) && !(out->flops > 0) && bench_computes(row))
        out->flops = planned_flops(ready->plan, &first);
    if (p->dev->caps.idle) /* nothing ran, at no rate */
        out->bytes = out->flops = 0;
    out->commands = ready->body_list.count;
    return kiln_program_memory_used(p, &out->memory);
}

/* Rows ------------------------------------------------------------------------------------------------------ */

bool bench_runs(const struct bench *b, const struct bench_row *row)
{
    return row->kind != BENCH_PEAK_FMA || !row->as.half || b->dev->caps.half;
}

static void raise(double *best, double now)
{
    *best = now > *best ? now : *best;
}

/* Of float32's peak, since kiln's own kernels calculate in it. */
static void judge(struct bench *b, const struct bench_row *row, struct bench_result *out)
{
    if (!(out->best > 0))
        return;
    if (row->kind == BENCH_PEAK_FMA && !row->as.half)
        raise(&b->fma, out->flops / out->best);
    if (row->kind == BENCH_PEAK_BANDWIDTH)
        raise(&b->bandwidth, out->bytes / out->best);
    if (out->bytes > 0 && b->bandwidth > 0)
        out->share = out->bytes / out->best / b->bandwidth;
    else if (out->flops > 0 && b->fma > 0)
        out->share = out->flops / out->best / b->fma;
}

kiln_status bench_program(const struct bench_open_row *o, kiln_program_params params, kiln_program **out)
{
    params.train = o->work.train;
    params.run = o->work.run;
    kiln_status status = kiln_program_create(out, o->work.dev, o->work.graph, o->weights, &params);
    for (int i = 0; !status && i < kiln_program_input_count(*out); i++)
        status = write_input(*out, kiln_program_input(*out, i), o->row->size,
                             o->work.classes ? o->work.classes : 10);
    return status;
}

static kiln_status run(struct bench *b, const struct bench_open_row *o, struct bench_result *out)
{
    const struct bench_row *row = o->row;
    kiln_program *p = NULL;
    kiln_status status = bench_program(o,
                                       (kiln_program_params){.profile = b->profile,
                                                             .tuned = b->tuned,
                                                             .precision = b->precision,
                                                             .recompute = b->recompute},
                                       &p);

    if (!status && !(status = warm(b, p, row)) && !(status = time_program(b, p, row, out)) &&
        !(status = describe(p, &o->work, row, out)))
        judge(b, row, out);
    if (!status && b->profile)
        status = profile_print(p);
    kiln_program_destroy(&p);
    return status;
}

kiln_status bench_open(struct bench_open_row *o, kiln_device *dev, const struct bench_row *row,
                       kiln_precision precision)
{
    kiln_status status = KILN_OK;

    *o = (struct bench_open_row){.row = row, .work = {.dev = dev, .scaled = precision == KILN_PRECISION_F16}};
    if (row->kind == BENCH_REPLAY &&
        !(status = kiln_device_open(&o->null, &(kiln_device_params){.name = "null"})))
        o->work.dev = o->null;
    if (!status && !(status = kiln_graph_create(&o->work.graph, NULL)) &&
        !(status = row->build(&o->work, row)))
        status = kiln_weights_create(&o->weights, o->work.graph, NULL);
    return status;
}

void bench_close(struct bench_open_row *o)
{
    kiln_weights_destroy(&o->weights);
    if (o->work.net.graph)
        classifier_destroy(&o->work.net);
    else
        kiln_graph_destroy(&o->work.graph);
    kiln_device_close(&o->null);
}

kiln_status bench_measure(struct bench *b, const struct bench_row *row, struct bench_result *out)
{
    const double held = process_memory("VmHWM");
    struct bench_open_row open;
    kiln_status status;

    *out = (struct bench_result){0};
    if (!(status = bench_open(&open, b->dev, row, b->precision)) && !(status = run(b, &open, out)))
        out->peak_mib = b->measured++ ? 0 : (process_memory("VmHWM") - held) / BENCH_MIB;
    out->device = open.null ? "null" : kiln_device_get_info(b->dev)->title;
    bench_close(&open);
    return status;
}
