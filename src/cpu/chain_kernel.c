/*
 * chain_kernel.c - the chain kernels by blocks of elements.
 *
 * A unit is a block. Operands that lie dense under a block are read where they are; the others are first gathered into the
 * block's own registers, by runs along the innermost axis: a run is copied, repeated or skipped through. Bytes become words there.
 */
#include <string.h>

#include "chain/chain.h"
#include "chain/codes.h"
#include "chain/strided.h"
#include "cpu/byte_rows.h"
#include "cpu/chain.h"
#include "cpu/simd.h"
#include "device/variants.h"

enum { BLOCK = KILN_CHAIN_BLOCK, RESULT = KILN_CHAIN_OPERANDS - 1, GRAIN = 16 };

/* What a dispatch says, for both kernels alike: axes outermost first, and each operand's step along them. */
struct chain {
    const uint32_t *step;
    int operands, steps, result;
    size_t elements;
    int rank;
    uint32_t size[KILN_MAX_RANK];
    uint32_t stride[KILN_CHAIN_OPERANDS][KILN_MAX_RANK];
    bool dense[KILN_CHAIN_OPERANDS]; /* walked as the result: no gathering */
    uint32_t bytes, natural;         /* bindings of bytes, of unsigned ones */
};

static bool is_bytes(const struct chain *c, int binding)
{
    return c->bytes >> binding & 1;
}

static bool is_natural(const struct chain *c, int binding)
{
    return c->natural >> binding & 1;
}

static void set_strides(struct chain *c, int operand, uint32_t walk, const uint32_t *strided)
{
    c->dense[operand] = walk == KILN_WALK_FLAT;
    if (walk == KILN_WALK_ROW)
        c->stride[operand][0] = 1;
    else if (walk == KILN_WALK_COLUMN)
        c->stride[operand][1] = 1;
    else if (walk == KILN_WALK_STRIDED)
        memcpy(c->stride[operand], strided, (size_t)c->rank * sizeof *strided);
}

static struct chain read_dispatch(const kiln_dispatch *d, bool strided)
{
    const struct kiln_params_chain *flat = (const void *)d->block.words;
    const struct kiln_params_chain_strided *p = (const void *)d->block.words;
    const uint32_t head = d->constants[0];
    struct chain c = {
        .step = d->constants + 1,
        .operands = (int)(head & 255),
        .steps = (int)(head >> 8 & 255),
        .result = (int)(head >> 16 & 255),
        .elements = strided ? p->elements : flat->elements,
        .rank = strided ? (int)(head >> 24) : 2,
        .bytes = d->bytes,
        .natural = d->natural,
    };
    for (int axis = 1; axis < c.rank; axis++)
        c.size[axis] = strided ? p->walk[3 * (axis - 1)] : flat->row;
    for (int k = 0; k < c.operands; k++) {
        const uint32_t place = d->constants[11] >> 4 * k & 15;
        set_strides(&c, k, d->constants[9] >> 4 * k & 15, p->walk + 3 * (c.rank - 1) + (int)place * c.rank);
    }
    return c;
}

/* Coordinates of element i: all but the outermost stay below their sizes. */
static void locate(const struct chain *c, size_t i, size_t *coordinate)
{
    for (int axis = c->rank - 1; axis > 0; axis--) {
        coordinate[axis] = i % c->size[axis];
        i /= c->size[axis];
    }
    coordinate[0] = i;
}

/* Go `by` elements further, to the end of the innermost axis at the most. */
static void advance(const struct chain *c, size_t by, size_t *coordinate)
{
    coordinate[c->rank - 1] += by;
    for (int axis = c->rank - 1; axis > 0 && coordinate[axis] == c->size[axis]; axis--) {
        coordinate[axis] = 0;
        coordinate[axis - 1]++;
    }
}

/* For how many elements from there on an operand has the same value. */
static size_t alike(const struct chain *c, const uint32_t *stride, const size_t *coordinate)
{
    size_t inner = 1, others = 0;
    for (int axis = c->rank - 1; stride[axis] == 0; axis--) {
        if (axis == 0)
            return SIZE_MAX;
        others += (c->size[axis] - 1 - coordinate[axis]) * inner;
        inner *= c->size[axis];
    }
    return 1 + others;
}

KILN_INLINE void repeat_body(uint32_t *restrict to, uint32_t value, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] = value;
}

static void repeat(uint32_t *to, uint32_t value, size_t count);
KILN_CLONES(repeat, (uint32_t * to, uint32_t value, size_t count), (to, value, count))

/* Where an operand's element at a place of the result lies. */
static size_t offset(const struct chain *c, const uint32_t *stride, const size_t *coordinate)
{
    size_t at = 0;
    for (int axis = 0; axis < c->rank; axis++)
        at += coordinate[axis] * stride[axis];
    return at;
}

/* Element `at` of an operand. */
static uint32_t element_at(const struct chain *c, int operand, const void *from, size_t at)
{
    return is_bytes(c, operand) ? kiln_word_from_byte(((const uint8_t *)from)[at], is_natural(c, operand))
                                : ((const uint32_t *)from)[at];
}

/* Elements of an operand from `at` on that lie side by side. */
static void take_row(const struct chain *c, int operand, const void *from, size_t at, size_t count,
                     uint32_t *to)
{
    if (is_bytes(c, operand))
        kiln_words_from_bytes(to, (const uint8_t *)from + at, is_natural(c, operand), count);
    else
        memcpy(to, (const uint32_t *)from + at, count * sizeof *to);
}

