#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * attention, coop - attention of halves or, with GRAD, one of its gradients by matrix units (coop.glsl), in the order of FlashAttention-2
 * (Dao 2023).
 *
 * bindings   see attention.h; q, k, v, dy and the result 16 bytes at a time
 * dispatch   a workgroup for OWN rows and all columns of the result; depth and width are at most SIDE, multiples of 8
 *
 * A subgroup has a strip of 16 own rows: their fragments and the result's sums, both in registers from the first of the others to the last.
 * Of these a block of 32 is in shared memory, both operands: keys and values, or queries and their gradients. Attention's take turns on the
 * way: while products are summed the values go from memory into registers, and from there into shared memory; while weighted values are, the
 * next keys do. Gradients need both at once, and fetch the next block of both meanwhile.
 *
 * Which of a fragment's sums an invocation holds is the driver's secret, so scores become weights in shared memory, each row by the same
 * invocations. A weight goes back as two halves, itself and what rounding takes off it: a half alone would tell in results that cancel, and
 * the second costs but its products. Sums are divided by what their row's weights shrink by, fragment by fragment, only where the peak of
 * some row of the strip rises by more than RISE: until then weights are above 1, which halves have room for, and the last division
 * takes it off again. That is seldom behind the first block, so that the sums need not leave their fragments for it. Weights of gradients
 * may be as large or small as floats are: they are divided by a power of two, the row's grain, which rises likewise.
 *
 * A strip is a subgroup's of 32. Where a driver makes fewer subgroups, they take turns, each of which goes along all keys.
 */
#define COOP_FOURS
#include "attention.glsl"

KILN_TUNING(0, SIDE, 64);
KILN_TUNING(1, STRIPS, 4);

#define STRIP           16u
#define OWN             (STRIPS * STRIP)
#define OTHER           32u
#define GAP             8u                                  /* between lines in shared memory, which parts the banks */
#define PITCH           (SIDE + GAP)
#define WEIGHT_PITCH    (OTHER + GAP)
#define SCORE_PITCH     (OTHER + 4u)
#define ROWS_SLAB       (OWN * PITCH)                       /* of an own operand */
#define BLOCK_SLAB      (OTHER * PITCH)                     /* of the others' first operand; the second lies behind */
#define WEIGHT_SLAB     (OWN * WEIGHT_PITCH)

#ifdef HALF
#define WEIGHTS         2u                                  /* elements that make a weight */
#else
#define WEIGHTS         1u
#endif

#ifdef GRAD
#define OWN_OPERANDS    2u
#else
#define OWN_OPERANDS    1u
#endif

/* Own operands lie where weights will, one after the other: they are in fragments, unless these stay where they are read. */
#ifdef EMULATED
#define OWN_AT(which)   ((which) * ROWS_SLAB)
#define WEIGHTS_AT      (OWN_OPERANDS * ROWS_SLAB)
#define OWN_SLAB        (WEIGHTS_AT + WEIGHTS * WEIGHT_SLAB)
#else
#define OWN_AT(which)   0u
#define WEIGHTS_AT      0u
#define OWN_SLAB        (ROWS_SLAB > WEIGHTS * WEIGHT_SLAB ? ROWS_SLAB : WEIGHTS * WEIGHT_SLAB)
#endif
COOP_SHARED(OWN_SLAB, 2u * BLOCK_SLAB, OWN * SCORE_PITCH);
shared float held[LANES];                                   /* an invocation's part of what its row's make together */
shared uint risen[STRIPS];                                  /* the last block that raised a strip's peaks */

#ifdef GRAD
shared float other_lse[OTHER], other_delta[OTHER];          /* of queries, where own rows are keys */
#endif

uint own_first, own_total, other_first, other_end;
uint block;                                                 /* counted from 1 */

/* Elements that go to memory at once: STORED of them, in fours ------------------------------------------------ */

#define UNIT_FOURS (STORED / 4u)

#ifdef HALF
uvec2 halves_of(vec4 x) { return uvec2(packFloat2x16(f16vec2(x.xy)), packFloat2x16(f16vec2(x.zw))); }
vec4 floats_of(uvec2 x) { return vec4(unpackHalf2x16(x.x), unpackHalf2x16(x.y)); }
STORED_TYPE stored(vec4 x[UNIT_FOURS]) { return uvec4(halves_of(x[0]), halves_of(x[1])); }
STORED_TYPE rest(vec4 x[UNIT_FOURS], STORED_TYPE of)
{
    return uvec4(halves_of(x[0] - floats_of(of.xy)), halves_of(x[1] - floats_of(of.zw)));
}
#else
STORED_TYPE stored(vec4 x[UNIT_FOURS]) { return x[0]; }
#endif

