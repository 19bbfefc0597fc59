/* replay.c - see replay.h. */
#include "check/replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "check/bounds.h"
#include "check/expect.h"
#include "check/values.h"
#include "compiler/convert.h"
#include "graph/body.h"
#include "program/program.h"
#include "program/transfer.h"
#include "recorder/single.h"

/* A plan under replay: the host's memory of each object. */
struct replay {
    kiln_device *dev;
    kiln_program *program;
    const struct kiln_plan *plan;
    unsigned char **object;
    int turn; /* of the repeat that is under way; 0: the first, or none */
    struct check_params *params;
};

/* Later turns of a repeat run the same dispatches: the reference alone runs them. */
enum { CHECKED_TURNS = 2 };

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
    struct check_outcome out = {
        .step = step, .node = r->plan->step.data[step].node, .kernel = d.kernel, .variant = variant};
    const double roundings = check_roundings(&d, check_terms_of(o), reference);
    bool again = false;
    kiln_status status;

    d.variant = variant;
    check_operands_reset(o);
    if ((status = kiln_single_run(r->dev, &d, &o->device, r->params->repeat, &out.seconds)))
        return status;
    out.flops = d.kernel->flops ? d.kernel->flops(&d) : 0;
    for (int i = 0; i < o->count; i++)
        out.bytes += (double)o->device.bytes[i];
    check_compare(o, roundings, &out.distance);
    if (out.distance.share > 1 && (status = check_operands_doubt(o, &again)))
        return status;
    if (again)
        check_compare(o, roundings, &out.distance);
    r->params->report(r->params->user, &out);
    return KILN_OK;
}

/* On a device that runs nothing. */
static kiln_status compile_variant(const struct replay *r, int step, const kiln_variant *variant)
{
    const struct kiln_step *s = &r->plan->step.data[step];
    kiln_dispatch d = *s->dispatch;
    struct check_outcome out = {.step = step,
                                .node = s->node,
                                .kernel = d.kernel,
                                .variant = variant,
                                .usual = kiln_variant_pays(variant, &r->dev->caps, &d)};
    d.variant = variant;
    const kiln_status status = kiln_device_compile(r->dev, &d, &out.compiled);
    if (!status)
        r->params->report(r->params->user, &out);
    return status;
}

enum use { NONE, SPARE, USUAL };

/* What becomes of a variant by such caps: a spare one can run, and only a tuner would take it. */
static enum use use_by(const kiln_caps *caps, const kiln_variant *v, const kiln_dispatch *d)
{
    return !kiln_variant_accepts(v, caps, d) ? NONE : kiln_variant_pays(v, caps, d) ? USUAL : SPARE;
}

/* Also what is for real GPUs alone, as a matter of speed, must be right on drivers that run on the CPU. */
static enum use use_of(const kiln_device *dev, const kiln_variant *v, const kiln_dispatch *d)
{
    struct kiln_caps hardware = dev->caps;

    hardware.software = false;
    const enum use here = use_by(&dev->caps, v, d), there = use_by(&hardware, v, d);
    return here > there ? here : there;
}

/* Whether a large real GPU would take it, or a driver on the CPU, with texel buffers or without. */
static bool is_for_others(const kiln_device *dev, const kiln_variant *v, const kiln_dispatch *d)
{
    struct kiln_caps gpu = dev->caps, software = dev->caps, bare;

    gpu.software = false;
    gpu.unrolls = gpu.dot = gpu.coop = true;
    gpu.max_invocations = 1024;
    gpu.max_shared = 1 << 16;
    software.software = true;
    software.unrolls = false;
    bare = software;
    bare.max_texels = 0;
    return kiln_variant_accepts(v, &gpu, d) || kiln_variant_accepts(v, &software, d) ||
           kiln_variant_accepts(v, &bare, d);
}

static bool wants_spare(const struct replay *r, const kiln_kernel *kernel, const kiln_variant *variant)
{
    return !r->params->wants_spare || r->params->wants_spare(r->params->user, kernel, variant);
}

/* With operands, or without on a device that runs nothing. */
static kiln_status take_variant(struct replay *r, struct check_operands *o, int step,
                                const kiln_variant *variant)
{
    return o ? run_variant(r, o, step, variant) : compile_variant(r, step, variant);
}

