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
 * variants   -DTEXELS: w through a texel buffer    -DIMAGE: what all lanes read in an image instead of shared memory
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

#define COLUMNS UNITS
#define GATE(c) 0u
#include "product.glsl"

/* Add fours [begin, begin + count) of the product of a gate's gradients, which lie at `at`, row after row. */
void multiply(uint gate, uint at, uint row_fours, uint begin, uint count)
{
    uint from[MOST_COLUMNS];
    EACH_COLUMN(c)
        from[c] = kiln_weights() + (gate * FOURS + begin) * p.units + kiln_column(c);
    add_products(0u, 1u, at, row_fours, from, p.units, count);
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
            fours[i / 4u][i & 3u] = operand(gate, t, i / (CHUNK * 4u), begin * 4u + i % (CHUNK * 4u));
        barrier();
        multiply(gate, 0u, CHUNK, begin, min(CHUNK, FOURS - begin));
    }
}

void share(uint gate, uint r, uint unit, float value) {}

#else

void product(uint gate, uint t) { multiply(gate, gate * FOURS, GATES * FOURS, 0u, FOURS); }

#ifdef IMAGE
vec4 coming[MOST_GATES];                /* gates of the lane's units of the row, as they are computed */
void share(uint gate, uint r, uint unit, float value) { coming[gate][unit & 3u] = value; }
#else
void share(uint gate, uint r, uint unit, float value)
{
    fours[(r * GATES + gate) * FOURS + unit / 4u][unit & 3u] = value;
}
#endif

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
float result[MOST_COLUMNS * MOST_ROWS];

void end()
{
    EACH_COLUMN(c)
        EACH_ROW(r)
            result[c * MOST_ROWS + r] = SUM(c, r);
}

/* Walk what the lane computes: its units of a row. */
#define EACH_UNIT(i) [[dont_unroll]] for (uint i = 0u; i < UNITS && kiln_is_unit(i); i++)
cell cell_of(uint r, uint i, uint t) { return cell(r, kiln_row(t, r), kiln_unit(i)); }

void begin_row()
{
#ifdef IMAGE
    [[unroll]] for (uint g = 0u; g < MOST_GATES; g++)
        coming[g] = vec4(0.0);
#endif
}

/* Let all lanes see gates [first, end) of the row. */
void end_row(uint r, uint first, uint end)
{
#ifdef IMAGE
    [[unroll]] for (uint g = 0u; g < MOST_GATES; g++)
        if (g >= first && g < end)
            SET_FOUR((r * GATES + g) * FOURS + first_unit / 4u, coming[g]);
#endif
}

/* Add the products of the gates at t to the gradient of the state before. */
void pull(uint t)
{
    clear();
    for (uint gate = 0u; gate < PULLED; gate++)
        product(gate, t);
    end();
    [[dont_unroll]] for (uint r = 0u; r < stored_rows; r++)
        EACH_UNIT(i) {
            const uint at = kiln_state(0u, r) + kiln_unit(i);
            if (t < until[r])
                dstates[at] = T(float(dstates[at]) + result[i * MOST_ROWS + r]);
        }
}

void run_unit(cell c)
{
    const float dh = float(dstates[state_of(c, 0u)]) + (HAS(DY) ? float(dy[c.row * p.hidden + c.unit]) : 0.0);
    if (IS(RNN))
        rnn(c, dh);
    else if (IS(LSTM))
        lstm(c, dh);
    else
        gru(c, dh);
}

/* The step's gates but for what waits for another product. */
void run_first(uint t)
{
    [[dont_unroll]] for (uint r = 0u; r < stored_rows; r++) {
        begin_row();
        EACH_UNIT(i) {
            if (t < until[r])
                run_unit(cell_of(r, i, t));
            else
                rest(cell_of(r, i, t));
        }
        end_row(r, HAS(RESET_BEFORE) ? 1u : 0u, GATES);
    }
}

void run_second(uint t)
{
    clear();
    product(2u, t);
    end();
    [[dont_unroll]] for (uint r = 0u; r < stored_rows; r++) {
        begin_row();
        EACH_UNIT(i)
            if (t < until[r])
                gru_reset(cell_of(r, i, t), result[i * MOST_ROWS + r]);
        end_row(r, 0u, 1u);
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
#ifdef IMAGE
    own_fours = group * ROWS * GATES * FOURS;
#endif
    for (uint i = LANE; i < ROWS * GATES * FOURS; i += LANES)
        SET_FOUR(i, vec4(0.0));
    MEET();
    for (uint s = 0u; s <= p.steps; s++) {
        const uint t = kiln_time(s, true);
        EACH_SHARE
            if (s > 0u)
                pull(kiln_time(s - 1u, true));
        if (s == p.steps)
            break;
        MEET();
        EACH_SHARE
            run_first(t);
        MEET();
        if (HAS(SECOND)) {
            EACH_SHARE
                run_second(t);
            MEET();
        }
    }
}

#endif