/* Vulkan's own is off by 3 + 2 |x| ulp, |x| of which scores' roundings are too; drivers on the CPU are not that good. */
#ifdef EMULATED
vec4 exp_of(vec4 x) { return vec4(kiln_exp(x.x), kiln_exp(x.y), kiln_exp(x.z), kiln_exp(x.w)); }
#else
vec4 exp_of(vec4 x) { return exp(x); }
#endif

/* From memory ------------------------------------------------------------------------------------------------- */

#define LINE  (SIDE / STORED)                               /* loads of a row */
#define LOADS ((OTHER * LINE + LANES - 1u) / LANES)

STORED_TYPE next[OWN_OPERANDS * LOADS];                     /* of a block, on their way: one operand, of gradients both */

uint slab_place(uint load) { return (load / LINE * PITCH + load % LINE * STORED) / STORED; }

/* Load number `load` of `count` rows of an operand, from row `from` on; zeros behind the rows' end and below them. */
#define ELEMENTS_AT(operand, rows_at, from, count, size, load)                                                        \
    ((load) / LINE < (count) && (load) % LINE * STORED < (size)                                                       \
         ? operand[(rows_at.first + ((from) + min((load) / LINE, (count) - 1u)) * rows_at.step +                      \
                    min((load) % LINE * STORED, (size) - STORED)) / STORED]                                           \
         : STORED_TYPE(0))
#define Q_AT(from, count, load) ELEMENTS_AT(q, q_span, from, count, p.depth, load)
#define K_AT(from, count, load) ELEMENTS_AT(k, k_span, from, count, p.depth, load)
#define V_AT(from, count, load) ELEMENTS_AT(v, v_span, from, count, p.width, load)
#ifdef GRAD
#define DY_AT(from, count, load) ELEMENTS_AT(dy, y_span, from, count, p.width, load)
#else
#define DY_AT(from, count, load) STORED_TYPE(0)
#endif

/* Of the first or second operand of the others, and of own rows. */
STORED_TYPE other_at(bool second, uint from, uint count, uint load)
{
    if (OWN_IS_KEY)
        return second ? DY_AT(from, count, load) : Q_AT(from, count, load);
    return second ? V_AT(from, count, load) : K_AT(from, count, load);
}

STORED_TYPE own_at(bool second, uint from, uint count, uint load)
{
    if (OWN_IS_KEY)
        return second ? V_AT(from, count, load) : K_AT(from, count, load);
    return second ? DY_AT(from, count, load) : Q_AT(from, count, load);
}

void fetch_block(bool second, uint first, uint into)
{
    [[COOP_UNROLL]] for (uint i = 0; i < LOADS; i++)
        next[into + i] = other_at(second, first, min(OTHER, other_end - first), i * LANES + LANE);
}

void share_block(bool second, uint from)
{
    [[COOP_UNROLL]] for (uint i = 0; i < LOADS; i++)
        if (OTHER * LINE % LANES == 0u || i * LANES + LANE < OTHER * LINE)
            slab_b[(second ? BLOCK_SLAB / STORED : 0u) + slab_place(i * LANES + LANE)] = next[from + i];
}

void share_own(uint which)
{
    [[dont_unroll]] for (uint load = LANE; load < OWN * LINE; load += LANES)
        slab_a[OWN_AT(which) / STORED + slab_place(load)] = own_at(which == 1u, own_first, min(OWN, own_total - own_first), load);
}

/* Scores and weights ------------------------------------------------------------------------------------------ */

/* Of a row of its strip an invocation has every `sharers`th STORED elements. */
#define UNITS (OTHER / STORED)
#define ROW (COOP_LANE % STRIP)
#define SHARER (COOP_LANE / STRIP)
#define SHARERS (COOP_LANES / STRIP)
#define EACH_UNIT(u) [[COOP_UNROLL]] for (uint u = 0; u < UNITS; u++) if (u * SHARERS < UNITS)
#define UNIT_AT(u) (((u) * SHARERS + SHARER) * STORED)