/* Each variant that the device accepts. On the CPU the references are variants too. */
static kiln_status take_variants(struct replay *r, struct check_operands *o, int step)
{
    const kiln_dispatch *d = r->plan->step.data[step].dispatch;
    const bool cpu = r->dev->caps.backend == KILN_BACKEND_CPU;
    const kiln_variant *const *v = cpu ? d->kernel->cpu : d->kernel->gpu;
    kiln_status status = KILN_OK;

    if (r->turn >= CHECKED_TURNS)
        return KILN_OK;
    if (r->params->chosen)
        return take_variant(r, o, step, d->variant);
    for (; v && *v && !status; v++) {
        const enum use use = use_of(r->dev, *v, d);
        if (use == USUAL || (use == SPARE && wants_spare(r, d->kernel, *v)))
            status = take_variant(r, o, step, *v);
        else if (use == NONE && r->params->pass_over && is_for_others(r->dev, *v, d))
            r->params->pass_over(r->params->user, d->kernel, *v);
    }
    /* references know words alone */
    return status || !cpu || d->bytes ? status : take_variant(r, o, step, &kiln_cpu_reference);
}

static unsigned char *memory_at(void *user, const struct kiln_touch *t)
{
    return memory_of(user, t);
}

/* Compare; what the reference computed is what goes on. */
static kiln_status compare_dispatch(struct replay *r, const struct kiln_step *s, struct check_operands *o)
{
    kiln_status status;

    o->pool = r->params->pool;
    if (!(status = check_operands_compute(o)) &&
        !(status = take_variants(r, o, (int)(s - r->plan->step.data))))
        for (int i = 0; i < o->count; i++)
            if (check_is_result(o, i))
                kiln_convert(memory_of(r, &s->touch[i]), o->stored[i], o->single.at[i],
                             o->real[i] ? KILN_F32 : KILN_I32, o->elements[i]);
    return status;
}

/* What the device computes goes on. */
static kiln_status pass_dispatch(struct replay *r, const struct kiln_step *s, struct check_operands *o)
{
    double seconds;
    kiln_status status;

    check_operands_reset(o);
    if (!(status = kiln_single_run(r->dev, o->dispatch, &o->device, 0, &seconds)))
        for (int i = 0; i < o->count; i++)
            if (check_is_result(o, i))
                memcpy(memory_of(r, &s->touch[i]), o->device.data[i], o->device.bytes[i]);
    return status;
}

static kiln_status replay_dispatch(struct replay *r, const struct kiln_step *s)
{
    const int at = (int)(s - r->plan->step.data), steps = r->plan->step.count;
    struct check_operands o;
    kiln_status status;

    if (s->dispatch->kernel->units(s->dispatch) == 0)
        return KILN_OK;
    const bool compared = !r->params->goes_on || r->params->goes_on(r->params->user, s->node, at, steps);
    if (!(status = check_operands_take(&o, r->plan->graph, s, memory_at, r, compared)))
        status = compared ? compare_dispatch(r, s, &o) : pass_dispatch(r, s, &o);
    check_operands_finish(&o);
    return status;
}

static void replay_fill(const struct replay *r, const struct kiln_step *s)
{
    for (uint64_t i = 0; i < s->touch[0].bytes / 4; i++)
        memcpy(memory_of(r, &s->touch[0]) + 4 * i, &s->fill, 4);
}

/* A region that is not entered has no groups in its table. */
static bool is_idle(const struct replay *r, const struct kiln_step *s)
{
    uint32_t groups = 1;

    if (s->indirect >= 0)
        memcpy(&groups, memory_of(r, &s->touch[s->indirect]), sizeof groups);
    return groups == 0;
}

/* Behind the end of the repeat at `first`. */
static int behind(const struct replay *r, int first)
{
    int depth = 0, at = first;

    do {
        const enum kiln_command_kind kind = r->plan->step.data[at++].kind;
        depth += (kind == KILN_COMMAND_REPEAT) - (kind == KILN_COMMAND_END);
    } while (depth > 0);
    return at;
}

static kiln_status replay_steps(struct replay *r, int first, int end);

static kiln_status replay_repeat(struct replay *r, int first)
{
    const struct kiln_step *s = &r->plan->step.data[first];
    const int outer = r->turn;
    kiln_status status = KILN_OK;

    for (uint64_t turn = 0; turn < s->count && !status; turn++) {
        uint32_t flag = 1;
        if (s->touches && s->touch[0].object >= 0)
            memcpy(&flag, memory_of(r, &s->touch[0]), sizeof flag);
        if (!flag)
            break;
        r->turn = outer ? outer : (int)(turn < CHECKED_TURNS ? turn : CHECKED_TURNS);
        status = replay_steps(r, first + 1, behind(r, first) - 1);
    }
    r->turn = outer;
    return status;
}

