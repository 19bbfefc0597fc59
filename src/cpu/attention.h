/* attention.h - where a head's rows lie in the operands of attention, and what bounds its keys. */
#ifndef KILN_CPU_ATTENTION_H
#define KILN_CPU_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "attention/attention.h"

/** A query head. Row i of its q is element q + i * q_step of the operand; likewise the others, y for dy as well. */
struct kiln_head {
    size_t batch, head; /* counted from the first of all */
    size_t q, q_step, k, k_step, v, v_step, y, y_step;
    int64_t length, offset; /* of the keys; of the diagonal */
};

/* Head `at`, which is number `head` of `heads`, of an operand with `count` rows of `size`; `batch` counts its batches. */
static inline size_t kiln_head_rows(bool rows_first, size_t at, size_t batch, size_t head, size_t heads,
                                    size_t count, size_t size, size_t *step)
{
    *step = rows_first ? heads * size : size;
    return rows_first ? batch * count * heads * size + head * size : at * count * size;
}

/** Query head g of pair b. numbers may be NULL where the flags need none. */
static inline struct kiln_head kiln_head_of(const struct kiln_params_attention *p, uint32_t flags,
                                            const int32_t *numbers, size_t b, size_t g)
{
    const size_t pair = p->first + b, heads = (size_t)p->kv_heads * p->group, kv_head = pair % p->kv_heads;
    struct kiln_head h = {.batch = pair / p->kv_heads, .head = kv_head * p->group + g};
    const size_t at = b * p->group + g, batch = h.batch - p->first / p->kv_heads;
    const bool rows_first = flags & KILN_ATTENTION_ROWS_FIRST;
    const bool packed = flags & KILN_ATTENTION_PACKED, paired = flags & KILN_ATTENTION_PAIRED;
    const size_t all = packed ? heads + 2 * (size_t)p->kv_heads : heads; /* heads in a row */
    const size_t both = packed ? all : paired ? 2 * (size_t)p->kv_heads : p->kv_heads;
    const size_t k_head = packed ? heads + kv_head : kv_head;
    const size_t v_head = packed || paired ? k_head + p->kv_heads : kv_head;
    h.q = kiln_head_rows(rows_first, at, batch, h.head, all, p->queries, p->depth, &h.q_step);
    h.y = kiln_head_rows(rows_first, at, batch, h.head, heads, p->queries, p->width, &h.y_step);
    h.k = kiln_head_rows(rows_first, b, batch, k_head, both, p->keys, p->depth, &h.k_step);
    h.v = kiln_head_rows(rows_first, b, batch, v_head, both, p->keys, p->width, &h.v_step);
    h.length = p->keys;
    h.offset = (int32_t)p->offset;
    if (numbers && flags & KILN_ATTENTION_LENGTHS) {
        const int64_t given = numbers[p->lengths_at + h.batch];
        h.length = given < 0 ? 0 : given < h.length ? given : h.length;
    }
    if (numbers && p->offset_at != KILN_ATTENTION_NONE)
        h.offset = numbers[p->offset_at + h.batch * p->offset_step];
    return h;
}

/** The row of query i in lse and rows. */
static inline size_t kiln_head_row(const struct kiln_params_attention *p, const struct kiln_head *h, size_t i)
{
    return (h->batch * p->kv_heads * p->group + h->head) * p->queries + i;
}

/** Where the mask of query i and key j lies. */
static inline size_t kiln_head_mask(const struct kiln_params_attention *p, const struct kiln_head *h,
                                    size_t i, size_t j)
{
    return h->batch * p->mask_batch + h->head * p->mask_head + i * p->mask_row + j * p->mask_key;
}

#endif
