/* tune_step.c - see tune.h: steps of a plan run by themselves, on the plan's own memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/log.h"
#include "base/threads.h"
#include "program/transfer.h"
#include "program/tune.h"

enum { LEAST_ROUNDS = 3, MOST_ROUNDS = 25 };

#define HOPELESS 4   /* times as long as the usual one, in the first runs: no further ones */
#define LONG     1.0 /* seconds of a first run after which there is no second one */

/* Regions and lasting effects ---------------------------------------------------------------------------- */

int kiln_steps_behind(const struct kiln_plan *plan, int first)
{
    int depth = 0, at = first;
    do {
        const enum kiln_command_kind kind = plan->step.data[at++].kind;
        depth += (kind == KILN_COMMAND_REPEAT) - (kind == KILN_COMMAND_END);
    } while (depth > 0);
    return at;
}

static bool is_lasting(enum kiln_object_kind kind)
{
    return kind == KILN_OBJECT_ARENA || kind == KILN_OBJECT_STATES || kind == KILN_OBJECT_SESSION ||
           kind == KILN_OBJECT_INPUT;
}

bool kiln_steps_last(const struct kiln_plan *plan, int first, int end)
{
    for (int i = first; i < end; i++)
        for (int k = 0; k < plan->step.data[i].touches; k++) {
            const struct kiln_touch *t = &plan->step.data[i].touch[k];
            if (t->object >= 0 && t->access >= KILN_WRITE && is_lasting(plan->object.data[t->object].kind))
                return true;
        }
    return false;
}

/* Running ------------------------------------------------------------------------------------------------ */

/* What a list's commands took by the device's own clock, where it has one; else what the host saw. */
static double seconds_of(kiln_device *dev, struct kiln_baked *work, int commands, double seen)
{
    double sum = 0, begin, end;
    for (int i = 0; i < commands; i++) {
        if (!dev->ops->time || !dev->ops->time(dev, work, i, &begin, &end))
            return seen;
        sum += end - begin;
    }
    return sum > 0 ? sum : seen;
}

static kiln_status run(struct kiln_walk_steps *w, struct kiln_baked *work, int commands, double *seconds)
{
    kiln_ticket ticket;
    const double began = kiln_seconds();
    kiln_status status = kiln_submit(w->p->dev, &work, 1, &ticket);
    if (!status)
        status = kiln_wait(w->p->dev, ticket);
    if (!status && seconds)
        *seconds = seconds_of(w->p->dev, work, commands, kiln_seconds() - began);
    return status;
}

kiln_status kiln_steps_run(struct kiln_walk_steps *w, int first, int end, double *seconds)
{
    struct kiln_baked *work = NULL;
    int commands = 0;
    double second = 0;
    kiln_status status = kiln_ready_bake_steps(w->p, w->ready, first, end, &work, &commands);
    if (!status && work)
        status = run(w, work, commands, seconds);
    if (!status && work && seconds && !(status = run(w, work, commands, &second)))
        *seconds = fmin(*seconds, second); /* the first run of a shader may have compiled it */
    kiln_unbake(w->p->dev, &work);
    return status;
}

/* Values ------------------------------------------------------------------------------------------------- */

static double number_at(const void *values, size_t i, kiln_type type)
{
    return type == KILN_F16 ? kiln_half_to(((const uint16_t *)values)[i]) : ((const float *)values)[i];
}

double kiln_values_largest(const void *values, size_t count, kiln_type type)
{
    double largest = 0;
    for (size_t i = 0; kiln_type_is_real(type) && i < count; i++) {
        const double y = fabs(number_at(values, i, type));
        largest = isfinite(y) && y > largest ? y : largest;
    }
    return largest;
}

bool kiln_values_agree(const void *got, const void *want, size_t count, kiln_type type, double apart)
{
    if (!kiln_type_is_real(type))
        return !memcmp(got, want, count * kiln_type_size(type));
    for (size_t i = 0; i < count; i++) {
        const double x = number_at(got, i, type), y = number_at(want, i, type);
        if (x != y && !(isnan(x) && isnan(y)) && !(fabs(x - y) <= apart))
            return false;
    }
    return true;
}

static kiln_status take(const struct kiln_walk_steps *w, const struct kiln_touch *t, void **out)
{
    uint64_t offset;
    struct kiln_buffer *b = kiln_ready_buffer(w->p, w->ready, t, &offset);
    void *bytes = malloc((size_t)t->bytes + 1);
    const kiln_status status = bytes ? kiln_buffer_read(w->p->dev, b, offset, bytes, t->bytes)
                                     : kiln_fail(KILN_ERROR_MEMORY, "tune: out of memory");
    if (!status)
        *out = bytes;
    else
        free(bytes);
    return status;
}

kiln_status kiln_value_take(const struct kiln_walk_steps *w, kiln_tensor t, void **out, size_t *count,
                            kiln_type *type)
{
    const struct kiln_plan *plan = w->ready->plan;
    const struct kiln_place *place = &plan->place.data[t.id - 1];
    const kiln_spec spec = kiln_tensor_spec(plan->graph, t);
    *type = kiln_storage_type(spec.type, plan->storage);
    *count = (size_t)kiln_shape_count(&spec.shape);
    return take(w,
                &(struct kiln_touch){.object = place->object,
                                     .offset = place->offset,
                                     .bytes = *count * kiln_type_size(*type)},
                out);
}

