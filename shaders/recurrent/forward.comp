#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * recurrent - steps of some sequences: the states' products with the weights, and the gates, in one kernel.
 *
 * A lane computes all gates of UNITS units for ROWS sequences, so that what it reads of the weights serves ROWS products, what
 * it reads of the states, which lie in shared memory, serves all its gates, and no gate ever leaves its lane.
 *
 * bindings   0: x    1: w, packed    2: vectors    3: lengths    4: states before    5: states behind    6: y    7: saved
 * dispatch   a workgroup a slice of ROWS sequences, all units and steps; with STEP a slice and LANES units, one step
 * variants   -DTEXELS: w through a texel buffer    -DIMAGE: states in an image, which all lanes read, instead of shared memory
 */
#include "kiln.glsl"
#include "recurrent.h"

KILN_TUNING(0, ROWS, 1);
KILN_TUNING(1, UNITS, 1);

#include "cell.glsl"

KILN_IN(0, T, x);
#ifdef TEXELS
KILN_TEXELS(1, w);
#define W(i) texelFetch(w, int(i))
#else
KILN_IN(1, vec4, w);
#define W(i) w[i]
#endif
KILN_IN(2, T, vectors);
KILN_IN(3, int, lengths);
KILN_IN(4, T, states_before);
KILN_INOUT(5, T, states);
KILN_OUT(6, T, y);
KILN_INOUT(7, T, saved);

#define COLUMNS (UNITS * GATES)         /* unit after unit */
#define GATE(c) ((c) % GATES)
#include "product.glsl"

/* Add fours [begin, begin + count) of the products of gates [first, end); the state's fours lie at `at`, row after row. */
void multiply(uint first, uint end, uint at, uint row_fours, uint begin, uint count)
{
    uint from[MOST_COLUMNS];
    EACH_COLUMN(c)
        from[c] = kiln_weights() + (begin * GATES + GATE(c)) * p.units + kiln_column(c / GATES);
    add_products(first, end, at, row_fours, from, GATES * p.units, count);
}

float initial(uint kind, uint r, uint unit)
{
    return HAS(INITIAL) ? float(states_before[kiln_state(kind, r) + unit]) : 0.0;
}

#ifdef STEP

/* Element k of what is multiplied: the state before, or with `after_reset` r h, which the step's first dispatch saved. */
float operand(bool after_reset, uint t, uint r, uint k)
{
    if (k >= p.hidden)
        return 0.0;
    return after_reset ? float(saved[(kiln_row(t, r) * WIDTH + 3u) * p.hidden + k]) : initial(0u, r, k);
}

void product(uint first, uint end, uint t, bool after_reset)
{
    for (uint begin = 0u; begin < FOURS; begin += CHUNK) {
        barrier();
        for (uint i = LANE; i < ROWS * CHUNK * 4u; i += LANES)
            fours[i / 4u][i & 3u] = operand(after_reset, t, i / (CHUNK * 4u), begin * 4u + i % (CHUNK * 4u));
        barrier();
        multiply(first, end, 0u, CHUNK, begin, min(CHUNK, FOURS - begin));
    }
}

float h_before(uint r, uint unit) { return initial(0u, r, unit); }
void store_reset(uint r, uint unit, float value) {}
void store_next(uint r, uint unit, float value) { states[kiln_state(0u, r) + unit] = T(value); }

#else

/* Where h before the step, h behind it and r h lie. */
uint now, next, reset;

void product(uint first, uint end, uint t, bool after_reset)
{
    multiply(first, end, after_reset ? reset : now, FOURS, 0u, FOURS);
}

float h_before(uint r, uint unit) { return FOUR(now + r * FOURS + unit / 4u)[unit & 3u]; }

#ifdef IMAGE
vec4 coming;                            /* the lane's units of the row, as they are computed */
void store_reset(uint r, uint unit, float value) { coming[unit & 3u] = value; }
void store_next(uint r, uint unit, float value) { coming[unit & 3u] = value; }
#else
void store_reset(uint r, uint unit, float value) { fours[reset + r * FOURS + unit / 4u][unit & 3u] = value; }
void store_next(uint r, uint unit, float value) { fours[next + r * FOURS + unit / 4u][unit & 3u] = value; }
#endif

