/*
 * epilogue.glsl - what is done to a result before it is stored (src/ops/chain.h): constants 0 to 4 are the epilogue's, bindings
 * 3 and 4 its operands unless the shader names others. The steps are specialization constants, so that drivers fold all that is
 * not asked for.
 */
#include "chain.glsl"

KILN_CONSTANT(0, EPILOGUE);
KILN_CONSTANT(1, EPILOGUE_STEP0);
KILN_CONSTANT(2, EPILOGUE_STEP1);
KILN_CONSTANT(3, EPILOGUE_STEP2);
KILN_CONSTANT(4, EPILOGUE_STEP3);

#ifndef KILN_EPILOGUE_SLOT0
#define KILN_EPILOGUE_SLOT0 3
#define KILN_EPILOGUE_SLOT1 4
#endif
KILN_IN_ANY(KILN_EPILOGUE_SLOT0, first_operand);
KILN_IN_ANY(KILN_EPILOGUE_SLOT1, second_operand);

const uint EPILOGUE_OPERANDS = EPILOGUE & 15u;
const uint EPILOGUE_STEPS = (EPILOGUE >> 8) & 255u;
const uint EPILOGUE_WALK1 = (EPILOGUE >> 16) & 15u;
const uint EPILOGUE_WALK2 = (EPILOGUE >> 20) & 15u;
const uint EPILOGUE_RESULT = EPILOGUE >> 24;

uint kiln_epilogue_place(uint walk, uint flat_index, uint row, uint column)
{
    return walk == KILN_WALK_FLAT ? flat_index : walk == KILN_WALK_ROW ? row : walk == KILN_WALK_COLUMN ? column : 0u;
}

uint kiln_epilogue_step(uint step, uint r[KILN_REGISTER_IMMEDIATE + 4])
{
    return kiln_step_run(KILN_STEP_CODE(step), r[KILN_STEP_A(step)], r[KILN_STEP_B(step)], r[KILN_STEP_C(step)]);
}

/* What is read of an operand by its walk. */
uint kiln_epilogue_first(uint flat_index, uint row, uint column)
{
    const uint at = kiln_epilogue_place(EPILOGUE_WALK1, flat_index, row, column);
    return EPILOGUE_OPERANDS > 1 ? KILN_LOAD(KILN_EPILOGUE_SLOT0, first_operand, at) : 0u;
}

uint kiln_epilogue_second(uint flat_index, uint row, uint column)
{
    const uint at = kiln_epilogue_place(EPILOGUE_WALK2, flat_index, row, column);
    return EPILOGUE_OPERANDS > 2 ? KILN_LOAD(KILN_EPILOGUE_SLOT1, second_operand, at) : 0u;
}

/* The registers behind the value and its operands: the immediates, as OF gives numbers of their bits, and what the steps make, by RUN. */
#define KILN_EPILOGUE_RUN(r, of, run)                          \
    r[KILN_REGISTER_IMMEDIATE + 0] = of(p.immediate0);         \
    r[KILN_REGISTER_IMMEDIATE + 1] = of(p.immediate1);         \
    r[KILN_REGISTER_IMMEDIATE + 2] = of(p.immediate2);         \
    r[KILN_REGISTER_IMMEDIATE + 3] = of(p.immediate3);         \
    r[KILN_REGISTER_STEP + 0] = run(EPILOGUE_STEP0, r);        \
    if (EPILOGUE_STEPS > 1)                                    \
        r[KILN_REGISTER_STEP + 1] = run(EPILOGUE_STEP1, r);    \
    if (EPILOGUE_STEPS > 2)                                    \
        r[KILN_REGISTER_STEP + 2] = run(EPILOGUE_STEP2, r);    \
    if (EPILOGUE_STEPS > 3)                                    \
        r[KILN_REGISTER_STEP + 3] = run(EPILOGUE_STEP3, r)

/* The bits of what is stored for `value`, given the operands. */
uint kiln_epilogue_of(float value, uint first, uint second)
{
    if (EPILOGUE_STEPS == 0)
        return floatBitsToUint(value);

    uint r[KILN_REGISTER_IMMEDIATE + 4];
    r[0] = floatBitsToUint(value);
    r[1] = first;
    r[2] = second;
    KILN_EPILOGUE_RUN(r, uint, kiln_epilogue_step);
    return r[EPILOGUE_RESULT];
}

/* The bits of what is stored for `value` at element flat_index, in that row and column of the output (see KILN_WALK_FLAT). */
uint kiln_epilogue(float value, uint flat_index, uint row, uint column)
{
    return kiln_epilogue_of(value, kiln_epilogue_first(flat_index, row, column), kiln_epilogue_second(flat_index, row, column));
}

/* Where many results share a row or a column: the operands that are one for all of them, read once, .. */
bool kiln_epilogue_is_common(uint walk, uint shared_walk) { return walk == shared_walk || walk == KILN_WALK_SCALAR; }

uvec2 kiln_epilogue_common(uint walk, uint place)
{
    return uvec2(kiln_epilogue_is_common(EPILOGUE_WALK1, walk) ? kiln_epilogue_first(0u, place, place) : 0u,
                 kiln_epilogue_is_common(EPILOGUE_WALK2, walk) ? kiln_epilogue_second(0u, place, place) : 0u);
}

/* .. and what is stored for one of them. */
uint kiln_epilogue_with(float value, uint walk, uvec2 known, uint flat_index, uint row, uint column)
{
    return kiln_epilogue_of(
        value, kiln_epilogue_is_common(EPILOGUE_WALK1, walk) ? known.x : kiln_epilogue_first(flat_index, row, column),
        kiln_epilogue_is_common(EPILOGUE_WALK2, walk) ? known.y : kiln_epilogue_second(flat_index, row, column));
}
