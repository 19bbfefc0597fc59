/*
 * recurrent_grad.c - the gradients of recurrent: back through time, and by the hidden weights.
 *
 *   dR[d, g, u, k] = sum over t, n of dx[t, n, d, g, u] * h[t-1][n, d, k]
 *
 * with dx the gradient of what a gate is given. The state before a step is among what was saved, so this is one matmul over
 * all steps; a GRU's new gate has another gradient (extra: its product was reset) or another operand (r h) and is one of its
 * own. The sum runs over far more terms than there are results: where those are few, the steps are split, each split summed
 * by itself and the splits added up in order. How many depends on sizes alone.
 */
#include "ops/recurrent.h"

#include <string.h>

#include "device/caps.h"
#include "matmul/matmul.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/splits.h"

/* Back through time -------------------------------------------------------------------------------------- */

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_recurrent *p = n->params;
    const kiln_spec saved = kiln_tensor_spec(g, n->in[KILN_RECURRENT_GRAD_SAVED]);
    const int64_t sequences = saved.shape.size[!p->batch_first];
    for (int i = 0; i < 3; i++)
        out[i] = saved;
    out[0].type = out[1].type = kiln_tensor_type(g, n->in[KILN_RECURRENT_GRAD_W]);
    out[0].shape.size[2] = p->directions * kiln_recurrent_gate_count(p->cell) * p->hidden;
    out[1].shape = KILN_SHAPE(kiln_recurrent_state_count(p->cell) * p->directions, sequences, p->hidden);
    if (kiln_recurrent_resets_after(p))
        out[2].shape.size[2] = p->directions * p->hidden;
    else if (p->cell == KILN_CELL_LSTM && n->in[KILN_RECURRENT_GRAD_VECTORS].id)
        out[2].shape = KILN_SHAPE(p->directions, sequences, 3 * p->hidden);
    else
        out[2].shape = KILN_SHAPE(0);
    return KILN_OK;
}

const kiln_op kiln_op_recurrent_grad = {
    .name = "recurrent_grad",
    .fields = kiln_recurrent_fields,
    .inputs = KILN_RECURRENT_GRAD_INPUTS,
    .outputs = 3,
    .infer = grad_infer,
    .lowerings = kiln_recurrent_grad_lowerings,
    .lowering_count = 2,
};

/* By the hidden weights: {dx, extra, saved} -------------------------------------------------------------- */

static kiln_status weight_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_recurrent *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    out->shape = KILN_SHAPE(p->directions * kiln_recurrent_gate_count(p->cell) * p->hidden, p->hidden);
    return KILN_OK;
}

/* Some gates: from which input their gradients come, and what they were multiplied with. */
struct gates {
    int64_t first, count;
    int input;               /* of the node */
    int64_t column, columns; /* of the input, in states */
    int64_t slot;            /* of saved */
};

static int gates_of(const struct kiln_recurrent *p, struct gates out[2])
{
    const int64_t gates = kiln_recurrent_gate_count(p->cell), slot = kiln_recurrent_saved_width(p->cell) - 1;
    const bool after = kiln_recurrent_resets_after(p);
    out[0] = (struct gates){0, p->cell == KILN_CELL_GRU ? 2 : gates, 0, 0, gates, slot};
    out[1] = after ? (struct gates){2, 1, 1, 0, 1, slot} : (struct gates){2, 1, 0, 2, 3, 3};
    return p->cell == KILN_CELL_GRU ? 2 : 1;
}

/* Elements, and rows, at whose multiples a binding may begin: 256 bytes of halves. */
enum { ALIGNED = 128 };

/* The sum over all positions, cut into `count` splits of `length`: few enough for a binding, and aligned. `part`: elements from
 * one split's results to the next's. */
struct splits {
    int64_t length, count, part;
};

static int64_t aligned(int64_t x)
{
    return (x + ALIGNED - 1) / ALIGNED * ALIGNED;
}

static struct splits splits_of(const kiln_plan *plan, const kiln_node *n,
                               const struct kiln_recurrent_sizes *s)
{
    const int64_t positions = s->steps * s->sequences;
    const int64_t results = s->directions * s->gates * s->hidden * s->hidden;
    const int64_t row = s->directions * s->width * s->hidden * (int64_t)kiln_plan_element(plan, n->in[2]);
    const int64_t most = (int64_t)kiln_plan_caps(plan)->max_binding / row / ALIGNED * ALIGNED;
    const int64_t wanted = positions / (32768 / results + 1);
    struct splits p = {.length = aligned(wanted > 256 ? wanted : 256), .part = aligned(results)};
    if (p.length > most && most > 0)
        p.length = most;
    p.count = (positions + p.length - 1) / p.length;
    return p;
}

