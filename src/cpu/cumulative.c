/* cumulative.c - the meaning of cumulate, an element after the other. Units are parts of rows. */
#include "cumulative/cumulate.h"

#include <math.h>

#include "cpu/reference.h"

struct state {
    double value, factor; /* factor: of LINEAR */
    uint32_t index;       /* of an extreme */
};

static bool is_real(uint32_t code)
{
    return code <= KILN_CUMULATE_LINEAR_F;
}

static bool is_natural(uint32_t code)
{
    return code == KILN_CUMULATE_MAX_U || code == KILN_CUMULATE_MIN_U;
}

/* The number that a word is, and back. */
static double whole_of(uint32_t code, uint32_t word)
{
    return is_natural(code) ? (double)word : (double)(int32_t)word;
}

static uint32_t word_of(double whole)
{
    return (uint32_t)(int64_t)whole;
}

/* An extreme of nothing stands at the first element. */
static struct state nothing(uint32_t code, uint32_t first)
{
    static const double values[] = {
        [KILN_CUMULATE_PROD_F] = 1, [KILN_CUMULATE_MAX_F] = -INFINITY,  [KILN_CUMULATE_MIN_F] = INFINITY,
        [KILN_CUMULATE_PROD_I] = 1, [KILN_CUMULATE_MAX_I] = INT32_MIN,  [KILN_CUMULATE_MIN_I] = INT32_MAX,
        [KILN_CUMULATE_MAX_U] = 0,  [KILN_CUMULATE_MIN_U] = UINT32_MAX,
    };
    return (struct state){.value = values[code], .factor = 1, .index = first};
}

static double wrapped(double whole)
{
    return (int32_t)(uint32_t)(int64_t)whole;
}

static bool wins(double earlier, double later, bool largest)
{
    if (isnan(earlier) || isnan(later))
        return !isnan(earlier);
    return largest ? later > earlier : later < earlier;
}

static struct state combine(uint32_t code, struct state s, struct state t)
{
    switch (code) {
    case KILN_CUMULATE_SUM_F:
        return (struct state){.value = s.value + t.value};
    case KILN_CUMULATE_PROD_F:
        return (struct state){.value = s.value * t.value};
    case KILN_CUMULATE_LINEAR_F:
        return (struct state){.value = t.factor * s.value + t.value, .factor = s.factor * t.factor};
    case KILN_CUMULATE_SUM_I:
        return (struct state){.value = wrapped(s.value + t.value)};
    case KILN_CUMULATE_PROD_I:
        return (struct state){.value = (int32_t)((uint32_t)(int32_t)s.value * (uint32_t)(int32_t)t.value)};
    case KILN_CUMULATE_MAX_F:
    case KILN_CUMULATE_MAX_I:
    case KILN_CUMULATE_MAX_U:
        return wins(s.value, t.value, true) ? t : s;
    default:
        return wins(s.value, t.value, false) ? t : s;
    }
}

/* What stands at place i of an array of values, and of one of second numbers, which may be NULL. */
static struct state load(uint32_t code, const void *values, const void *seconds, size_t i)
{
    struct state s = {.value = is_real(code) ? (double)((const real *)values)[i]
                                             : whole_of(code, ((const uint32_t *)values)[i])};
    if (seconds && code == KILN_CUMULATE_LINEAR_F)
        s.factor = ((const real *)seconds)[i];
    else if (seconds)
        s.index = ((const uint32_t *)seconds)[i];
    return s;
}

static void store(uint32_t code, struct state s, void *values, void *seconds, size_t i)
{
    if (is_real(code))
        ((real *)values)[i] = (real)s.value;
    else
        ((uint32_t *)values)[i] = word_of(s.value);
    if (seconds && code == KILN_CUMULATE_LINEAR_F)
        ((real *)seconds)[i] = (real)s.factor;
    else if (seconds)
        ((uint32_t *)seconds)[i] = s.index;
}

/* Element t of a row, in the order of the cumulation. */
static size_t at(const struct kiln_params_cumulate *p, uint32_t how, size_t row, size_t t)
{
    const size_t c = how & KILN_CUMULATE_REVERSE ? p->cols - 1 - t : t;
    return row / p->step * p->cols * p->step + row % p->step + c * p->step;
}

static struct state state_at(const struct kiln_params_cumulate *p, const uint32_t *constants,
                             const kiln_memory *m, size_t row, size_t t)
{
    const uint32_t code = constants[0], how = p->how;
    const size_t i = at(p, how, row, t);
    if (how & KILN_CUMULATE_STATES)
        return load(code, m->at[0], m->at[1], i);
    struct state s = load(code, m->at[0], NULL, i);
    s.index = (uint32_t)(how & KILN_CUMULATE_REVERSE ? p->cols - 1 - t : t);
    if (code == KILN_CUMULATE_LINEAR_F && t > 0)
        s.factor = ((const real *)m->at[1])[how & KILN_CUMULATE_LAGGED ? at(p, how, row, t - 1) : i];
    return s;
}

void KILN_REFERENCE(cumulate)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct kiln_params_cumulate *p = block;
    const uint32_t code = constants[0], how = p->how;

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / p->parts, begin = unit % p->parts * p->part;
        const size_t end = begin + p->part < p->cols ? begin + p->part : p->cols;
        struct state s = p->started ? load(code, m->at[2], m->at[3], unit)
                                    : nothing(code, how & KILN_CUMULATE_REVERSE ? p->cols - 1 : 0);
        for (size_t t = begin; t < end; t++) {
            const struct state next = combine(code, s, state_at(p, constants, m, row, t));
            if (!(how & KILN_CUMULATE_TOTALS))
                store(code, how & KILN_CUMULATE_EXCLUSIVE ? s : next, m->at[4], m->at[5], at(p, how, row, t));
            s = next;
        }
        if (how & KILN_CUMULATE_TOTALS)
            store(code, s, m->at[4], m->at[5], unit);
    }
}
