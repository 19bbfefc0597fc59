/* replay.c - see replay.h. */
#include "check/replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "check/bounds.h"
#include "check/expect.h"
#include "check/values.h"
#include "compiler/convert.h"
#include "program/program.h"
#include "program/transfer.h"
#include "recorder/single.h"

/* A plan under replay: the host's memory of each object. */
struct replay {
    kiln_device *dev;
    kiln_program *program;
    const struct kiln_plan *plan;
    unsigned char **object;
    struct check_params *params;
};

/* Objects --------------------------------------------------------------------------------------------------- */

/* The device's memory behind an object of the weights; NULL: the plan computes it. */
static struct kiln_buffer *weights_buffer(const struct replay *r, const struct kiln_object *o)
{
    const struct kiln_copy *weights = r->program->weights_copy;

    if (o->kind == KILN_OBJECT_ARENA)
        return kiln_copy_arena(weights, o->index, o->chunk);
    return o->kind == KILN_OBJECT_STATES ? weights->state.data[o->index] : NULL;
}

/* What an object holds before the first step: weights and inputs as they are on the device. */
static kiln_status fill_object(struct replay *r, int i)
{
    const struct kiln_object *o = &r->plan->object.data[i];
    const bool input = o->kind == KILN_OBJECT_INPUT;
    struct kiln_buffer *from = input ? r->program->last->inputs : weights_buffer(r, o);
    const uint64_t bytes = from && !input ? from->bytes : o->bytes;

    if (!(r->object[i] = calloc(1, (size_t)bytes + 4)))
        return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for %llu bytes", (unsigned long long)bytes);
    if (!from || !bytes)
        return KILN_OK;
    return kiln_buffer_read(r->dev, from, input ? o->offset : 0, r->object[i], bytes);
}

static kiln_status fill_objects(struct replay *r)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < r->plan->object.count && !status; i++)
        status = fill_object(r, i);
    for (int i = 0; i < r->plan->constant.count && !status; i++) {
        const struct kiln_constant_bytes *c = &r->plan->constant.data[i];
        if (c->bytes)
            memcpy(r->object[c->object], c->data, c->bytes);
    }
    return status;
}

static unsigned char *memory_of(const struct replay *r, const struct kiln_touch *t)
{
    return t->object < 0 ? NULL : r->object[t->object] + t->offset;
}

/* Replaying ------------------------------------------------------------------------------------------------ */

static kiln_status run_variant(struct replay *r, struct check_operands *o, int step,
                               const kiln_variant *variant)
{
    const bool reference = variant == &kiln_cpu_reference;
    kiln_dispatch d = *o->dispatch;
    struct check_outcome out = {.step = step, .kernel = d.kernel, .variant = variant};
    const double roundings = check_roundings(check_bound_of(&d), check_terms_of(o), reference);
    kiln_status status;

    d.variant = variant;
    check_operands_reset(o);
    if ((status = kiln_single_run(r->dev, &d, &o->device, r->params->repeat, &out.seconds)))
        return status;
    out.flops = d.kernel->flops ? d.kernel->flops(&d) : 0;
    for (int i = 0; i < o->count; i++)
        out.bytes += (double)o->device.bytes[i];
    check_compare(o, roundings, &out.distance);
    r->params->report(r->params->user, &out);
    return KILN_OK;
}

/* Also what is for real GPUs alone, as a matter of speed, must be right on drivers that run on the CPU. */
static bool is_accepted(const kiln_device *dev, const kiln_variant *v, const kiln_dispatch *d)
{
    struct kiln_caps hardware = dev->caps;

    hardware.software = false;
    return kiln_variant_accepts(v, &dev->caps, d) || kiln_variant_accepts(v, &hardware, d);
}

