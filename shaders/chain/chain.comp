#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * chain - result[i] = steps(operand 0[walk(i)], operand 1[walk(i)], ...)
 *
 * Steps, registers and walks are specialization constants, so that what is left after folding is the formula.
 *
 * bindings   0 .. 6: operands    7: result
 * dispatch   an invocation computes 4 elements, LANES apart
 * variants   STRIDED: operands by full index arithmetic; ONE: a single step, any one
 * tuning     TOGETHER, where the elements are whole groups of 4 * LANES: operands of all 4 are loaded before the first is used, without
 *            branches between, so that four loads of a lane are on their way, which else wait for the stores between them
 */
#include "kiln.glsl"
#ifdef ONE
#define KILN_LONG_STEPS
#endif
#include "chain.glsl"
#ifdef STRIDED
#include "strided.h"
#else
#include "chain.h"
#endif

KILN_CONSTANT(0, COUNTS);
KILN_CONSTANT(1, STEP_0);
KILN_CONSTANT(2, STEP_1);
KILN_CONSTANT(3, STEP_2);
KILN_CONSTANT(4, STEP_3);
KILN_CONSTANT(5, STEP_4);
KILN_CONSTANT(6, STEP_5);
KILN_CONSTANT(7, STEP_6);
KILN_CONSTANT(8, STEP_7);
KILN_CONSTANT(9, WALKS);
KILN_CONSTANT(11, PLACES);
KILN_TUNING(0, TOGETHER, 0);

const uint OPERANDS = COUNTS & 0xffu;
const uint STEPS = COUNTS >> 8 & 0xffu;
const uint RESULT = COUNTS >> 16 & 0xffu;
const uint RANK = COUNTS >> 24;

KILN_IN_ANY(0, operand_0);
KILN_IN_ANY(1, operand_1);
KILN_IN_ANY(2, operand_2);
KILN_IN_ANY(3, operand_3);
KILN_IN_ANY(4, operand_4);
KILN_IN_ANY(5, operand_5);
KILN_IN_ANY(6, operand_6);
KILN_OUT_ANY(7, result);

#define WALK(k) (WALKS >> 4 * (k) & 15u)
#define PLACE(k) (PLACES >> 4 * (k) & 15u)

#ifdef STRIDED

uint coordinate[8];

void locate(uint i)
{
    for (uint axis = RANK - 1u; axis > 0u; axis--) {
        const uint at = 3u * (axis - 1u);
        const uint rest = kiln_divide(i, KILN_WORD(p.walk, at + 1u), KILN_WORD(p.walk, at + 2u));
        coordinate[axis] = i - rest * KILN_WORD(p.walk, at);
        i = rest;
    }
    coordinate[0] = i;
}

uint strided(uint place)
{
    const uint steps = 3u * (RANK - 1u) + place * RANK;
    uint at = 0u;
    for (uint axis = 0u; axis < RANK; axis++)
        at += coordinate[axis] * KILN_WORD(p.walk, steps + axis);
    return at;
}

#define AT(k) (WALK(k) == KILN_WALK_FLAT ? i : WALK(k) == KILN_WALK_SCALAR ? 0u : strided(PLACE(k)))
#define IMMEDIATE(k) KILN_WORD(p.immediate, 2u * (k))

#else

uint column, row;

void locate(uint i)
{
    row = KILN_DIVIDE(i, row);
    column = i - row * p.row;
}

#define AT(k)                                                                                                        \
    (WALK(k) == KILN_WALK_FLAT     ? i                                                                               \
     : WALK(k) == KILN_WALK_SCALAR ? 0u                                                                              \
     : WALK(k) == KILN_WALK_ROW    ? row                                                                             \
                                   : column)
#define IMMEDIATE(k) p.immediate[2u * (k)]

#endif

#define LOAD(k)                                                                                                      \
    if (OPERANDS > k)                                                                                                \
        operand[k] = KILN_LOAD(k, operand_##k, AT(k))
#define RUN(s)                                                                                                       \
    if (STEPS > s)                                                                                                   \
        r[KILN_REGISTER_STEP + s] = kiln_step_run(KILN_STEP_CODE(STEP_##s), r[KILN_STEP_A(STEP_##s)],                \
                                                  r[KILN_STEP_B(STEP_##s)], r[KILN_STEP_C(STEP_##s)])

void load(uint i, out uint operand[7])
{
    locate(i);
    LOAD(0);
    LOAD(1);
    LOAD(2);
    LOAD(3);
    LOAD(4);
    LOAD(5);
    LOAD(6);
}

void run(uint i, uint operand[7])
{
    uint r[24];
    for (uint k = 0u; k < OPERANDS; k++)
        r[k] = operand[k];
    for (uint k = 0u; k < KILN_CHAIN_IMMEDIATES; k++)
        r[KILN_REGISTER_IMMEDIATE + k] = IMMEDIATE(k);
    RUN(0);
#ifndef ONE
    RUN(1);
    RUN(2);
    RUN(3);
    RUN(4);
    RUN(5);
    RUN(6);
    RUN(7);
#endif
    KILN_SAVE(7, result, i, r[RESULT]);
}

void main()
{
    KILN_GROUP(group);
    const uint first = 4u * group * LANES + LANE;
    uint all[4][7], operand[7];
    if (TOGETHER == 1u)
        [[unroll]] for (uint e = 0u; e < 4u; e++)
            load(first + e * LANES, all[e]);
    for (uint e = 0u; e < 4u; e++) {        /* the steps stand in the module once */
        const uint i = first + e * LANES;
        if (TOGETHER == 0u && i >= p.elements)
            break;
        if (TOGETHER == 1u)
            operand = all[e];
        else
            load(i, operand);
        run(i, operand);
    }
}
