/* attention_lines.c - see attention_lines.h. */
#include "cpu/attention_lines.h"

#include <math.h>
#include <string.h>

#include "cpu/functions.h"
#include "cpu/philox.h"

enum { LANES = KILN_MOST_LANES };

/* Bodies know how many lanes there are, so that what they keep of each stays in registers. */
#define BY_LANES(body, lanes, ...) \
    if ((lanes) == 32)             \
        body(32, __VA_ARGS__);     \
    else if ((lanes) == 16)        \
        body(16, __VA_ARGS__);     \
    else if ((lanes) == 8)         \
        body(8, __VA_ARGS__);      \
    else                           \
        body(lanes, __VA_ARGS__)

/* What is seen ------------------------------------------------------------------------------------------- */

static size_t last(size_t first, size_t count)
{
    return first + count - 1;
}

/* Whether the block's first query sees its last key as far as the diagonal goes, so that all do. */
static bool below_diagonal(const struct kiln_lines *b)
{
    const size_t key = b->lanes_are_keys ? last(b->own, b->lanes) : last(b->other, b->lines);
    const size_t query = b->lanes_are_keys ? b->other : b->own;
    return !(b->flags & KILN_ATTENTION_CAUSAL) || (int64_t)key <= (int64_t)query + b->head->offset;
}

static bool below_length(const struct kiln_lines *b)
{
    const size_t key = b->lanes_are_keys ? last(b->own, b->lanes) : last(b->other, b->lines);
    return (int64_t)key < b->head->length;
}

bool kiln_lines_are_special(const struct kiln_lines *b)
{
    return b->flags & (KILN_ATTENTION_CAPPED | KILN_ATTENTION_BIASED | KILN_ATTENTION_MASKED) ||
           !below_diagonal(b) || !below_length(b);
}

bool kiln_lines_are_unseen(const struct kiln_lines *b)
{
    const size_t key = b->lanes_are_keys ? b->own : b->other;
    const size_t query = b->lanes_are_keys ? last(b->other, b->lines) : last(b->own, b->lanes);
    return (int64_t)key >= b->head->length ||
           (b->flags & KILN_ATTENTION_CAUSAL && (int64_t)key > (int64_t)query + b->head->offset);
}

/* Masks -------------------------------------------------------------------------------------------------- */

KILN_INLINE void cap_scores_body(size_t count, float scale, float cap, float *score, float *rest)
{
    const float inverse = 1 / cap;
    for (size_t i = 0; i < count; i++) {
        const float t = fast_tanh(score[i] * scale * inverse);
        score[i] = cap * t;
        if (rest)
            rest[i] = 1 - t * t;
    }
}

static void cap_scores(size_t count, float scale, float cap, float *score, float *rest);
KILN_WIDE_CLONES(cap_scores, (size_t count, float scale, float cap, float *score, float *rest),
                 (count, scale, cap, score, rest))

static void clear(float *from, const float *to)
{
    while (from < to)
        *from++ = -INFINITY;
}

static size_t within(int64_t x, size_t most)
{
    return x < 0 ? 0 : x > (int64_t)most ? most : (size_t)x;
}

/* Lanes of a line that are beyond the keys' length or the diagonal. */
static void hide(const struct kiln_lines *b, size_t line, float *score)
{
    const size_t other = b->other + line, lanes = b->lanes;
    const int64_t length = b->head->length, offset = b->head->offset, own = (int64_t)b->own;
    size_t from = 0, to = lanes; /* those that are seen */
    if (b->lanes_are_keys)
        to = within(length - own, lanes);
    else if ((int64_t)other >= length)
        to = 0;
    if (b->flags & KILN_ATTENTION_CAUSAL && b->lanes_are_keys) {
        const size_t seen = within((int64_t)other + offset + 1 - own, lanes);
        to = seen < to ? seen : to;
    } else if (b->flags & KILN_ATTENTION_CAUSAL)
        from = within((int64_t)other - offset - own, lanes);
    clear(score, score + from);
    clear(score + to, score + lanes);
}

/* Lanes and lines beyond what there is must not read the mask. */
static void add_mask(const struct kiln_lines *b, size_t line, float *score)
{
    const struct kiln_params_attention *p = b->p;
    const size_t count = b->lanes_are_keys ? p->keys : p->queries, left = count - b->own;
    const size_t lanes = left < b->lanes ? left : b->lanes;
    const size_t step = b->lanes_are_keys ? p->mask_key : p->mask_row;
    const size_t at = b->lanes_are_keys ? kiln_head_mask(p, b->head, b->other + line, b->own)
                                        : kiln_head_mask(p, b->head, b->own, b->other + line);
    if (b->flags & KILN_ATTENTION_BIASED)
        for (size_t i = 0; i < lanes; i++)
            score[i] += b->bias[at + i * step];
    else
        for (size_t i = 0; i < lanes; i++)
            score[i] = b->mask[at + i * step] ? score[i] : -INFINITY;
}

