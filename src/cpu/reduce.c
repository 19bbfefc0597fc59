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

/* Reals -------------------------------------------------------------------------------------------------- */

static double add_up(const struct kiln_params_reduce *p, const struct span *n, const real *x, uint32_t code)
{
    const bool product = code == KILN_REDUCE_PRODUCT_F;
    double total = product ? 1 : 0;
    for (size_t t = n->from; t < n->to; t++) {
        const double value = x[index_of(p, n, t)];
        if (product)
            total *= value;
        else
            total += code == KILN_REDUCE_L1_F        ? fabs(value)
                     : code == KILN_REDUCE_SQUARES_F ? value * value
                                                     : value;
    }
    return code == KILN_REDUCE_SUM_F ? total * KILN_REAL_GET(p, scale) : total;
}

/* Whether b is to replace a: larger, or the first NaN; of equals, b if it is the last that is wanted. */
static bool beats(double b, double a, bool least, bool last)
{
    if (isnan(a) || isnan(b))
        return isnan(b) && (last || !isnan(a));
    return (last && b == a) || (least ? b < a : b > a);
}

static size_t find(const struct kiln_params_reduce *p, const struct span *n, const real *x, bool least,
                   bool last)
{
    size_t best = n->from;
    for (size_t t = n->from + 1; t < n->to; t++)
        if (beats(x[index_of(p, n, t)], x[index_of(p, n, best)], least, last))
            best = t;
    return best;
}

/* peak + log(sum of exp(x - peak)); a peak that is infinite is the result. */
static double log_sum_exp(const struct kiln_params_reduce *p, const struct span *n, const real *x)
{
    const double peak = x[index_of(p, n, find(p, n, x, false, false))];
    double total = 0;
    for (size_t t = n->from; t < n->to; t++)
        total += exp(x[index_of(p, n, t)] - peak);
    return isinf(peak) ? peak : peak + log(total);
}

static real reduce_reals(const struct kiln_params_reduce *p, const struct span *n, const real *x,
                         uint32_t code, uint32_t finish)
{
    if (code == KILN_REDUCE_MAX_F || code == KILN_REDUCE_MIN_F)
        return x[index_of(p, n, find(p, n, x, code == KILN_REDUCE_MIN_F, false))];
    const double y = code == KILN_REDUCE_EXP_F ? log_sum_exp(p, n, x) : add_up(p, n, x, code);
    return (real)(finish == KILN_REDUCE_FINISH_ROOT  ? sqrt(y)
                  : finish == KILN_REDUCE_FINISH_LOG ? log(y)
                                                     : y);
}

/* Integers, signed and not ------------------------------------------------------------------------------- */

static uint32_t add_up_integers(const struct kiln_params_reduce *p, const struct span *n, const uint32_t *x,
                                uint32_t code)
{
    const bool product = code == KILN_REDUCE_PRODUCT_I;
    uint32_t total = product ? 1 : 0;
    for (size_t t = n->from; t < n->to; t++) {
        const uint32_t value = x[index_of(p, n, t)];
        if (product)
            total *= value;
        else
            total += code == KILN_REDUCE_L1_I && value >> 31 ? 0 - value
                     : code == KILN_REDUCE_SQUARES_I         ? value * value
                                                             : value;
    }
    return total;
}

static size_t find_integer(const struct kiln_params_reduce *p, const struct span *n, const uint32_t *x,
                           bool least, bool natural, bool last)
{
    size_t best = n->from;
    for (size_t t = n->from + 1; t < n->to; t++) {
        const uint32_t a = x[index_of(p, n, best)], b = x[index_of(p, n, t)];
        if (natural ? beats(b, a, least, last) : beats((int32_t)b, (int32_t)a, least, last))
            best = t;
    }
    return best;
}

/* The kernel --------------------------------------------------------------------------------------------- */

static bool is_least(uint32_t code)
{
    return code == KILN_REDUCE_MIN_I || code == KILN_REDUCE_MIN_U || code == KILN_REDUCE_ARGMIN_F ||
           code == KILN_REDUCE_ARGMIN_I || code == KILN_REDUCE_ARGMIN_U;
}

static bool is_natural(uint32_t code)
{
    return code == KILN_REDUCE_MAX_U || code == KILN_REDUCE_MIN_U || code == KILN_REDUCE_ARGMAX_U ||
           code == KILN_REDUCE_ARGMIN_U;
}

static uint32_t reduce_integers(const struct kiln_params_reduce *p, const struct span *n, const uint32_t *x,
                                uint32_t code, bool last)
{
    const bool place = KILN_REDUCE_IS_PLACE(code),
               extreme = code >= KILN_REDUCE_MAX_I && code <= KILN_REDUCE_MIN_U;
    if (!place && !extreme)
        return add_up_integers(p, n, x, code);
    const size_t at = find_integer(p, n, x, is_least(code), is_natural(code), last);
    return place ? (uint32_t)at : x[index_of(p, n, at)];
}

void KILN_REFERENCE(reduce)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_reduce *p = block;
    const uint32_t code = constants[0], finish = constants[1];
    const bool last = finish == KILN_REDUCE_FINISH_LAST;
    const real *x = (const real *)m->at[0] + p->x_first;
    const uint32_t *integers = (const uint32_t *)m->at[0] + p->x_first;
    for (size_t result = first; result < first + count; result++) {
        const struct span n = span_of(p, result);
        const size_t r = p->y_first + result;
        if (code <= KILN_REDUCE_EXP_F)
            ((real *)m->at[1])[r] = reduce_reals(p, &n, x, code, finish);
        else if (code == KILN_REDUCE_ARGMAX_F || code == KILN_REDUCE_ARGMIN_F)
            ((uint32_t *)m->at[1])[r] = (uint32_t)find(p, &n, x, is_least(code), last);
        else
            ((uint32_t *)m->at[1])[r] = reduce_integers(p, &n, integers, code, last);
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
