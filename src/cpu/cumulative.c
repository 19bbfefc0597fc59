/* cumulative.c - the meaning of cumulate, an element after the other. Units are parts of rows. */
#include "cumulative/cumulate.h"

#include <math.h>
#include <string.h>

#include "cpu/reference.h"

/* Two words of memory, or a double and a word where the value is real and in double. */
struct state {
    double value, term; /* of LINEAR the factor and the term */
    uint32_t index;
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
        [KILN_CUMULATE_PROD_F] = 1,         [KILN_CUMULATE_MAX_F] = -INFINITY,
        [KILN_CUMULATE_MIN_F] = INFINITY,   [KILN_CUMULATE_LINEAR_F] = 1,
        [KILN_CUMULATE_PROD_I] = 1,         [KILN_CUMULATE_MAX_I] = INT32_MIN,
        [KILN_CUMULATE_MIN_I] = INT32_MAX,  [KILN_CUMULATE_MAX_U] = 0,
        [KILN_CUMULATE_MIN_U] = UINT32_MAX,
    };
    return (struct state){.value = values[code], .index = first};
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
        return (struct state){.value = s.value * t.value, .term = t.value * s.term + t.term};
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

/* States as they lie in memory: two words, a float or an integer and what belongs to it. */
static struct state load_state(uint32_t code, const uint32_t *words)
{
    float value, term;
    memcpy(&value, &words[0], sizeof value);
    memcpy(&term, &words[1], sizeof term);
    return (struct state){.value = is_real(code) ? (double)value : whole_of(code, words[0]),
                          .term = (double)term,
                          .index = words[1]};
}

static void store_state(uint32_t code, struct state s, uint32_t *words)
{
    const float value = (float)s.value, term = (float)s.term;
    words[0] = word_of(s.value);
    words[1] = s.index;
    if (is_real(code))
        memcpy(&words[0], &value, sizeof value);
    if (code == KILN_CUMULATE_LINEAR_F)
        memcpy(&words[1], &term, sizeof term);
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
    const uint32_t code = constants[0], how = constants[1];
    const size_t i = at(p, how, row, t);
    if (how & KILN_CUMULATE_STATES)
        return load_state(code, (const uint32_t *)m->at[0] + 2 * i);
    const double value =
        is_real(code) ? (double)((const real *)m->at[0])[i] : whole_of(code, ((const uint32_t *)m->at[0])[i]);
    if (code != KILN_CUMULATE_LINEAR_F)
        return (struct state){.value = value,
                              .index = (uint32_t)(how & KILN_CUMULATE_REVERSE ? p->cols - 1 - t : t)};
    if (t == 0)
        return (struct state){.term = value};
    const size_t from = how & KILN_CUMULATE_LAGGED ? at(p, how, row, t - 1) : i;
    return (struct state){.value = ((const real *)m->at[1])[from], .term = value};
}

static void put(const struct kiln_params_cumulate *p, const uint32_t *constants, const kiln_memory *m,
                size_t row, size_t t, struct state s)
{
    const size_t i = at(p, constants[1], row, t);
    if (constants[1] & KILN_CUMULATE_STATES) {
        store_state(constants[0], s, (uint32_t *)m->at[3] + 2 * i);
        return;
    }
    if (is_real(constants[0]))
        ((real *)m->at[3])[i] = (real)(constants[0] == KILN_CUMULATE_LINEAR_F ? s.term : s.value);
    else
        ((uint32_t *)m->at[3])[i] = word_of(s.value);
    if (constants[3])
        ((uint32_t *)m->at[4])[i] = s.index;
}

void KILN_REFERENCE(cumulate)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct kiln_params_cumulate *p = block;
    const uint32_t code = constants[0], how = constants[1];

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / p->parts, begin = unit % p->parts * p->part;
        const size_t end = begin + p->part < p->cols ? begin + p->part : p->cols;
        struct state s = constants[2] ? load_state(code, (const uint32_t *)m->at[2] + 2 * unit)
                                      : nothing(code, how & KILN_CUMULATE_REVERSE ? p->cols - 1 : 0);
        for (size_t t = begin; t < end; t++) {
            const struct state next = combine(code, s, state_at(p, constants, m, row, t));
            if (!(how & KILN_CUMULATE_TOTALS))
                put(p, constants, m, row, t, how & KILN_CUMULATE_EXCLUSIVE ? s : next);
            s = next;
        }
        if (how & KILN_CUMULATE_TOTALS)
            store_state(code, s, (uint32_t *)m->at[3] + 2 * unit);
    }
}
