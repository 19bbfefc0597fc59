/*
 * update_fast.c - the optimizers in float, a row of the table at a time, by loops that vectorize.
 */
#include <math.h>
#include <string.h>

#include "cpu/simd.h"
#include "device/variants.h"

#include "update/accumulate.h"
#include "update/row_sums.h"
#include "update/update.h"

/* A row of the table with what its loop reads and writes. */
struct row {
    uint32_t optimizer, count;
    bool clips;
    float beta1, rest1, beta2, rest2, epsilon, clip;
    float rate, unscale, factor, decay, pace, root; /* pace: rate / c1; root: sqrt(c2) */
    const float *gradient;
    float *parameter, *m, *v;
};

static float float_of(uint32_t word)
{
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static const struct kiln_params_update *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_update *)d->block.words;
}

static float *at(const kiln_memory *m, int binding, size_t element)
{
    return m->at[binding] ? (float *)m->at[binding] + element : NULL;
}

static struct row row_of(const kiln_dispatch *d, const kiln_memory *m, size_t index)
{
    const struct kiln_params_update *p = block_of(d);
    const uint32_t *words = (const uint32_t *)m->at[0] + index * KILN_ROW_WORDS;
    const float *scalars = m->at[1];
    const bool adaptive = d->constants[0] == KILN_UPDATE_ADAM || d->constants[0] == KILN_UPDATE_ADAMW;
    const float rate = scalars[KILN_SCALAR_RATE] * float_of(words[KILN_ROW_RATE]);
    return (struct row){
        .optimizer = d->constants[0],
        .count = words[KILN_ROW_COUNT],
        .clips = d->constants[1],
        .beta1 = p->beta1,
        .rest1 = p->rest1,
        .beta2 = p->beta2,
        .rest2 = p->rest2,
        .epsilon = p->epsilon,
        .clip = p->clip,
        .rate = rate,
        .unscale = d->constants[3] ? scalars[KILN_SCALAR_UNSCALE] : 1,
        .factor = d->constants[2] ? *(const float *)m->at[4] : 1,
        .decay = float_of(words[KILN_ROW_DECAY]),
        .pace = adaptive ? rate / scalars[KILN_SCALAR_C1] : rate,
        .root = sqrtf(scalars[KILN_SCALAR_C2]),
        .gradient = at(m, 2, words[KILN_ROW_GRADIENT]),
        .parameter = at(m, 3, words[KILN_ROW_PARAMETER]),
        .m = at(m, 5, words[KILN_ROW_PARAMETER]),
        .v = at(m, 6, words[KILN_ROW_PARAMETER]),
    };
}

/* NaN passes. */
KILN_INLINE float clipped(float g, float clip)
{
    g = g > clip ? clip : g;
    return g < -clip ? -clip : g;
}

/* One element's step; `optimizer` is known to the compiler, so that one formula is left of these. */
KILN_INLINE void step(const struct row *r, uint32_t optimizer, float g, float *p, float *m, float *v)
{
    if (optimizer == KILN_UPDATE_ADAMW)
        *p -= r->rate * r->decay * *p;
    else
        g += r->decay * *p;

    if (optimizer == KILN_UPDATE_SGD) {
        *p -= r->rate * g;
    } else if (optimizer == KILN_UPDATE_RMSPROP) {
        *m = r->beta2 * *m + r->rest2 * g * g;
        *p -= r->rate * g / (sqrtf(*m) / r->root + r->epsilon);
    } else {
        *m = r->beta1 * *m + r->rest1 * g;
        if (optimizer == KILN_UPDATE_MOMENTUM) {
            *p -= r->rate * *m;
        } else if (optimizer == KILN_UPDATE_NESTEROV) {
            *p -= r->rate * (g + r->beta1 * *m);
        } else {
            *v = r->beta2 * *v + r->rest2 * g * g;
            *p -= r->pace * *m / (sqrtf(*v) / r->root + r->epsilon);
        }
    }
}

KILN_INLINE void walk(const struct row *given, uint32_t optimizer, bool clips)
{
    const struct row r = *given;
    const float *restrict gradient = r.gradient;
    float *restrict parameter = r.parameter, *restrict m = r.m, *restrict v = r.v;
    const bool has_m = optimizer != KILN_UPDATE_SGD;
    const bool has_v = optimizer == KILN_UPDATE_ADAM || optimizer == KILN_UPDATE_ADAMW;
    for (uint32_t i = 0; i < r.count; i++) {
        const float whole = r.unscale * gradient[i], g = r.factor * (clips ? clipped(whole, r.clip) : whole);
        float none = 0;
        step(&r, optimizer, g, &parameter[i], has_m ? &m[i] : &none, has_v ? &v[i] : &none);
    }
}

KILN_INLINE void update_row_body(const struct row *r)
{
#define WALK(optimizer)                                                  \
    case optimizer:                                                      \
        r->clips ? walk(r, optimizer, true) : walk(r, optimizer, false); \
        break
    switch (r->optimizer) {
        WALK(KILN_UPDATE_SGD);
        WALK(KILN_UPDATE_MOMENTUM);
        WALK(KILN_UPDATE_NESTEROV);
        WALK(KILN_UPDATE_RMSPROP);
        WALK(KILN_UPDATE_ADAM);
        WALK(KILN_UPDATE_ADAMW);
    }
#undef WALK
}

static void update_row(const struct row *r);
KILN_CLONES(update_row, (const struct row *r), (r))

static void run_update(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    if (d->constants[3] && ((const float *)m->at[1])[KILN_SCALAR_GO] == 0)
        return;
    for (size_t i = first; i < first + count; i++) {
        const struct row r = row_of(d, m, i);
        update_row(&r);
    }
}

static void run_accumulate(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count,
                           int worker)
{
    (void)d, (void)worker;
    for (size_t index = first; index < first + count; index++) {
        const uint32_t *row = (const uint32_t *)m->at[0] + index * KILN_ROW_WORDS;
        const float *restrict from = at(m, 1, row[KILN_ROW_GRADIENT]);
        float *restrict to = at(m, 2, row[KILN_ROW_PARAMETER]);
        for (uint32_t i = 0; i < row[KILN_ROW_COUNT]; i++)
            to[i] += from[i];
    }
}

/* How many are infinite or NaN: those whose exponent is all ones. */
KILN_INLINE void count_infinite_body(const float *g, uint32_t count, uint32_t *infinite)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &g[i], sizeof bits);
        total += (bits & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
    }
    *infinite = total;
}

static void count_infinite(const float *g, uint32_t count, uint32_t *infinite);
KILN_CLONES(count_infinite, (const float *g, uint32_t count, uint32_t *infinite), (g, count, infinite))

static bool counts_infinite(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] == KILN_ROW_INFINITE;
}

static void run_count(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct kiln_params_row_sums *p = (const struct kiln_params_row_sums *)d->block.words;
    (void)worker;
    for (size_t index = first; index < first + count; index++) {
        const uint32_t *row = (const uint32_t *)m->at[0] + index * KILN_ROW_WORDS;
        uint32_t infinite;
        count_infinite(at(m, 1, row[KILN_ROW_GRADIENT]), row[KILN_ROW_COUNT], &infinite);
        *at(m, 2, p->first + index) = (float)infinite;
    }
}

const kiln_variant kiln_cpu_update_rows = {.name = "rows", .run = run_update};
const kiln_variant kiln_cpu_accumulate_rows = {.name = "rows", .run = run_accumulate};
const kiln_variant kiln_cpu_row_sums_count = {.name = "count", .accepts = counts_infinite, .run = run_count};
