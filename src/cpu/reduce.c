/* reduce.c - what a reduction means, a result at a time; and where its gradient goes. */
#include "reduce/reduce.h"

#include <math.h>

#include "cpu/reference.h"
#include "reduce/codes.h"
#include "reduce/place.h"

/* The values of one result: element t is x[(t / second * kept * second + t % second) * inner] from the first on. */
struct span {
    size_t start, from, to;
};

static struct span span_of(const struct kiln_params_reduce *p, size_t result)
{
    const size_t i = result % p->inner, k = result / p->inner % p->kept;
    const size_t o = result / p->inner / p->kept % p->outer, s = result / p->inner / p->kept / p->outer;
    const size_t length = (size_t)p->first * p->second, from = s * p->part_length, to = from + p->part_length;
    return (struct span){((o * p->first * p->kept) + k) * p->second * p->inner + i, from,
                         to < length ? to : length};
}

static size_t index_of(const struct kiln_params_reduce *p, const struct span *n, size_t t)
{
    return n->start + (t / p->second * p->kept * p->second + t % p->second) * p->inner;
}

static real sum(const struct kiln_params_reduce *p, const struct span *n, const real *x)
{
    double total = 0;
    for (size_t t = n->from; t < n->to; t++)
        total += x[index_of(p, n, t)];
    return (real)(total * KILN_REAL_GET(p, scale));
}

/* Whether b is to replace a: larger, or the first NaN. */
static bool beats(real b, real a, bool least)
{
    return isnan(b) ? !isnan(a) : least ? b < a : b > a;
}

static size_t find(const struct kiln_params_reduce *p, const struct span *n, const real *x, bool least)
{
    size_t best = n->from;
    for (size_t t = n->from + 1; t < n->to; t++)
        if (beats(x[index_of(p, n, t)], x[index_of(p, n, best)], least))
            best = t;
    return best;
}

static int32_t sum_integers(const struct kiln_params_reduce *p, const struct span *n, const int32_t *x)
{
    uint32_t total = 0;
    for (size_t t = n->from; t < n->to; t++)
        total += (uint32_t)x[index_of(p, n, t)];
    return (int32_t)total;
}

static size_t find_integer(const struct kiln_params_reduce *p, const struct span *n, const int32_t *x,
                           bool least)
{
    size_t best = n->from;
    for (size_t t = n->from + 1; t < n->to; t++) {
        const int32_t a = x[index_of(p, n, best)], b = x[index_of(p, n, t)];
        if (least ? b < a : b > a)
            best = t;
    }
    return best;
}

void KILN_REFERENCE(reduce)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_reduce *p = block;
    const uint32_t code = constants[0];
    const bool least = code == KILN_REDUCE_MIN_F || code == KILN_REDUCE_MIN_I ||
                       code == KILN_REDUCE_ARGMIN_F || code == KILN_REDUCE_ARGMIN_I;
    const real *x = (const real *)m->at[0] + p->x_first;
    const int32_t *integers = (const int32_t *)m->at[0] + p->x_first;
    for (size_t result = first; result < first + count; result++) {
        const struct span n = span_of(p, result);
        const size_t r = p->y_first + result;
        if (code == KILN_REDUCE_SUM_F)
            ((real *)m->at[1])[r] = sum(p, &n, x);
        else if (code == KILN_REDUCE_MAX_F || code == KILN_REDUCE_MIN_F)
            ((real *)m->at[1])[r] = x[index_of(p, &n, find(p, &n, x, least))];
        else if (code == KILN_REDUCE_ARGMAX_F || code == KILN_REDUCE_ARGMIN_F)
            ((int32_t *)m->at[1])[r] = (int32_t)find(p, &n, x, least);
        else if (code == KILN_REDUCE_SUM_I)
            ((int32_t *)m->at[1])[r] = sum_integers(p, &n, integers);
        else if (code == KILN_REDUCE_MAX_I || code == KILN_REDUCE_MIN_I)
            ((int32_t *)m->at[1])[r] = integers[index_of(p, &n, find_integer(p, &n, integers, least))];
        else
            ((int32_t *)m->at[1])[r] = (int32_t)find_integer(p, &n, integers, least);
    }
}

void KILN_REFERENCE(place)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                           size_t count)
{
    (void)constants;
    const struct kiln_params_place *p = block;
    const real *dy = m->at[0];
    const int32_t *at = m->at[1];
    real *dx = m->at[2];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t e = p->begin + unit;
        const size_t i = e % p->inner, b = e / p->inner % p->second, k = e / p->inner / p->second % p->kept;
        const size_t pair = e / p->inner / p->second / p->kept, a = pair % p->first, o = pair / p->first;
        const uint32_t result = p->result_first + (uint32_t)((o * p->kept + k) * p->inner + i);
        dx[p->dx_first + (uint32_t)e] = a * p->second + b == (size_t)at[result] ? dy[result] : 0;
    }
}
