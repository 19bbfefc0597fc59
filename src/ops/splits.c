/*
 * splits.c - products of matrices whose terms are summed in splits.
 *
 * A product of few results and many terms has too few tiles for a large GPU. Its terms are then cut, each part is summed by
 * workgroups of its own, and split_sum adds the parts up, in order, and applies the epilogue. How many depends
 * on sizes alone; the CPU has none, and drivers that run on it only where they bound the rounds of loops.
 */
#include "ops/splits.h"

#include <stddef.h>
#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "matmul/matmul.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/tiles.h"

static kiln_dispatch sum_of(kiln_tensor parts, kiln_tensor sum, const struct kiln_params_split_sum *block)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_split_sum,
        .bind = {{.value = parts}, {.value = sum}},
        .block_size = sizeof *block,
        .constant_count = KILN_EPILOGUE_CONSTANTS,
    };
    struct kiln_params_split_sum whole = *block;
    uint32_t *const lengths[] = {&whole.row_length, &whole.rows, &whole.column_length, &whole.columns};
    for (int i = 0; i < 4; i++)
        *lengths[i] += *lengths[i] == 0;
    memcpy(d.block.bytes, &whole, sizeof whole);
    return d;
}

kiln_status kiln_plan_split_sum(kiln_plan *plan, kiln_tensor parts, kiln_tensor sum,
                                const struct kiln_params_split_sum *block)
{
    const kiln_dispatch d = sum_of(parts, sum, block);
    return kiln_plan_dispatch(plan, &d);
}

static void drop_epilogue(kiln_dispatch *product, uint32_t *immediate)
{
    memset(product->constants, 0, KILN_EPILOGUE_CONSTANTS * sizeof *product->constants);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        product->bind[3 + i] = (kiln_binding){0};
    memset(immediate, 0, sizeof((struct kiln_params_split_sum *)NULL)->immediate);
}

/* Let a product write into parts, a temporary; what adds them up gets its epilogue, if it has one. */
static kiln_dispatch to_parts(kiln_plan *plan, kiln_dispatch *product, uint32_t *immediate,
                              const struct kiln_params_split_sum *sum)
{
    const kiln_tensor parts = kiln_plan_temporary(plan, KILN_F32, (int64_t)sum->splits * sum->part);
    kiln_dispatch add = sum_of(parts, product->bind[2].value, sum);
    struct kiln_params_split_sum *block = (struct kiln_params_split_sum *)add.block.words;
    product->bind[2].value = parts;
    if (!immediate)
        return add;
    memcpy(add.constants, product->constants, KILN_EPILOGUE_CONSTANTS * sizeof *add.constants);
    memcpy(block->immediate, immediate, sizeof block->immediate);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        add.bind[2 + i] = product->bind[3 + i];
    drop_epilogue(product, immediate);
    return add;
}

kiln_status kiln_plan_splits(kiln_plan *plan, kiln_dispatch *d, uint32_t *immediate,
                             const struct kiln_params_split_sum *sum)
{
    const kiln_dispatch add = to_parts(plan, d, immediate, sum);
    const kiln_status status = kiln_plan_dispatch(plan, d);
    return status ? status : kiln_plan_dispatch(plan, &add);
}

bool kiln_plan_binds_whole(const kiln_plan *plan, const kiln_dispatch *d, uint64_t parts)
{
    const uint64_t limit = kiln_plan_caps(plan)->max_binding;
    bool whole = parts * sizeof(float) <= limit;
    for (int i = 0; i < d->kernel->bindings && whole; i++) {
        if (d->bind[i].value.id == 0)
            continue;
        const kiln_shape shape = kiln_plan_spec(plan, d->bind[i].value).shape;
        whole = (uint64_t)kiln_shape_count(&shape) * kiln_plan_element(plan, d->bind[i].value) <= limit;
    }
    return whole;
}

/* Terms of a split: all splits have as many, but for a last one where the driver's rounds ask for it and nothing divides them. */
static uint32_t split_terms(const kiln_caps *caps, const struct kiln_params_matmul *p)
{
    if (p->k > caps->max_rounds)
        return (uint32_t)kiln_round_up(kiln_parts(p->k, kiln_parts(p->k, caps->max_rounds)), 4);
    const struct kiln_products x = {p->batch, p->m, p->n};
    return p->k / (uint32_t)kiln_tile_splits(caps, x, (struct kiln_terms){p->k, 1, 1});
}

/* A product over `terms` of what p says, as many times as `splits`, the outermost axis of the batch. */
static struct kiln_params_matmul evenly(const struct kiln_params_matmul *p, uint32_t terms, uint32_t splits)
{
    struct kiln_params_matmul q = *p;
    q.k = terms;
    q.a_batch0 = terms * p->a_k;
    q.b_batch0 = terms * p->b_k;
    q.batch *= splits;
    return q;
}

/* The rest of the terms, into the part behind those. */
static struct kiln_params_matmul rest_of(const struct kiln_params_matmul *p, uint32_t terms, uint32_t splits)
{
    struct kiln_params_matmul q = *p;
    q.k -= terms * splits;
    q.a_first += terms * splits * p->a_k;
    q.b_first += terms * splits * p->b_k;
    q.c_first = splits * p->batch * p->m * p->n;
    return q;
}

static uint32_t *put(kiln_dispatch *d, struct kiln_params_matmul block)
{
    memcpy(d->block.bytes, &block, sizeof block);
    return d->block.words + offsetof(struct kiln_params_matmul, immediate) / sizeof(uint32_t);
}

kiln_status kiln_plan_product(kiln_plan *plan, const kiln_dispatch *whole)
{
    const struct kiln_params_matmul *p = (const struct kiln_params_matmul *)whole->block.words;
    const uint32_t terms = p->k ? split_terms(kiln_plan_caps(plan), p) : 0, splits = terms ? p->k / terms : 1;
    const uint64_t count = (uint64_t)p->batch * p->m * p->n;
    const struct kiln_params_split_sum sum = {.count = (uint32_t)count,
                                              .splits = splits + (splits * terms < p->k),
                                              .part = (uint32_t)count,
                                              .row_length = p->n,
                                              .rows = p->m,
                                              .columns = p->n};
    if (sum.splits == 1 || p->batch != p->batch1 * p->batch2 || p->c_m != p->n || p->c_first ||
        !kiln_plan_binds_whole(plan, whole, sum.splits * count))
        return kiln_plan_dispatch(plan, whole);

    kiln_dispatch even = *whole, rest = *whole;
    const kiln_dispatch add = to_parts(plan, &even, put(&even, evenly(p, terms, splits)), &sum);
    kiln_status status = kiln_plan_dispatch(plan, &even);
    if (!status && sum.splits > splits) {
        rest.bind[2].value = even.bind[2].value;
        drop_epilogue(&rest, put(&rest, rest_of(p, terms, splits)));
        status = kiln_plan_dispatch(plan, &rest);
    }
    return status ? status : kiln_plan_dispatch(plan, &add);
}
