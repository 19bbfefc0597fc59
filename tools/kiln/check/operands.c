/* operands.c - see operands.h. */
#include "check/operands.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"
#include "chain/codes.h"
#include "check/bounds.h"
#include "compiler/convert.h"

/* Runs with operands off by a rounding; of few elements, and of what is in doubt; elements to each side that share a magnitude. */
enum { NUDGES = 2, NUDGES_OF_FEW = 8, FEW = 2048, NUDGES_IN_DOUBT = 16, AROUND = 8 };

enum { PIECES = 64 }; /* of a reference's work */

/* Taking --------------------------------------------------------------------------------------------------- */

bool check_is_result(const struct check_operands *o, int i)
{
    return o->elements[i] && (o->touch[i].access == KILN_WRITE || o->touch[i].access == KILN_READ_WRITE);
}

static kiln_type single_type(const struct check_operands *o, int i)
{
    return o->real[i] ? KILN_F32 : KILN_I32;
}

static kiln_type exact_type(const struct check_operands *o, int i)
{
    return o->real[i] ? KILN_F64 : KILN_I32;
}

/* What the device needs. */
static bool take_stored(struct check_operands *o, int i, const void *from)
{
    const size_t bytes = o->elements[i] * kiln_type_size(o->stored[i]);

    o->device.bytes[i] = bytes;
    o->found[i] = malloc(bytes);
    o->device.data[i] = malloc(bytes);
    if (check_is_result(o, i) && !(o->device.again[i] = malloc(bytes)))
        return false;
    if (!o->found[i] || !o->device.data[i])
        return false;
    memcpy(o->found[i], from, bytes);
    return true;
}

/* What the references need. */
static bool take_meant(struct check_operands *o, int i, const void *from)
{
    const size_t count = o->elements[i];

    o->single.bytes[i] = 4 * count;
    o->exact.bytes[i] = (o->real[i] ? 8 : 4) * count;
    o->single.at[i] = malloc(o->single.bytes[i]);
    o->exact.at[i] = malloc(o->exact.bytes[i]);
    if (o->real[i] && check_is_result(o, i) && !(o->magnitude[i] = calloc(count, sizeof(double))))
        return false;
    if (!o->single.at[i] || !o->exact.at[i])
        return false;
    kiln_convert(o->single.at[i], single_type(o, i), from, o->stored[i], count);
    kiln_convert(o->exact.at[i], exact_type(o, i), from, o->stored[i], count);
    return true;
}

kiln_status check_operands_take(struct check_operands *o, const kiln_graph *g, const struct kiln_step *s,
                                unsigned char *(*memory)(void *user, const struct kiln_touch *t), void *user,
                                bool compared)
{
    const kiln_dispatch *d = s->dispatch;
    uint64_t bytes = 0;

    *o = (struct check_operands){.dispatch = d,
                                 .touch = s->touch,
                                 .count = d->kernel->bindings,
                                 .epilogue = s->node && s->node->epilogue};
    for (int i = 0; i < o->count; i++) {
        const kiln_tensor value = d->bind[i].value;
        if (s->touch[i].object < 0 || !s->touch[i].bytes)
            continue;
        bytes += s->touch[i].bytes;
        o->real[i] = value.id && kiln_type_is_real(kiln_tensor_spec(g, value).type);
        o->stored[i] = d->halves >> i & 1    ? KILN_F16
                       : d->natural >> i & 1 ? KILN_U8
                       : d->bytes >> i & 1   ? KILN_I8
                                             : single_type(o, i);
        o->elements[i] = (size_t)s->touch[i].bytes / kiln_type_size(o->stored[i]);
        const void *from = memory(user, &s->touch[i]);
        if (!take_stored(o, i, from) || (compared && !take_meant(o, i, from)))
            return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for the operands of %s", d->kernel->name);
    }
    o->large = bytes > CHECK_LARGE;
    return KILN_OK;
}

void check_operands_finish(struct check_operands *o)
{
    for (int i = 0; i < KILN_MAX_BINDINGS; i++) {
        free(o->found[i]);
        free(o->single.at[i]);
        free(o->exact.at[i]);
        free(o->magnitude[i]);
        free(o->device.data[i]);
        free(o->device.again[i]);
    }
}

