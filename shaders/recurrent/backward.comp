#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * recurrent_grad - steps of some sequences back through time: the slopes of the gates, and the products that hand their gradients
 * on to the state before, in one kernel.
 *
 * A lane computes UNITS units for ROWS sequences. The gates' gradients of a step lie in shared memory, where all units of the
 * state before read them; what the state's gradient gets otherwise is its own lane's, and stays in dstates.
 *
 * bindings   0: w, packed    1: vectors    2: lengths    3: saved    4: dy    5: dstates    6: dx    7: extra
 * dispatch   a workgroup a slice of ROWS sequences, all units and steps; with STEP a slice and LANES units, one step
 * variants   -DTEXELS: w through a texel buffer
 */
#include "kiln.glsl"
#include "recurrent.h"

KILN_TUNING(0, ROWS, 1);
KILN_TUNING(1, UNITS, 1);

#include "cell.glsl"

#ifdef TEXELS
KILN_TEXELS(0, w);
#define W(i) texelFetch(w, int(i))
#else
KILN_IN(0, vec4, w);
#define W(i) w[i]
#endif
KILN_IN(1, T, vectors);
KILN_IN(2, int, lengths);
KILN_IN(3, T, saved);
KILN_IN(4, T, dy);
KILN_INOUT(5, T, dstates);
KILN_INOUT(6, T, dx);
KILN_INOUT(7, T, extra);

#define RESETS_AFTER (IS(GRU) && !HAS(RESET_BEFORE))
#define PULLED (HAS(RESET_BEFORE) ? 2u : GATES)         /* gates whose product goes to the state before */

#define ROOM 1024u                      /* fours of shared memory */
#define CHUNK 64u                       /* fours of a row that are there at a time, with STEP */
shared vec4 d[ROOM];

#define MOST_ROWS 8u
#define MOST_UNITS 4u
float sum[MOST_UNITS * MOST_ROWS];      /* the product for unit i of the lane and row r */
#define SUM(i, r) sum[(i) * MOST_ROWS + (r)]

uint first_unit;                        /* of this lane; its others lie LANES apart */
uint kiln_unit(uint i) { return first_unit + i * LANES; }
bool kiln_is_unit(uint i) { return kiln_unit(i) < p.first_unit + p.units; }