void kiln_lines_mask(const struct kiln_lines *b, float *score, float *rest)
{
    const size_t count = b->lines * b->lanes;
    if (b->flags & KILN_ATTENTION_CAPPED)
        cap_scores(count, b->p->scale, b->p->cap, score, rest);
    else
        for (size_t i = 0; i < count; i++)
            score[i] *= b->p->scale;
    for (size_t line = 0; line < b->lines; line++) {
        if (b->flags & (KILN_ATTENTION_BIASED | KILN_ATTENTION_MASKED))
            add_mask(b, line, score + line * b->lanes);
        hide(b, line, score + line * b->lanes);
    }
}

/* Weights ------------------------------------------------------------------------------------------------ */

KILN_INLINE void raise_lanes(size_t lanes, size_t lines, float scale, float *restrict score,
                             float *restrict peak, float *restrict sum, float *restrict ratio)
{
    float top[LANES], also[LANES], base[LANES],
        part[LANES]; /* peaks of every other line: they wait for one another */
    size_t line = 0;
    for (size_t i = 0; i < lanes; i++)
        top[i] = also[i] = peak[i];
    for (; line + 2 <= lines; line += 2)
        for (size_t i = 0; i < lanes; i++) {
            top[i] = larger(top[i], score[line * lanes + i] * scale);
            also[i] = larger(also[i], score[(line + 1) * lanes + i] * scale);
        }
    for (; line < lines; line++)
        for (size_t i = 0; i < lanes; i++)
            top[i] = larger(top[i], score[line * lanes + i] * scale);
    for (size_t i = 0; i < lanes; i++)
        top[i] = larger(top[i], also[i]);
    for (size_t i = 0; i < lanes; i++) {
        const float fall = top[i] == -INFINITY ? 0 : peak[i] - top[i];
        ratio[i] = fast_exp_below(fall);
        base[i] = top[i] == -INFINITY ? INFINITY : top[i];
        peak[i] = top[i];
        part[i] = 0;
    }
    for (line = 0; line < lines; line++)
        for (size_t i = 0; i < lanes; i++) {
            const float w = fast_exp_below(score[line * lanes + i] * scale - base[i]);
            score[line * lanes + i] = w;
            part[i] += w;
        }
    for (size_t i = 0; i < lanes; i++)
        sum[i] = sum[i] * ratio[i] + part[i];
}

KILN_INLINE void kiln_lines_raise_body(size_t lanes, size_t lines, float scale, float *score, float *peak,
                                       float *sum, float *ratio)
{
    BY_LANES(raise_lanes, lanes, lines, scale, score, peak, sum, ratio);
}

KILN_WIDE_CLONES(kiln_lines_raise,
                 (size_t lanes, size_t lines, float scale, float *score, float *peak, float *sum,
                  float *ratio),
                 (lanes, lines, scale, score, peak, sum, ratio))

KILN_INLINE void probability_lanes(size_t lanes, size_t lines, bool by_line, float scale,
                                   float *restrict score, const float *restrict lse)
{
    for (size_t line = 0; line < lines; line++)
        if (by_line)
            for (size_t i = 0; i < lanes; i++)
                score[line * lanes + i] = fast_exp_below(score[line * lanes + i] * scale - lse[line]);
        else
            for (size_t i = 0; i < lanes; i++)
                score[line * lanes + i] = fast_exp_below(score[line * lanes + i] * scale - lse[i]);
}

KILN_INLINE void probability_body(size_t lanes, size_t lines, bool by_line, float scale, float *score,
                                  const float *lse)
{
    BY_LANES(probability_lanes, lanes, lines, by_line, scale, score, lse);
}

static void probability(size_t lanes, size_t lines, bool by_line, float scale, float *score,
                        const float *lse);
KILN_WIDE_CLONES(probability,
                 (size_t lanes, size_t lines, bool by_line, float scale, float *score, const float *lse),
                 (lanes, lines, by_line, scale, score, lse))

void kiln_lines_probability(const struct kiln_lines *b, float scale, float *score, const float *lse)
{
    probability(b->lanes, b->lines, b->lanes_are_keys, scale, score, lse);
}

KILN_INLINE void weigh_lanes(size_t lanes, size_t lines, bool by_line, float *restrict score,
                             const float *restrict pull, const float *restrict delta)
{
    for (size_t line = 0; line < lines; line++)
        if (by_line)
            for (size_t i = 0; i < lanes; i++)
                score[line * lanes + i] *= pull[line * lanes + i] - delta[line];
        else
            for (size_t i = 0; i < lanes; i++)
                score[line * lanes + i] *= pull[line * lanes + i] - delta[i];
}