#endif

/* A step of one unit of one row: its gates' inputs, and what it leaves. */
struct cell {
    uint r, row, unit;
    bool first;                         /* step of the dispatch */
    float given[MOST_GATES];            /* by the weights */
};

float x_of(cell c, uint gate) { return float(x[(c.row * GATES + gate) * p.hidden + c.unit]); }
float vector_of(cell c, uint k)
{
    return HAS(VECTORS) ? float(vectors[(direction * 3u + k) * p.hidden + c.unit]) : 0.0;
}
void save(cell c, uint slot, float value)
{
    if (HAS(SAVES))
        saved[(c.row * WIDTH + slot) * p.hidden + c.unit] = T(value);
}
float c_before(cell c)
{
    return c.first ? initial(1u, c.r, c.unit) : float(states[kiln_state(1u, c.r) + c.unit]);
}

float rnn(cell c)
{
    const float given = c.given[0] + x_of(c, 0u), value = kiln_f(given);
    save(c, 0u, kiln_kept(given, value));
    return value;
}

float lstm(cell c)
{
    const float before = c_before(c);
    float given[4];
    [[unroll]] for (uint g = 0u; g < 4u; g++)
        given[g] = c.given[g] + x_of(c, g);
    given[0] += vector_of(c, 0u) * before;
    given[1] += vector_of(c, 1u) * before;
    const float i = kiln_f(given[0]), f = HAS(COUPLED) ? 1.0 - i : kiln_f(given[1]), g = kiln_g(given[2]);
    const float behind = f * before + i * g;
    given[3] += vector_of(c, 2u) * behind;
    const float o = kiln_f(given[3]);
    save(c, 0u, kiln_kept(given[0], i));
    save(c, 1u, kiln_kept(given[1], f));
    save(c, 2u, kiln_kept(given[2], g));
    save(c, 3u, kiln_kept(given[3], o));
    save(c, 4u, before);
    states[kiln_state(1u, c.r) + c.unit] = T(behind);
    return o * kiln_h(behind);
}

float reset_gate(cell c)
{
    const float given = c.given[0] + x_of(c, 0u) + (HAS(RESET_BEFORE) ? 0.0 : vector_of(c, 0u)), value = kiln_f(given);
    save(c, 0u, kiln_kept(given, value));
    return value;
}

float gru(cell c)
{
    const float r = HAS(RESET_BEFORE) ? 1.0 : reset_gate(c);
    const float given_z = c.given[1] + x_of(c, 1u) + vector_of(c, 1u), z = kiln_f(given_z);
    const float inner = c.given[2] + vector_of(c, 2u), given_n = x_of(c, 2u) + r * inner, n = kiln_g(given_n);
    save(c, 1u, kiln_kept(given_z, z));
    save(c, 2u, kiln_kept(given_n, n));
    if (!HAS(RESET_BEFORE))
        save(c, 3u, inner);
    return (1.0 - z) * n + z * h_before(c.r, c.unit);
}

/* Behind a sequence's end: zeros, and the state stays. */
void rest(cell c)
{
    y[c.row * p.hidden + c.unit] = T(0.0);
    for (uint slot = 0u; slot < WIDTH; slot++)
        save(c, slot, 0.0);
    store_next(c.r, c.unit, h_before(c.r, c.unit));
    if (c.first && IS(LSTM))
        states[kiln_state(1u, c.r) + c.unit] = T(initial(1u, c.r, c.unit));
}

void finish(cell c)
{
    save(c, WIDTH - 1u, h_before(c.r, c.unit));
    const float value = IS(RNN) ? rnn(c) : IS(LSTM) ? lstm(c) : gru(c);
    y[c.row * p.hidden + c.unit] = T(value);
    store_next(c.r, c.unit, value);
}