/* Trying one dispatch ------------------------------------------------------------------------------------ */

/* A dispatch under trial: what it writes to, as it found that, and as the first way left it; NULL: nothing. */
struct trial {
    struct kiln_walk_steps *walk;
    const struct kiln_step *step;
    kiln_type type[KILN_MAX_BINDINGS]; /* stored */
    void *found[KILN_MAX_BINDINGS], *want[KILN_MAX_BINDINGS];
    double largest; /* of the terms of sums */
    bool in_place;  /* it reads what it overwrites */
};

static bool overlap(const struct kiln_touch *a, const struct kiln_touch *b)
{
    return a->object == b->object && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static bool is_written(const struct kiln_touch *t)
{
    return t->object >= 0 && t->access >= KILN_WRITE && t->bytes;
}

static bool works_in_place(const struct kiln_step *s)
{
    bool in_place = false;
    for (int i = 0; i < s->touches; i++)
        for (int k = 0; k < s->touches && is_written(&s->touch[i]); k++)
            in_place |= (s->touch[k].access == KILN_READ || s->touch[k].access == KILN_READ_WRITE) &&
                        overlap(&s->touch[i], &s->touch[k]);
    return in_place;
}

static kiln_type stored_type(const struct kiln_plan *plan, const kiln_dispatch *d, int i)
{
    return kiln_storage_type(kiln_tensor_type(plan->graph, d->bind[i].value), plan->storage);
}

static kiln_status take_all(struct trial *t, void **to)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < t->step->dispatch->kernel->bindings && !status; i++)
        if (is_written(&t->step->touch[i]))
            status = take(t->walk, &t->step->touch[i], &to[i]);
    return status;
}

static kiln_status put_all(struct trial *t, void *const *from)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < KILN_MAX_BINDINGS && !status; i++) {
        const struct kiln_touch *touch = &t->step->touch[i];
        uint64_t offset;
        if (!from[i])
            continue;
        struct kiln_buffer *b = kiln_ready_buffer(t->walk->p, t->walk->ready, touch, &offset);
        status = kiln_buffer_write(t->walk->p->dev, b, offset, from[i], touch->bytes);
    }
    return status;
}

static void free_all(void **list)
{
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        free(list[i]);
}

/* The largest of the terms that a step sums, 0 where it does not: sums that cancel round by their terms, not by what is left. */
static kiln_status find_largest(struct trial *t)
{
    const kiln_dispatch *d = t->step->dispatch;
    const kiln_type type = stored_type(t->walk->ready->plan, d, 0);
    void *terms = NULL;
    if (!d->kernel->sums || !kiln_type_is_real(type))
        return KILN_OK;
    const kiln_status status = take(t->walk, &t->step->touch[0], &terms);
    if (!status)
        t->largest = kiln_values_largest(terms, (size_t)t->step->touch[0].bytes / kiln_type_size(type), type);
    free(terms);
    return status;
}

/*
 * How far two ways may be apart, over the largest number of a result, or of a sum's terms where these are larger. A sum of n terms
 * rounds at each, in either direction: as sqrt(n) roundings (Higham and Mary 2019), of 2^-24 of a float; two ways double that. A result
 * of halves rounds once more, 2^-11. What reads or writes a wrong place is off by far more.
 */
static double bound_of(const struct trial *t)
{
    const kiln_dispatch *d = t->step->dispatch;
    double elements = 1, half = 0;
    for (int i = 0; i < d->kernel->bindings; i++)
        if (is_written(&t->step->touch[i])) {
            elements = fmax(elements, (double)t->step->touch[i].bytes / (double)kiln_type_size(t->type[i]));
            half = t->type[i] == KILN_F16 ? 0x1p-10 : half;
        }
    const double flops = d->kernel->flops ? d->kernel->flops(d) : 0;
    return half + 0x1p-24 * (64 + 16 * sqrt(flops / (2 * elements)));
}

static bool agrees(struct trial *t, void *const *got)
{
    const double bound = bound_of(t);
    bool same = true;
    for (int i = 0; i < KILN_MAX_BINDINGS && same; i++) {
        if (!t->want[i])
            continue;
        const size_t count = (size_t)t->step->touch[i].bytes / kiln_type_size(t->type[i]);
        const double largest = fmax(t->largest, kiln_values_largest(t->want[i], count, t->type[i]));
        same = kiln_values_agree(got[i], t->want[i], count, t->type[i], bound * largest);
    }
    return same;
}

/* Bytes of scratch that a way wants of the tuner's; what the plan took has its own. */
static uint64_t trial_scratch(const struct trial *t, const kiln_variant *v)
{
    kiln_dispatch d = *t->step->dispatch;
    if (v == d.variant)
        return 0;
    d.variant = v;
    return kiln_bound_scratch(t->walk->p->dev, &d);
}