/* What a row's weights are measured by, and its part of their sum that an invocation has. */
float peak, part;

/* Where four elements of coop_out lie, from an element of an invocation's row on. */
uint out_four(uint strip, uint column) { return ((strip * STRIP + ROW) * SCORE_PITCH + column) / 4u; }

#ifndef GRAD
const float RISE = 8.0, MOST = 60.0;                        /* of exponents: 2981 is a half yet, and 10^26 a float */
const float LOWEST = -3.402823466e38;                       /* below all that is not left out */

#define RAISED(peak) ((peak) + RISE)

float peak_of(float largest) { return max(peak, largest); }
float shrinks_to(float higher) { return exp_of(vec4(min(higher - peak, MOST))).x; }
#else
const float LOWEST = 8.67361738e-19;                        /* 2^-60: weights below it are nothing */

#define RAISED(grain) (4096.0 * (grain))                    /* what a half has room for yet */

/* The next power of two, and nothing beyond 2^100. */
float peak_of(float largest) { return max(peak, uintBitsToFloat((floatBitsToUint(min(largest, 1.26765e30)) & 0x7f800000u) + 0x800000u)); }
float shrinks_to(float higher) { return higher / peak; }
#endif

/* Whether the row's `largest` is beyond its peak, in any row of the strip; what shares the row has then held its own largest. */
bool rises_to(uint strip, float largest)
{
    held[COOP_ID * COOP_LANES + COOP_LANE] = largest;
    if (largest > RAISED(peak))
        atomicMax(risen[strip], block);
    COOP_MEET;
    return risen[strip] == block;
}

/* The row's new peak, and what its weights shrink by, to coop_out as a fragment of equal columns. */
void raise(uint strip, float largest)
{
    [[COOP_UNROLL]] for (uint n = 0; n < SHARERS; n++)
        largest = max(largest, held[COOP_ID * COOP_LANES + n * STRIP + ROW]);
    const float higher = peak_of(largest), shrinks = shrinks_to(higher);
    peak = higher;
    part /= shrinks;
    for (uint column = SHARER * 4u; column < COOP_N; column += SHARERS * 4u)
        coop_out[out_four(strip, column)] = floatBitsToUint(vec4(shrinks));
}

void store_weights(uint strip, uint u, vec4 w[UNIT_FOURS])
{
    const uint at = (WEIGHTS_AT + (strip * STRIP + ROW) * WEIGHT_PITCH + UNIT_AT(u)) / STORED;
    slab_a[at] = stored(w);
#ifdef HALF
    slab_a[at + WEIGHT_SLAB / STORED] = rest(w, stored(w));
#endif
}

#define EACH_FOUR(u, f) EACH_UNIT(u) [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++)

#ifndef GRAD

/* Attention --------------------------------------------------------------------------------------------------- */


bool sees_all(uint strip)
{
    const int end = int(other_first + OTHER);
    return !IS(BIASED) && !IS(MASKED) && end <= length &&
           (!IS(CAUSAL) || end <= int(own_first + strip * STRIP) + offset + 1);
}

void load_scores(uint strip, uint query, out vec4 score[UNITS][UNIT_FOURS])
{
    EACH_FOUR(u, f) {
        const vec4 product = uintBitsToFloat(coop_out[out_four(strip, UNIT_AT(u) + f * 4u)]);
        score[u][f] = vec4(capped(product.x), capped(product.y), capped(product.z), capped(product.w));
    }
    if (sees_all(strip))
        return;
    EACH_FOUR(u, f)
        [[COOP_UNROLL]] for (uint e = 0; e < 4u; e++)
            score[u][f][e] = masked(score[u][f][e], query, other_first + UNIT_AT(u) + f * 4u + e);
}

/* Scores of a block to weights; whether sums are to be divided before these are added. */
bool weigh(uint strip)
{
    const uint query = own_first + strip * STRIP + ROW;
    vec4 score[UNITS][UNIT_FOURS];
    float largest = peak;
    COOP_MEET;
    load_scores(strip, query, score);
    EACH_FOUR(u, f) {
        const vec4 s = score[u][f];
        largest = max(max(largest, max(s.x, s.y)), max(s.z, s.w));
    }
    const bool rises = rises_to(strip, largest);
    if (rises)
        raise(strip, largest);
    EACH_UNIT(u) {
        vec4 w[UNIT_FOURS];
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++) {
            w[f] = exp_of(score[u][f] - peak);
            part += (w[f].x + w[f].y) + (w[f].z + w[f].w);
            if (IS(DROPPED))
                w[f] = mix(vec4(0.0), w[f], keeps_of(query, other_first + UNIT_AT(u) + f * 4u));
        }
        store_weights(strip, u, w);
    }
    COOP_MEET;
    return rises;
}

