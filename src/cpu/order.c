/*
 * order.c - the meaning of order (units: parts of rows), order_keys, order_pick (elements) and of the passes of a radix sort
 * (parts of rows).
 *
 * order keeps a heap of the first `keep` elements so far, in the memory of the results; the last of them is on top.
 */
#include <math.h>

#include "cpu/reference.h"
#include "order/keys.h"
#include "order/order.h"
#include "order/pick.h"
#include "order/radix.h"

static size_t start_of(size_t row, size_t cols, size_t step)
{
    return row / step * cols * step + row % step;
}

/* order -------------------------------------------------------------------------------------------------- */

/* One row of x, and the results of one part of it: places that lie step apart, or pairs. */
struct part {
    const void *x;
    const uint32_t *given;
    uint32_t *place; /* of result 0 */
    uint32_t code;
    bool descending, pairs;
    size_t step, place_step;
};

/* Whether word a of the code comes before word b. NaN is larger than anything. */
static bool is_before(const struct part *p, size_t a, size_t b)
{
    const size_t i = a * p->step, j = b * p->step;
    if (p->code == KILN_KEY_F) {
        const real x = ((const real *)p->x)[i], y = ((const real *)p->x)[j];
        return p->descending ? y < x || (isnan(x) && !isnan(y)) : x < y || (isnan(y) && !isnan(x));
    }
    const uint32_t flip = p->code == KILN_KEY_I ? UINT32_C(1) << 31 : 0;
    const uint32_t x = ((const uint32_t *)p->x)[i] ^ flip, y = ((const uint32_t *)p->x)[j] ^ flip;
    return p->descending ? y < x : x < y;
}

/* Of two candidates. Equal ones keep their order. */
static bool comes_first(const struct part *p, uint32_t a, uint32_t b)
{
    if (p->given) {
        const uint32_t x = p->given[2 * (size_t)a], y = p->given[2 * (size_t)b];
        return x < y || (x == y && a < b);
    }
    return is_before(p, a, b) || (!is_before(p, b, a) && a < b);
}

/* Let the candidate sink from the top of a heap of `size`. */
static void sink(const struct part *p, size_t size, uint32_t candidate)
{
    size_t hole = 0;
    for (size_t child = 1; child < size; child = 2 * hole + 1) {
        if (child + 1 < size &&
            comes_first(p, p->place[child * p->place_step], p->place[(child + 1) * p->place_step]))
            child++;
        if (!comes_first(p, candidate, p->place[child * p->place_step]))
            break;
        p->place[hole * p->place_step] = p->place[child * p->place_step];
        hole = child;
    }
    p->place[hole * p->place_step] = candidate;
}

static void rise(const struct part *p, size_t hole, uint32_t candidate)
{
    while (hole && comes_first(p, p->place[(hole - 1) / 2 * p->place_step], candidate)) {
        p->place[hole * p->place_step] = p->place[(hole - 1) / 2 * p->place_step];
        hole = (hole - 1) / 2;
    }
    p->place[hole * p->place_step] = candidate;
}

static void find_first(const struct part *p, uint32_t first, uint32_t end, size_t keep)
{
    size_t size = 0;
    for (uint32_t c = first; c < end; c++) {
        if (size < keep)
            rise(p, size++, c);
        else if (comes_first(p, c, p->place[0]))
            sink(p, size, c);
    }
    while (size-- > 1) {
        const uint32_t last = p->place[0], sinking = p->place[size * p->place_step];
        sink(p, size, sinking);
        p->place[size * p->place_step] = last;
    }
}

/* The key of a word as pairs hold it; never asked of doubles. */
static uint32_t key_of(uint32_t code, bool descending, uint32_t bits)
{
    const uint32_t magnitude = bits & 0x7fffffff;
    uint32_t key = code == KILN_KEY_I ? bits ^ UINT32_C(1) << 31 : bits;
    if (code == KILN_KEY_F)
        key = magnitude > 0x7f800000 ? UINT32_MAX
              : magnitude == 0       ? UINT32_C(1) << 31
              : bits >> 31           ? ~bits
                                     : bits | UINT32_C(1) << 31;
    return descending ? ~key : key;
}

/* Candidates become positions in the row of x, with their values, or pairs. */
static void store(const struct part *p, const kiln_memory *m, size_t to, size_t count)
{
    const bool real_values = p->code == KILN_KEY_F;
    for (size_t i = 0; i < count; i++) {
        uint32_t *place = p->place + i * p->place_step;
        const uint32_t c = *place, position = p->given ? p->given[2 * (size_t)c + 1] : c;
        const size_t from = position * p->step;
        *place = position;
        if (p->pairs)
            place[-1] = p->given ? p->given[2 * (size_t)c]
                                 : key_of(p->code, p->descending, ((const uint32_t *)p->x)[from]);
        else if (real_values)
            ((real *)m->at[2])[to + i * p->place_step] = ((const real *)p->x)[from];
        else
            ((uint32_t *)m->at[2])[to + i * p->place_step] = ((const uint32_t *)p->x)[from];
    }
}