/* Add fours [begin, begin + count) of the product of a gate's gradients, which lie at `at`, row after row. */
void multiply(uint gate, uint at, uint row_fours, uint begin, uint count)
{
    uint from[MOST_UNITS];
    [[unroll]] for (uint i = 0u; i < MOST_UNITS; i++)
        from[i] = kiln_weights() + (gate * FOURS + begin) * p.units +
                  min(kiln_unit(kiln_is_unit(i) ? i : 0u) - p.first_unit, p.units - 1u);
    for (uint q = 0u; q < count; q++) {
        vec4 four[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            four[r] = d[at + r * row_fours + q];
        [[unroll]] for (uint i = 0u; i < MOST_UNITS; i++) {
            if (i >= UNITS)
                continue;
            const vec4 weights = W(from[i] + q * p.units);
            [[unroll]] for (uint r = 0u; r < ROWS; r++)
                SUM(i, r) += dot(weights, four[r]);
        }
    }
}

#ifdef STEP

/* What the product of a gate with the state got at time t, unit k. */
float operand(uint gate, uint t, uint r, uint k)
{
    const uint row = kiln_row(t, r);
    if (k >= p.hidden)
        return 0.0;
    return gate == 2u && RESETS_AFTER ? float(extra[row * p.hidden + k]) : float(dx[(row * GATES + gate) * p.hidden + k]);
}

void product(uint gate, uint t)
{
    for (uint begin = 0u; begin < FOURS; begin += CHUNK) {
        barrier();
        for (uint i = LANE; i < ROWS * CHUNK * 4u; i += LANES)
            d[i / 4u][i & 3u] = operand(gate, t, i / (CHUNK * 4u), begin * 4u + i % (CHUNK * 4u));
        barrier();
        multiply(gate, 0u, CHUNK, begin, min(CHUNK, FOURS - begin));
    }
}

void share(uint gate, uint r, uint unit, float value) {}

#else

void product(uint gate, uint t) { multiply(gate, gate * FOURS, GATES * FOURS, 0u, FOURS); }

void share(uint gate, uint r, uint unit, float value)
{
    d[(r * GATES + gate) * FOURS + unit / 4u][unit & 3u] = value;
}

#endif

/* A step of one unit of one row. */
struct cell {
    uint r, row, unit;
};

float saved_of(cell c, uint slot) { return float(saved[(c.row * WIDTH + slot) * p.hidden + c.unit]); }
float vector_of(cell c, uint k)
{
    return HAS(VECTORS) ? float(vectors[(direction * 3u + k) * p.hidden + c.unit]) : 0.0;
}
uint state_of(cell c, uint kind) { return kiln_state(kind, c.r) + c.unit; }
void set(cell c, uint gate, float value) { dx[(c.row * GATES + gate) * p.hidden + c.unit] = T(value); }

/* Of a gate whose own gradient is also that of its product. */
void set_both(cell c, uint gate, float value)
{
    set(c, gate, value);
    share(gate, c.r, c.unit, value);
}

void rnn(cell c, float dh)
{
    set_both(c, 0u, dh * kiln_f_gate(saved_of(c, 0u)).slope);
    dstates[state_of(c, 0u)] = T(0.0);
}

void add_peephole(cell c, uint k, float value)
{
    const uint at = ((direction * p.sequences + kiln_sequence(c.r)) * 3u + k) * p.hidden + c.unit;
    extra[at] = T(float(extra[at]) + value);
}

void lstm(cell c, float dh)
{
    const float before = saved_of(c, 4u);
    const kiln_gate i = kiln_f_gate(saved_of(c, 0u)), g = kiln_g_gate(saved_of(c, 2u)), o = kiln_f_gate(saved_of(c, 3u));
    kiln_gate f = kiln_f_gate(saved_of(c, 1u));
    if (HAS(COUPLED))
        f = kiln_gate(1.0 - i.value, 0.0);
    const float behind = f.value * before + i.value * g.value, h = kiln_h(behind);
    const float slope = kiln_slope(SQUASH_H, h, p.h_alpha, p.h_beta);

    const float d_o = dh * h * o.slope;
    const float dc = float(dstates[state_of(c, 1u)]) + d_o * vector_of(c, 2u) +
                     dh * o.value * (HAS(CLIPPED) && abs(behind) > p.clip ? 0.0 : slope);
    const float di = dc * (HAS(COUPLED) ? g.value - before : g.value) * i.slope, df = dc * before * f.slope;
    set_both(c, 0u, di);
    set_both(c, 1u, df);
    set_both(c, 2u, dc * i.value * g.slope);
    set_both(c, 3u, d_o);
    dstates[state_of(c, 0u)] = T(0.0);
    dstates[state_of(c, 1u)] = T(dc * f.value + di * vector_of(c, 0u) + df * vector_of(c, 1u));
    if (HAS(VECTORS)) {
        add_peephole(c, 0u, di * before);
        add_peephole(c, 1u, df * before);
        add_peephole(c, 2u, d_o * behind);
    }
}

void gru(cell c, float dh)
{
    const kiln_gate z = kiln_f_gate(saved_of(c, 1u)), n = kiln_g_gate(saved_of(c, 2u));
    const float dn = dh * (1.0 - z.value) * n.slope;
    set_both(c, 1u, dh * (saved_of(c, 4u) - n.value) * z.slope);
    set(c, 2u, dn);
    dstates[state_of(c, 0u)] = T(dh * z.value);
    if (HAS(RESET_BEFORE)) {
        share(2u, c.r, c.unit, dn);
        return;
    }
    const kiln_gate r = kiln_f_gate(saved_of(c, 0u));
    set_both(c, 0u, dn * saved_of(c, 3u) * r.slope);
    extra[c.row * p.hidden + c.unit] = T(dn * r.value);
    share(2u, c.r, c.unit, dn * r.value);
}

/* RESET_BEFORE: back through r h. */
void gru_reset(cell c, float drh)
{
    const kiln_gate r = kiln_f_gate(saved_of(c, 0u));
    set_both(c, 0u, drh * saved_of(c, 4u) * r.slope);
    const uint at = state_of(c, 0u);
    dstates[at] = T(float(dstates[at]) + drh * r.value);
}

void rest(cell c)
{
    for (uint gate = 0u; gate < GATES; gate++)
        set(c, gate, 0.0);
    if (RESETS_AFTER)
        extra[c.row * p.hidden + c.unit] = T(0.0);
}

/* The sums in a copy, which loops that are not unrolled may walk, while the sums themselves stay in registers. */
float result[MOST_UNITS * MOST_ROWS];

void begin()
{
    [[unroll]] for (uint i = 0u; i < MOST_UNITS * MOST_ROWS; i++)
        sum[i] = 0.0;
}

void end()
{
    [[unroll]] for (uint i = 0u; i < MOST_UNITS * MOST_ROWS; i++)
        result[i] = sum[i];
}

/* Walk what the lane computes: unit `k` and row `r`. */
#define EACH_RESULT(i)                                                                                               \
    [[dont_unroll]] for (uint i = 0u; i < UNITS * stored_rows && kiln_is_unit(i / stored_rows); i++)
cell cell_of(uint i, uint t)
{
    const uint r = i % stored_rows;
    return cell(r, kiln_row(t, r), kiln_unit(i / stored_rows));
}
#define RESULT(i) result[(i) / stored_rows * MOST_ROWS + (i) % stored_rows]

/* Add the products of the gates at t to the gradient of the state before. */
void pull(uint t)
{
    begin();
    for (uint gate = 0u; gate < PULLED; gate++)
        product(gate, t);
    end();
    EACH_RESULT(i) {
        const uint r = i % stored_rows, at = kiln_state(0u, r) + kiln_unit(i / stored_rows);
        if (t < until[r])
            dstates[at] = T(float(dstates[at]) + RESULT(i));
    }
}

/* The step's gates but for what waits for another product. */
void run_first(uint t)
{
    EACH_RESULT(i) {
        const cell c = cell_of(i, t);
        if (t >= until[c.r]) {
            rest(c);
            continue;
        }
        const float dh = float(dstates[state_of(c, 0u)]) + (HAS(DY) ? float(dy[c.row * p.hidden + c.unit]) : 0.0);
        if (IS(RNN))
            rnn(c, dh);
        else if (IS(LSTM))
            lstm(c, dh);
        else
            gru(c, dh);
    }
}

void run_second(uint t)
{
    begin();
    product(2u, t);
    end();
    EACH_RESULT(i) {
        const cell c = cell_of(i, t);
        if (t < until[c.r])
            gru_reset(c, RESULT(i));
    }
}

#ifdef STEP

void main()
{
    KILN_GROUP(group);
    const uint share = LANES * UNITS, blocks = (p.units + share - 1u) / share;
    KILN_TAKE_ROWS(group / blocks, lengths);
    first_unit = p.first_unit + group % blocks * share + LANE;
    if (HAS(ENTER) || HAS(LEAVE))
        pull(kiln_time(0xffffffffu, true));
    if (HAS(FIRST))
        run_first(kiln_time(0u, true));
    if (HAS(SECOND))
        run_second(kiln_time(0u, true));
}

#else

void main()
{
    KILN_GROUP(group);
    KILN_TAKE_ROWS(group, lengths);
    for (uint i = LANE; i < ROWS * GATES * FOURS; i += LANES)
        d[i] = vec4(0.0);
    barrier();
    for (uint s = 0u; s <= p.steps; s++) {
        const uint t = kiln_time(s, true);
        for (first_unit = LANE; s > 0u && first_unit < p.hidden; first_unit += LANES * UNITS)
            pull(kiln_time(s - 1u, true));
        if (s == p.steps)
            break;
        barrier();
        for (first_unit = LANE; first_unit < p.hidden; first_unit += LANES * UNITS)
            run_first(t);
        barrier();
        if (HAS(SECOND)) {
            for (first_unit = LANE; first_unit < p.hidden; first_unit += LANES * UNITS)
                run_second(t);
            barrier();
        }
    }
}

#endif