void check_operands_reset(struct check_operands *o)
{
    for (int i = 0; i < o->count; i++)
        if (o->device.bytes[i])
            memcpy(o->device.data[i], o->found[i], o->device.bytes[i]);
    memset(o->beyond, 0, sizeof o->beyond);
    o->device.beyond = o->beyond;
}

double check_terms_of(const struct check_operands *o)
{
    const kiln_dispatch *d = o->dispatch;
    double results = 1, reads = 0;

    for (int i = 0; i < o->count; i++) {
        const double count = (double)o->elements[i];
        if (check_is_result(o, i))
            results = fmax(results, count);
        else
            reads = fmax(reads, count);
    }
    return fmax(1, fmax(reads, d->kernel->flops ? d->kernel->flops(d) / 2 : 0) / results);
}

/* What should come out --------------------------------------------------------------------------------------- */

struct referring {
    const kiln_dispatch *dispatch;
    kiln_reference_fn *reference;
    const kiln_memory *memory;
};

static void refer(void *user, size_t first, size_t count, int worker)
{
    const struct referring *r = user;
    uint32_t constants[KILN_MAX_CONSTANTS];

    (void)worker;
    memcpy(constants, r->dispatch->constants, sizeof constants);
    r->reference(r->dispatch->block.bytes, constants, r->memory, first, count);
}

static void run_reference(const struct check_operands *o, const kiln_dispatch *d,
                          kiln_reference_fn *reference, const kiln_memory *m)
{
    struct referring r = {d, reference, m};
    const size_t units = (size_t)d->kernel->units(d);

    if (o->pool)
        kiln_pool_run(o->pool, units, (units + PIECES - 1) / PIECES, refer, &r);
    else
        refer(&r, 0, units, 0);
}

static bool is_exact(const struct check_operands *o)
{
    const struct check_bound *bound = check_bound_of(o->dispatch);
    return (bound->fixed == 0 && bound->terms == 0) || !o->dispatch->kernel->reference_f64;
}

/* The operands as they were found, in double, each real one off by so much either way. */
static void nudge(const struct check_operands *o, kiln_memory *m, double by, uint64_t seed)
{
    struct kiln_rng rng;

    kiln_rng_init(&rng, seed, 0);
    for (int i = 0; i < o->count; i++) {
        if (!m->at[i])
            continue;
        kiln_convert(m->at[i], exact_type(o, i), o->found[i], o->stored[i], o->elements[i]);
        for (size_t k = 0; o->real[i] && k < o->elements[i]; k += 32) {
            uint32_t signs = kiln_rng_next(&rng);
            for (size_t j = k; j < k + 32 && j < o->elements[i]; j++, signs >>= 1)
                ((double *)m->at[i])[j] *= 1 + (signs & 1 ? by : -by);
        }
    }
}

/* How far each element answered, in roundings. */
static void note_answers(struct check_operands *o, const kiln_memory *plain, const kiln_memory *nudged)
{
    for (int i = 0; i < o->count; i++) {
        const double *now = nudged->at[i], *want = plain->at[i];
        for (size_t k = 0; o->magnitude[i] && k < o->elements[i]; k++) {
            const double answer = fabs(now[k] - want[k]) / CHECK_ROUNDING;
            if (answer > o->magnitude[i][k] && isfinite(answer))
                o->magnitude[i][k] = answer;
        }
    }
}

/* Arrays as large as the exact ones. */
static bool get_memory(const struct check_operands *o, kiln_memory *m)
{
    bool room = true;

    *m = o->exact;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        if (o->exact.at[i])
            room &= (m->at[i] = malloc(o->exact.bytes[i])) != NULL;
    return room;
}

static void free_memory(kiln_memory *m)
{
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        free(m->at[i]);
}

/* The answers of d, o's dispatch or one like it, to operands that are off by a rounding. */
static kiln_status measure(struct check_operands *o, const kiln_dispatch *d, int runs)
{
    const bool same = d == o->dispatch;
    kiln_memory plain = o->exact, nudged;
    const bool got = get_memory(o, &nudged), room = (same || get_memory(o, &plain)) && got;

    for (int i = 0; i < o->count; i++)
        if (o->magnitude[i])
            memset(o->magnitude[i], 0, o->elements[i] * sizeof(double));
    if (room && !same) {
        nudge(o, &plain, 0, 0);
        run_reference(o, d, d->kernel->reference_f64, &plain);
    }
    for (int run = 0; run < runs && room; run++) {
        nudge(o, &nudged, CHECK_ROUNDING, (uint64_t)run);
        run_reference(o, d, d->kernel->reference_f64, &nudged);
        note_answers(o, &plain, &nudged);
    }
    if (!same)
        free_memory(&plain);
    free_memory(&nudged);
    return room ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a reference");
}