KILN_INLINE void weigh_body(size_t lanes, size_t lines, bool by_line, float *score, const float *pull,
                            const float *delta)
{
    BY_LANES(weigh_lanes, lanes, lines, by_line, score, pull, delta);
}

static void weigh(size_t lanes, size_t lines, bool by_line, float *score, const float *pull,
                  const float *delta);
KILN_WIDE_CLONES(weigh,
                 (size_t lanes, size_t lines, bool by_line, float *score, const float *pull,
                  const float *delta),
                 (lanes, lines, by_line, score, pull, delta))

void kiln_lines_weigh(const struct kiln_lines *b, float *score, const float *pull, const float *rest,
                      const float *delta)
{
    weigh(b->lanes, b->lines, b->lanes_are_keys, score, pull, delta);
    for (size_t i = 0; i < b->lanes * b->lines && rest; i++)
        score[i] *= rest[i];
}

KILN_INLINE void kiln_lines_rescale_body(size_t lanes, size_t columns, float *value, const float *ratio)
{
    for (size_t c = 0; c < columns; c++)
        for (size_t i = 0; i < lanes; i++)
            value[c * lanes + i] *= ratio[i];
}

KILN_WIDE_CLONES(kiln_lines_rescale, (size_t lanes, size_t columns, float *value, const float *ratio),
                 (lanes, columns, value, ratio))

/* Dropout ------------------------------------------------------------------------------------------------ */

KILN_INLINE void keep_body(size_t count, const uint32_t *bits, uint32_t threshold, float keep, float *value)
{
    for (size_t i = 0; i < count; i++) {
        const float kept = value[i] * keep;
        value[i] = bits[i] >= threshold ? kept : 0;
    }
}

static void keep(size_t count, const uint32_t *bits, uint32_t threshold, float keep, float *value);
KILN_WIDE_CLONES(keep, (size_t count, const uint32_t *bits, uint32_t threshold, float keep, float *value),
                 (count, bits, threshold, keep, value))

/* Lanes are queries: a draw is of four lines of a lane; blocks of lines are drawn together. */
static void drop_down(const struct kiln_lines *b, float *value)
{
    const struct kiln_params_attention *p = b->p;
    const size_t lanes = b->lanes, together = KILN_PHILOX / lanes;
    uint32_t four[KILN_PHILOX], row[KILN_PHILOX], bits[4 * KILN_PHILOX], line_bits[KILN_MOST_LANES];
    for (size_t i = 0; i < KILN_PHILOX; i++)
        row[i] = (uint32_t)kiln_head_row(p, b->head, b->own + i % lanes);
    for (size_t line = 0; line < b->lines; line += 4 * together) {
        for (size_t i = 0; i < KILN_PHILOX; i++)
            four[i] = (uint32_t)((b->other + line) / 4 + i / lanes);
        kiln_cpu_philox(four, row, b->counter[1], p->stream, b->counter[0], bits);
        for (size_t k = 0; k < 4 * together && line + k < b->lines; k++) {
            for (size_t i = 0; i < lanes; i++)
                line_bits[i] = bits[4 * (k / 4 * lanes + i) + k % 4];
            keep(lanes, line_bits, b->counter[2], p->keep, value + (line + k) * lanes);
        }
    }
}

/* Lanes are keys: a draw is of four lanes of a line; some lines are drawn together. */
static void drop_across(const struct kiln_lines *b, float *value)
{
    const struct kiln_params_attention *p = b->p;
    const size_t across = b->lanes / 4, together = KILN_PHILOX / across;
    uint32_t four[KILN_PHILOX], row[KILN_PHILOX], bits[4 * KILN_PHILOX];
    for (size_t line = 0; line < b->lines; line += together) {
        const size_t left = b->lines - line, count = left < together ? left : together;
        for (size_t y = 0; y < together; y++)
            for (size_t x = 0; x < across; x++) {
                four[y * across + x] = (uint32_t)(b->own / 4 + x);
                row[y * across + x] = (uint32_t)kiln_head_row(p, b->head, b->other + line + y);
            }
        kiln_cpu_philox(four, row, b->counter[1], p->stream, b->counter[0], bits);
        keep(count * b->lanes, bits, b->counter[2], p->keep, value + line * b->lanes);
    }
}

void kiln_lines_drop(const struct kiln_lines *b, float *value)
{
    if (b->counter[2] == 0)
        return;
    if (b->lanes_are_keys)
        drop_across(b, value);
    else
        drop_down(b, value);
}