/* Bring `count` elements from i on into `to`. What is full of one value stays so for *full more elements. */
static void gather(const struct chain *c, int operand, const void *from, size_t i, size_t count, uint32_t *to,
                   size_t *full)
{
    const uint32_t *stride = c->stride[operand];
    const int last = c->rank - 1;
    size_t coordinate[KILN_MAX_RANK];
    if (*full >= count) {
        *full -= count;
        return;
    }
    locate(c, i, coordinate);
    const size_t same = alike(c, stride, coordinate);
    *full = same >= BLOCK ? same - count : 0;
    if (same >= BLOCK) {
        repeat(to, element_at(c, operand, from, offset(c, stride, coordinate)), BLOCK);
        return;
    }
    for (size_t done = 0; done < count;) {
        const size_t left = last ? c->size[last] - coordinate[last] : count;
        const size_t run = left < count - done ? left : count - done;
        const size_t at = offset(c, stride, coordinate);
        if (stride[last] == 0)
            repeat(to + done, element_at(c, operand, from, at), run);
        else if (stride[last] == 1)
            take_row(c, operand, from, at, run, to + done);
        else
            for (size_t k = 0; k < run; k++)
                to[done + k] = element_at(c, operand, from, at + k * stride[last]);
        advance(c, run, coordinate);
        done += run;
    }
}

/* Registers of a block; the first axis of `own` is the register. */
struct registers {
    float *at[KILN_CHAIN_REGISTERS];
    _Alignas(64) float own[KILN_CHAIN_REGISTERS][BLOCK];
};

static bool reads(const struct chain *c, uint32_t register_index)
{
    for (int s = 0; s < c->steps; s++)
        if ((c->step[s] >> 8 & 255) == register_index || (c->step[s] >> 16 & 255) == register_index ||
            c->step[s] >> 24 == register_index)
            return true;
    return false;
}

static void prepare(struct registers *r, const struct chain *c, const uint32_t *immediate)
{
    for (uint32_t k = 0; k < KILN_CHAIN_REGISTERS; k++)
        r->at[k] = r->own[k];
    for (uint32_t k = KILN_REGISTER_IMMEDIATE; k < KILN_CHAIN_REGISTERS; k++)
        if (reads(c, k))
            repeat((uint32_t *)(void *)r->own[k], immediate[2 * (k - KILN_REGISTER_IMMEDIATE)], BLOCK);
}

/* Whether the last step may write its results where they belong: these are words, and no operand lies there. */
static bool is_apart(const struct chain *c, const kiln_memory *m)
{
    const char *y = m->at[RESULT];
    if (is_bytes(c, RESULT) || c->steps == 0 || c->result != KILN_REGISTER_STEP + c->steps - 1)
        return false;
    for (int k = 0; k < c->operands; k++) {
        const char *x = m->at[k];
        if (c->dense[k] && x < y + m->bytes[RESULT] && y < x + m->bytes[k])
            return false;
    }
    return true;
}

static void run_blocks(const struct chain *c, const uint32_t *immediate, const kiln_memory *m, size_t first,
                       size_t count)
{
    struct registers r;
    size_t full[KILN_CHAIN_OPERANDS] = {0};
    const bool apart = is_apart(c, m);
    prepare(&r, c, immediate);
    for (size_t block = first; block < first + count; block++) {
        const size_t i = block * BLOCK;
        const size_t length = c->elements - i < BLOCK ? c->elements - i : BLOCK;
        float *y = (float *)m->at[RESULT] + i;
        for (int k = 0; k < c->operands; k++) {
            if (c->dense[k] && is_bytes(c, k))
                take_row(c, k, m->at[k], i, length, (uint32_t *)(void *)r.own[k]);
            else if (c->dense[k])
                r.at[k] = (float *)m->at[k] + i;
            else
                gather(c, k, m->at[k], i, length, (uint32_t *)(void *)r.own[k], &full[k]);
        }
        if (apart)
            r.at[c->result] = y;
        kiln_chain_run_f32(c->step, c->steps, r.at, (int)length);
        if (is_bytes(c, RESULT))
            kiln_bytes_from_words((uint8_t *)m->at[RESULT] + i,
                                  (const uint32_t *)(const void *)r.at[c->result], length);
        else if (!apart)
            memcpy(y, r.at[c->result], length * sizeof(float));
    }
}

static void run_flat(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct chain c = read_dispatch(d, false);
    run_blocks(&c, ((const struct kiln_params_chain *)(const void *)d->block.words)->immediate, m, first,
               count);
}

static void run_strided(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct chain c = read_dispatch(d, true);
    run_blocks(&c, ((const struct kiln_params_chain_strided *)(const void *)d->block.words)->immediate, m,
               first, count);
}

static uint64_t blocks(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + BLOCK - 1) / BLOCK;
}

const kiln_variant kiln_cpu_chain_blocks = {
    .name = "blocks", .groups = blocks, .run = run_flat, .grain = GRAIN, .bytes = true};
const kiln_variant kiln_cpu_chain_strided_blocks = {
    .name = "blocks", .groups = blocks, .run = run_strided, .grain = GRAIN, .bytes = true};
