/*
 * epilogue_fast.c - epilogues on whole rows of results. The usual ones, a bias and relu, are loops of
 * their own; all others run through the chain's blocks.
 */
#include "cpu/epilogue_fast.h"

#include <string.h>

#include "cpu/simd.h"

static void fill(float *row, const void *word)
{
    for (int i = 0; i < KILN_CHAIN_BLOCK; i++)
        memcpy(&row[i], word, sizeof *row);
}

/* Whether the first step adds operand 1 to the value. */
static bool adds_operand(uint32_t step)
{
    return (step & 0xff) == KILN_STEP_ADD_F && (step >> 8 & 0xff) + (step >> 16 & 0xff) == 1;
}

static void find_usual(struct kiln_row_epilogue *e)
{
    const bool column = e->operand[0] && !e->operand[1] && e->walk[0] == KILN_WALK_COLUMN;
    e->bias = e->steps > 0 && column && adds_operand(e->step[0]);
    const int last = e->steps - 1, before = e->bias ? KILN_REGISTER_STEP : 0;
    e->relu = e->steps == (e->bias ? 2 : 1) && (e->step[last] & 0xff) == KILN_STEP_RELU_F &&
              (int)(e->step[last] >> 8 & 0xff) == before;
    e->bias = e->bias && e->steps == (e->relu ? 2 : 1);
}

void kiln_row_epilogue_init(struct kiln_row_epilogue *e, const kiln_dispatch *d, const uint32_t *immediate,
                            const kiln_memory *m, bool channels)
{
    const uint32_t head = d->constants[0];
    e->step = d->constants + 1;
    e->steps = (int)(head >> 8 & 0xff);
    e->result = (int)(head >> 24);
    e->channels = channels;
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
        e->walk[i] = head >> (16 + 4 * i) & 15;
        e->operand[i] = i + 1 < (int)(head & 15) ? m->at[3 + i] : NULL;
    }
    find_usual(e);
    if (e->steps == 0 || e->bias || e->relu)
        return;

    memset(e->registers, 0, sizeof e->registers);
    float(*room)[KILN_CHAIN_BLOCK] = e->room;
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        e->registers[1 + i] = *room++;
    for (int i = 0; i < KILN_EPILOGUE_STEPS; i++)
        e->registers[KILN_REGISTER_STEP + i] = *room++;
    for (int i = 0; i < KILN_EPILOGUE_IMMEDIATES; i++) {
        e->registers[KILN_REGISTER_IMMEDIATE + i] = *room++;
        fill(e->registers[KILN_REGISTER_IMMEDIATE + i], &immediate[2 * i]);
    }
}

KILN_INLINE void add_and_relu_body(float *c, const float *bias, size_t step, bool relu, size_t count)
{
    if (bias && step == 0) {
        const float same = *bias;
        for (size_t i = 0; i < count; i++)
            c[i] += same;
    } else if (bias) {
        for (size_t i = 0; i < count; i++)
            c[i] += bias[i];
    }
    if (relu)
        for (size_t i = 0; i < count; i++)
            c[i] = c[i] <= 0 ? 0 : c[i]; /* NaN passes */
}

static void add_and_relu(float *c, const float *bias, size_t step, bool relu, size_t count);
KILN_CLONES(add_and_relu, (float *c, const float *bias, size_t step, bool relu, size_t count),
            (c, bias, step, relu, count))

/* Let register 1 + i hold its operand for the `count` elements from `flat` on. */
static void place_operand(struct kiln_row_epilogue *e, int i, size_t flat, size_t row, size_t column,
                          size_t count)
{
    float *to = e->registers[1 + i];
    const float *from = e->operand[i];
    if (e->walk[i] == KILN_WALK_FLAT)
        memcpy(to, from + flat, count * sizeof *to);
    else if (e->walk[i] == KILN_WALK_COLUMN && !e->channels)
        memcpy(to, from + column, count * sizeof *to);
    else
        fill(to, e->walk[i] == KILN_WALK_SCALAR ? from : from + (e->walk[i] == KILN_WALK_ROW ? row : column));
}

void kiln_row_epilogue_run(struct kiln_row_epilogue *e, float *c, size_t flat, size_t row, size_t column,
                           size_t count)
{
    if (e->steps == 0)
        return;
    if (e->bias || e->relu) {
        add_and_relu(c, e->bias ? e->operand[0] + column : NULL, !e->channels, e->relu, count);
        return;
    }
    for (size_t done = 0; done < count; done += KILN_CHAIN_BLOCK) {
        const size_t part = count - done < KILN_CHAIN_BLOCK ? count - done : KILN_CHAIN_BLOCK;
        e->registers[0] = c + done;
        for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
            if (e->operand[i])
                place_operand(e, i, flat + done, row, column + (e->channels ? 0 : done), part);
        kiln_chain_run_f32(e->step, e->steps, e->registers, (int)part);
        memcpy(c + done, e->registers[e->result], part * sizeof *c);
    }
}