void KILN_REFERENCE(order)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                           size_t count)
{
    const struct kiln_params_order *p = block;
    const bool pairs = p->mode & KILN_ORDER_PAIRS;
    const size_t element = constants[0] == KILN_KEY_F ? sizeof(real) : sizeof(uint32_t);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / p->parts, q = unit % p->parts;
        const size_t to =
            pairs ? row * p->kept + q * p->keep : start_of(row, p->kept, p->step) + q * p->keep * p->step;
        const uint32_t begin = (uint32_t)q * p->part, left = p->cols - begin;
        const uint32_t size = left < p->part ? left : p->part;
        const struct part part = {
            .x = m->at[0] ? (const char *)m->at[0] + start_of(row, p->x_cols, p->step) * element : NULL,
            .given = p->mode & KILN_ORDER_GIVEN ? (const uint32_t *)m->at[1] + 2 * row * p->cols : NULL,
            .code = constants[0],
            .descending = p->descending,
            .pairs = pairs,
            .place = pairs ? (uint32_t *)m->at[4] + 2 * to + 1 : (uint32_t *)m->at[3] + to,
            .step = p->step,
            .place_step = pairs ? 2 : p->step,
        };
        find_first(&part, begin, begin + size, p->keep);
        store(&part, m, to, size < p->keep ? size : p->keep);
    }
}

/* Pairs -------------------------------------------------------------------------------------------------- */

static uint32_t key_of_index(int32_t index, uint32_t range)
{
    const int64_t at = index < 0 ? (int64_t)index + range : index;
    return (uint32_t)index == KILN_INDEX_NOWHERE ? range
           : at < 0                              ? 0
           : at >= range                         ? range - 1
                                                 : (uint32_t)at;
}

void KILN_REFERENCE(order_keys)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    const struct kiln_params_order_keys *p = block;
    const uint32_t *x = m->at[0];
    uint32_t *pairs = m->at[1];

    for (size_t e = first; e < first + count; e++) {
        const size_t position = e % p->cols;
        const uint32_t bits = x[start_of(e / p->cols, p->cols, p->step) + position * p->step];
        pairs[2 * e] = constants[0] == KILN_KEY_INDEX ? key_of_index((int32_t)bits, p->range)
                                                      : key_of(constants[0], p->descending, bits);
        pairs[2 * e + 1] = (uint32_t)position;
    }
}

void KILN_REFERENCE(order_pick)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_order_pick *p = block;
    const uint32_t *x = m->at[0], *pairs = m->at[1];
    uint32_t *values = m->at[2], *positions = m->at[3];

    for (size_t e = first; e < first + count; e++) {
        const size_t row = e / p->keep, place = e % p->keep;
        const uint32_t position = pairs[2 * (row * p->cols + place) + 1];
        const size_t to = start_of(row, p->keep, p->step) + place * p->step;
        values[to] = x[start_of(row, p->x_cols, p->step) + (size_t)position * p->step];
        positions[to] = position;
    }
}

/* Radix passes ------------------------------------------------------------------------------------------- */

/* The pairs of a part. */
struct range {
    size_t row, part, begin, end;
};

static struct range range_of(const struct kiln_params_radix *p, size_t unit)
{
    const size_t row = unit / p->parts, part = unit % p->parts, begin = part * p->part;
    const size_t end = begin + p->part < p->cols ? begin + p->part : p->cols;
    return (struct range){row, part, row * p->cols + begin, row * p->cols + end};
}

static uint32_t digit_of(const struct kiln_params_radix *p, uint32_t key)
{
    return key >> p->shift & ((UINT32_C(1) << p->bits) - 1);
}

void KILN_REFERENCE(radix_count)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_radix *p = block;
    const uint32_t *x = m->at[0];
    uint32_t *counts = m->at[1];

    for (size_t unit = first; unit < first + count; unit++) {
        const struct range r = range_of(p, unit);
        for (size_t digit = 0; digit >> p->bits == 0; digit++) {
            uint32_t *n = &counts[(r.row << p->bits | digit) * p->parts + r.part];
            *n = 0;
            for (size_t e = r.begin; e < r.end; e++)
                *n += digit_of(p, x[2 * e]) == digit;
        }
    }
}

void KILN_REFERENCE(radix_move)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_radix *p = block;
    const uint32_t *x = m->at[0], *starts = m->at[1];
    uint32_t *y = m->at[2];

    for (size_t unit = first; unit < first + count; unit++) {
        const struct range r = range_of(p, unit);
        for (size_t digit = 0; digit >> p->bits == 0; digit++) {
            size_t to = r.row * p->cols + starts[(r.row << p->bits | digit) * p->parts + r.part];
            for (size_t e = r.begin; e < r.end; e++)
                if (digit_of(p, x[2 * e]) == digit) {
                    y[2 * to] = x[2 * e];
                    y[2 * to++ + 1] = x[2 * e + 1];
                }
        }
    }
}
