#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * ctc - the rows of a sequence, frame after frame (ctc.h).
 *
 * A workgroup's lanes take neighbouring states, EACH of them at a time; the row is rewritten in place, from the last states to
 * the first, because a state follows from itself and the two before it.
 *
 * dispatch   a workgroup a sequence
 * variants   the row lies in shared memory; with LONG, for more states than that holds, in `state`
 */
#include "kiln.glsl"
#include "ctc.h"
#include "math.glsl"
#include "group.glsl"

KILN_IN_ANY(0, x);
KILN_IN(1, uint, target);
KILN_IN(2, uint, lengths);
#ifdef LONG
layout(std430, set = 0, binding = 3) coherent buffer kiln_inout_state { float state[]; };
#else
KILN_INOUT(3, float, state);
#endif
KILN_OUT(4, float, rows);
KILN_OUT_ANY(5, loss);

#define KILN_CTC_X(i) uintBitsToFloat(KILN_LOAD(0, x, i))
#include "ctc.glsl"

#define EACH 8u
#define ROOM 1024u                      /* states that shared memory holds */

#ifdef LONG
#define ROW(s) state[own_state + (s)]
#define ROW_BARRIER()                                                                                                \
    memoryBarrierBuffer();                                                                                           \
    barrier()
#else
shared float slot[ROOM];
#define ROW(s) slot[s]
#define ROW_BARRIER() barrier()
#endif

uint own_state;                         /* where this sequence's begins */
float level, lost;                      /* what was taken away from the row, and what the sum lost (Kahan) */

/* log(exp a + exp b + exp c) */
float kiln_log_sum(float a, float b, float c)
{
    const float peak = kiln_max(kiln_max(a, b), c), base = peak == KILN_MINUS_INFINITY ? 0.0 : peak;
    return base + kiln_log(kiln_exp(a - base) + kiln_exp(b - base) + kiln_exp(c - base));
}

/* State s of the order of the recursion, which BACK runs from the other end. */
uint turned(sequence q, uint s) { return HAS(KILN_CTC_BACK) ? q.states - 1u - s : s; }

float next_of(sequence q, uint t, uint s)
{
    const uint own = kiln_class(q, turned(q, s));
    const bool skips = (s & 1u) != 0u && s > 2u && own != kiln_class(q, turned(q, s - 2u));
    const float one = s > 0u ? ROW(s - 1u) : KILN_MINUS_INFINITY, two = skips ? ROW(s - 2u) : KILN_MINUS_INFINITY;
    return kiln_said(q, t, own) + kiln_log_sum(ROW(s), one, two);
}

void advance(sequence q, uint t)
{
    const uint block = LANES * EACH;
    for (uint end = (q.states + block - 1u) / block * block; end > 0u; end -= block) {
        const uint from = end - block + LANE;
        float next[EACH];
        [[unroll]] for (uint k = 0u; k < EACH; k++)
            if (from + k * LANES < q.states)
                next[k] = next_of(q, t, from + k * LANES);
        ROW_BARRIER();
        [[unroll]] for (uint k = 0u; k < EACH; k++)
            if (from + k * LANES < q.states)
                ROW(from + k * LANES) = next[k];
        ROW_BARRIER();
    }
}

void take_largest_away(sequence q)
{
    float largest = KILN_MINUS_INFINITY;
    for (uint s = LANE; s < q.states; s += LANES)
        largest = kiln_max(largest, ROW(s));
    largest = kiln_group_max(largest);
    if (largest == KILN_MINUS_INFINITY)
        return;
    for (uint s = LANE; s < q.states; s += LANES)
        ROW(s) -= largest;
    precise const float added = largest - lost;
    precise const float sum = level + added;
    precise const float kept = sum - level;
    lost = kept - added;
    level = sum;
    ROW_BARRIER();
}

/* Row t: this sequence's first `states`, in their own order, and nothing behind them. */
void keep(sequence q, uint t, uint states)
{
    const uint all = 2u * p.labels + 1u, at = p.row_skip + ((t - p.first) * p.sequences + q.n) * all;
    for (uint s = LANE; s < all; s += LANES)
        rows[at + s] = s < states ? ROW(turned(q, s)) : KILN_MINUS_INFINITY;
}

/* Before the first frame. */
void begin(sequence q)
{
    const uint all = 2u * p.labels + 1u;
    const bool starts = HAS(KILN_CTC_BACK) ? p.first + p.count == p.frames : p.first == 0u;
    level = 0.0;
    lost = 0.0;
    if (starts) {
        for (uint s = LANE; s < all; s += LANES) {
            const float value = s > 0u ? KILN_MINUS_INFINITY : q.fits ? 0.0 : KILN_NAN;
            if (s < q.states)
                ROW(s) = value;
            state[own_state + s] = value;
        }
    } else {
        level = state[own_state + all];
#ifndef LONG
        for (uint s = LANE; s < q.states; s += LANES)
            ROW(s) = state[own_state + s];
#endif
    }
    ROW_BARRIER();
}

/* Behind the window's last frame. */
void end(sequence q)
{
    if (LANE == 0u && HAS(KILN_CTC_ENDS)) {
        const float last = ROW(q.states - 1u), other = q.states > 1u ? ROW(q.states - 2u) : KILN_MINUS_INFINITY;
        const float total = kiln_log_sum(last, other, KILN_MINUS_INFINITY);
        const bool none = total == KILN_MINUS_INFINITY;
        precise const float value = none ? HAS(KILN_CTC_FORGIVE) ? 0.0 : KILN_INFINITY : -((total - lost) + level);
        KILN_SAVE(5, loss, q.n, floatBitsToUint(value));
    }
#ifndef LONG
    for (uint s = LANE; s < q.states; s += LANES)
        state[own_state + s] = ROW(s);
#endif
    if (LANE == 0u)
        state[own_state + 2u * p.labels + 1u] = level;
}

void main()
{
    KILN_GROUP(n);
    const sequence q = kiln_sequence(n);
    const uint last = min(p.first + p.count, q.frames);
    own_state = n * (2u * p.labels + 2u);
    begin(q);
    for (uint t = p.first; t < last; t++) {
        const uint at = HAS(KILN_CTC_BACK) ? p.first + last - 1u - t : t;
        const uint done = HAS(KILN_CTC_BACK) ? q.frames - at : at + 1u;
        advance(q, at);
        if (done % KILN_CTC_SPAN == 0u)
            take_largest_away(q);
        if (HAS(KILN_CTC_KEEPS))
            keep(q, at, q.states);
    }
    for (uint t = max(p.first, q.frames); t < p.first + p.count && HAS(KILN_CTC_KEEPS); t++)
        keep(q, t, 0u);
    end(q);
}