/* The largest answer of so many elements around each, and the element itself. */
static void spread(double *magnitude, const double *want, size_t count, size_t reach, double least)
{
    double before = 0; /* the largest of the stretch before */

    for (size_t first = 0; first < count; first += reach) {
        const size_t end = first + reach < count ? first + reach : count;
        const size_t ahead = end + reach < count ? end + reach : count;
        double around = before;
        for (size_t k = first; k < ahead; k++)
            around = fmax(around, magnitude[k]);
        before = 0;
        for (size_t k = first; k < end; k++)
            before = fmax(before, magnitude[k]);
        for (size_t k = first; k < end; k++)
            magnitude[k] = fmax(least, around + (isfinite(want[k]) ? fabs(want[k]) : 0));
    }
}

static void take_largest(double *magnitude, const double *want, size_t count)
{
    double largest = 0;

    for (size_t k = 0; k < count; k++)
        largest = isfinite(want[k]) ? fmax(largest, fabs(want[k])) : largest;
    for (size_t k = 0; k < count; k++)
        magnitude[k] = largest;
}

static kiln_status find_magnitudes(struct check_operands *o, const kiln_dispatch *d, int runs)
{
    const struct check_bound *bound = check_bound_of(o->dispatch);
    const double least = bound->cancels ? fmax(bound->least, bound->cancels(o)) : bound->least;
    const size_t reach = bound->reach ? bound->reach(o->dispatch) : 0;
    kiln_status status = KILN_OK;

    if (!is_exact(o) && !o->large)
        status = measure(o, d, runs);
    for (int i = 0; i < o->count; i++)
        if (o->magnitude[i] && o->large)
            take_largest(o->magnitude[i], o->exact.at[i], o->elements[i]);
        else if (o->magnitude[i])
            spread(o->magnitude[i], o->exact.at[i], o->elements[i], reach > AROUND ? reach : AROUND, least);
    return status;
}

static bool has_few(const struct check_operands *o)
{
    for (int i = 0; i < o->count; i++)
        if (o->elements[i] > FEW)
            return false;
    return true;
}

/* What is to come out exactly: as it is stored. */
static void take_single(struct check_operands *o, int i)
{
    const float *from = o->single.at[i];

    for (size_t k = 0; k < o->elements[i]; k++)
        ((double *)o->exact.at[i])[k] =
            o->stored[i] == KILN_F16 ? kiln_half_to(kiln_half_from(from[k])) : from[k];
}

kiln_status check_operands_compute(struct check_operands *o)
{
    const kiln_kernel *kernel = o->dispatch->kernel;

    run_reference(o, o->dispatch, kernel->reference, &o->single);
    if (!is_exact(o))
        run_reference(o, o->dispatch, kernel->reference_f64, &o->exact);
    for (int i = 0; i < o->count; i++)
        if (is_exact(o) && o->real[i])
            take_single(o, i);
    return find_magnitudes(o, o->dispatch, has_few(o) ? NUDGES_OF_FEW : NUDGES);
}

/* What an epilogue cuts off passes: MAX_F of a value and itself. */
static void uncover(kiln_dispatch *d)
{
    for (int i = 1; i <= KILN_EPILOGUE_STEPS && i < d->constant_count; i++) {
        const uint32_t code = d->constants[i] & 255, a = d->constants[i] >> 8 & 255;
        if (code == KILN_STEP_RELU_F || code == KILN_STEP_CLIP_F)
            d->constants[i] = KILN_STEP_MAX_F | a << 8 | a << 16;
    }
}

kiln_status check_operands_doubt(struct check_operands *o, bool *changed)
{
    kiln_dispatch d = *o->dispatch;

    *changed = !o->doubted && !o->large && !is_exact(o);
    o->doubted = true;
    if (o->epilogue)
        uncover(&d);
    return *changed ? find_magnitudes(o, &d, NUDGES_IN_DOUBT) : KILN_OK;
}
