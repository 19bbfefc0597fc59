/*
 * epilogue.c - what a matmul or a convolution does to each result before it stores it, written into its
 * dispatch.
 *
 * The compiler attaches a chain to the node where kiln_epilogue_walk finds a walk for every operand; the
 * lowering writes it with kiln_epilogue_write, behind a product of integers with kiln_finish_write.
 */
#include "ops/chain.h"
#include "ops/kernels.h"
#include "quantize/finish.h"

#include <string.h>

/* Where an operator's output keeps its columns and rows: axes from 0, negative ones from the end. */
static const struct axes {
    const kiln_op *op;
    int column, row;
    bool has_row;
} table[] = {
    {&kiln_op_matmul, -1, -2, true},        {&kiln_op_conv, 1, 0, false},
    {&kiln_op_conv_transpose, 1, 0, false}, {&kiln_op_matmul_integer, -1, 0, false},
    {&kiln_op_conv_integer, 1, 0, false},   {&kiln_op_conv_integer_last, -1, 0, false},
};

static const struct axes *axes_of(const kiln_op *op)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].op == op)
            return &table[i];
    return NULL;
}

/* Size of an axis counted from the end; 1 beyond the rank. */
static int64_t size_from_end(const kiln_shape *s, int axis)
{
    return axis <= s->rank ? s->size[s->rank - axis] : 1;
}

/* An axis of the table as a bit, counted from the end. */
static uint32_t bit_of(int axis, int rank)
{
    return 1u << (axis < 0 ? -axis : rank - axis);
}

bool kiln_epilogue_walk(const kiln_op *op, const kiln_spec *out, const kiln_spec *operand, uint32_t *walk)
{
    const struct axes *axes = axes_of(op);
    const bool fits =
        kiln_type_is_real(operand->type) || (op->flags & KILN_OP_FINISH && operand->type == KILN_I32);
    if (!axes || !fits || operand->shape.rank > out->shape.rank)
        return false;

    const int rank = out->shape.rank;
    uint32_t wide = 0,
             all = 0; /* bit i: axis i from the end is longer than 1 in the operand, in the output */
    for (int i = 1; i <= rank; i++) {
        const int64_t have = size_from_end(&operand->shape, i), whole = size_from_end(&out->shape, i);
        if (have != whole && have != 1)
            return false;
        wide |= (uint32_t)(have != 1) << i;
        all |= (uint32_t)(whole != 1) << i;
    }
    if (wide == 0)
        *walk = KILN_WALK_SCALAR;
    else if (wide == bit_of(axes->column, rank))
        *walk = KILN_WALK_COLUMN;
    else if (axes->has_row && wide == bit_of(axes->row, rank))
        *walk = KILN_WALK_ROW;
    else if (wide == all)
        *walk = KILN_WALK_FLAT;
    else
        return false;
    return true;
}

kiln_status kiln_epilogue_write(const kiln_plan *plan, const kiln_node *n, kiln_dispatch *d, int at,
                                int binding, uint32_t *immediate)
{
    const kiln_chain *chain = n->epilogue;
    d->constant_count = at + KILN_EPILOGUE_CONSTANTS;
    memset(&d->constants[at], 0, KILN_EPILOGUE_CONSTANTS * sizeof *d->constants);
    memset(immediate, 0, 2 * KILN_EPILOGUE_IMMEDIATES * sizeof *immediate);
    if (!chain)
        return KILN_OK;

    const kiln_spec out = kiln_plan_spec(plan, n->out[0]);
    uint32_t walk[KILN_EPILOGUE_OPERANDS] = {0};
    for (int i = 0; i + 1 < chain->operands; i++) {
        const kiln_tensor t = n->in[n->op->inputs + i];
        const kiln_spec spec = kiln_plan_spec(plan, t);
        if (!kiln_epilogue_walk(n->op, &out, &spec, &walk[i]))
            return KILN_ERROR_UNSUPPORTED;
        d->bind[binding + i].value = t;
    }
    d->constants[at] = (uint32_t)chain->operands | chain->integers << 4 | (uint32_t)chain->steps << 8 |
                       walk[0] << 16 | walk[1] << 20 | chain->result[0] << 24;
    memcpy(&d->constants[at + 1], chain->step, (size_t)chain->steps * sizeof *chain->step);
    kiln_chain_write_immediates(chain, immediate);
    return KILN_OK;
}

kiln_status kiln_finish_write(const kiln_plan *plan, const kiln_node *n, kiln_dispatch *d, int binding)
{
    const kiln_chain *chain = n->epilogue;
    if (!chain)
        return KILN_OK;

    const kiln_spec out = kiln_plan_spec(plan, n->out[0]);
    uint32_t *constants = d->constants,
             kinds = (uint32_t)kiln_type_is_real(out.type) << 8 | chain->integers << 16;
    uint32_t immediate[2 * KILN_CHAIN_IMMEDIATES] = {0};
    for (int i = 0; i + 1 < chain->operands; i++) {
        const kiln_tensor t = n->in[n->inputs - (chain->operands - 1) + i];
        const kiln_spec spec = kiln_plan_spec(plan, t);
        uint32_t walk;
        if (!kiln_epilogue_walk(n->op, &out, &spec, &walk))
            return KILN_ERROR_UNSUPPORTED;
        d->bind[binding + i].value = t;
        kinds |= walk << 4 * i | (uint32_t)kiln_type_is_real(spec.type) << (9 + i);
    }
    d->constant_count = KILN_FINISH_END;
    constants[KILN_FINISH_HEAD] =
        (uint32_t)chain->operands | (uint32_t)chain->steps << 8 | chain->result[0] << 16;
    constants[KILN_FINISH_KINDS] = kinds;
    memcpy(constants + KILN_FINISH_STEPS, chain->step, (size_t)chain->steps * sizeof *chain->step);
    kiln_chain_write_immediates(chain, immediate);
    for (int i = 0; i < chain->immediates; i++)
        constants[KILN_FINISH_IMMEDIATES + i] = immediate[2 * i];
    return KILN_OK;
}