/* The row's sum of exponentials; of one that sees nothing it is 0, and the result too. */
float finish(uint strip)
{
    const uint query = own_first + strip * STRIP + ROW;
    held[COOP_ID * COOP_LANES + COOP_LANE] = part;
    COOP_MEET;
    float sum = 0.0;
    [[COOP_UNROLL]] for (uint n = 0; n < SHARERS; n++)
        sum += held[COOP_ID * COOP_LANES + n * STRIP + ROW];
    if (SHARER == 0u && query < p.queries)
        lse[row_of(query)] = sum == 0.0 ? KILN_MINUS_INFINITY : peak + kiln_log(sum);
    return sum == 0.0 ? 0.0 : growth() / sum;
}

#else

/* Gradients --------------------------------------------------------------------------------------------------- */


void share_numbers()
{
    const uint query = min(other_first + LANE % OTHER, p.queries - 1u);
    if (LANE < OTHER)
        other_lse[LANE] = rows[row_of(query)];
    if (LANE < OTHER)
        other_delta[LANE] = rows[p.delta_at + row_of(query)];
}

float lse_of(uint own, uint column) { return OWN_IS_KEY ? other_lse[column] : rows[row_of(min(own, p.queries - 1u))]; }
float delta_of(uint own, uint column)
{
    return OWN_IS_KEY ? other_delta[column] : rows[p.delta_at + row_of(min(own, p.queries - 1u))];
}

/* The first products to probabilities. */
void load_probabilities(uint strip, out vec4 w[UNITS][UNIT_FOURS])
{
    const uint own = own_first + strip * STRIP + ROW;
    COOP_MEET;
    EACH_FOUR(u, f) {
        const uint column = UNIT_AT(u) + f * 4u, other = other_first + column;
        const vec4 product = uintBitsToFloat(coop_out[out_four(strip, column)]);
        [[COOP_UNROLL]] for (uint e = 0; e < 4u; e++)
            w[u][f][e] = probability_of(product[e], OWN_IS_KEY ? other + e : own, OWN_IS_KEY ? own : other + e, true,
                                        lse_of(own, column + e));
    }
    COOP_MEET;
}

/* Probabilities to weights by the second products. */
void pull(uint strip, inout vec4 w[UNITS][UNIT_FOURS])
{
    const uint own = own_first + strip * STRIP + ROW;
    COOP_MEET;
    EACH_FOUR(u, f) {
        const uint column = UNIT_AT(u) + f * 4u;
        const vec4 product = uintBitsToFloat(coop_out[out_four(strip, column)]);
        [[COOP_UNROLL]] for (uint e = 0; e < 4u; e++)
            w[u][f][e] = weight_of(w[u][f][e], product[e], delta_of(own, column + e));
    }
}

bool weigh(uint strip, vec4 w[UNITS][UNIT_FOURS])
{
    float largest = 0.0;
    EACH_FOUR(u, f) {
        const vec4 a = abs(w[u][f]);
        largest = max(max(largest, max(a.x, a.y)), max(a.z, a.w));
    }
    const bool rises = rises_to(strip, largest);
    if (rises)
        raise(strip, largest);
    EACH_UNIT(u) {
        vec4 scaled[UNIT_FOURS];
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++)
            scaled[f] = w[u][f] / peak;
        store_weights(strip, u, scaled);
    }
    COOP_MEET;
    return rises;
}

float finish(uint strip) { return FACTOR * peak; }

#endif

/* The OTHER columns of the result in coop_out to memory, from `column` on. */
void store_rows(uint strip, uint column, float factor)
{
    const uint own = own_first + strip * STRIP + ROW;
    const span to = result_span();
    EACH_UNIT(u) {
        vec4 y[UNIT_FOURS];
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++)
            y[f] = uintBitsToFloat(coop_out[out_four(strip, UNIT_AT(u) + f * 4u)]) * factor;
        if (own < own_total && column + UNIT_AT(u) < COLUMNS_OF_X)
            result[(to.first + own * to.step + column + UNIT_AT(u)) / STORED] = stored(y);
    }
}

