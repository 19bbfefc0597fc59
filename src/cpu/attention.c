/* attention.c - what attention and its gradients mean, a row of the result at a time. */
#include "cpu/attention.h"

#include <math.h>

#include "base/rng.h"
#include "cpu/reference.h"

typedef struct kiln_params_attention params;

/* A query head with its operands: row 0 of each, and what all heads share. */
struct head {
    const params *p;
    uint32_t flags;
    struct kiln_head at;
    const real *q, *k, *v, *dy;
    const uint32_t *mask;
    const real *bias;
    const int32_t *numbers;
    const real *lse, *delta;
};

static struct head head_of(const params *p, uint32_t flags, const kiln_memory *m, size_t b, size_t g)
{
    const struct kiln_head at = kiln_head_of(p, flags, m->at[4], b, g);
    return (struct head){.p = p,
                         .flags = flags,
                         .at = at,
                         .q = (const real *)m->at[0] + at.q,
                         .k = (const real *)m->at[1] + at.k,
                         .v = (const real *)m->at[2] + at.v,
                         .mask = m->at[3],
                         .bias = m->at[3],
                         .numbers = m->at[4]};
}

static struct head grad_head_of(const params *p, uint32_t flags, const kiln_memory *m, size_t b, size_t g)
{
    struct head h = head_of(p, flags, m, b, g);
    h.dy = (const real *)m->at[5] + h.at.y;
    h.lse = m->at[6];
    h.delta = h.lse + p->delta_at;
    return h;
}

static double dot(const real *a, const real *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* Scores ------------------------------------------------------------------------------------------------- */

/* s of (i, j): without the mask. */
static double score_of(const struct head *h, size_t i, size_t j)
{
    const double cap = KILN_REAL_GET(h->p, cap);
    const double s =
        KILN_REAL_GET(h->p, scale) * dot(h->q + i * h->at.q_step, h->k + j * h->at.k_step, h->p->depth);
    return h->flags & KILN_ATTENTION_CAPPED ? cap * tanh(s / cap) : s;
}

/* a of s: -infinity where i does not see j. */
static double masked(const struct head *h, double s, size_t i, size_t j)
{
    const size_t at = kiln_head_mask(h->p, &h->at, i, j);
    if ((int64_t)j >= h->at.length)
        return -INFINITY;
    if (h->flags & KILN_ATTENTION_CAUSAL && (int64_t)j > (int64_t)i + h->at.offset)
        return -INFINITY;
    if (h->flags & KILN_ATTENTION_MASKED && !h->mask[at])
        return -INFINITY;
    return h->flags & KILN_ATTENTION_BIASED ? s + h->bias[at] : s;
}

/* 1, or with dropout what the probability of (i, j) is multiplied by. */
static double kept(const struct head *h, size_t i, size_t j)
{
    const params *p = h->p;
    uint32_t draw[4];
    if (!(h->flags & KILN_ATTENTION_DROPPED))
        return 1;
    const uint32_t *counter = (const uint32_t *)h->numbers + p->counter_at, threshold = counter[2];
    const uint32_t row = (uint32_t)kiln_head_row(p, &h->at, i);
    kiln_philox((const uint32_t[4]){(uint32_t)(j / 4), row, counter[1], p->stream},
                (const uint32_t[2]){counter[0], 0}, draw);
    return threshold == 0 ? 1 : draw[j % 4] >= threshold ? KILN_REAL_GET(p, keep) : 0;
}

/* Attention: a row's largest score and sum of exponentials, then its columns in chunks --------------------- */

enum { CHUNK = 64 };

static void attend(const struct head *h, size_t i, real *y, real *lse)
{
    const params *p = h->p;
    double peak = -INFINITY, sum = 0;
    for (size_t j = 0; j < p->keys; j++) {
        const double a = masked(h, score_of(h, i, j), i, j);
        peak = a > peak || isnan(a) ? a : peak;
    }
    const bool none = peak == -INFINITY;
    for (size_t j = 0; j < p->keys && !none; j++)
        sum += exp(masked(h, score_of(h, i, j), i, j) - peak);
    *lse = (real)(none ? -INFINITY : peak + log(sum));

    for (size_t first = 0; first < p->width; first += CHUNK) {
        const size_t count = p->width - first < CHUNK ? p->width - first : CHUNK;
        double total[CHUNK] = {0};
        for (size_t j = 0; j < p->keys && !none; j++) {
            const double w = exp(masked(h, score_of(h, i, j), i, j) - peak) / sum * kept(h, i, j);
            for (size_t c = 0; c < count; c++)
                total[c] += w * h->v[j * h->at.v_step + first + c];
        }
        for (size_t c = 0; c < count; c++)
            y[first + c] = (real)total[c];
    }
}

void KILN_REFERENCE(attention)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const params *p = block;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t i = unit % p->queries, at = unit / p->queries;
        const struct head h = head_of(p, constants[0], m, at / p->group, at % p->group);
        attend(&h, i, (real *)m->at[5] + h.at.y + i * h.at.y_step,
               (real *)m->at[6] + kiln_head_row(p, &h.at, i));
    }
}

