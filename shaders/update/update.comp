#version 450
/*
 * update - one step of an optimizer (update.h).
 *
 * bindings   0: table in    1: scalars in    2: gradients in    3: parameters    4: factor in (else anything)
 *            5, 6: state, as many as STATES
 * dispatch   one workgroup a row of the table; its lanes stride along the row
 * numerics   float; square root and division as the device has them
 * variants   STATES = 0, 1, 2
 */
#include "kiln.glsl"
#include "update.h"

KILN_CONSTANT(0, OPTIMIZER);
KILN_CONSTANT(1, CLIPPED);
KILN_CONSTANT(2, SCALED);
KILN_CONSTANT(3, GUARDED);
KILN_IN(0, uint, table);
KILN_IN(1, float, scalars);
KILN_IN(2, float, gradients);
KILN_INOUT(3, float, parameters);
KILN_IN(4, float, factors);
#if STATES >= 1
KILN_INOUT(5, float, state);
#endif
#if STATES >= 2
KILN_INOUT(6, float, state2);
#endif

/* The step of element `at`, before the rate, from its gradient. */
float direction(uint at, float g)
{
#if STATES == 0
    return g;
#elif STATES == 1
    if (OPTIMIZER == KILN_UPDATE_RMSPROP) {
        const float v = p.beta2 * state[at] + p.rest2 * g * g;
        state[at] = v;
        return g / (sqrt(v) / sqrt(scalars[KILN_SCALAR_C2]) + p.epsilon);
    }
    const float m = p.beta1 * state[at] + p.rest1 * g;
    state[at] = m;
    return OPTIMIZER == KILN_UPDATE_NESTEROV ? g + p.beta1 * m : m;
#else
    const float m = p.beta1 * state[at] + p.rest1 * g, v = p.beta2 * state2[at] + p.rest2 * g * g;
    state[at] = m;
    state2[at] = v;
    return m / (sqrt(v) / sqrt(scalars[KILN_SCALAR_C2]) + p.epsilon);
#endif
}

void main()
{
    KILN_GROUP(group);
    if (GUARDED != 0 && scalars[KILN_SCALAR_GO] == 0.0)
        return;
    const uint row = group * KILN_ROW_WORDS, count = table[row + KILN_ROW_COUNT];
    const uint to = table[row + KILN_ROW_PARAMETER], from = table[row + KILN_ROW_GRADIENT];
    const float decay = uintBitsToFloat(table[row + KILN_ROW_DECAY]);
    const float rate = scalars[KILN_SCALAR_RATE] * uintBitsToFloat(table[row + KILN_ROW_RATE]);
    const float unscale = GUARDED != 0 ? scalars[KILN_SCALAR_UNSCALE] : 1.0;
    const float factor = SCALED != 0 ? factors[0] : 1.0;
    const bool adaptive = OPTIMIZER == KILN_UPDATE_ADAM || OPTIMIZER == KILN_UPDATE_ADAMW;
    const float pace = adaptive ? rate / scalars[KILN_SCALAR_C1] : rate;

    for (uint i = LANE; i < count; i += LANES) {
        float value = parameters[to + i], g = gradients[from + i];
        if (GUARDED != 0)
            g *= unscale;
        if (CLIPPED != 0)
            g = kiln_max(kiln_min(g, p.clip), -p.clip);
        g *= factor;
        if (OPTIMIZER == KILN_UPDATE_ADAMW)
            value -= rate * decay * value;
        else
            g += decay * value;
        parameters[to + i] = value - pace * direction(to + i, g);
    }
}