static kiln_status replay_steps(struct replay *r, int first, int end)
{
    kiln_status status = KILN_OK;

    for (int i = first; i < end && !status; i++) {
        const struct kiln_step *s = &r->plan->step.data[i];
        if (s->kind == KILN_COMMAND_DISPATCH && !is_idle(r, s)) {
            status = replay_dispatch(r, s);
        } else if (s->kind == KILN_COMMAND_COPY) {
            memmove(memory_of(r, &s->touch[1]), memory_of(r, &s->touch[0]), (size_t)s->touch[1].bytes);
        } else if (s->kind == KILN_COMMAND_FILL) {
            replay_fill(r, s);
        } else if (s->kind == KILN_COMMAND_REPEAT) {
            status = replay_repeat(r, i);
            i = behind(r, i) - 1;
        }
    }
    return status;
}

static kiln_status compile_steps(struct replay *r)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < r->plan->step.count && !status; i++)
        if (r->plan->step.data[i].kind == KILN_COMMAND_DISPATCH)
            status = take_variants(r, NULL, i);
    return status;
}

static kiln_status replay(struct replay *r)
{
    kiln_status status;

    if (r->dev->caps.idle)
        return compile_steps(r);
    if (!(r->object = calloc((size_t)r->plan->object.count + 1, sizeof *r->object)))
        return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a plan");
    if (!(status = fill_objects(r)))
        status = replay_steps(r, 0, r->plan->step.count);
    return status;
}

static void replay_finish(struct replay *r)
{
    for (int i = 0; r->object && i < r->plan->object.count; i++)
        free(r->object[i]);
    free(r->object);
}

/* Programs ------------------------------------------------------------------------------------------------- */

/* What rounding may do to a result on its way through a whole plan, over its largest element: far less than what a missing
 * barrier, a window or a place that is off would do. */
#define PROGRAM_BOUND 1e-2

static double furthest(const float *got, const float *want, size_t count)
{
    double apart = 0, largest = 1e-3;

    for (size_t k = 0; k < count; k++) {
        if (isfinite(want[k]))
            largest = fmax(largest, fabs((double)want[k]));
        if (isfinite(want[k]) && isfinite(got[k]))
            apart = fmax(apart, fabs((double)got[k] - want[k]));
        else if (isfinite(got[k]) != isfinite(want[k]))
            return INFINITY;
    }
    return apart / largest;
}

static kiln_status compare_result(struct replay *r, kiln_tensor tensor, int i, size_t count)
{
    const struct kiln_place *place = &r->plan->place.data[r->plan->result[i].id - 1];
    float *got = malloc((count + 1) * sizeof *got);
    kiln_status status;

    if (!got)
        return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a result");
    status = kiln_program_read(r->program, tensor, &(kiln_array){.data = got, .bytes = count * sizeof *got});
    if (!status && place->object >= 0) {
        const double apart = furthest(got, (const float *)(r->object[place->object] + place->offset), count);
        if (!(apart <= PROGRAM_BOUND) && !r->params->surprise[0])
            snprintf(r->params->surprise, sizeof r->params->surprise,
                     "the program's result %d is off by %.2g of its largest element", i, apart);
    }
    free(got);
    return status;
}

/* What the program itself computed of real results, with all its dispatches one after the other. A result whose size depends
 * on data lies in memory as its bound says, and is read without what is beyond its count: its dispatches have been compared. */
static kiln_status compare_results(struct replay *r, const struct check_graph *c)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < c->count && !status; i++) {
        const kiln_shape bound = kiln_tensor_spec(r->plan->graph, r->plan->result[i]).shape;
        kiln_shape shape;
        if (!kiln_is_effect(c->g, c->run[i]) && kiln_tensor_type(c->g, c->run[i]) == KILN_F32 &&
            !(status = kiln_program_shape(r->program, c->run[i], &shape)) &&
            kiln_shape_count(&shape) == kiln_shape_count(&bound))
            status = compare_result(r, c->run[i], i, (size_t)kiln_shape_count(&shape));
    }
    return status;
}

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
        if (!status && !r->dev->caps.idle &&
            !r->program->last->writes_weights) /* else what the run began with is gone */
            status = compare_results(r, c);
        replay_finish(r);
    }
    r->params->expected = !status && c->one->op->expect && !r->dev->caps.idle;
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

kiln_status check_replay_program(kiln_program *program, struct check_params *params)
{
    struct replay r = {
        .dev = program->dev, .program = program, .plan = program->last->plan, .params = params};
    const kiln_status status = replay(&r);

    replay_finish(&r);
    return status;
}
