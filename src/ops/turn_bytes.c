/*
 * turn_bytes.c - transposes of bytes whose axes change places as two groups, as channels and what lies behind them do, on the CPU: when
 * that is so, the dispatch, the contract.
 *
 * The kernels: src/cpu/layout.c, src/cpu/turn_bytes_fast.c.   Tests: tests/cpu/bytes.c.
 */
#include "layout/turn_bytes.h"

#include "device/caps.h"
#include "device/variants.h"
#include "ops/copy.h"
#include "ops/kernels.h"
#include "ops/splits.h"

/* The axes of x, in y's order, as those of a batch, of columns and of rows, of which the last two have changed places; axes of 1 do not
 * count. False: they are not so. */
static bool find_matrices(const kiln_shape *x, const int *order, struct kiln_params_turn_bytes *p)
{
    int64_t size[KILN_MAX_RANK];
    int place[KILN_MAX_RANK], axis[KILN_MAX_RANK], count = 0, longer = 0, at = 0;
    for (int i = 0; i < x->rank; i++) {
        place[i] = longer;
        if (x->size[i] != 1)
            size[longer++] = x->size[i];
    }
    for (int i = 0; i < x->rank; i++)
        if (x->size[order[i]] != 1)
            axis[count++] = place[order[i]];
    *p = (struct kiln_params_turn_bytes){1, 1, 1};
    for (; at < count && axis[at] == at; at++)
        p->batch *= (uint32_t)size[at];
    const int first = at, turn = at < count ? axis[at] : count;
    for (; at < count && axis[at] == turn + at - first; at++)
        p->columns *= (uint32_t)size[axis[at]];
    const int columns = at - first;
    for (; at < count && axis[at] == at - columns; at++)
        p->rows *= (uint32_t)size[axis[at]];
    return count && at == count && turn < count;
}

bool kiln_turn_bytes_accepts(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    struct kiln_params_turn_bytes block;
    int order[KILN_MAX_RANK];
    const kiln_dispatch d = {.kernel = &kiln_kernel_turn_bytes,
                             .bind = {{.value = n->in[0]}, {.value = n->out[0]}}};
    kiln_transpose_order(n, x.rank, order);
    return kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU && kiln_plan_element(plan, n->in[0]) == 1 &&
           kiln_shape_count(&x) > 0 && find_matrices(&x, order, &block) && kiln_plan_binds_whole(plan, &d, 0);
}

kiln_status kiln_turn_bytes_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    kiln_dispatch d = {.kernel = &kiln_kernel_turn_bytes,
                       .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                       .block_size = sizeof(struct kiln_params_turn_bytes)};
    int order[KILN_MAX_RANK];
    kiln_transpose_order(n, x.rank, order);
    find_matrices(&x, order, (struct kiln_params_turn_bytes *)d.block.words);
    return kiln_plan_dispatch(plan, &d);
}

static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_turn_bytes *)d->block.words)->batch;
}

const kiln_kernel kiln_kernel_turn_bytes = {
    .name = "turn_bytes",
    .block_size = sizeof(struct kiln_params_turn_bytes),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .bytes = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_turn_bytes_f32,
    .reference_f64 = kiln_reference_turn_bytes_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_turn_bytes_squares, NULL},
};
