/* replay.c - see replay.h. */
#include "check/replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "compiler/convert.h"
#include "program/program.h"
#include "program/transfer.h"
#include "recorder/single.h"

/* Sums of a case's size stay within some dozens of roundings of float32, 6e-8 each. */
#define BOUND 1e-5

/* A result that is stored as a half is rounded once more, to the nearest one. */
#define HALF_BOUND (BOUND + 0x1p-11)

/* What only moves or picks values must give them bit for bit. */
static const char *const exact[] = {"copy", "gather", "place"};

/* A plan under replay: the host's memory of each object. */
struct replay {
    kiln_device *dev;
    kiln_program *program;
    const struct kiln_plan *plan;
    unsigned char **object;
    const struct check_params *params;
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

/* Operands of one dispatch ---------------------------------------------------------------------------------- */

/* A dispatch's bindings, apart from the objects, so that runs do not see each other's results. */
struct operands {
    int count;
    const struct kiln_touch *touch;
    bool real[KILN_MAX_BINDINGS];
    uint32_t halves;           /* bit i: binding i holds halves on the device; the references see floats */
    kiln_memory single, exact; /* before the run; after run_references: what should come out */
    struct kiln_single device; /* what did */
};

/* Elements of a binding. */
static size_t count_of(const struct operands *o, int i)
{
    return o->single.bytes[i] / 4;
}

static kiln_type stored_as(const struct operands *o, int i)
{
    return o->halves >> i & 1 ? KILN_F16 : o->real[i] ? KILN_F32 : KILN_I32;
}

static bool is_written(const struct operands *o, int i)
{
    return o->touch[i].object >= 0 && o->touch[i].access != KILN_READ && o->touch[i].access != KILN_UNUSED;
}

static void operands_finish(struct operands *o)
{
    for (int i = 0; i < KILN_MAX_BINDINGS; i++) {
        free(o->single.at[i]);
        free(o->exact.at[i]);
        free(o->device.data[i]);
    }
}

static bool is_real(const struct replay *r, const kiln_dispatch *d, int i)
{
    return d->bind[i].value.id && kiln_type_is_real(kiln_tensor_spec(r->plan->graph, d->bind[i].value).type);
}

static bool take_operand(const struct replay *r, const struct kiln_step *s, struct operands *o, int i)
{
    const struct kiln_touch *t = &s->touch[i];
    const size_t bytes = (size_t)t->bytes, count = bytes / s->dispatch->element[i];

    if (t->object < 0 || !bytes)
        return true;
    o->real[i] = is_real(r, s->dispatch, i);
    const kiln_type stored = stored_as(o, i), single = o->real[i] ? KILN_F32 : KILN_I32;
    o->single.at[i] = malloc(4 * count);
    o->exact.at[i] = malloc(8 * count);
    o->device.data[i] = malloc(bytes);
    if (!o->single.at[i] || !o->exact.at[i] || !o->device.data[i])
        return false;
    kiln_convert(o->single.at[i], single, memory_of(r, t), stored, count);
    kiln_convert(o->exact.at[i], o->real[i] ? KILN_F64 : KILN_I32, memory_of(r, t), stored, count);
    o->single.bytes[i] = 4 * count;
    o->device.bytes[i] = bytes;
    o->exact.bytes[i] = (o->real[i] ? 8 : 4) * count;
    return true;
}

static kiln_status take_operands(const struct replay *r, const struct kiln_step *s, struct operands *o)
{
    *o = (struct operands){.count = s->touches, .touch = s->touch, .halves = s->dispatch->halves};
    for (int i = 0; i < s->touches; i++)
        if (!take_operand(r, s, o, i))
            return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for the operands of %s",
                             s->dispatch->kernel->name);
    return KILN_OK;
}

static bool is_exact(const kiln_kernel *kernel)
{
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (!strcmp(exact[i], kernel->name))
            return true;
    return false;
}

