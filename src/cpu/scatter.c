/*
 * scatter.c - the meaning of scatter, an update after the other, and of the kernels that do the same from sorted lists
 * (shaders/scatter/scatter.h).
 */
#include "scatter/scatter.h"

#include <math.h>
#include <string.h>

#include "cpu/reference.h"
#include "order/codes.h"

/* The row that an index means among those that are bound; -1: another, or none. */
static int64_t row_of(const struct kiln_params_scatter *p, int32_t index)
{
    const int64_t given = index < 0 ? (int64_t)index + p->rows : index;
    const int64_t at = given < 0 ? 0 : given >= p->rows ? (int64_t)p->rows - 1 : given, row = at - p->first;
    return (uint32_t)index == KILN_INDEX_NOWHERE || row < 0 || row >= p->shown ? -1 : row;
}

/* Where the index of u[o, j, i] stands. */
static size_t index_of(const struct kiln_params_scatter *p, size_t o, size_t j, size_t i)
{
    return p->full ? (o * p->count + j) * p->inner + i : o / p->share * p->count + j;
}

/* The list that [o, ., i] belongs to. */
static size_t list_of(const struct kiln_params_scatter *p, size_t o, size_t i)
{
    return p->full ? o * p->inner + i : o / p->share;
}

static double extreme(double a, double b, bool largest)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? a : b;
    return (largest ? b > a : b < a) ? b : a;
}

static bool is_real(uint32_t code)
{
    return code >= KILN_MEET_ADD_F && code <= KILN_MEET_MAX_F;
}

static double meet_reals(uint32_t code, double a, double b)
{
    switch (code) {
    case KILN_MEET_ADD_F:
        return a + b;
    case KILN_MEET_MUL_F:
        return a * b;
    default:
        return extreme(a, b, code == KILN_MEET_MAX_F);
    }
}

static void combine_integers(uint32_t code, int32_t *a, int32_t b)
{
    switch (code) {
    case KILN_MEET_ADD_I:
        *a = (int32_t)((uint32_t)*a + (uint32_t)b);
        break;
    case KILN_MEET_MUL_I:
        *a = (int32_t)((uint32_t)*a * (uint32_t)b);
        break;
    case KILN_MEET_MIN_U:
        *a = (uint32_t)b < (uint32_t)*a ? b : *a;
        break;
    case KILN_MEET_MAX_U:
        *a = (uint32_t)b > (uint32_t)*a ? b : *a;
        break;
    default:
        *a = (code == KILN_MEET_MAX_I ? b > *a : b < *a) ? b : *a;
    }
}

/* A place of y that is being met: what one place gets in a row is in double until another's turn comes. */
struct held {
    void *y;
    size_t place;
    double value;
    bool any;
};

static void release(struct held *h)
{
    if (h->any)
        ((real *)h->y)[h->place] = (real)h->value;
    h->any = false;
}

/* Element `from` of u meets element `to` of y; elements of SET are of `element` bytes. */
static void combine(uint32_t code, size_t element, struct held *h, size_t to, const void *u, size_t from)
{
    if (code == KILN_MEET_SET) {
        memcpy((char *)h->y + to * element, (const char *)u + from * element, element);
    } else if (!is_real(code)) {
        combine_integers(code, (int32_t *)h->y + to, ((const int32_t *)u)[from]);
    } else {
        if (!h->any || h->place != to) {
            release(h);
            *h = (struct held){h->y, to, ((const real *)h->y)[to], true};
        }
        h->value = meet_reals(code, h->value, ((const real *)u)[from]);
    }
}

/* Bytes of an element: constant 1 says how many words of those that SET only moves. */
static size_t element_of(const uint32_t *constants)
{
    return is_real(constants[0]) ? sizeof(real) : 4 * (size_t)constants[1];
}

static void begin(const struct kiln_params_scatter *p, const uint32_t *constants, const kiln_memory *m,
                  size_t first, size_t count)
{
    const size_t element = element_of(constants);
    const char *base = m->at[0];
    char *y = m->at[3];
    if (!p->based)
        memset(y + first * element, 0, count * element);
    else if (base != y)
        memcpy(y + first * element, base + first * element, count * element);
}

void KILN_REFERENCE(scatter)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    const struct kiln_params_scatter *p = block;
    const size_t slab = (size_t)p->shown * p->inner;
    const int32_t *index = m->at[1];
    struct held held = {.y = m->at[3]};

    for (size_t o = first; o < first + count; o++) {
        begin(p, constants, m, o * slab, slab);
        for (size_t i = 0; i < p->inner; i++)
            for (size_t j = 0; j < p->count; j++) {
                const int64_t row = row_of(p, index[index_of(p, o, j, i)]);
                if (row >= 0)
                    combine(constants[0], element_of(constants), &held, o * slab + (size_t)row * p->inner + i,
                            m->at[2], (o * p->count + j) * p->inner + i);
            }
        release(&held);
    }
}

void KILN_REFERENCE(scatter_distinct)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                      size_t first, size_t count)
{
    const struct kiln_params_scatter *p = block;
    const int32_t *index = m->at[0];
    struct held held = {.y = m->at[2]};

    for (size_t line = first; line < first + count; line++) {
        const size_t o = line / p->count, j = line % p->count;
        for (size_t i = 0; i < p->inner; i++) {
            const int64_t row = row_of(p, index[index_of(p, o, j, i)]);
            if (row >= 0)
                combine(constants[0], element_of(constants), &held,
                        (o * p->shown + (size_t)row) * p->inner + i, m->at[1], line * p->inner + i);
        }
    }
    release(&held);
}

void KILN_REFERENCE(scatter_parts)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    const struct kiln_params_scatter *p = block;
    const size_t parts = p->count / KILN_SCATTER_PART, element = element_of(constants);
    struct held held = {.y = m->at[2]};

    for (size_t line = first; line < first + count; line++)
        for (size_t i = 0; i < p->inner; i++) {
            const size_t o = line / parts, q = line % parts;
            const uint32_t *pairs =
                (const uint32_t *)m->at[0] + 2 * (list_of(p, o, i) * p->count + q * KILN_SCATTER_PART);
            if (pairs[0] != pairs[2 * (KILN_SCATTER_PART - 1)])
                continue;
            for (size_t s = 0; s < KILN_SCATTER_PART; s++)
                combine(s ? constants[0] : KILN_MEET_SET, element, &held, line * p->inner + i, m->at[1],
                        (o * p->count + pairs[2 * s + 1]) * p->inner + i);
            release(&held);
        }
}

/* In the order of the pairs; of those of one row that is the order of the list. */
void KILN_REFERENCE(scatter_runs)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_scatter *p = block;
    struct held held = {.y = m->at[3]};
    for (size_t o = first; o < first + count; o++)
        for (size_t i = 0; i < p->inner; i++)
            for (size_t s = 0; s < p->count; s++) {
                const uint32_t *pair = (const uint32_t *)m->at[0] + 2 * (list_of(p, o, i) * p->count + s);
                const uint32_t row = pair[0] - p->first;
                if (row < p->shown)
                    combine(constants[0], element_of(constants), &held, (o * p->shown + row) * p->inner + i,
                            m->at[1], (o * p->count + pair[1]) * p->inner + i);
            }
    release(&held);
}