/* Each variant that the device accepts. On the CPU the references are variants too. */
static kiln_status run_variants(struct replay *r, struct check_operands *o, int step)
{
    const kiln_kernel *kernel = o->dispatch->kernel;
    const bool cpu = r->dev->caps.backend == KILN_BACKEND_CPU;
    const kiln_variant *const *v = cpu ? kernel->cpu : kernel->gpu;
    kiln_status status = KILN_OK;

    for (; v && *v && !status; v++)
        if (is_accepted(r->dev, *v, o->dispatch))
            status = run_variant(r, o, step, *v);
    return status || !cpu ? status : run_variant(r, o, step, &kiln_cpu_reference);
}

static unsigned char *memory_at(void *user, const struct kiln_touch *t)
{
    return memory_of(user, t);
}

static kiln_status replay_dispatch(struct replay *r, const struct kiln_step *s)
{
    struct check_operands o;
    kiln_status status;

    if (s->dispatch->kernel->units(s->dispatch) == 0)
        return KILN_OK;
    if (!(status = check_operands_take(&o, r->plan->graph, s, memory_at, r)) &&
        !(status = check_operands_compute(&o)) &&
        !(status = run_variants(r, &o, (int)(s - r->plan->step.data))))
        for (int i = 0; i < o.count; i++)
            if (check_is_result(&o, i))
                kiln_convert(memory_of(r, &s->touch[i]), o.stored[i], o.single.at[i],
                             o.real[i] ? KILN_F32 : KILN_I32, o.elements[i]);
    check_operands_finish(&o);
    return status;
}

static kiln_status replay_step(struct replay *r, const struct kiln_step *s)
{
    const struct kiln_touch *from = &s->touch[0], *to = &s->touch[1];

    if (s->kind == KILN_COMMAND_DISPATCH)
        return replay_dispatch(r, s);
    if (s->kind == KILN_COMMAND_COPY)
        memmove(memory_of(r, to), memory_of(r, from), (size_t)to->bytes);
    else
        for (uint64_t i = 0; i < from->bytes / 4; i++)
            memcpy(memory_of(r, from) + 4 * i, &s->fill, 4);
    return KILN_OK;
}

static kiln_status replay(struct replay *r)
{
    kiln_status status;

    if (!(r->object = calloc((size_t)r->plan->object.count + 1, sizeof *r->object)))
        return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a plan");
    status = fill_objects(r);
    for (int i = 0; i < r->plan->step.count && !status; i++)
        status = replay_step(r, &r->plan->step.data[i]);
    for (int i = 0; i < r->plan->object.count; i++)
        free(r->object[i]);
    free(r->object);
    return status;
}

/* Programs ------------------------------------------------------------------------------------------------- */

/* Programs that train have both modes' kernels. One run brings weights and inputs to the device. */
static kiln_status compile_and_replay(struct replay *r, const struct check_graph *c)
{
    const uint64_t seed = check_seed_of(c->one, r->params->seed);
    const kiln_program_params how = {.train = true, .run = c->run};
    kiln_weights *weights = NULL;
    kiln_status status = kiln_weights_create(&weights, c->g, &(kiln_weights_params){.seed = seed});

    if (!status)
        status = kiln_program_create(&r->program, r->dev, c->g, weights, &how);
    if (!status && !(status = check_write_inputs(r->program, c, seed)) &&
        !(status = kiln_program_run(r->program)) && !(status = kiln_program_wait(r->program))) {
        r->plan = r->program->last->plan;
        status = replay(r);
    }
    r->params->expected = !status && c->one->op->expect;
    if (r->params->expected)
        status = check_expectation(r->program, c, seed, r->params->surprise, sizeof r->params->surprise);
    kiln_program_destroy(&r->program);
    kiln_weights_destroy(&weights);
    return status;
}

kiln_status check_replay(kiln_device *dev, const struct check_case *one, struct check_params *params)
{
    struct check_graph c;
    struct replay r = {.dev = dev, .params = params};
    kiln_status status = check_build(&c, one);

    if (!status)
        status = compile_and_replay(&r, &c);
    kiln_graph_destroy(&c.g);
    return status;
}