/* Compute what should come out, in float32 for the next dispatches and in float64 to compare with. */
static void run_references(const kiln_dispatch *d, struct operands *o)
{
    const size_t units = (size_t)d->kernel->units(d);
    uint32_t constants[KILN_MAX_CONSTANTS];

    memcpy(constants, d->constants, sizeof constants);
    d->kernel->reference(d->block.bytes, constants, &o->single, 0, units);
    if (!is_exact(d->kernel) && d->kernel->reference_f64)
        d->kernel->reference_f64(d->block.bytes, constants, &o->exact, 0, units);
    for (int i = 0; i < o->count; i++) /* otherwise float32 is exact: as doubles */
        if ((is_exact(d->kernel) || !d->kernel->reference_f64) && o->real[i])
            kiln_convert(o->exact.at[i], KILN_F64, o->single.at[i], KILN_F32, count_of(o, i));
}

/* Comparing ------------------------------------------------------------------------------------------------- */

static double largest_of(const double *values, size_t count)
{
    double largest = 0.1; /* below it, errors of larger operands that cancel out */
    for (size_t k = 0; k < count; k++)
        if (isfinite(values[k]))
            largest = fmax(largest, fabs(values[k]));
    return largest;
}

/* How far apart, over `scale`; NaN where one is no number or infinite and the other is not so. */
static double distance(double got, double want, double scale)
{
    if (got == want || (isnan(got) && isnan(want)))
        return 0;
    return isfinite(got) && isfinite(want) ? fabs(got - want) / scale : NAN;
}

static void compare_reals(const struct operands *o, int i, struct check_outcome *out)
{
    const double *want = o->exact.at[i];
    const size_t count = count_of(o, i);
    const double scale = largest_of(want, count);

    for (size_t k = 0; k < count; k++) {
        double got;
        kiln_convert(&got, KILN_F64, (char *)o->device.data[i] + k * kiln_type_size(stored_as(o, i)),
                     stored_as(o, i), 1);
        const double error = distance(got, want[k], scale);
        if (!(error <= out->bound) && out->passed) {
            out->passed = false;
            snprintf(out->what, sizeof out->what, "binding %d, element %zu of %zu is %.9g, wanted %.9g", i, k,
                     count, got, want[k]);
        }
        out->error = isnan(error) ? INFINITY : fmax(out->error, error);
    }
}

static void compare_words(const struct operands *o, int i, struct check_outcome *out)
{
    const uint32_t *got = o->device.data[i], *want = o->single.at[i];
    const size_t count = count_of(o, i);

    for (size_t k = 0; k < count && out->passed; k++)
        if (got[k] != want[k]) {
            out->passed = false;
            out->error = INFINITY;
            snprintf(out->what, sizeof out->what, "binding %d, element %zu of %zu is %d, wanted %d", i, k,
                     count, (int)got[k], (int)want[k]);
        }
}

static void compare(const struct operands *o, struct check_outcome *out)
{
    out->passed = true;
    for (int i = 0; i < o->count; i++) {
        if (!is_written(o, i) || !o->single.bytes[i])
            continue;
        if (o->real[i])
            compare_reals(o, i, out);
        else
            compare_words(o, i, out);
    }
}

/* What the results' storage and the kernel allow. */
static double bound_of(const struct operands *o, const kiln_kernel *kernel)
{
    bool half = false;

    for (int i = 0; i < o->count; i++)
        half |= is_written(o, i) && o->halves >> i & 1;
    return is_exact(kernel) ? 0 : half ? HALF_BOUND : BOUND;
}

/* Replaying ------------------------------------------------------------------------------------------------- */

