/* bytes_finish.c - see bytes_finish.h. No product is contracted with a sum here: chains by themselves round both. */
#include "cpu/bytes_finish.h"

#include <math.h>
#include <string.h>

#include "cpu/byte_rows.h"
#include "cpu/simd.h"

#if defined(__x86_64__)
#include "cpu/byte_vectors.h"
#endif

/* Reading the steps --------------------------------------------------------------------------------------- */

struct reading {
    const uint32_t *step, *immediate;
    int steps, at;
    uint32_t value; /* the register that is being worked on */
};

/* Whether the next step is this one, on the value and another register; it is then behind us. */
static bool takes(struct reading *r, uint32_t code, bool either_way, struct kiln_finish_number *other)
{
    const uint32_t word = r->at < r->steps ? r->step[r->at] : 0, a = word >> 8 & 255, b = word >> 16 & 255;
    const bool turned = either_way && a != r->value && b == r->value;
    const uint32_t from = turned ? a : b;
    if (r->at >= r->steps || (word & 255) != code || (a != r->value && !turned) || from == 0 ||
        (from > KILN_FINISH_OPERANDS && from < KILN_REGISTER_IMMEDIATE))
        return false;
    if (from >= KILN_REGISTER_IMMEDIATE)
        other->word = r->immediate[from - KILN_REGISTER_IMMEDIATE];
    else
        other->operand = (int)from - 1;
    r->value = KILN_REGISTER_STEP + (uint32_t)r->at++;
    return true;
}

static bool takes_one(struct reading *r, uint32_t code)
{
    const uint32_t word = r->at < r->steps ? r->step[r->at] : 0;
    if (r->at >= r->steps || (word & 255) != code || (word >> 8 & 255) != r->value)
        return false;
    r->value = KILN_REGISTER_STEP + (uint32_t)r->at++;
    return true;
}

/* Reals within bounds that are whole numbers are clipped alike before they become integers and behind that. */
static bool takes_saturation(struct reading *r, struct kiln_bytes_finish *f)
{
    if (!takes_one(r, KILN_STEP_I_FROM_F))
        return false;
    const uint32_t word = r->at < r->steps ? r->step[r->at] : 0, low = word >> 16 & 255, high = word >> 24;
    if (!takes_one(r, KILN_STEP_CLIP_I) || low < KILN_REGISTER_IMMEDIATE || high < KILN_REGISTER_IMMEDIATE)
        return false;
    const int32_t least = (int32_t)r->immediate[low - KILN_REGISTER_IMMEDIATE],
                  most = (int32_t)r->immediate[high - KILN_REGISTER_IMMEDIATE];
    f->rounding.low = (float)least;
    f->rounding.high = (float)most;
    return least >= -(1 << 23) && most <= 1 << 23; /* which floats hold */
}