/* RESET_BEFORE: what the new gate's weights multiply. */
void finish_reset(cell c)
{
    const float value = reset_gate(c) * h_before(c.r, c.unit);
    save(c, 3u, value);
    store_reset(c.r, c.unit, value);
}

/* One part of a step for the lane's units and all rows. What it does is long: it stands in a loop over a copy of the sums, so
 * that these stay in registers and drivers compile it once. */
void finish_all(uint s, uint t, bool is_reset)
{
    float given[MOST_COLUMNS * MOST_ROWS];
    EACH_COLUMN(c)
        EACH_ROW(r)
            given[c * MOST_ROWS + r] = SUM(c, r);
    [[dont_unroll]] for (uint r = 0u; r < stored_rows; r++) {
        const bool runs = t < until[r];
#ifdef IMAGE
        coming = vec4(0.0);
#endif
        [[dont_unroll]] for (uint i = 0u; i < UNITS && kiln_is_unit(i); i++) {
            const uint at = i * GATES * MOST_ROWS + r;
            cell c = cell(r, kiln_row(t, r), kiln_unit(i), s == 0u, float[](given[at], 0.0, 0.0, 0.0));
            [[unroll]] for (uint g = 1u; g < GATES; g++)
                c.given[g] = given[at + g * MOST_ROWS];
            if (is_reset) {
                if (runs)
                    finish_reset(c);
            } else if (runs)
                finish(c);
            else
                rest(c);
        }
#ifdef IMAGE
        SET_FOUR((is_reset ? reset : next) + r * FOURS + first_unit / 4u, coming);
#endif
    }
}

void run_reset(uint s, uint t)
{
    clear();
    product(0u, 1u, t, false);
    finish_all(s, t, true);
}

void run(uint s, uint t)
{
    clear();
    product(HAS(RESET_BEFORE) ? 1u : 0u, HAS(RESET_BEFORE) ? 2u : GATES, t, false);
    if (HAS(RESET_BEFORE))
        product(2u, 3u, t, true);
    finish_all(s, t, false);
}

#ifdef STEP

void main()
{
    KILN_GROUP(group);
    const uint share = LANES * UNITS, blocks = (p.units + share - 1u) / share;
    KILN_TAKE_ROWS(group / blocks, lengths);
    first_unit = p.first_unit + group % blocks * share + LANE;
    const uint t = kiln_time(0u, false);
    if (HAS(FIRST))
        run_reset(0u, t);
    if (HAS(SECOND))
        run(0u, t);
}

#else

/* Every buffer of h begins with the state before, and zeros behind it. */
void load()
{
    const uint buffers = HAS(RESET_BEFORE) ? 3u : 2u;
    now = 0u;
    next = ROWS * FOURS;
    reset = 2u * ROWS * FOURS;
    for (uint i = LANE; i < buffers * ROWS * FOURS; i += LANES) {
        const uint r = i / FOURS % ROWS, k = i % FOURS * 4u;
        vec4 four = vec4(0.0);
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            if (k + j < p.hidden)
                four[j] = initial(0u, r, k + j);
        SET_FOUR(i, four);
    }
}

void store()
{
    for (uint unit = LANE; unit < p.hidden; unit += LANES)
        for (uint r = 0u; r < stored_rows; r++)
            states[kiln_state(0u, r) + unit] = T(h_before(r, unit));
}

void main()
{
    KILN_GROUP(group);
    KILN_TAKE_ROWS(group, lengths);
#ifdef IMAGE
    own_fours = group * (HAS(RESET_BEFORE) ? 3u : 2u) * ROWS * FOURS;
#endif
    load();
    MEET();
    for (uint s = 0u; s < p.steps; s++) {
        const uint t = kiln_time(s, false);
        if (HAS(FIRST)) {
            EACH_SHARE
                run_reset(s, t);
            MEET();
        }
        EACH_SHARE
            run(s, t);
        MEET();
        const uint swap = now;
        now = next;
        next = swap;
    }
    store();
}

#endif