/* Fragments, which stay where they are declared ----------------------------------------------------------------- */

#define DOWN (STRIP / COOP_M)
#define ROW_OF(i) (strip * STRIP + (i) * COOP_M)

#define LOAD_OWN(which)                                                                                               \
    [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                                   \
        [[COOP_UNROLL]] for (uint t = 0; t < SIDE / COOP_K; t++)                                                      \
            COOP_LOAD_A(own[which][i][t], OWN_AT(which) + ROW_OF(i) * PITCH + t * COOP_K, PITCH, COOP_ROWS);

/* Products of both sides' operands of that number, to coop_out. */
#define MULTIPLY(which)                                                                                               \
    [[COOP_UNROLL]] for (uint j = 0; j < OTHER / COOP_N; j++) {                                                       \
        COOP_SUM sum[DOWN];                                                                                           \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            COOP_CLEAR(sum[i]);                                                                                       \
        [[COOP_UNROLL]] for (uint t = 0; t < SIDE / COOP_K; t++) {                                                    \
            COOP_B others;                                                                                            \
            COOP_LOAD_B(others, which * BLOCK_SLAB + j * COOP_N * PITCH + t * COOP_K, PITCH, COOP_COLUMNS);           \
            [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                           \
                COOP_MULTIPLY(own[which][i][t], others, sum[i]);                                                      \
        }                                                                                                             \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            COOP_STORE_ROWS(sum[i], ROW_OF(i) * SCORE_PITCH + j * COOP_N, SCORE_PITCH);                               \
    }

#define SHRINK                                                                                                        \
    [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++) {                                                                 \
        COOP_SUM by;                                                                                                  \
        COOP_LOAD_SUM(by, ROW_OF(i) * SCORE_PITCH, SCORE_PITCH);                                                      \
        [[COOP_UNROLL]] for (uint j = 0; j < SIDE / COOP_N; j++)                                                      \
            COOP_DIVIDE(total[i][j], by);                                                                             \
    }

/* By the others' operand of that number. */
#define ADD_WEIGHTED(which)                                                                                               \
    [[COOP_UNROLL]] for (uint t = 0; t < OTHER / COOP_K; t++) {                                                       \
        COOP_A weight[DOWN][WEIGHTS];                                                                                 \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            [[COOP_UNROLL]] for (uint e = 0; e < WEIGHTS; e++)                                                        \
                COOP_LOAD_A(weight[i][e], WEIGHTS_AT + e * WEIGHT_SLAB + ROW_OF(i) * WEIGHT_PITCH + t * COOP_K,       \
                            WEIGHT_PITCH, COOP_ROWS);                                                                 \
        [[COOP_UNROLL]] for (uint j = 0; j < SIDE / COOP_N; j++) {                                                    \
            COOP_B x;                                                                                                 \
            COOP_LOAD_B(x, which * BLOCK_SLAB + t * COOP_K * PITCH + j * COOP_N, PITCH, COOP_ROWS);                      \
            [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                           \
                [[COOP_UNROLL]] for (uint e = 0; e < WEIGHTS; e++)                                                    \
                    COOP_MULTIPLY(weight[i][e], x, total[i][j]);                                                 \
        }                                                                                                             \
    }

/* OTHER columns at a time go through shared memory. */
#define STORE_TOTAL                                                                                                   \
    const float factor = finish(strip);                                                                               \
    [[COOP_UNROLL]] for (uint first = 0; first < SIDE; first += OTHER) {                                              \
        COOP_MEET;                                                                                                    \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            [[COOP_UNROLL]] for (uint j = 0; j < OTHER / COOP_N; j++)                                                 \
                COOP_STORE_ROWS(total[i][first / COOP_N + j], ROW_OF(i) * SCORE_PITCH + j * COOP_N, SCORE_PITCH);     \
        COOP_MEET;                                                                                                    \
        store_rows(strip, first, factor);                                                                             \
    }

#define CLEAR_TOTAL                                                                                                   \
    peak = LOWEST;                                                                                                    \
    part = 0.0;                                                                                                       \
    [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                                   \
        [[COOP_UNROLL]] for (uint j = 0; j < SIDE / COOP_N; j++)                                                      \
            COOP_CLEAR(total[i][j]);

#ifndef GRAD

/* A strip a subgroup; the first of these has number `first_strip`. */
void go_along(uint pair, uint first_strip)
{
    const uint strip = first_strip + COOP_ID;
    COOP_A own[1][DOWN][SIDE / COOP_K];
    COOP_SUM total[DOWN][SIDE / COOP_N];
    CLEAR_TOTAL
    go_to(pair / p.group, pair % p.group);
    other_end = keys_end(min(own_first + OWN, own_total));

    share_own(0u);
    if (other_end > 0u) {
        fetch_block(false, 0u, 0u);
        share_block(false, 0u);
    }
    barrier();
    if (strip < STRIPS)
        LOAD_OWN(0u)
    for (other_first = 0; other_first < other_end; other_first += OTHER) {
        bool rises = false;
        block++;
        barrier();
        fetch_block(true, other_first, 0u);
        if (strip < STRIPS)
            MULTIPLY(0u)
        share_block(true, 0u);
        if (strip < STRIPS)
            rises = weigh(strip);
        barrier();
        const bool more = other_first + OTHER < other_end;
        if (more)
            fetch_block(false, other_first + OTHER, 0u);
        if (rises)
            SHRINK
        if (strip < STRIPS)
            ADD_WEIGHTED(1u)
        if (more)
            share_block(false, 0u);
    }
    if (strip < STRIPS) {
        STORE_TOTAL
    }
    barrier();
}

#else

/* Likewise; of KEY and VALUE all heads that share the own rows add to the same sums. */
void go_along(uint pair, uint first_strip)
{
    const uint strip = first_strip + COOP_ID, heads = OWN_IS_KEY ? p.group : 1u;
    COOP_A own[2][DOWN][SIDE / COOP_K];
    COOP_SUM total[DOWN][SIDE / COOP_N];
    CLEAR_TOTAL
    go_to(OWN_IS_KEY ? pair : pair / p.group, OWN_IS_KEY ? 0u : pair % p.group);
    share_own(0u);
    barrier();
    if (strip < STRIPS)
        LOAD_OWN(0u)
    if (HAS_SECOND) {
        barrier();
        share_own(1u);
        barrier();
        if (strip < STRIPS)
            LOAD_OWN(1u)
    }
    for (uint g = 0; g < heads; g++) {
        if (OWN_IS_KEY)
            go_to(pair, g);
        const uint begin = OWN_IS_KEY ? queries_begin(own_first) / OTHER * OTHER : 0u;
        other_end = others_end(own_first, min(own_first + OWN, own_total));
        if (begin < other_end) {
            fetch_block(false, begin, 0u);
            fetch_block(true, begin, LOADS);
        }
        for (other_first = begin; other_first < other_end; other_first += OTHER) {
            block++;
            barrier();
            share_block(false, 0u);
            share_block(true, LOADS);
            if (OWN_IS_KEY)
                share_numbers();
            barrier();
            if (other_first + OTHER < other_end) {
                fetch_block(false, other_first + OTHER, 0u);
                fetch_block(true, other_first + OTHER, LOADS);
            }
            if (strip < STRIPS) {
                vec4 w[UNITS][UNIT_FOURS];
                MULTIPLY(0u)
                load_probabilities(strip, w);
                if (HAS_SECOND) {
                    MULTIPLY(1u)
                    pull(strip, w);
                }
                if (weigh(strip, w))
                    SHRINK
                if (OF(VALUE))
                    ADD_WEIGHTED(1u)
                else
                    ADD_WEIGHTED(0u)
            }
        }
    }
    if (strip < STRIPS) {
        STORE_TOTAL
    }
    barrier();
}

#endif

void main()
{
    KILN_GROUP(group);
    own_total = OWN_IS_KEY ? p.keys : p.queries;
    const uint blocks = (own_total + OWN - 1u) / OWN, at = group % blocks;
    own_first = (IS(CAUSAL) && !OWN_IS_KEY ? blocks - 1u - at : at) * OWN;   /* the longest first */
    block = 0u;
    if (LANE < STRIPS)
        risen[LANE] = 0u;
    for (uint first_strip = 0; first_strip < STRIPS; first_strip += COOP_COUNT)
        go_along(group / blocks, first_strip);
}