/* The step as this variant would run it, baked; the plan's own step stays as it is. */
static kiln_status bake(struct trial *t, struct kiln_try *one)
{
    struct kiln_plan *plan = t->walk->ready->plan;
    struct kiln_step *s = (struct kiln_step *)(uintptr_t)t->step;
    const struct kiln_step kept = *s;
    kiln_dispatch d = *s->dispatch;
    d.variant = one->variant;
    if (d.variant != kept.dispatch->variant) {
        s->scratch = trial_scratch(t, d.variant);
        s->scratch_object = s->scratch ? t->walk->ready->trial_object : -1;
    }
    s->dispatch = &d;
    const int index = (int)(s - plan->step.data);
    const kiln_status status =
        kiln_ready_bake_steps(t->walk->p, t->walk->ready, index, index + 1, &one->work, &one->commands);
    *s = kept;
    return status;
}

static kiln_status run_try(struct trial *t, struct kiln_try *one)
{
    double seconds = 0;
    kiln_status status = run(t->walk, one->work, one->commands, &seconds);
    if (!status && seconds < one->seconds)
        one->seconds = seconds;
    return status;
}

/* The first run of a way: its result is looked at. */
static kiln_status run_first(struct trial *t, struct kiln_try *one, bool usual)
{
    void *got[KILN_MAX_BINDINGS] = {0};
    kiln_status status = bake(t, one);
    one->refused = status == KILN_ERROR_UNSUPPORTED && !usual;
    if (one->refused)
        return KILN_OK;
    if (!status)
        status = usual ? find_largest(t) : put_all(t, t->found);
    if (!status)
        status = run_try(t, one);
    if (!status)
        status = take_all(t, usual ? t->want : got);
    if (!status && !usual && !agrees(t, got)) {
        one->wrong = true;
        kiln_warn("tune: variant %s of kernel %s gives another result than %s on \"%s\": it is not chosen",
                  one->variant->name, t->step->dispatch->kernel->name, t->step->dispatch->variant->name,
                  t->walk->p->dev->info.title);
    }
    free_all(got);
    if (status || one->wrong || one->seconds > LONG)
        return status;
    one->seconds = INFINITY; /* the first run of a shader may have compiled it */
    if (t->in_place)
        status = put_all(t, t->found);
    return status ? status : run_try(t, one);
}

/* Turn by turn, so that what else the machine does falls on all of them. */
static kiln_status run_rounds(struct trial *t, struct kiln_try *tries, int count, double slice)
{
    const double until = fmin(kiln_seconds() + slice, t->walk->deadline);
    kiln_status status = KILN_OK;
    for (int round = 0; round < MOST_ROUNDS && !status; round++) {
        if (kiln_seconds() > (round < LEAST_ROUNDS ? t->walk->deadline : until))
            break;
        for (int i = 0; i < count && !status; i++) {
            if (!tries[i].work || tries[i].wrong || !isfinite(tries[i].seconds) ||
                tries[i].seconds > HOPELESS * tries[0].seconds)
                continue;
            if (t->in_place)
                status = put_all(t, t->found);
            if (!status)
                status = run_try(t, &tries[i]);
        }
    }
    return status;
}

/* Scratch for the largest of the ways. */
static kiln_status make_scratch(struct trial *t, const struct kiln_try *tries, int count)
{
    uint64_t most = 0;
    for (int i = 0; i < count; i++) {
        const uint64_t bytes = trial_scratch(t, tries[i].variant);
        most = bytes > most ? bytes : most;
    }
    return most ? kiln_ready_trial_scratch(t->walk->p, t->walk->ready, most) : KILN_OK;
}

kiln_status kiln_step_try(struct kiln_walk_steps *w, int step, struct kiln_try *tries, int count,
                          double slice)
{
    struct trial t = {.walk = w, .step = &w->ready->plan->step.data[step]};
    const kiln_dispatch *d = t.step->dispatch;
    for (int i = 0; i < d->kernel->bindings; i++)
        if (is_written(&t.step->touch[i]))
            t.type[i] = stored_type(w->ready->plan, d, i);
    t.in_place = works_in_place(t.step);
    for (int i = 0; i < count; i++)
        tries[i].seconds = INFINITY;
    kiln_status status = make_scratch(&t, tries, count);
    if (!status)
        status = take_all(&t, t.found);
    for (int i = 0; i < count && !status && (i == 0 || kiln_seconds() < w->deadline); i++)
        status = run_first(&t, &tries[i], i == 0);
    if (!status)
        status = run_rounds(&t, tries, count, slice);
    if (!status)
        status = put_all(&t, kiln_steps_last(w->ready->plan, step, step + 1) ? t.found : t.want);
    for (int i = 0; i < count; i++) {
        kiln_unbake(w->p->dev, &tries[i].work);
        if (w->clock && isfinite(tries[i].seconds))
            tries[i].seconds = w->clock(w->clock_user, d->kernel->name, tries[i].variant->name);
    }
    free_all(t.found);
    free_all(t.want);
    return status;
}
