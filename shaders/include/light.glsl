/*
 * light.glsl - an epilogue on four results side by side at once, where all of its steps are light ones: sums, products, bounds, what
 * is made of these, and the usual activations. The others would be too long to stand in a shader several times. Include it behind
 * epilogue.glsl.
 */
#include "four.glsl"
#include "math_four.glsl"

bool kiln_is_light(uint code)
{
    return code <= KILN_STEP_MIN_F || code == KILN_STEP_RELU_F || code == KILN_STEP_CLIP_F || code == KILN_STEP_LEAKY_RELU_F ||
           code == KILN_STEP_HARD_SWISH_F || code == KILN_STEP_HARD_SIGMOID_F || code == KILN_STEP_TANH_F ||
           code == KILN_STEP_SIGMOID_F || code == KILN_STEP_SILU_F || code == KILN_STEP_GELU_F || code == KILN_STEP_GELU_TANH_F;
}

/* Steps that are not there have code 0. */
bool kiln_epilogue_is_light()
{
    return kiln_is_light(KILN_STEP_CODE(EPILOGUE_STEP0)) && kiln_is_light(KILN_STEP_CODE(EPILOGUE_STEP1)) &&
           kiln_is_light(KILN_STEP_CODE(EPILOGUE_STEP2)) && kiln_is_light(KILN_STEP_CODE(EPILOGUE_STEP3));
}

/* As kiln_relu. */
vec4 kiln_relu_four(vec4 a)
{
    return mix(vec4(0), a, greaterThan(floatBitsToUint(a) ^ 0x80000000u, uvec4(KILN_INFINITY_BITS)));
}

vec4 kiln_hard_sigmoid_four(vec4 a, vec4 b, vec4 c) { return kiln_min_four(kiln_max_four(a * b + c, vec4(0)), vec4(1)); }

/* As kiln_step_run. */
vec4 kiln_light_run(uint code, vec4 a, vec4 b, vec4 c)
{
    switch (code) {
    case KILN_STEP_ADD_F: return a + b;
    case KILN_STEP_SUB_F: return a - b;
    case KILN_STEP_MUL_F: return a * b;
    case KILN_STEP_DIV_F: return a / b;
    case KILN_STEP_MAX_F: return kiln_max_four(a, b);
    case KILN_STEP_MIN_F: return kiln_min_four(a, b);
    case KILN_STEP_RELU_F: return kiln_relu_four(a);
    case KILN_STEP_CLIP_F: return kiln_min_four(kiln_max_four(a, b), c);
    case KILN_STEP_LEAKY_RELU_F: return mix(a * b, a, greaterThan(a, vec4(0)));
    case KILN_STEP_HARD_SWISH_F: return a * kiln_hard_sigmoid_four(a, vec4(0.166666667), vec4(0.5));
    case KILN_STEP_HARD_SIGMOID_F: return kiln_hard_sigmoid_four(a, b, c);
    case KILN_STEP_TANH_F: return kiln_tanh_four(a);
    case KILN_STEP_SIGMOID_F: return kiln_sigmoid_four(a);
    case KILN_STEP_SILU_F: return kiln_silu_four(a, b);
    case KILN_STEP_GELU_F: return kiln_gelu_four(a);
    case KILN_STEP_GELU_TANH_F: return kiln_gelu_tanh_four(a);
    }
    return a;
}

vec4 kiln_light_step(uint step, vec4 r[KILN_REGISTER_IMMEDIATE + 4])
{
    return kiln_light_run(KILN_STEP_CODE(step), r[KILN_STEP_A(step)], r[KILN_STEP_B(step)], r[KILN_STEP_C(step)]);
}

/* One number for all four. */
#define KILN_LIGHT_OF(bits) vec4(uintBitsToFloat(bits))

/* An operand at four results, of which `count` are there. */
vec4 kiln_light_first(uint flat_index, uint row, uint column, uint count)
{
    vec4 four;
    [[unroll]] for (uint j = 0; j < 4; j++)
        four[j] = uintBitsToFloat(kiln_epilogue_first(flat_index + min(j, count - 1u), row, column + min(j, count - 1u)));
    return four;
}

vec4 kiln_light_second(uint flat_index, uint row, uint column, uint count)
{
    vec4 four;
    [[unroll]] for (uint j = 0; j < 4; j++)
        four[j] = uintBitsToFloat(kiln_epilogue_second(flat_index + min(j, count - 1u), row, column + min(j, count - 1u)));
    return four;
}

/* The bits of what is stored for a four, given the operands. */
uvec4 kiln_epilogue_light(vec4 value, vec4 first, vec4 second)
{
    if (EPILOGUE_STEPS == 0)
        return floatBitsToUint(value);

    vec4 r[KILN_REGISTER_IMMEDIATE + 4];
    r[0] = value;
    r[1] = first;
    r[2] = second;
    KILN_EPILOGUE_RUN(r, KILN_LIGHT_OF, kiln_light_step);
    return floatBitsToUint(r[EPILOGUE_RESULT]);
}

/* Likewise for one of which `count` are there, and which share a row or column whose operands are known. */
uvec4 kiln_epilogue_light_with(vec4 value, uint walk, uvec2 known, uint flat_index, uint row, uint column, uint count)
{
    return kiln_epilogue_light(value,
                               kiln_epilogue_is_common(EPILOGUE_WALK1, walk) ? KILN_LIGHT_OF(known.x)
                                                                             : kiln_light_first(flat_index, row, column, count),
                               kiln_epilogue_is_common(EPILOGUE_WALK2, walk) ? KILN_LIGHT_OF(known.y)
                                                                             : kiln_light_second(flat_index, row, column, count));
}

/* Store the four at `at`, or with `ones` those `count` of it that are there. */
#define KILN_SAVE_LIGHT(slot, name, at, bits, count, ones)                                                           \
    if (!(ones)) {                                                                                                   \
        KILN_SAVE_FOUR(slot, name, (at) / 4u, bits);                                                                 \
    } else {                                                                                                         \
        [[unroll]] for (uint j = 0; j < 4; j++)                                                                      \
            if (j < (count)) {                                                                                       \
                KILN_SAVE(slot, name, (at) + j, bits[j]);                                                            \
            }                                                                                                        \
    }

/*
 * Store those `count` results of a line that are there, finished, from `at` on, all of them in one column whose operands are known. An
 * epilogue that is not light is long: it stands in a loop.
 */
#define KILN_SAVE_LINE(slot, name, at, line, known, column, count, ones)                                                          \
    if (kiln_epilogue_is_light()) {                                                                                               \
        const uvec4 bits = kiln_epilogue_light_with(line, KILN_WALK_COLUMN, known, at, 0u, column, count);                        \
        KILN_SAVE_LIGHT(slot, name, at, bits, count, ones);                                                                       \
    } else {                                                                                                                      \
        [[dont_unroll]] for (uint j = 0; j < (count); j++)                                                                        \
            KILN_SAVE(slot, name, (at) + j, kiln_epilogue_with(line[j], KILN_WALK_COLUMN, known, (at) + j, 0u, column));          \
    }