static uint32_t word_of(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

/* Whether it is nothing but the usual chain; what it leaves out changes nothing. */
static bool find_usual(struct kiln_bytes_finish *f, const uint32_t *immediate)
{
    struct reading r = {.step = f->step, .steps = f->steps, .immediate = immediate};
    f->more = (struct kiln_finish_number){-1, 0};
    f->by = f->scale = (struct kiln_finish_number){-1, word_of(1)};
    f->plus = f->zero = (struct kiln_finish_number){-1, word_of(-0.0f)};
    takes(&r, KILN_STEP_ADD_I, true, &f->more);
    if (!takes_one(&r, KILN_STEP_F_FROM_I))
        return false;
    takes(&r, KILN_STEP_MUL_F, true, &f->by);
    takes(&r, KILN_STEP_ADD_F, true, &f->plus);
    f->rounding.least = takes_one(&r, KILN_STEP_RELU_F) ? 0 : -INFINITY;
    f->rounds = takes(&r, KILN_STEP_ROUNDED_F, false, &f->scale);
    if (f->rounds) {
        takes(&r, KILN_STEP_ADD_F, true, &f->zero);
        if (!takes_saturation(&r, f))
            return false;
    }
    return r.at == r.steps && f->result == r.value;
}

/* What divides or is added behind that must be one number. */
static bool set_number(const struct kiln_bytes_finish *f, const struct kiln_finish_number *number, float *to)
{
    const bool immediate = number->operand < 0;
    if (!immediate && f->walk[number->operand] != KILN_WALK_SCALAR)
        return false;
    memcpy(to, immediate ? &number->word : f->operand[number->operand], sizeof *to);
    return true;
}

static bool saturates_columns(void);

void kiln_bytes_finish_init(struct kiln_bytes_finish *f, const kiln_dispatch *d, const kiln_memory *m,
                            bool channels)
{
    const uint32_t *constants = d->constants;
    const uint32_t head = constants[KILN_FINISH_HEAD], *immediate = constants + KILN_FINISH_IMMEDIATES;
    f->step = constants + KILN_FINISH_STEPS;
    f->steps = (int)(head >> 8 & 255);
    f->result = head >> 16 & 255;
    f->channels = channels;
    f->bytes = d->bytes >> 4 & 1;
    for (int i = 0; i < KILN_FINISH_OPERANDS; i++) {
        f->walk[i] = constants[KILN_FINISH_KINDS] >> 4 * i & 15;
        f->operand[i] = i + 1 < (int)(head & 255) ? m->at[5 + i] : NULL;
    }
    f->usual = f->steps && find_usual(f, immediate) && set_number(f, &f->scale, &f->rounding.scale) &&
               set_number(f, &f->zero, &f->rounding.zero);
    f->saturates = f->usual && f->rounds && f->bytes && (channels || saturates_columns()) &&
                   f->walk[0] != KILN_WALK_FLAT && f->walk[1] != KILN_WALK_FLAT;
    if (f->usual || !f->steps)
        return;
    for (int i = 0; i < KILN_CHAIN_REGISTERS; i++)
        f->registers[i] = (float *)(void *)f->room[i];
    for (int i = 0; i < KILN_CHAIN_IMMEDIATES; i++)
        for (int j = 0; j < KILN_FINISH_MOST; j++)
            f->room[KILN_REGISTER_IMMEDIATE + i][j] = immediate[i];
}

/* Running them -------------------------------------------------------------------------------------------- */

/* Operand i for the results from `flat` on; *one: it is the same for all of them. */
static const uint32_t *operand_at(const struct kiln_bytes_finish *f, int i, size_t flat, size_t column,
                                  bool *one)
{
    *one = f->walk[i] == KILN_WALK_SCALAR || (f->walk[i] == KILN_WALK_COLUMN && f->channels);
    return f->operand[i] + (f->walk[i] == KILN_WALK_FLAT     ? flat
                            : f->walk[i] == KILN_WALK_SCALAR ? 0
                                                             : column);
}

static void run_chain(struct kiln_bytes_finish *f, int32_t *to, const int32_t *sums, size_t flat,
                      size_t column, size_t count)
{
    f->registers[0] = (float *)(void *)(uintptr_t)sums; /* which is only read */
    for (int i = 0; i < KILN_FINISH_OPERANDS; i++) {
        bool one = false;
        const uint32_t *from = f->operand[i] ? operand_at(f, i, flat, column, &one) : NULL;
        for (size_t j = 0; j < count && from; j++)
            f->room[1 + i][j] = from[one ? 0 : j];
    }
    kiln_chain_run_f32(f->step, f->steps, f->registers, (int)count);
    memcpy(to, f->registers[f->result], count * sizeof *to);
}

/* What differs from row to row: one for all of it, or one for each result. */
struct numbers {
    const int32_t *more;
    const float *by, *plus;
};

/* The usual chain's real result, and the integer that it becomes. */
KILN_INLINE float scaled(struct kiln_finish_rounding r, int32_t sum, int32_t more, float by, float plus)
{
    float x = (float)(int32_t)((uint32_t)sum + (uint32_t)more) * by;
    x += plus;
    return x <= r.least ? r.least : x; /* NaN passes */
}

KILN_INLINE int32_t rounded(struct kiln_finish_rounding r, float x)
{
    const float y = nearbyintf(x / r.scale) + r.zero;
    const float above = y > r.low ? y : r.low, inside = above < r.high ? above : r.high;
    return y == y ? (int32_t)inside : 0;
}

KILN_INLINE void scale_body(int32_t *restrict to, const int32_t *restrict sums,
                            const struct kiln_bytes_finish *f, const struct numbers *n, bool wide,
                            bool rounds, size_t count)
{
    const int32_t *restrict more = n->more;
    const float *restrict by = n->by, *restrict plus = n->plus;
    const struct kiln_finish_rounding r = f->rounding;
    for (size_t j = 0; j < count; j++) {
        const float x = scaled(r, sums[j], more[wide ? j : 0], by[wide ? j : 0], plus[wide ? j : 0]);
        if (rounds)
            to[j] = rounded(r, x);
        else
            memcpy(&to[j], &x, sizeof x);
    }
}

KILN_INLINE void scale_all_body(int32_t *to, const int32_t *sums, const struct kiln_bytes_finish *f,
                                const struct numbers *n, bool wide, size_t count)
{
    if (f->rounds && wide)
        scale_body(to, sums, f, n, true, true, count);
    else if (f->rounds)
        scale_body(to, sums, f, n, false, true, count);
    else if (wide)
        scale_body(to, sums, f, n, true, false, count);
    else
        scale_body(to, sums, f, n, false, false, count);
}

static void scale_all(int32_t *to, const int32_t *sums, const struct kiln_bytes_finish *f,
                      const struct numbers *n, bool wide, size_t count);
KILN_WIDE_CLONES(scale_all,
                 (int32_t * to, const int32_t *sums, const struct kiln_bytes_finish *f,
                  const struct numbers *n, bool wide, size_t count),
                 (to, sums, f, n, wide, count))

/* Where a number of the row lies; *one: it is the same for all. */
static const void *number_at(const struct kiln_bytes_finish *f, const struct kiln_finish_number *number,
                             size_t flat, size_t column, bool *one)
{
    *one = true;
    return number->operand < 0 ? &number->word : operand_at(f, number->operand, flat, column, one);
}

/* One for all, repeated. */
static const void *widened(const void *at, bool one, uint32_t *room, size_t count)
{
    uint32_t word;
    if (!one)
        return at;
    memcpy(&word, at, sizeof word);
    for (size_t j = 0; j < count; j++)
        room[j] = word;
    return room;
}

/* Those of results side by side; returns whether each has its own, as `wide` wants in any case. */
static bool numbers_at(struct kiln_bytes_finish *f, size_t flat, size_t column, size_t count, bool wide,
                       struct numbers *n)
{
    bool ones[3];
    const void *at[3] = {number_at(f, &f->more, flat, column, &ones[0]),
                         number_at(f, &f->by, flat, column, &ones[1]),
                         number_at(f, &f->plus, flat, column, &ones[2])};
    wide |= !ones[0] || !ones[1] || !ones[2];
    for (int i = 0; i < 3 && wide; i++)
        at[i] = widened(at[i], ones[i], f->room[i], count);
    *n = (struct numbers){.more = at[0], .by = at[1], .plus = at[2]};
    return wide;
}

static void run_usual(struct kiln_bytes_finish *f, int32_t *to, const int32_t *sums, size_t flat,
                      size_t column, size_t count)
{
    struct numbers n;
    const bool wide = numbers_at(f, flat, column, count, false, &n);
    scale_all(to, sums, f, &n, wide, count);
}

enum { SOME = 16 }; /* results of a vector */

KILN_INLINE void saturate_some(uint8_t *restrict to, const int32_t *restrict sums,
                               struct kiln_finish_rounding r, int32_t more, float by, float plus, int count)
{
    int32_t some[SOME];
    for (int i = 0; i < count; i++)
        some[i] = rounded(r, scaled(r, sums[i], more, by, plus));
    for (int i = 0; i < count; i++)
        to[i] = (uint8_t)some[i];
}

/* Rows as bytes, by vectors of which the last two may overlap. */
KILN_INLINE void saturate_rows_body(uint8_t *to, size_t y_row, const int32_t *sums,
                                    struct kiln_finish_rounding r, const struct numbers *n,
                                    const size_t *step, size_t rows, size_t count)
{
    for (size_t i = 0; i < rows; i++, to += y_row, sums += KILN_FINISH_MOST) {
        const int32_t more = n->more[i * step[0]];
        const float by = n->by[i * step[1]], plus = n->plus[i * step[2]];
        size_t j = 0;
        for (; j + SOME <= count; j += SOME)
            saturate_some(to + j, sums + j, r, more, by, plus, SOME);
        if (j < count && count >= SOME)
            saturate_some(to + count - SOME, sums + count - SOME, r, more, by, plus, SOME);
        else if (j < count)
            saturate_some(to, sums, r, more, by, plus, (int)count);
    }
}

static void saturate_rows(uint8_t *to, size_t y_row, const int32_t *sums, struct kiln_finish_rounding r,
                          const struct numbers *n, const size_t *step, size_t rows, size_t count);
KILN_WIDE_CLONES(saturate_rows,
                 (uint8_t * to, size_t y_row, const int32_t *sums, struct kiln_finish_rounding r,
                  const struct numbers *n, const size_t *step, size_t rows, size_t count),
                 (to, y_row, sums, r, n, step, rows, count))

/*
 * Rows as bytes by numbers that are the same in all of them, a vector's columns at a time. Left to the compiler, rows that are two
 * vectors long took three times as long.
 */
#if defined(__x86_64__)
KILN_TARGET_AVX512 static inline __attribute__((always_inline)) void saturate_vectors(
    uint8_t *to, size_t y_row, const int32_t *sums, const struct kiln_rounding_vectors *r, bool plain,
    const struct numbers *n, size_t rows, size_t count)
{
    for (size_t j = 0; j < count; j += SOME) {
        const __mmask16 mask = kiln_lanes(count - j);
        const __m512i more = _mm512_maskz_loadu_epi32(mask, n->more + j);
        const __m512 by = _mm512_maskz_loadu_ps(mask, n->by + j),
                     plus = _mm512_maskz_loadu_ps(mask, n->plus + j);
        for (size_t i = 0; i < rows; i++) {
            const __m512i sum = _mm512_loadu_si512(sums + i * KILN_FINISH_MOST + j); /* rows are whole */
            const __m512 real = _mm512_cvtepi32_ps(_mm512_add_epi32(sum, more));
            const __m512 x = _mm512_add_ps(_mm512_mul_ps(real, by), plus);
            kiln_store_lanes(to + i * y_row + j, mask, kiln_round_to_bytes(r, x, plain));
        }
    }
}

KILN_TARGET_AVX512 static void saturate_columns(uint8_t *to, size_t y_row, const int32_t *sums,
                                                struct kiln_finish_rounding f, const struct numbers *n,
                                                size_t rows, size_t count)
{
    const struct kiln_rounding_vectors r = kiln_rounding_of(f.scale, f.zero, f.low, f.high, f.least);
    if (r.plain)
        saturate_vectors(to, y_row, sums, &r, true, n, rows, count);
    else
        saturate_vectors(to, y_row, sums, &r, false, n, rows, count);
}

static bool saturates_columns(void)
{
    return kiln_has_avx512();
}
#else
static void saturate_columns(uint8_t *to, size_t y_row, const int32_t *sums, struct kiln_finish_rounding r,
                             const struct numbers *n, size_t rows, size_t count)
{
    (void)to, (void)y_row, (void)sums, (void)r, (void)n, (void)rows, (void)count; /* never called */
}

static bool saturates_columns(void)
{
    return false;
}
#endif

/* Where a number of the first row lies, and how far it is to that of the next. */
static const void *first_of(const struct kiln_bytes_finish *f, const struct kiln_finish_number *number,
                            size_t column, size_t *step)
{
    bool one;
    *step = number->operand >= 0 && f->walk[number->operand] == KILN_WALK_COLUMN;
    return number_at(f, number, 0, column, &one);
}

static void store_row(struct kiln_bytes_finish *f, void *y, const int32_t *sums, size_t flat, size_t column,
                      size_t count)
{
    int32_t row[KILN_FINISH_MOST];
    const int32_t *from = f->steps ? row : sums;
    if (f->usual)
        run_usual(f, row, sums, flat, column, count);
    else if (f->steps)
        run_chain(f, row, sums, flat, column, count);
    if (f->bytes)
        kiln_bytes_from_words((uint8_t *)y + flat, (const uint32_t *)from, count);
    else
        memcpy((int32_t *)y + flat, from, count * sizeof *from);
}

void kiln_bytes_finish_store(struct kiln_bytes_finish *f, void *y, size_t flat, size_t y_row,
                             const int32_t *sums, size_t rows, size_t column, size_t count)
{
    size_t step[3];
    if (f->saturates && !f->channels) {
        struct numbers n;
        numbers_at(f, 0, column, count, true, &n);
        saturate_columns((uint8_t *)y + flat, y_row, sums, f->rounding, &n, rows, count);
        return;
    }
    if (f->saturates) {
        const struct numbers n = {.more = first_of(f, &f->more, column, &step[0]),
                                  .by = first_of(f, &f->by, column, &step[1]),
                                  .plus = first_of(f, &f->plus, column, &step[2])};
        saturate_rows((uint8_t *)y + flat, y_row, sums, f->rounding, &n, step, rows, count);
        return;
    }
    for (size_t i = 0; i < rows; i++)
        store_row(f, y, sums + i * KILN_FINISH_MOST, flat + i * y_row, column + (f->channels ? i : 0), count);
}