/* Rows [first, first + count) of an input whose rows have `columns` states a direction. */
static kiln_binding rows_of(const kiln_plan *plan, kiln_tensor t, const struct kiln_recurrent_sizes *s,
                            int64_t columns, int64_t first, int64_t count)
{
    const uint64_t row = (uint64_t)(s->directions * columns * s->hidden) * kiln_plan_element(plan, t);
    return (kiln_binding){t, (uint64_t)first * row, (uint64_t)count * row};
}

/* The product for some gates of a direction over one split, into results that begin at element `to`. */
static kiln_status multiply(kiln_plan *plan, const kiln_node *n, const struct kiln_recurrent_sizes *s,
                            const struct gates *gates, int64_t direction, int64_t first, int64_t count,
                            kiln_tensor parts, int64_t to)
{
    const int64_t square = s->hidden * s->hidden, at = to + (direction * s->gates + gates->first) * square;
    const int64_t skipped = at / ALIGNED * ALIGNED;
    const uint64_t element = kiln_plan_element(plan, parts);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul,
        .bind = {rows_of(plan, n->in[gates->input], s, gates->columns, first, count),
                 rows_of(plan, n->in[2], s, s->width, first, count),
                 {parts, (uint64_t)skipped * element,
                  (uint64_t)(at - skipped + gates->count * square) * element}},
        .block_size = sizeof(struct kiln_params_matmul),
    };
    struct kiln_params_matmul block = {
        .m = (uint32_t)(gates->count * s->hidden),
        .n = (uint32_t)s->hidden,
        .k = (uint32_t)count,
        .batch = 1,
        .batch1 = 1,
        .batch2 = 1,
        .a_m = 1,
        .a_k = (uint32_t)(s->directions * gates->columns * s->hidden),
        .b_k = (uint32_t)(s->directions * s->width * s->hidden),
        .b_n = 1,
        .c_m = (uint32_t)s->hidden,
        .c_batch = (uint32_t)(gates->count * square),
        .a_first = (uint32_t)((direction * gates->columns + gates->column) * s->hidden),
        .b_first = (uint32_t)((direction * s->width + gates->slot) * s->hidden),
        .c_first = (uint32_t)(at - skipped),
    };
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 3, block.immediate);
    memcpy(d.block.bytes, &block, sizeof block);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static kiln_status weight_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_recurrent_sizes s = kiln_recurrent_sizes_of(plan, n->params, n->in[2]);
    const int64_t positions = s.steps * s.sequences, results = s.directions * s.gates * s.hidden * s.hidden;
    if (positions == 0)
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
    const struct splits p = splits_of(plan, n, &s);
    const kiln_tensor parts = p.count > 1 ? kiln_plan_temporary(plan, KILN_F32, p.count * p.part) : n->out[0];
    struct gates gates[2];
    const int kinds = gates_of(n->params, gates);
    kiln_status status = KILN_OK;
    for (int64_t i = 0; i < p.count; i++) {
        const int64_t first = i * p.length, left = positions - first,
                      count = left < p.length ? left : p.length;
        for (int64_t d = 0; d < s.directions; d++)
            for (int k = 0; k < kinds && !status; k++)
                status = multiply(plan, n, &s, &gates[k], d, first, count, parts, i * p.part);
    }
    return status || p.count == 1
               ? status
               : kiln_plan_split_sum(plan, parts, n->out[0],
                                     &(struct kiln_params_split_sum){.count = (uint32_t)results,
                                                                     .splits = (uint32_t)p.count,
                                                                     .part = (uint32_t)p.part});
}

const kiln_op kiln_op_recurrent_grad_weight = {
    .name = "recurrent_grad_weight",
    .fields = kiln_recurrent_fields,
    .inputs = 3,
    .outputs = 1,
    .infer = weight_infer,
    .lowerings = (const kiln_lowering[]){{.name = "matmul", .lower = weight_lower}},
    .lowering_count = 1,
};
