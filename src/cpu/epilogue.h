/* epilogue.h - an epilogue (ops/chain.h) as the references of matmul and convolution apply it, a value at
 * a time. */
#ifndef KILN_CPU_EPILOGUE_H
#define KILN_CPU_EPILOGUE_H

#include <string.h>

#include "chain/codes.h"
#include "cpu/reference.h"

struct epilogue {
    int steps, result; /* result: the register stored */
    const uint32_t *step;
    uint32_t walk[KILN_EPILOGUE_OPERANDS]; /* of the operands that are there */
    const real *operand[KILN_EPILOGUE_OPERANDS];
    kiln_register immediate[KILN_EPILOGUE_IMMEDIATES];
};

/* A real is the sum of its two words, an integer the first. */
static inline kiln_register epilogue_immediate(const uint32_t *words, bool integer)
{
    if (integer)
        return (kiln_register){.i = (int32_t)words[0]};
    float whole, rest;
    memcpy(&whole, &words[0], sizeof whole);
    memcpy(&rest, &words[1], sizeof rest);
    return (kiln_register){.f = (real)((double)whole + (double)rest)};
}

/* Read an epilogue from a dispatch's constants and its block's words; its operands are bound from
 * `binding` on. */
static inline struct epilogue epilogue_of(const uint32_t *constants, const uint32_t *immediate,
                                          const kiln_memory *m, int binding)
{
    const uint32_t head = constants[0];
    struct epilogue e = {.steps = (int)(head >> 8 & 0xff),
                         .result = (int)(head >> 24),
                         .step = constants + 1};
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
        e.walk[i] = head >> (16 + 4 * i) & 15;
        e.operand[i] = i + 1 < (int)(head & 15) ? m->at[binding + i] : NULL;
    }
    for (int i = 0; i < KILN_EPILOGUE_IMMEDIATES; i++)
        e.immediate[i] = epilogue_immediate(immediate + 2 * i, head >> (4 + i) & 1);
    return e;
}

/* What is stored for `value` at element `flat`, in that row and column of the output (see KILN_WALK_FLAT). */
static inline real epilogue_apply(const struct epilogue *e, real value, size_t flat, size_t row,
                                  size_t column)
{
    if (e->steps == 0)
        return value;
    const size_t at[] = {
        [KILN_WALK_FLAT] = flat, [KILN_WALK_SCALAR] = 0, [KILN_WALK_ROW] = row, [KILN_WALK_COLUMN] = column};
    kiln_register r[KILN_REGISTER_IMMEDIATE + 8] = {{.f = value}};
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        if (e->operand[i])
            r[1 + i].f = e->operand[i][at[e->walk[i]]];
    for (int i = 0; i < KILN_EPILOGUE_IMMEDIATES; i++)
        r[KILN_REGISTER_IMMEDIATE + i] = e->immediate[i];
    for (int i = 0; i < e->steps; i++)
        r[KILN_REGISTER_STEP + i] = kiln_cpu_step(e->step[i], r);
    return r[e->result].f;
}

#endif
