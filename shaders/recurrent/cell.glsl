/*
 * cell.glsl - what the shaders of recurrent share: the constants, squashings and their slopes, times and rows.
 */
#include "math.glsl"

KILN_CONSTANT(0, CELL);
KILN_CONSTANT(1, SQUASH_F);
KILN_CONSTANT(2, SQUASH_G);
KILN_CONSTANT(3, SQUASH_H);
KILN_CONSTANT(4, FLAGS);

#define HAS(flag) ((FLAGS & KILN_RECURRENT_##flag) != 0u)
#define IS(cell) (CELL == KILN_CELL_##cell)

#define MOST_GATES 4u
#define GATES (IS(RNN) ? 1u : IS(LSTM) ? 4u : 3u)       /* states a row of x */
#define WIDTH (IS(RNN) ? 2u : IS(LSTM) ? 6u : 5u)       /* of saved */
#define FOURS ((p.hidden + 3u) / 4u)

float kiln_limited(float x)
{
    return !HAS(CLIPPED) ? x : x < -p.clip ? -p.clip : x > p.clip ? p.clip : x;
}

float kiln_squashed(uint code, float x, float alpha, float beta)
{
    x = kiln_limited(x);
    if (code == KILN_CODE_SIGMOID)
        return kiln_sigmoid(x);
    if (code == KILN_CODE_TANH || code == KILN_CODE_SCALED_TANH) {
        const float y = kiln_tanh(code == KILN_CODE_TANH ? x : beta * x);
        return code == KILN_CODE_TANH ? y : alpha * y;
    }
    if (code == KILN_CODE_RELU)
        return x < 0.0 ? 0.0 : x;
    if (code == KILN_CODE_LEAKY_RELU)
        return x < 0.0 ? alpha * x : x;
    if (code == KILN_CODE_THRESHOLDED_RELU)
        return x <= alpha ? 0.0 : x;
    if (code == KILN_CODE_ELU)
        return x < 0.0 ? alpha * kiln_expm1(x) : x;
    if (code == KILN_CODE_HARD_SIGMOID) {
        x = alpha * x + beta;
        return x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x;
    }
    if (code == KILN_CODE_SOFTSIGN)
        return x / (1.0 + abs(x));
    if (code == KILN_CODE_SOFTPLUS)
        return kiln_softplus(x);
    return alpha * x + beta;
}

/* The slope where a squashing has the value y. */
float kiln_slope(uint code, float y, float alpha, float beta)
{
    if (code == KILN_CODE_SIGMOID)
        return y * (1.0 - y);
    if (code == KILN_CODE_TANH)
        return 1.0 - y * y;
    if (code == KILN_CODE_RELU)
        return y > 0.0 ? 1.0 : 0.0;
    if (code == KILN_CODE_LEAKY_RELU)
        return y > 0.0 ? 1.0 : alpha;
    if (code == KILN_CODE_THRESHOLDED_RELU)
        return y != 0.0 ? 1.0 : 0.0;
    if (code == KILN_CODE_ELU)
        return y > 0.0 ? 1.0 : y + alpha;
    if (code == KILN_CODE_HARD_SIGMOID)
        return y > 0.0 && y < 1.0 ? alpha : 0.0;
    if (code == KILN_CODE_SCALED_TANH)
        return alpha != 0.0 ? beta * (alpha - y * y / alpha) : 0.0;
    if (code == KILN_CODE_SOFTSIGN)
        return (1.0 - abs(y)) * (1.0 - abs(y));
    if (code == KILN_CODE_SOFTPLUS)
        return 1.0 - kiln_exp(-y);
    return alpha;
}

float kiln_f(float x) { return kiln_squashed(SQUASH_F, x, p.f_alpha, p.f_beta); }
float kiln_g(float x) { return kiln_squashed(SQUASH_G, x, p.g_alpha, p.g_beta); }
float kiln_h(float x) { return kiln_squashed(SQUASH_H, x, p.h_alpha, p.h_beta); }

/* What is saved of a gate that was given x and has the value y ... */
float kiln_kept(float x, float y) { return HAS(CLIPPED) ? x : y; }

/* ... and from it the value and the slope again. */
struct kiln_gate {
    float value, slope;
};

kiln_gate kiln_gate_of(uint code, float kept, float alpha, float beta)
{
    const float value = HAS(CLIPPED) ? kiln_squashed(code, kept, alpha, beta) : kept;
    const float slope = kiln_slope(code, value, alpha, beta);
    return kiln_gate(value, HAS(CLIPPED) && abs(kept) > p.clip ? 0.0 : slope);
}

kiln_gate kiln_f_gate(float kept) { return kiln_gate_of(SQUASH_F, kept, p.f_alpha, p.f_beta); }
kiln_gate kiln_g_gate(float kept) { return kiln_gate_of(SQUASH_G, kept, p.g_alpha, p.g_beta); }

/* The sequences of this workgroup, in one direction. Behind the last one it is repeated and not stored. */
uint direction, own_direction;
uint first_row, stored_rows;
uint until[ROWS];                       /* steps of each */

uint kiln_sequence(uint r) { return first_row + min(r, stored_rows - 1u); }

/* Take slice `index` of rows: the slices of a direction lie side by side. */
#define KILN_TAKE_ROWS(index, lengths)                                                                               \
    {                                                                                                                \
        const uint slices = (p.rows + ROWS - 1u) / ROWS, slice = (index) % slices;                                   \
        own_direction = (index) / slices;                                                                            \
        direction = p.first_direction + own_direction;                                                               \
        first_row = p.first_row + slice * ROWS;                                                                      \
        stored_rows = min(ROWS, p.rows - slice * ROWS);                                                              \
        [[unroll]] for (uint r = 0u; r < ROWS; r++)                                                                  \
            until[r] = HAS(LENGTHS) ? uint(max(lengths[kiln_sequence(r)], 0)) : 0xffffffffu;                         \
    }

/* The time of step s; the gradient's steps go the other way. */
uint kiln_time(uint s, bool gradient)
{
    const bool reversed = direction == 1u || HAS(REVERSED);
    return reversed == gradient ? p.start + s : p.start_back - s;
}

/* The row of x, y and their like. */
uint kiln_row(uint t, uint r)
{
    return (t * p.time_step + kiln_sequence(r) * p.row_step - p.skipped) * p.directions + direction;
}

/* Unit 0 of a state: kind 0 is h, 1 is c. */
uint kiln_state(uint kind, uint r)
{
    return ((kind * p.directions + direction) * p.sequences + kiln_sequence(r)) * p.hidden;
}

/* The packed weights of this direction begin here, in fours. */
uint kiln_weights() { return own_direction * ((GATES * FOURS * 4u * p.units + 63u) / 64u * 16u); }