static kiln_status run_variant(struct replay *r, const struct kiln_step *s, struct operands *o,
                               const kiln_variant *variant)
{
    kiln_dispatch d = *s->dispatch;
    struct check_outcome out = {.step = (int)(s - r->plan->step.data),
                                .kernel = d.kernel,
                                .variant = variant,
                                .bound = bound_of(o, d.kernel)};
    kiln_status status;

    d.variant = variant;
    for (int i = 0; i < o->count; i++)
        if (o->device.bytes[i])
            memcpy(o->device.data[i], memory_of(r, &s->touch[i]), o->device.bytes[i]);
    if ((status = kiln_single_run(r->dev, &d, &o->device, r->params->repeat ? r->params->repeat : 1,
                                  r->params->repeat ? &out.seconds : NULL)))
        return status;
    out.flops = d.kernel->flops ? d.kernel->flops(&d) : 0;
    for (int i = 0; i < o->count; i++)
        out.bytes += (double)o->device.bytes[i];
    compare(o, &out);
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
static kiln_status run_variants(struct replay *r, const struct kiln_step *s, struct operands *o)
{
    const kiln_kernel *kernel = s->dispatch->kernel;
    const bool cpu = r->dev->caps.backend == KILN_BACKEND_CPU;
    const kiln_variant *const *v = cpu ? kernel->cpu : kernel->gpu;
    kiln_status status = KILN_OK;

    for (; v && *v && !status; v++)
        if (is_accepted(r->dev, *v, s->dispatch))
            status = run_variant(r, s, o, *v);
    return status || !cpu ? status : run_variant(r, s, o, &kiln_cpu_reference);
}

static kiln_status replay_dispatch(struct replay *r, const struct kiln_step *s)
{
    struct operands o;
    kiln_status status = take_operands(r, s, &o);

    if (!status && s->dispatch->kernel->units(s->dispatch) > 0) {
        run_references(s->dispatch, &o);
        status = run_variants(r, s, &o);
        for (int i = 0; i < o.count && !status; i++)
            if (is_written(&o, i) && o.single.bytes[i])
                kiln_convert(memory_of(r, &s->touch[i]), stored_as(&o, i), o.single.at[i],
                             o.real[i] ? KILN_F32 : KILN_I32, count_of(&o, i));
    }
    operands_finish(&o);
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

/* Whole numbers of an input, drawn by its place among the inputs. */
static kiln_status write_input(kiln_program *program, const struct check_graph *c, int i, uint64_t seed)
{
    const struct check_input *in = &c->input[i];
    kiln_array array = {.type = kiln_tensor_type(c->g, in->tensor),
                        .shape = kiln_tensor_shape(c->g, in->tensor)};
    const size_t count = (size_t)kiln_shape_count(&array.shape);
    int64_t *values = malloc((count + 1) * sizeof *values);
    struct kiln_rng rng;
    kiln_status status = KILN_ERROR_MEMORY;

    kiln_rng_init(&rng, seed, (uint64_t)i);
    array.data = malloc((count + 1) * 8);
    if (values && array.data) {
        for (size_t k = 0; k < count; k++)
            values[k] = (int64_t)floor(in->low + (in->high - in->low) * kiln_rng_uniform(&rng));
        kiln_convert(array.data, array.type, values, KILN_I64, count);
        status = kiln_program_write(program, in->tensor, &array);
    }
    free(values);
    free(array.data);
    return status;
}

/* One run brings weights and inputs to the device. */
static kiln_status run_once(kiln_program *program, const struct check_graph *c, uint64_t seed)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < c->inputs && !status; i++)
        status = write_input(program, c, i, seed);
    if (!status && !(status = kiln_program_run(program)))
        status = kiln_program_wait(program);
    return status;
}

/* Programs that train have both modes' kernels. */
static kiln_status compile_and_replay(struct replay *r, const struct check_graph *c)
{
    const uint64_t seed = r->params->seed ^ kiln_rng_stream(c->one->name);
    const kiln_program_params how = {.train = true, .run = c->run};
    kiln_weights *weights = NULL;
    kiln_status status = kiln_weights_create(&weights, c->g, &(kiln_weights_params){.seed = seed});

    if (!status)
        status = kiln_program_create(&r->program, r->dev, c->g, weights, &how);
    if (!status && !(status = run_once(r->program, c, seed))) {
        r->plan = r->program->last->plan;
        status = replay(r);
    }
    kiln_program_destroy(&r->program);
    kiln_weights_destroy(&weights);
    return status;
}

kiln_status check_replay(kiln_device *dev, const struct check_case *one, const struct check_params *params)
{
    struct check_graph c;
    struct replay r = {.dev = dev, .params = params};
    kiln_status status = check_build(&c, one);

    if (!status)
        status = compile_and_replay(&r, &c);
    kiln_graph_destroy(&c.g);
    return status;
}
