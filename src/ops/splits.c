/*
 * splits.c - products of matrices whose terms are summed in splits.
 *
 * A product of few results and many terms has too few tiles for a large GPU. Its terms are then cut, each part is summed by
 * workgroups of its own, and split_sum adds the parts up, in order, and applies the epilogue. How many depends
 * on sizes alone; drivers that run on the CPU and the CPU itself have none.
 */
#include "ops/splits.h"

#include <string.h>

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

/* Take the epilogue from a product. */
static void move_epilogue(kiln_dispatch *sum, kiln_dispatch *product, uint32_t *immediate)
{
    struct kiln_params_split_sum *block = (struct kiln_params_split_sum *)sum->block.words;
    memcpy(sum->constants, product->constants, KILN_EPILOGUE_CONSTANTS * sizeof *sum->constants);
    memset(product->constants, 0, KILN_EPILOGUE_CONSTANTS * sizeof *product->constants);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
        sum->bind[2 + i] = product->bind[3 + i];
        product->bind[3 + i] = (kiln_binding){0};
    }
    memcpy(block->immediate, immediate, sizeof block->immediate);
    memset(immediate, 0, sizeof block->immediate);
}

kiln_status kiln_plan_splits(kiln_plan *plan, kiln_dispatch *d, uint32_t *immediate,
                             const struct kiln_params_split_sum *sum)
{
    const kiln_tensor parts = kiln_plan_temporary(plan, KILN_F32, (int64_t)sum->splits * sum->part);
    kiln_dispatch add = sum_of(parts, d->bind[2].value, sum);
    if (immediate)
        move_epilogue(&add, d, immediate);
    d->bind[2].value = parts;
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

/* The splits are the outermost axis of the batch. */
kiln_status kiln_plan_product(kiln_plan *plan, const kiln_dispatch *whole)
{
    kiln_dispatch copy = *whole, *const d = &copy;
    struct kiln_params_matmul *p = (struct kiln_params_matmul *)d->block.words;
    const uint64_t splits =
        kiln_tile_splits(kiln_plan_caps(plan), (struct kiln_products){p->batch, p->m, p->n}, p->k, 1);
    const uint64_t count = (uint64_t)p->batch * p->m * p->n;
    if (splits == 1 || p->batch != p->batch1 * p->batch2 || p->c_m != p->n || p->c_first ||
        !kiln_plan_binds_whole(plan, d, splits * count))
        return kiln_plan_dispatch(plan, d);

    p->k /= (uint32_t)splits;
    p->a_batch0 = p->k * p->a_k;
    p->b_batch0 = p->k * p->b_k;
    p->batch *= (uint32_t)splits;
    return kiln_plan_splits(plan, d, p->immediate,
                            &(struct kiln_params_split_sum){.count = (uint32_t)count,
                                                            .splits = (uint32_t)splits,
                                                            .part = (uint32_t)count,
                                                            .row_length = p->n,
                                                            .rows = p->m,
                                                            .columns = p->n});
}