void KILN_REFERENCE(attention_delta)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                     size_t first, size_t count)
{
    const params *p = block;
    const real *y = m->at[0], *dy = m->at[1], *lse = m->at[2];
    real *rows = m->at[3];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t i = unit % p->queries, at = unit / p->queries;
        const uint32_t layout = constants[0] & KILN_ATTENTION_ROWS_FIRST;
        const struct kiln_head h = kiln_head_of(p, layout, NULL, at / p->group, at % p->group);
        const size_t row = kiln_head_row(p, &h, i), from = h.y + i * h.y_step;
        rows[row] = lse[row];
        rows[p->delta_at + row] = (real)dot(y + from, dy + from, p->width);
    }
}

/* Gradients ---------------------------------------------------------------------------------------------- */

static double probability(const struct head *h, double s, size_t i, size_t j)
{
    const double lse = h->lse[kiln_head_row(h->p, &h->at, i)];
    return lse == -INFINITY ? 0 : exp(masked(h, s, i, j) - lse);
}

/* The weight of (i, j) in the result of a mode: ds, p kept, or e. */
static double weight(const struct head *h, uint32_t mode, size_t i, size_t j)
{
    const double s = score_of(h, i, j), x = probability(h, s, i, j), t = s / KILN_REAL_GET(h->p, cap);
    if (x == 0 || mode == KILN_ATTENTION_VALUE)
        return x == 0 ? 0 : x * kept(h, i, j);
    const double pull = dot(h->dy + i * h->at.y_step, h->v + j * h->at.v_step, h->p->width);
    const double e = x * (kept(h, i, j) * pull - h->delta[kiln_head_row(h->p, &h->at, i)]);
    return mode != KILN_ATTENTION_SCORES && h->flags & KILN_ATTENTION_CAPPED ? e * (1 - t * t) : e;
}

/* total += what the others give to columns [first, first + count) of row `own`. */
static void add_others(const struct head *h, uint32_t mode, size_t own, size_t first, size_t count,
                       double *total)
{
    const bool by_query = mode == KILN_ATTENTION_QUERY, by_value = mode == KILN_ATTENTION_VALUE;
    const real *x = by_query ? h->k : by_value ? h->dy : h->q;
    const size_t step = by_query ? h->at.k_step : by_value ? h->at.y_step : h->at.q_step;
    const size_t others = by_query ? h->p->keys : h->p->queries;
    for (size_t other = 0; other < others; other++) {
        const double w = by_query ? weight(h, mode, own, other) : weight(h, mode, other, own);
        for (size_t c = 0; c < count && w != 0; c++)
            total[c] += w * x[other * step + first + c];
    }
}

/* A row of dq, dk or dv: of the head, and of the others that share its keys. */
static void pull_row(const params *p, uint32_t flags, uint32_t mode, const kiln_memory *m, size_t unit)
{
    const bool by_query = mode == KILN_ATTENTION_QUERY, by_value = mode == KILN_ATTENTION_VALUE;
    const size_t rows = by_query ? p->queries : p->keys, own = unit % rows, at = unit / rows;
    const size_t pair = by_query ? at / p->group : at, head = by_query ? at % p->group : 0;
    const size_t columns = by_value ? p->width : p->depth, heads = by_query ? 1 : p->group;
    const double factor = by_value ? 1 : KILN_REAL_GET(p, scale);
    const struct kiln_head place = kiln_head_of(p, flags, m->at[4], pair, head);
    real *to = (real *)m->at[7] + (by_query   ? place.q + own * place.q_step
                                   : by_value ? place.v + own * place.v_step
                                              : place.k + own * place.k_step);
    for (size_t first = 0; first < columns; first += CHUNK) {
        const size_t count = columns - first < CHUNK ? columns - first : CHUNK;
        double total[CHUNK] = {0};
        for (size_t g = head; g < head + heads; g++) {
            const struct head h = grad_head_of(p, flags, m, pair, g);
            add_others(&h, mode, own, first, count, total);
        }
        for (size_t c = 0; c < count; c++)
            to[first + c] = (real)(total[c] * factor);
    }
}

void KILN_REFERENCE(attention_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                    size_t first, size_t count)
{
    const params *p = block;
    for (size_t unit = first; unit < first + count; unit++) {
        if (constants[1] != KILN_ATTENTION_SCORES) {
            pull_row(p, constants[0], constants[1], m, unit);
            continue;
        }
        const size_t i = unit % p->queries, at = unit / p->queries;
        const struct head h = grad_head_of(p, constants[0], m, at / p->group, at % p->group);
        for (size_t j = 0; j < p->keys; j++)
            ((real *)m->at[7])[unit * p->keys + j] = (real)weight(&h, constants[1], i, j);
    }
}
